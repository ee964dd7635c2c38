"""The outside of a configuration: the Router document, and of each resource what is the same for all kinds."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from routerd.resources.resource import Metadata, told
from routerd.shapes.invalid import Invalid


def _mode(_instance: object, _field: object, value: str) -> None:
    if value == "strict":
        raise Invalid(
            "unsupported.value",
            '"strict" is not supported by this version of routerd',
            "expected progressive",
            "remove it: each resource is applied as soon as it can be",
        )


@attrs.frozen
class Reconcile:
    """How the declared state is brought about."""

    mode: Literal["progressive", "strict"] = attrs.field(
        default="progressive",
        validator=_mode,
        metadata=told("`progressive`: each resource as soon as it can be. `strict` belongs to a later version."),
    )


RECONCILE_LATER = ("protectedInterfaces", "protectedZones", "autoTuneConntrack")
"""Fields of `reconcile` that the API knows and this version does not have."""


@attrs.frozen
class RouterSpec:
    """What the router shall be."""

    resources: tuple[Any, ...] = attrs.field(metadata=told("The resources, in any order."))
    reconcile: Reconcile = attrs.field(default=Reconcile(), metadata=told("How the declared state is brought about."))


@attrs.frozen
class RouterDocument:
    """A router: the whole of a configuration file."""

    api_version: Literal["routerd.net/v1alpha1"] = attrs.field(metadata=told("The version of this format."))
    kind: Literal["Router"]
    metadata: Metadata
    spec: RouterSpec


@attrs.frozen
class ResourceDocument:
    """A resource, whatever its kind."""

    api_version: str = attrs.field(metadata=told("The version of the API group.", example="net.routerd.net/v1alpha1"))
    kind: str = attrs.field(metadata=told("What it is.", example="Interface"))
    metadata: Metadata
    spec: Any = attrs.field(metadata=told("What it shall be: see the kind."))
    status: Any = attrs.field(default=None, metadata=told("What it was when it was exported. Ignored."))
