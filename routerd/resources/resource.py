"""What every resource has, whatever its kind: identity, annotations, where it stands, how it refers to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

from routerd.shapes.limits import Matching

Spec = TypeVar("Spec", covariant=True)

_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
NAME = Matching(_NAME, 63, "a name", "lower-case letters, digits, and between them - and .")
"""Names become file and socket names, so nothing else may stand in them."""

REFERENCE = Matching(rf"[A-Za-z0-9]+/{_NAME}", 127, "a reference", "Kind/name")


def told(help: str, **more: Any) -> dict[str, Any]:
    """A field's metadata: `help`, and by need `example`, `name` (on the wire), `refers` (to a kind), `sensitive`."""
    return {"help": help, **more}


@attrs.frozen
class OwnerRef:
    """A resource on whose behalf another one exists. Recorded, without effect of its own."""

    kind: str
    name: str = attrs.field(validator=NAME)
    api_version: str | None = None


@attrs.frozen
class Metadata:
    """Who a resource is."""

    name: str = attrs.field(
        validator=NAME,
        metadata=told("Unique among the resources of its kind; becomes a file name.", example="wan"),
    )
    owner_refs: tuple[OwnerRef, ...] = attrs.field(
        default=(), metadata=told("Resources on whose behalf this one exists; recorded only.")
    )
    annotations: Mapping[str, str] = attrs.field(
        factory=dict, hash=False, metadata=told("Free notes of the operator; routerd does not read them.")
    )


@attrs.frozen
class ValueFrom:
    """A value that another resource provides when it has it, such as the gateway of a lease."""

    resource: str = attrs.field(
        validator=REFERENCE,
        metadata=told("The resource that has the value, as `Kind/name`.", example="DHCPv4Client/wan"),
    )
    field: str = attrs.field(
        metadata=told("Which of the values that its kind provides.", example="gateway"),
    )
    optional: bool = attrs.field(
        default=False, metadata=told("Go on without it while it is missing, instead of waiting.")
    )

    @property
    def kind(self) -> str:
        """`DHCPv4Client` of `DHCPv4Client/wan`."""
        return self.resource.partition("/")[0]

    @property
    def name(self) -> str:
        """`wan` of `DHCPv4Client/wan`."""
        return self.resource.partition("/")[2]


@attrs.frozen
class Position:
    """Where something was written. Line and column count from 1."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


@attrs.frozen
class Resource(Generic[Spec]):
    """One declared resource. Equal when it says the same, wherever it stands."""

    api_version: str
    kind: str
    name: str
    spec: Spec
    owner_refs: tuple[OwnerRef, ...] = ()
    annotations: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    position: Position = attrs.field(default=Position("", 1, 1), eq=False)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
