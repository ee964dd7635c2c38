"""Limits of one field, as attrs validators that the JSON Schema knows too. They raise Invalid (Each: Problems)."""

from __future__ import annotations

import re
from typing import Any

import attrs

from routerd.shapes.duration import format_duration
from routerd.shapes.invalid import Invalid, Problem, Problems, described


@attrs.frozen
class Between:
    """A number from `low` to `high`, both included."""

    low: int
    high: int

    def __call__(self, _instance: object, _field: object, value: Any) -> None:
        if value is not None and not self.low <= value <= self.high:
            near = self.low if value < self.low else self.high
            raise Invalid(
                "schema.range",
                f"{value} is not between {self.low} and {self.high}",
                f"expected {self.low} to {self.high}",
                f"the nearest is {near}",
            )

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {"minimum": self.low, "maximum": self.high}


@attrs.frozen
class AtMost:
    """A duration of at most so many seconds. JSON Schema cannot say that of a text."""

    seconds: float

    def __call__(self, _instance: object, _field: object, value: Any) -> None:
        if value is not None and value > self.seconds:
            limit = format_duration(self.seconds)
            raise Invalid(
                "value.range", f"{format_duration(value)} is longer than {limit}", f"expected {limit} at most"
            )


@attrs.frozen
class Matching:
    """Text of which the whole matches `pattern` (in the common part of Python's and ECMA's grammar), at most `longest`
    characters. `name` is what it then is, `rule` completes "expected …"."""

    pattern: str
    longest: int
    name: str
    rule: str

    def __call__(self, _instance: object, _field: object, value: Any) -> None:
        if value is None:
            return
        if len(value) > self.longest:
            what = f"{described(value)} is longer than {self.longest} characters"
            raise Invalid("schema.length", what, f"expected {self.longest} characters at most")
        if not re.fullmatch(self.pattern, value):
            hint = f"did you mean {value.lower()}?" if re.fullmatch(self.pattern, value.lower()) else ""
            raise Invalid("schema.pattern", f"{described(value)} is not {self.name}", f"expected {self.rule}", hint)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {"pattern": f"^(?:{self.pattern})$", "maxLength": self.longest}


@attrs.frozen
class Each:
    """A list whose items keep a limit, none of them twice, at most `most` of them."""

    limit: Between | Matching
    most: int

    def __call__(self, instance: object, field: object, value: Any) -> None:
        if len(value) > self.most:
            raise Invalid("schema.length", f"{len(value)} items are too many", f"expected {self.most} at most")
        problems = []
        for place, item in enumerate(value):
            try:
                self.limit(instance, field, item)
                if item in value[:place]:
                    raise Invalid("schema.duplicate", f"{described(item)} stands here twice", "expected each once")
            except Invalid as invalid:
                problems.append(Problem.of(invalid, (place,)))
        if problems:
            raise Problems(tuple(problems))

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {"items": self.limit.schema(), "maxItems": self.most, "uniqueItems": True}
