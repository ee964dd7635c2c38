"""The contract of `routerd.protocols.machine`, as one property test for every machine.

A machine's own test derives from `Contract`, says how to make one, what can happen to it and when it may rest; its
`saw` adds what must hold of its outputs beyond the contract.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from routerd.protocols.machine import Dropped, Start, Tick
from routerd.protocols.retransmit import BURST
from tests.protocols.timeline import snapshot

EPSILON = 1e-6
THOROUGH = settings(max_examples=60, stateful_step_count=60, deadline=None, derandomize=True)
"""The same cases every time; seeds that differ are the simulation's part."""


class Contract(RuleBasedStateMachine):
    """Two machines of one seed, given the same inputs at the same times."""

    packets: ClassVar[tuple[type, ...]] = ()
    """Outputs that put a packet on the wire (C9)."""

    def make(self, seed: int) -> Any:
        raise NotImplementedError

    def draw_event(self, data: st.DataObject) -> object:
        """Something that may happen to `self.machine` now."""
        raise NotImplementedError

    def rests(self) -> bool:
        """Whether the present state may be without a deadline."""
        raise NotImplementedError

    def saw(self, event: object, outputs: list[Any]) -> None:
        """What must hold of an answer, for this machine."""

    @initialize(seed=st.integers(0, 2**32 - 1), now=st.floats(0, 1e6))
    def begin(self, seed: int, now: float) -> None:
        self.machine, self.twin = self.make(seed), self.make(seed)
        self.now = now
        self.sent: list[float] = []
        self.feed(Start())

    def feed(self, event: object) -> list[Any]:
        before, deadline = snapshot(self.machine), self.machine.deadline
        outputs: list[Any] = self.machine.handle(event, self.now)
        assert outputs == self.twin.handle(event, self.now)  # 5
        if outputs and all(isinstance(output, Dropped) for output in outputs):  # 1
            assert (snapshot(self.machine), self.machine.deadline) == (before, deadline)
        self.sent += [self.now for output in outputs if isinstance(output, self.packets)]
        assert len([at for at in self.sent if at > self.now - 60]) <= BURST + 60
        self.saw(event, outputs)
        return outputs

    @rule(data=st.data())
    def happens(self, data: st.DataObject) -> None:
        self.feed(self.draw_event(data))

    @precondition(lambda self: self.machine.deadline is not None)
    @rule(late=st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 1e6)))
    def time_is_up(self, late: float) -> None:
        self.now = max(self.now, self.machine.deadline) + late
        self.feed(Tick())
        assert self.machine.deadline is None or self.machine.deadline > self.now  # 2

    @rule(part=st.floats(0, 0.99), within=st.floats(0, 1e5))
    def a_tick_too_early(self, part: float, within: float) -> None:
        wait = within if self.machine.deadline is None else self.machine.deadline - self.now
        before = snapshot(self.machine)
        if wait > 0:
            self.now += wait * part
        if self.machine.deadline is None or self.now < self.machine.deadline:
            assert self.feed(Tick()) == []  # 2
            assert snapshot(self.machine) == before

    @rule(seconds=st.floats(0, 100))
    def time_passes_unnoticed(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def never_without_a_deadline(self) -> None:  # 3
        if hasattr(self, "machine"):
            assert self.machine.deadline is not None or self.rests(), self.machine.state
