"""What every operator is: a pure function from what it has seen under one correlation key, and one event more, to what
it has seen now and whether that completes the pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

import attrs

S = TypeVar("S")


@attrs.frozen
class Mark:
    """What is kept of an event: its id, its topic, and what the templates want of it."""

    id: int
    topic: str
    values: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Place:
    """An event in a pattern, and when it came."""

    id: int
    at: float


@attrs.frozen
class Firing:
    """The pattern is complete: by which events (ids, ascending), how many they were, and the one that templates speak
    of."""

    inputs: tuple[int, ...]
    count: int
    mark: Mark


@attrs.frozen
class Step(Generic[S]):
    """What follows from an event. `state` None: nothing is left to remember."""

    state: S | None
    firing: Firing | None = None


class Operator(Protocol[S]):
    """One of the eight. `state` is the class of what it remembers; times are absolute, in seconds."""

    @property
    def state(self) -> type[S]: ...

    def seen(self, state: S | None, mark: Mark, now: float) -> Step[S]:
        """An event that one of the rule's globs takes in."""

    def lapsed(self, state: S, now: float) -> bool:
        """Whether what it remembers makes no difference any more."""
