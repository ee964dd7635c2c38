"""One routerd per state directory: a lock that dies with its holder, and tells who that is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise AlreadyRunning(path, pid or "unknown") from None
        _write_pid(descriptor)
        yield
    finally:
        os.close(descriptor)


def _write_pid(descriptor: int) -> None:
    """Best effort: on a full disk the lock itself still holds."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError:
        os.ftruncate(descriptor, 0)
