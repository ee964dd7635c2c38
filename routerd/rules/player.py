"""An EventRule's machine on the log's clock: stored events in, what the rule says out. Live and in history it is the
same one."""

from __future__ import annotations

from typing import Any

from routerd.events.types import Filter, Ref, StoredEvent
from routerd.protocols.machine import Tick
from routerd.resources.rules import EventRule
from routerd.rules.clock import STEP, LogClock
from routerd.rules.machine import Memory, Output, RuleMachine, Seen

FINE = 1000
"""Nanoseconds to which a time of this century in floating seconds is exact: a little late is not too early."""


def wanted(rule: EventRule) -> Filter:
    """The events that a rule reads: those that it looks at, and what is said of the clock."""
    expected = () if rule.pattern.expected is None else (rule.pattern.expected,)
    return Filter(topics=(*rule.pattern.inputs, *expected, STEP))


class Player:
    """`memory` and `clock` are those of an earlier player of the same rule. Raises Problems as RuleMachine does."""

    def __init__(self, name: str, rule: EventRule, memory: Memory | None = None, clock: LogClock | None = None) -> None:
        self._ref = Ref("EventRule", name)
        self._machine = RuleMachine(rule, memory)
        self.clock = clock or LogClock()

    @property
    def memory(self) -> dict[str, Any]:
        """What the machine remembers, as JSON says it."""
        return self._machine.memory

    @property
    def due(self) -> int | None:
        """When time alone leads to something, by the wall clock (ns)."""
        deadline = self._machine.deadline
        return None if deadline is None else self.clock.wall(deadline) + FINE

    def play(self, stored: StoredEvent) -> list[Output]:
        """What follows from the next event. What the rule itself said, or what is said of it, is not for its ears."""
        self.clock = self.clock.after(stored)
        mine = stored.event.resource == self._ref
        return self._machine.handle(Tick() if mine else Seen(stored), self.clock.now)

    def tick(self, wall: int) -> list[Output]:
        """What follows from nothing having been stored until the wall clock showed `wall` (ns)."""
        return self._machine.handle(Tick(), self.clock.at(wall))
