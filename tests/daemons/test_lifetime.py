"""One run of a daemon: who is cancelled says goodbye, nobody takes longer than he may, a crash is not a goodbye."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.daemons.lifetime import FAREWELL, GOODBYE, Lifetime, Standing
from routerd.daemons.scribe import Entry, Said, Scribe
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Ref
from tests.daemons.scene import HandClock


@attrs.define(eq=False)
class Worker:
    """Works until it is told to end, and for `takes` seconds after that."""

    log: Log
    takes: float = 0.0
    patience: float = GOODBYE
    told: trio.Event = attrs.field(factory=trio.Event)
    ended_by_itself: bool = False
    lifetime: Lifetime = attrs.field(init=False)
    scribe: Scribe = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.scribe = Scribe(self.log, Ref("DHCPv4Client", "wan"), inline)
        self.lifetime = Lifetime(self.scribe, Standing(HandClock()))

    def end(self) -> float:
        self.told.set()
        return self.patience

    async def work(self) -> None:
        await self.told.wait()
        await trio.sleep(self.takes)
        self.ended_by_itself = True
        self.scribe.say(Entry([Said(Event("routerd.test.goodbye"))]))

    async def run(self) -> None:
        await self.lifetime.run(self.work, self.end)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log:
        yield log


@asynccontextmanager
async def running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """While it runs; it is cancelled at the end, and waited for."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def topics(log: Log) -> list[str]:
    return [stored.event.topic for stored in (await log.read(0)).events]


async def test_who_is_cancelled_says_goodbye(log: Log, autojump_clock: MockClock) -> None:
    worker = Worker(log, takes=1)
    async with running(worker.run):
        began = trio.current_time()
    assert trio.current_time() - began == 1
    assert worker.ended_by_itself
    assert await topics(log) == ["routerd.test.goodbye"]


@pytest.mark.parametrize("patience", [GOODBYE, FAREWELL])
async def test_a_goodbye_has_its_end(log: Log, autojump_clock: MockClock, patience: float) -> None:
    worker = Worker(log, takes=100, patience=patience)
    async with running(worker.run):
        began = trio.current_time()
    assert trio.current_time() - began == patience
    assert not worker.ended_by_itself


@pytest.mark.parametrize("before", [0.0, 1.0, 5.0])
async def test_a_farewell_that_is_hastened(log: Log, autojump_clock: MockClock, before: float) -> None:
    worker = Worker(log, takes=100, patience=FAREWELL)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(before)
        worker.lifetime.hasten()
    assert trio.current_time() - began == before + GOODBYE


async def test_what_was_said_before_a_crash_is_written(log: Log, autojump_clock: MockClock) -> None:
    worker = Worker(log)

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        worker.scribe.say(Entry([Said(Event("routerd.test.news"))]))
        raise RuntimeError("a defect")

    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await worker.lifetime.run(work, worker.end)
    assert await topics(log) == ["routerd.test.news"]
    assert not worker.told.is_set(), "it had ended already"


async def test_a_scribe_whose_disk_hangs_holds_up_nobody(log: Log, autojump_clock: MockClock) -> None:
    worker = Worker(log)

    async def hangs(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    worker.scribe = Scribe(log, Ref("DHCPv4Client", "wan"), hangs)
    worker.lifetime = Lifetime(worker.scribe, Standing(HandClock()))
    worker.scribe.say(Entry([], act=lambda: None))
    async with running(worker.run):
        began = trio.current_time()
    assert trio.current_time() - began <= 2 * GOODBYE
