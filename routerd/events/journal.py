"""`events.jsonl` of a daemon: what it said, one DaemonEvent a line, for those who read files. A reader of the log like
any other; the last line of the file is its cursor, so each event stands there once, whatever was killed when."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import orjson
import trio

from routerd.events.files import sync_directory
from routerd.events.log import Log
from routerd.events.render import daemon_event
from routerd.events.types import Filter, StoredEvent
from routerd.events.writer import Runner

ROTATE = 4 * 2**20
"""Octets after which the file becomes `events.jsonl.1`."""
BATCH = 100
PAUSES = (1.0, 60.0)
"""Seconds between attempts: the first, and what they are doubled up to."""
_BLOCK = 64 * 1024

logger = logging.getLogger(__name__)


async def run_journal(log: Log, source_name: str, path: Path, *, run_sync: Runner = trio.to_thread.run_sync) -> None:
    """Write what the file lacks of what `source_name` said, then follow. When the disk is full or broken it begins
    again until that works; only what the log itself no longer has is skipped."""
    pause = PAUSES[0]
    while True:
        began = trio.current_time()
        try:
            await _follow(log, source_name, path, run_sync)
        except OSError as error:
            logger.warning("%s: %s; trying again", path, error.strerror or error)
        if trio.current_time() - began > PAUSES[1]:
            pause = PAUSES[0]
        await trio.sleep(pause)
        pause = min(pause * 2, PAUSES[1])


async def _follow(log: Log, source_name: str, path: Path, run_sync: Runner) -> None:
    """Write until that fails. Raises OSError."""
    last: int = await run_sync(repair, path)
    after = await log.position(source_name, last)
    while True:
        page = await log.read(after, limit=BATCH, where=Filter(source=source_name))
        # When the log had to begin anew `position` knows nothing of what the file has already.
        missing = [stored for stored in page.events if (stored.source_cursor or 0) > last]
        if missing:
            await run_sync(extend, path, missing)
        after = page.cursor
        await log.wait(after)


def last_cursor(path: Path) -> int:
    """The cursor of the last event in the journal, 0 if there is none. Raises OSError."""
    return max(_sound(path)[0], _sound(_rotated(path))[0])


def repair(path: Path) -> int:
    """Cut off what a crash left half-written; return the last cursor. Blocks. Raises OSError."""
    cursor, length = _sound(path)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size != length:
            os.truncate(path, length)
    return max(cursor, _sound(_rotated(path))[0])


def extend(path: Path, events: Iterable[StoredEvent]) -> None:
    """Append the events and sync them; a full file is rotated first. Blocks. Raises OSError, and has then written
    nothing, as far as the disk allows."""
    lines = b"".join(orjson.dumps(daemon_event(stored), option=orjson.OPT_APPEND_NEWLINE) for stored in events)
    if _size(path) + len(lines) > ROTATE:
        with contextlib.suppress(FileNotFoundError):
            path.replace(_rotated(path))
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        before = os.fstat(descriptor).st_size
        try:
            _write(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # Else `repair` finds it.
                os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
    if before == 0:
        sync_directory(path.parent)


def _write(descriptor: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _rotated(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sound(path: Path) -> tuple[int, int]:
    """The last cursor in the file, and how long the file is up to the end of that line. It is nearly always in the last
    block; what a power cut leaves behind may be longer."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            for start in (max(size - _BLOCK, 0), 0):
                file.seek(start)
                cursor, length = _last_line(file.read(), whole=start == 0)
                if length or start == 0:
                    return cursor, start + length if length else 0
    except FileNotFoundError:
        pass
    return 0, 0


def _last_line(octets: bytes, whole: bool) -> tuple[int, int]:
    """Cursor and end of the last line that is an event. Unless `octets` are the `whole` file, the first line in them
    may be half a line."""
    end = octets.rfind(b"\n") + 1
    while end:
        start = octets.rfind(b"\n", 0, end - 1) + 1
        cursor = _cursor(octets[start:end]) if start or whole else None
        if cursor is not None:
            return cursor, end
        end = start
    return 0, 0


def _cursor(line: bytes) -> int | None:
    try:
        return int(orjson.loads(line)["cursor"])
    except (ValueError, TypeError, KeyError):
        return None
