"""The answers' shapes (contract §1.4, §1.7): from these classes come both the JSON and the OpenAPI document. What a
daemon answers at its own socket is `wire_daemon`.

Absent means not known: an attribute whose default is None is left out when it is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs
import orjson

from routerd.api.plane import Check
from routerd.events.types import Severity
from routerd.shapes.convert import to_wire
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant

CONTROL: Final = "control.routerd.net/v1alpha1"
ControlVersion = Literal["control.routerd.net/v1alpha1"]

JSON = "application/json"


def encode(answer: Any) -> bytes:
    """JSON of the control API: indented, for people with curl, at the price of some blanks."""
    return orjson.dumps(to_wire(answer), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def encode_compact(answer: Any) -> bytes:
    """JSON of the daemon API, and of event streams: one line."""
    return orjson.dumps(to_wire(answer), option=orjson.OPT_APPEND_NEWLINE)


# Errors


@attrs.frozen
class ConfigProblem:
    """One error of a configuration. `label` is the resource (`Kind/name`), `field` the path in it; `excerpt` shows the
    place to people, as rustc does. What may be a secret is not in it."""

    message: str
    code: str
    line: int
    column: int
    excerpt: str
    source: str
    label: str | None = None
    field: str | None = None
    hint: str | None = None


@attrs.frozen
class ErrorDetail:
    """What is wrong, for a person (message, hint) and for a program (code, field)."""

    message: str
    code: str
    field: str | None = None
    """The query parameter or body field to blame."""
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    oldest: str | None = None
    """With 410: the oldest cursor that can be read on from."""
    errors: Sequence[ConfigProblem] | None = None
    """Of a configuration: all of them."""


@attrs.frozen(kw_only=True)
class Error:
    """Every answer outside 2xx (contract rule 2)."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Error"] = "Error"
    error: ErrorDetail
    request_id: str = attrs.field(metadata={"name": "requestId"})


# Control API


@attrs.frozen
class Metadata:
    """Whose answer it is."""

    name: str


@attrs.frozen
class ResourcePhaseIssue:
    """A resource that is not healthy, the worst first."""

    api_version: str
    kind: str
    name: str
    phase: str
    reason: str | None = None
    message: str | None = None


@attrs.frozen
class ReconcileFailure:
    """One failed reconcile."""

    started_at: Instant
    completed_at: Instant
    duration: Duration
    duration_ms: int
    error: str
    trigger: str | None = None
    resource_kind: str | None = None
    resource_name: str | None = None


@attrs.frozen
class ControllerStatus:
    """What a controller measured of itself."""

    name: str
    mode: str
    current_error: bool
    reason: str | None = None
    message: str | None = None
    resource_kinds: Sequence[str] | None = None
    interval: Duration | None = None
    last_trigger: str | None = None
    last_reconcile_time: Instant | None = None
    last_success_time: Instant | None = None
    last_reload_at: Instant | None = None
    last_restart_at: Instant | None = None
    last_change_reason: str | None = None
    next_reconcile_time: Instant | None = None
    reconcile_count: int | None = None
    reconcile_error_count: int | None = None
    consecutive_error_count: int | None = None
    last_duration: Duration | None = None
    max_duration: Duration | None = None
    max_duration_at: Instant | None = None
    average_duration: Duration | None = None
    last_duration_millis: int | None = None
    max_duration_millis: int | None = None
    average_duration_millis: float | None = None
    last_error: str | None = None
    last_error_time: Instant | None = None
    last_error_cleared_at: Instant | None = None
    reconcile_error_history: Sequence[ReconcileFailure] | None = None
    """The last 20, since the start of the process."""


@attrs.frozen
class Pending:
    """A change that goes back by itself unless it is confirmed in time."""

    generation: int
    previous: int
    confirm_by: Instant
    actor: str
    token: str | None = None
    """Confirms it. For admins only, and only in the life of routerd in which it was begun."""


@attrs.frozen
class RouterStatus:
    """How the router is, in one word and in detail."""

    phase: Literal["Unknown", "Error", "Pending", "Degraded", "Healthy"]
    last_apply_time: Instant
    generation: int | None = None
    resource_count: int | None = None
    resource_phase_issues: Sequence[ResourcePhaseIssue] | None = None
    controllers: Sequence[ControllerStatus] | None = None
    pending_error: str | None = None
    """Why the configuration on disk is not the one in force."""
    waiting_generation: int | None = None
    """The generation that is written and waits to be loaded."""
    pending_commit: Pending | None = None
    """The change that goes back by itself unless it is confirmed."""
    log_degraded: str | None = None
    """Why events are not reaching the disk at present."""


@attrs.frozen(kw_only=True)
class StatusAnswer:
    """`GET /status`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Status"] = "Status"
    metadata: Metadata = Metadata("routerd")
    status: RouterStatus


@attrs.frozen(kw_only=True)
class ControllersAnswer:
    """`GET /controllers`, by name."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Controllers"] = "Controllers"
    metadata: Metadata = Metadata("controllers")
    items: Sequence[ControllerStatus]


@attrs.frozen(kw_only=True)
class RuntimeStats:
    """`GET /runtime`: what the process costs. The names are those of another implementation's runtime; each
    carries the nearest figure of ours."""

    api_version: ControlVersion = CONTROL
    kind: Literal["RuntimeStats"] = "RuntimeStats"
    collected_at: Instant
    heap_alloc_bytes: int
    """Anonymous resident memory; where the system does not tell, the largest resident set so far."""
    heap_inuse_bytes: int
    """Resident memory."""
    heap_objects: int
    """Blocks that the interpreter has allocated."""
    stack_inuse_bytes: int
    sys_bytes: int
    """Virtual memory."""
    cgroup_memory_current_bytes: int | None = None
    cgroup_memory_peak_bytes: int | None = None
    cgroup_anon_bytes: int | None = None
    cgroup_file_bytes: int | None = None
    cgroup_active_file_bytes: int | None = None
    cgroup_inactive_file_bytes: int | None = None
    cgroup_kernel_bytes: int | None = None
    cgroup_slab_bytes: int | None = None
    num_goroutine: int
    """Tasks."""
    num_gc: int
    """Garbage collections."""
    gc_pause_total_ns: int
    last_gc: Instant | None = None
    open_fds: int
    max_fds: int
    loop_lag_millis: float | None = None
    log_level: str | None = None
    """Of the process's log."""
    log_level_until: Instant | None = None
    """When it falls back to that of the command line."""
    tasks: int
    sockets: int | None = None


@attrs.frozen
class StoredEvent:
    """A row of the event log. `topic` and `type` are the same."""

    id: int
    type: str
    topic: str
    severity: Severity
    created_at: Instant
    """When it was put on disk."""
    time: Instant
    """When it happened."""
    actor: str
    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    reason: str | None = None
    message: str | None = None
    generation: int | None = None
    source_kind: str | None = None
    source_instance: str | None = None
    source_name: str | None = None
    source_cursor: str | None = None
    resource_api_version: str | None = None
    resource_kind: str | None = None
    resource_name: str | None = None
    resource: ResourceRef | None = None
    attributes: Mapping[str, str] | None = None
    causes: Sequence[int] | None = None


@attrs.frozen
class ResourceRef:
    """A resource."""

    kind: str
    name: str
    api_version: str | None = None


@attrs.frozen
class ResourceEvent:
    """An event of the resource beside which it stands."""

    id: int
    api_version: str
    kind: str
    name: str
    type: str
    reason: str
    message: str
    created_at: Instant
    generation: int | None = None
    """Of the configuration then in force, as far as the event tells."""


@attrs.frozen
class ResourceView:
    """A resource: what is wanted (`spec`), what is (`status`), what happened. `resourceVersion` is the id of the event
    that last changed it."""

    api_version: str
    kind: str
    name: str
    resource_version: int | None = None
    spec: Mapping[str, Any] | None = None
    status: Mapping[str, Any] | None = None
    events: Sequence[ResourceEvent] | None = None


@attrs.frozen
class GenerationRecord:
    """A generation of the configuration."""

    generation: int
    started_at: Instant
    has_yaml: bool
    finished_at: Instant | None = None
    phase: str | None = None
    config_hash: str | None = None


@attrs.frozen
class Ledger:
    """The generations, the newest first; `integrity` is `ok`, or why the log is not on disk."""

    integrity: str
    generations: Sequence[GenerationRecord]


@attrs.frozen(kw_only=True)
class GetResult:
    """`GET /get`: resources, or what else the subject names (`raw` is its own answer)."""

    api_version: ControlVersion = CONTROL
    kind: Literal["GetResult"] = "GetResult"
    metadata: Metadata
    items: Sequence[ResourceView] | None = None
    status: RouterStatus | None = None
    events: Sequence[StoredEvent] | None = None
    ledger: Ledger | None = None
    raw: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class DescribeResult:
    """`GET /describe`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["DescribeResult"] = "DescribeResult"
    metadata: Metadata
    resource: ResourceView


@attrs.frozen(kw_only=True)
class EventsAnswer:
    """`GET /events`: rows after a cursor, ascending. `cursor` is where to go on; `lost` counts rows after the asked
    cursor that were removed before they were read."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Events"] = "Events"
    epoch: str
    events: Sequence[StoredEvent]
    cursor: str
    oldest: int
    newest: int
    lost: int


@attrs.frozen
class CheckResult:
    """One check."""

    name: str
    status: Literal["pass", "fail"]
    detail: str | None = None

    @classmethod
    def of(cls, check: Check) -> CheckResult:
        """As it goes out."""
        return cls(check.name, "pass" if check.ok else "fail", check.detail or None)


@attrs.frozen
class Checked:
    """`/livez`, `/readyz`: 200 or 503. `checks` with `?verbose`, and those that failed always."""

    status: Literal["ok", "failed"]
    checks: Sequence[CheckResult] | None = None
