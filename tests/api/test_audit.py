"""Whatever may change anything is told before it is done and when it has ended; what never ended is told later."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routerd.api.access import API, ENDED, REQUESTED
from routerd.api.app import OPERATIONS
from routerd.api.plane import CommandEnd
from routerd.api.unfinished import LIVES, tell_unfinished
from routerd.events.log import Log, open_log
from routerd.events.types import Event, Filter, Source, StoredEvent
from tests.api.client import fetch
from tests.api.conftest import Served

HARMLESS = {"plan", "validate", "rules/test", "events/ack"}
"""POSTs that change nothing, but for the last: a reader's own place, and to tell of that would be news for the reader
again."""
STARTED = Event("routerd.daemon.lifecycle.started", source=Source("routerd", "routerd", "routerd"))
RENEW = "/v1/commands/renew"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(tmp_path / "routerd.db") as log:
        yield log


def test_every_operation_that_may_change_anything_is_audited() -> None:
    present = [op for op in OPERATIONS if op.answer is not None]
    unaudited = {op.path.rpartition("v1alpha1/")[2] for op in present if op.method == "POST" and not op.mutates}
    assert unaudited <= HARMLESS
    assert not [op.path for op in present if op.method == "GET" and op.mutates]


async def test_the_audit_tells_status_events_and_generation(served: Served) -> None:
    served.wan.ends["renew"] = CommandEnd(True, "done", 0, succeeded=True)
    result = (await fetch(served.daemon, RENEW, "POST")).json
    began, ended = (await served.bench.log.tail(2, Filter(topics=(REQUESTED, ENDED)))).events
    assert began.event.generation == ended.event.generation == 3
    told = ended.event.attributes
    assert (told["status"], told["events"]) == ("200", result["attributes"]["eventId"])
    assert "status" not in began.event.attributes
    assert (began.event.severity, ended.event.severity) == ("info", "info")


async def test_what_did_not_end_well_stands_out_in_the_audit(served: Served) -> None:
    served.wan.ends["renew"] = CommandEnd(True, "nobody answered", 0, succeeded=False)
    await fetch(served.daemon, RENEW, "POST")
    [ended] = (await served.bench.log.tail(1, Filter(topics=(ENDED,)))).events
    assert (ended.event.severity, ended.event.attributes["outcome"]) == ("warning", "failed")


async def test_a_body_is_not_repeated_in_the_audit(served: Served) -> None:
    """It may hold what only its reader should know."""
    body = json.dumps({"attributes": {"password": "planted-secret"}}).encode()
    await fetch(served.daemon, RENEW, "POST", body)
    await fetch(served.daemon, RENEW, "POST", b"planted-secret")
    page = await served.bench.log.read(0, limit=1000)
    assert not [one.id for one in page.events if "planted-secret" in repr(one.event)]


# What never ended


async def begin(log: Log, act: str = "apply") -> int:
    attributes = {"act": act, "uid": "0", "requestId": "01"}
    event = Event(REQUESTED, reason="CommandRequested", message=act, source=API, attributes=attributes, actor="uid=0")
    return (await log.append(event))[0]


async def end(log: Log, began: int) -> None:
    await log.append(Event(ENDED, source=API, causes=(began,), attributes={"outcome": "succeeded"}))


async def told(log: Log) -> list[StoredEvent]:
    """What is told at a start."""
    before = log.newest
    await tell_unfinished(log, before)
    return list((await log.read(before, where=Filter(topics=(ENDED,)))).events)


async def test_what_was_begun_and_never_ended_is_unknown(log: Log) -> None:
    await log.append(STARTED)
    done, crashed = await begin(log, "delete"), await begin(log)
    await end(log, done)
    [unknown] = await told(log)
    event = unknown.event
    assert event.causes == (crashed,) and event.actor == "uid=0" and event.severity == "warning"
    assert event.attributes == {"act": "apply", "uid": "0", "requestId": "01", "outcome": "unknown"}
    assert event.message == "apply: unknown, routerd ended before it did"


async def test_it_is_told_once(log: Log) -> None:
    await log.append(STARTED)
    await begin(log)
    assert len(await told(log)) == 1
    await log.append(STARTED)
    assert await told(log) == []


async def test_it_is_told_although_the_next_lives_ended_before_they_could(log: Log) -> None:
    await begin(log, "before the first start that is known")
    for life in range(LIVES - 1):
        await log.append(STARTED)
        await begin(log, f"life {life}")
    assert len(await told(log)) == LIVES - 1


async def test_what_is_begun_in_this_life_is_not_told(log: Log) -> None:
    await log.append(STARTED)
    before = log.newest
    await begin(log)
    await tell_unfinished(log, before)
    assert log.newest == before + 1


async def test_ends_among_many_events_are_found(log: Log) -> None:
    await log.append(STARTED)
    crashed = await begin(log)
    pair = Event(REQUESTED, source=API, attributes={"act": "x"}), Event(ENDED, source=API, follows=(1,))
    for _ in range(1100):
        log.post(*pair)
    await log.append(STARTED)
    assert [one.event.causes for one in await told(log)] == [(crashed,)]
