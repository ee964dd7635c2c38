"""Shapes of what changes the configuration (contract §1.8, §5): requests, and answers that are the results themselves.

As in `wire`: absent means not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from routerd.api.wire import CONTROL, ConfigProblem, ControlVersion
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant

Outcome = Literal["changed", "unchanged", "failed", "skipped", "removed"]
Phase = Literal["Committed", "Healthy", "Drifted", "Errored", "Blocked"]
"""How a generation came out: written and not loaded; all of it as it should be; not all of it (yet); a controller
failed; the system refused some of it."""

# Requests. All of them may leave out what the path says already.


@attrs.frozen
class ApplyRequest:
    """`POST /apply`: merge a candidate into the configuration, or (`replace`) put it in its place."""

    api_version: ControlVersion | None = None
    kind: Literal["ApplyRequest"] | None = None
    candidate_yaml: str | None = None
    replace: bool = False
    no_reconcile: bool = False
    dry_run: bool = False
    confirm_within: Duration | None = None


@attrs.frozen
class PlanRequest:
    """`POST /plan`. Without a candidate: of the configuration in force."""

    api_version: ControlVersion | None = None
    kind: Literal["PlanRequest"] | None = None
    candidate_yaml: str | None = None
    replace: bool = False


@attrs.frozen
class ValidateRequest:
    """`POST /validate`. Without a candidate: the file on disk."""

    api_version: ControlVersion | None = None
    kind: Literal["ValidateRequest"] | None = None
    candidate_yaml: str | None = None
    replace: bool = False


@attrs.frozen
class DeleteRequest:
    """`POST /delete`: a resource `Kind/name`, the kind as an operator types it. `force`: also one that is declared no
    more, and that the store of objects still has."""

    target: str
    api_version: ControlVersion | None = None
    kind: Literal["DeleteRequest"] | None = None
    target_api_version: str | None = None
    dry_run: bool = False
    force: bool = False
    no_reconcile: bool = False
    confirm_within: Duration | None = None


@attrs.frozen
class RollbackRequest:
    """`POST /rollback`: to a generation; without one, to that before the latest."""

    api_version: ControlVersion | None = None
    kind: Literal["RollbackRequest"] | None = None
    to: int | None = None
    dry_run: bool = False
    no_reconcile: bool = False
    confirm_within: Duration | None = None


@attrs.frozen
class ConfirmRequest:
    """`POST /confirm`: keep the change on trial; with `extend`, have so much time from now to decide instead."""

    token: str = attrs.field(repr=False)
    api_version: ControlVersion | None = None
    kind: Literal["ConfirmRequest"] | None = None
    extend: Duration | None = None


# Results


@attrs.frozen
class FieldChange:
    """One field: its path (`spec.mtu`), and what it was and is to be. Secrets as `***`."""

    path: str
    before: Any = None
    after: Any = None


@attrs.frozen
class ResourceChange:
    """How a resource (`Kind/name`) differs between two configurations."""

    resource: str
    api_version: str
    change: Literal["added", "removed", "changed"]
    fields: Sequence[FieldChange] | None = None


@attrs.frozen
class Artifact:
    """A thing on the host (or a daemon), and what is done to it: `ensure`, `delete`, `start`, `stop`, `restart`."""

    kind: str
    name: str
    action: str


@attrs.frozen
class ResourceResult:
    """What a change does, or did, to one resource; `id` is `apiVersion/Kind/name`."""

    id: str
    phase: str
    outcome: Outcome | None = None
    observed: Mapping[str, str] | None = None
    plan: Sequence[str] | None = None
    artifacts: Sequence[Artifact] | None = None
    warnings: Sequence[str] | None = None
    conditions: Sequence[Mapping[str, Any]] | None = None


@attrs.frozen
class Orphan:
    """Something of which the store of objects knows, and that nothing declares any more."""

    kind: str
    name: str
    reason: str
    owner: str | None = None
    remediation: str | None = None
    observed: Mapping[str, str] | None = None


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
class Result:
    """What a change does, or did. `resources` is null where nothing was reconciled."""

    generation: int
    timestamp: Instant
    phase: str
    changed: bool
    resources: Sequence[ResourceResult] | None
    changes: Sequence[ResourceChange] | None = None
    restarts: Sequence[str] | None = None
    """Daemons that are started, stopped or restarted: `dhcpv4-client/wan`."""
    orphans: Sequence[Orphan] | None = None
    warnings: Sequence[str] | None = None
    pending: Pending | None = None
    event_id: int | None = None


@attrs.frozen
class GenerationItem:
    """One generation of the configuration. `hasYaml`: its text is kept."""

    generation: int
    started_at: Instant
    has_yaml: bool
    finished_at: Instant | None = None
    phase: str | None = None
    config_hash: str | None = None
    actor: str | None = None
    resource_count: int | None = None
    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    warnings: Sequence[str] | None = None
    """What of it is on the host although it was taken back."""
    reverted: bool | None = None
    """It was on trial, and was taken back."""
    restores: int | None = None
    """It went back to this generation."""


# Answers


@attrs.frozen(kw_only=True)
class ApplyResult:
    """`POST /apply`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["ApplyResult"] = "ApplyResult"
    result: Result


@attrs.frozen(kw_only=True)
class PlanResult:
    """`POST /plan`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["PlanResult"] = "PlanResult"
    result: Result


@attrs.frozen(kw_only=True)
class ValidateResult:
    """`POST /validate`. `error` is the first of `errors`, in a sentence."""

    api_version: ControlVersion = CONTROL
    kind: Literal["ValidateResult"] = "ValidateResult"
    valid: bool
    warnings: Sequence[str] | None = None
    error: str | None = None
    errors: Sequence[ConfigProblem] | None = None


@attrs.frozen(kw_only=True)
class RollbackResult:
    """`POST /rollback`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["RollbackResult"] = "RollbackResult"
    result: Result


@attrs.frozen(kw_only=True)
class DeleteResult:
    """`POST /delete`: ids of what is (to be) deleted, and what else follows."""

    api_version: ControlVersion = CONTROL
    kind: Literal["DeleteResult"] = "DeleteResult"
    deleted: Sequence[str] | None = None
    artifacts: Sequence[Artifact] | None = None
    dry_run: bool | None = None
    result: Result | None = None


@attrs.frozen(kw_only=True)
class Generations:
    """`GET /generations`, the newest first. `current` is in force; `waiting` is written and not loaded yet."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Generations"] = "Generations"
    current: int
    waiting: int | None = None
    pending: Pending | None = None
    items: Sequence[GenerationItem]


@attrs.frozen(kw_only=True)
class Generation:
    """`GET /generations/{n}`: how it differs from the one before; its text for admins only."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Generation"] = "Generation"
    generation: GenerationItem
    changes: Sequence[ResourceChange] | None = None
    yaml: str | None = None


@attrs.frozen(kw_only=True)
class ConfirmResult:
    """`POST /confirm`: `confirmed`, or else until when there is time."""

    api_version: ControlVersion = CONTROL
    kind: Literal["ConfirmResult"] = "ConfirmResult"
    generation: int
    confirmed: bool
    confirm_by: Instant | None = None
