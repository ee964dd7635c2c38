"""What is wrong with a configuration file: each error with its place, for people (`render`), for machines (`as_json`),
and for everybody (`summary`).

A line of the file is shown beside its error, but never what may be a secret in it, and nothing that could move the
cursor of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from routerd.config.sensitive import AROUND, NUMBERS, SENSITIVE
from routerd.shapes.convert import to_wire

MOST_ERRORS = 1000
"""A file with more mistakes than that is not what it was meant to be: the rest is not looked for."""
MOST_SUMMED_UP = 20
LONGEST_EXCERPT = 140
LONGEST_TEXT = 300
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


def summary(errors: ConfigErrors) -> str:
    """The first of them, each on a line of its own and without the file's: for those who may not read the file."""
    lines = [
        f"{error.source}:{error.line}:{error.column}: {_head(error)}" + (f" ({error.hint})" if error.hint else "")
        for error in errors.errors[:MOST_SUMMED_UP]
    ]
    more = len(errors.errors) - len(lines)
    return "\n".join([*lines, f"and {more} more"] if more else lines)


def as_json(errors: ConfigErrors) -> dict[str, Any]:
    """All of them for programs: `{"kind": "ConfigErrors", "errors": [{code, message, resource, field, line, …}]}`."""
    return {"kind": "ConfigErrors", "errors": [to_wire(error) for error in errors.errors]}


def _head(error: ConfigError) -> str:
    return ": ".join(filter(None, (" ".join(filter(None, (error.resource, error.path))), error.message)))


def _rendered(error: ConfigError) -> str:
    gutter = " " * len(str(error.line))
    carets = " " * error.caret + "^" * error.width
    lines = [
        f"error[{error.code}]: {_head(error)}",
        f"{gutter} --> {error.source}:{error.line}:{error.column}",
        f" {error.line} | {error.text}".rstrip(),
        f" {gutter} | {carets} {error.expected}".rstrip(),
    ]
    return "\n".join([*lines, f"help: {error.hint}"] if error.hint else lines)


def printable(text: str) -> str:
    """Character for character, with what a terminal would act on replaced."""
    return "".join(letter if letter.isprintable() else " " if letter == "\t" else "?" for letter in text)


def brief(text: str) -> str:
    """Text of ours with words of the file in it, which may be longer than anybody wants to read."""
    return printable(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…")


_KEY = re.compile(r"""\b(\w+)["']?\s*:\s*""")
_SECRETIVE = ("secret", "passw", "token")
_CREDENTIALS = re.compile(r"://\S*[@?]")
"""What may be a URL with a password or a token in it."""
_HARMLESS = re.compile(
    rf"""([-\s,{{}}\[\]]|["']?({"|".join(NUMBERS)})["']?\s*:\s*[0-9]{{1,5}}\b|["']?({"|".join(SENSITIVE)})["']?\s*:)*"""
)
"""What may be shown around a secret: as far as it is written as it should be, and no value but numbers."""


def shown(lines: Sequence[str]) -> list[str]:
    """The lines as they may be shown: nothing behind the key of what may be a secret, and nothing indented below it;
    around one only what is harmless; of a URL that may hold a password the scheme."""
    result = []
    hidden_below: int | None = None
    guarded_below: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip(" -"))
        if hidden_below is not None and (indent > hidden_below or not line.strip()):
            result.append(printable(line[:indent]) + HIDDEN)
            continue
        if guarded_below is not None and indent <= guarded_below and line.strip():
            guarded_below = None
        secretive, guard = _first_key(line, _is_secretive), _first_key(line, AROUND.__contains__)
        ends = [len(line)] if secretive is None else [secretive]
        credentials = _CREDENTIALS.search(line)
        if credentials is not None:
            ends.append(credentials.start() + len("://"))
        if guarded_below is not None:
            ends.append(_harmless(line, 0))
        elif guard is not None:
            ends.append(_harmless(line, guard))
            guarded_below = indent
        end = min(ends)
        hidden_below = indent if end == secretive else None
        result.append(printable(line[:end]) + (HIDDEN if end < len(line) or end == secretive else ""))
    return result


def _first_key(line: str, wanted: Callable[[str], bool]) -> int | None:
    """Where the value of the first such key begins."""
    return next((key.end() for key in _KEY.finditer(line) if wanted(key[1])), None)


def _harmless(line: str, start: int) -> int:
    """How far a line is harmless, from `start` on."""
    found = _HARMLESS.match(line, start)
    assert found is not None, "it matches nothing, too"
    return found.end()


def _is_secretive(key: str) -> bool:
    return key in SENSITIVE or any(word in key.lower() for word in _SECRETIVE)


def excerpt(line: str, column: int) -> tuple[str, int]:
    """A piece of a line that a person can read, and where in it the character `column` (from 0) stands."""
    if len(line) <= LONGEST_EXCERPT:
        return line, column
    start = max(0, min(column - LONGEST_EXCERPT // 2, len(line) - LONGEST_EXCERPT))
    return ("…" if start else "") + line[start : start + LONGEST_EXCERPT] + "…", column - start + bool(start)
