"""The text of a configuration file: decoded, and able to say where in it something is."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from functools import cached_property

import attrs

from routerd.config.errors import HIDDEN, ConfigError, ConfigErrors, brief, excerpt, shown
from routerd.shapes.invalid import Problem

LARGEST = 1 << 20
"""Octets of a file."""

BREAK = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_NO_CHARACTERS = ("\ufffe", "\uffff")
"""YAML 1.2 §5.1 admits all but these, and halves of surrogate pairs."""


@attrs.frozen
class Span:
    """Offsets into the text, in characters."""

    start: int
    end: int


class Text:
    """The text, its lines, and where each of them starts."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.lines = BREAK.split(text)
        self.starts = [0, *(match.end() for match in BREAK.finditer(text))]

    @cached_property
    def _shown(self) -> list[str]:
        return shown(self.lines)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 0."""
        line = bisect_right(self.starts, min(offset, len(self.text))) - 1
        return line, min(offset - self.starts[line], len(self.lines[line]))

    def error(
        self, problem: Problem, span: Span, resource: str = "", path: str = "", hide: bool = False
    ) -> ConfigError:
        """The problem, at its place. `hide`: what stands behind the place is not shown."""
        line, column = self.place(span.start)
        visible, caret = excerpt(self._shown[line], column)
        width = max(1, min(span.end - span.start, len(self.lines[line]) - column, len(visible) - caret))
        return ConfigError(
            code=problem.code,
            message=brief(problem.message),
            source=self.source,
            line=line + 1,
            column=column + 1,
            resource=brief(resource),
            path=brief(path),
            expected=brief(problem.expected),
            hint=brief(problem.hint),
            text=f"{visible[: caret + width]}: {HIDDEN}" if hide else visible,
            caret=caret,
            width=width,
        )

    def refusal(self, code: str, message: str, offset: int, hint: str = "", width: int = 1) -> ConfigErrors:
        """The one error that makes everything else unreadable."""
        return ConfigErrors([self.error(Problem((), code, message, "", hint), Span(offset, offset + width))])


def decode(given: str | bytes, source: str) -> Text:
    """The text of a file: UTF-8, at most 1 MiB, of characters that YAML knows. Raises ConfigErrors."""
    try:
        raw = given.encode() if isinstance(given, str) else given
    except UnicodeEncodeError as error:
        raise _character(Text(given, source), error.start) from None  # type: ignore[arg-type]
    if len(raw) > LARGEST:
        raise Text("", source).refusal("yaml.size", f"the file has {len(raw)} octets", 0, f"{LARGEST} are the most")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Text("", source).refusal("yaml.encoding", "the file is UTF-16", 0, "save it as UTF-8")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = Text(raw.decode(), source)
    except UnicodeDecodeError as error:
        place = len(raw[: error.start].decode())
        message = f"the octet {raw[error.start]:#04x} is not UTF-8"
        text = Text(raw.decode("utf-8", "replace"), source)
        raise text.refusal("yaml.encoding", message, place, "save the file as UTF-8") from None
    control = _CONTROL.search(text.text)
    places = [text.text.find(wrong) for wrong in _NO_CHARACTERS] + [control.start() if control else -1]
    if max(places) >= 0:
        raise _character(text, min(place for place in places if place >= 0))
    return text


def _character(text: Text, place: int) -> ConfigErrors:
    message = f"the character U+{ord(text.text[place]):04X} may not stand in YAML"
    return text.refusal("yaml.character", message, place, "in a quoted text, write it as an escape")
