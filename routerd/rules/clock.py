"""The time that rules live in: when the log stored the events that they read. It never goes back, and what the wall
clock was set by does not count. The same events make the same times, whenever they are read."""

from __future__ import annotations

import contextlib

import attrs

from routerd.events.types import StoredEvent

STEP = "routerd.host.clock.step"
"""Says by how much the wall clock was set. Rules read it beside what they look for."""
_NS = 10**9


@attrs.frozen
class LogClock:
    """`skew` is what to add to the wall clock, `last` when the last event was read (ns)."""

    skew: int = 0
    last: int = 0

    def after(self, stored: StoredEvent) -> LogClock:
        """The clock after it has seen this event. Forward the clock was set before the event that says so; backward, it
        was seen to be set by the first event that came after it."""
        stepped = _stepped(stored)
        now = stored.created_at + self.skew
        if stepped > 0 or now < self.last:
            now -= stepped
        now = max(now, self.last)
        return LogClock(now - stored.created_at, now)

    @property
    def now(self) -> float:
        """The time of the last event, in seconds."""
        return self.last / _NS

    def at(self, wall: int) -> float:
        """The time, in seconds, when the wall clock shows `wall` (ns)."""
        return max(wall + self.skew, self.last) / _NS

    def wall(self, at: float) -> int:
        """What the wall clock shows at a time (ns)."""
        return round(at * _NS) - self.skew


def _stepped(stored: StoredEvent) -> int:
    """By how much the event says that the wall clock was set, in ns."""
    if stored.event.topic == STEP:
        with contextlib.suppress(ValueError, OverflowError):
            return round(float(stored.event.attributes.get("wallSeconds", "0")) * _NS)
    return 0
