"""Rules in a whole router: begun, changed and forgotten with the configuration; and whatever is killed when, each
firing is told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.events.log import inline, open_log
from routerd.events.types import StoredEvent
from routerd.rules.derived import DerivedMachine
from routerd.rules.machine import RuleMachine
from routerd.rules.rule_run import consumer_of
from tests.router.mortal import Mortal
from tests.router.rig import LEASED, WAN, Rig, crashes, document, until

EACH = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: each}
      spec:
        pattern: {operator: any_of, topic: routerd.dhcpv4.client.*.sent}
        emit: {topic: home.each, attributes: {what: "${event.type}"}}
"""
PAIRS = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: pairs}
      spec:
        pattern: {operator: count, topic: routerd.dhcpv4.client.*.sent, threshold: 2}
        emit: {topic: home.pairs}
"""
ONLINE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: DerivedEvent
      metadata: {name: online}
      spec:
        topic: home.online
        inputs: [{field: "${DHCPv4Client/wan.status.phase}", equals: Bound}]
"""


def bound(rig: Rig) -> bool:
    return rig.addresses() == [LEASED]


def told(events: list[StoredEvent], topic: str) -> list[tuple[int, ...]]:
    """The causes of every event of a topic."""
    return [stored.event.causes for stored in events if stored.event.topic == topic]


async def test_rules_come_and_go_with_the_configuration(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path, config=document(WAN % "", EACH, PAIRS, ONLINE))
    async with rig.surroundings(lease_time=60):
        async with rig.live() as reload:
            await until(lambda: bound(rig))
            await trio.sleep(40)
            status = await rig.status_of("EventRule/each")
            assert status["phase"] == "Active"
            assert status["fireCount"] >= 3
            online = await rig.status_of("DerivedEvent/online")
            assert (online["phase"], online["asserted"]) == ("Asserted", True)
            assert await rig.unready() == []
            assert (await rig.ask("/status")).json["status"]["phase"] == "Healthy"
            before = await rig.status_of("EventRule/pairs")
            assert (before["observedGeneration"], before["conditions"][0]["status"]) == (1, "True")
            rig.config_path.write_text(document(WAN % "", EACH.replace("any_of", "throttle"), PAIRS))
            await reload()
            await trio.sleep(1)
            assert (await rig.status_of("EventRule/each"))["fireCount"] == 0
            after = await rig.status_of("EventRule/pairs")
            assert (after["observedGeneration"], after["fireCount"]) == (2, before["fireCount"])
            assert (await rig.ask("/describe", target="DerivedEvent/online")).status == 404
            await trio.sleep(40)
            assert (await rig.status_of("EventRule/each"))["fireCount"] == 1
            rig.config_path.write_text(document(WAN % ""))
            await reload()
            await trio.sleep(1)
            assert (await rig.ask("/describe", target="EventRule/each")).status == 404
        events = await rig.events()
        sent = [e.id for e in events if e.event.topic.endswith(".sent")]
        assert set(told(events, "home.each")) <= {(number,) for number in sent}
        [asserted] = told(events, "home.online.asserted")
        assert events[asserted[0] - 1].event.topic == "routerd.resource.status.changed"
        async with open_log(rig.state_dir / "routerd.db", run_sync=inline) as log:
            assert log.consumers.get(consumer_of("each")) is None
        assert crashes(events, caplog) == []


@pytest.mark.req("C5", "breaks")
async def test_each_firing_is_told_once_whatever_was_killed(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Life after life of the same router, each killed a little later than the one before."""
    rig = Rig(tmp_path, config=document(WAN % "", EACH, PAIRS))
    async with rig.surroundings(lease_time=60):
        async with rig.live():
            await trio.sleep(1)
        began = max(e.id for e in await rig.events())
        for last in range(1, 60, 3):
            mortal = Mortal(rig, last)
            async with rig.live(mortal.hold):
                with trio.move_on_after(36):
                    await mortal.dead.wait()
        async with rig.live():
            await until(lambda: bound(rig))
            await trio.sleep(40)
        events = await rig.events()
    sent = [e.id for e in events if e.event.topic.endswith(".sent") and e.id > began]
    assert len(sent) > 20
    assert [causes for causes in told(events, "home.each") if causes[0] > began] == [(number,) for number in sent]
    pairs = [number for causes in told(events, "home.pairs") for number in causes if number > began]
    assert pairs in (sent[: len(pairs)], sent[1 : len(pairs) + 1]), "each event is in one pair, with its neighbour"
    assert len(sent) - len(pairs) <= 2
    assert crashes(events, caplog) == []


@pytest.mark.parametrize(("document_of", "label"), [(PAIRS, "EventRule/pairs"), (ONLINE, "DerivedEvent/online")])
async def test_a_rule_with_a_defect_says_so_and_goes_on(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, document_of: str, label: str
) -> None:
    """What it had seen is not lost, and nobody else notices."""
    rig = Rig(tmp_path, config=document(WAN % "", EACH, document_of))
    machine = RuleMachine if label.startswith("EventRule") else DerivedMachine
    handle, broken = machine.handle, False

    def fragile(self: Any, event: Any, now: float) -> Any:
        if broken and "each" not in str(getattr(self, "_emit", "")):
            raise ZeroDivisionError("a defect")
        return handle(self, event, now)

    monkeypatch.setattr(machine, "handle", fragile)
    async with rig.surroundings(lease_time=60):
        async with rig.live():
            await until(lambda: bound(rig))
            broken = True
            await trio.sleep(45)
            status = await rig.status_of(label)
            assert (status["phase"], status["reason"]) == ("Error", "CrashLoop")
            assert status["message"] == "ZeroDivisionError: a defect"
            broken = False
            await trio.sleep(90)
            status = await rig.status_of(label)
            assert status["phase"] in ("Active", "Asserted")
            assert status.keys().isdisjoint({"reason", "message"})
        events = await rig.events()
    sent = [e.id for e in events if e.event.topic.endswith(".sent")]
    assert len(told(events, "home.each")) in (len(sent), len(sent) - 1)
    if label == "EventRule/pairs":
        pairs = [number for causes in told(events, "home.pairs") for number in causes]
        assert pairs == sorted(set(pairs))
        assert len(sent) - len(pairs) <= 3
    crashed = [e.event for e in events if e.event.topic == "routerd.daemon.lifecycle.crashed"]
    assert crashed
    assert all(str(event.resource) == label for event in crashed)
