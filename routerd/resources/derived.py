"""DerivedEvent (contract §3.4, §4.3): events that follow from what statuses say. What the words mean is in
`routerd.rules`; here is what may be written."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from routerd.resources.resource import NAME, told
from routerd.resources.rules import LONGEST, OwnTopic
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import Invalid, described
from routerd.shapes.limits import AtMost, Matching

STATUS_FIELD = re.compile(rf"\$\{{([A-Za-z0-9]+)/({NAME.pattern})\.status\.([A-Za-z0-9_.-]+)\}}")


_STATUS_FIELD = Matching(STATUS_FIELD.pattern, 300, "a field of a status", "${Kind/name.status.field}")


def place_of(field: str) -> tuple[str, str, str]:
    """Kind, name and the field of the status that `${Kind/name.status.field}` means."""
    match = STATUS_FIELD.fullmatch(field)
    assert match is not None, "the validator has seen it"
    return match[1], match[2], match[match.lastindex or 0]


@attrs.frozen
class _StatusField:
    """`${Kind/name.status.field}`."""

    def __call__(self, instance: object, field: object, value: Any) -> None:
        if value is not None and STATUS_FIELD.fullmatch(f"${{{value}}}"):
            message = f"{described(value)} is not a field of a status"
            raise Invalid("schema.pattern", message, f"expected {_STATUS_FIELD.rule}", f"did you mean ${{{value}}}?")
        _STATUS_FIELD(instance, field, value)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return _STATUS_FIELD.schema()


@attrs.frozen
class _Plain:
    """Text, a number, true or false."""

    def __call__(self, _instance: object, _field: object, value: Any) -> None:
        if not isinstance(value, str | bool | int | float | None):
            raise Invalid(
                "schema.type", f"{described(value)} is no single value", "expected text, a number, or true or false"
            )

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {"type": ["string", "boolean", "number", "null"]}


_FIELD = told(
    "A field of a resource's status, as `${Kind/name.status.field}`.", example="${DHCPv4Client/wan.status.phase}"
)
_EQUALS = told("It holds when the field has this value.", example="Bound")
_NOT_EMPTY = told("It holds when the field is there and not empty (true), or is not (false).", name="not_empty")


def _one_test(condition: DerivedCondition | DerivedInput) -> None:
    if condition.equals is None and condition.not_empty is None:
        raise Invalid("value.required", "does not say what the field shall be", "expected equals or not_empty")
    if condition.equals is not None and condition.not_empty is not None:
        raise Invalid("value.exclusive", "stands beside equals", "expected one of the two", field="not_empty")


@attrs.frozen
class DerivedCondition:
    """One test of one field."""

    field: str = attrs.field(validator=_StatusField(), metadata=_FIELD)
    equals: Any = attrs.field(default=None, validator=_Plain(), metadata=_EQUALS)
    not_empty: bool | None = attrs.field(default=None, metadata=_NOT_EMPTY)

    def __attrs_post_init__(self) -> None:
        _one_test(self)

    @property
    def place(self) -> tuple[str, str, str]:
        """Kind, name and the field of the status."""
        return place_of(self.field)


@attrs.frozen
class DerivedInput:
    """One thing that holds or does not: a test of one field, or alternatives."""

    field: str | None = attrs.field(default=None, validator=_StatusField(), metadata=_FIELD)
    equals: Any = attrs.field(default=None, validator=_Plain(), metadata=_EQUALS)
    not_empty: bool | None = attrs.field(default=None, metadata=_NOT_EMPTY)
    any_of: tuple[tuple[DerivedCondition, ...], ...] = attrs.field(
        default=(),
        metadata=told(
            "Instead of `field`: lists of tests, each with a field and `equals` or `not_empty`. It holds when all "
            "tests of one of the lists do.",
            name="any_of",
        ),
    )

    def __attrs_post_init__(self) -> None:
        if self.field is not None and self.any_of:
            raise Invalid("value.exclusive", "stands beside field", "expected one of the two", field="any_of")
        if self.any_of:
            self._check_alternatives()
        elif self.field is None:
            raise Invalid("value.required", "is required", "expected field or any_of", field="field")
        else:
            _one_test(self)

    def _check_alternatives(self) -> None:
        if self.equals is not None or self.not_empty is not None:
            name = "equals" if self.equals is not None else "not_empty"
            raise Invalid("value.exclusive", "has no field to test", "expected field", field=name)
        if not all(self.any_of):
            raise Invalid("value.required", "has an empty list", "expected a test in each list", field="any_of")

    @property
    def alternatives(self) -> tuple[tuple[DerivedCondition, ...], ...]:
        """It holds when all of one of these do."""
        if self.field is None:
            return self.any_of
        return ((DerivedCondition(self.field, self.equals, self.not_empty),),)


def _some(_instance: object, _field: object, value: tuple[DerivedInput, ...]) -> None:
    if not 1 <= len(value) <= 64:
        raise Invalid("value.length", f"{len(value)} inputs", "expected 1 to 64")


@attrs.frozen
class DerivedEvent:
    """Says when something that the statuses of resources tell together begins to hold, and when it ends."""

    topic: str = attrs.field(
        validator=OwnTopic(),
        metadata=told(
            "What its topics begin with: `.asserted` and `.retracted` follow. Not with `routerd.`: those are routerd's "
            "own.",
            example="home.wan.usable",
        ),
    )
    inputs: tuple[DerivedInput, ...] = attrs.field(
        validator=_some,
        metadata=told("What it depends on.", example=[{"field": "${Interface/wan.status.phase}", "equals": "Up"}]),
    )
    emit_when: Literal["all_true", "any_true"] = attrs.field(
        default="all_true", metadata=told("Assert it when all inputs hold, or when any of them does.")
    )
    retract_when: Literal["any_false", "all_false"] | None = attrs.field(
        default=None,
        metadata=told(
            "Retract it when any input does not hold any more, or when none of them does. By default the opposite of "
            "`emitWhen`."
        ),
    )
    hysteresis: Duration = attrs.field(
        default=Duration(0.0),
        validator=AtMost(LONGEST),
        metadata=told("How long it must be so without a break before that is said.", example="30s"),
    )
    emit_initial: bool = attrs.field(
        default=False, metadata=told("Also say how it is when it is looked at for the first time.")
    )

    def __attrs_post_init__(self) -> None:
        if (self.emit_when, self.retract_when) == ("any_true", "any_false"):
            raise Invalid(
                "value.exclusive",
                "with any_true it would be asserted and retracted at the same time",
                "expected all_false",
                field="retractWhen",
            )

    @property
    def retracts(self) -> Literal["any_false", "all_false"]:
        """`retractWhen`, or its default."""
        return self.retract_when or ("any_false" if self.emit_when == "all_true" else "all_false")

    @property
    def conditions(self) -> tuple[DerivedCondition, ...]:
        """All tests of all inputs."""
        return tuple(one for given in self.inputs for alternative in given.alternatives for one in alternative)
