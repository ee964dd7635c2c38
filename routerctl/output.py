"""What reaches the operator: formats, colours, glyphs, tables; and nothing unfiltered that came over a network.

stdout is data, stderr notes and progress. Whatever is shown as text passes `clean`: a DHCP server chooses its
domain name, and must not choose the colour of a terminal, nor move its cursor.
"""

from __future__ import annotations

import io
import json
import os
import sys

from routerctl.errors import Exit, Failure
from routerctl.paths import found_at, parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TextIO

    from routerctl.paths import Path

FORMATS = ("table", "wide", "json", "yaml", "jsonl", "name", "jsonpath=PATH", "custom-columns=TITLE:PATH,…")

_ROLES = {
    "good": "active applied bound changed connected established healthy installed live observed ok pass passing ready"
    " running synced true up",
    "bad": "blocked crashloop deleted error errored expired fail failed failing false lost unhealthy",
    "dim": "debug idle released skip skipped stopped unchanged unknown -",
    "plain": "info",
}
ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
"""How the first word of a phase, severity or condition looks; any other is a warning."""

LEAST = 40
"""Columns that the last cell of a row may always have, though the line is broken then: a message is worth it."""

_SGR = {"good": "32", "warn": "33", "bad": "31;1", "dim": "2", "bold": "1"}


class Out:
    """Where and how to print. `width` is None off a terminal: nothing is cut there, ever."""

    def __init__(self, form: str = "table", color: str = "auto", quiet: bool = False) -> None:
        self.wide = form == "wide"
        self.form, _, paths = ("table" if self.wide else form).partition("=")
        self.quiet = quiet
        self.tty = sys.stdout.isatty()
        self.width = width_of(sys.stdout) if self.tty and not self.wide else None
        self._paths = _paths(self.form, paths)
        self._columns: Table | None = None
        self._drawn: list[str] | None = None
        self.glyphs = self.tty and not _dumb() and (sys.stdout.encoding or "").lower().startswith("utf")
        self.progresses = not quiet and sys.stderr.isatty() and not _dumb()
        """Whether there is a line for progress."""
        self._color = _wants_color(color, sys.stdout)
        self._progress = False

    # Data

    def line(self, text: str = "") -> None:
        """One line on stdout."""
        if self._drawn is not None:
            self._drawn.append(text)
            return
        self.progress("")
        sys.stdout.write(text + "\n")

    def drawn(self, draw: Callable[[], None]) -> list[str]:
        """The lines that `draw` would print."""
        lines: list[str] = []
        self._drawn = lines
        try:
            draw()
        finally:
            self._drawn = None
        return lines

    def flush(self) -> None:
        """Let readers of a pipe have what was printed."""
        sys.stdout.flush()

    def value(self, value: Any) -> None:
        """A whole answer in the asked format: json, yaml, jsonl as one line, what is at a path, or a row of columns."""
        if self.form == "yaml":
            self.line(_yaml(value).removesuffix("\n"))
        elif self.form == "jsonpath":
            for found in found_at(value, self._paths[0][1]):
                self.line(clean(found) if isinstance(found, str) else _json(found, compact=True))
        elif self.form == "custom-columns":
            self._columns = self._columns or Table(self, *(title for title, _ in self._paths))
            self._columns.rows([[_only(found_at(value, path)) for _, path in self._paths]])
        else:
            self.line(_json(value, compact=self.form == "jsonl"))

    def one(self, item: Any, name: str) -> None:
        """Its name, or the whole of it."""
        if self.form == "name":
            self.line(clean(name))
        else:
            self.value(item)

    def items(self, items: Iterable[Any], name: Callable[[Any], str]) -> None:
        """One line (jsonl, name) or one document (json, yaml) for each."""
        for item in items:
            if self.form == "yaml":
                self.line("---")
            self.one(item, name(item))

    @property
    def whole(self) -> bool:
        """Whether the format is of an answer as a whole, rather than of each of its items."""
        return self.form in ("json", "yaml", "jsonpath")

    # Looks

    def paint(self, role: str, text: str) -> str:
        """The text in the colour of its role, if there are colours. The words say it all without."""
        return f"\x1b[{_SGR[role]}m{text}\x1b[0m" if self._color and role in _SGR and text else text

    def glyph(self, drawn: str, plain: str) -> str:
        """`drawn` on a terminal that can, else `plain`."""
        return drawn if self.glyphs else plain

    def title(self, text: str) -> None:
        """A heading, one empty line above."""
        self.line()
        self.line(self.paint("bold", text))

    def fit(self, text: str, room: int | None) -> str:
        """Cut to `room` columns on a terminal; whole elsewhere."""
        if room is None or columns(text) <= room:
            return text
        mark = self.glyph("…", "...")
        keep = text[: max(0, room - len(mark))]
        while keep and columns(keep) + len(mark) > room:
            keep = keep[:-1]
        return keep + mark

    # Questions

    def ask(self, question: str, lines: Iterable[str] = ()) -> str:
        """The answer of the person at the terminal, lower-case and stripped; `no` at the end of input. `lines`, as
        `drawn` gives them, are what it is about: they go where the question goes, because stdout is for data."""
        self.progress("")
        _stderr("".join(f"{line}\n" for line in lines) + clean(question) + " ")
        return (sys.stdin.readline() or "no").strip().lower()

    # Notes

    def note(self, text: str) -> None:
        """A line on stderr, unless quiet."""
        if not self.quiet:
            self.progress("")
            _stderr(clean(text) + "\n")

    def progress(self, text: str) -> None:
        """The one line of a terminal's stderr that says what is being waited for; the next one replaces it."""
        if (text or self._progress) and self.progresses:
            room = (width_of(sys.stderr) or 80) - 1
            _stderr("\r\x1b[K" + self.fit(clean(text), room))
            self._progress = bool(text)


class Table:
    """Rows under a header that is printed once; later rows keep the columns where they are, or widen them.
    `painted`: the column that is coloured by its first word. On a terminal the last column is cut, no other."""

    def __init__(self, out: Out, *header: str, painted: str = "", indent: str = "") -> None:
        self._out = out
        self._header: tuple[str, ...] | None = header
        self._widths = [len(title) for title in header]
        self._painted = header.index(painted) if painted else -1
        self._indent = indent

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        """Print them."""
        texts = [[cell(value) for value in row] for row in rows]
        for row in texts:
            self._widths = [max(width, columns(text)) for width, text in zip(self._widths, row, strict=True)]
        if self._header is not None and texts:
            self._out.line(self._out.paint("bold", self._laid(self._header)))
            self._header = None
        for row in texts:
            self._out.line(self._laid(row, self._painted))

    def _laid(self, row: Sequence[str], painted: int = -1) -> str:
        room = None if self._out.width is None else self._out.width - len(self._indent)
        line = self._indent
        for index, (text, width) in enumerate(zip(row, self._widths, strict=True)):
            last = index == len(row) - 1
            text = self._out.fit(text, max(LEAST, room)) if last and room is not None else text
            line += self._out.paint(role(text), text) if index == painted else text
            if not last:
                line += " " * (width - columns(text) + 2)
                room = None if room is None else room - width - 2
        return line.rstrip(" ")


def role(text: str) -> str:
    """How a phase, severity or condition looks: good, warn, bad, dim."""
    return ROLE_OF.get(text.partition(" ")[0].lower(), "warn")


def cell(value: object) -> str:
    """Any JSON value as the text of a table: `-` for nothing, lists with commas, never a control character."""
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return clean(json.dumps(value, ensure_ascii=False))


def clean(text: str) -> str:
    """The text with everything that a terminal might obey written out: `\\x1b`, `\\n`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text)


def columns(text: str) -> int:
    """How many columns a terminal takes for it."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def forgiving(stream: TextIO) -> None:
    """Let what the stream's encoding cannot say be written out (`\\u25cf`) instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def fail(failure: Failure) -> Exit:
    """Say it on stderr; the exit code."""
    for line in failure.lines():
        _stderr("\n".join(clean(part) for part in line.splitlines()) + "\n")
    return failure.code


def form_of(text: str) -> str:
    """A format, as it was typed. Raises Failure (usage)."""
    known = [form.partition("=")[0] + ("=" if "=" in form else "") for form in FORMATS]
    if text not in known and not text.startswith(tuple(form for form in known if form.endswith("="))):
        raise Failure(Exit.USAGE, f'there is no format "{text}"', "one of " + ", ".join(FORMATS))
    _paths(*text.partition("=")[::2])
    return text


def _paths(form: str, text: str) -> list[tuple[str, Path]]:
    """Titles and paths of `jsonpath=PATH` and `custom-columns=TITLE:PATH,TITLE:PATH`. Raises Failure (usage)."""
    if form == "jsonpath":
        return [("", parse_path(text))]
    pairs = [column.partition(":") for column in text.split(",")] if form == "custom-columns" else []
    return [(clean(title), parse_path(path, text)) for title, _, path in pairs]


def _only(found: list[Any]) -> Any:
    """One value as it is, several as a list."""
    return found[0] if len(found) == 1 else found


def _json(value: Any, *, compact: bool) -> str:
    text = json.dumps(
        value, ensure_ascii=False, indent=None if compact else 2, separators=(",", ":") if compact else None
    )
    if text.isascii() and "\x7f" not in text:
        return text
    # What JSON may hold raw and a terminal might obey can only stand inside strings, and may be escaped there.
    return "".join(
        ch if ch.isprintable() or ch == "\n" else json.dumps(ch)[1:-1].replace("\x7f", r"\u007f") for ch in text
    )


def _yaml(value: Any) -> str:
    try:
        from ruamel.yaml import YAML
    except ImportError:
        raise Failure(Exit.FAILED, "-o yaml needs the package ruamel.yaml", "use -o json") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1 << 20
    text = ""
    for yaml.allow_unicode in (True, False):
        stream = io.StringIO()
        yaml.dump(value, stream)
        text = stream.getvalue()
        if text.replace("\n", "").isprintable():
            break
    return text


def _stderr(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _wants_color(choice: str, stream: TextIO) -> bool:
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not _dumb()


def _dumb() -> bool:
    return os.environ.get("TERM", "dumb") in ("dumb", "")


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream, or as `COLUMNS` says; None when it is none."""
    if (asked := os.environ.get("COLUMNS", "")).isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
