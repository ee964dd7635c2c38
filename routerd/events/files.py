"""Log files: made, opened, looked through, set aside. Everything here blocks: call it in a thread.

Whatever lies at the path, in the end there is a log that can be written, or one of `faults.WORLD`."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import attrs

from routerd.events.database import (
    MIGRATIONS,
    SCHEMA,
    TABLES,
    Contents,
    Database,
    put_consumers,
    put_objects,
    transaction,
)
from routerd.events.faults import WORLD, Corrupt, LogVersionError, fault

SET_ASIDE_KEPT = 3
BUSY_SECONDS = 2.0
"""How long to wait for another program that holds the file."""
_NO_VERSION = 100  # From here on it is not a newer routerd that we see but a broken file.
_APPLICATION = 0x72747264  # "rtrd", shown by file(1)
_PAGE = 2048  # A commit writes whole pages, mostly of small changes: half the default is half the wear of a flash disk.


def new_epoch() -> str:
    """A name for a new log."""
    return secrets.token_hex(6)


@attrs.frozen
class Doubt:
    """What we know against a file before we open it. `broken`: somebody has found it so, and how. `known`: it must be
    the continuation of that. `thorough`: look at every page, for SQLite blames the disk for some broken files."""

    broken: str | None = None
    known: Contents | None = None
    thorough: bool = False


@attrs.frozen
class Opened:
    """A log file that can be written. `orderly`: it was closed when it was written last. `aside`: where the one before
    it was put, and `reason`: why."""

    database: Database
    contents: Contents
    orderly: bool = True
    aside: Path | None = None
    reason: str = ""


def open_or_replace(path: Path, fresh: Contents, doubt: Doubt, at: int) -> Opened:
    """Open the log at `path`; when it is broken, or justifies the `doubt`, set it aside and begin a new one with the
    objects, cursors and consumers of `fresh`. Raises LogVersionError, and WORLD when nothing can be written at all."""
    reason = doubt.broken
    if reason is None:
        try:
            return _open_undoubted(path, fresh, doubt)
        except WORLD as error:
            trouble = fault(error)
            if not trouble.corrupt:
                raise
            reason = trouble.text
    aside = set_aside(path, at)
    return attrs.evolve(_open_undoubted(path, fresh, Doubt()), aside=aside, reason=reason)


def _open_undoubted(path: Path, fresh: Contents, doubt: Doubt) -> Opened:
    orderly = not _has_tail(path)
    database = open_database(path, fresh)
    try:
        contents = database.contents()
        if doubt.known is not None and contents.epoch != fresh.epoch and not contents.continues(doubt.known):
            raise Corrupt("it is another log than the one that was open")
        if doubt.thorough:
            check(path)
        database.trim()
    except BaseException:
        database.close()
        raise
    return Opened(database, contents, orderly)


def open_database(path: Path, fresh: Contents) -> Database:
    """Open the log at `path`, in the present format; when there is none, make one that begins with the epoch, objects,
    cursors and consumers of `fresh`. Raises LogVersionError, Corrupt, sqlite3.Error, OSError."""
    if not path.exists():
        _make(path, fresh)
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(_connected(path))
        version = _check_version(path, connection)
        connection.execute("pragma synchronous = full")  # synced before a commit returns
        _migrate(connection, version)
        database = Database(path, connection)
        undo.pop_all()
        return database


def survey(path: Path) -> Contents | None:
    """What a log holds that cannot be opened for writing (where SQLite needs room even to read). None when that cannot
    be said for certain: it was not closed in order, its end is in the write-ahead log. Raises LogVersionError."""
    try:
        if _has_tail(path):
            return None
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            _check_version(path, connection)
            return Database(path, connection).contents()
        finally:
            connection.close()
    except WORLD as error:
        fault(error)
        return None


def check(path: Path) -> None:
    """Look at every page, which may take seconds. Raises Corrupt when the file is not sound, and WORLD."""
    with _connected(path) as connection:
        [verdict] = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise Corrupt(verdict)


def set_aside(path: Path, at: int) -> Path:
    """Rename a broken log (with its -wal and -shm) to `….corrupt-<time>`, `at` being ns since 1970, and delete all
    but the last three such. Raises OSError."""
    stamp = datetime.fromtimestamp(at // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}.{number}")
    for suffix in ("-wal", "-shm", ""):  # The file itself last: a log is never seen without its tail.
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    sync_directory(path.parent)
    earlier = (p for p in path.parent.glob(f"{path.name}.corrupt-*") if not p.name.endswith(("-wal", "-shm")))
    for old in sorted(p for p in earlier if p != aside)[: 1 - SET_ASIDE_KEPT]:
        for suffix in ("-wal", "-shm", ""):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


def _make(path: Path, fresh: Contents) -> None:
    """Make an empty log under another name and then give it its own: there never is half a log at `path`."""
    new = path.with_name(f"{path.name}.new")
    # A write-ahead log left by a file that is gone would be taken for ours.
    for leftover in (new.name, f"{new.name}-journal", f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(leftover).unlink(missing_ok=True)
    # No other user may read it; what SQLite puts beside it inherits the mode.
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640))
    with _connected(new) as connection:
        # Before anything is written; synced as SQLite does by itself.
        for pragma in (f"page_size = {_PAGE}", "auto_vacuum = incremental"):
            connection.execute(f"pragma {pragma}")
        with transaction(connection):
            _define(connection, TABLES)
            connection.execute("insert into meta values (?)", (fresh.epoch,))
            connection.executemany("insert into sources values (?, ?)", fresh.cursors.items())
            put_objects(connection, {stored.ref: stored for stored in fresh.objects})
            put_consumers(connection, {consumer.name: consumer for consumer in fresh.consumers})
            connection.execute(f"pragma application_id = {_APPLICATION}")
            connection.execute(f"pragma user_version = {SCHEMA}")
        connection.execute("pragma journal_mode = wal")
    new.replace(path)
    sync_directory(path.parent)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Make it a file of the present format, wholly or not at all."""
    if version == SCHEMA:
        return
    with transaction(connection):
        for former in range(version, SCHEMA):
            _define(connection, MIGRATIONS[former])
        connection.execute(f"pragma user_version = {SCHEMA}")


def _define(connection: sqlite3.Connection, statements: str) -> None:
    """`executescript` would end the transaction."""
    for statement in statements.strip().split(";\n"):
        connection.execute(statement)


def _connected(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(
        sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    )


def _check_version(path: Path, connection: sqlite3.Connection) -> int:
    """The format of the file. Raises Corrupt when it is none of ours, LogVersionError when it is newer than we are."""
    [application] = connection.execute("pragma application_id").fetchone()
    [version] = connection.execute("pragma user_version").fetchone()
    if application != _APPLICATION or not 0 < version < _NO_VERSION:
        raise Corrupt("it is not a log of routerd")
    if version > SCHEMA:
        raise LogVersionError(f"{path} has log format {version}, this routerd knows {SCHEMA} and older")
    return int(version)


def _has_tail(path: Path) -> bool:
    """Whether the end of the log is in its write-ahead log: nobody has closed it."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def sync_directory(directory: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
