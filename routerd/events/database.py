"""The log as its one writer sees it: transactions in SQLite. Everything here blocks: call it in a thread.

Raises `faults.WORLD`. How a file comes to be there, or is given up, is `files`."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import orjson

from routerd.events.faults import Corrupt
from routerd.events.rows import INSERT, INSERT_AGAIN, Row
from routerd.events.types import Consumer, Ref, StoredObject

CONSUMERS = """
create table consumers (
    name text primary key, cursor integer not null, updated_at integer not null, state text not null) without rowid;
"""
TABLES = f"""
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
create table gaps (first integer primary key, last integer not null);{CONSUMERS}"""
SCHEMA = 2
MIGRATIONS = {1: CONSUMERS}
"""What makes of a file of this format one of the next."""

FEWEST_PAGES, MOST_PAGES, SHARE = 32, 1024, 8
"""Of the write-ahead log: long enough for few checkpoints, each of them two more syncs, and short enough to be
overwritten soon, for a file that grows takes twice as long to sync; and the part of the free disk that it may take."""

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
    consumers: tuple[Consumer, ...] = ()

    def continues(self, known: Contents) -> bool:
        """Whether this is the log `known`, with all its events."""
        return self.epoch == known.epoch and self.newest >= known.newest


@attrs.frozen
class Pruned:
    """How many events went, and the id from which on there are some."""

    deleted: int
    oldest: int


@attrs.define(eq=False)
class Transaction:
    """What is written together or not at all. `gap`: the ids of events that are lost, and `cursors` where their sources
    stand."""

    rows: list[Row] = attrs.field(factory=list)
    objects: dict[Ref, StoredObject | None] = attrs.field(factory=dict)
    consumers: dict[str, Consumer | None] = attrs.field(factory=dict)
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
        with transaction(self._connection) as connection:
            connection.executemany(self._insert, change.rows)
            put_objects(connection, change.objects)
            put_consumers(connection, change.consumers)
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
                consumers=self._consumers(),
            )
        except (ValueError, TypeError) as error:
            raise Corrupt(str(error)) from error
        _check_types(contents)
        return contents

    def _consumers(self) -> tuple[Consumer, ...]:
        [version] = self._connection.execute("pragma user_version").fetchone()
        if version < SCHEMA:  # Of a former routerd, and out of reach for writing: it knew of none.
            return ()
        rows = self._connection.execute("select name, cursor, updated_at, state from consumers").fetchall()
        for *_, state in rows:
            orjson.loads(state)
        return tuple(Consumer(*row) for row in rows)

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
            with transaction(self._connection) as connection:
                connection.execute(_KEEP_CURSORS, upto)
                connection.execute("delete from events where id <= ?", upto)
                connection.execute("delete from gaps where last <= ?", upto)
            # One page for each step of the statement, and only `executescript` goes on to the last.
            self._connection.executescript("pragma incremental_vacuum")
        oldest: int | None = self._connection.execute("select min(id) from events").fetchone()[0]
        return Pruned(len(front), oldest or 1)

    def trim(self) -> None:
        """Give back the room that the write-ahead log takes, as far as there is room to write its pages where they
        belong; and let it have but an eighth of what is free."""
        with contextlib.suppress(sqlite3.OperationalError):  # The disk is full, or somebody reads: it stays for now.
            self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        disk = os.statvfs(self._path)
        [size] = self._connection.execute("pragma page_size").fetchone()
        pages = min(max(disk.f_bavail * disk.f_frsize // SHARE // size, FEWEST_PAGES), MOST_PAGES)
        for pragma in (f"wal_autocheckpoint = {pages}", f"journal_size_limit = {2 * pages * size}"):
            self._connection.execute(f"pragma {pragma}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _check_types(contents: Contents) -> None:
    """SQLite stores anything anywhere, and hands out what it takes from a broken page."""
    numbers = (
        contents.oldest,
        contents.newest,
        contents.newest_at,
        *contents.cursors.values(),
        *itertools.chain(*contents.gaps),
        *itertools.chain(*((consumer.cursor, consumer.updated_at) for consumer in contents.consumers)),
    )
    texts = (contents.epoch, *contents.cursors, *(consumer.name for consumer in contents.consumers))
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


def put_objects(connection: sqlite3.Connection, objects: Mapping[Ref, StoredObject | None]) -> None:
    """Inside a transaction: write what is there, delete what is None."""
    for ref, stored in objects.items():
        key = (ref.api_version, ref.kind, ref.name)
        if stored is None:
            connection.execute("delete from objects where api_version = ? and kind = ? and name = ?", key)
        else:
            row = (*key, orjson.dumps(stored.status).decode(), stored.version, stored.changed_at)
            connection.execute("insert or replace into objects values (?, ?, ?, ?, ?, ?)", row)


def put_consumers(connection: sqlite3.Connection, consumers: Mapping[str, Consumer | None]) -> None:
    """Inside a transaction: write what is there, delete what is None."""
    for name, consumer in consumers.items():
        if consumer is None:
            connection.execute("delete from consumers where name = ?", (name,))
        else:
            row = (name, consumer.cursor, consumer.updated_at, consumer.json)
            connection.execute("insert or replace into consumers values (?, ?, ?, ?)", row)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; synced when the block is left."""
    connection.execute("begin immediate")
    try:
        yield connection
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # The first error is the one that counts.
                connection.execute("rollback")
        raise
