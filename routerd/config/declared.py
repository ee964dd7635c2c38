"""A resource of a file while that is judged: where it stands, and what of it is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from routerd.resources.resource import Resource
from routerd.shapes.convert import fields_of
from routerd.shapes.invalid import Path, Problem


@attrs.frozen
class Declared:
    """A resource in a file: where it stands, and what is known of it. `spec` may be a draft that lacks fields, or None;
    `resource` is None unless all of it is right. `parts`: what is in fields that are wrong, as far as it goes, each
    with its path."""

    path: Path
    label: str
    kind: str
    name: str
    line: int
    spec: Any
    resource: Resource[Any] | None
    parts: tuple[tuple[Path, Any], ...] = ()

    @property
    def fields(self) -> Iterator[tuple[str, Any, Mapping[Any, Any]]]:
        """Wire name, value and metadata of each field of a spec that could be read."""
        cls: Any = type(self.spec)
        for wire, field in fields_of(cls).items() if self.spec is not None else ():
            yield wire, getattr(self.spec, field.name), field.metadata

    @property
    def values(self) -> Iterator[tuple[Path, Any]]:
        """Whatever of the spec could be read, each with its path."""
        yield from ((("spec", wire), value) for wire, value, _ in self.fields)
        yield from self.parts


Finding = tuple[Declared, Problem]


def of(declared: Sequence[Declared], spec: type) -> list[Declared]:
    """Those of this kind of which all is right."""
    return [one for one in declared if isinstance(one.spec, spec)]


def twice(pairs: Iterable[tuple[Any, Declared]]) -> Iterator[tuple[Declared, Declared]]:
    """Those whose key another one had before, each with that one."""
    first: dict[Any, Declared] = {}
    for key, one in pairs:
        if first.setdefault(key, one) is not one:
            yield one, first[key]


def at(other: Declared) -> str:
    """Where it stands, for a hint."""
    return f"{other.label} is on line {other.line}"
