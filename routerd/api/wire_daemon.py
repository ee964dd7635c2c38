"""Shapes of what a managed daemon answers at its own socket (contract §2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from routerd.api.plane import DaemonPhase, Health
from routerd.api.wire_resources import ResourceRef
from routerd.events.types import Severity
from routerd.shapes.instant import Instant

DAEMON: Final = "daemon.routerd.net/v1alpha1"
DaemonVersion = Literal["daemon.routerd.net/v1alpha1"]


@attrs.frozen
class DaemonRef:
    """A managed daemon."""

    name: str
    kind: str
    instance: str | None = None


@attrs.frozen
class ResourceStatus:
    """How a daemon sees its resource."""

    resource: ResourceRef
    phase: str
    health: Health
    since: Instant
    conditions: Sequence[Mapping[str, Any]]
    observed: Mapping[str, str] | None = None


@attrs.frozen(kw_only=True)
class DaemonStatus:
    """`GET /v1/status`."""

    api_version: DaemonVersion = DAEMON
    kind: Literal["DaemonStatus"] = "DaemonStatus"
    daemon: DaemonRef
    generation: int | None = None
    phase: DaemonPhase
    health: Health
    since: Instant
    conditions: Sequence[Mapping[str, Any]] | None = None
    resources: Sequence[ResourceStatus] | None = None
    observed: Mapping[str, str] | None = None


@attrs.frozen
class DaemonHealth:
    """`GET /v1/healthz`: 200, or 503 with the reason."""

    status: Literal["ok", "failed"]
    reason: str | None = None


@attrs.frozen(kw_only=True)
class DaemonEvent:
    """An event as its daemon tells it; `cursor` counts the events of this daemon."""

    api_version: DaemonVersion = DAEMON
    kind: Literal["DaemonEvent"] = "DaemonEvent"
    cursor: str | None = None
    time: Instant
    daemon: DaemonRef
    resource: ResourceRef | None = None
    type: str
    topic: str
    severity: Severity
    reason: str | None = None
    message: str | None = None
    attributes: Mapping[str, str] | None = None


@attrs.frozen
class DaemonEvents:
    """`GET /v1/events`."""

    cursor: str
    events: Sequence[DaemonEvent]
    lost: int
    oldest: str
    """The cursor of the first event that is left."""
    newest: str
    """Of the last; "0" when it has said nothing yet."""


@attrs.frozen
class CommandRequest:
    """The body of a command. All of it may be left out: the path says which."""

    api_version: DaemonVersion | None = None
    kind: Literal["CommandRequest"] | None = None
    command: str | None = None
    resource: ResourceRef | None = None
    attributes: Mapping[str, str] | None = None


@attrs.frozen(kw_only=True)
class CommandResult:
    """How a command ended: attributes `eventId` (of the event that ended it; while `pending`, of the one that began
    it), `succeeded`, `pending`."""

    api_version: DaemonVersion = DAEMON
    kind: Literal["CommandResult"] = "CommandResult"
    command: str
    accepted: bool
    pending: bool | None = None
    message: str | None = None
    attributes: Mapping[str, str] | None = None
