"""The configuration's file is replaced whole or not at all, and nobody's work is lost by it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from routerd.changes.canonical import Busy, Canonical, write_private


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "router.yaml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    return path


def names(path: Path) -> set[str]:
    return {one.name for one in path.parent.iterdir()}


def test_it_is_replaced_with_its_mode(path: Path) -> None:
    inode = path.stat().st_ino
    Canonical(path).replace(b"new", b"old")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_ino != inode, "by another file: whoever reads has the one or the other"
    assert names(path) == {"router.yaml"}


def test_a_new_one_is_private(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    assert Canonical(path).read() is None
    Canonical(path).replace(b"new", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_somebody_else_wrote_stays(path: Path) -> None:
    path.write_bytes(b"theirs")
    with pytest.raises(Busy, match="somebody has changed"):
        Canonical(path).replace(b"new", b"old")
    path.unlink()
    with pytest.raises(Busy):
        Canonical(path).replace(b"new", b"old")
    assert names(path) == set()


@pytest.mark.parametrize("name", ["fsync", "replace", "fchmod"])
def test_a_disk_that_fails_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="No space"):
            Canonical(path).replace(b"new", b"old")
    assert path.read_bytes() == b"old"
    assert names(path) == {"router.yaml"}


def test_links_are_followed_and_stay(path: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path.rename(tmp_path / "there" / "real.yaml")
    (tmp_path / "middle").symlink_to("there/real.yaml")
    path.symlink_to("middle")
    canonical = Canonical(path)
    with canonical.held():
        canonical.replace(b"new", b"old")
    assert path.is_symlink()
    assert (tmp_path / "there" / "real.yaml").read_bytes() == b"new"
    assert {one.name for one in (tmp_path / "there").iterdir()} == {"real.yaml", ".real.yaml.lock"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, make: object) -> None:
    path = tmp_path / "router.yaml"
    make(path)  # type: ignore[operator]
    with pytest.raises(OSError):
        Canonical(path).read()
    with pytest.raises(OSError):
        Canonical(path).replace(b"new", None)
    assert names(path) == {"router.yaml"}


def test_a_loop_of_links_is_the_disk_s_complaint(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.symlink_to("router.yaml")
    with pytest.raises(OSError):
        Canonical(path).read()
    with pytest.raises(OSError):
        Canonical(path).replace(b"new", None)


def test_a_file_that_nobody_can_read_can_be_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Canonical, "read", fail)
        Canonical(path).replace(b"new", None)
    assert path.read_bytes() == b"new"


def test_what_a_killed_life_left_is_no_hindrance(path: Path) -> None:
    (path.parent / ".router.yaml.new").write_bytes(b"torn")
    Canonical(path).replace(b"new", b"old")
    assert path.read_bytes() == b"new"
    assert names(path) == {"router.yaml"}


def test_one_at_a_time(path: Path) -> None:
    one, other = Canonical(path), Canonical(path)
    with one.held(), pytest.raises(Busy, match="another process"), other.held():
        pass
    with other.held():
        pass
    assert stat.S_IMODE((path.parent / ".router.yaml.lock").stat().st_mode) == 0o600


def test_a_link_in_the_place_of_our_own_files_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    (tmp_path / ".router.yaml.new").symlink_to(victim)
    (tmp_path / ".secret.new").symlink_to(victim)
    Canonical(path).replace(b"new", b"old")
    write_private(tmp_path / "secret", b"s")
    assert victim.read_bytes() == b"theirs"
    (tmp_path / ".router.yaml.lock").symlink_to(victim)
    with pytest.raises(OSError), Canonical(path).held():
        pass
