"""The gate: who is let in, who is held, on whom nobody has decided; and what the controllers make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.config import load
from routerd.controllers.address import AddressController
from routerd.controllers.gate import Admission, Past, admit
from routerd.controllers.interface import InterfaceController
from routerd.controllers.route import RouteController
from routerd.controllers.view import View
from routerd.events.types import Ref, Status
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    ETH0,
    ETH1,
    GATEWAY,
    LAN,
    LAN_REF,
    WAN,
    WAN_REF,
    Scene,
    acquiring,
    address,
    bound,
    document,
    lease,
    resource,
    route,
    said,
    starting,
)

UP: Status = {"phase": "Up"}
DOWN: Status = {"phase": "Down"}
HOME, LAB = Ref("IPv4StaticAddress", "home"), Ref("IPv4Route", "lab")


def on(key: str = "Interface/wan.phase", **match: Any) -> dict[str, Any]:
    return {"state": {key: match or {"equals": "Up"}}}


def home(**spec: Any) -> dict[str, Any]:
    return resource("IPv4StaticAddress", "home", interface="lan", address="192.168.1.1/24", **spec)


def lab(**spec: Any) -> dict[str, Any]:
    return resource("IPv4Route", "lab", **{"destination": "10.20.0.0/16", "gateway": "192.168.1.2", **spec})


CONDITIONAL = (WAN, LAN, home(when=on()))


def gate(
    resources: Sequence[dict[str, Any]],
    objects: Mapping[Ref, Status],
    past: Past | None = None,
    now: float = 0,
    unheard: Sequence[Ref] = (),
) -> tuple[Admission, Past]:
    return admit(load(document(*resources), "test"), objects, now, past, unheard, 1_700_000_000_000_000_000)


def fate(admission: Admission, ref: Ref) -> str:
    if admission.router.get(ref.kind, ref.name) is not None:
        return "in"
    return admission.held[ref].reason if ref in admission.held else "undecided"


def test_without_conditions_all_are_let_in() -> None:
    admission, _ = gate([WAN, LAN, home()], {})
    assert len(admission.router.resources) == 3
    assert not (admission.held or admission.undecided)


def test_a_condition_lets_in_or_holds() -> None:
    assert fate(gate(CONDITIONAL, {WAN_REF: UP})[0], HOME) == "in"
    admission, _ = gate(CONDITIONAL, {WAN_REF: DOWN})
    assert fate(admission, HOME) == "WhenFalse"
    assert admission.held[HOME].message == 'Interface/wan.phase is "Down", not "Up"'
    assert admission.grounds[HOME] == (WAN_REF,)
    assert [r.name for r in admission.router.resources] == ["wan", "lan"]


def test_a_dependency_lets_in_or_holds() -> None:
    resources = [WAN, CLIENT, lab(dependsOn=[{"resource": "DHCPv4Client/wan", "phase": "Bound"}])]
    assert fate(gate(resources, {CLIENT_REF: bound(lease("203.0.113.50/24"))})[0], LAB) == "in"
    assert fate(gate(resources, {CLIENT_REF: acquiring()})[0], LAB) == "DependsOnFalse"


UNKNOWN: Mapping[Ref, Status] = {}


@pytest.mark.parametrize(
    ("before", "after"),
    [({WAN_REF: UP}, "in"), ({WAN_REF: DOWN}, "WhenFalse"), (UNKNOWN, "undecided")],
)
def test_what_is_not_known_decides_nothing(before: Mapping[Ref, Status], after: str) -> None:
    past = gate(CONDITIONAL, before)[1]
    for _ in range(3):
        admission, past = gate(CONDITIONAL, UNKNOWN, past)
        assert fate(admission, HOME) == after


@pytest.mark.parametrize(
    ("stored", "after"),
    [
        ({"phase": "Applied", "reason": "Applied"}, "in"),
        ({"phase": "Pending", "reason": "LinkAbsent"}, "in"),
        ({"phase": "Pending", "reason": "WhenFalse"}, "WhenFalse"),
        ({"phase": "Pending", "reason": "Undecided"}, "undecided"),
        (None, "undecided"),
    ],
)
def test_what_an_earlier_life_decided_stands(stored: Status | None, after: str) -> None:
    objects = {WAN_REF: DOWN} | ({} if stored is None else {HOME: stored})
    assert fate(gate(CONDITIONAL, objects, unheard=[WAN_REF])[0], HOME) == after
    assert fate(gate(CONDITIONAL, objects)[0], HOME) == "WhenFalse", "once it is heard it counts"


@pytest.mark.parametrize(("stored", "after"), [(starting(), "undecided"), ({"reason": "WhenFalse"}, "WhenFalse")])
def test_a_client_is_started_on_a_yes_alone(stored: Status, after: str) -> None:
    client = resource("DHCPv4Client", "wan", interface="wan", when=on("Interface/lan.phase"))
    assert fate(gate([WAN, LAN, client], {CLIENT_REF: stored})[0], CLIENT_REF) == after
    running = gate([WAN, LAN, client], {LAN_REF: UP})[1]
    assert fate(gate([WAN, LAN, client], {}, running)[0], CLIENT_REF) == "in", "but it is not stopped for a may-be"


def test_a_condition_that_comes_with_a_reload_leaves_what_is_there() -> None:
    past = gate([WAN, LAN, home()], UNKNOWN)[1]
    assert fate(gate(CONDITIONAL, UNKNOWN, past)[0], HOME) == "in"


def test_held_comes_with_what_cannot_do_without() -> None:
    lan = resource("Interface", "lan", ifname="eth1", when=on())
    by_lan = lab(device="lan")
    from_lan = resource(
        "IPv4Route", "far", destination="10.0.0.0/8", gatewayFrom={"resource": "IPv4Route/lab", "field": "gateway"}
    )
    optional = resource(
        "IPv4Route",
        "near",
        destination="10.1.0.0/16",
        device="wan",
        gatewayFrom={"resource": "IPv4Route/lab", "field": "gateway", "optional": True},
    )
    resources = [WAN, lan, home(), by_lan, from_lan, optional]
    admission, _ = gate(resources, {WAN_REF: DOWN})
    assert [r.name for r in admission.router.resources] == ["wan", "near"]
    assert admission.held[HOME].message == 'Interface/lan waits: Interface/wan.phase is "Down", not "Up"'
    assert {held.message for ref, held in admission.held.items() if ref != LAN_REF} == {admission.held[HOME].message}
    assert {admission.grounds[ref] for ref in admission.held} == {(WAN_REF,)}
    undecided, _ = gate(resources, UNKNOWN)
    assert undecided.undecided.keys() == admission.held.keys()


def test_held_comes_before_undecided() -> None:
    lan = resource("Interface", "lan", ifname="eth1", when=on("DHCPv4Client/wan.phase", equals="Bound"))
    both = home(when=on())
    assert fate(gate([WAN, CLIENT, lan, both], {WAN_REF: DOWN})[0], HOME) == "WhenFalse"
    assert fate(gate([WAN, CLIENT, lan, both], {WAN_REF: UP})[0], HOME) == "undecided"
    held = resource("Interface", "lan", ifname="eth1", when=on())
    unknown = home(when=on("DHCPv4Client/wan.phase", equals="Bound"))
    assert fate(gate([WAN, CLIENT, held, unknown], {WAN_REF: DOWN})[0], HOME) == "WhenFalse"


def test_who_waits_for_somebody_undecided_is_undecided() -> None:
    """What is said of somebody undecided is nothing that others may act on."""
    client = resource("DHCPv4Client", "wan", interface="wan", when=on("Interface/lan.phase"))
    resources = [WAN, LAN, client, lab(dependsOn=[{"resource": "DHCPv4Client/wan", "phase": "Bound"}])]
    stored = {CLIENT_REF: starting(), LAB: {"phase": "Installed", "reason": "Installed"}}
    admission, past = gate(resources, stored)
    assert (fate(admission, CLIENT_REF), fate(admission, LAB)) == ("undecided", "in")
    told = {**stored, CLIENT_REF: admission.undecided[CLIENT_REF].status(1)}
    assert fate(gate(resources, told, past)[0], LAB) == "in"


def test_the_next_look_is_told_and_stays() -> None:
    resources = [
        WAN,
        LAN,
        home(when=on(equals="Up") | {"state": {"Interface/wan.phase": {"equals": "Up", "for": "10s"}}}),
    ]
    past = gate(resources, {WAN_REF: DOWN})[1]
    first, past = gate(resources, {WAN_REF: UP}, past, now=5)
    assert first.deadline == 15
    assert first.held[HOME].next_look == "2023-11-14T22:13:35Z"
    second, past = gate(resources, {WAN_REF: UP}, past, now=14.999)
    assert second.held == first.held
    third, _ = gate(resources, {WAN_REF: UP}, past, now=15)
    assert fate(third, HOME) == "in"
    assert third.deadline is None


def test_the_status_of_who_is_held() -> None:
    held = gate(CONDITIONAL, {WAN_REF: DOWN})[0].held[HOME].status(7)
    message = 'Interface/wan.phase is "Down", not "Up"'
    [condition] = held["conditions"]
    assert condition == {
        "type": "Admitted",
        "status": "False",
        "reason": "WhenFalse",
        "message": message,
        "observedGeneration": 7,
    }
    assert {key: held[key] for key in held if key != "conditions"} == {
        "phase": "Pending",
        "reason": "WhenFalse",
        "message": message,
        "observedGeneration": 7,
    }
    [condition] = gate(CONDITIONAL, UNKNOWN)[0].undecided[HOME].status(7)["conditions"]
    assert condition["status"] == "Unknown"


@given(st.lists(st.sampled_from(["Up", "Down", "unknown"]), min_size=1, max_size=8))
def test_only_a_yes_or_a_no_moves_anything(course: Sequence[str]) -> None:
    past: Past | None = None
    decided = "undecided"
    for phase in course:
        admission, past = gate(CONDITIONAL, {WAN_REF: {"phase": phase}}, past)
        decided = {"Up": "in", "Down": "WhenFalse"}.get(phase, decided)
        assert fate(admission, HOME) == decided


# What the controllers make of it


def gated(scene: Scene, past: Past | None = None) -> View:
    """The view of a scene behind its gate."""
    view = scene.view()
    admission, _ = admit(view.router, view.objects, view.now, past)
    return attrs.evolve(view, router=admission.router, declared=view.router, admission=admission)


PLACED = address(ETH1, "192.168.1.1/24")
LABELLED = route("10.20.0.0/16", ETH1, "192.168.1.2")


def test_a_held_address_goes_and_says_why() -> None:
    scene = Scene(CONDITIONAL, addresses=[PLACED], objects={WAN_REF: DOWN})
    view = gated(scene)
    [step] = AddressController().plan(view)
    assert step.message == "removed 192.168.1.1/24 from eth1"
    assert step.resource == HOME
    assert WAN_REF in step.because, "this is why"
    judgement = AddressController().judge(view, {})
    assert judgement.statuses[HOME]["reason"] == "WhenFalse"
    assert judgement.gone == []
    assert WAN_REF in judgement.because[HOME]


def test_an_undecided_address_stays_as_it_is() -> None:
    there = gated(Scene(CONDITIONAL, addresses=[PLACED]))
    absent = gated(Scene(CONDITIONAL))
    assert AddressController().plan(there) == []
    assert AddressController().plan(absent) == []
    assert AddressController().judge(absent, {}).statuses[HOME]["reason"] == "Undecided"


def test_routes_by_a_held_address_go_first() -> None:
    by_home = lab(preferredSource="192.168.1.1")
    leaning = attrs.evolve(LABELLED, source=PLACED.address.ip)
    scene = Scene([*CONDITIONAL, by_home], addresses=[PLACED], routes=[leaning], objects={WAN_REF: DOWN})
    view = gated(scene)
    assert AddressController().plan(view) == []
    assert said(RouteController().plan(view)) == ["removed the route to 10.20.0.0/16 via 192.168.1.2 dev eth1"]
    scene.routes = []
    assert said(AddressController().plan(gated(scene))) == ["removed 192.168.1.1/24 from eth1"]


def test_a_held_route_goes_and_an_undecided_one_stays() -> None:
    needed = lab(dependsOn=[{"resource": "Interface/wan", "phase": "Up"}])
    held = Scene([WAN, LAN, needed], routes=[LABELLED], addresses=[PLACED], objects={WAN_REF: DOWN})
    [step] = RouteController().plan(gated(held))
    assert step.resource == LAB
    assert RouteController().judge(gated(held), {}).statuses[LAB]["reason"] == "DependsOnFalse"
    undecided = attrs.evolve(held, objects={})
    assert RouteController().plan(gated(undecided)) == []


def test_a_held_route_goes_also_while_its_gateway_is_not_known() -> None:
    needed = lab(
        device="lan",
        gatewayFrom={"resource": "DHCPv4Client/wan", "field": "gateway", "optional": True},
        dependsOn=[{"resource": "Interface/wan", "phase": "Up"}],
    )
    del needed["spec"]["gateway"]
    scene = Scene([WAN, LAN, CLIENT, needed], routes=[LABELLED], addresses=[PLACED])
    scene.objects = {CLIENT_REF: starting(), WAN_REF: UP}
    assert RouteController().plan(gated(scene)) == [], "it may be right as it is"
    scene.objects = {CLIENT_REF: starting(), WAN_REF: DOWN}
    assert said(RouteController().plan(gated(scene))) == ["removed the route to 10.20.0.0/16 via 192.168.1.2 dev eth1"]


def test_the_lease_of_a_held_client_goes_once_it_has_said_goodbye() -> None:
    client = resource("DHCPv4Client", "wan", interface="wan", when=on("Interface/lan.phase"))
    leased = address(ETH0, "203.0.113.50/24")
    way = route("0.0.0.0/0", ETH0, GATEWAY, metric=100, source="203.0.113.50")
    status = bound(lease("203.0.113.50/24"))
    scene = Scene([WAN, LAN, client], addresses=[leased], routes=[way], objects={CLIENT_REF: status, LAN_REF: DOWN})
    view = gated(scene)
    assert RouteController().plan(view) == []
    assert AddressController().plan(view) == []
    scene.objects[CLIENT_REF] = view.admission.held[CLIENT_REF].status(1)
    view = gated(scene)
    assert len(RouteController().plan(view)) == 1
    scene.routes = []
    [step] = AddressController().plan(gated(scene))
    assert step.resource == CLIENT_REF


def test_the_metric_of_a_client_is_its_own_while_another_is_held() -> None:
    first = resource("DHCPv4Client", "first", interface="lan", when=on())
    scene = Scene(
        [WAN, LAN, first, CLIENT],
        addresses=[address(ETH0, "203.0.113.50/24")],
        objects={CLIENT_REF: bound(lease("203.0.113.50/24")), WAN_REF: DOWN},
    )
    [step] = RouteController().plan(gated(scene))
    assert "metric=101" in repr(step)


def test_a_held_interface_is_left_alone() -> None:
    lan = resource("Interface", "lan", ifname="eth1", mtu=1400, when=on())
    down = attrs.evolve(ETH1, admin_up=False, carrier=False)
    view = gated(Scene([WAN, lan], links=[ETH0, down], objects={WAN_REF: DOWN}))
    assert InterfaceController().plan(view) == []
    judgement = InterfaceController().judge(view, {})
    assert judgement.statuses[LAN_REF]["reason"] == "WhenFalse"
    assert WAN_REF in judgement.because[LAN_REF]
