"""A DerivedEvent as a machine: what its inputs say goes in, assertions and retractions come out. Its state is a value,
for `to_wire` and `from_wire`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from routerd.events.types import StoredObject
from routerd.protocols.machine import Start, Stop, Tick
from routerd.resources.derived import DerivedCondition, DerivedEvent

Look = Callable[[str, str], StoredObject | None]
"""The object of a kind and name."""


@attrs.frozen
class Observed:
    """Which of the inputs hold, and the ids of the events that made them what they are."""

    truths: tuple[bool, ...]
    causes: tuple[int, ...] = ()


@attrs.frozen
class Turned:
    """It was asserted, or retracted, because of these events."""

    asserted: bool
    causes: tuple[int, ...]


@attrs.frozen
class Turning:
    """It is about to be, unless that ends before `hysteresis` is over. `since` is when it began."""

    since: float
    causes: tuple[int, ...]


@attrs.frozen
class DerivedState:
    """`asserted` None: it has not been looked at yet. `ever`: it was asserted at some time."""

    asserted: bool | None = None
    ever: bool = False
    turning: Turning | None = None


class DerivedMachine:
    """One DerivedEvent. Its `state` is all that it remembers."""

    def __init__(self, spec: DerivedEvent, state: DerivedState | None = None) -> None:
        self._spec = spec
        self.state = state or DerivedState()

    @property
    def deadline(self) -> float | None:
        """When a Tick is due."""
        turning = self.state.turning
        return turning.since + self._spec.hysteresis if turning is not None else None

    @property
    def phase(self) -> Literal["Asserted", "Retracted", "Pending", "Inactive"]:
        """Pending while it turns; Inactive as long as it was never asserted."""
        if self.state.turning is not None:
            return "Pending"
        if self.state.asserted:
            return "Asserted"
        return "Retracted" if self.state.ever else "Inactive"

    def handle(self, event: Observed | Start | Stop | Tick, now: float) -> list[Turned]:
        """Take one input; what follows from it, in order."""
        self._believe(now)
        outputs = self._overdue(now)
        if isinstance(event, Observed):
            outputs += self._observed(event, now)
        return outputs

    def _believe(self, now: float) -> None:
        """A clock that was set back may not keep it turning for as long."""
        turning = self.state.turning
        if turning is not None and now < turning.since:
            self.state = attrs.evolve(self.state, turning=attrs.evolve(turning, since=now))

    def _overdue(self, now: float) -> list[Turned]:
        due, turning = self.deadline, self.state.turning
        if turning is None or due is None or due > now:
            return []
        return [self._turn(not self.state.asserted, turning.causes)]

    def _observed(self, event: Observed, now: float) -> list[Turned]:
        emits = all(event.truths) if self._spec.emit_when == "all_true" else any(event.truths)
        if self.state.asserted is None:
            turned = self._turn(emits, event.causes)
            return [turned] if self._spec.emit_initial else []
        retracts = not all(event.truths) if self._spec.retracts == "any_false" else not any(event.truths)
        if not (retracts if self.state.asserted else emits):
            self.state = attrs.evolve(self.state, turning=None)
            return []
        if not self._spec.hysteresis:
            return [self._turn(not self.state.asserted, event.causes)]
        if self.state.turning is None:
            self.state = attrs.evolve(self.state, turning=Turning(now, event.causes))
        return []

    def _turn(self, asserted: bool, causes: tuple[int, ...]) -> Turned:
        self.state = DerivedState(asserted, self.state.ever or asserted)
        return Turned(asserted, causes)


def observed(spec: DerivedEvent, look: Look) -> Observed:
    """What the statuses say now. What is not there is empty, and equals nothing."""
    truths = tuple(
        any(all(_holds(one, look) for one in alternative) for alternative in given.alternatives)
        for given in spec.inputs
    )
    objects = (look(*one.place[:2]) for one in spec.conditions)
    return Observed(truths, tuple(sorted({stored.version for stored in objects if stored is not None})))


def _holds(condition: DerivedCondition, look: Look) -> bool:
    kind, name, field = condition.place
    stored = look(kind, name)
    value: Any = stored.status if stored is not None else None
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if condition.not_empty is not None:
        return (value not in (None, "", [], {})) is condition.not_empty
    return isinstance(value, bool) is isinstance(condition.equals, bool) and bool(value == condition.equals)
