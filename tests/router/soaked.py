"""`routerd serve` with a publisher that appends to its log: something that the product has no option for.

    python -m tests.router.soaked python -m routerd serve …

A third of the events is of nobody, a third of the DHCPv4 client `wan`, a third changes an object. Each has a number;
the ids of those that are on disk are written to the file SOAK_RECEIPTS. SOAK_RATE is how many there are in a second."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from routerd.__main__ import main
from routerd.events.log import Log, open_log
from routerd.events.types import Event, Ref, Source
from routerd.nurseries import root

TICK = 0.01
WAN = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")
RESOURCES = [Ref("Interface", f"soaked-{n}") for n in range(50)]


@asynccontextmanager
async def publishing(*arguments: Any, **options: Any) -> AsyncIterator[Log]:
    """`open_log`, and a publisher as long as it is open."""
    async with open_log(*arguments, **options) as log, trio.open_nursery() as nursery:
        nursery.start_soon(publish, log, float(os.environ["SOAK_RATE"]), Path(os.environ["SOAK_RECEIPTS"]))
        yield log
        nursery.cancel_scope.cancel()


async def publish(log: Log, rate: float, receipts: Path) -> None:
    """Append at this rate until cancelled, or as fast as the machine lets us beside all the others: what was not
    appended in time is not made up for. What one tick appends is on disk before its receipts are written."""
    life, number, last = os.getpid(), 0, trio.current_time()
    with receipts.open("a") as file:
        while True:
            await trio.sleep(TICK)
            elapsed, last = trio.current_time() - last, trio.current_time()
            ids: list[int] = []
            done = None
            for _ in range(round(rate * min(elapsed, 5 * TICK))):
                number += 1
                posted, done = post(log, life, number)
                ids += posted
            if done is not None:
                await done.wait()
                file.writelines(f"{one}\n" for one in ids)
                file.flush()


def post(log: Log, life: int, number: int) -> tuple[tuple[int, ...], trio.Event | None]:
    attributes = {"life": str(life), "n": str(number)}
    if number % 3 == 0:
        return log.post(Event("routerd.soak.plain", "debug", attributes=attributes))
    if number % 3 == 1:
        return log.post(Event("routerd.dhcpv4.client.soak", "debug", source=WAN, attributes=attributes))
    resource = RESOURCES[number % len(RESOURCES)]
    event = Event("routerd.soak.status", "debug", resource=resource, attributes=attributes)
    return log.post(event, status={resource: {"phase": "Up", "n": number}})


if __name__ == "__main__":
    root.open_log = publishing
    sys.exit(main([*sys.argv[sys.argv.index("routerd") + 1 :], "--log-level", "warning"]))
