"""`GET /why`: from the present phase of a resource back to its root (docs/design.md, "Causes")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from quart.wrappers import Response

from routerd.api import events
from routerd.api.advice import Case, advise, is_troubled, suffers
from routerd.api.operation import Call, answer, text
from routerd.api.plane import Plane
from routerd.api.resources import one_matching
from routerd.api.standing import document_status
from routerd.api.wire import encode
from routerd.api.wire_why import Why
from routerd.config.router import DOCUMENT
from routerd.events.chain import ALARM_KINDS, Cause, Chain, build, wanted
from routerd.events.log import Log
from routerd.events.render import stored_event
from routerd.events.types import Event, Filter, Ref, Status, StoredEvent
from routerd.shapes.convert import to_wire
from routerd.shapes.instant import Instant, format_instant

LOOKED_AT = 200
"""How many changes of a status are looked at for the one that made the phase, and how many alarms for the same root."""
OTHERS = 1000
"""How many resources that are in trouble."""
LEVELS = 50
EVENTS = 2000
"""How far back a chain is followed."""

CHANGED = "routerd.resource.status.changed"
ACTS = (
    "routerd.lan.ipv4_address.applied",
    "routerd.lan.address.applied",
    "routerd.ipv4.route.installed",
    "routerd.ipv6.route.installed",
)
_LISTS = ("addresses", "ipv4Addresses", "ipv6Addresses", "primaryIPv4", "primaryIPv6", "prefixes", "routers")
BESIDE_THE_POINT = frozenset({"", "observedGeneration", "lastError", "message", "nextLookAt", *_LISTS})
"""Fields that may change while a resource is as it was."""
COURSE = frozenset({"reason", "state"})
"""Those that may besides, while a resource goes on to be as it should be: it renews, it asks for something."""

REJECTED = "routerd.configuration.rejected"

PARAMS = (text("target", "The resource, `Kind/name`.", required=True),)


async def get_why(call: Call) -> Response:
    """`GET /why`."""
    ref = one_matching(call, call.query["target"])
    with events.reading():
        return answer(encode(await explain(call.plane, ref)))


async def explain(plane: Plane, ref: Ref) -> dict[str, Any]:
    """The answer, on the wire. Raises OSError when the log cannot be read."""
    log, status = plane.log, _status(plane, ref)
    faulty = plane.running.pending_error if ref.kind == DOCUMENT else None
    changes = await _changes(log, ref, faulty is not None)
    reader, since = _Reader(log), _since(changes)
    start = await _start(log, ref, changes, BESIDE_THE_POINT if is_troubled(status) else BESIDE_THE_POINT | COURSE)
    chain = await reader.chain(start) if start is not None else None
    root, led = (reader.event(min(chain.root)), chain.passes) if chain is not None else (None, ())
    suppressed = await _suppressed(reader, ref, chain, since) if chain is not None and is_troubled(status) else ()
    why = Why(
        target=str(ref),
        phase=str(status["phase"]),
        since=Instant(since.event.time) if since is not None else None,
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        suppressed=suppressed,
        next=advise(Case(ref, status, root, lambda target: _status_of(log, target), faulty, led)),
        oldest=log.oldest,
    )
    wire: dict[str, Any] = to_wire(why)
    return wire | ({} if chain is None else {"chain": _wire(chain.top)})


def _status(plane: Plane, ref: Ref) -> Status:
    stored = plane.log.objects.get(ref)
    status: Status = {"phase": "Unknown", **(stored.status if stored is not None else {})}
    return document_status(plane.running, status) if ref.kind == DOCUMENT else status


async def _changes(log: Log, ref: Ref, faulty: bool) -> tuple[StoredEvent, ...]:
    """The last changes of the status; of a configuration that waits because it is faulty, its rejection."""
    rejections = await log.tail(1, Filter(topics=(REJECTED,), severity="error")) if faulty else None
    if rejections is not None and rejections.events:
        return rejections.events
    return (await log.tail(LOOKED_AT, Filter(topics=(CHANGED,), resource=ref))).events


# Where to begin


async def _start(log: Log, ref: Ref, changes: tuple[StoredEvent, ...], beside: frozenset[str]) -> int | None:
    """The event of the present phase: the last that changed it, a condition, or what the resource provides; or later,
    that what somebody else had undone was put back. Of an alarm: what it said last."""
    if ref.kind in ALARM_KINDS:
        said = (await log.tail(LOOKED_AT, Filter(resource=ref))).events
        return max((one.id for one in said if one.event.topic != CHANGED), default=_newest(changes))
    decisive = max((one.id for one in changes if _decides(one.event, beside)), default=_newest(changes))
    acts = (await log.tail(LOOKED_AT, Filter(topics=ACTS, resource=ref))).events
    restored = max((one.id for one in acts if one.event.reason == "Restored"), default=0)
    return max(restored, decisive or 0) or None


def _newest(found: tuple[StoredEvent, ...]) -> int | None:
    return found[-1].id if found else None


def _decides(event: Event, beside: frozenset[str]) -> bool:
    told = event.attributes
    other = told.get("phase") != told.get("previousPhase") or "changedConditions" in told
    return other or not beside.issuperset(told.get("changedFields", "").split(","))


def _since(changes: tuple[StoredEvent, ...]) -> StoredEvent | None:
    """With what the phase became what it is."""
    for one in reversed(changes):
        told = one.event.attributes
        if told.get("phase") != told.get("previousPhase") or one.event.topic == REJECTED:
            return one
    return None


# What leads there


@attrs.define(eq=False)
class _Reader:
    """Reads what chains need, each event once."""

    log: Log
    _known: dict[int, StoredEvent] = attrs.field(factory=dict)
    _asked: set[int] = attrs.field(factory=set)

    async def chain(self, start: int) -> Chain | None:
        """The chain from an event on; None: it is not in the log."""
        missing = {start} - self._asked
        for _ in range(LEVELS):
            if not missing or len(self._known) > EVENTS:
                break
            self._asked |= missing
            found = await self.log.of_ids(missing)
            self._known |= found
            missing = wanted(found.values(), self._asked)
        return build(start, self._known) if start in self._known else None

    def event(self, number: int) -> Event:
        """One of a chain."""
        return self._known[number].event


async def _suppressed(reader: _Reader, target: Ref, chain: Chain, since: StoredEvent | None) -> list[str]:
    """Who else is in trouble for the same root, or because of what this one has been since then; and which alarms were
    raised for that. Not who led there: the chain tells of them."""
    began = since.id if since is not None else chain.top.event.id
    others = (one for one in reader.log.objects.all() if one.ref.kind not in ALARM_KINDS and one.ref != target)
    starts = [(one.ref, one.version) for one in others if suffers(one.status)][:OTHERS]
    for kind in sorted(ALARM_KINDS):
        page = await reader.log.tail(LOOKED_AT, Filter(kind=kind))
        starts += _newest_of_each(one for one in page.events if one.id > max(chain.root))
    alike = set(chain.alarms)
    for ref, start in starts:
        other = await reader.chain(start)
        if other is not None and (other.root & chain.root or other.passes.get(target, 0) >= began):
            alike.add(ref)
    return sorted(str(ref) for ref in alike - {target} - chain.passes.keys())


def _newest_of_each(found: Iterable[StoredEvent]) -> list[tuple[Ref, int]]:
    newest: Mapping[Ref, int] = {one.event.resource: one.id for one in found if one.event.resource is not None}
    return list(newest.items())


# On the wire


def _wire(cause: Cause) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event": stored_event(cause.event),
        "root": cause.root,
        "causes": [_wire(one) for one in cause.causes],
    }
    if cause.alike:
        first, last = cause.alike[0], cause.alike[-1]
        told |= {"times": len(cause.alike), "firstId": first.id, "lastId": last.id}
        told |= {"from": format_instant(first.event.time), "to": format_instant(last.event.time)}
    if cause.missing:
        told["missing"] = cause.missing
    return told | ({"again": True} if cause.again else {})


def _status_of(log: Log, target: str) -> Status:
    return next((one.status for one in log.objects.all() if str(one.ref) == target), {})


def _text(status: Status, key: str) -> str | None:
    value = status.get(key)
    return value if isinstance(value, str) and value else None
