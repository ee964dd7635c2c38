"""What a resource says of others: `*From`, `when`, `dependsOn`. They must be there and have what is asked of them, and
no resource may wait for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from routerd.config.declared import Declared, Finding
from routerd.config.rules import conditions
from routerd.resources.conditions import Dependency, StateKey, StateMatch, When, clauses, state_key
from routerd.resources.kinds import KINDS, Kind
from routerd.resources.net import Interface
from routerd.resources.resource import ValueFrom
from routerd.shapes.invalid import Path, Problem, described, did_you_mean


@attrs.frozen
class Wish:
    """What a `*From` is to bring, and which provided fields are that, the likely ones first. An `address` is of the
    version of IP that the wanting kind is about."""

    what: str
    fields: tuple[str, ...]
    address: bool = True

    def fitting(self, wanting: Kind, giving: Kind) -> list[str]:
        """The fields of a kind that would do for another one."""
        if self.address and giving.family not in (None, wanting.family):
            return []
        return [field for field in self.fields if field in giving.provides]

    def given_by(self, wanting: Kind) -> list[str]:
        """Kinds with a field that would do, the likely ones first."""
        givers = [(kind.name, fields[0]) for kind in KINDS.values() if (fields := self.fitting(wanting, kind))]
        return [f"{name} {field}" for name, field in sorted(givers, key=lambda giver: self.fields.index(giver[1]))]


SERVERS = ("dnsServers", "ntpServers", "sntpServers", "rdnss")
WISHES = {
    "deviceFrom": Wish("name of an interface", ("device", "ifname", "interface"), address=False),
    "gatewayFrom": Wish("address of a router", ("gateway", "defaultGateway", *SERVERS)),
    "prefixFrom": Wish("prefix", ("prefix", "address", "currentPrefix")),
    "rdnssFrom": Wish("address of a name server", ("dnsServers", "address", "ipv6Addresses", "primaryIPv6", "rdnss")),
    "dnsslFrom": Wish("domain", ("domainSearch", "domain"), address=False),
}
"""By the field that has the reference. An address of this host is no router for it."""


@attrs.frozen
class Reference:
    """One field of another resource that is looked at: `resource` and `field` are the places where it is named, by a
    value or by the key of a mapping. `phases` are the phases that are asked for, each with its place."""

    whole: Path
    key: StateKey
    resource: Path
    field: Path
    at: Literal["key", "value"] = "value"
    phases: tuple[tuple[Path, str], ...] = ()


def references(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Everything that is wrong with what the resources of a file say of others by their status."""
    labels = dict.fromkeys(other.label for other in declared)
    for one in declared:
        for reference in _references(one):
            yield from ((one, problem) for problem in _judged(reference, labels))
            yield from ((one, problem) for problem in _fit(KINDS[one.kind], reference))
    yield from _cycles(declared)


def _references(one: Declared) -> Iterator[Reference]:
    found = (reference for path, value in one.values for reference in _in_value(value, path))
    yield from (reference for reference in found if reference.key.resource is not None)


def _in_value(value: Any, path: Path) -> Iterator[Reference]:
    match value:
        case ValueFrom():
            yield Reference(path, StateKey(value.resource, value.field), (*path, "resource"), (*path, "field"))
        case When():
            for place, key, match in clauses(value, path):
                yield Reference(place, key, place, place, "key", tuple(_phases_of(match, place)))
        case StateMatch():
            named = state_key(str(path[-1]))
            if named is not None:
                yield Reference(path, named, path, path, "key", tuple(_phases_of(value, path)))
        case Dependency():
            asked = (("phase", value.phase), ("equals", value.equals))
            phases = tuple(((*path, wire), text) for wire, text in asked if text is not None)
            yield Reference(path, value.key, (*path, "resource"), (*path, "field"), phases=phases)
        case tuple():
            for number, item in enumerate(value):
                yield from _in_value(item, (*path, number))


def _phases_of(match: StateMatch, path: Path) -> Iterator[tuple[Path, str]]:
    if match.equals is not None:
        yield (*path, "equals"), match.equals
    yield from (((*path, "in", number), text) for number, text in enumerate(match.in_ or ()))


def _judged(reference: Reference, labels: Iterable[str]) -> Iterator[Problem]:
    """The resource exists, its kind provides the field, and can be in the phase."""
    key, kind = reference.key, KINDS.get(reference.key.kind)
    if key.resource not in labels:
        hint = did_you_mean(key.resource, labels)
        message = f"there is no {key.resource}"
        yield Problem(reference.resource, "reference.dangling", message, "not declared", hint, reference.at)
    if kind is None or key.field is None:
        return
    if key.field not in kind.provides:
        message = f"{kind.name} does not provide {described(key.field)}"
        hint = did_you_mean(key.field, kind.provides) or f"it provides {', '.join(kind.provides)}"
        yield Problem(reference.field, "reference.field", message, "not provided", hint, reference.at)
    if key.field == "phase" and kind.phases:
        for path, phase in reference.phases:
            if phase not in kind.phases:
                hint = did_you_mean(phase, kind.phases) or f"it can be {', '.join(kind.phases)}"
                yield Problem(path, "reference.phase", f"{kind.name} is never {described(phase)}", "no phase", hint)


def _fit(wanting: Kind, reference: Reference) -> Iterator[Problem]:
    """What a `*From` names is of the sort that is wanted there."""
    wish, giving = WISHES.get(str(reference.whole[-1])), KINDS.get(reference.key.kind)
    if wish is None or giving is None or reference.key.field not in giving.provides:
        return
    fitting = wish.fitting(wanting, giving)
    if reference.key.field in fitting:
        return
    what = f"IPv{wanting.family} {wish.what}" if wish.address else wish.what
    message = f"{giving.name} {reference.key.field} is no {what}"
    expected = f"expected {' or '.join(fitting[:2])}" if fitting else "expected another resource"
    hint = "" if fitting else f"for example {' or '.join(wish.given_by(wanting)[:2])}"
    yield Problem(reference.field, "reference.field", message, expected, hint)


def _edges(one: Declared, interfaces: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """For whom a resource waits, and where it says so: those that it looks at, and the interface that it lies on."""
    yield from ((reference.whole, reference.key.resource) for reference in _references(one))
    yield from _inputs(one)
    for wire, value, metadata in one.fields:
        if metadata.get("refers") is not None and isinstance(value, str):
            yield ("spec", wire), f"{metadata['refers']}/{value}"
        elif wire == "device" and value in interfaces:
            yield ("spec", wire), interfaces[value]


def _inputs(one: Declared) -> Iterator[tuple[Path, str]]:
    """Whom a DerivedEvent looks at."""
    for path, (kind, name, _), _equals in conditions(one):
        yield path[:3], f"{kind}/{name}"


def _cycles(declared: Sequence[Declared]) -> Iterator[Finding]:
    """What leads back to where it began: it would never have its value. Each circle is told once."""
    by_label = {one.label: one for one in declared}
    interfaces = {one.name: one.label for one in declared if one.kind == Interface.__name__}
    done: set[str] = set()
    for start in by_label:
        way = [] if start in done else [(start, _edges(by_label[start], interfaces))]
        places = {start: 0}
        while way:
            label, edges = way[-1]
            path, target = next(edges, ((), ""))
            if not path:
                way.pop()
                del places[label]
                done.add(label)
            elif target in places:
                circle = [label, *(before for before, _ in way[places[target] :])]
                message = f"it waits for itself: {' -> '.join(circle)}"
                yield by_label[label], Problem(path, "reference.cycle", message, "leads back", "break the circle")
            elif target in by_label and target not in done:
                places[target] = len(way)
                way.append((target, _edges(by_label[target], interfaces)))
