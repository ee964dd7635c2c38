"""On what a resource may hang: `when` (conditions on what others say of themselves) and `dependsOn` (contract §4.2).

These are their shapes in the file, and what a key names; `routerd.config.references` checks that it exists,
`routerd.controllers.gate` finds out whether it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sized
from typing import Any, Literal

import attrs

from routerd.resources.resource import REFERENCE, told
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import Invalid, Path, Problem, Problems, described

MOST_CLAUSES = 64
"""Of one condition, on each of its levels."""

DEEPEST = 8
"""Levels of `all` and `any`."""

_FIELD = r"[A-Za-z][A-Za-z0-9]*"
_RESOURCE = r"[A-Za-z0-9]+/[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_KEY = re.compile(rf"(?P<resource>{_RESOURCE})\.(?P<field>{_FIELD})")
_EXPRESSION = re.compile(rf"\$\{{(?P<resource>{_RESOURCE})\.status\.(?P<field>{_FIELD})\}}")

PREDICATES = ("exists", "equals", "in", "contains", "status")


@attrs.frozen
class StateKey:
    """One field of the status of one resource: `DHCPv4Client/wan.gateway`."""

    resource: str
    field: str

    @property
    def kind(self) -> str:
        """`DHCPv4Client` of `DHCPv4Client/wan`."""
        return self.resource.partition("/")[0]

    @property
    def name(self) -> str:
        """`wan` of `DHCPv4Client/wan`."""
        return self.resource.partition("/")[2]

    def __str__(self) -> str:
        return f"{self.resource}.{self.field}"


def state_key(text: str) -> StateKey | None:
    """What a key of `state` names: `Kind/name.field` or `${Kind/name.status.field}`; None if it is neither."""
    found = _EXPRESSION.fullmatch(text) or _KEY.fullmatch(text)
    return None if found is None else StateKey(found["resource"], found["field"])


def _some(_instance: object, _field: object, value: Any) -> None:
    if value is not None and not 1 <= len(value) <= MOST_CLAUSES:
        expected = f"expected 1 to {MOST_CLAUSES}"
        raise Invalid("value.length", f"{len(value)} are too many" if value else "is empty", expected)


def not_too_many(_instance: object, _field: object, value: Sized) -> None:
    """As long as a list of clauses may be, or empty."""
    if len(value) > MOST_CLAUSES:
        raise Invalid("value.length", f"{len(value)} are too many", f"expected {MOST_CLAUSES} at most")


@attrs.frozen
class StateMatch:
    """What a value must be like. Everything that is given here must hold. Values are compared as text: a boolean is
    `true` or `false`; of a list it is enough when one item is right."""

    exists: bool | None = attrs.field(default=None, metadata=told("Whether there is a value."))
    equals: str | None = attrs.field(default=None, metadata=told("The value is this text.", example="Up"))
    in_: tuple[str, ...] | None = attrs.field(
        default=None, validator=_some, metadata=told("The value is one of these texts.", name="in")
    )
    contains: str | None = attrs.field(default=None, metadata=told("The value has this text in it."))
    status: Literal["set", "unset", "unknown"] | None = attrs.field(
        default=None,
        metadata=told("`set` and `unset` as `exists`; `unknown`: nobody has said yet whether there is a value."),
    )
    for_: Duration | None = attrs.field(
        default=None,
        metadata=told("It holds only once it has been so without a break for this long.", name="for", example="10s"),
    )
    max_age: Duration | None = attrs.field(
        default=None, metadata=told("It holds only as long as the value changed at most this long ago.")
    )

    def __attrs_post_init__(self) -> None:
        given = (self.exists, self.equals, self.in_, self.contains, self.status)
        if all(one is None for one in given):
            expected = f"expected one or more of {', '.join(PREDICATES)}"
            raise Invalid("value.required", "does not say what the value shall be", expected)


def _keys(_instance: object, _field: object, value: Mapping[str, StateMatch] | None) -> None:
    _some(_instance, _field, value)
    wrong = [
        Problem(
            (key,),
            "value.key",
            f"{described(key)} names no field of a resource",
            "expected Kind/name.field",
            "for example Interface/wan.phase",
            at="key",
        )
        for key in value or ()
        if state_key(key) is None
    ]
    if wrong:
        raise Problems(tuple(wrong))


@attrs.frozen
class When:
    """A condition: exactly one of `state`, `all` and `any`. As long as it is false the resource is held: it is not
    applied, and what it had put on the host is withdrawn."""

    state: Mapping[str, StateMatch] | None = attrs.field(
        default=None,
        hash=False,
        validator=_keys,
        metadata=told(
            "Fields of other resources, as `Kind/name.field` or `${Kind/name.status.field}`, and what each must be "
            "like. All of them must hold."
        ),
    )
    all: tuple[When, ...] | None = attrs.field(
        default=None, validator=_some, metadata=told("Conditions that must all hold.")
    )
    any: tuple[When, ...] | None = attrs.field(
        default=None, validator=_some, metadata=told("Conditions of which one must hold.")
    )

    def __attrs_post_init__(self) -> None:
        places = {"state": self.state, "all": self.all, "any": self.any}
        given = [name for name, value in places.items() if value is not None]
        if len(given) != 1:
            what = "says nothing" if not given else f"has {' and '.join(given)}"
            raise Invalid("value.exclusive", what, "expected exactly one of state, all, any")
        if self.depth > DEEPEST:
            raise Invalid("value.depth", f"nests more than {DEEPEST} levels deep", f"expected {DEEPEST} levels at most")

    @property
    def parts(self) -> tuple[When, ...]:
        """The conditions inside `all` or `any`."""
        return self.all or self.any or ()

    @property
    def depth(self) -> int:
        """How many levels it has."""
        return 1 + max((part.depth for part in self.parts), default=0)


def clauses(when: When, path: Path = ()) -> Iterator[tuple[Path, StateKey, StateMatch]]:
    """Every clause of a condition with its path in it."""
    for key, match in (when.state or {}).items():
        named = state_key(key)
        assert named is not None, "keys are checked when a condition is read"
        yield (*path, "state", key), named, match
    for word, parts in (("all", when.all), ("any", when.any)):
        for place, part in enumerate(parts or ()):
            yield from clauses(part, (*path, word, place))


@attrs.frozen
class Dependency:
    """Another resource without which this one is not applied. Exactly one of `phase`, `equals` and `notEmpty` says
    what it must be like."""

    resource: str = attrs.field(
        validator=REFERENCE, metadata=told("The other resource, as `Kind/name`.", example="DHCPv4Client/wan")
    )
    field: str = attrs.field(default="phase", metadata=told("Which of the values that its kind provides."))
    phase: str | None = attrs.field(
        default=None,
        metadata=told(
            "The phase that it must be in. `Bound` asks for a lease: a client that renews it is as good.",
            example="Bound",
        ),
    )
    equals: str | None = attrs.field(default=None, metadata=told("What the field must be, as text."))
    not_empty: bool = attrs.field(default=False, metadata=told("The field must have a value, whichever."))
    optional: bool = attrs.field(
        default=False, metadata=told("Do not wait for the field: what it is counts only once it has a value.")
    )

    def __attrs_post_init__(self) -> None:
        given = [name for name, value in (("phase", self.phase), ("equals", self.equals)) if value is not None]
        given += ["notEmpty"] if self.not_empty else []
        if len(given) != 1:
            what = "does not say what the field shall be" if not given else f"has {' and '.join(given)}"
            raise Invalid("value.exclusive", what, "expected exactly one of phase, equals, notEmpty")
        if self.phase is not None and self.field != "phase":
            raise Invalid("value.exclusive", "stands beside phase", "expected one of the two", field="field")

    @property
    def key(self) -> StateKey:
        """The field that it looks at."""
        return StateKey(self.resource, self.field)


HELD = told("Apply it only while this holds.")
"""The metadata of a field `when`."""
