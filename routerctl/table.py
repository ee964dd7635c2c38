"""Rows in columns."""

from __future__ import annotations

from routerctl.words import cell, columns, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from routerctl.output import Out

LEAST = 40
"""Columns that the last cell of a row may always have, though the line is broken then: a message is worth it."""


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
