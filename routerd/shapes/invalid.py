"""What is wrong with a value: one thing (`Invalid`), or all of it, each with its path (`Problems`)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any, Literal

import attrs

Path = tuple[str | int, ...]


class Invalid(ValueError):
    """A value is not what its type demands. Raised by structure hooks and attrs validators.

    `code` is a stable word: `schema.…` is what the JSON Schema refuses too, `value.…` what it cannot express.
    `expected` says in a few words what should have stood there, `hint` what was probably meant. `field` names the
    attribute to blame when a whole object complains.
    """

    def __init__(self, code: str, message: str, expected: str = "", hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.expected = expected
        self.hint = hint
        self.field = field


@attrs.frozen
class Problem:
    """One thing wrong, and where: wire names and indices from the root. `at` tells whether the key itself is wrong
    (unknown field) or its value."""

    path: Path
    code: str
    message: str
    expected: str = ""
    hint: str = ""
    at: Literal["key", "value"] = "value"

    @classmethod
    def of(cls, invalid: Invalid, path: Path) -> Problem:
        """The same complaint, at a place."""
        return cls(path, invalid.code, invalid.message, invalid.expected, invalid.hint)

    def __str__(self) -> str:
        where = dotted(self.path)
        return f"{where}: {self.message}" if where else self.message


class Problems(ValueError):
    """Everything that is wrong with what was given, in the order of its fields."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def dotted(path: Path) -> str:
    """`("spec", "candidates", 0, "weight")` -> `spec.candidates[0].weight`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def described(value: Any) -> str:
    """A value as a person would name it: `"30x"`, `the number 30`, `a list`. Of a URL only the scheme: the rest may
    hold a password."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            scheme, url, _ = value.partition("://")
            quoted = json.dumps(f"{scheme}{url}…" if url else value, ensure_ascii=False)
            return quoted if len(quoted) <= 60 else quoted[:56] + '…"'
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest of `known`, whatever the case; empty when nothing is close."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f"did you mean {by_lower[near[0]]}?" if near else ""
