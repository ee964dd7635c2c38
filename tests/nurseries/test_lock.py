"""Two routerd on one state directory: the second refuses with the pid of the first."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from routerd.nurseries.lock import AlreadyRunning, state_lock

HOLDER = """
import sys, time
from pathlib import Path
from routerd.nurseries.lock import state_lock
with state_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}") as caught, state_lock(tmp_path):
            pass
        assert caught.value.pid == str(holder.pid)
        holder.kill()  # the lock dies with its holder, however that dies
        holder.wait()
        with state_lock(tmp_path):
            assert (tmp_path / "routerd.lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_file_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "routerd.lock").write_text("4711 and rubbish")
    with state_lock(tmp_path):
        assert (tmp_path / "routerd.lock").read_text() == f"{os.getpid()}\n"


def test_nobody_else_can_open_it_and_hold_it(tmp_path: Path) -> None:
    (tmp_path / "routerd.lock").touch(mode=0o644)
    with state_lock(tmp_path):
        assert (tmp_path / "routerd.lock").stat().st_mode & 0o777 == 0o600


def no_new_files(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes none, for this reason."""
    really = os.open

    def refuse(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return really(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("left", ["", "4711\n"])
def test_on_a_disk_that_takes_no_file_it_still_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, left: str
) -> None:
    if left:
        (tmp_path / "routerd.lock").write_text(left)
    no_new_files(number, monkeypatch)
    with state_lock(tmp_path), pytest.raises(AlreadyRunning) as caught, state_lock(tmp_path):
        pass
    assert caught.value.pid == (left.strip() or "unknown")


def test_who_may_not_write_there_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_new_files(errno.EACCES, monkeypatch)
    with pytest.raises(PermissionError), state_lock(tmp_path):
        pass
