"""One routerd per state directory: a lock that dies with its holder, and tells who that is."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class AlreadyRunning(Exception):
    """Another routerd has this state directory; `pid` is its process id, as far as it could be read."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"another routerd (pid {pid}) holds {path}")
        self.path = path
        self.pid = pid


@contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Hold `routerd.lock` in `state_dir`. Raises AlreadyRunning; OSError if the directory cannot be used.

    The file stays when the lock is let go: who removed it could remove somebody else's.
    """
    path = state_dir / "routerd.lock"
    descriptor = _open(state_dir, path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(path, _read_pid(path)) from None
        with suppress(OSError):  # on a full disk the lock itself still holds
            _write_pid(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(state_dir: Path, path: Path) -> int:
    """What is locked: a file that others cannot open, or they could hold the lock. Where the disk takes no file it is
    the one that is there already, else the folder: a router whose flash has failed is still a router."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        return os.open(path if path.exists() else state_dir, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        os.fchmod(descriptor, 0o600)
    return descriptor


def _read_pid(path: Path) -> str:
    try:
        with path.open("rb") as file:
            pid = file.read(32).strip()
    except OSError:
        return "unknown"
    return pid.decode() if pid.isdigit() else "unknown"


def _write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
