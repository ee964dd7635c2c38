"""The gate between what is declared and what is brought about: resources whose `when` or `dependsOn` is false are held,
and with them what cannot do without them. Pure.

What is not known decides nothing: who was let in stays in, who was held stays held, and whom nobody has decided on yet
in this life of routerd (`undecided`) is neither put nor withdrawn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from routerd.config import Router
from routerd.controllers.conditions import UNDECIDED, Look, Memory, Outcome, both, ref_of_key
from routerd.events.status import condition
from routerd.events.types import Ref, Status, ref_of
from routerd.resources.conditions import clauses
from routerd.resources.net import DHCPv4Client, Interface
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
)
from routerd.resources.resource import Resource, ValueFrom
from routerd.shapes.convert import fields_of
from routerd.shapes.instant import format_instant

WHEN_FALSE, DEPENDS_ON_FALSE = "WhenFalse", "DependsOnFalse"
HELD = frozenset({WHEN_FALSE, DEPENDS_ON_FALSE})
"""Reasons for which a resource is pending because the operator wants it so."""

STARTED_ON_A_YES = frozenset(
    kind.__name__
    for kind in (
        *(DHCPv4Client, DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information),
        *(IPv6RAAddress, IPv6RouterAdvertisement),
    )
)
"""Kinds of which a daemon runs: what an earlier life did does not count as letting it in."""

SECOND = 10**9


@attrs.frozen
class Held:
    """Why a resource is not let in: `reason` a word, `message` the clause that fails, with what it found. `next_look`:
    when time alone may change it."""

    reason: str
    message: str
    next_look: str | None = None

    def status(self, generation: int) -> Status:
        """The status of a resource that is held: nothing that its kind provides but the phase."""
        holds = None if self.reason == UNDECIDED else False
        return {
            "phase": "Pending",
            "reason": self.reason,
            "message": self.message,
            **({} if self.next_look is None else {"nextLookAt": self.next_look}),
            "observedGeneration": generation,
            "conditions": [condition("Admitted", holds, self.reason, generation, self.message)],
        }


@attrs.frozen
class Admission:
    """What is let in: `router` has those resources alone. `deadline`: when time alone may change it, on the host's
    clock."""

    router: Router
    held: Mapping[Ref, Held] = attrs.field(factory=dict)
    undecided: Mapping[Ref, Held] = attrs.field(factory=dict)
    grounds: Mapping[Ref, tuple[Ref, ...]] = attrs.field(factory=dict)
    """Of each resource that hangs on others, let in or not: the others."""
    deadline: float | None = None

    @cached_property
    def let_in(self) -> frozenset[Ref]:
        """The resources of `router`."""
        return frozenset(ref_of(resource) for resource in self.router.resources)


@attrs.frozen
class Past:
    """What the gate has to know of its last look."""

    admission: Admission | None = None
    memory: Memory = attrs.field(factory=Memory)


def admit(
    router: Router,
    objects: Mapping[Ref, Status],
    now: float,
    past: Past | None = None,
    unheard: Collection[Ref] = (),
    wall_offset: int = 0,
) -> tuple[Admission, Past]:
    """Whom of `router` to let in now. `unheard` are those whose status is still from an earlier life of routerd;
    `wall_offset` is ns since 1970 at `now` 0. For a look that shall have no consequences, drop the second value."""
    conditional = [(ref_of(resource), resource) for resource in router.resources if is_conditional(resource)]
    if not conditional:
        admission = Admission(router)
        return admission, Past(admission)
    past = past or Past()
    look = Look(objects, unheard, now, past.memory)
    fates: dict[Ref, Held] = {}
    deadlines = []
    grounds = {ref: tuple(_grounds(resource)) for ref, resource in conditional}
    for ref, resource in conditional:
        outcome, reason = _outcome(look, resource)
        deadlines += [] if outcome.deadline is None else [outcome.deadline]
        fate = _fate(ref, outcome, reason, past.admission, objects.get(ref), wall_offset)
        fates |= {} if fate is None else {ref: fate}
    _spread(router, fates, grounds)
    admission = Admission(
        _without(router, fates),
        {ref: fate for ref, fate in fates.items() if fate.reason != UNDECIDED},
        {ref: fate for ref, fate in fates.items() if fate.reason == UNDECIDED},
        grounds,
        min(deadlines, default=None),
    )
    return admission, Past(admission, look.memory)


def is_conditional(resource: Resource[Any]) -> bool:
    """Whether it says on what it hangs."""
    spec = resource.spec
    return getattr(spec, "when", None) is not None or bool(getattr(spec, "depends_on", ()))


def _grounds(resource: Resource[Any]) -> Iterator[Ref]:
    when = getattr(resource.spec, "when", None)
    yield from (ref_of_key(key) for _, key, _ in clauses(when)) if when is not None else ()
    yield from (ref_of_key(one.key) for one in getattr(resource.spec, "depends_on", ()))


def _outcome(look: Look, resource: Resource[Any]) -> tuple[Outcome, str]:
    """Whether it may be let in, and the reason for which it is held if not."""
    when = getattr(resource.spec, "when", None)
    condition = Outcome(True) if when is None else look.when(when)
    dependencies = both([look.dependency(one) for one in getattr(resource.spec, "depends_on", ())])
    return both([condition, dependencies]), WHEN_FALSE if condition.holds is False else DEPENDS_ON_FALSE


def _fate(
    ref: Ref, outcome: Outcome, reason: str, before: Admission | None, stored: Status | None, wall_offset: int
) -> Held | None:
    """Why a resource is not let in; None: it is."""
    if outcome.holds:
        return None
    next_look = None if outcome.deadline is None else _instant(outcome.deadline, wall_offset)
    if outcome.holds is False:
        return Held(reason, outcome.words, next_look)
    undecided = Held(UNDECIDED, outcome.words, next_look)
    if before is not None and ref in before.let_in:
        return None
    if before is not None and ref in before.held:
        return attrs.evolve(before.held[ref], next_look=next_look)
    return _of_earlier_life(ref, stored, undecided)


def _of_earlier_life(ref: Ref, stored: Status | None, undecided: Held) -> Held | None:
    """What was decided before this life of routerd stands, as far as it was decided."""
    if stored is None or stored.get("reason") == UNDECIDED:
        return undecided
    if stored.get("reason") in HELD:
        return attrs.evolve(undecided, reason=stored["reason"], message=stored.get("message", ""))
    return undecided if ref.kind in STARTED_ON_A_YES else None


def _spread(router: Router, fates: dict[Ref, Held], grounds: dict[Ref, tuple[Ref, ...]]) -> None:
    """Who cannot do without somebody who is not let in is not let in either; held comes before undecided."""
    needed_by = _dependents(router) if fates else {}
    for undecided in (False, True):
        reached = [ref for ref, fate in fates.items() if (fate.reason == UNDECIDED) is undecided]
        while reached:
            ref = reached.pop()
            for dependent in needed_by.get((ref.kind, ref.name), ()):
                known = fates.get(dependent)
                if known is None or (known.reason == UNDECIDED and not undecided):
                    fates[dependent] = attrs.evolve(fates[ref], message=_because(ref, fates[ref]))
                    grounds[dependent] = (*grounds.get(dependent, ()), *grounds.get(ref, ()))
                    reached.append(dependent)


def _because(ref: Ref, fate: Held) -> str:
    return fate.message if " waits: " in fate.message else f"{ref} waits: {fate.message}"


def _dependents(router: Router) -> Mapping[tuple[str, str], list[Ref]]:
    """By kind and name, who cannot do without that resource."""
    interfaces = {resource.name for resource in router.of(Interface)}
    found: dict[tuple[str, str], list[Ref]] = {}
    for resource in router.resources:
        for needed in _needed(resource, interfaces):
            found.setdefault(needed, []).append(ref_of(resource))
    return found


def _needed(resource: Resource[Any], interfaces: Collection[str]) -> Iterator[tuple[str, str]]:
    """Those without whom a resource cannot be: the interface that it lies on, and whose value it must have."""
    cls: Any = type(resource.spec)
    for wire, field in fields_of(cls).items():
        value = getattr(resource.spec, field.name)
        if isinstance(value, ValueFrom) and not value.optional:
            yield value.kind, value.name
        elif isinstance(value, str) and field.metadata.get("refers") is not None:
            yield field.metadata["refers"], value
        elif wire == "device" and value in interfaces:
            yield Interface.__name__, value


def _without(router: Router, fates: Mapping[Ref, Held]) -> Router:
    if not fates:
        return router
    return attrs.evolve(router, resources=tuple(one for one in router.resources if ref_of(one) not in fates))


def _instant(moment: float, wall_offset: int) -> str:
    """To the second, upwards: two readings of one moment must not differ."""
    at = wall_offset + round(moment * 1e3) * 10**6
    return format_instant(-(-at // SECOND) * SECOND)
