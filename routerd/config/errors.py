"""What is wrong with a configuration file: each error with its place, for people (`render`) and machines (`as_json`).

A line of the file is shown beside its error, but never what may be a secret in it, and nothing that could move the
cursor of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from routerd.config.sensitive import SENSITIVE
from routerd.shapes.convert import to_wire

LONGEST_EXCERPT = 140
HIDDEN = "***"


@attrs.frozen
class ConfigError:
    """One error. `line` and `column` count from 1, in characters; `text` is that line, or a piece of a long one, and
    `caret` where in it (from 0) `width` characters are meant. `expected` stands beside the caret."""

    code: str
    message: str
    source: str
    line: int
    column: int
    resource: str = ""
    path: str = attrs.field(default="", metadata={"name": "field"})
    expected: str = ""
    hint: str = ""
    text: str = ""
    caret: int = 0
    width: int = 1


class ConfigErrors(Exception):
    """Every error of one file, in the order of their places."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: (error.line, error.column, error.path, error.code)))
        super().__init__(f"{len(self.errors)} in {self.errors[0].source}, the first: {self.errors[0].message}")


def render(errors: ConfigErrors | Sequence[ConfigError]) -> str:
    """All of them, one below the other, as rustc writes them."""
    listed = errors.errors if isinstance(errors, ConfigErrors) else errors
    return "\n\n".join(map(_rendered, listed))


def as_json(errors: ConfigErrors) -> dict[str, Any]:
    """All of them for programs: `{"kind": "ConfigErrors", "errors": [{code, message, resource, field, line, …}]}`."""
    return {"kind": "ConfigErrors", "errors": [to_wire(error) for error in errors.errors]}


def _rendered(error: ConfigError) -> str:
    subject = " ".join(word for word in (error.resource, error.path) if word)
    head = f"error[{error.code}]: {subject}: {error.message}" if subject else f"error[{error.code}]: {error.message}"
    gutter = " " * len(str(error.line))
    carets = " " * error.caret + "^" * error.width
    lines = [
        head,
        f"{gutter} --> {error.source}:{error.line}:{error.column}",
        f" {error.line} | {error.text}".rstrip(),
        f" {gutter} | {carets} {error.expected}".rstrip(),
    ]
    return "\n".join([*lines, f"help: {error.hint}"] if error.hint else lines)


def printable(text: str) -> str:
    """Character for character, with what a terminal would act on replaced."""
    return "".join(letter if letter.isprintable() else " " if letter == "\t" else "?" for letter in text)


def excerpt(lines: Sequence[str], index: int, column: int) -> tuple[str, int]:
    """What may be shown of `lines[index]`, and where in it the character `column` (from 0) stands."""
    line = printable(lines[index][: _secret_from(lines, index)])
    line += HIDDEN if len(line) < len(lines[index]) else ""
    if len(line) <= LONGEST_EXCERPT:
        return line, column
    start = max(0, min(column - LONGEST_EXCERPT // 2, len(line) - LONGEST_EXCERPT))
    return ("…" if start else "") + line[start : start + LONGEST_EXCERPT] + "…", column - start + bool(start)


_SECRET_KEY = re.compile(
    rf"""(?:\b(?:{"|".join(sorted(SENSITIVE))})|\w*(?:secret|passw|token)\w*)["']?\s*:\s*""", re.IGNORECASE
)


def _secret_from(lines: Sequence[str], index: int) -> int:
    """The column from which a line is not shown: behind the key of a secret, or all of it below such a key."""
    indent = _indent(lines[index])
    for line in reversed(lines[:index] if indent else ()):
        if line.strip() and _indent(line) < indent:
            indent = _indent(line)
            if _SECRET_KEY.search(line):
                return _indent(lines[index])
    key = _SECRET_KEY.search(lines[index])
    return key.end() if key is not None else len(lines[index])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" -"))
