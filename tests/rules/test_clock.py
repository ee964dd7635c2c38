"""The time of rules, when nobody touches the wall clock and when somebody does."""

from __future__ import annotations

import pytest

from routerd.events.types import Event, StoredEvent
from routerd.rules.clock import STEP, LogClock

NS = 10**9
BEGAN = 1_700_000_000


def times(*events: tuple[float, str | None]) -> list[float]:
    """When events happened, in seconds after the first: each is when it was stored by the wall clock, and by how much
    it says that the clock was set."""
    clock, found = LogClock(), []
    for at, step in events:
        event = Event("x") if step is None else Event(STEP, attributes={"wallSeconds": step})
        clock = clock.after(StoredEvent(1, round((BEGAN + at) * NS), event))
        found.append(round(clock.now - BEGAN, 3))
    return found


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(0, None), (1, None), (1, None), (5.5, None)], [0, 1, 1, 5.5]),
        ([(0, None), (600, "3600"), (601, None)], [0, 0, 1]),  # what was set is more than what went by
        ([(0, None), (4200, "3600"), (4201, None)], [0, 600, 601]),
        ([(0, None), (-3000, "-3600"), (-2990, None)], [0, 600, 610]),
        ([(0, None), (-3000, None), (-2999, "-3600"), (-2998, None)], [0, 0, 1, 2]),  # somebody was quicker
        ([(0, None), (10, "-0.5"), (11, None)], [0, 10, 11]),
        ([(0, None), (-100, None), (-50, None)], [0, 0, 50]),  # nobody said so
        ([(0, None), (5, "soon"), (6, "nan"), (7, "1e999")], [0, 5, 6, 7]),
    ],
)
def test_times(events: list[tuple[float, str | None]], expected: list[float]) -> None:
    assert times(*events) == expected


def test_the_wall_clock_and_back() -> None:
    clock = LogClock().after(StoredEvent(1, 5 * NS, Event("x"))).after(StoredEvent(2, 2 * NS, Event("x")))
    assert clock.now == 5.0
    assert clock.at(3 * NS) == 6.0
    assert clock.at(NS) == 5.0  # It does not go back.
    assert clock.wall(6.0) == 3 * NS
