"""Resources as the API shows them: what the configuration wants, what the object store knows, what the log tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routerd.api.operation import Call
from routerd.api.plane import Running
from routerd.api.refusal import Refusal
from routerd.api.standing import decoration, document_status
from routerd.api.wire_resources import ResourceEvent, ResourceView
from routerd.config import Router
from routerd.config.router import DOCUMENT
from routerd.events.log import Log
from routerd.events.types import Filter, Ref, Status, StoredEvent, StoredObject, ref_of
from routerd.resources.kinds import kind_named
from routerd.resources.resource import Resource
from routerd.shapes.convert import to_wire
from routerd.shapes.instant import Instant
from routerd.shapes.invalid import did_you_mean


def known_refs(router: Router, log: Log) -> list[Ref]:
    """Every resource that is declared, or that something is known of, by kind and name."""
    declared = {ref_of(one) for one in router.resources}
    stored = {one.ref for one in log.objects.all() if one.ref.kind != DOCUMENT}
    return sorted(declared | stored, key=lambda ref: (ref.kind, ref.name))


def matching(call: Call, kind: str | None, name: str | None) -> Iterator[Ref]:
    """The known resources of a kind (as an operator types it) and name."""
    wanted = None if kind is None else kind_named(kind) or kind
    for ref in known_refs(call.plane.running.router, call.plane.log):
        if wanted in (None, ref.kind) and name in (None, ref.name):
            yield ref


def one_matching(call: Call, target: str) -> Ref:
    """The resource `Kind/name`. Raises Refusal."""
    kind, slash, name = target.partition("/")
    if not (kind and slash and name):
        hint = "for example DHCPv4Client/wan"
        raise Refusal(400, "query.target", "target must be Kind/name", field="target", hint=hint)
    document = kind_named(kind) is None and kind.lower() == DOCUMENT.lower()
    stored = call.plane.log.objects.of_kind(DOCUMENT) if document else []
    found = [one.ref for one in stored if one.ref.name == name] or list(matching(call, kind, name))
    if len(found) != 1:
        raise _none_or_many(call, kind, name, len(found))
    return found[0]


def _none_or_many(call: Call, kind: str, name: str, count: int) -> Refusal:
    words = f"describe expected one resource, got {count}"
    if count:
        return Refusal(400, "query.target", words, field="target")
    words = f"there is no {kind[:60]}/{name[:60]}"
    return Refusal(404, "not-found", words, field="target", hint=meant(call, kind, name) or None)


def meant(call: Call, kind: str, name: str) -> str:
    """A hint that names the known resource closest to this one, if one is close."""
    known = [str(ref) for ref in known_refs(call.plane.running.router, call.plane.log)]
    return did_you_mean(f"{kind_named(kind) or kind}/{name}", known)


async def view(call: Call, ref: Ref, events: int) -> ResourceView:
    """One resource with its last `events` events, the newest first. Secrets in its spec are redacted by their type."""
    plane = call.plane
    declared = next((one for one in plane.running.router.of(ref.kind) if one.name == ref.name), None)
    stored: StoredObject | None = plane.log.objects.get(ref)
    page = await plane.log.tail(events, Filter(resource=ref)) if events else None
    return ResourceView(
        ref.api_version,
        ref.kind,
        ref.name,
        resource_version=stored.version if stored is not None else None,
        spec=to_wire(declared.spec) if declared is not None else None,
        status=_status(plane.running, ref, declared, stored) if stored is not None else None,
        events=[_event(one, ref) for one in reversed(page.events)] if page is not None else None,
    )


def _status(running: Running, ref: Ref, declared: Resource[Any] | None, stored: StoredObject) -> Status:
    """What is known of a resource, and what follows from the configuration."""
    status = document_status(running, stored.status) if ref == ref_of(running.router) else stored.status
    return status if declared is None else {**status, **decoration(declared)}


def _event(stored: StoredEvent, ref: Ref) -> ResourceEvent:
    event = stored.event
    return ResourceEvent(
        id=stored.id,
        api_version=ref.api_version,
        kind=ref.kind,
        name=ref.name,
        type=event.topic,
        reason=event.reason,
        message=event.message,
        generation=event.generation,
        created_at=Instant(stored.created_at),
    )
