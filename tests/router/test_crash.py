"""A whole router is killed after each of its outputs, and what is on its disk may be torn besides: the next life comes
to the same end, and an address that is good is there all the time (C5)."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.events.types import StoredEvent
from routerd.host import AddressChanged, Notice
from routerd.sim.ethernet import Faults
from tests.router.mortal import Mortal
from tests.router.rig import DEFAULT, LEASED, LINE, Rig, provider, topics, until

DAEMON = "routerd-dhcpv4-client-wan"
LEASE, LIFE = 60, 36.0
STEPS = 55
"""More outputs than a life of `LIFE` seconds has: it acquires, announces, applies, and renews once."""
RENUMBERED = 66
"""More than a life that begins with a lease which is refused."""
GOODBYE = {"routerd.daemon.lifecycle.stopped"}
"""What a journal may lack at the end of a life: the next one writes it."""


def bound(rig: Rig) -> bool:
    return rig.addresses() == [LEASED] and rig.routes() == [DEFAULT]


async def killed_after(rig: Rig, step: float, life: float = LIFE) -> Mortal:
    """One life, killed right after output number `step`, or at its end."""
    mortal = Mortal(rig, step)
    async with rig.live(mortal.hold):
        with trio.move_on_after(life):
            await mortal.dead.wait()
        if mortal.alive:
            mortal.last = mortal.outputs + 1
            mortal.count()
    return mortal


def journal(state_dir: Path) -> list[dict[str, Any]]:
    """Every line of the client's `events.jsonl`; fails for one that is none."""
    path = state_dir / "dhcpv4-client" / "wan" / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_told_once(rig: Rig, events: list[StoredEvent], since: int = 0) -> None:
    """Log and journal say the same, each event once, and no count ever goes back. `since`: the log was lost after that
    of the source's events, the journal was not."""
    said = [e for e in events if e.event.source is not None and e.event.source.name == DAEMON]
    cursors = [e.source_cursor for e in said]
    assert cursors == list(range(since + 1, since + 1 + len(said)))
    in_log = [(str(e.source_cursor), e.event.topic, e.event.message) for e in said]
    in_journal = [(line["cursor"], line["topic"], line["message"]) for line in journal(rig.state_dir)]
    assert [cursor for cursor, _, _ in in_journal] == [str(n + 1) for n in range(len(in_journal))]
    assert in_journal[since:] == in_log[: len(in_journal) - since]
    assert {topic for _, topic, _ in in_log[len(in_journal) - since :]} <= GOODBYE


def removals(notices: trio.MemoryReceiveChannel[Notice]) -> list[str]:
    """The addresses that went away, as far as has been noticed."""
    seen = []
    while notices.statistics().current_buffer_used:
        notice = notices.receive_nowait()
        if isinstance(notice, AddressChanged) and not notice.present:
            seen.append(str(notice.address.address))
    return seen


async def test_the_life_is_as_long_as_it_says(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(LEASE):
        mortal = await killed_after(rig, float("inf"))
    assert STEPS - 10 < mortal.outputs <= STEPS
    assert "lease.renewed" in topics(await rig.events())


@pytest.mark.req("C5")
@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V4-33", "breaks")
@pytest.mark.parametrize("step", range(1, STEPS + 1))
async def test_killed_after_every_output(rig: Rig, autojump_clock: MockClock, step: int) -> None:
    async with rig.surroundings(LEASE), rig.host.watch() as notices:
        await killed_after(rig, step)
        held, acknowledged = rig.addresses(), await events_of_copy(rig)
        await trio.sleep(3)
        async with rig.live():
            await until(lambda: bound(rig), within=30)
            await trio.sleep(45)
            assert bound(rig)
            assert await rig.unready() == []
        if held:
            assert removals(notices) == [], "it was good all the time"
    events = await rig.events()
    assert events[: len(acknowledged)] == acknowledged, "what was told stays told"
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    assert_told_once(rig, events)
    assert not rig.server.violations
    assert topics(events).count("lease.expired") == 0


@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V4-11", "breaks")
@pytest.mark.parametrize("step", range(1, RENUMBERED + 1))
async def test_killed_after_every_output_of_a_renumbering(rig: Rig, autojump_clock: MockClock, step: int) -> None:
    """The renewal is refused, the address goes, another comes: in the end that one is there, and nothing else."""
    async with rig.surroundings(LEASE):
        async with rig.live():
            await until(lambda: bound(rig), within=30)
        rig.server.settings = provider(LEASE, first=provider().last, last=provider().last)
        await killed_after(rig, step)
        await trio.sleep(3)
        async with rig.live():
            await until(lambda: rig.addresses() == ["203.0.113.99/24"] and rig.routes() == [DEFAULT], within=60)
            await trio.sleep(45)
            assert rig.addresses() == ["203.0.113.99/24"]
            assert rig.routes() == [DEFAULT]
    assert_told_once(rig, await rig.events())
    assert not rig.server.violations


async def events_of_copy(rig: Rig) -> list[StoredEvent]:
    """What is in the log now, without laying a hand on it."""
    left = rig.state_dir
    rig.state_dir = left.with_name(f"{left.name}-read")
    shutil.copytree(left, rig.state_dir)
    try:
        return await rig.events()
    finally:
        shutil.rmtree(rig.state_dir)
        rig.state_dir = left


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("seed", range(5))
async def test_killed_again_and_again_on_a_bad_line(memory_path: Path, autojump_clock: MockClock, seed: int) -> None:
    rig, rng = Rig(memory_path, seed), random.Random(seed)
    line = rig.world.segment(LINE, Faults(loss=0.2, duplication=0.1, reordering=0.1, jitter=0.2))
    async with rig.surroundings(600):
        for _ in range(30):
            await killed_after(rig, rng.randrange(1, 40), life=rng.random() * 60)
            await trio.sleep(rng.random() * 3)
        line.faults = Faults()
        async with rig.live():
            await until(lambda: bound(rig), within=120)
            await trio.sleep(5)
    events = await rig.events()
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    assert_told_once(rig, events)
    assert not rig.server.violations


# Torn files


def cut(part: float) -> Callable[[bytes], bytes]:
    return lambda octets: octets[: round(len(octets) * part)]


def garbled(octets: bytes) -> bytes:
    return random.Random(1).randbytes(len(octets))


def zeroed(octets: bytes) -> bytes:
    """What some file systems leave of a file after a power cut."""
    return bytes(len(octets))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": cut(0),
    "begun": cut(0.1),
    "half": cut(0.5),
    "nearly whole": lambda octets: octets[:-2],
    "garbled": garbled,
    "zeroed": zeroed,
}


async def damaged(rig: Rig, name: str, damage: Callable[[bytes], bytes]) -> int:
    """A life that got a lease is killed, one file is damaged, and another life lives through a renewal. Returns how
    much was in the journal."""
    await killed_after(rig, float("inf"))
    before = len(journal(rig.state_dir))
    for path in rig.state_dir.rglob(name):
        path.write_bytes(damage(path.read_bytes()))
    async with rig.live():
        await until(lambda: bound(rig), within=30)
        await trio.sleep(40)
        assert bound(rig)
        assert await rig.unready() == []
    return before


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_lease_file_is_no_lease_file(rig: Rig, autojump_clock: MockClock, damage: str) -> None:
    async with rig.surroundings(LEASE):
        await damaged(rig, "lease.json", DAMAGES[damage])
    events = await rig.events()
    said = topics(events)
    assert said.count("lease.unreadable") == 1
    assert said.count("discover.sent") == 2
    assert_told_once(rig, events)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "nearly whole"])
async def test_a_damaged_log_costs_its_events_and_nothing_else(
    rig: Rig, autojump_clock: MockClock, damage: str
) -> None:
    async with rig.surroundings(LEASE), rig.host.watch() as notices:
        before = await damaged(rig, "routerd.db*", DAMAGES[damage])
        assert removals(notices) == []
    events = await rig.events()
    assert "routerd.log.set-aside" in [e.event.topic for e in events]
    assert "discover.sent" not in topics(events)
    assert_told_once(rig, events, since=before)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("part", [0.99, 0.7, 0.3])
async def test_a_log_without_its_end_counts_on_from_the_journal(
    rig: Rig, autojump_clock: MockClock, part: float
) -> None:
    """A disk that lied about what is on it: what is left of the write-ahead log is an earlier moment."""
    async with rig.surroundings(LEASE), rig.host.watch() as notices:
        before = await damaged(rig, "routerd.db-wal", cut(part))
        assert removals(notices) == []
    events = await rig.events()
    said = [e for e in events if e.event.source is not None and e.event.source.name == DAEMON]
    cursors = [e.source_cursor or 0 for e in said]
    assert all(earlier < later for earlier, later in pairwise(cursors)), "no number is given twice"
    lines = [int(line["cursor"]) for line in journal(rig.state_dir)]
    assert lines == list(range(1, len(lines) + 1))
    assert before + 1 in cursors


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_journal_is_mended_from_the_log(rig: Rig, autojump_clock: MockClock, damage: str) -> None:
    async with rig.surroundings(LEASE), rig.host.watch() as notices:
        await damaged(rig, "events.jsonl", DAMAGES[damage])
        assert removals(notices) == []
    events = await rig.events()
    assert_told_once(rig, events)


@pytest.mark.req("V4-6", "breaks")
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_duid_is_told_and_mended(rig: Rig, autojump_clock: MockClock, damage: str) -> None:
    async with rig.surroundings(LEASE), rig.host.watch() as notices:
        await damaged(rig, "duid", DAMAGES[damage])
        assert removals(notices) == []
    events = await rig.events()
    assert topics(events).count("identity.kept") == 1
    assert topics(events).count("discover.sent") == 1, "the lease says who it was given to"
    assert_told_once(rig, events)


async def test_a_journal_that_is_a_directory_holds_nobody_up(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(LEASE):
        (rig.state_dir / "dhcpv4-client" / "wan" / "events.jsonl").mkdir(parents=True)
        async with rig.live():
            await until(lambda: bound(rig), within=30)
            assert await rig.unready() == []
            await trio.sleep(40)
            (rig.state_dir / "dhcpv4-client" / "wan" / "events.jsonl").rmdir()
            await trio.sleep(90)
    assert_told_once(rig, await rig.events())


async def test_a_state_directory_that_was_emptied(rig: Rig, autojump_clock: MockClock) -> None:
    """All is lost but what the kernel has: the address of before goes when the server has spoken."""
    async with rig.surroundings(LEASE):
        await killed_after(rig, float("inf"))
        shutil.rmtree(rig.state_dir)
        rig.state_dir.mkdir()
        async with rig.live():
            await until(lambda: bound(rig), within=30)
            await trio.sleep(40)
            assert bound(rig)
    assert_told_once(rig, await rig.events())
