"""Reading the events that memory no longer holds: a connection of its own, used by one thread at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs
import orjson

from routerd.events.faults import Corrupt
from routerd.events.rows import COLUMNS, condition, from_row, topic_wanted
from routerd.events.types import Filter, StoredEvent


@attrs.frozen
class Stretch:
    """What was found between two ids, and the oldest event of the log at that moment (None: the log is empty)."""

    events: list[StoredEvent]
    oldest: int | None


class History:
    """Blocking: call it in a thread. Raises WORLD (`routerd.events.faults`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file = 0

    def ascending(self, after: int, upto: int, where: Filter, limit: int) -> Stretch:
        """The first `limit` matching events with `after` < id <= `upto`."""
        return self._select(after, upto, where, limit, "asc")

    def descending(self, after: int, upto: int, where: Filter, limit: int) -> Stretch:
        """The last `limit` matching events with `after` < id <= `upto`, newest first."""
        return self._select(after, upto, where, limit, "desc")

    def of_ids(self, ids: Collection[int]) -> list[StoredEvent]:
        """Those of these events that are left."""
        found = self._open().execute(
            f"select {COLUMNS} from events where id in (select value from json_each(?))",
            (orjson.dumps(list(ids)).decode(),),
        )
        try:
            return [from_row(row) for row in found]
        except (ValueError, IndexError, TypeError) as error:
            raise Corrupt(f"an event that is none: {error}") from error

    def position(self, source: str, source_cursor: int) -> int:
        """The id of the last event that `source` said at or before `source_cursor`; 0: none is left."""
        row = self._open().execute(
            "select id from events where source = ? and source_cursor <= ? order by source_cursor desc limit 1",
            (source, source_cursor),
        )
        return next((number for (number,) in row), 0)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _select(self, after: int, upto: int, where: Filter, limit: int, order: str) -> Stretch:
        connection = self._open()
        clause, parameters = condition(where)
        if where.topics:
            connection.create_function("wanted", 1, lambda topic: topic_wanted(where, topic), deterministic=True)
        query = f"select {COLUMNS} from events where id > ? and id <= ? and {clause} order by id {order} limit ?"
        connection.execute("begin")  # One snapshot: what is lost is counted against the same rows that are read.
        try:
            oldest: Any = connection.execute("select min(id) from events").fetchone()[0]
            rows = connection.execute(query, (after, upto, *parameters, limit)).fetchall()
        finally:
            connection.execute("rollback")
        try:
            return Stretch([from_row(row) for row in rows], oldest)
        except (ValueError, IndexError, TypeError) as error:
            raise Corrupt(f"an event that is none: {error}") from error

    def _open(self) -> sqlite3.Connection:
        """The connection, to the file that is at `path` now: a broken one is set aside under our feet."""
        file = self._path.stat().st_ino
        if self._connection is not None and file != self._file:
            self.close()
        if self._connection is None:
            self._file = file
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("pragma query_only = true")
        return self._connection
