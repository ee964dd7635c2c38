"""kill -9 at any moment: what was acknowledged is there, and the journal has every event once."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from routerd.events.journal import run_journal
from routerd.events.log import open_log
from routerd.events.types import StoredEvent
from tests.events.pen import Pen, cursors
from tests.events.saying import CLIENT, WAN, everything

KILLS = 20


def kill_after(place: Path, acknowledgements: int) -> list[int]:
    """Run the victim until it has acknowledged that many events, kill it, return what it acknowledged."""
    with subprocess.Popen([sys.executable, "-m", "tests.events.victim", place], stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        seen = [victim.stdout.readline() for _ in range(acknowledgements)]
        victim.kill()
        seen += victim.stdout.readlines()
    return [int(line) for line in seen if line.endswith(b"\n")]


async def look(place: Path) -> list[StoredEvent]:
    async with open_log(place / "routerd.db") as log:
        stored = log.objects.get(WAN)
        events = await everything(log)
        assert stored is not None
        assert stored.version in {event.id for event in events}
        assert log.degraded is None
        return events


@pytest.mark.req("C5")
@pytest.mark.req("C5", "breaks")
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(5)
    acknowledged: set[int] = set()
    for _ in range(KILLS):
        acknowledged |= set(kill_after(tmp_path, rng.choice([1, 2, 5, 40, 200])))
        written = cursors(tmp_path / "events.jsonl")
        assert not written or written == list(range(written[0], written[0] + len(written)))
    events = trio.run(look, tmp_path)
    ids = [event.id for event in events]
    assert acknowledged <= set(ids)
    assert ids == list(range(1, len(ids) + 1))
    mine = [event for event in events if event.event.source == CLIENT]
    assert [event.source_cursor for event in mine] == list(range(1, len(mine) + 1))
    assert all(event.event.causes == (event.id - 1,) for event in mine if not event.event.message)
    assert not list(tmp_path.glob("*corrupt*"))

    async def catch_up() -> None:
        pen = Pen()
        async with open_log(tmp_path / "routerd.db") as log, trio.open_nursery() as nursery:
            nursery.start_soon(partial(run_journal, log, CLIENT.name, tmp_path / "events.jsonl", run_sync=pen))
            with trio.fail_after(30):
                await pen.written(tmp_path / "events.jsonl", len(mine))
            nursery.cancel_scope.cancel()

    trio.run(catch_up)
    written = cursors(tmp_path / "events.jsonl")
    assert written == list(range(written[0], len(mine) + 1))
