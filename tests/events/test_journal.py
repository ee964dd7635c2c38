"""Journals: complete, in order, once; through torn files, rotation, full disks and lost logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import orjson
import pytest
import trio
import trio.testing

from routerd.events import journal
from routerd.events.journal import extend, last_cursor, repair, run_journal
from routerd.events.log import Log, inline, open_log
from routerd.events.render import daemon_event
from routerd.events.types import Source, StoredEvent
from tests.events.disks import SmallDisk, small_files, small_filesystem
from tests.events.pen import Pen, cursors
from tests.events.saying import CLIENT, everything, numbered, said

Small = Callable[[Path], AbstractContextManager[SmallDisk]]
OTHER = Source("routerd-dhcpv4-client-lte", "routerd-dhcpv4-client", "lte")


@asynccontextmanager
async def journaling(log: Log, path: Path) -> AsyncIterator[Pen]:
    pen = Pen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_journal(log, CLIENT.name, path, run_sync=pen))
        with trio.fail_after(30):
            await trio.lowlevel.checkpoint()
            yield pen
        nursery.cancel_scope.cancel()


def stored(cursor: int, message: str = "") -> StoredEvent:
    return StoredEvent(cursor, 0, said(message=message, time=0), cursor)


async def test_a_daemon_has_its_own_events_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with open_log(tmp_path / "routerd.db") as log, journaling(log, path) as pen:
        await log.append(said(message="one"), said(source=OTHER), said(message="zwei\nü"))
        await pen.written(path, 2)
        mine = [event for event in await everything(log) if event.event.source == CLIENT]
        assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == [
            daemon_event(event) for event in mine
        ]
        assert b", " not in path.read_bytes()
        assert path.stat().st_mode & 0o027 == 0
        await log.append(*numbered(3))
        await pen.written(path, 3)
        assert cursors(path) == [1, 2, 3]


async def test_what_was_said_without_it_is_written_later_and_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for start in range(0, 500, 250):
        async with open_log(tmp_path / "routerd.db") as log:
            await log.append(*numbered(*range(start, start + 125)))
            async with journaling(log, path) as pen:
                await pen.written(path, start + 125)
                await log.append(*numbered(*range(125)))
                await pen.written(path, start + 250)
    assert cursors(path) == list(range(1, 501))


@pytest.mark.req("C5", "breaks")
async def test_a_torn_last_line_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(1, 2, 3))
        extend(path, (await log.read(0)).events)
        whole = path.read_bytes()
        last = whole.rindex(b"\n", 0, -1) + 1
        for damaged in (
            *(whole[:length] for length in range(last, len(whole), 7)),
            whole[:last] + bytes(5000),
            whole[:last] + b'{"cursor":"9"',
            whole[:last] + b"[]\n{}\n\xff\n",
            b"",
            bytes(200_000),
            b"\n\n\n",
        ):
            path.write_bytes(damaged)
            async with journaling(log, path) as pen:
                await pen.written(path, 3)
            assert path.read_bytes() == whole


async def test_a_full_file_is_rotated_and_nothing_is_lost_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ROTATE", 3000)
    path, rotated = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    async with open_log(tmp_path / "routerd.db") as log:
        async with journaling(log, path) as pen:
            for number in range(1, 12):
                await log.append(*numbered(number))
                await pen.written(path, number)
            assert rotated.exists()
            kept = cursors(path)
            assert kept == list(range(kept[0], 12))
            assert 1 < kept[0] < 9
            assert path.stat().st_size <= 3000
        path.rename(rotated)  # Killed in the middle of the next rotation.
        assert last_cursor(path) == 11
        async with journaling(log, path) as pen:
            await log.append(*numbered(12))
            await pen.written(path, 12)
        assert cursors(path)[-2:] == [11, 12]


@pytest.mark.parametrize("small", [small_filesystem, small_files])
async def test_a_full_disk_is_waited_for(tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAUSES", (0.01, 0.02))
    place = tmp_path / "small"
    place.mkdir()
    path = place / "events.jsonl"
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(*numbered(*range(1, 1501)))
        with small(place) as disk:
            async with journaling(log, path) as pen:
                await pen.failed()
                assert 100 <= last_cursor(path) < 1500
                disk.room()
                await pen.written(path, 1500)
            assert cursors(path) == list(range(1, 1501))


async def test_when_the_log_is_lost_the_journal_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for n in (1, 2):
        async with open_log(tmp_path / "routerd.db", cursor_floor=lambda name: last_cursor(path)) as log:
            await log.append(*numbered(1, 2, 3))
            async with journaling(log, path) as pen:
                await pen.written(path, 3 * n)
        (tmp_path / "routerd.db").unlink()
    assert cursors(path) == [1, 2, 3, 4, 5, 6]


async def test_a_place_that_cannot_be_written_is_tried_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "later" / "events.jsonl"
    path.parent.write_text("a file where its folder should be")
    async with open_log(tmp_path / "routerd.db", run_sync=inline) as log, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_journal(log, CLIENT.name, path, run_sync=inline))
        await log.append(*numbered(1))
        await trio.sleep(200)
        path.parent.unlink()
        await trio.sleep(61)
        assert cursors(path) == [1]
        nursery.cancel_scope.cancel()


def test_the_last_cursor_is_found_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert last_cursor(path) == repair(path) == 0
    extend(path, [stored(n) for n in range(1, 1000)])
    assert last_cursor(path) == 999
    extend(path, [stored(1000, "x" * 100_000)])  # Longer than what is looked at first.
    assert last_cursor(path) == repair(path) == 1000
    with path.open("ab") as file:
        file.write(bytes(100_000))
    assert last_cursor(path) == 1000
    size = path.stat().st_size - 100_000
    assert repair(path) == 1000
    assert path.stat().st_size == size
