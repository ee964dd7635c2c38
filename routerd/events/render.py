"""Stored events as the wire has them: `StoredEvent` (contract §1.7) for the control API, `DaemonEvent` (§2.1) for the
daemon sockets and the journals. What is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routerd.events.types import Event, Ref, Source, StoredEvent
from routerd.shapes.instant import format_instant

DAEMON_API = "daemon.routerd.net/v1alpha1"
_ROUTERD = Source("routerd", "routerd")


def daemon_event(stored: StoredEvent) -> dict[str, Any]:
    """`DaemonEvent`. `cursor` is the source's own count, `time` when it happened; an event without a source is
    routerd's."""
    event = stored.event
    source = event.source or _ROUTERD
    return _known(
        apiVersion=DAEMON_API,
        kind="DaemonEvent",
        cursor=str(stored.source_cursor) if stored.source_cursor is not None else None,
        time=format_instant(event.time),
        daemon=_known(name=source.name, kind=source.kind, instance=source.instance),
        resource=_reference(event.resource),
        topic=event.topic,
        type=event.topic,
        severity=event.severity,
        reason=event.reason,
        message=event.message,
        attributes=_attributes(event),
    )


def stored_event(stored: StoredEvent) -> dict[str, Any]:
    """`StoredEvent`, with what a row of ours knows beyond it: `time`, `sourceName`, `sourceCursor`, `resource`,
    `causes`, `actor`."""
    event = stored.event
    source = event.source
    resource = event.resource
    names = (resource.api_version, resource.kind, resource.name) if resource is not None else (None, None, None)
    return _known(
        id=stored.id,
        apiVersion=names[0],
        kind=names[1],
        name=names[2],
        type=event.topic,
        topic=event.topic,
        reason=event.reason,
        message=event.message,
        generation=event.generation,
        createdAt=format_instant(stored.created_at),
        time=format_instant(event.time),
        sourceName=source.name if source is not None else None,
        sourceKind=source.kind if source is not None else None,
        sourceInstance=source.instance if source is not None else None,
        sourceCursor=str(stored.source_cursor) if stored.source_cursor is not None else None,
        resource=_reference(resource),
        resourceApiVersion=names[0],
        resourceKind=names[1],
        resourceName=names[2],
        severity=event.severity,
        attributes=_attributes(event),
        causes=list(event.causes),
        actor=event.actor,
    )


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}


def _reference(resource: Ref | None) -> dict[str, str] | None:
    if resource is None:
        return None
    return {"apiVersion": resource.api_version, "kind": resource.kind, "name": resource.name}


def _attributes(event: Event) -> Mapping[str, str]:
    """Flat, with the resource among them (contract, rule 1)."""
    if event.resource is None:
        return event.attributes
    return {**event.attributes, "resource.kind": event.resource.kind, "resource.name": event.resource.name}
