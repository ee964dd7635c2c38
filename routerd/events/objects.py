"""The last status of every object: a map in memory, changed only together with the events that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import orjson
import trio

from routerd.events.types import Event, Ref, Source, Status, StoredObject
from routerd.shapes.instant import format_instant

STORE = Source("routerd", "routerd", "store")

RECORD = "Generation"
"""A kind of objects that are history, not state: found by whoever asks for the kind, and told of by events of their
own."""

_VOLATILE_NAMES = (
    "updatedAt observedAt installedAt lastCheckedAt lastTransitionAt lastLeaseAt lastRenewAt lastAppliedAt renewAt "
    "rebindAt expiresAt expiresAtMonotonic consecutivePassed consecutiveFailed createdHint packetRing conditions "
    "mtuObservedAt observed ownerKey ownerRef ownerRefs lifecycleClass syncedAt resolvedAt nextRefreshAt "
    "preferredUntil preferredUntilMonotonic validUntil validUntilMonotonic untilMonotonic refreshAt"
)
_VOLATILE = frozenset(_VOLATILE_NAMES.split())
_VOLATILE_OF_KIND = {
    "HealthCheck": frozenset({"lastSuccessTime"}),
    "LogRetention": frozenset({"lastRunAt", "deleted"}),
    "Telemetry": frozenset({"sentEvents", "rejectedEvents", "droppedEvents", "sentReports", "failedRequests"}),
    "EventRule": frozenset({"fireCount", "lastFiredAt", "lostEvents", "warningCount"}),
}


class Objects:
    """What the objects are now. An object is seen here once the events that made it so are on disk (or as soon
    as they happened, while the log is degraded)."""

    def __init__(self, objects: Iterable[StoredObject] = ()) -> None:
        self._objects = {stored.ref: stored for stored in objects}
        self.version = 0
        """How often anything has changed since the log was opened."""
        self._moved = trio.Event()

    def get(self, ref: Ref) -> StoredObject | None:
        """The object, if it is there."""
        return self._objects.get(ref)

    def of_kind(self, kind: str) -> list[StoredObject]:
        """All of one kind, by name."""
        return sorted((o for o in self._objects.values() if o.ref.kind == kind), key=lambda o: o.ref.name)

    def all(self) -> list[StoredObject]:
        """All that are state, by kind and name."""
        return [stored for stored in self.everything() if stored.ref.kind != RECORD]

    def everything(self) -> list[StoredObject]:
        """These and the records, by kind and name."""
        return sorted(self._objects.values(), key=lambda o: (o.ref.kind, o.ref.name))

    async def changed(self, seen: int) -> int:
        """Return the version once it is not `seen` any more. Unlike waiting for an event this also sees changes that
        are not worth one (a renewed lifetime), and those made while the log is degraded."""
        await trio.lowlevel.checkpoint()
        while self.version == seen:
            await self._moved.wait()
        return self.version

    def apply(self, changes: Mapping[Ref, StoredObject | None]) -> None:
        """For the log alone: what is new, what is different, and (None) what is gone."""
        for ref, stored in changes.items():
            if stored is None:
                self._objects.pop(ref, None)
            else:
                self._objects[ref] = stored
        if changes:
            self.version += 1
            self._moved.set()
            self._moved = trio.Event()


def settled(before: Status | None, status: Status, now: int) -> Status:
    """`status` as it will be read again from disk (plain JSON values), each condition with the time at which its
    `status` last changed. Raises TypeError for what JSON cannot say, a Secret among it."""
    after: dict[str, Any] = plain(dict(status))
    if "conditions" in after:
        known = {condition["type"]: condition for condition in (before or {}).get("conditions", ())}
        after["conditions"] = [_dated(known.get(c["type"]), c, now) for c in after["conditions"]]
    return after


def plain(value: Any) -> Any:
    """`value` as JSON says it. Raises TypeError for what it cannot say."""
    return orjson.loads(orjson.dumps(value))


def _dated(before: Mapping[str, Any] | None, condition: Mapping[str, Any], now: int) -> dict[str, Any]:
    steady = before is not None and before["status"] == condition["status"]
    since = before["lastTransitionTime"] if before is not None and steady else format_instant(now)
    return {**condition, "lastTransitionTime": since}


def changed_fields(ref: Ref, before: Status, after: Status) -> list[str]:
    """The names of the fields that differ, sorted, without those that change all the time (contract §3.5), also where
    they stand in another one: a router advertises the same for a while longer."""
    volatile = _VOLATILE | _VOLATILE_OF_KIND.get(ref.kind, frozenset())
    was, is_now = _steady(before, volatile), _steady(after, volatile)
    missing = object()
    return sorted(
        field for field in was.keys() | is_now.keys() if was.get(field, missing) != is_now.get(field, missing)
    )


def _steady(value: Any, volatile: frozenset[str]) -> Any:
    match value:
        case Mapping():
            return {name: _steady(inner, volatile) for name, inner in value.items() if name not in volatile}
        case list():
            return [_steady(inner, volatile) for inner in value]
    return value


def changed_conditions(before: Status, after: Status) -> list[str]:
    """The types of the conditions whose `status` differs, sorted: they are not among the fields that count, but what
    they say is what somebody waits for."""
    was, is_now = _conditions(before), _conditions(after)
    return sorted(kind for kind in is_now if was.get(kind) != is_now[kind])


def _conditions(status: Status) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status.get("conditions", ())}


@attrs.frozen
class Change:
    """An object that differs: `before` None if it is new; the names of its fields and conditions that changed."""

    ref: Ref
    before: Status | None
    after: Status
    fields: list[str]
    conditions: list[str]

    @property
    def attributes(self) -> dict[str, str]:
        """As its event has them."""
        phases = {"phase": self.after.get("phase"), "previousPhase": (self.before or {}).get("phase")}
        told = {key: str(phase) for key, phase in phases.items() if phase is not None}
        told["changedFields"] = ",".join(self.fields)
        return told | ({"changedConditions": ",".join(self.conditions)} if self.conditions else {})

    @property
    def message(self) -> str:
        """In a sentence."""
        attributes = self.attributes
        was, is_now = attributes.get("previousPhase", "new"), attributes.get("phase", "without a phase")
        if was != is_now:
            return f"{was} → {is_now}"
        return f"{is_now}: {', '.join([*self.fields, *self.conditions])} changed"


def status_changed(change: Change, causes: tuple[int, ...], given: Event | None, now: int) -> Event:
    """`routerd.resource.status.changed` (contract §3.5). `given` is the last of its causes: what it makes true was
    wanted by the same actor at the same moment."""
    observed = change.after.get("observedGeneration")
    return Event(
        topic="routerd.resource.status.changed",
        reason="StatusChanged",
        message=change.message,
        resource=change.ref,
        source=STORE,
        attributes=change.attributes,
        causes=causes,
        actor=given.actor if given else "routerd",
        generation=given.generation if given and given.generation is not None else observed,
        time=given.time if given else now,
    )
