"""The supervisor: crashes are told and run again, ends are respected, cancellation is no crash."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from routerd.nurseries.supervisor import supervise

Told = list[tuple[str, int, float]]


async def supervised(crashing_after: float, runs: int, told: Told, at: list[float]) -> None:
    """Supervise something that crashes `crashing_after` seconds into each of its first `runs` runs, then ends."""

    async def run() -> None:
        at.append(round(trio.current_time(), 3))
        await trio.sleep(crashing_after)
        if len(at) <= runs:
            raise ValueError(f"crash {len(at)}\nwith a second line")

    async def report(error: str, crashes: int, delay: float) -> None:
        await trio.lowlevel.checkpoint()
        told.append((error, crashes, delay))

    await supervise("thing", run, report)


async def test_delays_double_up_to_a_minute(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    told: Told = []
    at: list[float] = []
    with caplog.at_level(logging.ERROR):
        await supervised(0, 9, told, at)
    assert [delay for _, _, delay in told] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [crashes for _, crashes, _ in told] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert at == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert told[0][0] == "ValueError: crash 1", "one line, for an event"
    assert "Traceback" in caplog.text, "the whole traceback is in the log"


async def test_five_quiet_minutes_clear_the_count(autojump_clock: MockClock) -> None:
    told: Told = []
    await supervised(300, 3, told, [])
    assert [(crashes, delay) for _, crashes, delay in told] == [(1, 1), (1, 1), (1, 1)]


async def test_a_crash_in_a_group_with_a_cancelled_sibling_is_a_crash(autojump_clock: MockClock) -> None:
    told: Told = []
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise KeyError("x")

    async def report(error: str, crashes: int, delay: float) -> None:
        await trio.lowlevel.checkpoint()
        told.append((error, crashes, delay))

    await supervise("thing", run, report)
    assert told == [("KeyError: 'x'", 1, 1)]


async def test_cancellation_is_no_crash(autojump_clock: MockClock) -> None:
    told: Told = []
    with trio.move_on_after(10) as scope:
        await supervised(1e6, 1, told, [])
    assert scope.cancelled_caught
    assert told == []


async def test_a_goodbye_that_crashes_while_cancelled_does_not_run_again(autojump_clock: MockClock) -> None:
    told: Told = []
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("in the goodbye")

    async def report(error: str, crashes: int, delay: float) -> None:
        told.append((error, crashes, delay))
        await trio.lowlevel.checkpoint()

    with trio.move_on_after(1):
        await supervise("thing", run, report)
    assert runs == 1
