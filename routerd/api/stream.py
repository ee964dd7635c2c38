"""Events as a stream (server-sent events): each row's `id` is the cursor after it, `data` is the row. A reader that
does not take them is cut off by the connection's limits, and comes back with the last `id` that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
import orjson
from quart.wrappers import Response
from quart.wrappers.response import ResponseBody

from routerd.api.operation import Call
from routerd.api.server import Server
from routerd.events.log import Log
from routerd.events.render import daemon_event, stored_event
from routerd.events.rows import predicate
from routerd.events.types import Filter, Page, StoredEvent

HEARTBEAT = 15.0
"""Seconds between comments on a silent stream: a client that has gone is noticed by writing to it."""
STREAMED = "text/event-stream"


def streamed(call: Call) -> bool:
    """Whether the client asks for a stream."""
    return STREAMED in call.request.headers.get("Accept", "") and call.request.method == "GET"


def resumed(call: Call) -> str | None:
    """The `id` that the client had last, when it comes back."""
    return call.request.headers.get("Last-Event-ID") or None


class Counting(Protocol):
    """How a reader counts events: what it is told of a page. `where` is what it reads."""

    where: Filter

    def rows(self, page: Page) -> Sequence[tuple[str, dict[str, Any]]]:
        """Of each event its cursor and what is told of it."""

    def here(self, page: Page) -> str:
        """The cursor after the page."""

    def lost(self, page: Page) -> dict[str, Any] | None:
        """What the reader must know it will not get; asked before `rows`."""


@attrs.define(eq=False)
class ByLog:
    """By the ids of the log."""

    log: Log
    where: Filter

    def rows(self, page: Page) -> Sequence[tuple[str, dict[str, Any]]]:
        """See Counting."""
        return [(self.log.format_cursor(stored.id), stored_event(stored)) for stored in page.events]

    def here(self, page: Page) -> str:
        """See Counting."""
        return self.log.format_cursor(page.cursor)

    def lost(self, page: Page) -> dict[str, Any] | None:
        """See Counting."""
        return {"oldest": page.oldest, "newest": page.newest, "lost": page.lost} if page.lost else None


@attrs.define(eq=False)
class BySource:
    """By the numbers of one source, of which every event is read and those that are `wanted` are told."""

    source: str
    at: int
    """The number that the reader had last."""
    wanted: Callable[[StoredEvent], bool]
    where: Filter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.where = Filter(source=self.source)

    def rows(self, page: Page) -> Sequence[tuple[str, dict[str, Any]]]:
        """See Counting."""
        if page.events:
            self.at = page.events[-1].source_cursor or self.at
        return [(str(stored.source_cursor), daemon_event(stored)) for stored in page.events if self.wanted(stored)]

    def here(self, page: Page) -> str:
        """See Counting."""
        return str(self.at)

    def lost(self, page: Page) -> dict[str, Any] | None:
        """See Counting."""
        first = page.events[0].source_cursor if page.events else None
        gap = first - self.at - 1 if first is not None else 0
        return {"lost": gap} if gap > 0 and self.at else None


def by_source(source: str, at: int, where: Filter) -> BySource:
    """What `where` takes in of a source's events, after its number `at` (0: from the first that is left)."""
    return BySource(source, at, predicate(where))


def stream(call: Call, counting: Counting, page: Page) -> Response:
    """The answer that begins with this page: its errors are still answers."""
    body = EventStream(call.plane.log, call.server, counting, call.query["limit"], page)
    response = Response(body, content_type=STREAMED)
    response.headers["Cache-Control"] = "no-store"
    return response


@attrs.define(eq=False)
class EventStream(ResponseBody):
    """See the module."""

    log: Log
    server: Server
    counting: Counting
    limit: int
    page: Page
    _begun: bool = attrs.field(init=False, default=False)

    async def __aenter__(self) -> EventStream:
        self.server.streams += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.streams -= 1

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return b"retry: 1000\n\n" + self._chunk()
        news = False
        with self.server.waiting(HEARTBEAT):
            news = await self._news()
            if not news:
                raise StopAsyncIteration
        if self.server.stopping:
            raise StopAsyncIteration
        return (self._chunk() if news else b"") or self._id(self.counting.here(self.page)) + b": nothing new\n\n"

    async def _news(self) -> bool:
        """Wait until there is something to tell. False when there cannot be: the client is to come back with its
        cursor, and be told why."""
        epoch = self.page.epoch
        while True:
            await self.log.wait(self.page.cursor)
            try:
                page = await self.log.read(self.page.cursor, limit=self.limit, where=self.counting.where)
            except OSError:
                return False
            if page.epoch != epoch:
                return False
            self.page = page
            if page.events or page.lost:
                return True

    def _chunk(self) -> bytes:
        """What there is to tell of the page."""
        lost = self.counting.lost(self.page)
        parts = [] if lost is None else [b"event: lost\ndata: " + orjson.dumps(lost) + b"\n\n"]
        parts += [
            self._id(cursor) + b"data: " + orjson.dumps(row) + b"\n\n" for cursor, row in self.counting.rows(self.page)
        ]
        return b"".join(parts)

    def _id(self, cursor: str) -> bytes:
        return f"id: {cursor}\n".encode("ascii")
