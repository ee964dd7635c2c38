"""YAML 1.2 text to a document of nodes that know their place, with the plain values that they stand for.

Made from ruamel.yaml's events rather than by its composer: so depth, size and growth by aliases are bounded, and each
thing that YAML allows and a configuration should not have (tags, merge keys, a key twice) is told with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeVar

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from routerd.config.document import Document, Mapping, Node, Scalar, Sequence
from routerd.config.errors import MOST_ERRORS, ConfigError, ConfigErrors
from routerd.config.text import Span, Text
from routerd.shapes.invalid import Problem

DEEPEST = 32
MOST_NODES = 150_000
"""Keys and values as written; and values again, once every alias is replaced by what it stands for."""

N = TypeVar("N", bound=Node)


def compose(text: Text) -> Document:
    """Read the one document of a text. Raises ConfigErrors when it cannot be read to its end."""
    return _Composer(text).document()


@attrs.define
class _Open:
    """A collection whose end has not come yet."""

    event: CollectionStartEvent
    items: list[Node] = attrs.field(factory=list)
    entries: dict[str, tuple[Scalar, Node]] = attrs.field(factory=dict)
    key: Scalar | None = None
    skipping: bool = False
    """The value that comes belongs to a key that was refused."""


class _Composer:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._errors: list[ConfigError] = []
        self._root: Node | None = None
        self._documents = 0
        self._nodes = 0

    def document(self) -> Document:
        for event in _events(self._text, self._open):
            node = self._node(event)
            if node is not None:
                self._place(node, event)
        if self._root is None or self._root.data is None:
            raise self._text.refusal(
                "yaml.empty", "there is nothing in the file", 0, "`routerd schema` says what may be"
            )
        return Document(self._text, self._root, tuple(self._errors), bool(self._anchors))

    def _node(self, event: Event) -> Node | None:
        """The node that is complete with this event."""
        match event:
            case DocumentStartEvent():
                self._start(event)
            case AliasEvent():
                return self._alias(event)
            case ScalarEvent():
                return self._scalar(event)
            case CollectionStartEvent():
                self._refuse_tag(event)
                self._open.append(_Open(event))
                if len(self._open) > DEEPEST:
                    raise self._too("deep", event)
            case CollectionEndEvent():
                return self._close(event)
        return None

    def _start(self, event: DocumentStartEvent) -> None:
        offset = event.start_mark.index
        self._documents += 1
        if self._documents > 1:
            raise self._text.refusal(
                "yaml.documents", "a second document begins here", offset, "one file, one Router", 3
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            raise self._text.refusal("yaml.version", "this is read as YAML 1.2", 0, "remove the %YAML line", 5)

    def _alias(self, event: AliasEvent) -> Node:
        if event.anchor in self._anchors:
            return self._anchors[event.anchor]
        inside = any(event.anchor == frame.event.anchor for frame in self._open)
        what = "an alias stands inside what it names" if inside else "an alias names an anchor that is not there"
        raise self._text.refusal("yaml.alias", what, event.start_mark.index, "write the value itself")

    def _scalar(self, event: ScalarEvent) -> Scalar:
        self._refuse_tag(event)
        span = _span(event, event)
        if any("\ud800" <= letter <= "\udfff" for letter in event.value):
            self._tell("yaml.character", "an escape stands for half a character", span, "use \\U and eight digits")
        plain = not event.style
        data = resolved(event.value) if plain else event.value
        return self._remember(event, Scalar(span, data, event.value, plain))

    def _close(self, end: CollectionEndEvent) -> Node:
        frame = self._open.pop()
        children = frame.items or [value for _, value in frame.entries.values()]
        height = 1 + max((child.height for child in children), default=0)
        weight = 1 + sum(child.weight for child in children)
        if weight > MOST_NODES:
            raise self._too("large", frame.event)
        span = _span(frame.event, end)
        node: Node
        if isinstance(frame.event, MappingStartEvent):
            data = {name: value.data for name, (_, value) in frame.entries.items()}
            node = Mapping(span, data, frame.entries, height, weight)
        else:
            node = Sequence(span, [item.data for item in frame.items], tuple(frame.items), height, weight)
        return self._remember(frame.event, node)

    def _remember(self, event: NodeEvent, node: N) -> N:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise self._too("large", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _place(self, node: Node, event: Event) -> None:
        """Give a complete node to the collection that it stands in."""
        if not self._open:
            self._root = node
            return
        frame = self._open[-1]
        if len(self._open) + node.height > DEEPEST:
            raise self._too("deep", event)
        if not isinstance(frame.event, MappingStartEvent):
            frame.items.append(node)
        elif frame.key is None and not frame.skipping:
            self._take_key(frame, node, event)
        else:
            if frame.key is not None:
                frame.entries[frame.key.text] = (frame.key, node)
            frame.key, frame.skipping = None, False

    def _take_key(self, frame: _Open, node: Node, event: Event) -> None:
        frame.skipping = True
        if not isinstance(node, Scalar) or isinstance(event, AliasEvent) or (node.plain and node.data is None):
            span = _span(event, event) if isinstance(event, AliasEvent) else node.span
            self._tell("yaml.key", "a key must be a name", span, "write a name before the colon")
        elif node.plain and node.text == "<<":
            hint = "YAML 1.2 has no merge keys: repeat the fields, or use an alias for the whole value"
            self._tell("yaml.merge-key", "fields cannot be merged in", node.span, hint)
        elif node.text in frame.entries:
            line = self._text.place(frame.entries[node.text][0].span.start)[0] + 1
            # Not quoted: below a secret it may be one.
            self._tell("yaml.duplicate-key", "this key stands here twice", node.span, f"it is on line {line} already")
        else:
            frame.key, frame.skipping = node, False

    def _refuse_tag(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.tag is not None:
            self._tell("yaml.tag", "tags have no meaning here", _span(event, event), "remove it; quote what is text")

    def _tell(self, code: str, message: str, span: Span, hint: str) -> None:
        if len(self._errors) < MOST_ERRORS:
            self._errors.append(self._text.error(Problem((), code, message, "", hint), span))

    def _too(self, what: Literal["deep", "large"], event: Event) -> ConfigErrors:
        levels, values = f"{DEEPEST} levels are the most", f"{MOST_NODES} values are the most, aliases counted in full"
        hint = levels if what == "deep" else values
        return self._text.refusal(f"yaml.too-{what}", f"this is too {what}", event.start_mark.index, hint)


def _span(first: Event, last: Event) -> Span:
    return Span(first.start_mark.index, last.end_mark.index)


_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,2})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def resolved(text: str) -> Any:
    """What a plain scalar stands for: YAML 1.2's core schema (§10.3.2), numbers of sane length."""
    if text in (text.lower(), text.upper(), text.capitalize()) and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _events(text: Text, opened: Iterable[_Open]) -> Iterator[Event]:
    """The events of a text. `opened`: the collections that have not ended, as far as the events have come."""
    try:
        yield from YAML(typ="safe", pure=True).parse(text.text)
    except MarkedYAMLError as error:
        brackets = [frame.event.start_mark.index for frame in opened if frame.event.flow_style]
        raise _syntax(text, error, brackets) from None
    except ValueError:  # the one that ruamel.yaml lets through: an escape beyond Unicode
        wrong = re.search(r"\\U(?!000|0010)[0-9A-Fa-f]{8}", text.text)
        raise text.refusal(
            "yaml.character", "an escape stands for no character", wrong.start() if wrong else 0, "U+10FFFF is the last"
        ) from None


_NEVER_CLOSED = "the bracket that opens here is never closed"
_COMPLAINTS = (
    # (what ruamel.yaml says, what we say, what helps, whether the fault lies where the construct began)
    ("character '\\t'", "a tab cannot indent", "use spaces", False),
    ("unexpected end of stream", "the quote that opens here is never closed", "close it on the same line", True),
    ("mapping values are not allowed", "a `:` has no key here", "indent it like its neighbours, or quote it", False),
    ("expected <block end>", "this does not fit the indentation above", "indent it like its neighbours", False),
    ("could not find expected ':'", "a `:` is missing after this key", "write key: value", True),
    ("expected ',' or", _NEVER_CLOSED, "close it, or put a comma between", True),
    ("expected '<document start>'", "this cannot follow what stands above", "one file, one mapping", False),
    ("expected the node content", "a value is missing here", "write it, or remove the comma or key before", False),
    ("cannot start any token", "a value cannot begin with this character", "quote the text", False),
)


def _syntax(text: Text, error: MarkedYAMLError, brackets: list[int]) -> ConfigErrors:
    """What ruamel.yaml complains of, in our words. `brackets`: where those that are open stand."""
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    if brackets and "expected the node content, but found '<stream end>'" in said:
        return text.refusal("yaml.syntax", _NEVER_CLOSED, brackets[-1], "close it")
    known = next((complaint for complaint in _COMPLAINTS if complaint[0] in said), ("", said, "", False))
    _, message, hint, at_start = known
    marks = (error.context_mark, error.problem_mark) if at_start else (error.problem_mark, error.context_mark)
    mark = marks[0] or marks[1]
    return text.refusal("yaml.syntax", message, mark.index if mark is not None else 0, hint)
