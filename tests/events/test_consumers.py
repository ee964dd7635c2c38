"""Durable consumers: their place and memory are on disk together with what they said, or not at all."""

from __future__ import annotations

import random
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest
import trio

from routerd.events import writer
from routerd.events.log import Log, open_log
from routerd.events.types import Consumed, Consumer, Event
from routerd.shapes.secret import Secret
from tests.events.disks import SmallDisk
from tests.events.saying import WAN, everything, numbered, said
from tests.events.test_corrupt import spoil
from tests.events.test_degraded import fill, recovered

KILLS = 12


def place_of(log: Log, name: str = "it") -> tuple[int, object]:
    consumer = log.consumers.get(name)
    assert consumer is not None
    return consumer.cursor, consumer.state


async def test_a_consumer_is_as_it_was_after_a_restart(tmp_path: Path) -> None:
    state = {"seen": [1, 2, None], "text": "ü", "nested": {"a": 1.5}}
    async with open_log(tmp_path / "routerd.db", clock_ns=lambda: 77) as log:
        assert log.consumers.all() == []
        assert await log.append(consumed={"it": Consumed(0)}) == ()
        assert await log.append(said(), said(), consumed={"it": Consumed(2, state), "b": Consumed(1)}) == (1, 2)
        expected = [Consumer("b", 1, 77), Consumer("it", 2, 77, orjson.dumps(state).decode())]
        assert log.consumers.all() == expected
    async with open_log(tmp_path / "routerd.db") as log:
        assert log.consumers.all() == expected
        await log.append(consumed={"b": None, "nobody": None})
        assert log.consumers.all() == expected[1:]
    async with open_log(tmp_path / "routerd.db") as log:
        assert log.consumers.all() == expected[1:]


@pytest.mark.parametrize("wrong", [Consumed(0, Secret("hush")), Consumed(0, {"k": object()}), Consumed(0, {1: 2})])
async def test_what_cannot_be_kept_changes_nothing(tmp_path: Path, wrong: Consumed) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        with pytest.raises(TypeError):
            await log.append(said(), status={WAN: {"phase": "Bound"}}, consumed={"it": wrong})
        with pytest.raises(ValueError, match="no event -1"):
            await log.append(said(), consumed={"it": Consumed(-1)})
        assert (log.newest, log.objects.all(), log.consumers.all()) == (0, [], [])
        assert await log.append(said()) == (1,)


async def test_retention_waits_for_nobody_and_says_what_was_lost(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(20)), consumed={"it": Consumed(4)})
        while await log.prune(2**62, log.newest, 2**40):
            pass
        assert place_of(log) == (4, None)
        page = await log.read(4)
        assert [stored.id for stored in page.events] == [20]
        assert page.lost == 15


async def test_a_log_of_the_former_format_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "routerd.db"
    async with open_log(path) as log:
        await log.append(*numbered(1, 2), status={WAN: {"phase": "Bound"}})
        epoch, events, objects = log.epoch, await everything(log), log.objects.all()
    with closing(sqlite3.connect(path)) as former:
        former.executescript("drop table consumers; pragma user_version = 1")
    async with open_log(path) as log:
        assert (log.epoch, await everything(log), log.objects.all()) == (epoch, events, objects)
        assert log.consumers.all() == []
        await log.append(consumed={"it": Consumed(2, "here")})
    async with open_log(path) as log:
        assert log.epoch == epoch
        assert place_of(log) == (2, "here")


async def test_a_log_of_the_former_format_on_a_full_disk(small_disk: SmallDisk) -> None:
    """It cannot be brought to the present one yet, but what it holds is known."""
    path = small_disk.place / "routerd.db"
    async with open_log(path) as log:
        await log.append(*numbered(1), status={WAN: {"phase": "Bound"}})
        epoch, objects = log.epoch, log.objects.all()
    with closing(sqlite3.connect(path)) as former:
        former.executescript("drop table consumers; pragma user_version = 1")
    if (small_disk.place / "ballast").exists():
        with (small_disk.place / "more").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    async with open_log(path) as log:
        assert log.degraded is not None
        assert (log.epoch, log.objects.all(), log.consumers.all()) == (epoch, objects, [])
        await log.append(*numbered(2), consumed={"it": Consumed(2)})
        small_disk.room()
        await recovered(log)
        assert (log.epoch, place_of(log)) == (epoch, (2, None))
    async with open_log(path) as log:
        assert place_of(log) == (2, None)


async def test_a_consumer_goes_on_while_the_disk_is_full(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen at once. What of its events did not fit in memory is lost, its place is not."""
    monkeypatch.setattr(writer, "PENDING", 30)
    path = small_disk.place / "routerd.db"
    async with open_log(path) as log:
        await log.append(consumed={"it": Consumed(0, 0)})
        await fill(log)
        for number in range(50):
            await log.append(*numbered(number), consumed={"it": Consumed(log.newest, number)})
            assert place_of(log)[1] == number
        small_disk.room()
        assert int((await recovered(log))["dropped"]) >= 20
        assert place_of(log)[1] == 49
        last = log.consumers.all()
    async with open_log(path) as log:
        assert log.consumers.all() == last


async def test_a_file_that_breaks_takes_no_consumer_with_it(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(50)), consumed={"it": Consumed(40, [1])})
    async with open_log(tmp_path / "routerd.db") as log:
        epoch = log.epoch
        spoil(tmp_path / "routerd.db")
        await log.append(*numbered(50))
        with trio.fail_after(30):
            await log.wait(52)
        assert log.epoch != epoch
        assert place_of(log) == (40, [1])
        assert (await log.read(40)).lost == 10
    async with open_log(tmp_path / "routerd.db") as log:
        assert place_of(log) == (40, [1])


async def test_a_consumer_of_nonsense_is_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "routerd.db"
    for row in ("('it', 'x', 0, 'null')", "('it', 1, 0, 'no json')", "(x'41', 1, 0, 'null')", "('it', 1, x'00', '1')"):
        async with open_log(path) as log:
            epoch = log.epoch
            await log.append(said())
        with closing(sqlite3.connect(path)) as file:
            file.execute(f"insert into consumers values {row}")
            file.commit()
        async with open_log(path) as log:
            assert log.epoch != epoch, row
            assert log.consumers.all() == []


async def follow(place: Path) -> None:
    """Say each number once more, as one that consumes its own log: until killed."""
    async with open_log(place / "routerd.db") as log:
        consumer = log.consumers.get("it")
        cursor, total = (consumer.cursor, consumer.state) if consumer is not None else (0, 0)
        while True:
            await log.append(said("in"))
            page = await log.read(cursor, limit=3)
            answers = [Event("out", causes=(s.id,)) for s in page.events if s.event.topic == "in"]
            cursor, total = page.cursor, total + len(answers)
            await log.append(*answers, consumed={"it": Consumed(cursor, total)})
            print(total, flush=True)


@pytest.mark.req("C5", "breaks")
def test_kill_9_answers_each_event_exactly_once(tmp_path: Path) -> None:
    rng = random.Random(11)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.events.test_consumers", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            for _ in range(rng.choice([1, 2, 5, 40])):
                assert victim.stdout.readline()
            victim.kill()

    async def look() -> None:
        async with open_log(tmp_path / "routerd.db") as log:
            cursor, total = place_of(log)
            events = await everything(log)
            answered = [s.event.causes[0] for s in events if s.event.topic == "out"]
            assert answered == [s.id for s in events if s.event.topic == "in" and s.id <= cursor]
            assert len(answered) == total

    trio.run(look)


if __name__ == "__main__":
    trio.run(follow, Path(sys.argv[1]))
