"""What is around a rule that runs: its router's configuration, an alarm clock; and what its status says of both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from routerd.events.status import condition

Alarm = Callable[[float], Awaitable[None]]
"""Returns after so many seconds, those that the host slept included."""


@attrs.frozen
class Around:
    """What a rule must know of its router: the number of the configuration in force, and the event with which that
    began (0: none is known)."""

    alarm: Alarm
    generation: Callable[[], int] = lambda: 0
    configured: Callable[[], int] = lambda: 0

    async def alarmed(self, seconds: float, wait: Callable[[], Awaitable[object]]) -> None:
        """Return when `wait` does, or after so many seconds."""
        async with trio.open_nursery() as nursery:

            async def ring() -> None:
                await self.alarm(max(0.0, seconds))
                nursery.cancel_scope.cancel()

            nursery.start_soon(ring)
            await wait()
            nursery.cancel_scope.cancel()


def observed_status(kind: str, holds: bool, reason: str, generation: int) -> dict[str, Any]:
    """What a status says of the configuration that it is of (contract §2.1)."""
    return {"observedGeneration": generation, "conditions": [condition(kind, holds, reason, generation)]}


def known(event: int) -> tuple[int, ...]:
    """As a cause: 0 is none."""
    return (event,) if event else ()
