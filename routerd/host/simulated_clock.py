"""Time in a simulated world: trio's clock, sleep that counts, and a wall clock that anybody can set."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import trio

from routerd.host import ClockStep
from routerd.host.steps import Steps
from routerd.sim.world import World

_EPOCH = 1_767_225_600
"""What the wall clock shows, seconds since 1970, when `now` is 0: the first of January 2026."""


class SimulatedClock:
    """`routerd.host.Clock`. `boot_id` may be set: another one tells that the host was started anew."""

    def __init__(self, world: World, boot_id: str = "00000000-0000-4000-8000-000000000000") -> None:
        self.boot_id = boot_id
        self._world = world
        self._wall_offset = 0.0
        self._steps = Steps(self.now)

    def now(self) -> float:
        """The world's."""
        return self._world.now()

    def wall(self) -> int:
        """See `Clock`."""
        return round((_EPOCH + self._wall_offset + self.now()) * 1e9)

    async def sleep_until(self, deadline: float) -> None:
        """See `Clock`."""
        await self._steps.sleep_until(deadline)

    def steps(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[ClockStep]]:
        """See `Clock`."""
        return self._steps.subscribe()

    def suspend(self, seconds: float) -> None:
        """The host sleeps for so long, and wakes up."""
        self._world.suspend(seconds)
        self._steps.tell(ClockStep(0.0, seconds))

    def step_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock forward by so much, or back."""
        self._wall_offset += seconds
        self._steps.tell(ClockStep(seconds, 0.0))
