"""The SQLite file of the log, as its one writer sees it. Everything here blocks: call it in a thread.

Faults of the world (a full disk, a torn file) leave here as exceptions that `fault` puts into words."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs
import orjson

from routerd.events.rows import INSERT, INSERT_AGAIN, Row
from routerd.events.types import Ref, StoredObject

SCHEMA = 1
_NO_VERSION = 100  # From here on it is not a newer routerd that we see but a broken file.
SET_ASIDE_KEPT = 3
BUSY_SECONDS = 2.0
_APPLICATION = 0x72747264  # "rtrd", shown by file(1)
_PAGE = 2048  # A commit writes whole pages, mostly of small changes: half the default is half the wear of a flash disk.
_TABLES = """
create table meta (epoch text not null);
create table events (
    id integer primary key, created_at integer not null, time integer not null, topic text not null,
    severity integer not null, reason text not null, message text not null, api_version text, kind text, name text,
    source text, source_kind text, source_instance text, source_cursor integer,
    attributes text, causes text, actor text not null, generation integer);
create index events_by_resource on events (kind, name);
create index events_by_source on events (source, source_cursor) where source is not null;
create table objects (
    api_version text, kind text, name text, status text not null, version integer not null,
    changed_at integer not null, primary key (api_version, kind, name)) without rowid;
create table sources (name text primary key, cursor integer not null) without rowid;
create table gaps (first integer primary key, last integer not null);
"""

# Where each source stands is written down only when its events go (and when they were lost). Until then it is the end
# of the index, looked up source by source, not row by row.
_CURSORS = """
with recursive sayers (sayer) as (
    select min(source) from events where source is not null
    union all select (select min(source) from events where source > sayer) from sayers where sayer is not null),
stands (sayer, cursor) as (
    select sayer, (select max(source_cursor) from events where source = sayer) from sayers where sayer is not null
    union all select name, cursor from sources)
select sayer, max(cursor) from stands group by sayer"""
_KEEP_CURSORS = """
insert or replace into sources
    select source, max(source_cursor) from events where source is not null and id <= ? group by source"""
_ENDS = """
select (select min(id) from events), (select max(id) from events),
    (select created_at from events order by id desc limit 1)"""
_FRONT = "select id, created_at from events where id < (select max(id) from events) order by id limit ?"


class LogVersionError(Exception):
    """The file was written by a newer routerd than this one. It is left as it is."""


class Corrupt(Exception):
    """The file is not, or no longer, a log of ours."""


@attrs.frozen
class Fault:
    """What the world did to us. `corrupt`: the file is of no more use, as opposed to out of reach for now."""

    text: str
    corrupt: bool = False


WORLD = (Corrupt, sqlite3.Error, UnicodeDecodeError, OSError)
"""What the world may do to a file. UnicodeDecodeError: an error message of SQLite that quotes garbage."""

_PASSING = {
    sqlite3.SQLITE_OK,  # An OSError.
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def fault(error: Exception) -> Fault:
    """The fault behind one of WORLD. Raises it again when it is our own mistake."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        raise error
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Fault(str(error), corrupt=not isinstance(error, OSError))
    # Our statements do not change: one that makes no sense to SQLite has met a schema that is no longer ours.
    return Fault(str(error), corrupt=code & 0xFF not in _PASSING)


@attrs.frozen
class Contents:
    """What a log file holds besides its events. `newest_at` is when the newest was stored (ns); `gaps` are the ids
    (first and last) of events that a fault took."""

    epoch: str
    oldest: int = 1
    newest: int = 0
    newest_at: int = 0
    objects: tuple[StoredObject, ...] = ()
    cursors: Mapping[str, int] = attrs.field(factory=dict)
    gaps: tuple[tuple[int, int], ...] = ()

    def continues(self, known: Contents) -> bool:
        """Whether this is the log `known`, with all its events."""
        return self.epoch == known.epoch and self.newest >= known.newest


@attrs.frozen
class Pruned:
    """How many events went, and the id from which on there are some."""

    deleted: int
    oldest: int


def new_epoch() -> str:
    """A name for a new log."""
    return secrets.token_hex(6)


@attrs.define(eq=False)
class Transaction:
    """What is written together or not at all. `gap`: the ids of events that are lost, and `cursors` where their sources
    stand."""

    rows: list[Row] = attrs.field(factory=list)
    objects: dict[Ref, StoredObject | None] = attrs.field(factory=dict)
    cursors: dict[str, int] = attrs.field(factory=dict)
    gap: tuple[int, int] | None = None


class Database:
    """The writer's connection to the file at `path`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._file = str(path), path.stat().st_ino
        self._connection = connection
        self._insert = INSERT_AGAIN

    def write(self, change: Transaction) -> None:
        """All of it is on disk when this returns, none of it when it raises."""
        # SQLite would go on writing to a file that nobody finds again. (A Path takes four times as long.)
        if os.stat(self._path).st_ino != self._file:  # noqa: PTH116
            raise FileNotFoundError(errno.ENOENT, "the file was taken away", self._path)
        with _transaction(self._connection) as connection:
            connection.executemany(self._insert, change.rows)
            _put_objects(connection, change.objects)
            if change.gap is not None:
                connection.execute("insert or replace into gaps values (?, ?)", change.gap)
                connection.executemany("insert or replace into sources values (?, ?)", change.cursors.items())
        self._insert = INSERT

    def contents(self) -> Contents:
        """All that the log must know of the file. Raises Corrupt when it is not as we left it."""
        execute = self._connection.execute
        try:
            [(epoch,)] = execute("select epoch from meta").fetchall()
            oldest, newest, newest_at = execute(_ENDS).fetchone()
            contents = Contents(
                epoch=epoch,
                oldest=oldest or 1,
                newest=newest or 0,
                newest_at=newest_at or 0,
                objects=tuple(
                    StoredObject(Ref(kind, name, api_version), orjson.loads(status), version, changed_at)
                    for api_version, kind, name, status, version, changed_at in execute("select * from objects")
                ),
                cursors=dict(execute(_CURSORS).fetchall()),
                gaps=tuple(execute("select first, last from gaps order by first").fetchall()),
            )
        except (ValueError, TypeError) as error:
            raise Corrupt(str(error)) from error
        _check_types(contents)
        return contents

    def used(self) -> int:
        """Octets in use. Free pages do not count: they are given back or used again."""
        one = "select (select page_count from pragma_page_count) - (select freelist_count from pragma_freelist_count)"
        pages: int = self._connection.execute(one).fetchone()[0]
        size: int = self._connection.execute("pragma page_size").fetchone()[0]
        return pages * size

    def prune(self, before: int, aged: int, max_bytes: int, limit: int) -> Pruned:
        """Delete up to `limit` of the oldest events: while the file uses more than `max_bytes`, or the event was
        stored before `before` (ns) and has an id up to `aged`. The first event to be kept ends it: order is by id
        alone, and a time stamp in the past behind a newer one is a clock that was set. The newest event always stays:
        ids go on from it."""
        front = self._connection.execute(_FRONT, (limit,)).fetchall()
        if self.used() <= max_bytes:
            front = list(itertools.takewhile(lambda row: row[0] <= aged and row[1] < before, front))
        if front:
            upto = front[-1][:1]
            with _transaction(self._connection) as connection:
                connection.execute(_KEEP_CURSORS, upto)
                connection.execute("delete from events where id <= ?", upto)
                connection.execute("delete from gaps where last <= ?", upto)
            # One page for each step of the statement, and only `executescript` goes on to the last.
            self._connection.executescript("pragma incremental_vacuum")
        oldest: int | None = self._connection.execute("select min(id) from events").fetchone()[0]
        return Pruned(len(front), oldest or 1)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


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
    objects and cursors of `fresh`. Raises LogVersionError, and WORLD when nothing can be written at all."""
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
    except BaseException:
        database.close()
        raise
    return Opened(database, contents, orderly)


def check(path: Path) -> None:
    """Look at every page, which may take seconds. Raises Corrupt when the file is not sound, and WORLD."""
    with _connected(path) as connection:
        [verdict] = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise Corrupt(verdict)


def _has_tail(path: Path) -> bool:
    """Whether the end of the log is in its write-ahead log: nobody has closed it."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _check_types(contents: Contents) -> None:
    """SQLite stores anything anywhere, and hands out what it takes from a broken page."""
    numbers = (
        contents.oldest,
        contents.newest,
        contents.newest_at,
        *contents.cursors.values(),
        *itertools.chain(*contents.gaps),
    )
    texts = (contents.epoch, *contents.cursors)
    sound = all(isinstance(number, int) for number in numbers) and all(isinstance(text, str) for text in texts)
    if not sound or not all(_sound_object(stored) for stored in contents.objects):
        raise Corrupt("values that we never wrote")


def _sound_object(stored: StoredObject) -> bool:
    ref = stored.ref
    return (
        all(isinstance(text, str) for text in (ref.kind, ref.name, ref.api_version))
        and isinstance(stored.version, int)
        and isinstance(stored.changed_at, int)
        and isinstance(stored.status, dict)
    )


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


def open_database(path: Path, fresh: Contents) -> Database:
    """Open the log at `path`; when there is none, make one that begins with the epoch, objects and cursors of
    `fresh`. Raises LogVersionError, Corrupt, sqlite3.Error, OSError."""
    if not path.exists():
        _make(path, fresh)
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(_connected(path))
        _check_version(path, connection)
        # FULL: synced before a commit returns. A long write-ahead log: few checkpoints, each of them two more syncs.
        for pragma in ("synchronous = full", "wal_autocheckpoint = 1024", f"journal_size_limit = {4 * 2**20}"):
            connection.execute(f"pragma {pragma}")
        database = Database(path, connection)
        undo.pop_all()
        return database


def _connected(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(
        sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    )


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    [application] = connection.execute("pragma application_id").fetchone()
    [version] = connection.execute("pragma user_version").fetchone()
    if application != _APPLICATION or not 0 < version < _NO_VERSION:
        raise Corrupt("it is not a log of routerd")
    if version > SCHEMA:
        raise LogVersionError(f"{path} has log format {version}, this routerd knows {SCHEMA} and older")


def sync_directory(directory: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        with _transaction(connection):
            for statement in _TABLES.strip().split(";\n"):
                connection.execute(statement)
            connection.execute("insert into meta values (?)", (fresh.epoch,))
            connection.executemany("insert into sources values (?, ?)", fresh.cursors.items())
            _put_objects(connection, {stored.ref: stored for stored in fresh.objects})
            connection.execute(f"pragma application_id = {_APPLICATION}")
            connection.execute(f"pragma user_version = {SCHEMA}")
        connection.execute("pragma journal_mode = wal")
    new.replace(path)
    sync_directory(path.parent)


def _put_objects(connection: sqlite3.Connection, objects: Mapping[Ref, StoredObject | None]) -> None:
    for ref, stored in objects.items():
        key = (ref.api_version, ref.kind, ref.name)
        if stored is None:
            connection.execute("delete from objects where api_version = ? and kind = ? and name = ?", key)
        else:
            row = (*key, orjson.dumps(stored.status).decode(), stored.version, stored.changed_at)
            connection.execute("insert or replace into objects values (?, ?, ?, ?, ?, ?)", row)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("begin immediate")
    try:
        yield connection
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # The first error is the one that counts.
                connection.execute("rollback")
        raise


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
