"""The loop of a controller: when it looks, and when it tries again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing
from trio.testing import MockClock

from routerd.controllers.bell import Bell, run_controller
from routerd.controllers.meter import Meter
from routerd.events.types import Ref

NS = 10**9
REF = Ref("IPv4StaticAddress", "one")


@attrs.define
class Reconciler:
    """Notes when it was called and why; refuses as often as it is told to."""

    refusals: float = 0
    takes: float = 0
    calls: list[tuple[float, str]] = attrs.field(factory=list)

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        self.calls.append((round(trio.current_time(), 3), why))
        await trio.sleep(self.takes)
        self.refusals -= 1
        return {REF: "no"} if self.refusals >= 0 else {}


@asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[tuple[Bell, Meter]]:
    bell, meter = Bell(), Meter("script", (), lambda: round(trio.current_time() * NS))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_controller, bell, meter, reconciler)
        await trio.testing.wait_all_tasks_blocked()
        yield bell, meter
        nursery.cancel_scope.cancel()


async def test_it_sleeps_until_it_is_rung(autojump_clock: MockClock) -> None:
    reconciler = Reconciler()
    async with running(reconciler) as (bell, _):
        await trio.sleep(1000)
        assert reconciler.calls == []
        bell.ring("start")
        await trio.sleep(1000)
        assert reconciler.calls == [(1000, "start")]


async def test_rings_while_it_is_busy_are_one_and_the_first_reason_counts(autojump_clock: MockClock) -> None:
    reconciler = Reconciler(takes=1)
    async with running(reconciler) as (bell, _):
        bell.ring("start")
        await trio.sleep(0.5)
        for n in range(1000):
            bell.ring(f"host {n}")
        await trio.sleep(10)
    assert reconciler.calls == [(0, "start"), (1, "host 0")]


async def test_what_was_refused_is_tried_again_ever_more_slowly(autojump_clock: MockClock) -> None:
    reconciler = Reconciler(refusals=9)
    async with running(reconciler) as (bell, meter):
        bell.ring("start")
        await trio.sleep(1000)
    moments = [at for at, _ in reconciler.calls]
    assert moments == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243], "and when it is taken, never again"
    assert {why for _, why in reconciler.calls[1:]} == {"retry"}
    assert (meter.report.errors, meter.report.consecutive_errors) == (9, 0)


async def test_a_ring_does_not_wait_for_the_retry(autojump_clock: MockClock) -> None:
    reconciler = Reconciler(refusals=3)
    async with running(reconciler) as (bell, _):
        bell.ring("start")
        await trio.sleep(1.5)
        bell.ring("host")
        await trio.sleep(100)
    assert reconciler.calls[:3] == [(0, "start"), (1, "retry"), (1.5, "host")]
    assert reconciler.calls[3] == (5.5, "retry"), "the third refusal in a row"


async def test_after_a_success_the_pauses_are_short_again(autojump_clock: MockClock) -> None:
    reconciler = Reconciler(refusals=3)
    async with running(reconciler) as (bell, _):
        bell.ring("start")
        await trio.sleep(100)
        reconciler.refusals = 1
        bell.ring("host")
        await trio.sleep(100)
    assert [at for at, _ in reconciler.calls] == [0, 1, 3, 7, 100, 101]


async def test_when_the_next_look_is_due_is_told(autojump_clock: MockClock) -> None:
    async with running(Reconciler(refusals=1)) as (bell, meter):
        bell.ring("start")
        await trio.sleep(0.5)
        assert (meter.report.last_reconcile, meter.report.next_reconcile) == (0, NS)
        await trio.sleep(1)
        assert meter.report.next_reconcile is None
