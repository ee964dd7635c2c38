"""Clock steps, told to those who read them and to those who sleep: what every `Clock` has inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from routerd.host import ClockStep
from routerd.host.subscribers import Subscribers

_GRAIN = 1e-6
"""Seconds; less than this might not move the clock at all, so coarse is a float."""


class Steps:
    """The steps of one clock, which is `now`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._readers: Subscribers[ClockStep] = Subscribers(_total, size=8)
        self._sleepers = trio.lowlevel.ParkingLot()

    def tell(self, step: ClockStep) -> None:
        """This has just happened to the clock."""
        self._sleepers.unpark_all()
        if step != ClockStep(0.0, 0.0):
            self._readers.publish(step)

    def subscribe(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[ClockStep]]:
        """Steps from now on; a slow reader gets them added up."""
        return self._readers.subscribe()

    async def sleep_until(self, deadline: float) -> None:
        """See `Clock`. trio's own clock stands still while the host sleeps; who waits looks again after each step."""
        await trio.lowlevel.checkpoint()
        while (left := deadline - self._now()) > 0:
            with trio.move_on_after(max(left, _GRAIN)):
                await self._sleepers.park()


def _total(steps: list[ClockStep]) -> ClockStep:
    return ClockStep(math.fsum(step.wall for step in steps), math.fsum(step.suspended for step in steps))
