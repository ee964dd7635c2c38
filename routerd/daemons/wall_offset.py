"""What turns times of the boot clock into instants that people read, and whether somebody has set the wall clock."""

from __future__ import annotations

from routerd.host import Clock
from routerd.shapes.instant import format_instant

CLOCK_STEP = 10**9
"""ns by which the wall clock must have moved against the boot clock before instants are told anew: two readings of one
moment differ a little, always."""


def instant(at: float | None, offset: int) -> str | None:
    """A time of the boot clock as people read it; None: never. `offset` is that of the wall clock."""
    return None if at is None else format_instant(offset + round(at * 1e3) * 10**6)


class WallOffset:
    """`ns` is since 1970, at time 0 of the boot clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ns = self._present()

    def has_moved(self) -> bool:
        """Whether it is another one than last time, from now on the present one."""
        now = self._present()
        if abs(now - self.ns) <= CLOCK_STEP:
            return False
        self.ns = now
        return True

    def _present(self) -> int:
        return self._clock.wall() - round(self._clock.now() * 1e9)
