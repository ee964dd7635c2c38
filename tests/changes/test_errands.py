"""Work goes on whoever goes away."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from routerd.api.change import NotChanged
from routerd.changes.errands import Errands


@pytest.fixture
async def errands() -> AsyncIterator[Errands]:
    errands = Errands()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(errands.run)
        yield errands
        nursery.cancel_scope.cancel()


async def test_who_waits_has_what_came_of_it(errands: Errands, autojump_clock: MockClock) -> None:
    async def work() -> int:
        await trio.sleep(1)
        return 7

    async def refused() -> None:
        await trio.sleep(1)
        raise NotChanged("conflict", "not now")

    assert await errands.do(work) == 7
    with pytest.raises(NotChanged, match="not now"):
        await errands.do(refused)


async def test_who_goes_away_does_not_stop_it(errands: Errands, autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def work() -> None:
        await trio.sleep(10)
        done.set()

    with trio.move_on_after(1) as patience:
        await errands.do(work)
    assert patience.cancelled_caught and not done.is_set()
    await done.wait()


async def test_one_does_not_wait_for_another(errands: Errands, autojump_clock: MockClock) -> None:
    soon = trio.Event()

    async def slow() -> None:
        await soon.wait()

    async def work() -> None:
        soon.set()

    errands.soon(slow)
    await errands.do(work)
    assert soon.is_set()


@pytest.mark.parametrize(
    ("error", "told"), [(OSError(28, "full"), 0), (NotChanged("stale", "old"), 0), (ValueError(), 1)]
)
async def test_a_fault_of_ours_that_nobody_waits_for_is_told(
    errands: Errands,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    told: int,
) -> None:
    async def work() -> None:
        await trio.sleep(10)
        raise error

    with trio.move_on_after(1):
        await errands.do(work)
    with caplog.at_level(logging.ERROR, "routerd"):
        await trio.sleep(20)
    assert [record.exc_info is not None for record in caplog.records] == [True] * told
