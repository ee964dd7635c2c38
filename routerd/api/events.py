"""Events by cursor: one page, a page that waits for something to happen (long poll), or a stream (SSE).

Rows ascend after a cursor, or the reader is told what it cannot have (contract rule 4): nothing is skipped for whoever
is slow, and nobody is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from quart.wrappers import Response

from routerd.api.access import Role
from routerd.api.operation import Call, Param, answer, choice, count, duration, text
from routerd.api.refusal import Refusal
from routerd.api.stream import ByLog, resumed, stream, streamed
from routerd.api.wire import encode
from routerd.api.wire_resources import EventsAnswer
from routerd.events.log import Log, StaleCursor
from routerd.events.render import stored_event
from routerd.events.types import SEVERITIES, Filter, Page
from routerd.resources.kinds import kind_named
from routerd.shapes.convert import to_wire
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import Matching

CONSUMER_NAME = Matching(
    r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", 63, "a name", "lower-case letters, digits, and between them - and ."
)
OURS = "api/"
"""What the names of clients' durable consumers begin with in the log; those of routerd's own parts begin otherwise."""


def _reference(text: str) -> tuple[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise Invalid("schema.reference", "resource must be Kind/name", hint="for example DHCPv4Client/wan")
    return kind_named(kind) or kind, name


def _consumer(text: str) -> str:
    CONSUMER_NAME(None, None, text)
    return text


LIMIT = "Events in one answer; of a stream, which has no end, events that are read at once."
RESOURCE = Param("resource", "Only events of this resource, `Kind/name`.", _reference, {"type": "string"})
TOPIC = text("topic", "Only events of this topic, a glob: `*` is one segment, `**` any number. Repeatable.", many=True)
SEVERITY = choice("severity", "Only events at least this severe.", SEVERITIES, "debug")
CONSUMER = Param(
    "consumer",
    "Instead: read on from where this durable consumer stands (POST /events/ack); a new one begins with the oldest.",
    _consumer,
    {"type": "string", **CONSUMER_NAME.schema()},
    role=Role.OPERATOR,
)
PARAMS = (
    text("since", "The cursor to read on from; without it, from the oldest event there is."),
    count("tail", "Instead: the newest so many, and the cursor after them.", most=1000),
    duration("wait", "Answer only when there is something to tell, or after this.", "0s", "60s"),
    TOPIC,
    RESOURCE,
    SEVERITY,
    count("limit", LIMIT, 100, least=1, most=1000),
    CONSUMER,
)


async def serve_events(call: Call) -> Response:
    """`GET /events`."""
    where = filter_of(call)
    if streamed(call):
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


def standing(log: Log, name: str) -> int:
    """Up to which event a client's durable consumer has acknowledged all; 0: it never has."""
    consumer = log.consumers.get(OURS + name)
    return consumer.cursor if consumer is not None else 0


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
    given = [name for name in ("since", "tail", "consumer") if query[name] is not None]
    if len(given) > 1:
        raise Refusal(400, "query.conflict", f"{' and '.join(given)} exclude each other", field=given[-1])
    with reading():
        if query["consumer"] is not None:
            return await log.read(standing(log, query["consumer"]), limit=query["limit"], where=where)
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
    last = resumed(call)
    if last is not None:
        call = attrs.evolve(call, query={**call.query, "tail": None, "consumer": None})
    page = await _page(call, where, last or call.query["since"])
    return stream(call, ByLog(call.plane.log, where), page)
