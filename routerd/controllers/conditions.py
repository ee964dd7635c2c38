"""Whether `when` and `dependsOn` hold at one moment, in three values: yes, no, and not known (None). Pure.

Nothing is polled: what `for` and `maxAge` will change by time alone has a deadline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from routerd.events.types import Ref, Status
from routerd.resources.conditions import Dependency, StateKey, StateMatch, When, state_key
from routerd.resources.kinds import KINDS
from routerd.shapes.duration import format_duration

UNDECIDED = "Undecided"
"""The reason of a status of which the gate does not know yet whether it may let the resource in."""

SILENT = frozenset({"Starting", "CrashLoop", UNDECIDED})
"""Reasons of a status behind which nobody is there to say what is true."""

AS_GOOD = {"Bound": frozenset({"Bound", "Refreshing", "Rebinding"})}
"""Phases that a dependency on a phase takes as well: who renews a lease has one."""

A_MOMENT = 1e-3
"""Seconds after which what was still so at a moment is over."""

Values = tuple[str, ...]
"""What a field says, as text; empty: it has no value."""

Clause = tuple[StateKey, StateMatch]


@attrs.frozen
class Since:
    """Since when something is so, on the host's clock; `seen`: it was seen to begin, else it may be so for longer."""

    at: float
    seen: bool


@attrs.frozen
class Memory:
    """What has to be known of earlier looks: since when each clause is fulfilled, and each field has its values."""

    fulfilled: Mapping[Clause, Since | None] = attrs.field(factory=dict)
    values: Mapping[StateKey, tuple[Values, Since]] = attrs.field(factory=dict)


@attrs.frozen
class Outcome:
    """Whether a condition holds, None: not known; if it does not, `words` say what stands in its way. `deadline`: when
    time alone may change it."""

    holds: bool | None
    words: str = ""
    deadline: float | None = None


@attrs.define
class Look:
    """One look at the conditions of a router. `memory` is what is to be known at the next."""

    objects: Mapping[Ref, Status]
    unheard: Collection[Ref]
    now: float
    before: Memory
    _fulfilled: dict[Clause, Since | None] = attrs.field(init=False, factory=dict)
    _values: dict[StateKey, tuple[Values, Since]] = attrs.field(init=False, factory=dict)

    @property
    def memory(self) -> Memory:
        """See the class."""
        return Memory(self._fulfilled, self._values)

    def when(self, when: When) -> Outcome:
        """Whether a condition holds."""
        if when.any is not None:
            return _any([self.when(part) for part in when.any])
        if when.all is not None:
            return both([self.when(part) for part in when.all])
        return both([self._clause(_named(text), match) for text, match in (when.state or {}).items()])

    def dependency(self, needed: Dependency) -> Outcome:
        """Whether a dependency is there."""
        key, values = needed.key, self._said(needed.key)
        if not values and needed.optional:
            return Outcome(True)
        if values is None:
            return Outcome(None, _unsaid(key))
        wanted = needed.equals if needed.phase is None else needed.phase
        if wanted is None:
            return Outcome(bool(values), "" if values else f"{key} has no value")
        fine = AS_GOOD.get(wanted, {wanted}) if needed.phase is not None else {wanted}
        return Outcome(True) if fine.intersection(values) else Outcome(False, f'{_is(key, values)}, not "{wanted}"')

    def _said(self, key: StateKey) -> Values | None:
        """What a field says now, None if that is not known; and note since when."""
        values = values_of(self.objects, self.unheard, key)
        known = self.before.values.get(key)
        if values is not None and (known is None or known[0] != values):
            known = values, Since(self.now, known is not None)
        if known is not None:
            self._values[key] = known
        return values

    def _clause(self, key: StateKey, match: StateMatch) -> Outcome:
        values = self._said(key)
        holds, words = fulfilled(match, key, values)
        since = self._note((key, match), holds)
        outcomes = [Outcome(holds, words)]
        if holds and since is not None and match.for_ is not None:
            outcomes.append(self._for(key, values, match.for_, since))
        if holds and key in self._values and match.max_age is not None:
            outcomes.append(self._max_age(key, values, match.max_age, self._values[key][1]))
        return both(outcomes)

    def _note(self, clause: Clause, holds: bool | None) -> Since | None:
        """Since when a clause is fulfilled; what is not known for a while changes nothing."""
        first = clause not in self.before.fulfilled
        since = self.before.fulfilled.get(clause)
        if holds is True and since is None:
            since = Since(self.now, not first)
        elif holds is False:
            since = None
        if holds is not None or not first:
            self._fulfilled[clause] = since
        return since

    def _for(self, key: StateKey, values: Values | None, wanted: float, since: Since) -> Outcome:
        due = since.at + wanted
        if due <= self.now:
            return Outcome(True)
        words = f"{_is(key, values)}, but not yet for {format_duration(wanted)}"
        return Outcome(False if since.seen else None, words, due)

    def _max_age(self, key: StateKey, values: Values | None, most: float, since: Since) -> Outcome:
        due = since.at + most
        words = f"{_is(key, values)}, and has not changed for {format_duration(most)}"
        if due < self.now:
            return Outcome(False, words)
        return Outcome(True if since.seen else None, words, due + A_MOMENT)


def values_of(objects: Mapping[Ref, Status], unheard: Collection[Ref], key: StateKey) -> Values | None:
    """What a field says, as text; None if nobody is there to say it, or it says `unknown` itself."""
    ref = ref_of_key(key)
    status = objects.get(ref)
    if status is None or ref in unheard or status.get("reason") in SILENT:
        return None
    values = tuple(_texts(status.get(key.field)))
    return None if values and values[0].lower() == "unknown" else values


def ref_of_key(key: StateKey) -> Ref:
    """The resource that a key names."""
    return Ref(key.kind, key.name, KINDS[key.kind].api_version)


def fulfilled(match: StateMatch, key: StateKey, values: Values | None) -> tuple[bool | None, str]:
    """Whether a value is as it must be, time apart; and if not, why."""
    if values is None:
        asked = (match.exists, match.equals, match.in_, match.contains)
        return (True, "") if match.status == "unknown" and asked == (None,) * 4 else (None, _unsaid(key))
    return next(((False, words) for holds, words in _demands(match, key, values) if not holds), (True, ""))


def _demands(match: StateMatch, key: StateKey, values: Values) -> Iterator[tuple[bool, str]]:
    there = _is(key, values)
    if match.exists is not None:
        yield bool(values) is match.exists, there
    if match.status is not None:
        yield match.status == ("set" if values else "unset"), f"{there}, not {match.status}"
    if match.equals is not None:
        yield match.equals in values, f'{there}, not "{match.equals}"'
    if match.in_ is not None:
        listed = ", ".join(f'"{text}"' for text in match.in_)
        yield not set(match.in_).isdisjoint(values), f"{there}, none of {listed}"
    if match.contains is not None:
        yield any(match.contains in value for value in values), f'{there}, without "{match.contains}"'


def both(outcomes: Iterable[Outcome]) -> Outcome:
    """They must all hold. Of those that do not the first is told, and before it the first that is known."""
    outcomes = list(outcomes)
    deadline = _soonest(outcomes)
    for holds in (False, None):
        for one in outcomes:
            if one.holds is holds:
                return Outcome(holds, one.words, deadline)
    return Outcome(True, "", deadline)


def _any(outcomes: Iterable[Outcome]) -> Outcome:
    """One of them must hold. If none does, all are told."""
    outcomes = list(outcomes)
    deadline = _soonest(outcomes)
    if any(one.holds for one in outcomes):
        return Outcome(True, "", deadline)
    holds = None if any(one.holds is None for one in outcomes) else False
    return Outcome(holds, "; ".join(dict.fromkeys(one.words for one in outcomes)), deadline)


def _soonest(outcomes: Iterable[Outcome]) -> float | None:
    return min((one.deadline for one in outcomes if one.deadline is not None), default=None)


def _named(text: str) -> StateKey:
    key = state_key(text)
    assert key is not None, "keys are checked when a condition is read"
    return key


def _unsaid(key: StateKey) -> str:
    return f"it is not known yet what {key} is"


def _is(key: StateKey, values: Values | None) -> str:
    if not values:
        return f"{key} has no value"
    return f"{key} is " + ", ".join(f'"{value}"' for value in values)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case None | "":
            return
        case bool():
            yield "true" if value else "false"
        case list() | tuple():
            for item in value:
                yield from _texts(item)
        case _:
            yield str(value)
