"""A document as nodes: each knows its place in the text, and the plain value that it stands for."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from routerd.config.errors import ConfigError
from routerd.config.text import Span, Text
from routerd.shapes.invalid import Path


@attrs.frozen(eq=False)
class Scalar:
    """A single value. `text` is what was written, `plain` that it was without quotes."""

    span: Span
    data: Any
    text: str
    plain: bool
    height: int = 1
    weight: int = 1


@attrs.frozen(eq=False)
class Sequence:
    """A list. `height` and `weight` count the levels and values in it, itself included."""

    span: Span
    data: list[Any]
    items: tuple[Node, ...]
    height: int
    weight: int


@attrs.frozen(eq=False)
class Mapping:
    """Keys and values in their order."""

    span: Span
    data: dict[str, Any]
    entries: dict[str, tuple[Scalar, Node]]
    height: int
    weight: int


Node = Scalar | Sequence | Mapping


@attrs.frozen(eq=False)
class Document:
    """One document. `errors` are those that did not keep the rest from being read. `anchored`: what stands in one place
    of it may be meant in another, too."""

    text: Text
    root: Node
    errors: tuple[ConfigError, ...]
    anchored: bool = False

    def find(self, path: Path, at: Literal["key", "value"] = "value") -> Span:
        """Where a path leads: to its value or to its key; as far as it goes when something on it is missing."""
        key, node, whole = self._walk(path)
        if key is not None and (at == "key" or not whole or self._is_block(node)):
            return key.span
        if isinstance(node, Mapping) and self._is_block(node) and node.entries:
            return next(iter(node.entries.values()))[0].span
        return Span(node.span.start, node.span.start + 1) if self._is_block(node) else node.span

    def path_at(self, offset: int, within: Path) -> tuple[Path, Literal["key", "value"]]:
        """The path of the innermost key or value at an offset, below the path `within`."""
        _, node, _ = self._walk(within)
        path, at = _inside(node, offset)
        return (*within, *path), at

    def scalar(self, path: Path) -> Scalar | None:
        """The single value that stands there, if there is one."""
        _, node, whole = self._walk(path)
        return node if whole and isinstance(node, Scalar) else None

    def _walk(self, path: Path) -> tuple[Scalar | None, Node, bool]:
        key, node = None, self.root
        for part in path:
            if isinstance(node, Mapping) and part in node.entries:
                key, node = node.entries[str(part)]
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
                key, node = None, node.items[part]
            else:
                return key, node, False
        return key, node, True

    def _is_block(self, node: Node) -> bool:
        """Whether a node has no place of its own in a line: it is empty, or its parts stand in lines of their own."""
        if node.span.start >= node.span.end:
            return True
        return not isinstance(node, Scalar) and self.text.text[node.span.start] not in "[{&"


def _inside(node: Node, offset: int) -> tuple[Path, Literal["key", "value"]]:
    if isinstance(node, Mapping):
        for name, (key, value) in node.entries.items():
            if holds(key, offset):
                return (name,), "key"
            if holds(value, offset):
                path, at = _inside(value, offset)
                return (name, *path), at
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            if holds(item, offset):
                path, at = _inside(item, offset)
                return (number, *path), at
    return (), "value"


def holds(node: Node, offset: int) -> bool:
    """Whether an offset lies in a node."""
    return node.span.start <= offset < node.span.end
