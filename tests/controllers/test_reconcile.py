"""One round of a controller: what it does, and what it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.config import load
from routerd.controllers.picture import Picture, thing_of
from routerd.controllers.planner import Blocked, Judgement, Step
from routerd.controllers.reconcile import TOLD_SINGLY, HostReconciler
from routerd.controllers.view import View
from routerd.events.incidents import Incidents
from routerd.events.log import Log, inline, open_log
from routerd.events.status import differs
from routerd.events.types import Event, Ref
from routerd.host import Address, Change, PutAddress, PutRoute, RemoveAddress, Resynced, SetLink
from routerd.host.simulated import SimulatedHost, open_host
from routerd.sim.world import World
from tests.controllers.scene import LAN, document, link, route
from tests.controllers.scene import address as address_on

LINK = link(1, "eth0")
ONE, OTHER = Ref("IPv4StaticAddress", "one"), Ref("IPv4StaticAddress", "other")


def step(change: Change, resource: Ref = ONE, message: str = "did it", topic: str = "routerd.test.done") -> Step:
    return Step(change, resource, topic, "Done", message)


def put(text: str, resource: Ref = ONE, **more: Any) -> Step:
    return step(PutAddress(address_on(LINK, text)), resource, f"put {text}", **more)


IMPOSSIBLE = step(SetLink(1, mtu=65535), OTHER, "set eth0 mtu 65535")
REFUSAL = "mtu greater than device maximum"


@attrs.define
class Script:
    """A planner that wants what it is told to want, and judges what was refused."""

    steps: Callable[[View], Sequence[Step | Blocked]]
    name: str = "script"
    kinds: tuple[str, ...] = ("IPv4StaticAddress",)
    judgement: Judgement = attrs.field(factory=Judgement)
    refused: list[dict[Ref, str]] = attrs.field(factory=list)

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        return self.steps(view)

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        self.refused.append(dict(refused))
        return self.judgement


@attrs.define
class Rig:
    """A reconciler on a simulated host with one link, and a real log."""

    host: SimulatedHost
    log: Log
    picture: Picture
    incidents: Incidents = attrs.field(factory=Incidents)

    def look(self) -> View:
        self.picture.note(Resynced(self.host.snapshot()))
        objects = {stored.ref: stored.status for stored in self.log.objects.all()}
        versions = {stored.ref: stored.version for stored in self.log.objects.all()}
        return View(
            load(document(LAN), "test"), 1, objects, self.picture, self.host.clock.now(), versions, self.incidents
        )

    def reconciler(self, *steps: Step | Blocked) -> HostReconciler:
        return self.planning(Script(lambda view: steps))

    def planning(self, script: Script) -> HostReconciler:
        return HostReconciler(script, self.look, self.host, self.log)

    async def events(self) -> list[Event]:
        """All that was told, without what the store says of objects."""
        page = await self.log.read(0, limit=10_000)
        return [stored.event for stored in page.events if not stored.event.topic.startswith("routerd.resource.")]

    async def told(self) -> list[str]:
        return [event.message for event in await self.events()]

    def own(self) -> list[Address]:
        return list(self.host.snapshot().addresses)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


@asynccontextmanager
async def rigged(path: Path) -> AsyncIterator[Rig]:
    world = World()
    world.add_link("eth0", "segment", admin_up=True)
    async with open_host(world) as host, open_log(path / "log.db", run_sync=inline) as log:
        yield Rig(host, log, Picture())


async def test_steps_are_taken_and_told(rig: Rig) -> None:
    assert await rig.reconciler(put("10.0.0.1/24"), put("10.0.0.2/24"))("start") == {}
    assert [str(a.address) for a in rig.own()] == ["10.0.0.1/24", "10.0.0.2/24"]
    first, _ = await rig.events()
    assert (first.topic, first.reason, first.resource) == ("routerd.test.done", "Done", ONE)
    assert first.source is not None
    assert first.source.name == "routerd-controller-script"


async def test_what_is_done_is_in_the_picture_before_its_notice_comes(rig: Rig) -> None:
    seen: list[bool] = []

    def steps(view: View) -> list[Step]:
        return [put("10.0.0.1/24")]

    script = Script(steps)
    reconcile = rig.planning(script)
    await reconcile("start")
    seen.append((1, "10.0.0.1/24") in rig.picture.addresses)
    assert seen == [True]


async def test_a_step_without_a_topic_is_taken_in_silence(rig: Rig) -> None:
    await rig.reconciler(put("10.0.0.1/24", topic=""))("start")
    assert len(rig.own()) == 1
    assert await rig.told() == []


async def test_a_refusal_stops_no_other_step(rig: Rig) -> None:
    script = Script(lambda view: [IMPOSSIBLE, put("10.0.0.1/24")])
    assert await rig.planning(script)("start") == {OTHER: REFUSAL}
    assert len(rig.own()) == 1
    assert script.refused == [{OTHER: REFUSAL}]
    [done, refusal] = await rig.events()
    assert done.message == "put 10.0.0.1/24"
    assert refusal.message == f"could not set eth0 mtu 65535: {REFUSAL}"
    assert (refusal.severity, refusal.topic) == ("warning", "routerd.controller.script.refused")


async def test_a_refusal_is_told_once_and_again_when_it_comes_back(rig: Rig) -> None:
    wanted: list[Step | Blocked] = [IMPOSSIBLE]
    reconcile = rig.planning(Script(lambda view: wanted))
    for _ in range(5):
        await reconcile("retry")
    assert len(await rig.told()) == 1
    wanted.clear()
    await reconcile("configuration")
    wanted.append(IMPOSSIBLE)
    await reconcile("configuration")
    assert len(await rig.told()) == 2


async def test_another_reason_for_the_same_refusal_is_news(rig: Rig) -> None:
    nexthop = step(PutRoute(route("10.9.0.0/16", LINK, "10.0.0.254")), ONE, "installed the route")
    reconcile = rig.reconciler(nexthop)
    await reconcile("start")
    rig.host.set_link(1, admin_up=False)
    await reconcile("host")
    reasons = ("Nexthop has invalid gateway", "Device for nexthop is not up")
    assert await rig.told() == [f"could not install the route: {reason}" for reason in reasons]


async def test_two_refusals_for_one_resource_are_both_told(rig: Rig) -> None:
    low = step(SetLink(1, mtu=60), OTHER, "set eth0 mtu 60")
    reconcile = rig.reconciler(IMPOSSIBLE, low)
    await reconcile("start")
    await reconcile("retry")
    refusals = {"65535": REFUSAL, "60": "mtu less than device minimum"}
    assert await rig.told() == [f"could not set eth0 mtu {mtu}: {words}" for mtu, words in refusals.items()]


async def test_what_is_blocked_counts_as_refused_and_is_told_once(rig: Rig) -> None:
    script = Script(lambda view: [Blocked(ONE, "somebody has it", {"place": "here"})])
    reconcile = rig.planning(script)
    assert await reconcile("start") == {ONE: "somebody has it"}
    await reconcile("retry")
    [event] = await rig.events()
    assert (event.message, dict(event.attributes), event.resource) == ("somebody has it", {"place": "here"}, ONE)


async def test_many_alike_are_one_event(rig: Rig) -> None:
    many = [put(f"10.0.{n}.1/24") for n in range(TOLD_SINGLY + 1)]
    await rig.reconciler(*many, put("10.1.0.1/24", OTHER))("start")
    summary, single = await rig.events()
    assert summary.message == f"put 10.0.0.1/24, and {TOLD_SINGLY} more like it"
    assert summary.attributes == {"count": str(TOLD_SINGLY + 1)}
    assert (summary.resource, single.resource) == (ONE, OTHER)


async def test_statuses_are_stored_with_the_events_and_only_when_they_differ(rig: Rig) -> None:
    status = {"phase": "Applied", "conditions": [{"type": "Applied", "status": "True", "reason": "Applied"}]}
    script = Script(lambda view: [], judgement=Judgement({ONE: status}))
    reconcile = rig.planning(script)
    await reconcile("start")
    version = rig.log.objects.version
    stored = rig.log.objects.get(ONE)
    assert stored is not None
    assert "lastTransitionTime" in stored.status["conditions"][0]
    await reconcile("objects")
    assert rig.log.objects.version == version, "nothing new, nothing written: else it would wake itself for ever"
    script.judgement = Judgement(gone=[ONE, OTHER])
    await reconcile("configuration")
    assert rig.log.objects.get(ONE) is None


def test_what_differs() -> None:
    dated = {"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert not differs({"conditions": [dated]}, {"conditions": [{"type": "A", "status": "True"}]})
    assert differs({"conditions": [dated]}, {"conditions": [{"type": "A", "status": "False"}]})
    assert differs(None, {})
    assert differs({"phase": "Up"}, {"phase": "Up", "mtu": 1500})


@attrs.define
class Saboteur:
    """A host that behaves as the other one until it has done so much."""

    host: SimulatedHost
    left: int
    how: Callable[[], Any]

    async def apply(self, change: Change) -> None:
        self.left -= 1
        if self.left < 0:
            await self.how()
        await self.host.apply(change)


async def crash() -> None:
    await trio.lowlevel.checkpoint()
    raise OSError("too many open files")


async def test_a_crash_half_way_does_not_hide_what_was_done(rig: Rig) -> None:
    host: Any = Saboteur(rig.host, 1, crash)
    script = Script(lambda view: [put("10.0.0.1/24"), put("10.0.0.2/24")])
    with pytest.raises(OSError, match="too many open files"):
        await HostReconciler(script, rig.look, host, rig.log)("start")
    assert await rig.told() == ["put 10.0.0.1/24"]


async def test_the_end_of_routerd_half_way_does_not_hide_what_was_done(rig: Rig, autojump_clock: MockClock) -> None:
    host: Any = Saboteur(rig.host, 1, trio.sleep_forever)
    script = Script(lambda view: [put("10.0.0.1/24"), put("10.0.0.2/24")])
    with trio.move_on_after(1):
        await HostReconciler(script, rig.look, host, rig.log)("start")
    assert await rig.told() == ["put 10.0.0.1/24"]


# What decided


async def causes_of(rig: Rig, ref: Ref = ONE) -> tuple[int, ...]:
    """Of the last event that tells of another status."""
    page = await rig.log.read(0, limit=10_000)
    changes = [s.event for s in page.events if s.event.topic == "routerd.resource.status.changed"]
    return [event for event in changes if event.resource == ref][-1].causes


async def test_the_newest_of_the_inputs_decides(rig: Rig) -> None:
    await rig.log.append(status={OTHER: {"phase": "Applied"}})  # 1
    await rig.log.append(Event("routerd.interface.link.down"))  # 2
    inputs = (OTHER, 2, 0, Ref("Interface", "gone"))
    judgement = Judgement({ONE: {"phase": "Pending"}}, because={ONE: inputs})
    taken = attrs.evolve(put("10.0.0.1/24", OTHER), because=inputs)
    reconcile = rig.planning(Script(lambda view: [taken], judgement=judgement))
    await reconcile("objects")
    assert await causes_of(rig) == (2,)
    assert (await rig.events())[-1].causes == (2,)
    await rig.log.append(status={OTHER: {"phase": "Pending"}})
    version = rig.log.newest
    script = Script(lambda view: [], judgement=attrs.evolve(judgement, statuses={ONE: {"phase": "Applied"}}))
    await rig.planning(script)("objects")
    assert await causes_of(rig) == (version,)


async def test_what_was_done_for_a_resource_decided_its_status(rig: Rig) -> None:
    judgement = Judgement({ONE: {"phase": "Applied"}}, because={ONE: (1,)})
    await rig.log.append(Event("routerd.test"))
    script = Script(lambda view: [put("10.0.0.1/24"), put("10.0.0.2/24", OTHER)], judgement=judgement)
    await rig.planning(script)("start")
    assert await causes_of(rig) == (2,)


@pytest.mark.parametrize(("reason", "causes"), [("HostRefused", (2,)), ("LinkAbsent", (1,))])
async def test_a_refusal_decided_if_that_is_what_the_status_says(
    rig: Rig, reason: str, causes: tuple[int, ...]
) -> None:
    await rig.log.append(Event("routerd.interface.link.gone"))
    judgement = Judgement({OTHER: {"phase": "Error", "reason": reason}}, because={OTHER: (1,)})
    steps = [attrs.evolve(IMPOSSIBLE, because=(1,))]
    await rig.planning(Script(lambda view: steps, judgement=judgement))("host")
    assert await causes_of(rig, OTHER) == causes
    assert (await rig.events())[-1].causes == (), "why we wanted it is not why it was refused"


async def test_what_somebody_keeps_taking_away_is_why_it_rests(rig: Rig) -> None:
    reconcile = rig.reconciler(put("10.0.0.1/24"))
    for _ in range(6):
        await reconcile("host")
        [taken] = await rig.log.append(Event("routerd.interface.address.taken"))
        rig.incidents.happened(thing_of(put("10.0.0.1/24").change), taken)
        for own in rig.own():
            rig.host.remove_address(own)
    [refusal] = [event for event in await rig.events() if event.reason == "HostRefused"]
    assert refusal.causes == (taken - 2,), "what was known when it was refused"


# Somebody else's hands


async def test_who_keeps_undoing_what_we_do_does_not_set_the_pace(rig: Rig, autojump_clock: MockClock) -> None:
    """It is put back at once, but not hundreds of times a second, and the log is not filled."""
    reconcile = rig.reconciler(put("10.0.0.1/24"))
    for _ in range(100):
        await reconcile("host")
        for own in rig.own():
            rig.host.remove_address(own)
        await trio.sleep(0.1)
    told = await rig.told()
    assert told.count("put 10.0.0.1/24") == 5
    assert told[-1] == "could not put 10.0.0.1/24: somebody keeps undoing it, 5 times within a minute"
    assert len(told) == 6
    await trio.sleep(60)
    assert await reconcile("retry") == {}
    assert len(rig.own()) == 1


async def test_what_we_do_and_undo_ourselves_is_no_contest(rig: Rig) -> None:
    """As a server may have it: another lease every second."""
    wanted: list[Step] = []
    reconcile = rig.planning(Script(lambda view: wanted))
    for _ in range(20):
        wanted[:] = [put("10.0.0.1/24")]
        assert await reconcile("objects") == {}
        wanted[:] = [step(RemoveAddress(address_on(LINK, "10.0.0.1/24")))]
        assert await reconcile("objects") == {}
    wanted.clear()
    for n in range(20):
        wanted[:] = [step(PutRoute(route("10.9.0.0/16", LINK, mtu=1400 + n % 2)))]
        assert await reconcile("objects") == {}


async def test_a_lifetime_that_is_set_again_and_again_is_no_contest(rig: Rig) -> None:
    reconcile = rig.reconciler(put("10.0.0.1/24", topic=""))
    for _ in range(20):
        assert await reconcile("objects") == {}
