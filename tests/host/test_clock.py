"""The clocks of Linux: what was set, what was slept, and that the kernel tells us."""

from __future__ import annotations

import os
import sys
import time

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd.host import ClockStep

if not sys.platform.startswith("linux"):
    pytest.skip("CLOCK_BOOTTIME and timerfd are Linux's", allow_module_level=True)

from routerd.host.linux.clock import LinuxClock, Reading, read

YEAR = 365.25 * 86400
HERE = Reading(wall=1_767_225_600 * 10**9, boot=5000 * 10**9, monotonic=4000 * 10**9)


class Clocks:
    """Clocks that go with trio's, until they are set or the host sleeps."""

    def __init__(self) -> None:
        self.set_by = 0.0
        self.slept = 0.0

    def __call__(self) -> Reading:
        passed = trio.current_time()
        wall, boot = passed + self.slept + self.set_by, passed + self.slept
        return Reading(HERE.wall + int(wall * 1e9), HERE.boot + int(boot * 1e9), HERE.monotonic + int(passed * 1e9))


@pytest.mark.parametrize(
    ("wall", "boot", "monotonic", "step"),
    [
        (60, 60, 60, ClockStep(0.0, 0.0)),
        (60 + 3600, 60, 60, ClockStep(3600.0, 0.0)),
        (60 - 3600, 60, 60, ClockStep(-3600.0, 0.0)),
        (160, 160, 60, ClockStep(0.0, 100.0)),
        (160 + 5, 160, 60, ClockStep(5.0, 100.0)),
    ],
)
def test_what_happened_is_read_off_three_clocks(wall: int, boot: int, monotonic: int, step: ClockStep) -> None:
    moved = (HERE.wall + wall * 10**9, HERE.boot + boot * 10**9, HERE.monotonic + monotonic * 10**9)
    assert Reading(*moved).since(HERE) == step
    late = 200_000  # ns between one reading and the next
    slow = Reading(moved[0], moved[1] + late, moved[2] + 2 * late).since(HERE)
    assert (slow.wall, slow.suspended) == pytest.approx((step.wall, step.suspended), abs=1e-3)
    assert (slow.wall == 0.0, slow.suspended == 0.0) == (step.wall == 0.0, step.suspended == 0.0)


def test_the_clock_counts_from_boot() -> None:
    clock = LinuxClock()
    before, now, after = read(), clock.now(), read()
    assert before.boot <= now * 1e9 + 1000
    assert now * 1e9 <= after.boot + 1000
    assert before.wall <= clock.wall()
    assert len(clock.boot_id) == 36
    assert clock.boot_id == LinuxClock().boot_id


@pytest.mark.req("C2")
@pytest.mark.req("C2", "breaks")
async def test_ten_years_forth_and_back_move_no_deadline(autojump_clock: MockClock) -> None:
    clocks = Clocks()
    clock = LinuxClock(clocks)
    start = clock.now()
    async with clock.steps() as steps, trio.open_nursery() as nursery:
        nursery.start_soon(clock.sleep_until, start + 100)
        for years in (10, -20):
            await wait_all_tasks_blocked()
            clocks.set_by += years * YEAR
            clock.look()
            assert await steps.receive() == ClockStep(years * YEAR, 0.0)
    assert clock.now() == pytest.approx(start + 100)


async def test_who_sleeps_wakes_in_time_though_the_host_slept_too(autojump_clock: MockClock) -> None:
    clocks = Clocks()
    clock = LinuxClock(clocks)
    start, began = clock.now(), trio.current_time()
    async with clock.steps() as steps, trio.open_nursery() as nursery:
        nursery.start_soon(clock.sleep_until, start + 3600)
        await wait_all_tasks_blocked()
        clocks.slept += 3000
        clock.look()
        assert await steps.receive() == ClockStep(0.0, 3000.0)
        clock.look()  # nothing has happened since
    assert steps.statistics().current_buffer_used == 0
    assert trio.current_time() - began == pytest.approx(600)


@pytest.fixture
def settable_clock() -> None:
    """The machine's clock may be touched."""
    if os.environ.get("ROUTERD_LAB") != "required":
        pytest.skip("sets the clock, if only to what it shows: run with ROUTERD_LAB=required")


@pytest.mark.lab
async def test_the_kernel_tells_when_the_clock_is_set(settable_clock: None, nursery: trio.Nursery) -> None:
    taken: list[None] = []
    looked = trio.Event()

    def readings() -> Reading:
        taken.append(None)
        if len(taken) > 1:
            looked.set()
        return read()

    clock = LinuxClock(readings)
    nursery.start_soon(clock.watch_steps)
    for _ in range(2):  # the timer is armed again
        looked = trio.Event()
        await wait_all_tasks_blocked()
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns())
        with trio.fail_after(20):
            await looked.wait()
