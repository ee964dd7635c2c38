"""What reaches the operator, and how: colours, glyphs, progress, questions; and nothing unfiltered that came over a
network (`words.clean`). stdout is data, stderr notes and progress.
"""

from __future__ import annotations

import io
import os
import sys

from routerctl.formats import as_json, as_yaml, only, paths_of
from routerctl.paths import found_at
from routerctl.table import Table
from routerctl.words import clean, columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    from routerctl.errors import Exit, Failure

_SGR = {"good": "32", "warn": "33", "bad": "31;1", "dim": "2", "bold": "1"}


class Out:
    """Where and how to print. `width` is None off a terminal: nothing is cut there, ever."""

    def __init__(self, form: str = "table", color: str = "auto", quiet: bool = False) -> None:
        self.wide = form == "wide"
        self.form, _, paths = ("table" if self.wide else form).partition("=")
        self.quiet = quiet
        self.tty = sys.stdout.isatty()
        self.width = width_of(sys.stdout) if self.tty and not self.wide else None
        self._paths = paths_of(self.form, paths)
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
            self.line(as_yaml(value).removesuffix("\n"))
        elif self.form == "jsonpath":
            for found in found_at(value, self._paths[0][1]):
                self.line(clean(found) if isinstance(found, str) else as_json(found, compact=True))
        elif self.form == "custom-columns":
            self._columns = self._columns or Table(self, *(title for title, _ in self._paths))
            self._columns.rows([[only(found_at(value, path)) for _, path in self._paths]])
        else:
            self.line(as_json(value, compact=self.form == "jsonl"))

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


def forgiving(stream: TextIO) -> None:
    """Let what the stream's encoding cannot say be written out (`\\u25cf`) instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def fail(failure: Failure) -> Exit:
    """Say it on stderr; the exit code."""
    for line in failure.lines():
        _stderr("\n".join(clean(part) for part in line.splitlines()) + "\n")
    return failure.code


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
