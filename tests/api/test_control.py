"""The control API on its two sockets: every operation, and every way it says no."""

from __future__ import annotations

import json
import time
from datetime import datetime

import attrs
import pytest
import trio

from routerd.api.wire import PREFIX
from routerd.events.types import Event, Ref
from routerd.resources.net import DHCPv4Client, Interface
from routerd.resources.resource import OwnerRef
from routerd.shapes.secret import Secret
from tests.api.client import control, dial, fetch
from tests.api.conftest import Served
from tests.api.router import LAN, WAN, declared, failing_report, report

MANAGED = {"managedBy": "routerd", "management": "managed"}


async def test_status_of_a_healthy_router(served: Served) -> None:
    answer = await fetch(served.status, control("/status"))
    assert answer.status == 200
    status = answer.json["status"]
    assert answer.json["kind"] == "Status" and answer.json["metadata"] == {"name": "routerd"}
    assert (status["phase"], status["generation"], status["resourceCount"]) == ("Healthy", 3, 4)
    assert status["lastApplyTime"].endswith("Z") and "resourcePhaseIssues" not in status
    assert [one["name"] for one in status["controllers"]] == ["address", "route"]


@pytest.mark.parametrize(
    ("status", "phase", "issues"),
    [
        ({"phase": "Error", "reason": "Broken", "message": "it broke"}, "Error", True),
        ({"phase": "BLOCKED"}, "Error", True),
        ({"phase": "Acquiring"}, "Pending", True),
        ({"phase": "Lost"}, "Degraded", True),
        ({"phase": "Idle"}, "Unknown", True),
        ({}, "Unknown", True),
        ({"phase": "Pending", "reason": "WhenFalse"}, "Healthy", False),
        ({"phase": "Pending", "reason": "DependsOnFalse"}, "Healthy", False),
        ({"phase": "Pending", "reason": "Hysteresis"}, "Healthy", False),
        ({"phase": "Retracted"}, "Healthy", False),
        ({"phase": "Removed"}, "Healthy", False),
    ],
)
async def test_overall_phase_is_the_worst(served: Served, status: dict[str, str], phase: str, issues: bool) -> None:
    await served.bench.log.append(status={WAN: status})
    found = (await fetch(served.status, control("/status"))).json["status"]
    assert found["phase"] == phase
    assert ("resourcePhaseIssues" in found) is issues
    if issues:
        issue = found["resourcePhaseIssues"][0]
        assert (issue["kind"], issue["name"], issue["phase"]) == ("DHCPv4Client", "wan", status.get("phase", ""))
        assert issue.get("reason") == status.get("reason") and issue.get("message") == status.get("message")


async def test_issues_come_worst_first_then_by_kind_and_name(served: Served) -> None:
    for ref, phase in ((LAN, "Degraded"), (WAN, "Error"), (Ref("Interface", "wan"), "Down"), (Ref("A", "a"), "Lost")):
        await served.bench.log.append(status={ref: {"phase": phase}})
    issues = (await fetch(served.status, control("/status"))).json["status"]["resourcePhaseIssues"]
    assert [f"{one['kind']}/{one['name']}" for one in issues] == [
        "DHCPv4Client/wan",
        "A/a",
        "Interface/lan",
        "Interface/wan",
    ]


async def test_a_declared_resource_that_nothing_is_known_of_is_unknown(served: Served) -> None:
    bench = served.bench
    router = attrs.evolve(bench.running.router, resources=(declared("DHCPv4Client", "new", DHCPv4Client("wan")),))
    bench.running = attrs.evolve(bench.running, router=router, generation=4)
    status = (await fetch(served.status, control("/status"))).json["status"]
    assert (status["phase"], status["generation"], status["resourceCount"]) == ("Unknown", 4, 1)


async def test_status_changes_with_what_it_tells(served: Served) -> None:
    """It is kept encoded: each thing in it must show at once."""
    bench = served.bench

    async def status() -> dict[str, object]:
        found: dict[str, object] = (await fetch(served.status, control("/status"))).json["status"]
        return found

    assert (await status())["phase"] == "Healthy"
    await bench.log.append(status={LAN: {"phase": "Down"}})
    assert (await status())["phase"] == "Degraded"
    bench.controllers[0] = report("route", last_trigger="link")
    assert "link" in json.dumps(await status())
    bench.running = attrs.evolve(bench.running, pending_error="router.yaml:3:1: no")
    assert (await status())["pendingError"] == "router.yaml:3:1: no"


async def test_a_rejected_file_is_an_issue_of_the_router(served: Served) -> None:
    bench = served.bench
    bench.running = attrs.evolve(bench.running, pending_error="router.yaml:3:1: no\nrouter.yaml:4:1: neither")
    status = (await fetch(served.status, control("/status"))).json["status"]
    assert status["phase"] == "Degraded"
    [issue] = [one for one in status["resourcePhaseIssues"] if one["kind"] == "Router"]
    assert (issue["phase"], issue["reason"]) == ("Degraded", "ConfigurationInvalid")
    assert issue["message"] == "router.yaml:3:1: no"


async def test_what_is_held_is_healthy_and_what_is_unresolved_is_pending(served: Served) -> None:
    bench = served.bench
    for reason, phase in (("WhenFalse", "Healthy"), ("DependsOnFalse", "Healthy"), ("Undecided", "Pending")):
        await bench.log.append(status={LAN: {"phase": "Pending", "reason": reason}})
        assert (await fetch(served.status, control("/status"))).json["status"]["phase"] == phase


async def test_a_resource_says_whose_it_is_and_who_looks_after_it(served: Served) -> None:
    bench = served.bench
    owner = OwnerRef("DHCPv4Client", "wan")
    external, managed = Interface("eth0", owner="external"), Interface("eth0")
    for spec, expected in ((external, {"managedBy": "external"}), (managed, MANAGED)):
        router = attrs.evolve(bench.running.router, resources=(declared("Interface", "lan", spec),))
        bench.running = attrs.evolve(bench.running, router=router)
        answer = await fetch(served.status, control("/describe", target="Interface/lan"))
        told = answer.json["resource"]["status"]
        assert {key: told[key] for key in ("managedBy", "management") if key in told} == expected
        assert "ownerRefs" not in told
    router = attrs.evolve(router, resources=(attrs.evolve(router.resources[0], owner_refs=(owner,)),))
    bench.running = attrs.evolve(bench.running, router=router)
    answer = await fetch(served.status, control("/describe", target="Interface/lan"))
    assert answer.json["resource"]["status"]["ownerRefs"] == [{"kind": "DHCPv4Client", "name": "wan"}]


async def test_controllers(served: Served) -> None:
    served.bench.controllers.append(failing_report("dhcpv4"))
    items = (await fetch(served.main, control("/controllers"))).json["items"]
    assert [one["name"] for one in items] == ["address", "dhcpv4", "route"]
    failing = items[1]
    assert failing["currentError"] is True and failing["lastError"] == "EPERM"
    assert failing["averageDuration"] == "25ms" and failing["averageDurationMillis"] == 25.0
    assert failing["lastDurationMillis"] == 20 and type(failing["lastDurationMillis"]) is int
    [error] = failing["reconcileErrorHistory"]
    assert (error["durationMs"], error["duration"], error["resourceName"]) == (13, "13ms", "lan")


async def test_no_controllers_is_an_empty_list(served: Served) -> None:
    served.bench.controllers.clear()
    assert (await fetch(served.main, control("/controllers"))).json["items"] == []


async def test_runtime_is_measured(served: Served) -> None:
    first = (await fetch(served.status, control("/runtime"))).json
    hold = [await dial(served.status) for _ in range(5)]
    ballast = bytearray(64 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    second = (await fetch(served.status, control("/runtime"))).json
    assert second["heapInuseBytes"] - first["heapInuseBytes"] > 50 << 20
    assert second["openFds"] - first["openFds"] >= 5
    assert second["maxFds"] >= second["openFds"]
    assert first["tasks"] == first["numGoroutine"] > 3
    assert first["loopLagMillis"] == 0.25 and first["sockets"] == 3
    assert abs(time.time() - _seconds(first["collectedAt"])) < 60
    for session in hold:
        await session.stream.aclose()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp()


# get


async def test_get_lists_resources_with_spec_status_and_events(served: Served) -> None:
    answer = (await fetch(served.status, control("/get"))).json
    assert answer["metadata"] == {"name": "resources"}
    found = {f"{one['kind']}/{one['name']}": one for one in answer["items"]}
    assert list(found) == ["DHCPv4Client/wan", "IPv4StaticAddress/lan", "Interface/lan", "Interface/wan"]
    wan = found["DHCPv4Client/wan"]
    assert wan["spec"]["hostname"] == "gate" and wan["status"]["phase"] == "Bound"
    assert wan["events"][0]["type"] == "routerd.resource.status.changed", "the newest first"
    assert [one["type"] for one in wan["events"]][-1] == "routerd.dhcpv4.client.discover.sent"
    assert all(set(one) >= {"id", "apiVersion", "kind", "name", "type", "reason", "message"} for one in wan["events"])


@pytest.mark.parametrize("subject", ["dhcpv4client", "DHCPv4-Client", "dhcpv4", "DHCPv4Client/wan"])
async def test_get_by_kind_or_name_in_any_spelling(served: Served, subject: str) -> None:
    answer = (await fetch(served.status, control("/get", subject=subject, events_limit=1))).json
    assert answer["metadata"] == {"name": subject}
    [one] = answer["items"]
    assert (one["kind"], one["name"], len(one["events"])) == ("DHCPv4Client", "wan", 1)


async def test_get_honours_limits_and_filters(served: Served) -> None:
    assert len((await fetch(served.status, control("/get", limit=2))).json["items"]) == 2
    assert (await fetch(served.status, control("/get", limit=0))).json["items"] == []
    named = (await fetch(served.status, control("/get", kind="if", name="lan", events_limit=0))).json["items"]
    assert [f"{one['kind']}/{one['name']}" for one in named] == ["Interface/lan"] and "events" not in named[0]


async def test_get_shows_what_is_left_of_a_resource_that_is_not_declared_any_more(served: Served) -> None:
    await served.bench.log.append(status={Ref("Interface", "old"): {"phase": "Down"}})
    [one] = (await fetch(served.status, control("/get", subject="Interface/old"))).json["items"]
    assert "spec" not in one and one["status"] == {"phase": "Down"}


@pytest.mark.parametrize(
    ("subject", "kind"), [("status", "Status"), ("controllers", "Controllers"), ("rt", "RuntimeStats")]
)
async def test_get_of_other_subjects_holds_their_answer(served: Served, subject: str, kind: str) -> None:
    answer = (await fetch(served.status, control("/get", subject=subject))).json
    assert answer["raw"]["kind"] == kind and answer["metadata"] == {"name": subject}
    assert ("status" in answer) is (subject == "status")


async def test_get_events_newest_first_and_ascending_after_an_id(served: Served) -> None:
    newest = [
        one["id"] for one in (await fetch(served.status, control("/get", subject="events", limit=3))).json["events"]
    ]
    assert newest == sorted(newest, reverse=True) and len(newest) == 3
    after = (await fetch(served.status, control("/get", subject="events", since_id=2, limit=3))).json["events"]
    assert [one["id"] for one in after] == [3, 4, 5]


async def test_get_events_filters(served: Served) -> None:
    async def topics(**query: object) -> list[str]:
        answer = await fetch(served.status, control("/get", subject="events", **query))
        return [one["topic"] for one in answer.json["events"]]

    assert set(await topics(topic="routerd.dhcpv4.**")) == {
        "routerd.dhcpv4.client.lease.bound",
        "routerd.dhcpv4.client.discover.sent",
    }
    assert await topics(topic="routerd.dhcpv4.client.lease.*") == ["routerd.dhcpv4.client.lease.bound"]
    assert await topics(resource="dhcpv4client/wan", limit=1) == ["routerd.resource.status.changed"]
    assert len(await topics(kind="Interface")) == 4
    assert await topics(kind="Interface", name="nobody") == []


async def test_event_key_under_both_names_with_the_resource_in_the_attributes(served: Served) -> None:
    """Contract rule 1."""
    [one] = (
        await fetch(served.status, control("/get", subject="events", topic="routerd.dhcpv4.client.lease.bound"))
    ).json["events"]
    assert one["topic"] == one["type"] == "routerd.dhcpv4.client.lease.bound"
    assert one["attributes"]["resource.kind"] == one["resource"]["kind"] == one["resourceKind"] == "DHCPv4Client"
    assert one["attributes"]["resource.name"] == one["resource"]["name"] == "wan"


async def test_get_of_something_unknown(served: Served) -> None:
    for subject, hint in (
        ("Interfac", "did you mean Interface?"),
        ("Interface/lam", "did you mean Interface/lan?"),
        ("nonsense", "DHCPv4Client"),
        ("nonsense/x", "and Kind/name"),
    ):
        answer = await fetch(served.status, control("/get", subject=subject))
        assert answer.status == 400 and answer.error["field"] == "subject"
        assert answer.error["message"] == f"bad request: {subject} not found"
        assert hint in answer.error["hint"]


# describe


async def test_describe_has_the_object_version_as_etag(served: Served) -> None:
    """Contract rule 6."""
    answer = await fetch(served.status, control("/describe", target="DHCPv4Client/wan"))
    resource = answer.json["resource"]
    assert answer.json["metadata"] == {"name": "DHCPv4Client/wan"}
    assert answer.headers["etag"] == f'"{resource["resourceVersion"]}"'
    [changed] = [one for one in resource["events"] if one["type"] == "routerd.resource.status.changed"]
    assert changed["id"] == resource["resourceVersion"]
    await served.bench.log.append(status={WAN: {"phase": "Expired"}})
    again = await fetch(served.status, control("/describe", target="dhcpv4client/wan"))
    assert again.json["resource"]["resourceVersion"] > resource["resourceVersion"]


async def test_describe_limits_its_events(served: Served) -> None:
    for _ in range(15):
        await served.wan.say("renew.sent")
    for query, count in (({}, 10), ({"events_limit": 3}, 3)):
        answer = await fetch(served.status, control("/describe", target="DHCPv4Client/wan", **query))
        assert len(answer.json["resource"]["events"]) == count


@pytest.mark.parametrize(
    ("query", "status", "field", "hint"),
    [
        ({}, 400, "target", "Kind/name"),
        ({"target": "wan"}, 400, "target", "for example"),
        ({"target": "Interface/"}, 400, "target", "for example"),
        ({"target": "Interface/lam"}, 404, "target", "did you mean Interface/lan?"),
        ({"target": "Foo/bar"}, 404, "target", ""),
        ({"target": "Interface/lan", "events_limit": "-1"}, 400, "events-limit", ""),
    ],
)
async def test_describe_refuses(served: Served, query: dict[str, str], status: int, field: str, hint: str) -> None:
    answer = await fetch(served.status, control("/describe", **query))
    assert answer.status == status and answer.error["field"] == field
    assert hint in answer.error.get("hint", "")


@attrs.frozen
class Tunnel:
    """A spec with a secret."""

    user: str
    password: Secret


async def test_secrets_are_redacted_by_their_type(served: Served) -> None:
    bench = served.bench
    router = attrs.evolve(
        bench.running.router, resources=(declared("Interface", "t", Tunnel("me", Secret("hunter2"))),)
    )
    bench.running = attrs.evolve(bench.running, router=router)
    for socket in (served.status, served.main):
        answer = await fetch(socket, control("/describe", target="Interface/t"))
        assert answer.json["resource"]["spec"] == {"user": "me", "password": "***"}
        assert b"hunter2" not in answer.body


# Root


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_can_fail(served: Served, path: str) -> None:
    good = await fetch(served.status, path)
    assert (good.status, good.json) == (200, {"status": "ok"})
    verbose = await fetch(served.status, path + "?verbose")
    assert verbose.json["checks"][0] == {"name": "event-loop", "status": "pass", "detail": "late by 0.1 ms"}
    served.bench.sick["event-loop"] = "late by 7000 ms"
    bad = await fetch(served.status, path)
    assert bad.status == 503
    assert bad.json == {
        "status": "failed",
        "checks": [{"name": "event-loop", "status": "fail", "detail": "late by 7000 ms"}],
    }


async def test_ready_is_more_than_live(served: Served) -> None:
    served.bench.sick["configuration"] = "not read"
    assert (await fetch(served.status, "/livez")).status == 200
    assert (await fetch(served.status, "/readyz")).status == 503


async def test_openapi_is_served(served: Served) -> None:
    for socket in (served.status, served.main, served.daemon):
        answer = await fetch(socket, "/openapi.json")
        assert answer.json["openapi"] == "3.1.0" and f"{PREFIX}/status" in answer.json["paths"]


# What is not, or not so


@pytest.mark.parametrize(
    "path",
    ["/", "/status", f"{PREFIX}", f"{PREFIX}/status/", f"{PREFIX}//status", f"{PREFIX}/nope", "/v1/status", "/%ff%00"],
)
async def test_unknown_paths_are_404(served: Served, path: str) -> None:
    for socket in (served.status, served.main):
        answer = await fetch(socket, path)
        assert answer.status == 404 and answer.error["code"] == "not-found"


async def test_control_paths_are_not_on_daemon_sockets(served: Served) -> None:
    assert (await fetch(served.daemon, control("/status"))).status == 404
    assert (await fetch(served.daemon, control("/status"), "POST")).status == 404


async def test_a_whole_url_is_a_target_too(served: Served) -> None:
    """RFC 9112 §3.2.2."""
    session = await dial(served.status)
    async with session.stream:
        answer = await session.ask("http://routerd" + control("/get", subject="if", limit=1))
        assert len(answer.json["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/status", "GET, HEAD"),
        ("DELETE", "/events", "GET, HEAD"),
        ("GET", "/apply", "POST"),
        ("OPTIONS", "/get", "GET, HEAD"),
    ],
)
async def test_wrong_methods_are_405_with_allow(served: Served, method: str, path: str, allow: str) -> None:
    answer = await fetch(served.main, control(path), method)
    assert answer.status == 405 and answer.headers["allow"] == allow and answer.error["hint"] == f"use {allow}"


ABSENT = {
    "GET": "connections dns-queries dns-queries/aggregate traffic-flows traffic-flows/aggregate firewall-logs",
    "POST": "dhcpv6-event",
}


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, paths in ABSENT.items() for p in paths.split()])
async def test_what_this_version_does_not_have_is_501(served: Served, method: str, path: str) -> None:
    answer = await fetch(served.main, control(f"/{path}", anything="1"), method, b"{}" if method == "POST" else b"")
    assert answer.status == 501 and answer.error["message"].startswith("this version of routerd does not have ")


@pytest.mark.parametrize(
    ("path", "query", "field", "message"),
    [
        ("/get", "limit=-1", "limit", "limit must be a non-negative integer"),
        ("/get", "limit=1.0", "limit", "limit must be a non-negative integer"),
        ("/get", "limit=", "limit", "limit must be a non-negative integer"),
        ("/get", "limit=" + "9" * 30, "limit", "limit must be a non-negative integer"),
        ("/get", "limit=%D9%A1", "limit", "limit must be a non-negative integer"),
        ("/get", "events-limit=x", "events-limit", "events-limit must be a non-negative integer"),
        ("/get", "since-id=0x1", "since-id", "since-id must be a non-negative integer"),
        ("/get", "limit=1&limit=2", "limit", "limit can be given once only"),
        ("/get", "limt=1", "limt", "there is no parameter limt"),
        ("/get", "resource=wan", "resource", "resource must be Kind/name"),
        ("/status", "pretty=1", "pretty", "there is no parameter pretty"),
        ("/events", "limit=0", "limit", "limit must be at least 1"),
        ("/events", "wait=5", "wait", 'wait: "5" is not a duration'),
        ("/events", "wait=-5s", "wait", 'wait: "-5s" is not a duration'),
        ("/events", "severity=fatal", "severity", "severity must be one of debug, info, warning, error"),
        ("/events", "since=x-y", "since", "'x-y' is not a cursor"),
        ("/events", "since=1&tail=1", "tail", "since and tail exclude each other"),
        ("/events", "tail=many", "tail", "tail must be a non-negative integer"),
    ],
)
async def test_bad_parameters_are_400_and_named(
    served: Served, path: str, query: str, field: str, message: str
) -> None:
    answer = await fetch(served.status, f"{PREFIX}{path}?{query}")
    assert answer.status == 400
    assert (answer.error["field"], answer.error["message"]) == (field, message)


async def test_a_head_is_answered_without_a_body(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        answer = await session.ask(control("/status"), "HEAD")
        assert answer.status == 200 and answer.body == b"" and int(answer.headers["content-length"]) > 100
        assert (await session.ask(control("/status"))).status == 200, "the connection is still in step"


@pytest.mark.parametrize(("size", "status"), [(1 << 20, 400), ((1 << 20) + 1, 413), (2 << 20, 413)])
@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
async def test_bodies_over_a_mebibyte_are_413(served: Served, size: int, status: int, headers: dict[str, str]) -> None:
    answer = await fetch(served.main, control("/apply"), "POST", b"x" * size, **headers)
    assert answer.status == status


async def test_our_own_fault_is_500_without_a_traceback(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    served.bench.controllers = None  # type: ignore[assignment]
    answer = await fetch(served.status, control("/controllers"))
    assert answer.status == 500 and answer.error["code"] == "internal"
    assert b"Traceback" not in answer.body and b"NoneType" not in answer.body
    [record] = caplog.records
    assert answer.json["requestId"] in record.getMessage() and record.exc_info is not None


async def test_request_ids_differ_and_sort_by_time(served: Served) -> None:
    ids = []
    for _ in range(3):
        ids.append((await fetch(served.status, control("/status"))).headers["x-request-id"])
        await trio.sleep(0.002)
    assert len(set(ids)) == 3 and ids == sorted(ids)


async def test_a_log_that_cannot_be_read_is_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(served.bench.log, "tail", fail)
    monkeypatch.setattr(served.bench.log, "read", fail)
    for target in (control("/describe", target="Interface/lan"), control("/events"), control("/get", subject="events")):
        answer = await fetch(served.status, target)
        assert answer.status == 503 and "Input/output error" in answer.error["message"]
    assert (await fetch(served.status, control("/status"))).status == 200


async def test_an_event_of_routerd_itself_has_no_resource(served: Served) -> None:
    await served.bench.log.append(Event("routerd.host.clock.step"))
    [one] = (await fetch(served.status, control("/events", tail=1))).json["events"]
    assert one["topic"] == "routerd.host.clock.step" and "resource" not in one and "kind" not in one
