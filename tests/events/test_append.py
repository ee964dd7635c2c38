"""Appending: what comes back, when it may be seen, and what is written together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from routerd.events.log import inline, open_log
from routerd.events.types import Event, Source, StoredEvent
from routerd.shapes.secret import Secret
from tests.events.saying import CLIENT, LTE, WAN, everything, numbered, said


class Gate:
    """A runner whose writes wait until it is opened; it counts them."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.arrived = trio.Event()
        self.writes = 0

    async def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if function.__name__ == "write":
            self.writes += 1
            self.arrived.set()
            await self.opened.wait()
        return await trio.to_thread.run_sync(function, *args, **options)


async def test_an_event_comes_back_as_it_was_said_and_again_after_reopening(tmp_path: Path) -> None:
    event = Event(
        "routerd.dhcpv4.client.lease.bound",
        "warning",
        "LeaseBound",
        "192.0.2.7 for 1 h — “fine”\0",
        WAN,
        CLIENT,
        {"address": "192.0.2.7", "naïve": "ü"},
        causes=(3, 4),
        actor="uid=0",
        generation=7,
        time=12,
    )
    async with open_log(tmp_path / "routerd.db", clock_ns=lambda: 99) as log:
        assert await log.append(event, Event("bare", time=1)) == (1, 2)
        stored = await everything(log)
        assert stored == [StoredEvent(1, 99, event, 1), StoredEvent(2, 99, Event("bare", time=1))]
        epoch = log.epoch
    async with open_log(tmp_path / "routerd.db") as log:
        assert await everything(log) == stored
        assert (log.epoch, log.oldest, log.newest) == (epoch, 1, 2)
        assert await log.append(said()) == (3,)


async def test_nothing_is_seen_before_it_is_on_disk(tmp_path: Path, nursery: trio.Nursery) -> None:
    gate = Gate()
    async with open_log(tmp_path / "routerd.db", run_sync=gate) as log:
        nursery.start_soon(lambda: log.append(said(), status={WAN: {"phase": "Bound"}}))
        await gate.arrived.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert (log.newest, log.objects.get(WAN)) == (0, None)
        assert (await log.read(0)).events == (await log.tail(9)).events == ()
        with trio.move_on_after(0.01) as too_early:
            await log.wait(0)
        assert too_early.cancelled_caught
        gate.opened.set()
        await log.wait(0)
        assert (log.newest, len((await log.read(0)).events)) == (2, 2)
        assert log.objects.get(WAN) is not None


async def test_it_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        for number in range(3):
            await log.append(*numbered(number), status={WAN: {"n": number}})
            other = sqlite3.connect(tmp_path / "routerd.db")
            rows = other.execute("select message from events where topic like '%renewed'").fetchall()
            status = other.execute("select status from objects").fetchone()
            other.close()
            assert rows[-1] == (str(number),)
            assert status == (f'{{"n":{number}}}',)


async def test_what_comes_while_one_transaction_is_written_is_the_next(tmp_path: Path) -> None:
    gate = Gate()
    async with open_log(tmp_path / "routerd.db", run_sync=gate) as log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, *numbered(0))
            await gate.arrived.wait()
            for number in range(1, 301):
                nursery.start_soon(log.append, *numbered(number))
            await trio.testing.wait_all_tasks_blocked()
            gate.opened.set()
        assert gate.writes == 2
        assert sorted(int(stored.event.message) for stored in await everything(log)) == list(range(301))


async def test_one_append_is_never_divided_and_groups_are_bounded(tmp_path: Path) -> None:
    gate = Gate()
    async with open_log(tmp_path / "routerd.db", run_sync=gate) as log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, *numbered(0))
            await gate.arrived.wait()
            for _ in range(4):
                nursery.start_soon(log.append, *numbered(*range(400)))
            await trio.testing.wait_all_tasks_blocked()
            gate.opened.set()
        assert gate.writes == 3
        assert [int(s.event.message) for s in await everything(log)] == [0, *(list(range(400)) * 4)]


async def test_follows_become_causes(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said())
        ids = await log.append(said(causes=(1,)), said(follows=(1,)), said(causes=(1,), follows=(1, 2)))
        assert ids == (2, 3, 4)
        assert [s.event.causes for s in await everything(log)] == [(), (1,), (2,), (1, 3, 2)]
        assert all(s.event.follows == () for s in await everything(log))
        for wrong in (said(follows=(1,)), said(follows=(0,))):
            with pytest.raises(ValueError, match="no such event"):
                await log.append(wrong)
        assert await log.append(said()) == (5,)


async def test_what_has_no_time_of_its_own_happened_when_it_was_appended(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db", clock_ns=lambda: 77) as log:
        await log.append(said(), said(time=5), said(follows=(1,)), status={WAN: {"phase": "Bound"}})
        assert [(s.event.time, s.created_at) for s in await everything(log)] == [(77, 77), (5, 77), (77, 77), (77, 77)]
        full = Event("a", "error", "R", "m", WAN, CLIENT, {"a": "b"}, (1,), (), "uid=0", 4)
        await log.append(full)
        assert (await log.tail(1)).events[0].event == attrs.evolve(full, time=77)


async def test_each_source_counts_its_own_events(tmp_path: Path) -> None:
    other = Source("routerd-dhcpv4-client-lte", "routerd-dhcpv4-client", "lte")
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(), said(source=other), said(), said(source=None))
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(source=other), said())
        counts = [(s.event.source and s.event.source.instance, s.source_cursor) for s in await everything(log)]
        assert counts == [("wan", 1), ("lte", 1), ("wan", 2), (None, None), ("lte", 2), ("wan", 3)]


async def test_the_count_of_a_source_goes_on_from_its_journal(tmp_path: Path) -> None:
    floors = {CLIENT.name: 41}
    async with open_log(tmp_path / "routerd.db", cursor_floor=lambda name: floors.get(name, 0)) as log:
        await log.append(said(), said())
        floors[CLIENT.name] = 7
        await log.append(said())
        assert [s.source_cursor for s in await everything(log)] == [42, 43, 44]
    async with open_log(tmp_path / "routerd.db", cursor_floor=lambda name: floors.get(name, 0)) as log:
        await log.append(said())
        assert (await log.tail(1)).events[0].source_cursor == 45


async def test_what_a_hostile_peer_sent_is_stored_legibly(tmp_path: Path) -> None:
    hostile = said(message="host \udcff\udc00", attributes={"\udcffhost": "a\udcfeb"}, reason="x\udc80")
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(), hostile)
    async with open_log(tmp_path / "routerd.db") as log:
        event = (await log.tail(1)).events[0].event
        assert event.message == "host \\udcff\\udc00"
        assert event.reason == "x\\udc80"
        assert event.attributes == {"\\udcffhost": "a\\udcfeb"}


@pytest.mark.req("C16", "breaks")
async def test_a_secret_never_gets_in_and_spoils_nothing_else(tmp_path: Path) -> None:
    secret = Secret("hunter2")
    async with open_log(tmp_path / "routerd.db") as log:
        with pytest.raises(TypeError):
            await log.append(said(attributes={"password": secret}))
        with pytest.raises(TypeError):
            await log.append(said(), status={WAN: {"phase": "Bound"}, LTE: {"password": secret}})
        assert await log.append(said()) == (1,)
        assert log.objects.all() == []
        assert (await log.tail(1)).events[0].source_cursor == 1
    assert b"hunter2" not in (tmp_path / "routerd.db").read_bytes()


async def test_cancelling_does_not_take_back_what_was_said(tmp_path: Path) -> None:
    gate = Gate()
    async with open_log(tmp_path / "routerd.db", run_sync=gate) as log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, said())
            await gate.arrived.wait()
            nursery.start_soon(log.append, said())
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        gate.opened.set()
        await log.wait(1)


async def test_goodbyes_are_written_while_everything_is_cancelled(tmp_path: Path) -> None:
    async def daemon() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(5, shield=True):
                await log.append(*numbered(1))
                await log.append(*numbered(2))

    with trio.CancelScope() as scope:
        async with open_log(tmp_path / "routerd.db") as log, trio.open_nursery() as nursery:
            nursery.start_soon(daemon)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    async with open_log(tmp_path / "routerd.db") as log:
        assert [s.event.message for s in await everything(log)] == ["1", "2"]
    with pytest.raises(trio.ClosedResourceError):
        await log.append(said())


async def test_without_threads_a_simulation_stays_on_its_own_clock(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log:
        began = trio.current_time()
        with trio.fail_after(0.001):
            for number in range(50):
                await log.append(*numbered(number), status={WAN: {"n": number}})
            assert len(await everything(log)) == 100
        assert trio.current_time() == began


async def test_order_is_by_id_whatever_the_clock_does(tmp_path: Path) -> None:
    wall = iter([5 * 10**18, 0, 3 * 10**18, 1, 2, 3, 4, 5, 6])
    async with open_log(tmp_path / "routerd.db", clock_ns=lambda: next(wall)) as log:
        for number in range(3):
            await log.append(*numbered(number))
        assert [s.event.message for s in (await log.read(0)).events] == ["0", "1", "2"]
        assert [s.event.message for s in (await log.tail(2)).events] == ["1", "2"]


async def test_the_file_is_not_for_every_user(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said())
        for name in ("routerd.db", "routerd.db-wal", "routerd.db-shm"):
            assert (tmp_path / name).stat().st_mode & 0o027 == 0, name
