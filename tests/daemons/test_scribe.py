"""The scribe keeps the order of what becomes visible, and waits for the disk only where somebody has to know."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd.daemons.scribe import Entry, Said, Scribe
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Ref

WAN = Ref("DHCPv4Client", "wan")


def event(word: str) -> Event:
    return Event(f"routerd.dhcpv4.client.{word}", resource=WAN)


@attrs.define
class Disk:
    """Answers at once, unless it is `held`."""

    free: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await self.free.wait()
        return await inline(function, *args)


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[tuple[Disk, Log, Scribe]]:
    """A scribe at work, and a disk that from now on does not answer until it is `free`."""
    disk = Disk()
    disk.free.set()
    async with open_log(path / "log.db", run_sync=disk.run) as log, trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        disk.free = trio.Event()
        scribe = Scribe(log, WAN, inline)
        nursery.start_soon(scribe.run)
        yield disk, log, scribe
        scribe.close()


async def test_a_lease_is_kept_while_what_led_to_it_is_on_its_way_to_the_disk(tmp_path: Path) -> None:
    kept: list[bool] = []
    async with writing(tmp_path) as (disk, log, scribe):
        discover = Said(event("discover.sent"))
        request = Said(event("request.sent"), (discover,))
        scribe.say(Entry([discover], {"phase": "Acquiring"}))
        scribe.say(Entry([request], {"phase": "Acquiring", "state": "Requesting"}))
        scribe.say(Entry([Said(event("lease.bound"), (request,))], {"phase": "Bound"}, act=lambda: kept.append(True)))
        await wait_all_tasks_blocked()
        assert kept, "the lease file did not wait for the disk to take up the events before it"
        assert log.newest == 0
        assert log.objects.get(WAN) is None, "nothing is seen that is not on disk"
        disk.free.set()
        await wait_all_tasks_blocked()
        page = await log.read(0)
    told = [stored for stored in page.events if stored.event.topic.startswith("routerd.dhcpv4")]
    assert [stored.event.topic.removeprefix("routerd.dhcpv4.client.") for stored in told] == [
        *("discover.sent", "request.sent", "lease.bound")
    ]
    assert [stored.event.causes for stored in told] == [(), (told[0].id,), (told[1].id,)]
    phases = [stored.event.message for stored in page.events if stored not in told]
    assert len(phases) == 3, "each step is told, though they were written together"


async def test_whoever_waits_for_an_answer_gets_it_from_the_disk(tmp_path: Path) -> None:
    answers: list[int] = []
    async with writing(tmp_path) as (disk, log, scribe):
        scribe.say(Entry([Said(event("command.executed"))], wrote=answers.extend))
        await wait_all_tasks_blocked()
        assert answers == []
        disk.free.set()
        await wait_all_tasks_blocked()
        assert answers == [1]
        assert log.newest == 1


async def test_it_ends_when_all_is_written(tmp_path: Path) -> None:
    async with writing(tmp_path) as (disk, log, _):
        last = Scribe(log, WAN, inline)
        last.say(Entry([Said(event("lifecycle.stopped"))]))
        last.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(last.run)
            await wait_all_tasks_blocked()
            assert nursery.child_tasks, "it waits for the disk"
            disk.free.set()
        assert log.newest == 1


@pytest.mark.parametrize("name", [("lease.json",), ()], ids=["a name", "an open file"])
async def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, name: tuple[str, ...]) -> None:
    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", *name)

    async with writing(tmp_path) as (disk, log, scribe):
        disk.free.set()
        for word in ("lease.bound", "lease.renewed"):
            scribe.say(Entry([Said(event(word))], act=refuse))
        await wait_all_tasks_blocked()
        page = await log.read(0)
    words = [stored.event.topic.removeprefix("routerd.dhcpv4.client.") for stored in page.events]
    assert words == ["lease.unsaved", "lease.bound", "lease.renewed"]
    assert page.events[0].event.message.endswith(": ".join(("start", "No space left on device", *name)))


async def test_causes_by_what_was_said_before(tmp_path: Path) -> None:
    """In an earlier step, in the same one, by id; and what was never written is no cause."""
    link, never = 1, Said(event("packet.dropped"))
    async with writing(tmp_path) as (disk, log, scribe):
        disk.free.set()
        await log.append(event("link.down"))
        sent = Said(event("renew.sent"))
        scribe.say(Entry([sent]))
        nak = Said(event("lease.nak"), (sent, link, never, 0))
        lost = Said(event("lease.lost"), (nak,))
        scribe.say(Entry([nak, lost, Said(event("acquire.failed"), (nak,))], {"phase": "Acquiring"}, because=(lost,)))
        scribe.say(Entry([], {"phase": "Pending"}, because=(link, lost)))
        await wait_all_tasks_blocked()
        page = await log.read(0)
    assert [stored.event.causes for stored in page.events] == [(), (), (2, 1), (3,), (3,), (4,), (1, 4)]
    assert (nak.id, lost.id, never.id) == (3, 4, 0)
    assert (nak.because, lost.because) == ((), ()), "what is written holds nothing in memory"


@attrs.define
class Refusing:
    """A disk that is full so many times."""

    times: float
    kept: list[str] = attrs.field(factory=list)

    def keep(self, what: str) -> None:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "No space left on device", "lease.json")
        self.kept.append(what)


async def test_what_a_full_disk_has_refused_is_tried_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with writing(tmp_path) as (disk, log, scribe):
        disk.free.set()
        full = Refusing(3)
        scribe.say(Entry((), act=partial(full.keep, "old")))
        await trio.sleep(1)
        scribe.say(Entry((), act=partial(full.keep, "new")))
        await trio.sleep(59)
        assert full.kept == []
        await trio.sleep(65)
        assert full.kept == ["new"], "the last one is what counts"
        await trio.sleep(200)
        assert full.kept == ["new"], "and once is enough"
        page = await log.read(0)
    assert [stored.event.topic.rpartition(".")[2] for stored in page.events].count("unsaved") == 1


@pytest.mark.parametrize("times", [1, 9])
async def test_at_the_end_it_is_tried_once_more(tmp_path: Path, autojump_clock: MockClock, times: int) -> None:
    full = Refusing(times)
    async with writing(tmp_path) as (disk, _, scribe):
        disk.free.set()
        scribe.say(Entry((), act=partial(full.keep, "lease")))
        await trio.sleep(1)
    assert full.kept == (["lease"] if times == 1 else [])
    assert full.times == times - 2
