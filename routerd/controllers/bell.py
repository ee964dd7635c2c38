"""The loop of every controller: wake, look, act; then sleep until something has changed, or until it is time to try
again what was refused. Controllers are level-triggered: a ring only means "look again"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import trio

from routerd.controllers.meter import Meter
from routerd.events.types import Ref

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0


class Bell:
    """Wakes one controller. Rings while it is busy are kept, as one, and the first reason is remembered."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._rung = trio.Event()
        self.rings = 0

    def ring(self, why: str) -> None:
        """Look again, because of `why`."""
        self.rings += 1
        if self._why is None:
            self._why = why
            self._rung.set()

    async def heard(self) -> str:
        """Wait for a ring, take it."""
        await self._rung.wait()
        why, self._why, self._rung = self._why, None, trio.Event()
        assert why is not None
        return why


Reconcile = Callable[[str], Awaitable[Mapping[Ref, str]]]


async def run_controller(bell: Bell, meter: Meter, reconcile: Reconcile) -> None:
    """Reconcile at each ring, until cancelled. What was refused is tried again after 1, 2, 4 … 60 s, or at the
    next ring."""
    delay = FIRST_RETRY
    retry_at = float("inf")
    while True:
        why = "retry"
        with trio.move_on_at(retry_at):
            why = await bell.heard()
        with meter.measuring(why) as measured:
            refused = await reconcile(why)
            measured.refused(refused)
        if not refused:
            delay, retry_at = FIRST_RETRY, float("inf")
            meter.next_look(None)
            continue
        retry_at = trio.current_time() + delay
        meter.next_look(delay)
        delay = min(delay * 2, LONGEST_RETRY)
