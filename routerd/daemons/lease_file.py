"""A lease file, or another that outlives us, on disk: replaced as a whole or not at all, even if the power fails in
between (C5). What is in it is the concern of `routerd.protocols.sealed` and of who seals it.

Every function here blocks on the disk: call it by `trio.to_thread.run_sync`.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE, SECRET = 0o640, 0o600


def save(path: Path, data: bytes, mode: int = MODE) -> None:
    """Replace the file's content, durably; its directory is made if need be. Raises OSError.

    Afterwards the file holds either the old octets or the new. One writer per path: the new ones are gathered
    beside it under one fixed name, so that a crash leaves no pile of them.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    _sync_directory(path.parent)


def read(path: Path) -> bytes | None:
    """The file's octets; None if there is no such file. Raises OSError for any other trouble."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Delete the file, durably, if it is there. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """A rename or an unlink is on disk only when the directory is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
