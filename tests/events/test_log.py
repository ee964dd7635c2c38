"""The event log as its callers see it: order, durability, objects, cursors, wake-ups."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio

from routerd.events.log import Log, StaleCursor, inline, open_log
from routerd.events.types import Event, Filter, Ref, Source, StoredEvent

WAN = Ref("DHCPv4Client", "wan")
CLIENT = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")


def said(topic: str = "a.b", **fields: object) -> Event:
    return attrs.evolve(Event(topic, source=CLIENT, resource=WAN), **fields)


async def everything(log: Log, after: int = 0) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    while (page := await log.read(after)).cursor != after:
        found += page.events
        after = page.cursor
    return found


async def test_an_event_comes_back_as_it_was_said_and_again_after_reopening(tmp_path: Path) -> None:
    event = Event(
        "routerd.dhcpv4.client.lease.bound",
        "warning",
        "LeaseBound",
        "bound 192.0.2.7 for 1 h — “fine”\0",
        WAN,
        CLIENT,
        {"address": "192.0.2.7", "naïve": "ü"},
        causes=(3, 4),
        actor="uid=0",
        generation=7,
        time=12,
    )
    async with open_log(tmp_path / "routerd.db", clock_ns=lambda: 99) as log:
        assert await log.append(event) == (1,)
        (stored,) = await everything(log)
        assert stored == StoredEvent(1, 99, event, 1)
        epoch = log.epoch
    async with open_log(tmp_path / "routerd.db") as log:
        assert await everything(log) == [stored]
        assert (log.epoch, log.oldest, log.newest) == (epoch, 1, 1)
        assert await log.append(said()) == (2,)


@pytest.mark.parametrize("runner", [inline, trio.to_thread.run_sync])
async def test_status_changes_speak_for_themselves(tmp_path: Path, runner: object) -> None:
    async with open_log(tmp_path / "routerd.db", run_sync=runner) as log:  # type: ignore[arg-type]
        ids = await log.append(said(), said(), status={WAN: {"phase": "Acquiring"}})
        assert ids == (1, 2)
        await log.append(said(), status={WAN: {"phase": "Bound", "currentAddress": "192.0.2.7", "renewAt": 5}})
        changes = [e for e in await everything(log) if e.event.topic == "routerd.resource.status.changed"]
        assert [(e.id, dict(e.event.attributes), e.event.causes) for e in changes] == [
            (3, {"phase": "Acquiring", "changedFields": "phase"}, (1, 2)),
            (5, {"phase": "Bound", "previousPhase": "Acquiring", "changedFields": "currentAddress,phase"}, (4,)),
        ]
        stored = log.objects.get(WAN)
        assert stored is not None
        assert stored.version == 5


async def test_cursors_know_their_epoch(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(), said())
        assert log.parse_cursor(log.format_cursor(1)) == log.parse_cursor("1") == 1
        with pytest.raises(StaleCursor):
            log.parse_cursor("abcdef-1")
        with pytest.raises(ValueError, match="not a cursor"):
            log.parse_cursor("-1")


async def test_waiting_ends_with_the_next_event(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        nursery.start_soon(log.append, said())
        await log.wait(0)
        assert (await log.tail(1)).events[0].id == 1
        assert (await log.tail(1, Filter(topics=("x.**",)))).events == ()
