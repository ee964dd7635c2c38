"""The event log on a real disk: how many durable events a second, and how long from publishing to reading."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path

import trio

from benchmarks.report import Row, at_least, progress
from routerd.events.log import open_log
from routerd.events.types import Event, Ref, Source

SECONDS = 2.0
EVENTS = 500
AHEAD = 16
RATE_GOAL = 20_000
WAN = Ref("DHCPv4Client", "wan")
CLIENT = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")


def renewed() -> Event:
    """An event of the usual size."""
    return Event(
        "routerd.dhcpv4.client.lease.renewed",
        reason="LeaseRenewed",
        message="192.0.2.7 from 192.0.2.1 for 3600 s",
        resource=WAN,
        source=CLIENT,
        attributes={"address": "192.0.2.7", "gateway": "192.0.2.1"},
    )


async def throughput(place: Path, publishers: int) -> Row:
    """Each publisher awaits each of its appends."""
    count = 0

    async def publish() -> None:
        nonlocal count
        while True:
            await log.append(renewed())
            count += 1

    async with open_log(place / f"throughput-{publishers}.db") as log:
        cpu, began = time.process_time(), time.perf_counter()
        with trio.move_on_after(SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(publishers):
                    nursery.start_soon(publish)
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    name = f"durable events, {publishers} publishers"
    detail = f"each awaits its own append; {cpu / count * 1e6:.0f} µs of processor time an event"
    return {"name": name, "value": round(count / taken), "unit": "1/s", "detail": detail}


async def ahead(place: Path, publishers: int) -> Row:
    """Each publisher goes on while its last `AHEAD` appends are on their way, as a daemon does that tells of a burst:
    an event counts once it is on disk."""
    count = 0

    async def publish() -> None:
        nonlocal count
        under_way: deque[trio.Event | None] = deque()
        while True:
            under_way.append(log.post(renewed())[1])
            if len(under_way) == AHEAD:
                await durable(under_way.popleft())
                count += 1

    async def durable(done: trio.Event | None) -> None:
        assert done is not None, "the disk is there"
        await done.wait()

    async with open_log(place / f"ahead-{publishers}.db") as log:
        cpu, began = time.process_time(), time.perf_counter()
        with trio.move_on_after(SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(publishers):
                    nursery.start_soon(publish)
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    name = f"durable events, {publishers} publishers that go on meanwhile"
    detail = f"each has up to {AHEAD} on their way; {cpu / count * 1e6:.0f} µs of processor time an event"
    rate = round(count / taken)
    return {"name": name, "value": rate, "unit": "1/s", "detail": detail, **at_least(rate, RATE_GOAL, "1/s")}


async def latency(place: Path, readers: int) -> list[Row]:
    """From the call of `append` until a reader holds the event."""
    delays: list[float] = []
    published: list[float] = [0.0] * (EVENTS + 1)

    async def follow() -> None:
        cursor = 0
        while cursor < EVENTS:
            await log.wait(cursor)
            page = await log.read(cursor)
            now = time.perf_counter()
            delays.extend(now - published[stored.id] for stored in page.events)
            cursor = page.cursor

    async with open_log(place / f"latency-{readers}.db") as log, trio.open_nursery() as nursery:
        for _ in range(readers):
            nursery.start_soon(follow)
        for number in range(1, EVENTS + 1):
            await trio.sleep(0.002)
            published[number] = time.perf_counter()
            await log.append(renewed())
    cuts = statistics.quantiles(delays, n=100)
    return [
        {
            "name": f"publish to read, {readers} readers, {name}",
            "value": round(cut * 1e3, 2),
            "unit": "ms",
            "detail": f"{EVENTS} events, one every 2 ms",
        }
        for name, cut in (("p50", cuts[49]), ("p99", cuts[98]))
    ]


def sync_time(place: Path) -> Row:
    """What the disk alone takes, for comparison."""
    times = []
    with (place / "sync").open("wb", buffering=0) as file:
        for _ in range(300):
            began = time.perf_counter()
            file.write(bytes(8192))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    value = round(statistics.median(times) * 1e3, 2)
    return {"name": "fsync of 8 KiB, p50", "value": value, "unit": "ms", "detail": "the disk alone, for comparison"}


def run() -> list[Row]:
    """See `benchmarks.report`."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix=".bench-events-", dir=".") as name:  # /tmp may be no disk.
        place = Path(name)
        rows.append(sync_time(place))
        for publishers in (1, 10, 100):
            progress(f"events: {publishers} publishers")
            rows.append(trio.run(throughput, place, publishers))
        progress("events: 10 publishers that go on meanwhile")
        rows.append(trio.run(ahead, place, 10))
        for readers in (1, 100):
            progress(f"events: {readers} readers")
            rows += trio.run(latency, place, readers)
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:40} {row['value']:>10} {row['unit']:4} {row['detail']}")
