"""What can be counted of the running router: the table of metrics, and their values at one moment.

Not a format: `metrics` writes them for Prometheus, `routerd.telemetry` sends them by OTLP. Names are Prometheus's.
Labels have few values, or one for each declared resource: whoever can write into the log cannot blow them up."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import attrs

from routerd import __version__
from routerd.api.access import SocketKind
from routerd.api.plane import ControllerReport, Daemon, Exports, Plane
from routerd.api.runtime import memory_figures, open_files
from routerd.events.types import Ref
from routerd.shapes.instant import parse_instant
from routerd.shapes.invalid import Invalid

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values with the values of their labels."""


@attrs.frozen
class Family:
    """One metric. `labels` are the names of its labels; a counter's name ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str
    read: Callable[[Plane], Samples] = attrs.field(eq=False)


@attrs.frozen
class Reading:
    """The values of a metric at one moment."""

    family: Family
    samples: tuple[tuple[tuple[str, ...], float], ...]


def read(plane: Plane) -> list[Reading]:
    """All of FAMILIES. On the event loop: what is counted there must not change meanwhile."""
    return _readings(FAMILIES, plane)


def read_process(plane: Plane) -> list[Reading]:
    """All of PROCESS. Blocking, if briefly: call it in a thread."""
    return _readings(PROCESS, plane)


def _readings(families: Iterable[Family], plane: Plane) -> list[Reading]:
    return [
        Reading(family, tuple((labels, float(value)) for labels, value in family.read(plane))) for family in families
    ]


def _one(value: Callable[[Plane], float]) -> Callable[[Plane], Samples]:
    """A metric without labels."""
    return lambda plane: [((), float(value(plane)))]


def phases(plane: Plane) -> dict[Ref, str]:
    """The phase of every object; a declared resource of which nothing is known yet is `Unknown`."""
    known = {stored.ref: str(stored.status.get("phase") or "Unknown") for stored in plane.log.objects.all()}
    wanted = (Ref(one.kind, one.name, one.api_version) for one in plane.running.router.resources)
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


def _memory(_: Plane) -> float:
    return memory_figures()["VmRSS"]


def _cpu(_: Plane) -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


_DAEMON = ("daemon", "resource")

FAMILIES = (
    Family(
        "routerd_build_info",
        "gauge",
        ("version", "python"),
        "Which program this is; always 1.",
        lambda _: [((__version__, sys.version.split(" ")[0]), 1.0)],
    ),
    Family(
        "routerd_events_total",
        "counter",
        ("topic", "severity"),
        "Events stored, by the first two segments of the topic.",
        _events,
    ),
    Family("routerd_log_newest_event", "gauge", (), "Id of the newest event.", _one(lambda plane: plane.log.newest)),
    Family(
        "routerd_log_oldest_event",
        "gauge",
        (),
        "Id of the oldest event that is kept.",
        _one(lambda plane: plane.log.oldest),
    ),
    Family(
        "routerd_log_degraded",
        "gauge",
        (),
        "1 while events cannot be written to disk.",
        _one(lambda plane: plane.log.degraded is not None),
    ),
    Family(
        "routerd_log_dropped_events_total",
        "counter",
        (),
        "Events lost because they could not be written.",
        _one(lambda plane: plane.log.dropped),
    ),
    Family(
        "routerd_log_deleted_events_total",
        "counter",
        (),
        "Events deleted because they were old, or too many.",
        _one(lambda plane: plane.log.tally.deleted),
    ),
    Family(
        "routerd_log_commits_total",
        "counter",
        (),
        "Transactions written and synced.",
        _one(lambda plane: plane.log.tally.commits),
    ),
    Family("routerd_resources", "gauge", ("kind", "phase"), "Resources, by kind and phase.", _resources),
    Family(
        "routerd_resource_phase",
        "gauge",
        ("kind", "name", "phase"),
        "1 for the phase in which a resource is.",
        _resource_phases,
    ),
    Family(
        "routerd_controller_reconciles_total",
        "counter",
        ("controller",),
        "How often a controller has looked and acted.",
        _controllers(lambda report: report.reconciles),
    ),
    Family(
        "routerd_controller_errors_total",
        "counter",
        ("controller",),
        "How many of these ended in an error.",
        _controllers(lambda report: report.errors),
    ),
    Family(
        "routerd_controller_consecutive_errors",
        "gauge",
        ("controller",),
        "Errors since it last succeeded.",
        _controllers(lambda report: report.consecutive_errors),
    ),
    Family(
        "routerd_controller_reconcile_seconds_total",
        "counter",
        ("controller",),
        "Seconds that all of them took.",
        _controllers(lambda report: report.total_duration),
    ),
    Family(
        "routerd_controller_reconcile_max_seconds",
        "gauge",
        ("controller",),
        "Seconds that the longest took.",
        _controllers(lambda report: report.max_duration or 0.0),
    ),
    Family(
        "routerd_daemon_phase",
        "gauge",
        (*_DAEMON, "phase"),
        "1 for the phase in which a managed daemon is.",
        _daemons(lambda daemon, _: {(daemon.phase,): 1.0}),
    ),
    Family(
        "routerd_daemon_health",
        "gauge",
        (*_DAEMON, "health"),
        "1 for the health that a managed daemon has.",
        _daemons(lambda daemon, _: {(daemon.health,): 1.0}),
    ),
    Family(
        "routerd_lease_remaining_seconds",
        "gauge",
        _DAEMON,
        "Seconds until the lease ends; absent without a lease, or for one without an end.",
        _daemons(_lease_left),
    ),
    Family(
        "routerd_daemon_packets_total",
        "counter",
        (*_DAEMON, "direction"),
        "Packets of the protocol, `sent` and `received`.",
        _daemons(_packets),
    ),
    Family(
        "routerd_daemon_packets_dropped_total",
        "counter",
        (*_DAEMON, "reason"),
        "Packets ignored, or not sent, by reason.",
        _daemons(_dropped),
    ),
    Family(
        "routerd_api_requests_total",
        "counter",
        ("operation", "status"),
        "Requests answered, by operation and HTTP status; 403 is a refusal.",
        _requests,
    ),
    Family(
        "routerd_api_connections",
        "gauge",
        ("socket",),
        "Open connections: on the main, the status, and all daemons' sockets.",
        _sockets(lambda plane: plane.traffic.connections),
    ),
    Family(
        "routerd_api_streams",
        "gauge",
        ("socket",),
        "Open event streams.",
        _sockets(lambda plane: plane.traffic.streams),
    ),
    Family(
        "routerd_api_connections_refused_total",
        "counter",
        ("socket",),
        "Connections that were one too many.",
        _sockets(lambda plane: plane.traffic.turned_away),
    ),
    Family(
        "routerd_telemetry_events_total",
        "counter",
        ("telemetry", "outcome"),
        "Events for a collector: `sent`, `rejected` by it, `dropped` because it did not answer.",
        _exported,
    ),
    Family(
        "routerd_telemetry_reports_total",
        "counter",
        ("telemetry",),
        "Reports of these metrics that a collector has.",
        _exports(lambda exports: exports.reports),
    ),
    Family(
        "routerd_telemetry_failures_total",
        "counter",
        ("telemetry",),
        "Requests to a collector that failed.",
        _exports(lambda exports: exports.failures),
    ),
    Family(
        "routerd_configuration_generation",
        "gauge",
        (),
        "The generation in force.",
        _one(lambda plane: plane.running.generation),
    ),
    Family(
        "routerd_configuration_pending_error",
        "gauge",
        (),
        "1 while the file on disk is faulty, and so not in force.",
        _one(lambda plane: plane.running.pending_error is not None),
    ),
    Family(
        "routerd_configuration_applied_timestamp_seconds",
        "gauge",
        (),
        "When it was put in force, in seconds since 1970.",
        _one(lambda plane: plane.running.applied_at / 1e9),
    ),
    Family(
        "routerd_event_loop_lag_seconds",
        "gauge",
        (),
        "By how much the event loop was late when it was last looked at.",
        _one(lambda plane: float(plane.runtime().get("loopLagMillis", 0.0)) / 1000),
    ),
    Family(
        "routerd_tasks",
        "gauge",
        (),
        "Tasks of the event loop.",
        _one(lambda plane: plane.runtime().get("tasks", 0)),
    ),
)
"""What is read on the event loop."""

PROCESS = (
    Family("process_cpu_seconds_total", "counter", (), "Seconds of processor time, user and system.", _one(_cpu)),
    Family("process_resident_memory_bytes", "gauge", (), "Memory in use.", _one(_memory)),
    Family("process_open_fds", "gauge", (), "Open descriptors.", _one(lambda _: open_files())),
    Family(
        "process_max_fds",
        "gauge",
        (),
        "How many there may be.",
        _one(lambda _: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ),
    Family(
        "process_start_time_seconds",
        "gauge",
        (),
        "When routerd started, in seconds since 1970.",
        _one(lambda plane: plane.started_at / 1e9),
    ),
    Family(
        "process_uptime_seconds",
        "gauge",
        (),
        "Seconds since then, by the wall clock.",
        _one(lambda plane: (time.time_ns() - plane.started_at) / 1e9),
    ),
)
"""What the system is asked for."""


def table() -> str:
    """Both, as docs/metrics.md shows them."""
    rows = ["| Metric | Type | Labels | What it tells |", "|---|---|---|---|"]
    rows += [
        f"| `{family.name}` | {family.kind} | {', '.join(family.labels)} | {family.help} |"
        for family in (*FAMILIES, *PROCESS)
    ]
    return "\n".join(rows) + "\n"
