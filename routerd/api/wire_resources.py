"""Shapes of what there is and what happened (contract §1.4, §1.7): resources, events, generations in short.

As in `wire`: absent means not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from routerd.api.wire import CONTROL, ControlVersion, Metadata
from routerd.api.wire_status import RouterStatus
from routerd.events.types import Severity
from routerd.shapes.instant import Instant


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
