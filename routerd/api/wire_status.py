"""Shapes of how the router is (contract §1.4): its status, its controllers, what the process costs, its checks.

As in `wire`: absent means not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from routerd.api.wire import CONTROL, ControlVersion, Metadata
from routerd.api.wire_changes import Pending
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant

ROUTERD, CONTROLLERS = Metadata("routerd"), Metadata("controllers")


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
    metadata: Metadata = ROUTERD
    status: RouterStatus


@attrs.frozen(kw_only=True)
class ControllersAnswer:
    """`GET /controllers`, by name."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Controllers"] = "Controllers"
    metadata: Metadata = CONTROLLERS
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
class CheckResult:
    """One check."""

    name: str
    status: Literal["pass", "fail"]
    detail: str | None = None


@attrs.frozen
class Checked:
    """`/livez`, `/readyz`: 200 or 503. `checks` with `?verbose`, and those that failed always."""

    status: Literal["ok", "failed"]
    checks: Sequence[CheckResult] | None = None
