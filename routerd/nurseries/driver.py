"""Runs one machine in life: inputs from a channel, time from the host's clock, outputs to `perform`.

One task drives one machine, so a machine is never entered twice. The simulator drives the same machines in
tests; what differs is only who holds the clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio

from routerd.host import Clock
from routerd.protocols.machine import Machine, Start, Tick

In = TypeVar("In")
Out = TypeVar("Out")


async def drive(
    machine: Machine[In, Out],
    inputs: trio.MemoryReceiveChannel[Any],
    perform: Callable[[Sequence[Out]], Awaitable[None]],
    clock: Clock,
) -> None:
    """Start `machine` and feed it until the channel ends (then return) or the task is cancelled.

    `perform` gets the outputs of one step together: a step is what shall become true at one moment.
    """
    await perform(machine.handle(Start(), clock.now()))
    while True:
        event = await _next(inputs, machine.deadline, clock)
        if event is None:
            return
        await perform(machine.handle(event, clock.now()))


async def _next(inputs: trio.MemoryReceiveChannel[Any], deadline: float | None, clock: Clock) -> Any:
    """The next input, or a Tick at `deadline`, or None when the channel has ended. An input that is there
    already comes before a Tick that is due."""
    outcome: list[Any] = []

    async def take() -> None:
        try:
            # receive() either takes an item or is cancelled, never both: nothing is lost here.
            outcome.append(await inputs.receive())
        except trio.EndOfChannel:
            outcome.append(None)

    if deadline is None:
        await take()
        return outcome[0]
    # trio's own deadlines stand still while the host sleeps; the host's clock does not (C2, C3).
    async with trio.open_nursery() as nursery:

        async def alarm() -> None:
            await clock.sleep_until(deadline)
            nursery.cancel_scope.cancel()

        nursery.start_soon(alarm)
        await take()
        nursery.cancel_scope.cancel()
    return outcome[0] if outcome else Tick()
