"""`GET /events`: pages, long polls, streams; nothing is lost silently (contract rule 4)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from routerd.api import stream as api_stream
from routerd.events.types import Event
from tests.api.client import Answer, Session, control, dial, fetch
from tests.api.conftest import Served, serving
from tests.api.router import WAN, open_bench
from tests.api.streams import STREAM, Stream


def ids(answer: Answer) -> list[int]:
    return [one["id"] for one in answer.json["events"]]


async def say(served: Served, *topics: str) -> list[int]:
    return [(await served.bench.log.append(Event(topic)))[0] for topic in topics]


# Pages


async def test_without_a_cursor_it_begins_with_the_oldest(served: Served) -> None:
    answer = await fetch(served.status, control("/events", limit=4))
    assert ids(answer) == [1, 2, 3, 4]
    page = answer.json
    log = served.bench.log
    assert (page["epoch"], page["oldest"], page["newest"], page["lost"]) == (log.epoch, 1, log.newest, 0)
    assert page["cursor"] == log.format_cursor(4) == answer.headers["x-routerd-cursor"]


async def test_cursors_lead_through_the_log_without_gap_or_overlap(served: Served) -> None:
    await say(served, *(f"routerd.test.n{n}" for n in range(30)))
    seen: list[int] = []
    cursor = "0"
    while not seen or seen[-1] != served.bench.log.newest:
        answer = await fetch(served.status, control("/events", since=cursor, limit=7))
        seen += ids(answer)
        cursor = answer.json["cursor"]
    assert seen == list(range(1, served.bench.log.newest + 1))


async def test_bare_ids_are_cursors_of_this_epoch(served: Served) -> None:
    assert ids(await fetch(served.status, control("/events", since=2, limit=2))) == [3, 4]


async def test_filters(served: Served) -> None:
    await served.bench.log.append(Event("routerd.test.bad", "error", resource=WAN))
    await say(served, "routerd.other.a.b")

    async def topics(**query: object) -> list[str]:
        return [one["topic"] for one in (await fetch(served.status, control("/events", **query))).json["events"]]

    assert await topics(severity="warning") == ["routerd.test.bad"]
    assert await topics(topic="routerd.other.**") == ["routerd.other.a.b"]
    assert await topics(topic=["routerd.other.**", "routerd.test.bad"]) == ["routerd.test.bad", "routerd.other.a.b"]
    assert (await topics(resource="DHCPv4Client/wan"))[-1] == "routerd.test.bad"
    assert await topics(topic="routerd.other.*") == []


async def test_an_empty_answer_moves_the_cursor_on(served: Served) -> None:
    """What did not match was looked at, and need not be looked at again."""
    page = (await fetch(served.status, control("/events", topic="no.such.topic"))).json
    assert page["events"] == [] and page["cursor"] == served.bench.log.format_cursor(served.bench.log.newest)


async def test_tail(served: Served) -> None:
    newest = served.bench.log.newest
    answer = await fetch(served.status, control("/events", tail=2))
    assert ids(answer) == [newest - 1, newest] and answer.json["cursor"] == served.bench.log.format_cursor(newest)
    nothing = await fetch(served.status, control("/events", tail=0))
    assert ids(nothing) == [] and nothing.json["cursor"] == served.bench.log.format_cursor(newest)
    assert len(ids(await fetch(served.status, control("/events", tail=5000)))) == newest


async def test_limits_are_capped(served: Served) -> None:
    await say(served, *["routerd.test.x"] * 3)
    assert len(ids(await fetch(served.status, control("/events", limit=100_000)))) == served.bench.log.newest


@pytest.mark.parametrize("cursor", ["0123456789ab-3", "999999", "{epoch}-999999"])
async def test_cursors_of_another_log_are_410_with_the_oldest(served: Served, cursor: str) -> None:
    answer = await fetch(served.status, control("/events", since=cursor.format(epoch=served.bench.log.epoch)))
    oldest = served.bench.log.format_cursor(0)
    assert answer.status == 410 and answer.error["code"] == "stale-cursor" and answer.error["field"] == "since"
    assert answer.error["oldest"] == answer.headers["x-routerd-cursor"] == oldest
    assert ids(await fetch(served.status, control("/events", since=oldest)))[0] == 1


async def test_a_cursor_older_than_the_horizon_is_410(served: Served) -> None:
    log = served.bench.log
    old = log.format_cursor(2)
    await log.prune(2**62, 5, 10_000)
    assert log.oldest > 3, "the log has forgotten its beginning"
    answer = await fetch(served.status, control("/events", since=old))
    assert answer.status == 410 and answer.error["oldest"] == log.format_cursor(log.oldest - 1)
    assert ids(await fetch(served.status, control("/events", since=answer.error["oldest"])))[0] == log.oldest
    assert ids(await fetch(served.status, control("/events")))[0] == log.oldest, "0 is whatever there is"


# Long polls


async def test_a_long_poll_waits_for_the_next_event(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        cursor = served.bench.log.format_cursor(served.bench.log.newest)
        await session.begin(control("/events", since=cursor, wait="30s"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        [number] = await say(served, "routerd.test.now")
        with trio.fail_after(20):
            answer = await session.finish()
        assert ids(answer) == [number] and answer.json["cursor"] == served.bench.log.format_cursor(number)
        assert int(answer.headers["content-length"]) == len(answer.body) and "transfer-encoding" not in answer.headers


async def test_a_long_poll_sleeps_through_what_does_not_match(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        newest = served.bench.log.newest
        await session.begin(control("/events", since=newest, wait="30s", topic="routerd.wanted"))
        for _ in range(5):
            await say(served, "routerd.unwanted")
            await trio.testing.wait_all_tasks_blocked(0.01)
        [number] = await say(served, "routerd.wanted")
        with trio.fail_after(20):
            assert ids(await session.finish()) == [number]


async def test_a_long_poll_ends_empty_with_a_cursor_that_has_moved(served: Served) -> None:
    newest = served.bench.log.newest
    session = await dial(served.status)
    async with session.stream:
        await session.begin(control("/events", since=newest, wait="150ms", topic="routerd.wanted"))
        [number] = await say(served, "routerd.unwanted")
        answer = await session.finish()
    assert ids(answer) == [] and answer.json["cursor"] == served.bench.log.format_cursor(number)


async def test_a_long_poll_answers_at_once_when_there_is_something(served: Served) -> None:
    with trio.fail_after(20):
        assert ids(await fetch(served.status, control("/events", since=1, wait="60s", limit=1))) == [2]


@pytest.fixture
async def gapped(tmp_path: Path) -> AsyncIterator[Served]:
    """A log that a fault has taken events 3 and 4 from."""
    async with open_bench(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "routerd.db")) as database, database:
        database.execute("delete from events where id in (3, 4)")
        database.execute("insert into gaps values (3, 4)")
    async with open_bench(tmp_path) as bench, serving(bench, tmp_path) as served:
        yield served


async def test_what_was_lost_is_counted(gapped: Served) -> None:
    page = (await fetch(gapped.status, control("/events", since=2))).json
    assert page["lost"] == 2 and page["events"][0]["id"] == 5


async def test_a_long_poll_tells_of_a_loss_at_once(gapped: Served) -> None:
    with trio.fail_after(20):
        page = (await fetch(gapped.status, control("/events", since=2, wait="60s", topic="no.such"))).json
    assert page["lost"] == 2 and page["events"] == []


# Streams


async def test_a_stream_has_the_same_rows_and_goes_on(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        stream = Stream(session)
        answer = await stream.begin(control("/events", tail=2))
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        rows = (await fetch(served.status, control("/events", tail=2))).json["events"]
        assert [await stream.next(), await stream.next()] == rows
        for _ in range(3):
            [number] = await say(served, "routerd.test.now")
            with trio.fail_after(20):
                assert (await stream.next())["id"] == number
            assert stream.last_id == served.bench.log.format_cursor(number)


async def test_a_stream_resumes_after_the_last_event_id(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(control("/events", tail=1))
        await stream.next()
    missed = await say(served, "routerd.test.a", "routerd.test.b")
    session = await dial(served.status)
    async with session.stream:
        again = Stream(session)
        await again.begin(control("/events", tail=1), Last_Event_ID=stream.last_id)
        assert [(await again.next())["id"] for _ in missed] == missed


async def test_a_stream_of_another_log_is_410_before_it_begins(served: Served) -> None:
    answer = await fetch(served.status, control("/events"), Accept="text/event-stream", Last_Event_ID="0123456789ab-1")
    assert answer.status == 410


async def test_a_silent_stream_says_so_and_moves_its_cursor(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_stream, "HEARTBEAT", 0.1)
    session = await dial(served.status)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(control("/events", tail=0, topic="routerd.wanted"))
        [number] = await say(served, "routerd.unwanted")
        while stream.last_id != served.bench.log.format_cursor(number):
            fields = await stream.block()
        assert fields[""] == "nothing new"


async def test_a_stream_tells_what_was_lost(gapped: Served) -> None:
    session = await dial(gapped.status)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(control("/events", since=2))
        assert (await stream.block()).keys() == {"retry"}
        fields = await stream.block()
        assert fields["event"] == "lost" and json.loads(fields["data"])["lost"] == 2
        assert (await stream.next())["id"] == 5


async def test_a_stream_that_cannot_read_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client comes back with its cursor, and gets the error as an answer."""
    session = await dial(served.status)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(control("/events", tail=0))
        await stream.block()

        async def fail(*_: object, **__: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(served.bench.log, "read", fail)
        await say(served, "routerd.test.x")
        with trio.fail_after(20):
            assert await stream.block() == {}


async def test_a_log_that_is_rebuilt_meanwhile_ends_streams_and_polls(served: Served) -> None:
    """Operator trap 4: the cursor means nothing in the new one, and an empty answer would hide that."""
    newest = served.bench.log.newest
    async with (await dial(served.status)).stream as first, (await dial(served.status)).stream as second:
        stream, poll = Stream(Session(first)), Session(second)
        await stream.begin(control("/events", tail=0))
        await stream.block()
        await poll.begin(control("/events", since=newest, wait="60s"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        served.bench.log.epoch = "0123456789ab"
        await say(served, "routerd.test.x")
        with trio.fail_after(20):
            assert await stream.block() == {}
            answer = await poll.finish()
        assert answer.status == 410 and answer.error["oldest"] == served.bench.log.format_cursor(0)


async def test_streams_are_chunked_and_not_kept_by_caches(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        answer = await Stream(session).begin(control("/events"))
        assert answer.headers["cache-control"] == "no-store" and "content-length" not in answer.headers


async def test_a_head_of_a_stream_is_no_stream(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        with trio.fail_after(20):
            assert (await session.ask(control("/events"), "HEAD", headers=STREAM)).status == 200


async def test_a_client_that_leaves_ends_its_wait(served: Served) -> None:
    def tasks() -> int:
        return trio.lowlevel.current_statistics().tasks_living

    await trio.testing.wait_all_tasks_blocked(0.05)
    before = tasks()
    for target, headers in (
        (control("/events", since=served.bench.log.newest, wait="60s"), {}),
        (control("/events", tail=1), STREAM),
    ):
        session = await dial(served.status)
        await session.begin(target, headers=headers)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert tasks() > before
        await session.stream.aclose()
        with trio.fail_after(20):
            while tasks() > before:
                await trio.testing.wait_all_tasks_blocked(0.01)
