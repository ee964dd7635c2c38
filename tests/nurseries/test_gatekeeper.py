"""Who keeps the gate: it looks anew when anything has changed, or is due, and only then."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from routerd.config import Router, load
from routerd.controllers.gate import Admission
from routerd.events.types import Ref, Status
from routerd.host.simulated_clock import SimulatedClock
from routerd.nurseries.gatekeeper import Gatekeeper
from routerd.sim.world import World
from tests.controllers.scene import LAN, WAN, document, resource

WAN_REF, HOME = Ref("Interface", "wan"), Ref("IPv4StaticAddress", "home")
UP: dict[Ref, Status] = {WAN_REF: {"phase": "Up"}}
DOWN: dict[Ref, Status] = {WAN_REF: {"phase": "Down"}}


def router(**match: object) -> Router:
    when = {"state": {"Interface/wan.phase": {"equals": "Up", **match}}}
    home = resource("IPv4StaticAddress", "home", interface="lan", address="192.168.1.1/24", when=when)
    return load(document(WAN, LAN, home), "test")


def is_in(admission: Admission) -> bool:
    return admission.router.get("IPv4StaticAddress", "home") is not None


async def test_one_look_is_for_all_until_something_changes(autojump_clock: MockClock) -> None:
    keeper, declared = Gatekeeper(SimulatedClock(World(0)), ()), router()
    first = keeper.look(declared, UP, 1)
    assert is_in(first)
    assert keeper.look(declared, DOWN, 1) is first, "the same version has the same objects"
    assert not is_in(keeper.look(declared, DOWN, 2))
    assert is_in(keeper.look(router(equals="Down"), DOWN, 2)), "another configuration"


async def test_it_looks_anew_when_time_is_up_and_when_somebody_is_heard(autojump_clock: MockClock) -> None:
    keeper, declared = Gatekeeper(SimulatedClock(World(0)), [WAN_REF]), router(**{"for": "10s"})
    assert HOME in keeper.look(declared, UP, 1).undecided
    assert not keeper.hear([HOME])
    assert keeper.hear([WAN_REF])
    assert not keeper.hear([WAN_REF]), "that is no news"
    waiting = keeper.look(declared, UP, 1)
    assert waiting.undecided[HOME].message == 'Interface/wan.phase is "Up", but not yet for 10s'
    await trio.sleep(9.9)
    assert keeper.look(declared, UP, 1) is waiting
    await trio.sleep(0.1)
    assert is_in(keeper.look(declared, UP, 1))


async def test_a_clock_that_is_set_has_other_words_for_the_next_look(autojump_clock: MockClock) -> None:
    clock = SimulatedClock(World(0))
    keeper, declared = Gatekeeper(clock, ()), router(**{"for": "10s"})
    first = keeper.look(declared, UP, 1).undecided[HOME].next_look
    clock.step_wall(3600)
    second = keeper.look(declared, UP, 1).undecided[HOME].next_look
    assert first == "2026-01-01T00:00:10Z"
    assert second == "2026-01-01T01:00:10Z"


async def test_a_preview_has_no_consequences(autojump_clock: MockClock) -> None:
    keeper = Gatekeeper(SimulatedClock(World(0)), ())
    before = keeper.look(router(), UP, 1)
    assert not is_in(keeper.preview(router(equals="Down"), UP))
    assert keeper.preview(router(), UP) == before
    assert is_in(keeper.look(router(), {}, 2)), "what was let in stays in while nothing is known"


async def test_it_rings_when_time_is_up(autojump_clock: MockClock) -> None:
    keeper, declared, rung = Gatekeeper(SimulatedClock(World(0)), ()), router(**{"for": "10s"}), []
    version = 0

    def ring(why: str) -> None:
        rung.append((why, trio.current_time()))
        keeper.bell.ring(why)

    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(keeper.run, lambda: keeper.look(declared, UP, version), ring)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert [(why, at - began) for why, at in rung] == [("conditions", 10.0)]
