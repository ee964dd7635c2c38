"""The daemon API (contract §2): what the socket of one managed daemon answers."""

from __future__ import annotations

from typing import Any

import orjson
from quart.wrappers import Response

from routerd.api.access import Role
from routerd.api.events import LIMIT, SEVERITY, TOPIC, reading
from routerd.api.operation import Call, Operation, absent, answer, count, duration, flag
from routerd.api.plane import CommandEnd, Daemon, UnknownCommand
from routerd.api.refusal import Refusal
from routerd.api.stream import by_source, resumed, stream, streamed
from routerd.api.wire import encode_compact
from routerd.api.wire_daemon import (
    CommandRequest,
    CommandResult,
    DaemonEvents,
    DaemonHealth,
    DaemonRef,
    DaemonStatus,
    ResourceStatus,
)
from routerd.api.wire_resources import ResourceRef
from routerd.events.render import daemon_event
from routerd.events.types import Filter, Page, Ref
from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.instant import Instant
from routerd.shapes.invalid import Problems, dotted


async def get_health(call: Call) -> Response:
    """`GET /v1/healthz`."""
    reason = _daemon(call).unhealthy_reason
    health = DaemonHealth("ok") if reason is None else DaemonHealth("failed", reason)
    return answer(encode_compact(health), 200 if reason is None else 503)


async def get_status(call: Call) -> Response:
    """`GET /v1/status`."""
    daemon = _daemon(call)
    source = daemon.source
    resource = _resource_status(call, daemon)
    status = DaemonStatus(
        daemon=DaemonRef(source.name, source.kind, source.instance or None),
        generation=call.plane.running.generation,
        phase=daemon.phase,
        health=daemon.health,
        since=Instant(daemon.since),
        conditions=resource.conditions or None,
        resources=[resource],
        observed=daemon.observed,
    )
    return answer(encode_compact(status))


def _resource_status(call: Call, daemon: Daemon) -> ResourceStatus:
    ref = _ref(daemon)
    stored = call.plane.log.objects.get(ref)
    status = stored.status if stored is not None else {}
    return ResourceStatus(
        resource=ResourceRef(ref.kind, ref.name, ref.api_version),
        phase=str(status.get("phase", "Pending")),
        health=daemon.health,
        since=Instant(stored.changed_at if stored is not None else daemon.since),
        conditions=status.get("conditions", ()),
        observed=daemon.observed,
    )


async def get_events(call: Call) -> Response:
    """`GET /v1/events`: by the daemon's own count of its events."""
    source = _daemon(call).source.name
    where = Filter(source=source, topics=call.query["topic"], severity=call.query["severity"])
    last = _count(resumed(call)) if streamed(call) else None
    since = call.query["since"] if last is None else last
    with reading():
        newest, end = await _newest(call, source)
        if call.query["tail"] and last is None:
            return await _tail(call, where, newest, end)
        if since > newest:
            raise _stale(await _oldest(call, source) - 1)
        position = end if since == newest else await call.plane.log.position(source, since) if since else 0
        lost = await _lost(call, source, since, position) if 0 < since < newest else 0
        if streamed(call):
            counting = by_source(source, since, where)
            return stream(call, counting, await call.plane.log.read(position, limit=1000, where=counting.where))
        page = await _read(call, where, position, wait=not lost)
        last = page.events[-1].source_cursor or 0 if page.events else newest
        return await _events(call, where, page, last, newest, lost)


def _count(text: str | None) -> int | None:
    """A cursor of ours in a Last-Event-ID. Raises Refusal (400)."""
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refusal(400, "query.cursor", f"{text[:80]!r} is not a cursor", field="Last-Event-ID")
    return None if text is None else int(text)


async def _newest(call: Call, source: str) -> tuple[int, int]:
    """The daemon's last cursor (0: it has said nothing), and an id of the log after which it said nothing more."""
    page = await call.plane.log.tail(1, Filter(source=source))
    return page.events[-1].source_cursor or 0 if page.events else 0, page.cursor


async def _oldest(call: Call, source: str) -> int:
    """The cursor of the first event that is left."""
    page = await call.plane.log.read(0, limit=1, where=Filter(source=source))
    return page.events[0].source_cursor or 1 if page.events else 1


async def _tail(call: Call, where: Filter, newest: int, end: int) -> Response:
    """The newest event, and where to go on."""
    if streamed(call):
        counting = by_source(where.source or "", newest, where)
        return stream(call, counting, await call.plane.log.read(end, limit=1000, where=counting.where))
    return await _events(call, where, await call.plane.log.tail(1, where), newest, newest, 0)


async def _read(call: Call, where: Filter, position: int, *, wait: bool) -> Page:
    """The events after an id of the log; if there are none, and we may, as soon as there are."""
    log, query = call.plane.log, call.query
    page = await log.read(position, limit=query["limit"], where=where)
    with call.server.waiting(query["wait"] if wait else 0):
        while not page.events:
            await log.wait(page.cursor)
            page = await log.read(page.cursor, limit=query["limit"], where=where)
    return page


async def _lost(call: Call, source: str, since: int, position: int) -> int:
    """How many of the daemon's events after `since` are gone. Raises Refusal (410) when they are older than all that is
    left."""
    page = await call.plane.log.read(position, limit=1, where=Filter(source=source))
    gap = (page.events[0].source_cursor or 0) - since - 1 if page.events else 0
    if gap > 0 and not position:
        raise _stale(since + gap)
    return gap


async def _events(call: Call, where: Filter, page: Page, cursor: int, newest: int, lost: int) -> Response:
    """`cursor`: where to go on; `newest`: the daemon's last one before the page was read."""
    oldest = await _oldest(call, where.source or "")
    wire = to_wire(DaemonEvents(str(cursor), (), lost, str(oldest), str(max(cursor, newest))))
    wire["events"] = [daemon_event(one) for one in page.events]
    return answer(encode_compact(wire), X_Routerd_Cursor=str(cursor))


def _stale(oldest: int) -> Refusal:
    words = "this cursor is not of this daemon, or what followed it has been removed"
    hint = f"read on from {oldest}: that is all there is"
    headers = {"X-Routerd-Cursor": str(oldest)}
    return Refusal(410, "stale-cursor", words, field="since", hint=hint, oldest=str(oldest), headers=headers)


async def post_command(call: Call) -> Response:
    """`POST /v1/commands/{command}`: answered by its end (contract rule 7)."""
    daemon, name = _daemon(call), call.path["command"]
    attributes = await _attributes(call, daemon, name)
    end = await _run(call, daemon, name, attributes)
    call.act.led_to, call.act.outcome = (end.event_id,), _outcome(end)
    if not end.accepted:
        raise Refusal(409, "refused", end.message, hint=end.hint or None)
    return answer(encode_compact(_result(name, end)))


async def _run(call: Call, daemon: Daemon, name: str, attributes: dict[str, str]) -> CommandEnd:
    wait: float = call.query["wait"]
    end: CommandEnd | None = None
    with call.server.waiting(wait + 5):
        try:
            end = await daemon.command(name, attributes, wait, call.client.actor, call.act.began)
        except UnknownCommand as unknown:
            words = f"{daemon.resource_kind} does not have the command {name[:60]}"
            hint = f"it has {', '.join(unknown.known)}" if unknown.known else None
            raise Refusal(501, "unknown-command", words, field="command", hint=hint) from None
    if end is None:
        raise Refusal(503, "stopping", "routerd is stopping", hint="the command may have been carried out")
    return end


def _outcome(end: CommandEnd) -> str:
    return "pending" if end.pending else "succeeded" if end.succeeded else "failed"


def _result(name: str, end: CommandEnd) -> CommandResult:
    attributes = {"eventId": str(end.event_id)}
    if end.pending:
        attributes["pending"] = "true"
    if end.succeeded is not None:
        attributes["succeeded"] = "true" if end.succeeded else "false"
    return CommandResult(
        command=name, accepted=True, pending=end.pending or None, message=end.message or None, attributes=attributes
    )


async def _attributes(call: Call, daemon: Daemon, name: str) -> dict[str, str]:
    """The attributes in the body, which may be empty, and must not contradict the path."""
    body = await call.request.get_data()
    if not body.strip():
        return {}
    try:
        request = from_wire(CommandRequest, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "body.json", f"the body is not JSON: {error}") from None
    except Problems as problems:
        first = problems.problems[0]
        raise Refusal(
            400, first.code, str(problems), field=dotted(first.path) or None, hint=first.hint or None
        ) from None
    if request.command not in (None, name):
        raise Refusal(400, "body.command", f"the path says {name}, the body {request.command}", field="command")
    if request.resource is not None and (request.resource.kind, request.resource.name) != (
        daemon.resource_kind,
        daemon.source.instance,
    ):
        raise Refusal(400, "body.resource", f"this is the socket of {_ref(daemon)}", field="resource")
    return dict(request.attributes or {})


def _daemon(call: Call) -> Daemon:
    daemon = call.doorway.daemon
    assert daemon is not None  # its operations have no other door
    return daemon


def _ref(daemon: Daemon) -> Ref:
    return Ref(daemon.resource_kind, daemon.source.instance, daemon.api_version)


def _own(method: Any, path: str, summary: str, role: Role, handler: Any, answer: type, **more: Any) -> Operation:
    return Operation(method, path, summary, role, handler, answer, doors=("daemon",), **more)


_EVENTS = (
    count("since", "The daemon's cursor to read on from; 0 is the oldest event there is.", 0),
    duration("wait", "Answer only when there is something to tell, or after this.", "0s", "30s"),
    TOPIC,
    SEVERITY,
    flag("tail", "Instead: the newest event, and its cursor."),
    count("limit", LIMIT, 1000, least=1, most=1000),
)
_WAIT = (duration("wait", "How long to wait for the end of the command.", "10s", "60s"),)

OPERATIONS = (
    _own("GET", "/v1/healthz", "Can the daemon do its work?", Role.OBSERVER, get_health, DaemonHealth),
    _own("GET", "/v1/status", "The daemon and its resource.", Role.OBSERVER, get_status, DaemonStatus),
    _own(
        "GET",
        "/v1/events",
        "The daemon's events by its own cursor: a page, or a long poll.",
        Role.OBSERVER,
        get_events,
        DaemonEvents,
        params=_EVENTS,
        errors=(410, 503),
        streams=True,
    ),
    _own(
        "POST",
        "/v1/commands/{command}",
        "Have the daemon do something: reload, renew, rebind, release, info-request, flush, start, stop.",
        Role.OPERATOR,
        post_command,
        CommandResult,
        params=_WAIT,
        body=CommandRequest,
        errors=(409, 501, 503),
        urgent=True,
    ),
    absent("POST", "/v1/config/update", "a configuration of a daemon's own", Role.OPERATOR, doors=("daemon",)),
)
