"""Files that are not what we left: every one is survived, and nothing is lost without a word."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from routerd.events import log as log_module
from routerd.events.log import LogVersionError, inline, open_log
from routerd.events.types import Event, StoredObject
from tests.events.saying import CLIENT, WAN, everything, numbered, said, topics

SET_ASIDE = "routerd.log.set-aside"
EVENTS = 120
SUFFIXES = ("", "-wal")

Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """A log as a clean end leaves it, and as a power cut does: most of it in the write-ahead log."""
    place = tmp_path_factory.mktemp("sound")

    async def write() -> dict[str, bytes]:
        async with open_log(place / "routerd.db", run_sync=inline) as log:
            for number in range(EVENTS):
                await log.append(*numbered(number), status={WAN: {"phase": "Bound", "renewAt": number}})
            return {suffix: (place / f"routerd.db{suffix}").read_bytes() for suffix in SUFFIXES}

    torn = trio.run(write)
    return {"clean": {"": (place / "routerd.db").read_bytes()}, "power cut": torn}


def put(place: Path, files: dict[str, bytes]) -> Path:
    for old in place.iterdir():
        old.unlink()
    for suffix, octets in files.items():
        (place / f"routerd.db{suffix}").write_bytes(octets)
    return place / "routerd.db"


def set_aside(place: Path) -> list[Path]:
    """What was set aside, in order of time."""
    return sorted(file for file in place.glob("routerd.db.corrupt-*") if not file.name.endswith(("-wal", "-shm")))


@attrs.frozen
class Outcome:
    """What was left of a damaged log: the old events, whether it was set aside, and whether what we wrote to it came
    back."""

    old: list[int]
    replaced: bool
    kept: bool


async def survive(path: Path) -> Outcome:
    """Open, append, read, and open again."""
    async with open_log(path, run_sync=inline) as log:
        epoch = log.epoch
        (number,) = await log.append(said("new", message="new"), status={WAN: {"phase": "Lost"}})
        while log.degraded is not None:
            await log.wait(log.newest)
        seen = await everything(log)
        replaced = log.epoch != epoch or SET_ASIDE in await topics(log)
        epoch = log.epoch
    async with open_log(path, run_sync=inline) as log:
        again = await everything(log)
        replaced = replaced or log.epoch != epoch  # Some damage shows itself only when it is read.
        kept = again == seen and number in [stored.id for stored in again] and log.objects.get(WAN) is not None
        assert await log.append(said())
    old = [int(stored.event.message) for stored in seen if stored.event.message.isdigit()]
    return Outcome(old, replaced, kept)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("state", ["clean", "power cut"])
async def test_a_file_that_ends_anywhere(tmp_path: Path, sound: dict[str, dict[str, bytes]], state: str) -> None:
    await trio.lowlevel.checkpoint()
    files = sound[state]
    whole = len(files[""])
    for length in sorted({0, 1, 15, 16, 99, 100, 101, 2047, 2048, 2049, whole - 1, *range(0, whole, 3 * 2048)}):
        outcome = await survive(put(tmp_path, {**files, "": files[""][:length]}))
        assert outcome.replaced or outcome == Outcome(list(range(EVENTS)), replaced=False, kept=True), length
        assert len(set_aside(tmp_path)) == outcome.replaced


@pytest.mark.req("C5", "breaks")
async def test_a_write_ahead_log_that_ends_anywhere(tmp_path: Path, sound: dict[str, dict[str, bytes]]) -> None:
    """Its transactions are whole or gone: what is left is a beginning of what was written."""
    await trio.lowlevel.checkpoint()
    files = sound["power cut"]
    whole = len(files["-wal"])
    lengths = sorted({0, 1, 31, 32, 33, 56, whole - 1, *range(0, whole, whole // 20)})
    left = []
    for length in lengths:
        outcome = await survive(put(tmp_path, {**files, "-wal": files["-wal"][:length]}))
        assert outcome == Outcome(list(range(len(outcome.old))), replaced=False, kept=True)
        left.append(len(outcome.old))
    assert left == sorted(left)
    assert left[-1] in (EVENTS - 1, EVENTS)


GARBAGE: dict[str, dict[str, Damage]] = {
    "no database": {"": lambda octets: b"#!/bin/sh\nexit 0\n" * 300},
    "zeros": {"": lambda octets: bytes(len(octets))},
    "header": {"": lambda octets: bytes(100) + octets[100:]},
    "schema": {"": lambda octets: octets[:100] + b"\xff" * 1948 + octets[2048:]},
    "end of the write-ahead log": {"-wal": lambda octets: octets[: len(octets) // 2] + b"\x5a" * (len(octets) // 2)},
    "beginning of the write-ahead log": {"-wal": lambda octets: b"\x5a" * 32 + octets[32:]},
    "write-ahead log of nobody": {"-wal": lambda octets: random.Random(3).randbytes(9000)},
    "both": {"": lambda octets: octets[::-1], "-wal": lambda octets: octets[::-1]},
}


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("damage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("state", ["clean", "power cut"])
async def test_garbage(
    tmp_path: Path, sound: dict[str, dict[str, bytes]], state: str, damage: dict[str, Damage]
) -> None:
    files = {suffix: damage[suffix](octets) if suffix in damage else octets for suffix, octets in sound[state].items()}
    outcome = await survive(put(tmp_path, files))
    assert outcome.replaced or outcome == Outcome(list(range(len(outcome.old))), replaced=False, kept=True)


@pytest.mark.req("C5", "breaks")
async def test_wrong_octets_anywhere(tmp_path: Path, sound: dict[str, dict[str, bytes]]) -> None:
    """No exception for anybody, and something that works in the end. A wrong octet in a text is not found out."""
    await trio.lowlevel.checkpoint()
    rng = random.Random(7)
    for _ in range(40):
        files = {suffix: bytearray(octets) for suffix, octets in rng.choice([*sound.values()]).items()}
        for octets in files.values():
            reach = rng.choice([2048, len(octets)])
            for _ in range(rng.choice([0, 1, 8, 64])):
                octets[rng.randrange(reach)] = rng.randrange(256)
        with contextlib.suppress(LogVersionError):  # When the version is what was hit.
            await survive(put(tmp_path, {suffix: bytes(octets) for suffix, octets in files.items()}))


async def test_after_a_power_cut_every_page_is_looked_at(tmp_path: Path, sound: dict[str, dict[str, bytes]]) -> None:
    """Damage far from where anybody reads."""
    files = {**sound["clean"], "-wal": sound["power cut"]["-wal"][:31]}
    octets = bytearray(files[""])
    page = octets.index(b"LeaseRenewed") // 2048 * 2048
    octets[page + 8 : page + 12] = b"\xff\xff\xff\xff"  # Its first two cells are nowhere.
    for suffixes, expected in ((("",), False), (("", "-wal"), True)):
        path = put(tmp_path, {suffix: {**files, "": bytes(octets)}[suffix] for suffix in suffixes})
        async with open_log(path) as log:
            epoch = log.epoch
            if expected:
                await log.wait(log.newest)
            assert (log.epoch != epoch) is expected


@pytest.mark.req("C5", "breaks")
async def test_a_database_of_somebody_else_is_set_aside(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "routerd.db")) as other:
        other.execute("create table meta (epoch)")
    async with open_log(tmp_path / "routerd.db") as log:
        await log.wait(0)
        (event,) = [s.event for s in await everything(log)]
        assert event.topic == SET_ASIDE
        assert "not a log of routerd" in event.attributes["reason"]
        with closing(sqlite3.connect(event.attributes["path"])) as other:
            assert other.execute("select * from meta").fetchall() == []


async def test_only_the_last_three_are_kept(tmp_path: Path) -> None:
    wall = 10**18
    for number in range(6):
        put_back = tmp_path / "routerd.db"
        put_back.write_bytes(b"broken %d" % number)
        wall += 10**9 if number != 3 else 0
        async with open_log(put_back, clock_ns=partial(int, wall)) as log:
            await log.wait(0)
            assert await topics(log) == [SET_ASIDE]
    kept = [file.read_bytes() for file in set_aside(tmp_path)]
    assert kept == [b"broken 3", b"broken 4", b"broken 5"]


async def test_a_journal_keeps_the_count_when_the_log_is_lost(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(), said())
    (tmp_path / "routerd.db").write_bytes(b"broken")
    async with open_log(tmp_path / "routerd.db", cursor_floor=lambda name: 2 * (name == CLIENT.name)) as log:
        await log.append(said())
        assert [s.source_cursor for s in await everything(log)] == [1, 3]


async def test_a_file_that_breaks_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a reader: the log begins anew with every object, and ids and counts go on."""
    monkeypatch.setattr(log_module, "RECENT", 5)
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(50)), status={WAN: {"phase": "Bound"}})
    async with open_log(tmp_path / "routerd.db") as log:
        epoch, objects = log.epoch, log.objects.all()
        spoil(tmp_path / "routerd.db")
        page = await log.read(10)
        assert log.epoch != epoch
        assert (page.lost, page.epoch) == (41, log.epoch)
        assert len(set_aside(tmp_path)) == 1
        (number,) = await log.append(said())
        assert number == 53
        assert [s.event.topic for s in (await log.read(51)).events] == [SET_ASIDE, said().topic]
        assert (await log.tail(1)).events[0].source_cursor == 51
        assert log.objects.all() == objects
    async with open_log(tmp_path / "routerd.db") as log:
        assert log.objects.all() == objects
        assert (log.oldest, log.newest) == (52, 53)


async def test_a_file_that_breaks_under_the_writer(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(50)))
    async with open_log(tmp_path / "routerd.db") as log:
        spoil(tmp_path / "routerd.db")
        assert await log.append(*numbered(50), status={WAN: {"phase": "Bound"}}) == (51,)
        with trio.fail_after(30):
            await log.wait(53)
        assert [s.event.topic for s in (await log.read(51)).events[-2:]] == [SET_ASIDE, "routerd.log.recovered"]
        assert (await log.read(50)).events[0].event.message == "50"
    async with open_log(tmp_path / "routerd.db") as log:
        assert isinstance(log.objects.get(WAN), StoredObject)
        assert await log.append(Event("next")) == (55,)


def spoil(path: Path) -> None:
    """Overwrite all but the first page with the file open."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(2048)
        file.write(b"\xa5" * (size - 2048))
