"""How a configuration comes out, resource by resource: what differs, what was foreseen, and what is said of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from routerd.api.status import rank_of
from routerd.api.wire_changes import FieldChange, Orphan, Outcome, ResourceChange, ResourceResult
from routerd.changes.forecast import Foreseen
from routerd.config import Router
from routerd.config.diff import ResourceDiff
from routerd.controllers.gate import HELD
from routerd.events.types import Ref, Status, ref_of
from routerd.resources.resource import Resource

OBSERVED_NOT = ("phase", "reason", "message")
HEALTHY, WRONG = 0, 4
"""Ranks of a phase (`api.status`)."""


@attrs.frozen
class Compared:
    """Two configurations: what is in force (or was), and what is to be (or is)."""

    before: Router
    after: Router
    differences: Sequence[ResourceDiff]
    foreseen: Foreseen

    @property
    def changes(self) -> list[ResourceChange]:
        """As the API tells them."""
        return [
            ResourceChange(
                str(one.resource),
                one.resource.api_version,
                one.change,
                [FieldChange(field.path, field.before, field.after) for field in one.fields] or None,
            )
            for one in self.differences
        ]


def results(compared: Compared, objects: Mapping[Ref, Status], *, done: bool) -> list[ResourceResult]:
    """One for each resource of both. `done`: it is in force; else it is a plan."""
    changed = {ref_of(one.resource): one.change for one in compared.differences}
    gone = [one.resource for one in compared.differences if one.change == "removed"]
    return [
        _result(resource, objects.get(ref_of(resource)), changed.get(ref_of(resource)), compared.foreseen, done)
        for resource in (*compared.after.resources, *gone)
    ]


def _result(
    resource: Resource[Any], status: Status | None, change: str | None, foreseen: Foreseen, done: bool
) -> ResourceResult:
    ref = ref_of(resource)
    warnings = [f"it waits: {foreseen.held[ref]}"] if ref in foreseen.held and not done else []
    return ResourceResult(
        id=f"{resource.api_version}/{resource.kind}/{resource.name}",
        phase=phase_of(status),
        outcome=_outcome(ref, status, change, foreseen, done),
        observed=_observed(status or {}) or None,
        plan=list(foreseen.plans.get(ref, ())) or None,
        artifacts=list(foreseen.artifacts.get(ref, ())) or None,
        warnings=warnings or None,
        conditions=list((status or {}).get("conditions", ())) or None,
    )


def _outcome(ref: Ref, status: Status | None, change: str | None, foreseen: Foreseen, done: bool) -> Outcome:
    if change == "removed":
        return "failed" if done and status is not None and rank_of(status) == WRONG else "removed"
    held = (status or {}).get("reason") in HELD if done else ref in foreseen.held
    if held:
        return "skipped"
    if done and status is not None and rank_of(status) == WRONG:
        return "failed"
    return "changed" if change is not None or foreseen.plans.get(ref) else "unchanged"


def _observed(status: Status) -> dict[str, str]:
    """What of a status is text."""
    return {name: value for name, value in status.items() if isinstance(value, str) and name not in OBSERVED_NOT}


def phase_of(status: Status | None) -> str:
    """Of one resource (contract §1.8)."""
    rank = rank_of(status or {})
    if rank == HEALTHY:
        return "Disabled" if (status or {}).get("reason") in HELD else "Healthy"
    return "Blocked" if rank == WRONG else "Drifted"


def overall(router: Router, objects: Mapping[Ref, Status], crashed: bool) -> str:
    """Of a configuration in force. `crashed`: a controller failed, by a fault of ours."""
    phases = {phase_of(objects.get(ref_of(resource))) for resource in router.resources}
    if crashed:
        return "Errored"
    return next((phase for phase in ("Blocked", "Drifted") if phase in phases), "Healthy")


def orphans(objects: Mapping[Ref, Status], *routers: Router) -> Iterator[Orphan]:
    """Objects that none of the configurations declares."""
    declared = {ref_of(resource) for router in routers for resource in router.resources}
    for ref, status in objects.items():
        if ref not in declared and ref.kind != "Router":
            remedy = f"delete {ref} with force"
            yield Orphan(ref.kind, ref.name, "NotDeclared", None, remedy, _observed(status) or None)
