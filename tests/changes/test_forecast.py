"""A forecast beside the life of the router: what it does in between, and what it takes no notice of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import trio

from routerd.changes.forecast import Forecaster
from routerd.config import Router, load
from routerd.controllers.gate import Admission
from routerd.controllers.interface import InterfaceController
from routerd.controllers.planner import Blocked, Judgement, Planner, Step
from routerd.controllers.view import View
from routerd.events.types import Ref, Status
from routerd.host import RemoveAddress
from tests.controllers.scene import ETH1, LAN, Scene, address, document


@attrs.define
class Seeing:
    """A planner that does nothing, and notes how often others had their turn before it was asked."""

    turns: list[int]
    asked: list[int] = attrs.field(factory=list)
    name: str = "seeing"
    kinds: tuple[str, ...] = ()

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        self.asked.append(len(self.turns))
        return ()

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        return Judgement({}, (), {})


def forecaster(scene: Scene, *planners: Planner) -> Forecaster:
    def admit(router: Router, objects: Mapping[Ref, Status]) -> Admission:
        return Admission(router)

    return Forecaster(scene.view, admit, lambda: planners, lambda router: {})


async def _take_turns(turns: list[int]) -> None:
    while True:
        await trio.lowlevel.checkpoint()
        turns.append(0)


async def test_others_have_their_turn_between_one_controller_and_the_next() -> None:
    turns: list[int] = []
    seeing = [Seeing(turns) for _ in range(5)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_take_turns, turns)
        await forecaster(Scene([LAN]), *seeing).foresee(load(document(LAN)))
        nursery.cancel_scope.cancel()
    assert seeing[0].asked[0] < seeing[-1].asked[0]


async def test_it_is_of_the_moment_at_which_it_was_asked_for() -> None:
    scene = Scene([LAN], addresses=[address(ETH1, "192.168.1.1/24")])
    down = {**LAN, "spec": {**LAN["spec"], "adminUp": False}}
    foreseen = []

    async def foresee() -> None:
        foreseen.append(await forecaster(scene, InterfaceController()).foresee(load(document(down))))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(foresee)
        await trio.lowlevel.checkpoint()
        scene.picture.links.clear()
        scene.picture.applied(RemoveAddress(scene.addresses[0]))
    assert [*foreseen[0].plans.values()] == [["set eth1 administratively down"]]
