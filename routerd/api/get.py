"""`get` and `describe`: one way to ask for resources, events, status and the rest, by what an operator calls them."""

from __future__ import annotations

from typing import Any

import attrs
import trio
from quart.wrappers import Response

from routerd.api import events
from routerd.api.generations import ledger
from routerd.api.operation import Call, answer, count, text
from routerd.api.prefixes import prefixes
from routerd.api.refusal import Refusal
from routerd.api.resources import matching, meant, one_matching, view
from routerd.api.runtime import runtime_stats
from routerd.api.status import controller_statuses, router_status
from routerd.api.wire import Metadata, encode
from routerd.api.wire_resources import DescribeResult, GetResult
from routerd.api.wire_status import ControllersAnswer, StatusAnswer
from routerd.events.render import stored_event
from routerd.events.types import Filter
from routerd.resources.kinds import KINDS, kind_named
from routerd.shapes.convert import to_wire
from routerd.shapes.invalid import did_you_mean

_WORDS = {
    "resources": "resources all",
    "status": "status",
    "controllers": "controllers",
    "runtime": "runtime rt",
    "events": "events event",
    "prefixes": "prefixes prefix",
    "ledger": "ledger generation generations",
}
SUBJECTS = {word: subject for subject, words in _WORDS.items() for word in words.split()} | {"": "resources"}
"""What people call a subject, and the subject."""

_EVENTS_LIMIT = count("events-limit", "Events with each resource.", 10, most=1000)
GET_PARAMS = (
    text("subject", f"{', '.join(_WORDS)}, a kind, or Kind/name."),
    count("limit", "Items in the answer.", 100),
    _EVENTS_LIMIT,
    count("since-id", "Of events: only those after this id, the oldest first.", 0),
    text("topic", "Of events: only those of this topic, a glob."),
    events.RESOURCE,
    text("kind", "Only this kind."),
    text("name", "Only this name."),
)
DESCRIBE_PARAMS = (text("target", "The resource, `Kind/name`.", required=True), _EVENTS_LIMIT)


async def get(call: Call) -> Response:
    """`GET /get`."""
    asked = call.query["subject"] or ""
    result = GetResult(metadata=Metadata(asked or "resources"))
    match SUBJECTS.get(asked.lower()):
        case "resources":
            return await _get_resources(call, result, "")
        case "status":
            status = StatusAnswer(status=router_status(call.plane))
            result = attrs.evolve(result, status=status.status, raw=to_wire(status))
        case "controllers":
            controllers = ControllersAnswer(items=controller_statuses(call.plane))
            result = attrs.evolve(result, raw=to_wire(controllers))
        case "runtime":
            stats = await trio.to_thread.run_sync(runtime_stats, call.plane.runtime())
            result = attrs.evolve(result, raw=to_wire(stats))
        case "events":
            wire = to_wire(attrs.evolve(result, events=()))
            wire["events"] = await _latest_events(call)
            return answer(encode(wire))
        case "prefixes":
            result = attrs.evolve(result, raw=to_wire(prefixes(call.plane.log.objects.all())))
        case "ledger":
            result = attrs.evolve(result, ledger=await ledger(call))
        case None:
            return await _get_resources(call, result, asked)
    return answer(encode(result))


async def _get_resources(call: Call, result: GetResult, subject: str) -> Response:
    kind, _, name = subject.partition("/")
    found = list(matching(call, kind or call.query["kind"], name or call.query["name"]))
    if subject and (kind_named(kind) is None or (name and not found)):
        near = meant(call, kind, name) if name else did_you_mean(kind, (*_WORDS, *KINDS))
        hint = near or f"there are {', '.join((*_WORDS, *KINDS))}, and Kind/name"
        raise Refusal(400, "query.subject", f"bad request: {subject[:60]} not found", field="subject", hint=hint)
    with events.reading():
        items = [await view(call, ref, call.query["events-limit"]) for ref in found[: call.query["limit"]]]
    return answer(encode(attrs.evolve(result, items=items)))


async def _latest_events(call: Call) -> list[dict[str, Any]]:
    """Newest first; after an id, oldest first, so that a poller that lags loses nothing."""
    query, log = call.query, call.plane.log
    kind, name = query["resource"] or (query["kind"], query["name"])
    kind = kind_named(kind) or kind if kind else None
    where = Filter(topics=(query["topic"],) if query["topic"] else (), kind=kind, name=name)
    limit = min(query["limit"] or 50, 1000)
    with events.reading():
        if query["since-id"]:
            page = await log.read(events.position(log, str(query["since-id"]), "since-id"), limit=limit, where=where)
            return [stored_event(one) for one in page.events]
        page = await log.tail(limit, where)
        return [stored_event(one) for one in reversed(page.events)]


async def get_describe(call: Call) -> Response:
    """`GET /describe`. The id of the event that last changed the resource is its ETag."""
    with events.reading():
        resource = await view(call, one_matching(call, call.query["target"]), call.query["events-limit"])
    body = encode(DescribeResult(metadata=Metadata(call.query["target"]), resource=resource))
    return answer(body) if resource.resource_version is None else answer(body, ETag=f'"{resource.resource_version}"')
