"""When somebody keeps undoing what we do, we do not answer at the speed of the machine: the host, the log and the
operator would drown. What was done five times within a minute rests for the remainder of it, and that is told."""

from __future__ import annotations

from collections import deque

from routerd.host import Change

TIMES, WITHIN = 5, 60.0


class Contest:
    """What was done lately, and when. Times are on the host's clock."""

    def __init__(self) -> None:
        self._done: dict[Change, deque[float]] = {}

    def may(self, change: Change, now: float) -> bool:
        """Whether this may be done (again)."""
        times = self._done.get(change)
        return times is None or len(times) < TIMES or now - times[0] >= WITHIN

    def done(self, change: Change, now: float) -> None:
        """It has just been done."""
        self._done = {known: times for known, times in self._done.items() if now - times[-1] < WITHIN}
        self._done.setdefault(change, deque(maxlen=TIMES)).append(now)
