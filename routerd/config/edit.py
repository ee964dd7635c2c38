"""Resources put into the text of a configuration, and taken out of it, by splicing: comments, order and layout of
everything else stay as they are, octet for octet.

Pure. What was spliced is read again and held against what was meant: a way of writing YAML that cannot be spliced is
refused, with its place, and never mangled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as HashMap
from typing import Any

import attrs

from routerd.config.compose import compose
from routerd.config.document import Document, Mapping, Node, holds
from routerd.config.document import Sequence as Listed
from routerd.config.draft import taken
from routerd.config.errors import HIDDEN, ConfigError, ConfigErrors
from routerd.config.router import API_VERSION, DOCUMENT
from routerd.config.splice import Dashed, Layout, Piece, Splice, layout_of, odd, reindented, spliced
from routerd.config.text import Span, Text, decode
from routerd.config.write import item, on_one_line
from routerd.resources.resource import told
from routerd.shapes.invalid import Path, Problem, dotted

Key = tuple[Any, Any, Any]
"""apiVersion, kind and name: two resources that agree in these are one."""


@attrs.frozen
class PartialSpec:
    """What a candidate brings. `reconcile` is that of the configuration, and is ignored here."""

    resources: tuple[Any, ...]
    reconcile: Any = None


@attrs.frozen
class PartialDocument:
    """A candidate: resources to merge. Its own metadata are ignored."""

    spec: PartialSpec
    api_version: str | None = attrs.field(default=None, metadata=told("Must be right when it is there."))
    kind: str | None = None
    metadata: Any = None


@attrs.frozen(eq=False)
class Edited:
    """A configuration after an edit, and where each piece of its text comes from."""

    document: Document
    pieces: tuple[Piece, ...]
    candidate: Document | None = None
    brought: HashMap[int, int] = attrs.field(factory=dict)
    """Of each resource that the candidate brought: its place here, and its place there."""
    gone: str = ""
    """The resource that was taken out, as Kind/name."""

    def traced(self, errors: ConfigErrors) -> ConfigErrors:
        """Errors of the edited text, each at the place where its author has written it."""
        traced = map(self._traced, errors.errors)
        return ConfigErrors(_still_used(error, self.gone) if self.gone else error for error in traced)

    def _traced(self, error: ConfigError) -> ConfigError:
        start = self.document.text.starts[error.line - 1] + error.column - 1
        offset = start
        for piece in self.pieces:
            if offset < len(piece.text) or piece is self.pieces[-1]:
                line, column = piece.origin_of(offset)
                if piece.form == "copied":
                    return attrs.evolve(error, source=piece.origin.source, line=line + 1, column=column + 1)
                at = piece.origin.starts[line] + column
                span = self._in_candidate(start) if piece.form == "made" else None
                return _told_anew(error, piece.origin, span or Span(at, at + error.width), self._label(error))
            offset -= len(piece.text)
        return error

    def _in_candidate(self, offset: int) -> Span | None:
        """Where the candidate has what was written anew from its values."""
        for here, there in self.brought.items():
            within: Path = ("spec", "resources", here)
            if self.candidate is not None and holds(_resources(self.document).items[here], offset):
                path, at = self.document.path_at(offset, within)
                return self.candidate.find(("spec", "resources", there, *path[len(within) :]), at)
        return None

    def _label(self, error: ConfigError) -> str:
        """What the error's resource is called where its author wrote it: one without a name by its place."""
        places = {_placed(here): _placed(there) for here, there in self.brought.items()}
        return places.get(error.resource, error.resource)


def _placed(number: int) -> str:
    return dotted(("spec", "resources", number))


def _still_used(error: ConfigError, gone: str) -> ConfigError:
    """Whatever is missed in a configuration that was right before is what was taken out of it."""
    if error.code not in ("reference.dangling", "value.lockout"):
        return error
    by = f"{error.resource} ({error.source}:{error.line})"
    lockout = "management plane lockout risk: " if error.code == "value.lockout" else ""
    message, hint = f"{lockout}{gone} is still used by {by}", f"change or delete {error.resource} first"
    return attrs.evolve(error, message=message, expected="used here", hint=hint)


def _told_anew(error: ConfigError, text: Text, span: Span, label: str) -> ConfigError:
    """The same error of another text, with that one's line beside it."""
    problem = Problem((), error.code, error.message, error.expected, error.hint)
    return text.error(problem, span, label, error.path, hide=error.text.endswith(f": {HIDDEN}"))


def merged(canonical: Document, candidate: Text) -> Edited:
    """Each resource of the candidate replaces the whole one with the same apiVersion, kind and name; the others are
    appended. One that says the same as before stays as it was written. Raises ConfigErrors."""
    document = compose(candidate)
    offered = _offered(document)
    wanted = list(_resources(canonical).data)
    places = {key_of(data): place for place, data in reversed(list(enumerate(wanted)))}
    replaced: dict[int, int] = {}
    appended: list[int] = []
    for number, data in enumerate(offered.data):
        place = places.get(key_of(data))
        if place is None:
            appended.append(number)
            wanted.append(data)
        elif not same(wanted[place], data):
            replaced[place] = number
            wanted[place] = data
    if not replaced and not appended:
        return Edited(canonical, (Piece(canonical.text.text, canonical.text, 0),))
    new = enumerate(appended, len(wanted) - len(appended))
    layout = layout_of(canonical)
    offer = _Offer(offered, candidate, _copyable(document), layout.column, layout.newline)
    splices = [layout.replacing(place, offer.piece(number, new=False)) for place, number in replaced.items()]
    if appended:
        splices += layout.appending([offer.piece(number, new=True) for number in appended])
    edited = _checked(canonical, splices, wanted)
    return attrs.evolve(edited, candidate=document, brought={**replaced, **dict(new)})


def removed(canonical: Document, key: Key) -> Edited:
    """Without this resource. Raises KeyError when it is not there, ConfigErrors."""
    wanted = list(_resources(canonical).data)
    place = next((place for place, data in enumerate(wanted) if key_of(data) == key), None)
    if place is None:
        raise KeyError(key)
    del wanted[place]
    edited = _checked(canonical, layout_of(canonical).removing(place), wanted)
    return attrs.evolve(edited, gone=f"{key[1]}/{key[2]}")


def key_of(data: Any) -> Key:
    """What tells a resource from others, as far as it is there."""
    given = data if isinstance(data, dict) else {}
    about = given.get("metadata")
    return (
        _word(given.get("apiVersion")),
        _word(given.get("kind")),
        _word(about.get("name") if isinstance(about, dict) else None),
    )


def _word(value: Any) -> Any:
    """Text; what is none is like nothing else."""
    return value if isinstance(value, str) else object()


def same(one: Any, other: Any) -> bool:
    """Whether two values of documents say the same: `1` is neither `true` nor `1.0`, order of keys means nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _resources(document: Document) -> Listed:
    """The list of resources of a configuration that is valid, which is what is edited."""
    node: Node = document.root
    for name in ("spec", "resources"):
        assert isinstance(node, Mapping), "an invalid document is not edited"
        node = node.entries[name][1]
    assert isinstance(node, Listed), "an invalid document is not edited"
    return node


def _offered(candidate: Document) -> Listed:
    """The resources of a candidate. Raises ConfigErrors."""
    errors = list(candidate.errors)
    data = candidate.root.data
    _, problems = taken(PartialDocument, data)
    problems += _wrong_head(data)
    for problem in problems:
        span = candidate.find(problem.path, problem.at)
        errors.append(candidate.text.error(problem, span, path=dotted(problem.path)))
    if errors:
        raise ConfigErrors(errors)
    resources = _resources(candidate)
    if not resources.items:
        words = "candidate spec.resources must contain at least one resource for partial apply"
        raise candidate.text.refusal("edit.empty", words, resources.span.start, "to empty the file, replace it")
    _refuse_twins(candidate, resources)
    return resources


def _wrong_head(data: Any) -> Iterator[Problem]:
    for name, right in (("apiVersion", API_VERSION), ("kind", DOCUMENT)):
        given = data.get(name, right) if isinstance(data, dict) else right
        if isinstance(given, str) and given != right:
            words = f"a candidate is a {right}, with its resources in spec.resources"
            yield Problem((name,), "schema.enum", words, f"expected {right}")


def _refuse_twins(candidate: Document, resources: Listed) -> None:
    seen: set[Key] = set()
    for place, data in enumerate(resources.data):
        key = key_of(data)
        if key in seen:
            span = candidate.find(("spec", "resources", place))
            label = f"{key[1]}/{key[2]}"
            problem = Problem((), "duplicate.resource", f"there is another {label} in the candidate", "a second one")
            raise ConfigErrors([candidate.text.error(problem, span, label)])
        seen.add(key)


@attrs.frozen
class _Offer:
    """The resources of a candidate, ready for a list with its dashes in `column` (None: a list in brackets). What can
    be copied is, comments and all; the rest is written anew from its values."""

    resources: Listed
    text: Text
    layout: Layout | None
    column: int | None
    newline: str

    def piece(self, number: int, *, new: bool) -> Piece:
        """One of them; with the comment right above it if it is new."""
        at, data = self.resources.items[number].span.start, self.resources.data[number]
        if self.column is None:
            return Piece(on_one_line(data), self.text, at, "made")
        if isinstance(self.layout, Dashed):
            chunk = self.layout.introduced(number) if new else self.layout.chunks[number]
            return reindented(self.text, chunk, self.column - self.layout.column, self.newline)
        indent = " " * self.column
        return Piece(self.newline.join(indent + line for line in item(data)), self.text, at, "made")


def _copyable(candidate: Document) -> Layout | None:
    """Where the resources of a candidate stand, if they mean the same elsewhere: an alias does not."""
    if candidate.anchored:
        return None
    try:
        return layout_of(candidate)
    except ConfigErrors:
        return None


def _checked(canonical: Document, splices: Sequence[Splice], wanted: list[Any]) -> Edited:
    """What has become of the text, which says what was meant. Raises ConfigErrors."""
    pieces = spliced(canonical.text, splices)
    text = decode("".join(piece.text for piece in pieces), canonical.text.source)
    try:
        document = compose(text)
    except ConfigErrors as errors:
        raise Edited(Document(text, canonical.root, ()), pieces).traced(errors) from None
    whole: dict[str, Any] = canonical.root.data  # type: ignore[assignment]  # it is valid, so it is a mapping
    meant = {**whole, "spec": {**whole["spec"], "resources": wanted}}
    if not same(document.root.data, meant):
        odd(canonical.text, _resources(canonical).span, "is written in an unusual way")
    return Edited(document, pieces)
