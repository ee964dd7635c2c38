"""The control API (contract §1): what the main and the status socket answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import trio
from quart.wrappers import Response

from routerd.api import changes, consumers, events, generations, rules, schema
from routerd.api.access import Role
from routerd.api.confirm import post_confirm
from routerd.api.get import DESCRIBE_PARAMS, GET_PARAMS, get, get_describe
from routerd.api.lease_event import DHCPLeaseEvent, DHCPLeaseEventResult, post_lease_event
from routerd.api.log_level import LogLevelRequest, LogLevelResult, post_log_level
from routerd.api.metrics import MEDIA, serve_metrics
from routerd.api.operation import Call, Handler, Operation, Param, absent, answer, flag
from routerd.api.plane import Check
from routerd.api.probe import PARAMS as PROBE_PARAMS
from routerd.api.probe import ProbeResult, get_probe
from routerd.api.runtime import runtime_stats
from routerd.api.status import controller_statuses
from routerd.api.why import PARAMS as WHY_PARAMS
from routerd.api.why import get_why
from routerd.api.wire import PREFIX, encode
from routerd.api.wire_changes import ConfirmRequest, ConfirmResult
from routerd.api.wire_resources import DescribeResult, EventsAnswer, GetResult
from routerd.api.wire_status import Checked, CheckResult, ControllersAnswer, RuntimeStats, StatusAnswer
from routerd.api.wire_why import Why


async def get_status(call: Call) -> Response:
    """`GET /status`."""
    return answer(call.doorway.status.body())


async def get_controllers(call: Call) -> Response:
    """`GET /controllers`."""
    return answer(encode(ControllersAnswer(items=controller_statuses(call.plane))))


async def get_runtime(call: Call) -> Response:
    """`GET /runtime`."""
    return answer(encode(await trio.to_thread.run_sync(runtime_stats, call.plane.runtime())))


async def get_livez(call: Call) -> Response:
    """`GET /livez`: is this process worth keeping."""
    return _checked(call.plane.live(), call.query["verbose"])


async def get_readyz(call: Call) -> Response:
    """`GET /readyz`: is the router doing its job."""
    return _checked(call.plane.ready(), call.query["verbose"])


def _checked(checks: Sequence[Check], verbose: bool) -> Response:
    failed = [check for check in checks if not check.ok]
    shown = [
        CheckResult(check.name, "pass" if check.ok else "fail", check.detail or None)
        for check in (checks if verbose else failed)
    ]
    status: Literal["ok", "failed"] = "failed" if failed else "ok"
    return answer(encode(Checked(status, shown or None)), 503 if failed else 200)


def _read(
    path: str, summary: str, handler: Handler, answer: type, *params: Param, errors: tuple[int, ...] = ()
) -> Operation:
    return Operation("GET", path, summary, Role.OBSERVER, handler, answer, params, errors=errors)


_VERBOSE = flag("verbose", "Tell the checks that passed, too.")

OPERATIONS = (
    _read(f"{PREFIX}/status", "The router in one word, and what is wrong.", get_status, StatusAnswer),
    _read(f"{PREFIX}/controllers", "What the controllers measured of themselves.", get_controllers, ControllersAnswer),
    _read(f"{PREFIX}/runtime", "What the process costs.", get_runtime, RuntimeStats),
    _read(
        f"{PREFIX}/get",
        "Resources, events and the rest by subject.",
        get,
        GetResult,
        *GET_PARAMS,
        errors=(410, 501, 503),
    ),
    _read(
        f"{PREFIX}/describe",
        "One resource: wanted, observed, and what happened.",
        get_describe,
        DescribeResult,
        *DESCRIBE_PARAMS,
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
    Operation(
        "POST",
        f"{PREFIX}/events/ack",
        "A durable consumer has done with everything up to a cursor.",
        Role.OPERATOR,
        consumers.post_ack,
        consumers.AckResult,
        body=consumers.AckRequest,
        errors=(409, 410),
        mutates=False,
    ),
    Operation(
        "GET",
        f"{PREFIX}/consumers",
        "The durable consumers of events, and how far each has read.",
        Role.OPERATOR,
        consumers.get_consumers,
        consumers.Consumers,
    ),
    Operation(
        "POST",
        f"{PREFIX}/consumers/delete",
        "Forget a durable consumer.",
        Role.OPERATOR,
        consumers.post_delete,
        consumers.DeleteConsumerResult,
        body=consumers.DeleteConsumerRequest,
    ),
    _read("/livez", "Is this process worth keeping?", get_livez, Checked, _VERBOSE),
    _read("/readyz", "Is the router doing its job?", get_readyz, Checked, _VERBOSE),
    Operation(
        "GET",
        "/metrics",
        "The figures, for Prometheus: its text format, or OpenMetrics.",
        Role.OBSERVER,
        serve_metrics,
        str,
        media=MEDIA,
    ),
    _read(
        f"{PREFIX}/why",
        "Why a resource is as it is: the causes of its phase, down to the first.",
        get_why,
        Why,
        *WHY_PARAMS,
        errors=(503,),
    ),
    *changes.OPERATIONS,
    *generations.OPERATIONS,
    *schema.OPERATIONS,
    *rules.OPERATIONS,
    absent("GET", f"{PREFIX}/connections", "the table of connections", Role.OPERATOR),
    absent("GET", f"{PREFIX}/dns-queries", "the log of DNS queries", Role.OPERATOR),
    absent("GET", f"{PREFIX}/dns-queries/aggregate", "the log of DNS queries", Role.OPERATOR),
    absent("GET", f"{PREFIX}/traffic-flows", "the log of traffic flows", Role.OPERATOR),
    absent("GET", f"{PREFIX}/traffic-flows/aggregate", "the log of traffic flows", Role.OPERATOR),
    absent("GET", f"{PREFIX}/firewall-logs", "the log of the firewall", Role.OPERATOR),
    Operation(
        "GET",
        f"{PREFIX}/probe",
        "Is there a way out, as routerd sees it now.",
        Role.OPERATOR,
        get_probe,
        ProbeResult,
        PROBE_PARAMS,
    ),
    Operation(
        "POST",
        f"{PREFIX}/confirm",
        "Keep a change that goes back by itself unless it is confirmed.",
        Role.ADMIN,
        post_confirm,
        ConfirmResult,
        body=ConfirmRequest,
        errors=(409, 503),
    ),
    Operation(
        "POST",
        f"{PREFIX}/log-level",
        "How much the process's log tells, for a while.",
        Role.ADMIN,
        post_log_level,
        LogLevelResult,
        body=LogLevelRequest,
    ),
    Operation(
        "POST",
        f"{PREFIX}/dhcp-lease-event",
        "A DHCP server tells of a lease on the LAN.",
        Role.ADMIN,
        post_lease_event,
        DHCPLeaseEventResult,
        body=DHCPLeaseEvent,
        errors=(503,),
        urgent=True,
    ),
    absent("POST", f"{PREFIX}/dhcpv6-event", "events of another DHCPv6 client", Role.ADMIN),
)
