"""What becomes of a faulty file at start: the configuration of before a change on trial takes its place, or nothing."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from routerd.changes import commit_file
from routerd.changes.commit import digest_of
from routerd.changes.commit_file import Kept
from routerd.changes.commit_rescue import ASIDE, Rescued, rescue
from routerd.changes.guard import Guards
from routerd.shapes.instant import Instant
from tests.router.process import WAN

FAULTY = b"spec: [\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "router.yaml"
    path.write_bytes(FAULTY)
    return path


@pytest.fixture
def kept(config: Path) -> Kept:
    """A change on trial, not on disk yet."""
    return Kept(2, 1, str(config), "boot", 9.0, Instant(9), "uid=0", digest_of("t"), Guards(), b"new\n", WAN.encode())


def test_what_was_before_is_back_and_the_faulty_file_kept(config: Path, kept: Kept) -> None:
    state_dir = config.parent
    commit_file.save(commit_file.path_in(state_dir), kept)
    assert rescue(config, state_dir) == Rescued(2, 1, state_dir / ASIDE)
    assert config.read_text() == WAN and (state_dir / ASIDE).read_bytes() == FAULTY
    now = commit_file.load(commit_file.path_in(state_dir))
    assert now is not None and now.going_back is not None and now.going_back.reason == "FileFaulty"


def test_a_file_that_is_gone_is_back(config: Path, kept: Kept) -> None:
    config.unlink()
    commit_file.save(commit_file.path_in(config.parent), kept)
    assert rescue(config, config.parent) == Rescued(2, 1, None)
    assert config.read_text() == WAN


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/etc/another.yaml"},
        {"previous_octets": None},
        {"previous_octets": b"of a version that knew more\n"},
    ],
)
def test_what_cannot_be_put_back_is_not(config: Path, kept: Kept, change: dict[str, object]) -> None:
    commit_file.save(commit_file.path_in(config.parent), attrs.evolve(kept, **change))  # type: ignore[arg-type]
    assert rescue(config, config.parent) is None
    assert config.read_bytes() == FAULTY


@pytest.mark.parametrize("torn", [None, b"", b"{}"])
def test_without_a_trial_nothing_is_touched(config: Path, torn: bytes | None) -> None:
    if torn is not None:
        commit_file.path_in(config.parent).write_bytes(torn)
    assert rescue(config, config.parent) is None
    assert config.read_bytes() == FAULTY
