"""What needs other resources to be seen of EventRules and DerivedEvents: what they read is there, and none of them
hears what it says itself, be it through others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routerd.config.declared import Declared, Finding
from routerd.events.topics import matches
from routerd.resources.derived import DerivedCondition, DerivedEvent, DerivedInput, place_of
from routerd.resources.kinds import KINDS
from routerd.resources.rules import EventPattern, EventRule
from routerd.shapes.invalid import Path, Problem, described, did_you_mean

CHANGED = "routerd.resource.status.changed"
_ALWAYS = ("phase", "reason", "message")
"""What a status may have whatever its kind provides."""

MOST = 128
"""Rules in one configuration: each of them reads every event."""

Heard = tuple[Path, str]
"""A glob or a label, and where it is written."""

Place = tuple[str, str, str]
"""A kind, a name, and a field of the status."""


def rules(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Everything that is wrong between the rules of a file, and between them and others."""
    labels = dict.fromkeys(other.label for other in declared)
    for one in declared:
        for path, place, equals in conditions(one):
            yield from ((one, problem) for problem in _judged(path, place, equals, labels))
    told = [one for one in declared if one.kind in (EventRule.__name__, DerivedEvent.__name__)]
    if len(told) > MOST:
        message = f"{len(told)} rules are too many: each of them reads every event"
        yield told[MOST], Problem((), "value.rules", message, f"expected {MOST} at most")
    else:
        yield from _circles(told)


def conditions(one: Declared) -> Iterator[tuple[Path, Place, Any]]:
    """What a DerivedEvent looks at, where it says so, and the value that it asks for."""
    if one.kind == DerivedEvent.__name__:
        for path, value in one.values:
            yield from _tests(value, path)


def _tests(value: Any, path: Path) -> Iterator[tuple[Path, Place, Any]]:
    """Every test in a value, however deep."""
    match value:
        case DerivedInput() | DerivedCondition():
            if value.field is not None:
                yield path, place_of(value.field), value.equals
            yield from _tests(getattr(value, "any_of", ()), (*path, "any_of"))
        case tuple():
            for number, each in enumerate(value):
                yield from _tests(each, (*path, number))


def _judged(path: Path, place: Place, equals: Any, labels: Mapping[str, None]) -> Iterator[Problem]:
    """The resource exists, has the field, and can be in the phase."""
    word, name, field = place
    label, kind = f"{word}/{name}", KINDS.get(word)
    if label not in labels:
        hint = did_you_mean(label, labels)
        yield Problem((*path, "field"), "reference.dangling", f"there is no {label}", "not declared", hint)
    if kind is None:
        return
    known = dict.fromkeys((*kind.provides, *_ALWAYS))
    first = field.partition(".")[0]
    if first not in known:
        hint = did_you_mean(first, known) or f"it has {', '.join(known)}"
        yield Problem((*path, "field"), "reference.field", f"{word} has no {described(first)}", "no such field", hint)
    if field == "phase" and kind.phases and equals not in (None, *kind.phases):
        hint = did_you_mean(str(equals), kind.phases) or f"it can be {', '.join(kind.phases)}"
        message = f"{word} is never {described(equals)}"
        yield Problem((*path, "equals"), "reference.phase", message, "no phase", hint)


def _says(one: Declared) -> tuple[str, ...]:
    """The topics of the events that follow from it."""
    match one.spec:
        case EventRule():
            return (one.spec.emit.topic,)
        case DerivedEvent():
            return f"{one.spec.topic}.asserted", f"{one.spec.topic}.retracted", CHANGED
        case _:
            return ()


def _hears(one: Declared) -> Iterator[Heard]:
    """The globs that an EventRule looks at, the labels that a DerivedEvent does."""
    if isinstance(one.spec, EventRule):
        yield from _globs(one.spec.pattern)
    elif isinstance(one.spec, DerivedEvent):
        for path, (word, name, _), _equals in conditions(one):
            yield (*path, "field"), f"{word}/{name}"


def _globs(pattern: EventPattern) -> Iterator[Heard]:
    path: Path = ("spec", "pattern")
    yield from (((*path, "topics", number), glob) for number, glob in enumerate(pattern.topics))
    named = {"topic": pattern.topic, "trigger": pattern.trigger, "expected": pattern.expected}
    yield from (((*path, name), glob) for name, glob in named.items() if glob is not None)


def _sources(one: Declared, sayers: Mapping[str, Sequence[Declared]]) -> Iterator[tuple[Path, Declared]]:
    """Whom it hears, and by which of its words. `sayers`: who says what, by topic and by label."""
    for path, heard in _hears(one):
        globbed = "*" in heard
        said = [word for word in sayers if "/" not in word and matches(heard, word)] if globbed else [heard]
        yield from ((path, other) for word in said for other in sayers.get(word, ()))


def _circles(declared: Sequence[Declared]) -> Iterator[Finding]:
    """What leads back to where it began: an event would follow from itself for ever. Each circle is told once."""
    sayers: dict[str, list[Declared]] = {}
    for one in declared:
        for word in (*_says(one), one.label):
            sayers.setdefault(word, []).append(one)
    done: set[str] = set()
    for start in declared:
        way = [] if start.label in done else [(start, _sources(start, sayers))]
        places = {start.label: 0}
        while way:
            one, sources = way[-1]
            path, source = next(sources, ((), None))
            if source is None:
                way.pop()
                del places[one.label]
                done.add(one.label)
            elif source.label in places:
                # From whom to whom events go, which is against the way that was gone.
                before = [gone.label for gone, _ in way[places[source.label] :]]
                circle = " -> ".join((source.label, *reversed(before)))
                message = f"it would hear itself: {circle}"
                hint = "emit a topic that none of them looks at"
                yield one, Problem(path, "reference.cycle", message, "leads back", hint)
            elif source.label not in done:
                places[source.label] = len(way)
                way.append((source, _sources(source, sayers)))
