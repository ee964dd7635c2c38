"""Events by cursor: one page, a page that waits for something to happen (long poll), or a stream (SSE).

Rows ascend after a cursor, or the reader is told what it cannot have (contract rule 4): nothing is skipped for whoever
is slow, and nobody is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import orjson
from quart.wrappers import Response
from quart.wrappers.response import ResponseBody

from routerd.api.operation import Call, Param, answer, choice, count, duration, text
from routerd.api.refusal import Refusal
from routerd.api.server import Server
from routerd.api.wire import EventsAnswer, encode
from routerd.events.log import Log, StaleCursor
from routerd.events.render import stored_event
from routerd.events.types import SEVERITIES, Filter, Page
from routerd.resources.kinds import kind_named
from routerd.shapes.convert import to_wire
from routerd.shapes.invalid import Invalid

HEARTBEAT = 15.0
"""Seconds between comments on a silent stream: a client that has gone is noticed by writing to it."""
STREAMED = "text/event-stream"


def _reference(text: str) -> tuple[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise Invalid("schema.reference", "resource must be Kind/name", hint="for example DHCPv4Client/wan")
    return kind_named(kind) or kind, name


RESOURCE = Param("resource", "Only events of this resource, `Kind/name`.", _reference, {"type": "string"})
TOPIC = text("topic", "Only events of this topic, a glob: `*` is one segment, `**` any number. Repeatable.", many=True)
PARAMS = (
    text("since", "The cursor to read on from; without it, from the oldest event there is."),
    count("tail", "Instead: the newest so many, and the cursor after them.", most=1000),
    duration("wait", "Answer only when there is something to tell, or after this.", "0s", "60s"),
    TOPIC,
    RESOURCE,
    choice("severity", "Only events at least this severe.", SEVERITIES, "debug"),
    count("limit", "Events in one answer.", 100, least=1, most=1000),
)


async def serve_events(call: Call) -> Response:
    """`GET /events`."""
    where = filter_of(call)
    if STREAMED in call.request.headers.get("Accept", "") and call.request.method == "GET":
        return await _stream(call, where)
    log, epoch = call.plane.log, call.plane.log.epoch
    page = await _page(call, where, call.query["since"])
    if call.query["tail"] is None and call.query["wait"] and not page.events:
        page = await _awaited(call, where, page)
    if not epoch == page.epoch == log.epoch:
        raise stale(log, log.oldest - 1)
    cursor = log.format_cursor(page.cursor)
    wire = to_wire(EventsAnswer(epoch=page.epoch, events=(), cursor=cursor, **_horizon(page)))
    wire["events"] = [stored_event(one) for one in page.events]
    return answer(encode(wire), X_Routerd_Cursor=cursor)


def filter_of(call: Call) -> Filter:
    """Which events the parameters topic, resource, severity ask for."""
    kind, name = call.query["resource"] or (None, None)
    return Filter(topics=call.query["topic"], kind=kind, name=name, severity=call.query["severity"])


@contextmanager
def reading() -> Iterator[None]:
    """The log's ways to fail as answers."""
    try:
        yield
    except OSError as error:
        hint = "events that are still in memory can be had: ask for newer ones"
        raise Refusal(503, "log.unreadable", f"the event log cannot be read now: {error}", hint=hint) from error


def position(log: Log, cursor: str, field: str) -> int:
    """Where a cursor that was given as this parameter stands. Raises Refusal."""
    try:
        return log.parse_cursor(cursor)
    except StaleCursor as error:
        raise stale(log, error.oldest, field) from None
    except ValueError as error:
        raise Refusal(400, "query.cursor", str(error), field=field, hint="use the cursor of an answer") from None


def stale(log: Log, oldest: int, field: str = "since") -> Refusal:
    """410: what the cursor asks for is gone."""
    cursor = log.format_cursor(oldest)
    words = "this cursor is not of this event log, or what followed it has been removed"
    hint = f"read on from {cursor}: that is all there is"
    return Refusal(
        410, "stale-cursor", words, field=field, hint=hint, oldest=cursor, headers={"X-Routerd-Cursor": cursor}
    )


async def _page(call: Call, where: Filter, since: str | None) -> Page:
    log, query = call.plane.log, call.query
    if since is not None and query["tail"] is not None:
        raise Refusal(400, "query.conflict", "since and tail exclude each other", field="tail")
    with reading():
        if query["tail"] is not None:
            return await log.tail(query["tail"], where)
        after = position(log, since, "since") if since is not None else 0
        return await log.read(after, limit=query["limit"], where=where)


async def _awaited(call: Call, where: Filter, page: Page) -> Page:
    """The first page with something in it; an empty one when nothing happens in time."""
    log = call.plane.log
    with call.server.waiting(call.query["wait"]), reading():
        while not (page.events or page.lost) and page.epoch == log.epoch:
            await log.wait(page.cursor)
            page = await log.read(page.cursor, limit=call.query["limit"], where=where)
    return page


def _horizon(page: Page) -> dict[str, Any]:
    return {"oldest": page.oldest, "newest": page.newest, "lost": page.lost}


async def _stream(call: Call, where: Filter) -> Response:
    resumed = call.request.headers.get("Last-Event-ID") or None
    if resumed is not None:
        call = attrs.evolve(call, query={**call.query, "tail": None})
    page = await _page(call, where, resumed or call.query["since"])
    stream = EventStream(call.plane.log, call.server, where, call.query["limit"], page)
    response = Response(stream, content_type=STREAMED)
    response.headers["Cache-Control"] = "no-store"
    return response


@attrs.define(eq=False)
class EventStream(ResponseBody):
    """Server-sent events: each row's `id` is the cursor after it, `data` is the row. A reader that does not take them
    is cut off by the connection's limits, and comes back with the last `id` that it has."""

    log: Log
    server: Server
    where: Filter
    limit: int
    page: Page
    """The first, read before the stream began: its errors are still answers."""
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
            return b"retry: 1000\n\n" + self._chunk(self.page)
        news = False
        with self.server.waiting(HEARTBEAT):
            news = await self._news()
            if not news:
                raise StopAsyncIteration
        if self.server.stopping:
            raise StopAsyncIteration
        return self._chunk(self.page) if news else self._id(self.page.cursor) + b": nothing new\n\n"

    async def _news(self) -> bool:
        """Wait until there is something to tell. False when there cannot be: the client is to come back with its
        cursor, and be told why."""
        epoch = self.page.epoch
        while True:
            await self.log.wait(self.page.cursor)
            try:
                page = await self.log.read(self.page.cursor, limit=self.limit, where=self.where)
            except OSError:
                return False
            if page.epoch != epoch:
                return False
            self.page = page
            if page.events or page.lost:
                return True

    def _chunk(self, page: Page) -> bytes:
        parts = []
        if page.lost:
            parts.append(b"event: lost\ndata: " + orjson.dumps(_horizon(page)) + b"\n\n")
        for stored in page.events:
            parts.append(self._id(stored.id) + b"data: " + orjson.dumps(stored_event(stored)) + b"\n\n")
        return b"".join(parts)

    def _id(self, number: int) -> bytes:
        return f"id: {self.log.format_cursor(number)}\n".encode("ascii")
