"""Routes of IPv6: the declared ones, and those that keep what is delegated to us from going back."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.controllers.lease6 import LAST_RESORT
from routerd.controllers.planner import Blocked, Step
from routerd.controllers.route import RouteController
from routerd.events.types import Ref, Status
from routerd.host import PutRoute, RemoveRoute, Route
from tests.controllers.scene import ETH0, ETH1, LAN, LAN_REF, NOW, WAN, Scene, link, resource, said
from tests.controllers.scene6 import (
    OTHER,
    PD,
    PD_REF,
    PREFIX,
    SUBNET,
    address6,
    delegated,
    route6,
    silent,
    speaking,
    without_prefix,
)

LAB = Ref("IPv6StaticRoute", "lab")
LAB_NET = "2001:db8:20::/48"
HOME = attrs.evolve(address6(ETH1, "2001:db8:40:1::1/64"), ours=False)
NEIGHBOUR = "2001:db8:40:1::2"
AGGREGATE = route6(PREFIX, None, metric=LAST_RESORT, kind="unreachable")


def declared(**spec: Any) -> dict[str, Any]:
    return resource("IPv6StaticRoute", "lab", **{"destination": LAB_NET, **spec})


def plan(scene: Scene) -> list[Step | Blocked]:
    return list(RouteController().plan(scene.view()))


def changes(scene: Scene) -> list[object]:
    return [step.change if isinstance(step, Step) else step.message for step in plan(scene)]


def scene_of(*resources: dict[str, Any], **changes: Any) -> Scene:
    return attrs.evolve(Scene([WAN, LAN, *resources], addresses=[HOME]), **changes)


def status(scene: Scene) -> Status:
    return RouteController().judge(scene.view(), {}).statuses[LAB]


# Declared ones


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"gateway": NEIGHBOUR}, route6(LAB_NET, ETH1, NEIGHBOUR)),
        ({"device": "lan"}, route6(LAB_NET, ETH1)),
        ({"device": "eth0", "gateway": "fe80::1"}, route6(LAB_NET, ETH0, "fe80::1")),
        ({"device": "wan", "gateway": NEIGHBOUR, "metric": 5}, route6(LAB_NET, ETH0, NEIGHBOUR, metric=5, onlink=True)),
        ({"type": "blackhole"}, route6(LAB_NET, None, kind="blackhole")),
        ({"type": "unreachable", "metric": 7}, route6(LAB_NET, None, metric=7, kind="unreachable")),
        ({"device": "lan", "preferredSource": str(HOME.address.ip)}, route6(LAB_NET, ETH1, source=HOME.address.ip)),
    ],
    ids=["gateway", "device", "link-local", "off-link", "blackhole", "unreachable", "source"],
)
def test_what_is_declared_is_put_once_as_the_kernel_keeps_it(spec: dict[str, Any], expected: Route) -> None:
    scene = scene_of(declared(**spec))
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert step.change == PutRoute(expected)
    assert (step.resource, step.topic) == (LAB, "routerd.ipv6.route.installed")
    scene.routes = [expected]
    assert plan(scene) == []
    told = status(scene)
    assert (told["phase"], told["metric"], told["type"]) == ("Installed", expected.metric, expected.kind)


@pytest.mark.parametrize(
    ("gateway", "device", "words"),
    [
        ("fe80::1", None, "it needs a device"),
        ("192.0.2.1", "lan", "is no IPv6 address"),
        (None, None, "has no defaultGateway now"),
    ],
)
def test_a_gateway_that_another_resource_has(gateway: str | None, device: str | None, words: str) -> None:
    source = {"resource": "IPv6RAAddress/wan", "field": "defaultGateway"}
    spec = {"gatewayFrom": source} | ({"device": device} if device else {})
    listening = resource("IPv6RAAddress", "wan", interface="wan")
    scene = scene_of(declared(**spec), listening)
    scene.objects = {Ref("IPv6RAAddress", "wan"): {"defaultGateway": gateway}}
    assert plan(scene) == []
    told = status(scene)
    assert (told["phase"], told["reason"]) == ("Pending", "Unresolved")
    assert words in told["message"]


@pytest.mark.parametrize("standing", ["tentative", "duplicate"])
def test_a_route_waits_until_its_source_can_be_sent_from(standing: Any) -> None:
    scene = scene_of(declared(device="lan", preferredSource=str(HOME.address.ip)))
    scene.addresses = [attrs.evolve(HOME, standing=standing)]
    assert plan(scene) == []
    assert status(scene)["reason"] == "SourceAbsent"


def test_a_route_by_an_address_that_is_to_go_goes_first() -> None:
    """X-2: the address is of a subnet that nobody declares any more."""
    by = route6(LAB_NET, ETH1, source=HOME.address.ip)
    scene = scene_of(PD, declared(device="lan", preferredSource=str(HOME.address.ip)), routes=[by, AGGREGATE])
    scene.objects, scene.addresses = {PD_REF: delegated()}, [attrs.evolve(HOME, ours=True)]
    assert changes(scene) == [RemoveRoute(by)]


@pytest.mark.parametrize("device", [{}, {"device": "lan"}])
def test_while_the_address_toward_its_gateway_changes_a_route_waits(device: dict[str, str]) -> None:
    """Of two with one subnet the present one goes: it is of another suffix than the declared one."""
    old, new = (address6(ETH1, f"2001:db8:40:1::{suffix}/64") for suffix in ("9", "1"))
    scene = scene_of(PD, SUBNET, declared(gateway=NEIGHBOUR, **device), routes=[AGGREGATE])
    scene.objects, scene.addresses = {PD_REF: delegated()}, [old]
    assert plan(scene) == [], "the present one is about to go"
    told = status(scene)
    assert (told["phase"], told["reason"]) == ("Pending", "NotYet")
    assert told["message"] == f"no address toward {NEIGHBOUR} is there yet"
    by_lan = route6(LAB_NET, ETH1, NEIGHBOUR)
    for addresses in ([old], []):
        scene.addresses, scene.routes = addresses, [AGGREGATE, by_lan]
        assert plan(scene) == [], "one that is there stays"
        scene.routes = [AGGREGATE]
        assert plan(scene) == []
    scene.addresses = [new]
    assert changes(scene) == [PutRoute(by_lan)]


def test_a_neighbour_of_the_link_itself_is_within_reach_whatever_becomes_of_the_addresses() -> None:
    scene = scene_of(declared(device="lan", gateway="fe80::2"), addresses=[])
    assert changes(scene) == [PutRoute(route6(LAB_NET, ETH1, "fe80::2"))]


def test_what_nobody_wants_any_more_goes() -> None:
    old = route6(LAB_NET, ETH1, NEIGHBOUR)
    scene = scene_of(routes=[old], objects={LAB: {"destination": LAB_NET, "metric": 1024}})
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert step.change == RemoveRoute(old)
    assert (step.resource, step.topic) == (LAB, "routerd.ipv6.route.removed")
    scene.objects = {}
    assert [one.resource for one in plan(scene)] == [LAN_REF]
    assert plan(scene_of(routes=[attrs.evolve(old, ours=False)])) == []


def test_routes_by_routers_that_are_listened_to_are_not_its_own() -> None:
    listening = resource("IPv6RAAddress", "wan", interface="wan")
    default = route6("::/0", ETH0, "fe80::1", metric=100)
    assert plan(scene_of(listening, routes=[default])) == []
    told = {LAB: {"destination": "::/0", "metric": 100}}
    assert changes(scene_of(listening, routes=[default], objects=told)) == [RemoveRoute(default)], "it was declared"


# What is delegated


@pytest.mark.req("V6-25")
def test_the_whole_of_a_delegated_prefix_is_unreachable_but_for_its_subnets() -> None:
    """RFC 7084 WPD-5."""
    scene = scene_of(PD, objects={PD_REF: delegated()})
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert step.change == PutRoute(AGGREGATE)
    assert step.resource == PD_REF
    scene.routes = [AGGREGATE]
    assert plan(scene) == []


@pytest.mark.req("V6-22")
@pytest.mark.req("V6-25")
def test_a_prefix_that_was_replaced_stays_unreachable_while_hosts_use_it() -> None:
    scene = scene_of(PD, objects={PD_REF: delegated(OTHER, (PREFIX, 600))}, routes=[AGGREGATE])
    assert said(plan(scene)) == [f"installed the route to {OTHER}"]
    scene.routes = [AGGREGATE, route6(OTHER, None, metric=LAST_RESORT, kind="unreachable")]
    assert plan(scene) == []
    scene.now = NOW + 600
    assert changes(scene) == [RemoveRoute(AGGREGATE)]
    scene.objects[PD_REF] = without_prefix((OTHER, 3000))
    assert changes(scene) == [RemoveRoute(AGGREGATE)]


@pytest.mark.parametrize("told", [None, silent(), {**delegated(), "device": "eth7"}])
def test_it_stays_until_the_client_has_spoken(told: Status | None) -> None:
    scene = scene_of(PD, objects={} if told is None else {PD_REF: told}, routes=[AGGREGATE])
    assert plan(scene) == []
    scene.objects = {PD_REF: speaking()}
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert (step.change, step.resource) == (RemoveRoute(AGGREGATE), PD_REF)


def test_a_declared_route_in_its_place_comes_first() -> None:
    way = declared(destination=PREFIX, metric=LAST_RESORT, type="blackhole")
    [step] = plan(scene_of(PD, way, objects={PD_REF: delegated()}))
    assert isinstance(step, Step)
    assert step.resource == LAB


def test_a_link_that_is_down_bears_no_route() -> None:
    scene = scene_of(declared(device="lan"), links=[ETH0, link(2, "eth1", admin_up=False)])
    assert plan(scene) == []
    assert status(scene)["reason"] == "LinkDown"
