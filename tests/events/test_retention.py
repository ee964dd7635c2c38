"""What is kept, what goes, and that clocks cannot be tricked into deleting history."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from routerd.events.log import Log, inline, open_log
from routerd.events.retention import Retention
from routerd.events.types import Filter
from tests.events.saying import CLIENT, everything, numbered, said

APPLIED = Filter(topics=("routerd.log.retention.applied",))
HOUR = 3600.0
DAY = 24 * HOUR
NOW = 1_800_000_000.0


@attrs.define
class Wall:
    """A wall clock that goes with trio's until somebody sets it; seconds since 1970."""

    offset: float = 0.0

    def set(self, to: float) -> None:
        self.offset = to - trio.current_time()

    def __call__(self) -> int:
        return int((trio.current_time() + self.offset) * 1e9)


@asynccontextmanager
async def opened(place: Path, wall: Wall, **limits: float) -> AsyncIterator[Log]:
    retention = Retention(**{"max_age": 30 * DAY, **limits})  # type: ignore[arg-type]
    async with open_log(place / "routerd.db", clock_ns=wall, run_sync=inline, retention=retention) as log:
        yield log


async def numbers(log: Log) -> list[int]:
    return [int(s.event.message) for s in await everything(log) if s.event.message.isdigit()]


async def applied(log: Log) -> list[dict[str, str]]:
    return [dict(s.event.attributes) for s in await everything(log, where=APPLIED)]


async def test_events_go_after_thirty_days_and_it_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall) as log:
        for day in range(40):
            await log.append(*numbered(day))
            await trio.sleep(DAY)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(40))
        assert await numbers(log) == list(range(10, 41))
        assert sum(int(said_so["deleted"]) for said_so in await applied(log)) == 10
        await trio.sleep(2 * DAY)
        assert await numbers(log) == list(range(12, 41))
        assert (await log.read(0)).lost == log.oldest - 1
        assert (await applied(log))[-1]["oldest"] == str(log.oldest)


async def test_when_nothing_is_deleted_nothing_is_said(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(1))
        await trio.sleep(29 * DAY)
        assert log.newest == 1


async def test_the_file_stays_below_its_limit_and_really_shrinks(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    path = tmp_path / "routerd.db"
    async with opened(tmp_path, wall) as log:
        for number in range(100):
            await log.append(*(said(message=f"{number}.{n}", attributes={"ballast": "x" * 500}) for n in range(50)))
    large = path.stat().st_size
    assert large > 3 * 2**20
    async with opened(tmp_path, wall, max_bytes=2**20) as log:
        await trio.sleep(1)
        assert len(await applied(log)) == 1
        assert log.newest == 5001
        assert log.oldest > 2500
        kept = await everything(log)
        assert [s.id for s in kept] == list(range(log.oldest, 5002))
    assert path.stat().st_size < 1.1 * 2**20
    async with opened(tmp_path, wall, max_bytes=2**20) as log:
        assert await everything(log) == kept


async def test_a_flood_is_pruned_before_the_hour_is_over(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall, max_bytes=2**18, interval_events=1000) as log:
        for _ in range(30):
            await log.append(*(said(attributes={"ballast": "x" * 500}) for _ in range(100)))
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() < HOUR
        assert log.newest - log.oldest < 1500


async def test_a_retention_of_nothing_keeps_the_newest_event_and_every_count(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall, max_bytes=0) as log:
        await log.append(*numbered(1, 2, 3))
        await trio.sleep(2 * HOUR)
        assert log.newest - 1 <= log.oldest <= log.newest
        newest = log.newest
    async with opened(tmp_path, wall, max_bytes=0) as log:
        assert (await log.append(said(source=CLIENT)))[0] > newest
        (event,) = (await log.tail(1, Filter(source=CLIENT.name))).events
        assert event.source_cursor == 4


@pytest.mark.parametrize("wrong", [NOW + 10 * 365 * DAY, 0.0])
async def test_a_clock_that_jumps_for_a_while_deletes_nothing(
    tmp_path: Path, autojump_clock: MockClock, wrong: float
) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(1, 2, 3))
    async with opened(tmp_path, wall) as log:
        await trio.sleep(2.5 * HOUR)
        right = NOW + trio.current_time()
        wall.set(wrong)
        await log.append(*numbered(4))
        await trio.sleep(HOUR)
        wall.set(right + HOUR)
        await log.append(*numbered(5))
        await trio.sleep(5 * HOUR)
        assert await numbers(log) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("wrong", [NOW + 10 * 365 * DAY, 0.0])
async def test_a_router_that_boots_with_a_wrong_clock_deletes_nothing(
    tmp_path: Path, autojump_clock: MockClock, wrong: float
) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(1, 2, 3))
    wall.set(wrong)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(4))
        await trio.sleep(60)
        wall.set(NOW + 60)
        await trio.sleep(5 * HOUR)
        assert await numbers(log) == [1, 2, 3, 4]


async def test_after_a_long_time_off_old_events_go_an_hour_later(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(1, 2, 3))
    wall.set(NOW + 100 * DAY)
    async with opened(tmp_path, wall) as log:
        await log.append(*numbered(4))
        await trio.sleep(0.5 * HOUR)
        assert await numbers(log) == [1, 2, 3, 4]
        await trio.sleep(HOUR)
        assert await numbers(log) == [4]


async def test_by_default_a_month_or_two_hundred_mebibytes() -> None:
    await trio.lowlevel.checkpoint()
    assert Retention() == Retention(max_age=30 * DAY, max_bytes=200 * 2**20)


async def test_while_it_cannot_be_written_nothing_is_pruned(tmp_path: Path, autojump_clock: MockClock) -> None:
    wall = Wall(NOW)
    async with opened(tmp_path / "nowhere", wall, max_bytes=0, interval=1.0) as log:
        await log.append(*numbered(1))
        await trio.sleep(10)
        assert log.degraded is not None
        assert await log.prune(time.time_ns(), 10, 0) == 0


# The terms may change while the log is open


async def test_new_terms_hold_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, Wall(NOW)) as log:
        for day in range(10):
            await log.append(*numbered(day))
            await trio.sleep(DAY)
        await trio.sleep(60)  # between two looks
        assert await numbers(log) == list(range(10))
        seen, now = log.keeping.looks, trio.current_time()
        log.keeping.keep(Retention(max_age=3 * DAY))
        assert await log.keeping.looked(seen) == seen + 1
        assert trio.current_time() == now, "not at the next hour"
        assert await numbers(log) == [8, 9]
        assert log.keeping.looked_at == log.now() and log.tally.deleted == 8
        log.keeping.keep(Retention(max_age=30 * DAY))
        await trio.sleep(DAY)
        assert await numbers(log) == [8, 9], "and what is to be kept longer is kept"


async def test_the_same_terms_again_are_nothing_new(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, Wall(NOW)) as log:
        seen = await log.keeping.looked(0)
        log.keeping.keep(attrs.evolve(log.keeping.terms))
        await trio.sleep(HOUR / 2)
        assert log.keeping.looks == seen
        await trio.sleep(HOUR)
        assert log.keeping.looks == seen + 1


async def test_a_look_each_day(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, Wall(NOW), interval=DAY) as log:
        await trio.sleep(7.5 * DAY)
        assert log.keeping.looks == 8
