"""A log that cannot be written stops nobody, and catches up by itself."""

from __future__ import annotations

import itertools
import logging
import resource
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from routerd.events import files, writer
from routerd.events.log import Log, LogVersionError, open_log
from routerd.events.types import Filter
from tests.events.disks import SmallDisk, fill_up, small_filesystem
from tests.events.saying import LTE, WAN, everything, numbered, said, topics

RECOVERED = Filter(topics=("routerd.log.recovered",))


async def recovered(log: Log) -> dict[str, str]:
    """Wait until the log says that it can be written again; what it says."""
    with trio.fail_after(30):
        page = await log.read(0, where=RECOVERED)
        while not page.events:
            await log.wait(page.cursor)
            page = await log.read(page.cursor, where=RECOVERED)
    return dict(page.events[-1].event.attributes)


async def fill(log: Log) -> int:
    """Append until the disk is full; how many appends came back by then."""
    await trio.lowlevel.checkpoint()
    number = 0
    while log.degraded is None:
        await log.append(said(message=str(number), attributes={"ballast": "x" * 1000}), status={WAN: {"n": number}})
        number += 1
    return number


async def test_a_full_disk_stops_nobody_and_loses_nothing_that_fits_in_memory(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_log(small_disk.place / "routerd.db") as log:
        with caplog.at_level(logging.WARNING):
            written = await fill(log)
            seen = log.newest
            for number in range(written, written + 50):
                await log.append(*numbered(number), status={WAN: {"n": number}})
        assert written > 10
        assert log.newest == seen < written * 2
        assert seen == (await log.tail(1)).events[0].id
        stored = log.objects.get(WAN)
        assert stored is not None
        assert stored.status == {"n": written + 49}
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        small_disk.room()
        assert (await recovered(log))["dropped"] == "0"
        assert log.degraded is None
        assert log.dropped == 0
        mine = [s for s in await everything(log) if s.event.message.isdigit()]
        assert [int(s.event.message) for s in mine] == list(range(written + 50))
        epoch, newest = log.epoch, log.newest
    async with open_log(small_disk.place / "routerd.db") as log:
        assert (log.epoch, log.newest) == (epoch, newest)
        assert log.objects.get(WAN) == stored


async def test_who_waits_when_the_disk_gets_full_is_let_go(small_disk: SmallDisk) -> None:
    async with open_log(small_disk.place / "routerd.db") as log:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(fill, log)


async def test_a_router_that_starts_on_a_full_disk_knows_what_it_knew(small_disk: SmallDisk) -> None:
    async with open_log(small_disk.place / "routerd.db") as log:
        await log.append(*numbered(1, 2), status={WAN: {"phase": "Bound"}})
        epoch, objects = log.epoch, log.objects.all()
    if (small_disk.place / "ballast").exists():
        fill_up(small_disk.place / "more")
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    async with open_log(small_disk.place / "routerd.db") as log:
        assert (log.epoch, log.newest, log.objects.all()) == (epoch, 3, objects)
        assert log.degraded is not None
        assert await log.append(*numbered(3), status={WAN: {"phase": "Lost"}}) == (4,)
        small_disk.room()
        await recovered(log)
        assert log.epoch == epoch
        assert [s.event.message for s in await everything(log)][:4] == ["1", "2", "new → Bound", "3"]


@pytest.mark.req("C17")
@pytest.mark.req("C17", "breaks")
async def test_memory_is_bounded_and_what_did_not_fit_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PENDING", 10)
    place = tmp_path / "not yet"
    async with open_log(place / "routerd.db") as log:
        assert log.degraded is not None
        for number in range(1, 26):
            assert await log.append(*numbered(number)) == (number,)
        await log.append(status={LTE: {"phase": "Bound"}})
        await log.append(gone=[LTE], status={WAN: {"phase": "Bound"}})
        assert log.dropped == 17
        assert (log.newest, (await log.read(0)).events, (await log.tail(5)).events) == (0, (), ())
        place.mkdir()
        assert (await recovered(log))["dropped"] == "17"
        page = await log.read(0, limit=10)
        assert [s.id for s in page.events] == list(range(1, 11))
        assert page.lost == 0
        page = await log.read(10)
        assert ([s.id for s in page.events], page.lost) == ([28], 17)
        assert [(await log.read(n)).lost for n in (9, 12, 26, 27, 28)] == [17, 15, 1, 0, 0]
        # The source goes on counting: what is missing is seen in its count, too.
        await log.append(said())
        assert (await log.tail(1)).events[0].source_cursor == 26
        objects = log.objects.all()
    async with open_log(place / "routerd.db") as log:
        assert ((await log.read(0)).lost, log.objects.all()) == (17, objects)
        assert [o.ref for o in objects] == [WAN]
        await log.append(said())
        assert (await log.tail(1)).events[0].source_cursor == 27


async def test_a_log_that_cannot_be_made_is_made_later(tmp_path: Path) -> None:
    place = tmp_path / "not yet"
    async with open_log(place / "routerd.db") as log:
        await log.append(*numbered(1, 2), status={WAN: {"phase": "Bound"}})
        assert log.objects.get(WAN) is not None
        with trio.move_on_after(0.01) as waiting:
            await log.wait(0)
        assert waiting.cancelled_caught
        place.mkdir()
        await recovered(log)
        assert [s.id for s in await everything(log)] == [1, 2, 3, 4]
        assert log.parse_cursor(log.format_cursor(2)) == 2
    async with open_log(place / "routerd.db") as log:
        assert log.newest == 4
        assert log.objects.get(WAN) is not None


async def test_a_log_that_is_never_made_is_no_error(tmp_path: Path) -> None:
    async with open_log(tmp_path / "nowhere" / "routerd.db") as log:
        await log.append(*numbered(1, 2), status={WAN: {"phase": "Bound"}})
        assert await log.position("x", 1) == 0
    assert not (tmp_path / "nowhere").exists()


async def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.02)
    answer = threading.Event()

    async def slow(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        def late() -> Any:
            answer.wait(30)
            return function(*args)

        return await trio.to_thread.run_sync(
            late if function.__name__ == "write" else partial(function, *args), **options
        )

    async with open_log(tmp_path / "routerd.db", run_sync=slow) as log:
        with trio.fail_after(20):
            await log.append(*numbered(1), status={WAN: {"phase": "Bound"}})
            await log.append(*numbered(2))
        assert log.degraded is not None
        assert log.objects.get(WAN) is not None
        assert log.newest == 0
        answer.set()
        await recovered(log)
        assert [s.id for s in await everything(log)] == [1, 2, 3, 4]


async def test_another_program_that_holds_the_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.01)
    async with open_log(tmp_path / "routerd.db") as log:
        with closing(sqlite3.connect(tmp_path / "routerd.db", isolation_level=None)) as operator:
            operator.execute("begin immediate")
            await log.append(*numbered(1))
            assert log.degraded == "database is locked"
            operator.execute("rollback")
            await recovered(log)
        assert (await log.read(0)).events[0].event.message == "1"


async def test_a_file_that_is_taken_away_is_made_again_with_every_object(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(1, 2), status={WAN: {"phase": "Bound"}})
        epoch = log.epoch
        (tmp_path / "routerd.db").unlink()
        assert await log.append(*numbered(3)) == (4,)
        await recovered(log)
        assert log.epoch != epoch
        page = await log.read(0)
        assert ([s.id for s in page.events], page.lost, page.oldest) == ([4, 5], 3, 4)
        assert (await log.read(2)).lost == 1
        await log.append(said())
        assert (await log.tail(1)).events[0].source_cursor == 4
        objects = log.objects.all()
    async with open_log(tmp_path / "routerd.db") as log:
        assert (log.objects.all(), log.newest) == (objects, 6)
        assert [o.ref for o in objects] == [WAN]


async def test_a_disk_that_is_read_only_for_a_while(tmp_path: Path) -> None:
    with small_filesystem(tmp_path) as disk:
        remount = partial(subprocess.run, check=True)
        async with open_log(disk.place / "routerd.db") as log:
            await log.append(*numbered(1), status={WAN: {"phase": "Bound"}})
            epoch, objects = log.epoch, log.objects.all()
        remount(["mount", "-o", "remount,ro", disk.place])
        async with open_log(disk.place / "routerd.db") as log:
            assert (log.epoch, log.objects.all()) == (epoch, objects)
            assert log.degraded is not None
            await log.append(*numbered(2))
            remount(["mount", "-o", "remount,rw", disk.place])
            await recovered(log)
            assert [s.event.message for s in await everything(log)][:3] == ["1", "new → Bound", "2"]
            assert log.epoch == epoch


async def test_a_log_of_a_newer_routerd_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said())
    with closing(sqlite3.connect(tmp_path / "routerd.db")) as newer:
        newer.execute("pragma user_version = 99")
    before = (tmp_path / "routerd.db").read_bytes()
    with pytest.raises(LogVersionError, match="format 99"):
        async with open_log(tmp_path / "routerd.db"):
            pass
    assert (tmp_path / "routerd.db").read_bytes() == before


async def test_what_cannot_be_read_now_is_an_error_not_an_empty_page(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(1, 2))
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(3))
        (tmp_path / "routerd.db").rename(tmp_path / "elsewhere.db")
        with pytest.raises(OSError, match="cannot"):
            await log.read(0)
        assert [s.event.message for s in (await log.read(2)).events] == ["3"]
        (tmp_path / "elsewhere.db").rename(tmp_path / "routerd.db")
        assert len(await everything(log)) == 3


async def test_pauses_grow_while_the_trouble_lasts(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    attempts: list[float] = []

    async def broken(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if function.__name__ == "open_or_replace":
            attempts.append(trio.current_time())
        return function(*args)

    async with open_log(tmp_path / "nowhere" / "routerd.db", run_sync=broken) as log:
        await trio.sleep(300)
        gaps = [round(b - a, 1) for a, b in itertools.pairwise(attempts)]
        assert gaps[:6] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
        assert gaps[-1] == 30.0
        (tmp_path / "nowhere").mkdir()
        await log.append(said())
        await recovered(log)
        assert await topics(log) == ["routerd.dhcpv4.client.lease.renewed", "routerd.log.recovered"]


def tail_of(path: Path) -> int:
    """The size of its write-ahead log."""
    return path.with_name(f"{path.name}-wal").stat().st_size


async def test_on_a_small_disk_the_write_ahead_log_does_not_take_all_of_it(tmp_path: Path) -> None:
    with small_filesystem(tmp_path) as disk:
        path = disk.place / "routerd.db"
        async with open_log(path) as log:
            for number in range(200):
                await log.append(status={WAN: {"n": number}})
            assert log.degraded is None
            assert tail_of(path) < 2**17 < 200 * 2048


async def test_after_a_full_disk_the_write_ahead_log_is_given_back(tmp_path: Path) -> None:
    with small_filesystem(tmp_path) as disk:
        path, more = disk.place / "routerd.db", disk.place / "more"
        async with open_log(path) as log:
            await log.append(*numbered(*range(200)))
            with closing(sqlite3.connect(path)) as reader:
                reader.execute("select count(*) from events").fetchall()
                fill_up(more)
                await fill(log)
                before = tail_of(path)
                more.unlink()
                await recovered(log)
                assert tail_of(path) < before, "though somebody else has it open"
        async with open_log(path) as log:
            assert log.degraded is None
