"""One year of a whole router, on the fake clock, over a line that loses 30 %: in seconds, and the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from routerd.sim.ethernet import Faults
from tests.router.rig import Rig, topics, until

DAY = 86400.0
LEASE = 86400


@pytest.fixture
def ordered_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """trio shuffles which ready task goes first, on purpose; a transcript is the same only if that is drawn from a
    seed too."""
    run = trio._core._run  # type: ignore[attr-defined]
    monkeypatch.setattr(run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    run._r.seed(0)


async def live_for(rig: Rig, days: int) -> None:
    """So many days on a line that loses 30 %; the address is there at each day's end."""
    rig.world.segment("line", Faults(loss=0.3))
    async with rig.surroundings(lease_time=LEASE), rig.live():
        await until(lambda: rig.addresses() != [], within=3600)
        held = rig.addresses()
        for day in range(days):
            await trio.sleep(DAY)
            assert rig.addresses() == held, f"on day {day}"


@pytest.mark.req("C1")
@pytest.mark.req("V4-2")
@pytest.mark.req("V4-31", "breaks")
async def test_a_year_of_renewals_at_thirty_percent_loss(memory_path: Path, autojump_clock: MockClock) -> None:
    rig = Rig(memory_path)
    await live_for(rig, 365)
    said = topics(await rig.events())  # the last thirty days: what is older, retention has taken
    extended = said.count("lease.renewed") + said.count("lease.rebound")
    assert set(said) <= {"renew.sent", "lease.renewed", "lease.rebound", "renew.failed"}
    assert 25 * DAY / LEASE < extended < 2.5 * 30 * DAY / LEASE, "about two extensions for each lease time"
    assert said.count("renew.sent") > extended * 1.3, "the line did lose packets"
    assert not rig.server.violations


@pytest.mark.req("C1")
async def test_same_seed_same_transcript(memory_path: Path, autojump_clock: MockClock, ordered_tasks: None) -> None:
    transcripts = []
    for turn in ("first", "second"):
        trio._core._run._r.seed(0)  # type: ignore[attr-defined]
        rig = Rig(memory_path / turn, seed=7)
        await live_for(rig, 29)
        events = await rig.events()
        began = events[0].event.time
        transcripts.append(
            [(round((e.event.time - began) / 1e6), e.event.topic, e.event.message.replace(turn, "")) for e in events]
        )
    assert len(transcripts[0]) > 100
    assert transcripts[0] == transcripts[1]
