"""What a controller measures of itself (contract §1.4)."""

from __future__ import annotations

import pytest
import trio

from routerd.controllers.meter import HISTORY, Meter
from routerd.events.types import Ref

ONE = Ref("IPv4Route", "one")


class Clocks:
    """A wall clock in ns and a monotonic one, both turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> int:
        return round(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now


def meter() -> tuple[Meter, Clocks]:
    clocks = Clocks()
    return Meter("route", ("IPv4Route",), clocks.wall, clocks.monotonic), clocks


def measure(made: Meter, clocks: Clocks, takes: float, refused: dict[Ref, str] | None = None) -> None:
    with made.measuring("objects") as measured:
        clocks.now += takes
        measured.refused(refused or {})


def test_before_the_first_look_nothing_is_made_up() -> None:
    report = meter()[0].report
    assert (report.name, report.resource_kinds, report.reconciles) == ("route", ("IPv4Route",), 0)
    assert report.last_reconcile is report.last_success is report.last_duration is report.last_error is None


def test_durations_and_counts() -> None:
    made, clocks = meter()
    measure(made, clocks, 0.5)
    measure(made, clocks, 2)
    measure(made, clocks, 1)
    report = made.report
    assert (report.reconciles, report.errors) == (3, 0)
    assert (report.last_duration, report.max_duration, report.total_duration) == (1, 2, 3.5)
    assert report.max_duration_at == round(102.5e9)
    assert report.last_success == report.last_reconcile == round(103.5e9)
    assert report.last_trigger == "objects"


def test_refusals_are_errors_until_one_round_is_without() -> None:
    made, clocks = meter()
    measure(made, clocks, 1)
    measure(made, clocks, 1, {ONE: "no"})
    measure(made, clocks, 1, {ONE: "still no"})
    report = made.report
    assert (report.errors, report.consecutive_errors, report.last_error) == (2, 2, "still no")
    assert report.last_success == round(101e9)
    assert [(e.error, e.resource_kind, e.resource_name) for e in report.history] == [
        ("no", "IPv4Route", "one"),
        ("still no", "IPv4Route", "one"),
    ]
    assert not made.crashed, "the system said no: that is no crash"
    measure(made, clocks, 1)
    assert made.report.consecutive_errors == 0
    assert made.report.last_error_cleared_at == round(104e9)
    assert made.report.last_error == "still no", "it stays to be seen, with its time"


def test_a_crash_is_an_error_and_goes_on_to_the_supervisor() -> None:
    made, clocks = meter()
    with pytest.raises(ValueError, match="oh"), made.measuring("start"):
        clocks.now += 1
        raise ValueError("oh")
    assert made.report.last_error == "ValueError: oh"
    assert made.report.history[0].resource_kind is None
    assert made.crashed
    measure(made, clocks, 1)
    assert not made.crashed


def test_a_look_that_was_cancelled_is_neither() -> None:
    made, _ = meter()

    async def look() -> None:
        with trio.move_on_after(0), made.measuring("start"):
            await trio.sleep(1)

    trio.run(look)
    assert made.report == meter()[0].report


def test_the_last_errors_alone_are_kept() -> None:
    made, clocks = meter()
    for n in range(HISTORY + 5):
        measure(made, clocks, 1, {ONE: str(n)})
    assert [int(e.error) for e in made.report.history] == list(range(5, HISTORY + 5))
