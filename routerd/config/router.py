"""A configuration that was read and found good."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar, overload

import attrs

from routerd.resources.resource import Resource

S = TypeVar("S")

DOCUMENT, API_VERSION = "Router", "routerd.net/v1alpha1"
"""The kind of the configuration itself, which has a status, but is no resource; and its version."""


@attrs.frozen
class Router:
    """What one file declares. `text` is that file; `digest` stands for what it says, comments and layout apart."""

    name: str
    resources: tuple[Resource[Any], ...]
    source: str = attrs.field(default="", eq=False)
    text: str = attrs.field(default="", eq=False, repr=False)
    digest: str = ""

    @property
    def kind(self) -> str:
        """Of the configuration itself."""
        return DOCUMENT

    @property
    def api_version(self) -> str:
        """Of the configuration itself."""
        return API_VERSION

    @overload
    def of(self, kind: type[S]) -> tuple[Resource[S], ...]: ...
    @overload
    def of(self, kind: str) -> tuple[Resource[Any], ...]: ...
    def of(self, kind: type[Any] | str) -> tuple[Resource[Any], ...]:
        """The resources of a kind, in the order of the file. The kind by name, or by the class of its spec."""
        name = kind if isinstance(kind, str) else kind.__name__
        return self._by_kind.get(name, ())

    @overload
    def get(self, kind: type[S], name: str) -> Resource[S] | None: ...
    @overload
    def get(self, kind: str, name: str) -> Resource[Any] | None: ...
    def get(self, kind: type[Any] | str, name: str) -> Resource[Any] | None:
        """The resource of a kind and name, if it is declared."""
        return self._by_name.get((kind if isinstance(kind, str) else kind.__name__, name))

    @cached_property
    def _by_kind(self) -> Mapping[str, tuple[Resource[Any], ...]]:
        found: dict[str, list[Resource[Any]]] = {}
        for resource in self.resources:
            found.setdefault(resource.kind, []).append(resource)
        return {kind: tuple(resources) for kind, resources in found.items()}

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Resource[Any]]:
        return {(resource.kind, resource.name): resource for resource in reversed(self.resources)}
