"""Where the resources stand in the text of a document, and how text is put between them.

A list is written with dashes, one item to some lines of its own, or in brackets. What is in between (an alias for an
item, a list inside a tag) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NoReturn

import attrs

from routerd.config.document import Document, Mapping, Node, Scalar
from routerd.config.document import Sequence as Listed
from routerd.config.text import BREAK, Span, Text

_COMMA = re.compile(r"\s*,")


@attrs.frozen(eq=False)
class Piece:
    """Some text, and where it comes from: copied from `at` in `origin`; moved from there by `shift` columns, line for
    line; or made in place of what stands there."""

    text: str
    origin: Text
    at: int
    form: Literal["copied", "moved", "made"] = "copied"
    shift: int = 0

    def origin_of(self, offset: int) -> tuple[int, int]:
        """Line and column in `origin` (both from 0) of a place in this text."""
        if self.form == "copied":
            return self.origin.place(self.at + offset)
        line, column = self.origin.place(self.at)
        if self.form == "made":
            return line, column
        breaks = list(BREAK.finditer(self.text, 0, offset))
        start = breaks[-1].end() if breaks else 0
        return line + len(breaks), max(0, offset - start - self.shift)


@attrs.frozen(eq=False)
class Splice:
    """What stands from `start` to `end` is replaced by pieces."""

    start: int
    end: int
    pieces: tuple[Piece, ...] = ()


def spliced(text: Text, splices: Sequence[Splice]) -> tuple[Piece, ...]:
    """The pieces of the whole text. Splices do not overlap."""
    pieces, done = [], 0
    for splice in sorted(splices, key=lambda one: (one.start, one.end)):
        pieces += [Piece(text.text[done : splice.start], text, done), *splice.pieces]
        done = splice.end
    pieces.append(Piece(text.text[done:], text, done))
    return tuple(piece for piece in pieces if piece.text)


def reindented(text: Text, chunk: Span, shift: int, newline: str) -> Piece:
    """Whole lines of a text, moved by some columns."""
    lines = BREAK.split(text.text[chunk.start : chunk.end])
    moved = [_moved(line, shift) for line in lines]
    return Piece(newline.join(moved), text, chunk.start, "moved", shift)


def _moved(line: str, shift: int) -> str:
    if not line.strip():
        return line
    indent = len(line) - len(line.lstrip(" "))
    return " " * max(0, indent + shift) + line[indent:]


@attrs.frozen(eq=False)
class Dashed:
    """A list with dashes in `column`; `chunks` are the items, from the beginning of a line to the end of one."""

    text: Text
    column: int
    newline: str
    chunks: tuple[Span, ...]
    key: Scalar

    def introduced(self, place: int) -> Span:
        """An item with the comment right above it."""
        chunk = self.chunks[place]
        first, _ = self.text.place(chunk.start)
        mark = " " * self.column + "#"
        while self.text.lines[first - 1].startswith(mark):  # there is a key above the list
            first -= 1
        return Span(self.text.starts[first], chunk.end)

    def replacing(self, place: int, piece: Piece) -> Splice:
        """Put something in the place of an item."""
        chunk = self.chunks[place]
        return Splice(chunk.start, chunk.end, (piece,))

    def appending(self, pieces: Sequence[Piece]) -> list[Splice]:
        """Put items behind the last."""
        end = self.chunks[-1].end
        glue = Piece(self.newline, self.text, end, "made")
        return [Splice(end, end, tuple(one for piece in pieces for one in (glue, piece)))]

    def removing(self, place: int) -> list[Splice]:
        """Take an item out; an empty list has brackets."""
        chunk = self.chunks[place]
        line, _ = self.text.place(chunk.end)
        starts = self.text.starts
        end = starts[line + 1] if line + 1 < len(starts) else chunk.end
        gone = Splice(chunk.start, end)
        if len(self.chunks) > 1:
            return [gone]
        colon = self.text.text.index(":", self.key.span.end) + 1
        return [Splice(colon, colon, (Piece(" []", self.text, colon, "made"),)), gone]


@attrs.frozen(eq=False)
class Empty:
    """`[]` behind a key that has a line of its own: items are put below it, with dashes in `column`."""

    text: Text
    column: int
    newline: str
    brackets: Span

    def replacing(self, place: int, piece: Piece) -> Splice:
        raise IndexError(place)

    def appending(self, pieces: Sequence[Piece]) -> list[Splice]:
        """Put items in."""
        line, _ = self.text.place(self.brackets.end)
        end = self.text.starts[line] + len(self.text.lines[line])
        glue = Piece(self.newline, self.text, end, "made")
        start = len(self.text.text[: self.brackets.start].rstrip(" "))
        items = tuple(one for piece in pieces for one in (glue, piece))
        return [Splice(start, self.brackets.end), Splice(end, end, items)]

    def removing(self, place: int) -> list[Splice]:
        raise IndexError(place)


@attrs.frozen(eq=False)
class Bracketed:
    """A list in brackets. Its items are written on one line each."""

    text: Text
    newline: str
    chunks: tuple[Span, ...]
    brackets: Span
    column: None = None

    def replacing(self, place: int, piece: Piece) -> Splice:
        """Put something in the place of an item."""
        chunk = self.chunks[place]
        return Splice(chunk.start, chunk.end, (piece,))

    def appending(self, pieces: Sequence[Piece]) -> list[Splice]:
        """Put items behind the last."""
        end = self.chunks[-1].end if self.chunks else self.brackets.start + 1
        glue = Piece(", ", self.text, end, "made")
        parts = [one for piece in pieces for one in (glue, piece)]
        return [Splice(end, end, tuple(parts if self.chunks else parts[1:]))]

    def removing(self, place: int) -> list[Splice]:
        """Take an item out, with a comma."""
        chunk, text = self.chunks[place], self.text.text
        comma = _COMMA.match(text, chunk.end)
        if comma is not None:
            return [Splice(chunk.start, comma.end())]
        before = text[: chunk.start].rstrip()
        return [Splice(len(before) - 1 if before.endswith(",") else chunk.start, chunk.end)]


Layout = Dashed | Empty | Bracketed


def layout_of(document: Document) -> Layout:
    """How the resources of a document that has some are written. Raises ConfigErrors where they cannot be spliced."""
    text, root = document.text, document.root
    spec = root.entries["spec"][1] if isinstance(root, Mapping) else root
    assert isinstance(spec, Mapping)
    key, listed = spec.entries["resources"]
    assert isinstance(listed, Listed)
    newline = BREAK.search(text.text)
    ending = newline[0] if newline else "\n"
    opening = text.text[listed.span.start]
    if listed.span.start < key.span.end:
        odd(text, key.span, "stands elsewhere, and an alias here")
    if opening == "-":
        return _dashed(text, key, listed, ending)
    if opening != "[":
        odd(text, listed.span, "has an anchor")
    if not listed.items and text.text[spec.span.start] not in "{&":
        return Empty(text, text.place(key.span.start)[1] + 2, ending, listed.span)
    return _bracketed(text, listed, ending)


def odd(text: Text, span: Span, what: str) -> NoReturn:
    """Refuse to splice. Raises ConfigErrors."""
    hint = "write each resource out on lines of its own, or replace the whole file"
    raise text.refusal("edit.style", f"the list of resources {what}: it cannot be edited", span.start, hint)


def _dashed(text: Text, key: Scalar, listed: Listed, newline: str) -> Dashed:
    first, column = text.place(listed.span.start)
    last = _last_line(text, listed)
    mark = " " * column + "-"
    dashes = [n for n in range(first, last + 1) if text.lines[n].startswith(mark) and _is_dash(text.lines[n], column)]
    if len(dashes) != len(listed.items) or dashes[0] != first:
        odd(text, listed.span, "has lines that look like items and are none")
    chunks = [_chunk(text, begin, end - 1, column) for begin, end in pairwise([*dashes, last + 1])]
    return Dashed(text, column, newline, tuple(chunks), key)


def _is_dash(line: str, column: int) -> bool:
    return len(line) == column + 1 or line[column + 1] in " \t"


def _last_line(text: Text, listed: Listed) -> int:
    """Of the list. It ends where the next thing begins, which may be the end of the text."""
    line, column = text.place(listed.span.end)
    return line if listed.span.end >= len(text.text) and column else line - 1


def _chunk(text: Text, first: int, last: int, column: int) -> Span:
    """An item's lines. Blank lines and comments behind it belong to what follows, unless they are indented more."""
    while last > first and _is_loose(text.lines[last], column):
        last -= 1
    return Span(text.starts[first], text.starts[last] + len(text.lines[last]))


def _is_loose(line: str, column: int) -> bool:
    bare = line.strip()
    return not bare or (bare.startswith("#") and len(line) - len(line.lstrip(" ")) <= column)


def _bracketed(text: Text, listed: Listed, newline: str) -> Bracketed:
    chunks = tuple(_whole(text, listed, node) for node in listed.items)
    for one, other in pairwise(chunks):
        if other.start < one.end:
            odd(text, listed.span, "holds an alias")
    return Bracketed(text, newline, chunks, listed.span)


def _whole(text: Text, listed: Listed, node: Node) -> Span:
    """The span of an item in brackets."""
    if not (listed.span.start < node.span.start and node.span.end < listed.span.end):
        odd(text, listed.span, "holds an alias")
    if text.text[node.span.start] != "{":
        odd(text, node.span, "holds something with an anchor")
    return node.span
