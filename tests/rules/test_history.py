"""Where history begins, where it ends, and what it says of what it could not see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from routerd.events.log import inline, open_log
from routerd.events.types import Event
from routerd.rules import history as history_module
from routerd.rules.history import played
from tests.rules.saying import event, rule

NS = 10**9
EACH = rule("any_of", "a")


class Wall:
    """A wall clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now * NS


@pytest.fixture
def wall() -> Wall:
    return Wall()


async def test_it_begins_where_it_is_told(tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "PAGE", 3)
    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=inline) as log:
        stored = {}
        for step in (0, 0, 5, 5, 5, 60, 1, 0, 7, 100):
            wall.now += step
            (number,) = await log.append(event("a"))
            stored[number] = wall.now
        for since in (0, 999, 1000, 1001, 1004, 1005, 1015, 1016, 1075, 1076, 1083, 1084, 1183, 1184, 5000):
            history = await played(log, "r", EACH, since * NS, 1000)
            expected = [number for number, at in stored.items() if at >= since]
            assert [hit.event_id for hit in history.hits] == expected
            assert [hit.at for hit in history.hits] == [stored[number] * NS for number in expected]
            assert (history.events, history.complete) == (len(expected), True)


async def test_an_empty_log_has_no_history(tmp_path: Path, wall: Wall) -> None:
    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=inline) as log:
        history = await played(log, "r", EACH, 0, 10)
        assert (history.hits, history.events, history.complete, history.lost) == ((), 0, True, 0)


async def test_what_is_due_by_now_is_told(tmp_path: Path, wall: Wall) -> None:
    silent = rule("absence", trigger="a", duration="30s")
    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=inline) as log:
        await log.append(event("a"))
        wall.now += 29
        assert (await played(log, "r", silent, 0, 10)).hits == ()
        wall.now += 100
        (hit,) = (await played(log, "r", silent, 0, 10)).hits
        assert (hit.event_id, hit.at) == (1, 1030 * NS)


async def test_what_is_gone_and_what_is_enough(tmp_path: Path, wall: Wall) -> None:
    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=inline) as log:
        await log.append(*[event("a") for _ in range(50)], Event("a"))
        limited = rule("any_of", "a", correlate_by="resource.name", rate=40)
        history = await played(log, "r", limited, 0, 1000)
        assert (len(history.hits), history.suppressed, history.uncorrelated) == (40, 10, 1)
        history = await played(log, "r", EACH, 0, 7)
        assert (len(history.hits), history.complete) == (7, False)
        while await log.prune(2**62, log.newest, 2**40):
            pass
        assert (await played(log, "r", EACH, 0, 1000)).events == 1


async def test_others_have_their_turn_between_pages(
    tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "PAGE", 10)
    turns = 0
    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=inline) as log, trio.open_nursery() as nursery:
        await log.append(*[event("a") for _ in range(500)])

        async def other(count: Callable[[], None]) -> None:
            while True:
                await trio.lowlevel.checkpoint()
                count()

        def count() -> None:
            nonlocal turns
            turns += 1

        nursery.start_soon(other, count)
        await played(log, "r", EACH, 0, 1000)
        nursery.cancel_scope.cancel()
    assert turns >= 50
