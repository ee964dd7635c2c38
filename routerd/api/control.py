"""The control API (contract §1): what the main and the status socket answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import trio
from quart.wrappers import Response

from routerd.api import events
from routerd.api.access import Role
from routerd.api.operation import Call, Handler, Operation, Param, answer, count, flag, text
from routerd.api.plane import Check
from routerd.api.refusal import Refusal
from routerd.api.resources import matching, one_matching, view
from routerd.api.runtime import runtime_stats
from routerd.api.status import controller_statuses, router_status
from routerd.api.wire import (
    Checked,
    CheckResult,
    ControllersAnswer,
    DescribeResult,
    EventsAnswer,
    GetResult,
    Metadata,
    RuntimeStats,
    StatusAnswer,
    encode,
)
from routerd.events.render import stored_event
from routerd.events.types import Filter
from routerd.resources.kinds import kind_named
from routerd.shapes.convert import to_wire
from routerd.shapes.invalid import did_you_mean

PREFIX = "/api/control.routerd.net/v1alpha1"

SUBJECTS = {
    "": "resources",
    "resources": "resources",
    "all": "resources",
    "status": "status",
    "controllers": "controllers",
    "runtime": "runtime",
    "rt": "runtime",
    "events": "events",
    "event": "events",
    "ledger": "ledger",
    "generation": "ledger",
    "generations": "ledger",
}
_NAMES = tuple(dict.fromkeys(SUBJECTS.values()))


async def get_status(call: Call) -> Response:
    """`GET /status`."""
    return answer(call.doorway.status.body())


async def get_controllers(call: Call) -> Response:
    """`GET /controllers`."""
    return answer(encode(ControllersAnswer(items=controller_statuses(call.plane))))


async def get_runtime(call: Call) -> Response:
    """`GET /runtime`."""
    return answer(encode(await _runtime(call)))


async def _runtime(call: Call) -> RuntimeStats:
    return await trio.to_thread.run_sync(runtime_stats, call.plane.runtime())


async def get_get(call: Call) -> Response:
    """`GET /get`: one way to ask for everything."""
    asked = call.query["subject"] or ""
    subject = SUBJECTS.get(asked.lower())
    result = GetResult(metadata=Metadata(asked or "resources"))
    if subject == "ledger":
        raise _not_here("the generations' ledger")
    if subject == "events":
        wire = to_wire(attrs.evolve(result, events=()))
        wire["events"] = await _latest_events(call)
        return answer(encode(wire))
    if subject == "status":
        status = StatusAnswer(status=router_status(call.plane))
        return answer(encode(attrs.evolve(result, status=status.status, raw=to_wire(status))))
    if subject == "controllers":
        return answer(
            encode(attrs.evolve(result, raw=to_wire(ControllersAnswer(items=controller_statuses(call.plane)))))
        )
    if subject == "runtime":
        return answer(encode(attrs.evolve(result, raw=to_wire(await _runtime(call)))))
    return await _get_resources(call, result, asked if subject is None else "")


async def _get_resources(call: Call, result: GetResult, subject: str) -> Response:
    kind, _, name = subject.partition("/")
    if subject and kind_named(kind) is None:
        hint = did_you_mean(kind, filter(None, SUBJECTS)) or "a kind, Kind/name, or " + ", ".join(
            dict.fromkeys(SUBJECTS.values())
        )
        raise Refusal(400, "query.subject", f"bad request: {subject[:60]} not found", field="subject", hint=hint)
    found = list(matching(call, kind or call.query["kind"], name or call.query["name"]))
    if name and not found:
        raise Refusal(400, "query.subject", f"bad request: {subject[:60]} not found", field="subject")
    with events.reading():
        items = [await view(call, ref, call.query["events-limit"]) for ref in found[: call.query["limit"]]]
    return answer(encode(attrs.evolve(result, items=items)))


async def _latest_events(call: Call) -> list[dict[str, object]]:
    """Newest first; after an id, oldest first, so that a poller that lags loses nothing."""
    query, log = call.query, call.plane.log
    kind, name = query["resource"] or (query["kind"], query["name"])
    kind = kind_named(kind) or kind if kind else None
    where = Filter(topics=(query["topic"],) if query["topic"] else (), kind=kind, name=name)
    limit = min(query["limit"] or 50, 1000)
    with events.reading():
        if query["since-id"]:
            page = await log.read(query["since-id"], limit=limit, where=where)
            return [stored_event(one) for one in page.events]
        page = await log.tail(limit, where)
        return [stored_event(one) for one in reversed(page.events)]


async def get_describe(call: Call) -> Response:
    """`GET /describe`. The id of the event that last changed the resource is its ETag."""
    with events.reading():
        resource = await view(call, one_matching(call, call.query["target"]), call.query["events-limit"])
    body = encode(DescribeResult(metadata=Metadata(call.query["target"]), resource=resource))
    return answer(body) if resource.resource_version is None else answer(body, ETag=f'"{resource.resource_version}"')


async def get_livez(call: Call) -> Response:
    """`GET /livez`: is this process worth keeping."""
    return _checked(call.plane.live(), call.query["verbose"])


async def get_readyz(call: Call) -> Response:
    """`GET /readyz`: is the router doing its job."""
    return _checked(call.plane.ready(), call.query["verbose"])


def _checked(checks: Sequence[Check], verbose: bool) -> Response:
    failed = [check for check in checks if not check.ok]
    shown = [CheckResult.of(check) for check in (checks if verbose else failed)]
    status: Literal["ok", "failed"] = "failed" if failed else "ok"
    return answer(encode(Checked(status, shown or None)), 503 if failed else 200)


def _not_here(what: str) -> Refusal:
    return Refusal(
        501, "not-implemented", f"this version of routerd does not have {what}", hint="see the release notes"
    )


def _absent(method: Literal["GET", "POST"], path: str, what: str, role: Role) -> Operation:
    """An operation of the API that this version answers with 501, whatever its parameters."""

    async def refuse(_: Call) -> Response:
        raise _not_here(what)

    return Operation(method, path, f"Not in this version: {what}.", role, refuse)


def _read(
    path: str, summary: str, handler: Handler, answer: type, *params: Param, errors: tuple[int, ...] = ()
) -> Operation:
    return Operation("GET", path, summary, Role.OBSERVER, handler, answer, params, errors=errors)


_EVENTS_LIMIT = count("events-limit", "Events with each resource.", 10, most=1000)
_GET = (
    text("subject", "resources, status, controllers, runtime, events, a kind, or Kind/name."),
    count("limit", "Items in the answer.", 100),
    _EVENTS_LIMIT,
    count("since-id", "Of events: only those after this id, the oldest first.", 0),
    text("topic", "Of events: only those of this topic, a glob."),
    events.RESOURCE,
    text("kind", "Only this kind."),
    text("name", "Only this name."),
)
_TARGET = text("target", "The resource, `Kind/name`.", required=True)
_VERBOSE = flag("verbose", "Tell the checks that passed, too.")

OPERATIONS = (
    _read(f"{PREFIX}/status", "The router in one word, and what is wrong.", get_status, StatusAnswer),
    _read(f"{PREFIX}/controllers", "What the controllers measured of themselves.", get_controllers, ControllersAnswer),
    _read(f"{PREFIX}/runtime", "What the process costs.", get_runtime, RuntimeStats),
    _read(f"{PREFIX}/get", "Resources, events and the rest by subject.", get_get, GetResult, *_GET, errors=(501, 503)),
    _read(
        f"{PREFIX}/describe",
        "One resource: wanted, observed, and what happened.",
        get_describe,
        DescribeResult,
        _TARGET,
        _EVENTS_LIMIT,
        errors=(503,),
    ),
    Operation(
        "GET",
        f"{PREFIX}/events",
        "Events by cursor: a page, a long poll, or a stream.",
        Role.OBSERVER,
        events.serve_events,
        EventsAnswer,
        events.PARAMS,
        errors=(410, 503),
        streams=True,
    ),
    _read("/livez", "Is this process worth keeping?", get_livez, Checked, _VERBOSE),
    _read("/readyz", "Is the router doing its job?", get_readyz, Checked, _VERBOSE),
    _absent("GET", "/metrics", "metrics", Role.OBSERVER),
    _absent("GET", f"{PREFIX}/why", "the explanation of causes", Role.OBSERVER),
    _absent("GET", f"{PREFIX}/generations", "the history of configurations", Role.OBSERVER),
    _absent("GET", f"{PREFIX}/generations/{{number}}", "the history of configurations", Role.OBSERVER),
    _absent("GET", f"{PREFIX}/connections", "the table of connections", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/dns-queries", "the log of DNS queries", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/dns-queries/aggregate", "the log of DNS queries", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/traffic-flows", "the log of traffic flows", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/traffic-flows/aggregate", "the log of traffic flows", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/firewall-logs", "the log of the firewall", Role.OPERATOR),
    _absent("GET", f"{PREFIX}/probe", "probes", Role.OPERATOR),
    _absent("POST", f"{PREFIX}/plan", "plan", Role.OPERATOR),
    _absent("POST", f"{PREFIX}/validate", "validate by the API (`routerd validate` does it)", Role.OPERATOR),
    _absent("POST", f"{PREFIX}/apply", "apply (edit the file, and reload)", Role.ADMIN),
    _absent("POST", f"{PREFIX}/delete", "delete (edit the file, and reload)", Role.ADMIN),
    _absent("POST", f"{PREFIX}/confirm", "confirm", Role.ADMIN),
    _absent("POST", f"{PREFIX}/rollback", "rollback", Role.ADMIN),
    _absent("POST", f"{PREFIX}/log-level", "a log level that can be changed", Role.ADMIN),
    _absent("POST", f"{PREFIX}/dhcp-lease-event", "a DHCP server to take leases from", Role.ADMIN),
    _absent("POST", f"{PREFIX}/dhcpv6-event", "events of another DHCPv6 client", Role.ADMIN),
)
