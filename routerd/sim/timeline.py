"""What will happen when, in order: the heart of the simulation.

It reads no clock. A test turns it by hand (`run_until`, a year in seconds), the demo by trio's clock
(`routerd.sim.world`); what happens is the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import attrs

Call = Callable[[float], None]
"""Takes the time at which it was due."""


@attrs.define(eq=False)
class Appointment:
    """Something that will happen unless it is cancelled."""

    when: float
    call: Call | None

    def cancel(self) -> None:
        """It will not happen. Once it has happened this does nothing."""
        self.call = None


class Timeline:
    """Calls ordered by time, and by order of booking where times are equal.

    `earlier` is called when a booking has become the first of all: whoever sleeps until `deadline` must look again.
    """

    def __init__(self, earlier: Callable[[], None] | None = None) -> None:
        self.now = 0.0
        """When what happens now, or happened last, was due."""
        self._heap: list[tuple[float, int, Appointment]] = []
        self._booked = 0
        self._earlier = earlier

    def at(self, when: float, call: Call) -> Appointment:
        """Book `call` for `when`; a time that has passed means as soon as possible."""
        appointment = Appointment(when, call)
        heapq.heappush(self._heap, (when, self._booked, appointment))
        self._booked += 1
        if self._earlier is not None and self._heap[0][2] is appointment:
            self._earlier()
        return appointment

    @property
    def deadline(self) -> float | None:
        """When the next call is due; None: nothing is booked."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_until(self, end: float) -> None:
        """Make everything happen that is due by `end`, what is booked on the way included."""
        while (due := self.deadline) is not None and due <= end:
            appointment = heapq.heappop(self._heap)[2]
            call, appointment.call = appointment.call, None
            self.now = due
            if call is not None:
                call(due)
