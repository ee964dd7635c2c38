"""What a metric is: its name, its labels, and how its values are read off the running router. Which there are is in
`figures` and `process`. Names are Prometheus's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import attrs

from routerd.api.plane import Plane

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values with the values of their labels."""


@attrs.frozen
class Family:
    """One metric. `labels` are the names of its labels; a counter's name ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str
    samples: Callable[[Plane], Samples] = attrs.field(eq=False)

    def read(self, plane: Plane) -> Reading:
        """Its values now."""
        return Reading(self, tuple((labels, float(value)) for labels, value in self.samples(plane)))


@attrs.frozen
class Reading:
    """The values of a metric at one moment."""

    family: Family
    samples: tuple[tuple[tuple[str, ...], float], ...]


def counter(name: str, help: str, samples: Callable[[Plane], Samples], *labels: str) -> Family:
    """What only grows."""
    return Family(name, "counter", labels, help, samples)


def gauge(name: str, help: str, samples: Callable[[Plane], Samples], *labels: str) -> Family:
    """What goes up and down."""
    return Family(name, "gauge", labels, help, samples)


def one(value: Callable[[Plane], float]) -> Callable[[Plane], Samples]:
    """A metric without labels."""
    return lambda plane: [((), float(value(plane)))]
