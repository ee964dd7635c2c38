"""Whether the controllers have taken in what has changed: each has looked once more, and none has anything to do."""

from __future__ import annotations

import trio

from routerd.controllers.bell import Bell
from routerd.controllers.meter import Meter

QUIET = 0.05
"""Seconds without a ring after which nothing more is to come: the host tells of our own acts sooner."""


class Rounds:
    """The bells and meters of all controllers."""

    def __init__(self) -> None:
        self._all: list[tuple[Bell, Meter]] = []
        self._begun: dict[Meter, int] = {}

    def add(self, bell: Bell, meter: Meter) -> None:
        """One more controller."""
        self._all.append((bell, meter))

    def changed(self) -> None:
        """Something has changed that each is to take in."""
        self._begun = {meter: meter.begun for _, meter in self._all}

    async def settled(self) -> None:
        """Return when each has looked once since the last change, and all of them have been quiet for a moment."""
        for _, meter in self._all:
            await meter.ended_after(self._begun.get(meter, 0))
        await self.quiet()

    async def quiet(self) -> None:
        """Return when none is at work, none has been rung, and it has been so for a moment."""
        before = -1
        while before != self._moves():
            before = self._moves()
            for _, meter in self._all:
                await meter.ended_after(meter.begun - 1)
            await trio.sleep(QUIET)

    def _moves(self) -> int:
        return sum(bell.rings + meter.begun + meter.ended for bell, meter in self._all)
