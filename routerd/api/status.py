"""The router in one word: the worst of its resources' phases (contract §1.4), and what its controllers measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from routerd.api.plane import ControllerReport, Plane, ReconcileError
from routerd.api.standing import document_status
from routerd.api.wire import encode
from routerd.api.wire_status import ControllerStatus, ReconcileFailure, ResourcePhaseIssue, RouterStatus, StatusAnswer
from routerd.events.types import Status, ref_of
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant

Phase = Literal["Unknown", "Error", "Pending", "Degraded", "Healthy"]

_RANKED: Mapping[Phase, str] = {
    "Healthy": (
        "healthy applied active established bound running ready up installed configured synced observed removed "
        "skipped asserted retracted inactive"
    ),
    "Unknown": "",
    "Degraded": "degraded down lost expired nohealthybackends",
    "Pending": "pending starting acquiring refreshing rebinding rendered reconverging",
    "Error": "error blocked failed unhealthy",
}
PHASES = tuple(_RANKED)
"""Overall phases by rank: the worst last."""

_RANK = {word: rank for rank, words in enumerate(_RANKED.values()) for word in words.split()}
_UNKNOWN = PHASES.index("Unknown")
_INTENDED = frozenset({"WhenFalse", "DependsOnFalse", "Hysteresis"})
"""Reasons for which a resource is pending because the operator wants it so."""


@attrs.define(eq=False)
class StatusPage:
    """The encoded answer to `GET /status`, kept until something in it changes: it is asked for all the time."""

    plane: Plane
    _basis: object = attrs.field(init=False, default=None)
    _body: bytes = attrs.field(init=False, default=b"")

    def body(self) -> bytes:
        """The present one."""
        plane = self.plane
        basis = (
            *(plane.log.objects.version, plane.running, tuple(plane.controllers), plane.log.degraded),
            plane.commits.pending,
        )
        if basis != self._basis:
            self._body = encode(StatusAnswer(status=router_status(plane)))
            self._basis = basis
        return self._body


def router_status(plane: Plane) -> RouterStatus:
    """The present status. A configured resource that nothing is known of yet is `Unknown`."""
    running, pending = plane.running, plane.commits.pending
    ranked = sorted(_ranked(plane), key=lambda pair: (-pair[0], pair[1].kind, pair[1].name))
    return RouterStatus(
        phase=PHASES[ranked[0][0]] if ranked else "Unknown",
        generation=running.generation,
        last_apply_time=Instant(running.applied_at),
        resource_count=len(running.router.resources),
        resource_phase_issues=[issue for rank, issue in ranked if rank] or None,
        controllers=controller_statuses(plane),
        pending_error=running.pending_error,
        waiting_generation=running.waiting,
        pending_commit=None if pending is None else attrs.evolve(pending, token=None),
        log_degraded=plane.log.degraded,
    )


def rank_of(status: Status) -> int:
    """How bad a phase is: 0 (healthy) to 4 (error); 1 when it says nothing to us."""
    phase = str(status.get("phase", "")).lower()
    if phase == "pending" and status.get("reason") in _INTENDED:
        return 0
    return _RANK.get(phase, _UNKNOWN)


def _ranked(plane: Plane) -> Iterator[tuple[int, ResourcePhaseIssue]]:
    known = {stored.ref: stored.status for stored in plane.log.objects.all()}
    wanted = [ref_of(one) for one in plane.running.router.resources]
    if plane.running.pending_error is not None:
        document = ref_of(plane.running.router)
        known[document] = document_status(plane.running, known.get(document, {}))
    for ref in dict.fromkeys((*known, *wanted)):
        status = known.get(ref, {})
        issue = ResourcePhaseIssue(
            ref.api_version,
            ref.kind,
            ref.name,
            str(status.get("phase", "")),
            _text(status, "reason"),
            _text(status, "message"),
        )
        yield rank_of(status), issue


def _text(status: Status, key: str) -> str | None:
    value = status.get(key)
    return value if isinstance(value, str) and value else None


def controller_statuses(plane: Plane) -> list[ControllerStatus]:
    """By name."""
    return [_controller(report) for report in sorted(plane.controllers, key=lambda report: report.name)]


def _controller(report: ControllerReport) -> ControllerStatus:
    average = report.total_duration / report.reconciles if report.reconciles else None
    return ControllerStatus(
        name=report.name,
        mode=report.mode,
        current_error=report.consecutive_errors > 0,
        reason=report.reason,
        message=report.message,
        resource_kinds=report.resource_kinds or None,
        interval=_duration(report.interval),
        last_trigger=report.last_trigger,
        last_reconcile_time=_instant(report.last_reconcile),
        last_success_time=_instant(report.last_success),
        last_reload_at=_instant(report.last_reload),
        last_restart_at=_instant(report.last_restart),
        last_change_reason=report.last_change_reason,
        next_reconcile_time=_instant(report.next_reconcile),
        reconcile_count=report.reconciles,
        reconcile_error_count=report.errors,
        consecutive_error_count=report.consecutive_errors,
        last_duration=_duration(report.last_duration),
        max_duration=_duration(report.max_duration),
        max_duration_at=_instant(report.max_duration_at),
        average_duration=_duration(average),
        last_duration_millis=_millis(report.last_duration),
        max_duration_millis=_millis(report.max_duration),
        average_duration_millis=None if average is None else round(average * 1000, 3),
        last_error=report.last_error,
        last_error_time=_instant(report.last_error_at),
        last_error_cleared_at=_instant(report.last_error_cleared_at),
        reconcile_error_history=[_failure(error) for error in report.history] or None,
    )


def _failure(error: ReconcileError) -> ReconcileFailure:
    return ReconcileFailure(
        started_at=Instant(error.started_at),
        completed_at=Instant(error.completed_at),
        duration=Duration(error.duration),
        duration_ms=round(error.duration * 1000),
        error=error.error,
        trigger=error.trigger,
        resource_kind=error.resource_kind,
        resource_name=error.resource_name,
    )


def _instant(ns: int | None) -> Instant | None:
    return None if ns is None else Instant(ns)


def _duration(seconds: float | None) -> Duration | None:
    return None if seconds is None else Duration(seconds)


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
