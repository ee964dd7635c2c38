"""What can be counted of the running router, and its values at one moment. What the process costs is in `process`.

Not a format: `metrics` writes them for Prometheus, `routerd.telemetry` sends them by OTLP.
Labels have few values, or one for each declared resource: whoever can write into the log cannot blow them up."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping

from routerd import __version__
from routerd.api.access import SocketKind
from routerd.api.metric import Reading, Samples, counter, gauge, one
from routerd.api.plane import ControllerReport, Daemon, Exports, Plane
from routerd.api.process import PROCESS
from routerd.events.types import Ref, ref_of
from routerd.shapes.instant import parse_instant
from routerd.shapes.invalid import Invalid


def read(plane: Plane) -> list[Reading]:
    """All of FAMILIES. On the event loop: what is counted there must not change meanwhile."""
    return [family.read(plane) for family in FAMILIES]


def read_process(plane: Plane) -> list[Reading]:
    """All of PROCESS. Blocking, if briefly: call it in a thread."""
    return [family.read(plane) for family in PROCESS]


def phases(plane: Plane) -> dict[Ref, str]:
    """The phase of every object; a declared resource of which nothing is known yet is `Unknown`."""
    known = {stored.ref: str(stored.status.get("phase") or "Unknown") for stored in plane.log.objects.all()}
    wanted = (ref_of(one) for one in plane.running.router.resources)
    return {**dict.fromkeys(wanted, "Unknown"), **known}


def _resources(plane: Plane) -> Samples:
    return sorted(Counter((ref.kind, phase) for ref, phase in phases(plane).items()).items())


def _resource_phases(plane: Plane) -> Samples:
    return [((ref.kind, ref.name, phase), 1.0) for ref, phase in phases(plane).items()]


def _events(plane: Plane) -> Samples:
    return sorted(plane.log.tally.events.items())


def _controllers(value: Callable[[ControllerReport], float]) -> Callable[[Plane], Samples]:
    return lambda plane: [((report.name,), float(value(report))) for report in plane.controllers]


def _daemons(values: Callable[[Daemon, int], Mapping[tuple[str, ...], float]]) -> Callable[[Plane], Samples]:
    """Of each daemon, with its kind and its resource as the first labels."""

    def samples(plane: Plane) -> Samples:
        now = plane.log.now()
        for _, daemon in sorted(plane.daemons.items()):
            for labels, value in values(daemon, now).items():
                yield (daemon.source.kind, daemon.source.instance, *labels), value

    return samples


def _lease_left(daemon: Daemon, now: int) -> Mapping[tuple[str, ...], float]:
    try:
        return {(): max((parse_instant(daemon.observed["expiresAt"]) - now) / 1e9, 0.0)}
    except (KeyError, Invalid):
        return {}  # there is no lease, or one that does not end


def _packets(daemon: Daemon, _: int) -> Mapping[tuple[str, ...], float]:
    return {("sent",): daemon.packets.sent, ("received",): daemon.packets.received}


def _dropped(daemon: Daemon, _: int) -> Mapping[tuple[str, ...], float]:
    return {(reason,): count for reason, count in sorted(daemon.packets.dropped.items())}


def _requests(plane: Plane) -> Samples:
    return [((what, str(status)), count) for (what, status), count in sorted(plane.traffic.requests.items())]


def _sockets(value: Callable[[Plane], Counter[SocketKind]]) -> Callable[[Plane], Samples]:
    return lambda plane: [((kind,), float(count)) for kind, count in sorted(value(plane).items())]


def _exported(plane: Plane) -> Samples:
    for name, exports in sorted(plane.exports.items()):
        yield (name, "sent"), exports.events
        yield (name, "rejected"), exports.rejected
        yield (name, "dropped"), exports.dropped


def _exports(value: Callable[[Exports], int]) -> Callable[[Plane], Samples]:
    return lambda plane: [((name,), float(value(exports))) for name, exports in sorted(plane.exports.items())]


_DAEMON = ("daemon", "resource")

FAMILIES = (
    gauge(
        "routerd_build_info",
        "Which program this is; always 1.",
        lambda _: [((__version__, sys.version.split(" ")[0]), 1.0)],
        "version",
        "python",
    ),
    counter(
        "routerd_events_total", "Events stored, by the first two segments of the topic.", _events, "topic", "severity"
    ),
    gauge("routerd_log_newest_event", "Id of the newest event.", one(lambda plane: plane.log.newest)),
    gauge("routerd_log_oldest_event", "Id of the oldest event that is kept.", one(lambda plane: plane.log.oldest)),
    gauge(
        "routerd_log_degraded",
        "1 while events cannot be written to disk.",
        one(lambda plane: plane.log.degraded is not None),
    ),
    counter(
        "routerd_log_dropped_events_total",
        "Events lost because they could not be written.",
        one(lambda plane: plane.log.dropped),
    ),
    counter(
        "routerd_log_deleted_events_total",
        "Events deleted because they were old, or too many.",
        one(lambda plane: plane.log.tally.deleted),
    ),
    counter(
        "routerd_log_commits_total", "Transactions written and synced.", one(lambda plane: plane.log.tally.commits)
    ),
    gauge("routerd_resources", "Resources, by kind and phase.", _resources, "kind", "phase"),
    gauge(
        "routerd_resource_phase", "1 for the phase in which a resource is.", _resource_phases, "kind", "name", "phase"
    ),
    counter(
        "routerd_controller_reconciles_total",
        "How often a controller has looked and acted.",
        _controllers(lambda report: report.reconciles),
        "controller",
    ),
    counter(
        "routerd_controller_errors_total",
        "How many of these ended in an error.",
        _controllers(lambda report: report.errors),
        "controller",
    ),
    gauge(
        "routerd_controller_consecutive_errors",
        "Errors since it last succeeded.",
        _controllers(lambda report: report.consecutive_errors),
        "controller",
    ),
    counter(
        "routerd_controller_reconcile_seconds_total",
        "Seconds that all of them took.",
        _controllers(lambda report: report.total_duration),
        "controller",
    ),
    gauge(
        "routerd_controller_reconcile_max_seconds",
        "Seconds that the longest took.",
        _controllers(lambda report: report.max_duration or 0.0),
        "controller",
    ),
    gauge(
        "routerd_daemon_phase",
        "1 for the phase in which a managed daemon is.",
        _daemons(lambda daemon, _: {(daemon.phase,): 1.0}),
        *_DAEMON,
        "phase",
    ),
    gauge(
        "routerd_daemon_health",
        "1 for the health that a managed daemon has.",
        _daemons(lambda daemon, _: {(daemon.health,): 1.0}),
        *_DAEMON,
        "health",
    ),
    gauge(
        "routerd_lease_remaining_seconds",
        "Seconds until the lease ends; absent without a lease, or for one without an end.",
        _daemons(_lease_left),
        *_DAEMON,
    ),
    counter(
        "routerd_daemon_packets_total",
        "Packets of the protocol, `sent` and `received`.",
        _daemons(_packets),
        *_DAEMON,
        "direction",
    ),
    counter(
        "routerd_daemon_packets_dropped_total",
        "Packets ignored, or not sent, by reason.",
        _daemons(_dropped),
        *_DAEMON,
        "reason",
    ),
    counter(
        "routerd_api_requests_total",
        "Requests answered, by operation and HTTP status; 403 is a refusal.",
        _requests,
        "operation",
        "status",
    ),
    gauge(
        "routerd_api_connections",
        "Open connections: on the main, the status, and all daemons' sockets.",
        _sockets(lambda plane: plane.traffic.connections),
        "socket",
    ),
    gauge("routerd_api_streams", "Open event streams.", _sockets(lambda plane: plane.traffic.streams), "socket"),
    counter(
        "routerd_api_connections_refused_total",
        "Connections that were one too many.",
        _sockets(lambda plane: plane.traffic.turned_away),
        "socket",
    ),
    counter(
        "routerd_telemetry_events_total",
        "Events for a collector: `sent`, `rejected` by it, `dropped` because it did not answer.",
        _exported,
        "telemetry",
        "outcome",
    ),
    counter(
        "routerd_telemetry_reports_total",
        "Reports of these metrics that a collector has.",
        _exports(lambda exports: exports.reports),
        "telemetry",
    ),
    counter(
        "routerd_telemetry_failures_total",
        "Requests to a collector that failed.",
        _exports(lambda exports: exports.failures),
        "telemetry",
    ),
    gauge("routerd_configuration_generation", "The generation in force.", one(lambda plane: plane.running.generation)),
    gauge(
        "routerd_configuration_pending_error",
        "1 while the file on disk is faulty, and so not in force.",
        one(lambda plane: plane.running.pending_error is not None),
    ),
    gauge(
        "routerd_configuration_applied_timestamp_seconds",
        "When it was put in force, in seconds since 1970.",
        one(lambda plane: plane.running.applied_at / 1e9),
    ),
    gauge(
        "routerd_event_loop_lag_seconds",
        "By how much the event loop was late when it was last looked at.",
        one(lambda plane: float(plane.runtime().get("loopLagMillis", 0.0)) / 1000),
    ),
    gauge("routerd_tasks", "Tasks of the event loop.", one(lambda plane: plane.runtime().get("tasks", 0))),
)
"""What is read on the event loop."""


def table() -> str:
    """Both, as docs/metrics.md shows them."""
    rows = ["| Metric | Type | Labels | What it tells |", "|---|---|---|---|"]
    rows += [
        f"| `{family.name}` | {family.kind} | {', '.join(family.labels)} | {family.help} |"
        for family in (*FAMILIES, *PROCESS)
    ]
    return "\n".join(rows) + "\n"
