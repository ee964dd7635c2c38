"""The generations that there have been, as the API tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from routerd.api.change import NotChanged, Terms
from routerd.changes.history import History
from routerd.changes.stage import Stage
from routerd.config import Router
from routerd.events.log import inline, open_log
from tests.changes.test_gate import LAN, Bench, opened


@attrs.define
class Now:
    """How what is in force comes out by now."""

    word: str = "Drifted"

    def phase(self, router: Router) -> str:
        return self.word


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        yield await opened(log, tmp_path)


def history(bench: Bench, now: Any) -> History:
    return History(bench.gate, cast(Stage, now), inline)


async def phases(told: History) -> list[tuple[int, str | None]]:
    return [(one.generation, one.phase) for one in await told.latest(20)]


async def test_what_is_in_force_is_seen_now_and_what_was_as_it_ended(bench: Bench) -> None:
    now = Now()
    told = history(bench, now)
    await bench.change(LAN % "eth1")
    assert await phases(told) == [(2, "Committed"), (1, "Healthy")], "nobody has looked yet how the second comes out"
    await bench.gate.finish(2, "Healthy")
    assert await phases(told) == [(2, "Drifted"), (1, "Healthy")]
    now.word = "Blocked"
    assert await phases(told) == [(2, "Blocked"), (1, "Healthy")]


async def test_the_latest_are_the_newest(bench: Bench) -> None:
    for number in range(2, 5):
        await bench.change(LAN % f"eth{number}")
    told = history(bench, Now())
    assert [one.generation for one in await told.latest(2)] == [4, 3]


async def test_one_has_its_text_and_its_differences_to_the_one_before(bench: Bench) -> None:
    await bench.change(LAN % "eth1", Terms(actor="uid=7"))
    told = history(bench, Now())
    found = await told.one(2)
    assert (found.generation.actor, found.generation.has_yaml) == ("uid=7", True)
    assert found.yaml == bench.path.read_text()
    assert [(one.resource, one.change) for one in found.changes or ()] == [("Interface/lan", "added")]
    assert (await told.one(1)).changes is None, "there is none before it"
    with pytest.raises(NotChanged, match="no generation 3") as no:
        await told.one(3)
    assert no.value.why == "absent"
