"""The daemon API on a daemon's own socket."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trio

from routerd.api.plane import CommandEnd
from routerd.events.types import Event, Filter, StoredEvent
from tests.api.client import control, dial, fetch
from tests.api.conftest import Served, serving
from tests.api.router import WAN, open_bench
from tests.api.streams import Stream

EVENTS = "/v1/events"
RENEW = "/v1/commands/renew"
WELL = CommandEnd(True, "192.0.2.7 extended", 0, succeeded=True)


def events(answer: object) -> list[str]:
    return [one["topic"].rpartition("client.")[2] for one in answer.json["events"]]  # type: ignore[attr-defined]


def page(cursor: str, **horizon: str) -> dict[str, object]:
    """An answer without events."""
    return {"cursor": cursor, "events": [], "lost": 0, **horizon}


async def audited(served: Served) -> list[StoredEvent]:
    return list((await served.bench.log.tail(10, Filter(topics=("routerd.api.**",)))).events)


async def test_health(served: Served) -> None:
    answer = await fetch(served.daemon, "/v1/healthz")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}\n'), "compact, and a line"
    served.wan.unhealthy_reason = "Blocked: no permission"
    answer = await fetch(served.daemon, "/v1/healthz")
    assert (answer.status, answer.json) == (503, {"status": "failed", "reason": "Blocked: no permission"})


async def test_status(served: Served) -> None:
    status = (await fetch(served.daemon, "/v1/status")).json
    assert status["kind"] == "DaemonStatus" and status["apiVersion"] == "daemon.routerd.net/v1alpha1"
    assert status["daemon"] == {"name": "routerd-dhcpv4-client-wan", "kind": "routerd-dhcpv4-client", "instance": "wan"}
    assert (status["phase"], status["health"], status["generation"]) == ("Running", "ok", 3)
    assert status["since"] == "2023-11-14T22:13:20Z" and status["observed"]["dnsServers"] == "null"
    [resource] = status["resources"]
    assert resource["resource"]["kind"] == "DHCPv4Client" and resource["phase"] == "Bound"
    [condition] = resource["conditions"]
    assert condition["observedGeneration"] == 3, "contract rule 6"


async def test_status_before_anything_is_known(served: Served) -> None:
    await served.bench.log.append(gone=[WAN])
    [resource] = (await fetch(served.daemon, "/v1/status")).json["resources"]
    assert (resource["phase"], resource["conditions"], resource["since"]) == ("Pending", [], "2023-11-14T22:13:20Z")


# Events


async def test_events_by_the_daemon_s_own_cursor(served: Served) -> None:
    """Decimal, by one, and without the events of others in between."""
    await served.bench.log.append(Event("routerd.other"))
    await served.wan.say("renew.sent")
    answer = await fetch(served.daemon, EVENTS)
    assert events(answer) == ["discover.sent", "lease.bound", "renew.sent"]
    assert [one["cursor"] for one in answer.json["events"]] == ["1", "2", "3"]
    assert answer.json["cursor"] == answer.headers["x-routerd-cursor"] == "3" and answer.json["lost"] == 0
    assert events(await fetch(served.daemon, EVENTS + "?since=2")) == ["renew.sent"]
    assert (await fetch(served.daemon, EVENTS + "?since=3")).json == page("3", oldest="1", newest="3")


async def test_events_limit_and_topic(served: Served) -> None:
    assert events(await fetch(served.daemon, EVENTS + "?limit=1")) == ["discover.sent"]
    assert events(await fetch(served.daemon, EVENTS + "?topic=routerd.**.bound")) == ["lease.bound"]
    nothing = (await fetch(served.daemon, EVENTS + "?topic=no.such")).json
    assert nothing == page("2", oldest="1", newest="2"), "what did not match need not be looked at again"


async def test_tail(served: Served) -> None:
    answer = await fetch(served.daemon, EVENTS + "?tail=true")
    assert events(answer) == ["lease.bound"] and answer.json["cursor"] == "2"


async def test_tail_of_a_topic_goes_on_after_everything(served: Served) -> None:
    await served.wan.say("renew.sent")
    answer = await fetch(served.daemon, EVENTS + "?tail=true&topic=routerd.**.bound")
    assert events(answer) == ["lease.bound"] and answer.json["cursor"] == answer.json["newest"] == "3"


async def test_severity(served: Served) -> None:
    await served.bench.log.append(Event("routerd.dhcpv4.client.lease.nak", "warning", source=served.wan.source))
    assert events(await fetch(served.daemon, EVENTS + "?severity=warning")) == ["lease.nak"]
    answer = await fetch(served.daemon, EVENTS + "?severity=dire")
    assert answer.status == 400 and answer.error["field"] == "severity"


# Streams


async def test_a_stream_by_the_daemon_s_own_cursor(served: Served) -> None:
    session = await dial(served.daemon)
    async with session.stream:
        stream = Stream(session)
        answer = await stream.begin(EVENTS)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        rows = (await fetch(served.daemon, EVENTS)).json["events"]
        assert [await stream.next(), await stream.next()] == rows and stream.last_id == "2"
        await served.bench.log.append(Event("routerd.other.sent"))
        await served.wan.say("renew.sent")
        with trio.fail_after(20):
            assert (await stream.next())["cursor"] == "3"
        assert stream.last_id == "3"


async def test_a_stream_resumes_after_the_last_event_id(served: Served) -> None:
    for missed in ("renew.sent", "lease.renewed"):
        await served.wan.say(missed)
    session = await dial(served.daemon)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(EVENTS + "?tail=true", Last_Event_ID="2")
        assert [(await stream.next())["cursor"] for _ in range(2)] == ["3", "4"]


async def test_a_stream_of_a_topic_counts_what_it_leaves_out(served: Served) -> None:
    session = await dial(served.daemon)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(EVENTS + "?tail=true&topic=routerd.**.renewed")
        await served.wan.say("renew.sent")
        await served.wan.say("lease.renewed")
        with trio.fail_after(20):
            assert (await stream.next())["cursor"] == "4"


@pytest.mark.parametrize(("last", "status"), [("99", 410), ("x", 400), ("-1", 400), ("9" * 30, 400)])
async def test_a_stream_that_cannot_resume_is_refused_before_it_begins(served: Served, last: str, status: int) -> None:
    answer = await fetch(served.daemon, EVENTS, Accept="text/event-stream", Last_Event_ID=last)
    assert answer.status == status


async def test_a_stream_tells_what_was_lost(served: Served) -> None:
    """Of this daemon's events, not of others'."""
    log = served.bench.log
    for _ in range(5):
        await served.wan.say("renew.sent")
        await log.append(Event("routerd.other.sent"))
    kept = (await log.read(0, where=Filter(source=served.wan.source.name))).events[-2]
    await log.prune(2**62, kept.id - 1, 1 << 40)
    refused = await fetch(served.daemon, EVENTS + "?since=1", Accept="text/event-stream")
    assert refused.status == 410 and refused.error["oldest"] == str((kept.source_cursor or 0) - 1)
    session = await dial(served.daemon)
    async with session.stream:
        stream = Stream(session)
        await stream.begin(EVENTS, Last_Event_ID=refused.error["oldest"])
        assert (await stream.next())["cursor"] == str(kept.source_cursor)
    assert (await fetch(served.daemon, EVENTS)).json["oldest"] == str(kept.source_cursor)


def lose_the_log(directory: Path) -> None:
    for file in directory.glob("routerd.db*"):
        file.unlink()


async def test_the_count_goes_on_when_the_log_was_lost(tmp_path: Path) -> None:
    """Its journal has it. Who had everything goes on; who had not is told what is gone."""
    async with open_bench(tmp_path) as bench, serving(bench, tmp_path) as served:
        await served.wan.say("renew.sent")
        assert (await fetch(served.daemon, EVENTS)).json["newest"] == "3"
    lose_the_log(tmp_path)
    async with open_bench(tmp_path, cursor_floor=lambda _: 3) as bench, serving(bench, tmp_path) as served:
        answer = await fetch(served.daemon, EVENTS + "?since=3")
        assert [one["cursor"] for one in answer.json["events"]] == ["4", "5"] and answer.json["lost"] == 0
        assert answer.json["oldest"] == "4"
        answer = await fetch(served.daemon, EVENTS + "?since=1")
        assert answer.status == 410 and answer.error["oldest"] == "3"


async def test_a_daemon_that_has_said_nothing(served: Served) -> None:
    served.wan.source = Event("x").source or type(served.wan.source)("silent", "routerd-dhcpv4-client", "wan")
    for query in ("", "?tail=true", "?since=0"):
        assert (await fetch(served.daemon, EVENTS + query)).json == page("0", oldest="1", newest="0")


@pytest.mark.parametrize("since", [0, 2])
async def test_wait_really_waits(served: Served, since: int) -> None:
    session = await dial(served.daemon)
    async with session.stream:
        await session.begin(
            f"{EVENTS}?since={since}&wait=30s&topic=routerd.**.sent" if since else f"{EVENTS}?since=2&wait=30s"
        )
        await trio.testing.wait_all_tasks_blocked(0.05)
        await served.bench.log.append(Event("routerd.other.sent"))
        await served.wan.say("renew.sent")
        with trio.fail_after(20):
            answer = await session.finish()
    assert events(answer) == ["renew.sent"] and "content-length" in answer.headers


async def test_wait_ends_with_nothing(served: Served) -> None:
    with trio.fail_after(20):
        assert (await fetch(served.daemon, EVENTS + "?since=2&wait=50ms")).json["events"] == []


async def test_a_cursor_from_the_future_is_410(served: Served) -> None:
    answer = await fetch(served.daemon, EVENTS + "?since=99")
    assert answer.status == 410 and answer.error["oldest"] == "0" == answer.headers["x-routerd-cursor"]


async def test_a_cursor_before_the_horizon_is_410(served: Served) -> None:
    for _ in range(5):
        await served.wan.say("renew.sent")
    log = served.bench.log
    await log.prune(2**62, log.newest - 2, 1 << 40)
    answer = await fetch(served.daemon, EVENTS + "?since=1")
    assert answer.status == 410 and answer.error["oldest"] == "5"
    assert [one["cursor"] for one in (await fetch(served.daemon, EVENTS + "?since=5")).json["events"]] == ["6", "7"]
    assert [one["cursor"] for one in (await fetch(served.daemon, EVENTS)).json["events"]] == ["6", "7"]


# Commands


async def test_a_command_is_answered_by_its_end(served: Served) -> None:
    """Contract rule 7."""
    served.wan.ends["renew"] = WELL
    answer = await fetch(served.daemon, RENEW, "POST")
    result = answer.json
    assert (answer.status, result["kind"], result["command"], result["accepted"]) == (
        200,
        "CommandResult",
        "renew",
        True,
    )
    assert result["message"] == "192.0.2.7 extended" and "pending" not in result
    [executed] = (await served.bench.log.tail(1, Filter(topics=("**.command.executed",)))).events
    assert result["attributes"] == {"eventId": str(executed.id), "succeeded": "true"}


async def test_a_command_that_fails_is_told_so(served: Served) -> None:
    served.wan.ends["renew"] = CommandEnd(True, "no answer", 0, succeeded=False)
    answer = await fetch(served.daemon, RENEW, "POST")
    assert answer.status == 200 and answer.json["attributes"]["succeeded"] == "false"


async def test_a_command_that_takes_longer_than_wait_is_pending(served: Served) -> None:
    served.wan.ends["renew"] = "hang"
    result = (await fetch(served.daemon, RENEW + "?wait=50ms", "POST")).json
    [began] = (await served.bench.log.tail(1, Filter(topics=("**.command.received",)))).events
    assert result["accepted"] is True and result["pending"] is True
    assert result["attributes"] == {"eventId": str(began.id), "pending": "true"}


@pytest.mark.parametrize(("query", "wait"), [("", 10.0), ("?wait=0s", 0.0), ("?wait=1m30s", 60.0), ("?wait=1.5s", 1.5)])
async def test_how_long_a_command_may_take(served: Served, query: str, wait: float) -> None:
    served.wan.ends["renew"] = WELL
    await fetch(served.daemon, RENEW + query, "POST")
    assert served.wan.commanded[0][2] == wait


async def test_a_command_refused_by_the_daemon_s_state_is_409(served: Served) -> None:
    served.wan.ends["renew"] = CommandEnd(False, "there is no lease to renew", 0)
    answer = await fetch(served.daemon, RENEW, "POST")
    assert answer.status == 409 and answer.error == {"message": "there is no lease to renew", "code": "refused"}


async def test_a_command_that_the_daemon_does_not_have_is_501(served: Served) -> None:
    answer = await fetch(served.daemon, "/v1/commands/flush", "POST")
    assert answer.status == 501 and answer.error["message"] == "DHCPv4Client does not have the command flush"
    assert answer.error["hint"] == "it has release, renew"


async def test_get_of_a_command_is_405(served: Served) -> None:
    answer = await fetch(served.daemon, RENEW)
    assert answer.status == 405 and answer.headers["allow"] == "POST"


async def test_the_body_may_say_what_the_path_says(served: Served) -> None:
    served.wan.ends["renew"] = WELL
    body = {"command": "renew", "resource": {"kind": "DHCPv4Client", "name": "wan"}, "attributes": {"why": "test"}}
    assert (await fetch(served.daemon, RENEW, "POST", json.dumps(body).encode())).status == 200
    assert served.wan.commanded[0][1] == {"why": "test"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"comand": "renew"}', "comand"),
        (b'{"command": 3}', "command"),
        (b'{"command": "release"}', "command"),
        (b'{"resource": {"kind": "DHCPv4Client", "name": "lan"}}', "resource"),
        (b'{"attributes": {"a": 1}}', "attributes.a"),
        (b'{"kind": "Other"}', "kind"),
        (b'{"apiVersion": "v2"}', "apiVersion"),
    ],
)
async def test_bodies_that_are_wrong_are_400_and_nothing_happens(
    served: Served, body: bytes, field: str | None
) -> None:
    served.wan.ends["renew"] = WELL
    answer = await fetch(served.daemon, RENEW, "POST", body)
    assert answer.status == 400 and answer.error.get("field") == field
    assert served.wan.commanded == []
    assert (await audited(served))[-1].event.attributes["status"] == "400"


async def test_a_command_is_audited_before_and_after(served: Served) -> None:
    served.wan.ends["renew"] = WELL
    request_id = (await fetch(served.daemon, RENEW, "POST")).headers["x-request-id"]
    began, ended = await audited(served)
    [executed] = (await served.bench.log.tail(1, Filter(topics=("**.command.executed",)))).events
    assert began.id < executed.id < ended.id
    assert (began.event.topic, ended.event.topic) == ("routerd.api.command.requested", "routerd.api.command.ended")
    assert ended.event.causes == (began.id, executed.id) and ended.event.attributes["outcome"] == "succeeded"
    for one in (began.event, ended.event):
        assert one.resource == WAN and one.attributes["act"] == "renew DHCPv4Client/wan"
        assert one.attributes["uid"] == str(os.geteuid()) and one.attributes["pid"] == str(os.getpid())
        assert one.attributes["requestId"] == request_id and one.attributes["socket"] == served.daemon
        assert (
            one.actor
            == f"uid={one.attributes['uid']} pid={one.attributes['pid']} {one.attributes['exe']} request={request_id}"
        )
    assert served.wan.commanded[0][3] == began.event.actor, "the daemon's own events name the same actor"


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (CommandEnd(True, "no answer", 0, succeeded=False), "failed"),
        (CommandEnd(False, "no lease", 0), "refused"),
        (None, "unknown-command"),
        (ValueError("a defect"), "failed"),
    ],
)
async def test_every_outcome_is_audited(served: Served, end: object, outcome: str) -> None:
    if end is not None:
        served.wan.ends["renew"] = end
    await fetch(served.daemon, RENEW, "POST")
    assert (await audited(served))[-1].event.attributes["outcome"] == outcome


async def test_a_client_that_leaves_during_its_command_is_audited(served: Served) -> None:
    served.wan.ends["renew"] = "hang"
    session = await dial(served.daemon)
    await session.begin(RENEW, "POST")
    while not await audited(served):
        await served.bench.log.wait(served.bench.log.newest)
    await session.stream.aclose()
    with trio.fail_after(20):
        while len(found := await audited(served)) < 2:
            await served.bench.log.wait(served.bench.log.newest)
    assert found[-1].event.attributes["outcome"] == "abandoned"


async def test_daemon_paths_are_not_on_the_control_sockets(served: Served) -> None:
    for socket in (served.main, served.status):
        assert (await fetch(socket, "/v1/status")).status == 404
        assert (await fetch(socket, RENEW, "POST")).status == 404
        assert (await fetch(socket, RENEW)).status == 404, "not 405: there is nothing here"
    assert (await fetch(served.main, control("/status"))).status == 200
