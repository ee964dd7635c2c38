"""The driver: a machine in life, on a host's clock that counts what trio's does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import trio
from trio.testing import MockClock

from routerd.host.simulated_clock import SimulatedClock
from routerd.nurseries.driver import drive
from routerd.protocols.machine import Start, Stop, Tick
from routerd.sim.world import World


@attrs.define
class Metronome:
    """A machine that beats each `period` seconds until it is stopped, and notes what it was told and when."""

    period: float
    deadline: float | None = None
    heard: list[tuple[float, str]] = attrs.field(factory=list)

    def handle(self, event: object, now: float) -> list[str]:
        self.heard.append((round(now, 3), type(event).__name__ if not isinstance(event, str) else event))
        match event:
            case Start() | Tick():
                self.deadline = now + self.period
            case Stop():
                self.deadline = None
        return [f"{event}"]


async def nothing(said: Sequence[str]) -> None:
    await trio.lowlevel.checkpoint()


async def test_ticks_come_at_the_deadline_and_inputs_in_between(autojump_clock: MockClock) -> None:
    machine, clock = Metronome(10), SimulatedClock(World())
    inbox, inputs = trio.open_memory_channel[object](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(drive, machine, inputs, nothing, clock))
        await trio.sleep(25)
        inbox.send_nowait("poke")
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert machine.heard == [(0, "Start"), (10, "Tick"), (20, "Tick"), (25, "poke"), (30, "Tick")]


async def test_an_input_that_is_there_comes_before_a_tick_that_is_due(autojump_clock: MockClock) -> None:
    machine, clock = Metronome(1), SimulatedClock(World())
    inbox, inputs = trio.open_memory_channel[object](10)

    async def slow(said: Sequence[str]) -> None:
        if said == [str(Start())]:
            inbox.send_nowait("first")
            await trio.sleep(5)  # the Tick of 1 s is long due when this step is over

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(drive, machine, inputs, slow, clock))
        await trio.sleep(5.5)
        nursery.cancel_scope.cancel()
    assert machine.heard[:3] == [(0, "Start"), (5, "first"), (5, "Tick")]


async def test_no_input_is_lost_however_close_to_a_tick_it_comes(autojump_clock: MockClock) -> None:
    machine, clock = Metronome(1), SimulatedClock(World())
    inbox, inputs = trio.open_memory_channel[object](1000)

    async def poke() -> None:
        for number in range(200):
            await trio.sleep(0.5 if number % 2 else 1.0)
            await inbox.send(f"poke {number}")
        await inbox.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poke)
        await drive(machine, inputs, nothing, clock)  # returns at the channel's end
    assert [word for _, word in machine.heard if word.startswith("poke")] == [f"poke {n}" for n in range(200)]


async def test_a_machine_without_a_deadline_waits_for_input_alone(autojump_clock: MockClock) -> None:
    machine, clock = Metronome(10), SimulatedClock(World())
    inbox, inputs = trio.open_memory_channel[object](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(drive, machine, inputs, nothing, clock))
        await trio.sleep(1)
        inbox.send_nowait(Stop())
        await trio.sleep(1000)
        inbox.send_nowait(Start())
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert machine.heard == [(0, "Start"), (1, "Stop"), (1001, "Start")]


async def test_sleep_of_the_host_counts(autojump_clock: MockClock) -> None:
    world = World()
    machine, clock = Metronome(100), SimulatedClock(world)
    _, inputs = trio.open_memory_channel[object](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(drive, machine, inputs, nothing, clock))
        await trio.sleep(10)
        clock.suspend(1000)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert machine.heard == [(0, "Start"), (1010, "Tick")]
