"""When the controllers have taken in what changed."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from trio.testing import MockClock

from routerd.controllers.bell import Bell, Reconcile, run_controller
from routerd.controllers.meter import Meter
from routerd.controllers.rounds import QUIET, Rounds
from routerd.events.types import Ref


def controller(nursery: trio.Nursery, rounds: Rounds, act: Reconcile) -> Bell:
    bell, meter = Bell(), Meter("test", ())
    rounds.add(bell, meter)
    nursery.start_soon(run_controller, bell, meter, act)
    return bell


async def test_a_look_that_was_under_way_does_not_count(autojump_clock: MockClock) -> None:
    async def act(why: str) -> Mapping[Ref, str]:
        await trio.sleep(3)
        return {}

    rounds = Rounds()
    async with trio.open_nursery() as nursery:
        bell = controller(nursery, rounds, act)
        bell.ring("one")
        await trio.sleep(1)
        rounds.changed()
        bell.ring("two")
        await rounds.settled()
        assert trio.current_time() == 6 + QUIET
        nursery.cancel_scope.cancel()


async def test_looks_that_ended_before_anybody_waits_count(autojump_clock: MockClock) -> None:
    async def act(why: str) -> Mapping[Ref, str]:
        await trio.sleep(1)
        return {}

    rounds = Rounds()
    async with trio.open_nursery() as nursery:
        bell = controller(nursery, rounds, act)
        rounds.changed()
        bell.ring("one")
        await trio.sleep(2)
        await rounds.settled()
        assert trio.current_time() == 2 + QUIET
        nursery.cancel_scope.cancel()


async def test_what_one_does_for_another_belongs_to_it(autojump_clock: MockClock) -> None:
    looked: list[str] = []

    async def first(why: str) -> Mapping[Ref, str]:
        await trio.sleep(0.01)
        if why == "start":
            other.ring("the first")
        return {}

    async def second(why: str) -> Mapping[Ref, str]:
        await trio.sleep(0.01)
        looked.append(why)
        if len(looked) < 5:
            bell.ring("the second")
            other.ring("itself")
        return {Ref("Interface", "wan"): "no"}  # what is refused has settled too

    rounds = Rounds()
    async with trio.open_nursery() as nursery:
        bell, other = controller(nursery, rounds, first), controller(nursery, rounds, second)
        bell.ring("start")
        other.ring("start")
        await rounds.settled()
        assert len(looked) == 5
        nursery.cancel_scope.cancel()


async def test_a_crash_ends_a_look(autojump_clock: MockClock) -> None:
    meter, rounds = Meter("test", ()), Rounds()
    rounds.add(Bell(), meter)

    async def crash() -> None:
        await trio.sleep(1)
        try:
            with meter.measuring("test"):
                raise RuntimeError
        except RuntimeError:
            return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        with trio.fail_after(2):
            await rounds.settled()
    assert meter.crashed
