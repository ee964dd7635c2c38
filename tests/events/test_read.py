"""Reading: cursors, filters, wake-ups, and readers of every pace."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import trio
import trio.testing

from routerd.events import log as log_module
from routerd.events.log import Log, StaleCursor, inline, open_log
from routerd.events.rows import predicate
from routerd.events.types import Event, Filter, Ref, Severity, Source, StoredEvent
from tests.events.saying import CLIENT, WAN, everything, numbered, said

KINDS = [WAN, Ref("DHCPv4Client", "lte"), Ref("Interface", "wan"), Ref("Interface", "wan", "other/v1"), None]
SOURCES = [CLIENT, Source("routerd", "routerd", "store"), None]
TOPICS = ["routerd.dhcpv4.client.lease.bound", "routerd.dhcpv4.client.renew.failed", "routerd.resource.status.changed"]


def messages(events: tuple[StoredEvent, ...] | list[StoredEvent]) -> list[str]:
    return [stored.event.message for stored in events]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little memory and short looks, so that every way of reading is taken."""
    monkeypatch.setattr(log_module, "RECENT", 20)
    monkeypatch.setattr(log_module, "STRETCH", 7)


async def test_pages_ascend_and_say_where_to_go_on(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        empty = await log.read(0)
        assert (empty.events, empty.cursor, empty.oldest, empty.newest, empty.lost) == ((), 0, 1, 0, 0)
        await log.append(*numbered(*range(10)))
        page = await log.read(0, limit=4)
        assert (messages(page.events), page.cursor, page.lost) == (["0", "1", "2", "3"], 4, 0)
        page = await log.read(page.cursor, limit=100)
        assert (messages(page.events), page.cursor) == (["4", "5", "6", "7", "8", "9"], 10)
        page = await log.read(page.cursor)
        assert (page.events, page.cursor, page.epoch) == ((), 10, log.epoch)
        page = await log.read(2, where=Filter(topics=("nothing.**",)))
        assert (page.events, page.cursor) == ((), 10)
        assert (await log.read(-5, limit=1)).events[0].id == 1
        assert (await log.read(99)).cursor == 99


async def test_the_tail_ascends_too(tmp_path: Path, small: None) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        assert (await log.tail(5)).events == ()
        for number in range(60):
            await log.append(said(f"topic.{number % 30}", message=str(number)))
        assert messages((await log.tail(3)).events) == ["57", "58", "59"]
        assert messages((await log.tail(50)).events) == [str(n) for n in range(10, 60)]
        assert messages((await log.tail(1000)).events) == [str(n) for n in range(60)]
        page = await log.tail(9, Filter(topics=("topic.3",)))
        assert (messages(page.events), page.cursor) == (["3", "33"], 60)
        assert (await log.tail(0)).cursor == 60


@pytest.mark.usefixtures("small")
async def test_events_by_their_ids_from_memory_and_from_disk(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        assert await log.of_ids([1, 2]) == {}
        for number in range(1, 101):
            await log.append(said(message=str(number)))
        found = await log.of_ids([100, 2, 101, 0, -1, 55, 2])
        assert {number: stored.event.message for number, stored in found.items()} == {2: "2", 55: "55", 100: "100"}
        while await log.prune(log.now() + 1, 10, 2**30):
            pass
        assert sorted(await log.of_ids(range(8, 13))) == [11, 12], "what retention took is not there"


@pytest.mark.usefixtures("small")
async def test_filters_mean_the_same_in_memory_and_on_disk(tmp_path: Path) -> None:
    rng = random.Random(1)
    severities: tuple[Severity, ...] = get_args(Severity)
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log:
        for _ in range(100):
            await log.append(
                Event(rng.choice(TOPICS), rng.choice(severities), "", "", rng.choice(KINDS), rng.choice(SOURCES))
            )
        stored = await everything(log)
        for _ in range(150):
            globs = ["routerd.dhcpv4.**", "**.failed", "routerd.*.client.*.*", rng.choice(TOPICS), "x"]
            where = Filter(
                topics=tuple(rng.sample(globs, rng.choice([0, 0, 1, 2]))),
                resource=rng.choice([None, None, *KINDS]),
                kind=rng.choice([None, None, "Interface", "DHCPv4Client"]),
                name=rng.choice([None, None, "wan", "lte"]),
                source=rng.choice([None, CLIENT.name, "routerd"]),
                severity=rng.choice(severities),
            )
            expected = [event for event in stored if predicate(where)(event)]
            assert await everything(log, where=where, limit=rng.randint(1, 9)) == expected
            assert list((await log.tail(5, where)).events) == expected[-5:]


def test_a_filter_asks_for_everything_it_names() -> None:
    event = StoredEvent(1, 0, said("a.b", severity="warning"))
    passing = Filter(("a.*",), WAN, "DHCPv4Client", "wan", CLIENT.name, "warning")
    assert predicate(passing)(event)
    for field, other in {
        "topics": ("a", "b"),
        "resource": Ref("DHCPv4Client", "lte"),
        "kind": "Interface",
        "name": "lte",
        "source": "routerd",
        "severity": "error",
    }.items():
        assert not predicate(Filter(**{field: other}))(event), field  # type: ignore[arg-type]
    assert not predicate(passing)(StoredEvent(1, 0, Event("a.b", "error")))


async def test_who_counts_by_source_finds_its_place(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        assert await log.position(CLIENT.name, 5) == 0
        await log.append(said(source=SOURCES[1]), said(), said(source=SOURCES[1]), said())
        assert [await log.position(CLIENT.name, n) for n in (0, 1, 2, 3)] == [0, 2, 4, 4]
        assert await log.position("nobody", 3) == 0


async def test_cursors_know_their_epoch(tmp_path: Path) -> None:
    async with open_log(tmp_path / "one.db") as log:
        assert log.parse_cursor(log.format_cursor(0)) == log.parse_cursor("0") == 0
        await log.append(said(), said())
        assert log.parse_cursor(log.format_cursor(1)) == log.parse_cursor("1") == 1
        for foreign in ("abcdef-1", "abcdef-0", log.format_cursor(3), "3"):
            with pytest.raises(StaleCursor) as stale:
                log.parse_cursor(foreign)
            assert len((await log.read(stale.value.oldest)).events) == 2
        for nonsense in ("", "-", "-1", f"{log.epoch}-", "1.0", "+1", "٣", "9" * 19, f"{log.epoch}-1 ", "x"):
            with pytest.raises(ValueError, match="not a cursor"):
                log.parse_cursor(nonsense)
        cursor = log.format_cursor(2)
    async with open_log(tmp_path / "one.db") as log:
        assert log.parse_cursor(cursor) == 2
    async with open_log(tmp_path / "two.db") as log:
        await log.append(said(), said())
        with pytest.raises(StaleCursor):
            log.parse_cursor(cursor)


async def test_a_cursor_before_the_horizon_is_stale_and_reading_tells_what_was_lost(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(1, 11)))
        assert await log.prune(before=log.now() + 1, aged=6, max_bytes=10**9) == 6
        assert (log.oldest, log.newest) == (7, 10)
        with pytest.raises(StaleCursor) as stale:
            log.parse_cursor("5")
        assert stale.value.oldest == log.parse_cursor("6") == 6
        assert log.parse_cursor("0") == 0
        for after, lost, first in ((0, 6, "7"), (4, 2, "7"), (6, 0, "7"), (8, 0, "9")):
            page = await log.read(after, limit=2)
            assert (page.lost, page.events[0].event.message, page.oldest) == (lost, first, 7)
    async with open_log(tmp_path / "routerd.db") as log:
        page = await log.read(4, where=Filter(kind="Interface"))
        assert (page.lost, page.events, page.cursor) == (2, (), 10)


async def test_what_is_lost_is_counted_once_over_many_pages(tmp_path: Path, small: None) -> None:
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log:
        await log.append(*numbered(*range(1, 101)))
        await log.prune(before=log.now() + 1, aged=33, max_bytes=10**9)
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log:
        for start in (0, 10, 32, 33, 50):
            lost, seen, cursor = 0, 0, start
            while cursor < log.newest:
                page = await log.read(cursor, limit=3)
                lost, seen, cursor = lost + page.lost, seen + len(page.events), page.cursor
            assert (lost, seen) == (max(0, 33 - start), 100 - max(start, 33))


async def test_a_slow_reader_lags_and_misses_nothing(tmp_path: Path, small: None) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        seen: list[str] = []

        async def slow() -> None:
            cursor = 0
            while True:
                await log.wait(cursor)
                page = await log.read(cursor, limit=3)
                assert page.lost == 0
                cursor = page.cursor
                seen.extend(messages(page.events))
                if len(seen) == 500:
                    return
                await trio.testing.wait_all_tasks_blocked()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow)
            for number in range(0, 500, 5):
                await log.append(*numbered(*range(number, number + 5)))
        assert seen == [str(n) for n in range(500)]


async def test_a_hundred_readers_see_the_same(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        seen: list[list[int]] = [[] for _ in range(100)]

        async def follow(mine: list[int], where: Filter) -> None:
            cursor = 0
            while True:
                await log.wait(cursor)
                page = await log.read(cursor, where=where)
                cursor = page.cursor
                mine += [stored.id for stored in page.events]
                if cursor == 200:
                    return

        async def publish(n: int) -> None:
            for number in range(20):
                await log.append(said(f"topic.{number % 2}", message=f"{n}.{number}"))

        async with trio.open_nursery() as nursery:
            for number, mine in enumerate(seen):
                nursery.start_soon(follow, mine, Filter() if number % 2 else Filter(topics=("*.0",)))
            for n in range(10):
                nursery.start_soon(publish, n)
        assert all(mine == list(range(1, 201)) for mine in seen[1::2])
        assert all(mine == seen[0] and len(mine) == 100 for mine in seen[::2])


@pytest.mark.parametrize("runner", [inline, trio.to_thread.run_sync])
async def test_no_wake_up_is_lost(tmp_path: Path, runner: Callable[..., Any]) -> None:
    """Two that answer each other: one lost wake-up and they wait for ever."""
    async with open_log(tmp_path / "routerd.db", run_sync=runner) as log:

        async def answer(mine: str, other: str) -> None:
            cursor = 0
            while True:
                page = await log.read(cursor, where=Filter(topics=(other,)))
                cursor = page.cursor
                if cursor >= 100:
                    return
                if page.events:
                    await log.append(said(mine))
                else:
                    await log.wait(cursor)

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, "ping", "pong")
                nursery.start_soon(answer, "pong", "ping")
                await log.append(said("ping"))


async def test_waiting_takes_no_turn_until_there_is_something(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        woken = 0

        async def waiter(log: Log) -> None:
            nonlocal woken
            await log.wait(0)
            woken += 1

        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(waiter, log)
            await trio.testing.wait_all_tasks_blocked()
            assert woken == 0
            await log.append(said())
        assert woken == 1000
        await log.wait(0)
