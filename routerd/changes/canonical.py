"""The configuration's file: read whole, replaced in one stroke. Everything here blocks, and raises OSError.

A symbolic link is followed: what it names is replaced, in its own folder. Mode and owner stay. Whoever edits the file
with an editor meanwhile is noticed, and so is a second program that takes the lock: neither loses what it wrote.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW_MODE = 0o600
"""Of a file that was not there: it may hold secrets."""


class Busy(Exception):
    """Somebody else holds the lock, or has changed the file since it was read; the message says which."""


class Canonical:
    """The file at `path`, as the command line names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def _target(self) -> Path:
        """What the path names, through every link."""
        return Path(os.path.realpath(self.path))

    def read(self) -> bytes | None:
        """The whole file; None when there is none."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # of a pipe nothing would come
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            _check_regular(os.fstat(descriptor), self.path)
            return file.read()

    def _readable(self) -> bytes | None:
        try:
            return self.read()
        except OSError:
            return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock file beside it. Raises Busy. The file stays: who removed it could remove somebody else's."""
        target = self._target
        path = target.with_name(f".{target.name}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"another process is changing {self.path}") from None
            yield
        finally:
            os.close(descriptor)

    def replace(self, octets: bytes, expected: bytes | None) -> None:
        """Put `octets` in the place of `expected` (None: of nothing, or of what cannot be read), whole or not at all,
        and on disk when this returns. Raises Busy when something else stands there by now."""
        target = self._target
        fresh = target.with_name(f".{target.name}.new")
        with suppress(FileNotFoundError):
            fresh.unlink()  # of a life that ended in the middle of this
        try:
            _write(fresh, octets, _stat(target))
            if self._readable() != expected:
                raise Busy(f"somebody has changed {self.path} meanwhile")
            fresh.replace(target)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise
        sync_directory(target.parent)


def write_private(path: Path, octets: bytes) -> None:
    """Put a file of ours, readable for us alone, in its place whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    try:
        _write(fresh, octets, None)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    sync_directory(path.parent)


def _stat(target: Path) -> os.stat_result | None:
    """Of the file that is replaced. Raises OSError when it is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    _check_regular(found, target)
    return found


def _check_regular(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def _write(fresh: Path, octets: bytes, like: os.stat_result | None) -> None:
    """A new file, on disk, with the mode and owner of another before anything is in it."""
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, NEW_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, NEW_MODE if like is None else stat.S_IMODE(like.st_mode))
        if like is not None:
            _give(descriptor, like)  # the last that takes its owner
        file.write(octets)
        file.flush()
        os.fsync(descriptor)


def _give(descriptor: int, like: os.stat_result) -> None:
    """To its owner. Raises OSError for who may give nothing away: then the file would not be its owner's any more."""
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)


def sync_directory(directory: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
