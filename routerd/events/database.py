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

from routerd.events.rows import INSERT, Row
from routerd.events.types import Ref, StoredObject

SCHEMA = 1
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


def fault(error: Exception) -> Fault:
    """The fault behind one of WORLD. Raises it again when it is not the world's but our own mistake."""
    if isinstance(error, Corrupt):
        return Fault(str(error), corrupt=True)
    if isinstance(error, OSError | sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        undecodable = str(error).startswith("Could not decode to UTF-8")
        return Fault(str(error), corrupt=undecodable or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
    raise error


WORLD = (Corrupt, sqlite3.Error, OSError)


@attrs.frozen
class Contents:
    """What a log file holds besides its events. `gaps` are the ids (first and last) of events that a fault took."""

    epoch: str
    oldest: int = 1
    newest: int = 0
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
    """What is written together or not at all. `cursors`: where sources stand that none of `rows` tells of."""

    rows: list[Row] = attrs.field(factory=list)
    objects: dict[Ref, StoredObject | None] = attrs.field(factory=dict)
    cursors: dict[str, int] = attrs.field(factory=dict)
    gap: tuple[int, int] | None = None


class Database:
    """The writer's connection to the file at `path`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._file = path, path.stat().st_ino
        self._connection = connection

    def write(self, change: Transaction) -> None:
        """All of it is on disk when this returns, none of it when it raises."""
        if self._path.stat().st_ino != self._file:  # SQLite would go on writing to a file that nobody finds again.
            raise FileNotFoundError(errno.ENOENT, "the file was taken away", str(self._path))
        with _transaction(self._connection) as connection:
            connection.executemany(INSERT, change.rows)
            connection.executemany("insert or replace into sources values (?, ?)", change.cursors.items())
            _put_objects(connection, change.objects)
            if change.gap is not None:
                connection.execute("insert or replace into gaps values (?, ?)", change.gap)

    def contents(self) -> Contents:
        """All that the log must know of the file. Raises Corrupt when it is not as we left it."""
        execute = self._connection.execute
        try:
            [(epoch,)] = execute("select epoch from meta").fetchall()
            oldest, newest = execute("select (select min(id) from events), (select max(id) from events)").fetchone()
            return Contents(
                epoch=epoch,
                oldest=oldest or 1,
                newest=newest or 0,
                objects=tuple(
                    StoredObject(Ref(kind, name, api_version), orjson.loads(status), version, changed_at)
                    for api_version, kind, name, status, version, changed_at in execute("select * from objects")
                ),
                cursors=dict(execute(_CURSORS).fetchall()),
                gaps=tuple(execute("select first, last from gaps order by first").fetchall()),
            )
        except (ValueError, TypeError) as error:
            raise Corrupt(str(error)) from error

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
            self._connection.execute("pragma incremental_vacuum").fetchall()
        oldest: int | None = self._connection.execute("select min(id) from events").fetchone()[0]
        return Pruned(len(front), oldest or 1)

    def checkpoint(self) -> None:
        """Move what is in the write-ahead log to the file itself, which only then really shrinks."""
        self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@attrs.frozen
class Opened:
    """A log file that can be written. `aside`: where the one before it was put, and `reason`: why."""

    database: Database
    contents: Contents
    aside: Path | None = None
    reason: str = ""


def open_or_replace(path: Path, fresh: Contents, known: Contents | None, suspect: str | None, at: int) -> Opened:
    """Open the log at `path`, or set it aside and begin a new one: when it is corrupt, when it is `suspect` (a reason),
    or when it is not the one that we had open (`known`). Raises LogVersionError; WORLD when nothing can be written."""
    reason = suspect
    if reason is None:
        try:
            opened = _open_with_contents(path, fresh)
        except WORLD as error:
            trouble = fault(error)
            if not trouble.corrupt:
                raise
            reason = trouble.text
        else:
            if known is None or opened.contents.epoch == fresh.epoch or opened.contents.continues(known):
                return opened
            opened.database.close()
            reason = "it is another log than the one that was open"
    aside = set_aside(path, at)
    opened = _open_with_contents(path, fresh)
    return attrs.evolve(opened, aside=aside, reason=reason)


def survey(path: Path) -> Contents | None:
    """What a log holds that cannot be opened for writing (where SQLite needs room even to read). None when that cannot
    be said for certain: it was not closed in order, its end is in the write-ahead log. Raises LogVersionError."""
    try:
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            return None
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return Database(path, connection).contents() if _version(path, connection) else None
        finally:
            connection.close()
    except WORLD as error:
        fault(error)
        return None


def _open_with_contents(path: Path, fresh: Contents) -> Opened:
    database = open_database(path, fresh)
    try:
        return Opened(database, database.contents())
    except BaseException:
        database.close()
        raise


def open_database(path: Path, fresh: Contents) -> Database:
    """Open the log at `path`; when there is none, make one that begins with the epoch, objects and cursors of
    `fresh`. Raises LogVersionError, Corrupt, sqlite3.Error, OSError."""
    new = _touch(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # FULL: synced before a commit returns. A large write-ahead log means fewer checkpoints, each of them two syncs.
        for pragma in ("synchronous = full", "wal_autocheckpoint = 4096", f"journal_size_limit = {16 * 2**20}"):
            connection.execute(f"pragma {pragma}")
        if _version(path, connection) == 0:
            _create(connection, fresh)
        if new:
            sync_directory(path.parent)
        return Database(path, connection)
    except BaseException:
        connection.close()
        raise


def _version(path: Path, connection: sqlite3.Connection) -> int:
    version: int = connection.execute("pragma user_version").fetchone()[0]
    if version > SCHEMA:
        raise LogVersionError(f"{path} has log format {version}, this routerd knows {SCHEMA} and older")
    return version


def _touch(path: Path) -> bool:
    """Make the file so that no other user can read it; what SQLite puts beside it inherits the mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640))
    except FileExistsError:
        return False
    return True


def sync_directory(directory: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(connection: sqlite3.Connection, fresh: Contents) -> None:
    if connection.execute("select count(*) from sqlite_master").fetchone() != (0,):
        raise Corrupt("it is a database, but not a log of routerd")
    connection.execute(f"pragma page_size = {_PAGE}")  # This and the next: before anything is written.
    connection.execute("pragma auto_vacuum = incremental")
    connection.execute("pragma journal_mode = wal")
    with _transaction(connection):
        for statement in _TABLES.strip().split(";\n"):
            connection.execute(statement)
        connection.execute("insert into meta values (?)", (fresh.epoch,))
        connection.executemany("insert into sources values (?, ?)", fresh.cursors.items())
        _put_objects(connection, {stored.ref: stored for stored in fresh.objects})
        connection.execute(f"pragma application_id = {_APPLICATION}")
        connection.execute(f"pragma user_version = {SCHEMA}")


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
