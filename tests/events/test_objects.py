"""Objects beside events: what changes them, what is said about it, and what they look like after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from routerd.events.log import Log, open_log
from routerd.events.types import Ref, Status
from tests.events.saying import LTE, WAN, everything, said

CHANGED = "routerd.resource.status.changed"


async def changes(log: Log) -> list[tuple[str, dict[str, str]]]:
    found = [s.event for s in await everything(log) if s.event.topic == CHANGED]
    return [(str(event.resource), dict(event.attributes)) for event in found]


def status_of(log: Log, ref: Ref = WAN) -> Status:
    stored = log.objects.get(ref)
    assert stored is not None
    return stored.status


async def test_status_changes_speak_for_themselves(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        assert await log.append(said(), said(actor="uid=0", time=7), status={WAN: {"phase": "Acquiring"}}) == (1, 2)
        await log.append(said(), status={WAN: {"phase": "Bound", "currentAddress": "192.0.2.7", "renewAt": 5}})
        await log.append(status={WAN: {"phase": "Bound", "renewAt": 5}})
        stored = await everything(log)
        assert [(s.id, dict(s.event.attributes), s.event.causes) for s in stored if s.event.topic == CHANGED] == [
            (3, {"phase": "Acquiring", "changedFields": "phase"}, (1, 2)),
            (5, {"phase": "Bound", "previousPhase": "Acquiring", "changedFields": "currentAddress,phase"}, (4,)),
            (6, {"phase": "Bound", "previousPhase": "Bound", "changedFields": "currentAddress"}, ()),
        ]
        first = stored[2].event
        assert (first.actor, first.time, first.resource) == ("uid=0", 7, WAN)
        assert first.source is not None
        assert (first.source.name, first.source.kind, first.source.instance) == ("routerd", "routerd", "store")
        assert [s.source_cursor for s in stored if s.event.topic == CHANGED] == [1, 2, 3]


async def test_an_object_has_the_version_of_the_event_that_changed_it(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:

        async def version_after(*events: Any, **status: Any) -> int:
            await log.append(*events, status={WAN: status})
            stored = log.objects.get(WAN)
            assert stored is not None
            return stored.version

        assert await version_after(said(), phase="Bound") == 2
        assert await version_after(said(), phase="Bound") == 2  # Equal: not touched.
        assert await version_after(said(), said(), phase="Bound", renewAt=5) == 5  # Volatile: the last that was given.
        assert await version_after(phase="Bound", renewAt=6) == 5
        assert await version_after(phase="Lost") == 6
        assert log.newest == 6


async def test_what_changes_all_the_time_is_no_event_but_is_stored(tmp_path: Path) -> None:
    check = Ref("HealthCheck", "internet")
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(status={WAN: {"phase": "Bound"}, check: {"lastSuccessTime": "a"}})
        await log.append(status={WAN: {"phase": "Bound", "expiresAt": "x", "observed": {"a": "b"}, "conditions": []}})
        await log.append(status={check: {"lastSuccessTime": "b"}})
        assert [ref for ref, _ in await changes(log)] == ["DHCPv4Client/wan", "HealthCheck/internet"]
        await log.append(status={WAN: {"phase": "Bound", "lastSuccessTime": "b"}})
        assert len(await changes(log)) == 3
    async with open_log(tmp_path / "routerd.db") as log:
        assert status_of(log, check) == {"lastSuccessTime": "b"}


async def test_that_a_router_tells_the_same_for_longer_is_no_event(tmp_path: Path) -> None:
    def heard(until: float, reachable: bool = True) -> Status:
        router = {"address": "fe80::1", "untilMonotonic": until, "reachable": reachable}
        return {"phase": "Bound", "validUntilMonotonic": until, "routers": [router]}

    async with open_log(tmp_path / "routerd.db") as log:
        for status in (heard(1.0), heard(2.0), heard(2.0, reachable=False)):
            await log.append(status={WAN: status})
        assert [told["changedFields"] for _, told in (await changes(log))[1:]] == ["routers"]
        await log.append(status={WAN: heard(3.0, reachable=False)})
        assert status_of(log) == heard(3.0, reachable=False)


async def test_a_condition_that_changes_is_an_event(tmp_path: Path) -> None:
    def installed(status: str, reason: str = "Any") -> dict[Ref, Status]:
        return {WAN: {"phase": "Bound", "conditions": [{"type": "Installed", "status": status, "reason": reason}]}}

    async with open_log(tmp_path / "routerd.db") as log:
        for status in (installed("False"), installed("True"), installed("True", "Other")):
            await log.append(status=status)
        assert [attributes.get("changedConditions") for _, attributes in await changes(log)] == ["Installed"] * 2
        assert (await everything(log))[-1].event.message == "Bound: Installed changed"


async def test_causes_can_be_named_for_each_object(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(said(), said())
        own = said(resource=LTE, actor="uid=0")
        other, status = said(resource=None), {WAN: {"phase": "A"}, LTE: {"phase": "B"}}
        await log.append(own, other, status=status, because={WAN: (1,)})
        told = {str(s.event.resource): s.event for s in await everything(log) if s.event.topic == CHANGED}
        assert (told["DHCPv4Client/wan"].causes, told["DHCPv4Client/wan"].actor) == ((1,), "routerd")
        assert (told[str(LTE)].causes, told[str(LTE)].actor) == ((3,), "uid=0")
        await log.append(own, other, status={WAN: {"phase": "C"}}, because={WAN: (-2, 2)})
        last = (await everything(log))[-1]
        assert (last.event.causes, last.event.actor) == ((last.id - 2, 2), "uid=0"), "counted from the end"


async def test_several_objects_in_one_append(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(status={WAN: {"phase": "Bound"}, LTE: {"phase": "Idle"}})
        await log.append(said(), status={LTE: {"phase": "Bound"}}, gone=[WAN])
        assert log.objects.get(WAN) is None
        assert [o.ref for o in log.objects.all()] == [LTE]
        assert log.objects.of_kind("DHCPv4Client") == log.objects.all()
        assert log.objects.of_kind("Interface") == []
    async with open_log(tmp_path / "routerd.db") as log:
        assert [(o.ref, o.version, o.status) for o in log.objects.all()] == [(LTE, 4, {"phase": "Bound"})]
        await log.append(gone=[LTE, WAN])
        await log.append(status={WAN: {"phase": "Idle"}})
        assert (await changes(log))[-1] == ("DHCPv4Client/wan", {"phase": "Idle", "changedFields": "phase"})


async def test_the_status_is_compared_with_the_last_one_said_not_with_the_last_one_on_disk(tmp_path: Path) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        async with trio.open_nursery() as nursery:
            for number in range(20):

                async def say(number: int = number) -> None:
                    await log.append(status={WAN: {"n": number // 10}})

                nursery.start_soon(say)
        said_changes = [attributes for _, attributes in await changes(log)]
        assert len(said_changes) >= 2
        assert said_changes[0] == {"changedFields": "n"}
        stored = log.objects.get(WAN)
        assert stored is not None
        assert stored.version == log.newest


async def test_a_status_in_memory_is_what_a_restart_reads(tmp_path: Path) -> None:
    mine = {"phase": "Bound", "dnsServers": ("192.0.2.1", "192.0.2.2"), "mtu": 1500, "nested": {"a": [1.5, None, True]}}
    async with open_log(tmp_path / "routerd.db") as log:
        await log.append(status={WAN: mine})
        mine["phase"] = "changed behind its back"
        before = log.objects.all()
        assert status_of(log)["dnsServers"] == ["192.0.2.1", "192.0.2.2"]
        assert status_of(log)["phase"] == "Bound"
        await log.append(status={WAN: {**status_of(log), "dnsServers": ("192.0.2.1", "192.0.2.2")}})
        assert log.newest == 1
    async with open_log(tmp_path / "routerd.db") as log:
        assert log.objects.all() == before


async def test_a_condition_has_the_time_of_its_last_transition(tmp_path: Path) -> None:
    now = 0

    def clock() -> int:
        return now * 10**9

    async def at(second: int, *conditions: tuple[str, str, str]) -> list[tuple[str, str]]:
        nonlocal now
        now = second
        rows = [{"type": t, "status": s, "reason": r, "observedGeneration": 1} for t, s, r in conditions]
        await log.append(status={WAN: {"phase": "Bound", "conditions": rows}})
        return [(c["reason"], c["lastTransitionTime"][17:]) for c in status_of(log)["conditions"]]

    async with open_log(tmp_path / "routerd.db", clock_ns=clock) as log:
        assert await at(1, ("Ready", "False", "Init")) == [("Init", "01Z")]
        assert await at(2, ("Ready", "False", "Selecting")) == [("Selecting", "01Z")]
        assert await at(3, ("Ready", "True", "Bound"), ("New", "True", "x")) == [("Bound", "03Z"), ("x", "03Z")]
    async with open_log(tmp_path / "routerd.db", clock_ns=clock) as log:
        assert await at(4, ("New", "True", "y"), ("Ready", "True", "Bound")) == [("y", "03Z"), ("Bound", "03Z")]
        assert await at(5, ("Ready", "True", "Bound")) == [("Bound", "03Z")]
        assert await at(6, ("New", "True", "z")) == [("z", "06Z")]


async def test_waiting_for_objects_ends_with_any_change_of_them(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with open_log(tmp_path / "routerd.db") as log:
        seen = log.objects.version
        assert await log.objects.changed(seen - 1) == seen

        async def say() -> None:
            await log.append(status={WAN: {"renewAt": 1}})
            await log.append(status={WAN: {"renewAt": 2}})

        nursery.start_soon(say)
        for _ in range(2):
            seen = await log.objects.changed(seen)
        assert status_of(log) == {"renewAt": 2}
