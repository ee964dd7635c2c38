"""A timeline for one machine: time goes by, deadlines are kept, inputs come, and all that is said is written down."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from routerd.protocols.machine import Tick

T = TypeVar("T")


@attrs.frozen
class Said:
    """One output, and when."""

    at: float
    output: Any


@attrs.frozen
class Told:
    """One input, when it came, and how many outputs answered it."""

    at: float
    event: Any
    answers: int


class Timeline:
    """Drives `machine` from time `now` on. Its Ticks come in time unless a test lets them come late."""

    def __init__(self, machine: Any, now: float = 1000.0) -> None:
        self.machine = machine
        self.now = now
        self.said: list[Said] = []
        self.told: list[Told] = []

    def feed(self, event: object) -> list[Any]:
        """What the machine answers to an input now."""
        outputs: list[Any] = self.machine.handle(event, self.now)
        self.told.append(Told(self.now, event, len(outputs)))
        self.said += [Said(self.now, output) for output in outputs]
        return outputs

    def run(self, seconds: float) -> list[Said]:
        """Let time go by, every deadline kept; what was said in it."""
        end, before = self.now + seconds, len(self.said)
        while (deadline := self.machine.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.feed(Tick())
            assert self.machine.deadline is None or self.machine.deadline > self.now
        self.now = end
        return self.said[before:]

    def until(self, kind: type[T], within: float = 1e6, where: Callable[[T], bool] = lambda _: True) -> T:
        """Let time go by until an output of this kind comes, and no further."""
        end = self.now + within
        while (deadline := self.machine.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            for output in self.feed(Tick()):
                if isinstance(output, kind) and where(output):
                    return output
        raise AssertionError(f"no {kind.__name__} within {within} s; state {self.machine.state}")

    def sleep(self, seconds: float) -> list[Any]:
        """Let time go by unnoticed, as in a suspend; then one late Tick."""
        self.now += seconds
        outputs = self.feed(Tick())
        assert self.machine.deadline is None or self.machine.deadline > self.now
        return outputs

    def all(self, kind: type[T], since: float = float("-inf")) -> list[T]:
        """Every output of a kind."""
        return [said.output for said in self.said if isinstance(said.output, kind) and said.at >= since]

    def times(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> list[float]:
        """When outputs of a kind were said."""
        return [said.at for said in self.said if isinstance(said.output, kind) and where(said.output)]


def of(kind: type[T], outputs: list[Any]) -> list[T]:
    """The outputs of one kind among others."""
    return [output for output in outputs if isinstance(output, kind)]


def only(kind: type[T], outputs: list[Any]) -> T:
    """The one output of this kind."""
    found = of(kind, outputs)
    assert len(found) == 1, outputs
    return found[0]


def gaps(times: list[float]) -> list[float]:
    """The distances between moments."""
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def snapshot(thing: object) -> object:
    """All that a machine is, as a value: what is ignored must leave it equal (C8)."""
    if isinstance(thing, random.Random):
        return thing.getstate()
    if attrs.has(type(thing)):
        return type(thing), [
            (f.name, snapshot(getattr(thing, f.name))) for f in attrs.fields(type(thing)) if f.name != "out"
        ]
    if type(thing).__module__.startswith("routerd") and hasattr(thing, "__dict__"):
        return type(thing), [(name, snapshot(value)) for name, value in vars(thing).items()]
    return thing
