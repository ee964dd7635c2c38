"""An EventRule as a machine (`routerd.protocols.machine`): events in, firings out. What it remembers is a value that
JSON can say, so that it goes on after a restart as if there had been none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from routerd.events.topics import matches
from routerd.events.types import Event, StoredEvent
from routerd.protocols.machine import Dropped, Start, Stop, Tick
from routerd.resources.rules import EventPattern, EventRule
from routerd.rules.counting import AnyOf, Throttle, Window
from routerd.rules.meeting import AllOf, Sequence
from routerd.rules.silence import Absence, Debounce, Wait
from routerd.rules.step import Firing, Mark, Operator
from routerd.rules.template import expanded, value_of, wanted
from routerd.shapes.convert import from_wire, to_wire

MOST_KEYS = 4096
"""Correlation keys that one rule tells apart at a time."""
UNCORRELATED = "default"
"""The key of a rule that correlates by nothing."""


@attrs.frozen
class Seen:
    """An event that was read."""

    stored: StoredEvent


@attrs.frozen
class Fired:
    """The pattern is complete. `at` is when, `inputs` are the ids of the events, `attributes` those of the event that
    follows."""

    at: float
    correlation: str
    inputs: tuple[int, ...]
    count: int
    attributes: Mapping[str, str]


@attrs.frozen
class Suppressed:
    """It would have fired, but `rate` was reached."""

    at: float
    correlation: str


@attrs.frozen
class Forgotten:
    """There were too many correlation keys; what was half seen under this one is lost."""

    correlation: str


@attrs.frozen
class Held:
    """What was seen under one correlation key: a state of the rule's operator, as JSON says it."""

    key: str
    state: Any


@attrs.frozen
class Memory:
    """All that a rule remembers: when it fired within the interval of `rate`, and its keys, the one that was touched
    last at the end."""

    fired_at: tuple[float, ...] = ()
    keys: tuple[Held, ...] = ()


Output = Fired | Suppressed | Forgotten | Dropped[StoredEvent]


def operator_of(pattern: EventPattern) -> Operator[Any]:
    """What the pattern's operator means."""
    span = pattern.span if pattern.span is not None else 0.0
    match pattern.operator:
        case "all_of":
            return AllOf(pattern.inputs, pattern.span)
        case "any_of":
            return AnyOf()
        case "sequence":
            return Sequence(pattern.inputs, pattern.span, pattern.strict)
        case "window":
            return Window(pattern.least, span)
        case "count":
            return Window(pattern.least, None)
        case "absence":
            return Absence(pattern.expected, span)
        case "throttle":
            return Throttle(span)
        case "debounce":
            return Debounce(span)


class RuleMachine:
    """One rule. `memory` is what an earlier machine of the same rule remembered; raises Problems for anything else.

    Its clock is that of the events (`rules.clock`). A pattern that is complete at a deadline is so at that time,
    however late the Tick: an event that comes later finds it fired. Ticks change when things are said, never what."""

    def __init__(self, rule: EventRule, memory: Memory | None = None) -> None:
        memory = memory or Memory()
        self._pattern, self._emit = rule.pattern, rule.emit
        self._operator = operator_of(rule.pattern)
        self._globs = (*rule.pattern.inputs, *filter(None, (rule.pattern.expected,)))
        self._variables = wanted(rule.emit.attributes.values())
        self._fired_at = memory.fired_at
        self._states = {held.key: from_wire(self._operator.state, held.state) for held in memory.keys}
        self._wires = {held.key: held.state for held in memory.keys}

    @property
    def memory(self) -> dict[str, Any]:
        """What it remembers, as JSON says a Memory."""
        # There may be thousands of keys, of which few have changed since this was asked for the last time.
        self._wires = {key: self._wires.get(key) or to_wire(state) for key, state in self._states.items()}
        keys = [{"key": key, "state": wire} for key, wire in self._wires.items()]
        return {"firedAt": list(self._fired_at), "keys": keys}

    @property
    def deadline(self) -> float | None:
        """When a Tick is due."""
        first = next(iter(self._states.values()), None)
        return first.until if isinstance(first, Wait) else None

    def handle(self, event: Seen | Start | Stop | Tick, now: float) -> list[Output]:
        """Take one input; what follows from it, in order."""
        outputs = list(self._overdue(now))
        if isinstance(event, Seen):
            outputs += self._seen(event.stored, now)
        return outputs

    def _overdue(self, now: float) -> Iterator[Output]:
        while (due := self.deadline) is not None and due <= now:
            key = next(iter(self._states))
            yield self._fire(key, self._taken(key).firing, due)

    def _seen(self, stored: StoredEvent, now: float) -> Iterator[Output]:
        if not any(matches(glob, stored.event.topic) for glob in self._globs):
            yield Dropped("other-topic", stored)
            return
        key = self._key(stored.event)
        if key is None:
            yield Dropped("no-correlation", stored)
            return
        values = {name: value_of(stored.event, name) or "" for name in self._variables}
        step = self._operator.seen(self._taken(key), Mark(stored.id, stored.event.topic, values), now)
        if step.state is not None:
            yield from self._room(now)
            self._states[key] = step.state
        if step.firing is not None:
            yield self._fire(key, step.firing, now)

    def _key(self, event: Event) -> str | None:
        by = self._pattern.correlate_by
        value = value_of(event, by) if by is not None else UNCORRELATED
        return value or ("" if self._pattern.allow_missing_correlation else None)

    def _room(self, now: float) -> Iterator[Output]:
        """Make room for one key more."""
        if len(self._states) >= MOST_KEYS:
            key = next(iter(self._states))
            if not self._operator.lapsed(self._taken(key), now):
                yield Forgotten(key)

    def _taken(self, key: str) -> Any:
        """What was seen under a key, which then is nothing any more."""
        self._wires.pop(key, None)
        return self._states.pop(key, None)

    def _fire(self, key: str, firing: Firing, at: float) -> Output:
        rate = self._pattern.rate
        if rate is not None:
            lately = tuple(before for before in self._fired_at if at - before < self._pattern.rate_interval)
            if len(lately) >= rate:
                return Suppressed(at, key)
            self._fired_at = (*lately, at)
        values = {**firing.mark.values, "correlation": key, "count": str(firing.count)}
        attributes = {**expanded(self._emit.attributes, values), "correlation": key}
        return Fired(at, key, firing.inputs, firing.count, attributes)
