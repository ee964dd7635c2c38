"""Routes: which are wanted, in which order they come and go, and whose are left alone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.controllers.planner import Blocked, Step
from routerd.controllers.route import RouteController
from routerd.controllers.wanted_route import metrics
from routerd.events.types import Ref, Status
from routerd.host import PutRoute, RemoveRoute, Route
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    DEFAULT,
    ETH0,
    ETH1,
    GATEWAY,
    LAN,
    LAN_REF,
    NOW,
    WAN,
    Scene,
    acquiring,
    address,
    bound,
    crashed,
    lease,
    resource,
    route,
    said,
    starting,
)

OWN = address(ETH0, "203.0.113.50/24")
HOME = address(ETH1, "192.168.1.1/24", ours=False)
WAY = route(DEFAULT, ETH0, GATEWAY, metric=100, source="203.0.113.50")
LAB = Ref("IPv4Route", "lab")


def plan(scene: Scene) -> list[Step | Blocked]:
    return list(RouteController().plan(scene.view()))


def changes(scene: Scene) -> list[object]:
    return [step.change if isinstance(step, Step) else step.message for step in plan(scene)]


def routed(**spec: Any) -> dict[str, Any]:
    return resource("IPv4Route", "lab", **{"destination": "10.20.0.0/16", **spec})


def leased(status: Status, *more: dict[str, Any], **changes: Any) -> Scene:
    basis = Scene([WAN, LAN, CLIENT, *more], addresses=[OWN, HOME], objects={CLIENT_REF: status})
    return attrs.evolve(basis, **changes)


def status(scene: Scene, refused: str | None = None) -> Status:
    refusals = {} if refused is None else {LAB: refused}
    return RouteController().judge(scene.view(), refusals).statuses[LAB]


BOUND = bound(lease("203.0.113.50/24"))

# Of leases


def test_a_leases_routes_are_put_once_and_for_its_client() -> None:
    scene = leased(BOUND)
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert step.change == PutRoute(WAY)
    assert step.resource == CLIENT_REF
    scene.routes = [WAY]
    assert plan(scene) == []


def test_on_gain_the_address_comes_first() -> None:
    assert plan(leased(BOUND, addresses=[HOME])) == []


@pytest.mark.req("V4-14")
def test_while_the_prefix_length_changes_the_routes_stay() -> None:
    assert plan(leased(bound(lease("203.0.113.50/25")), routes=[WAY])) == []


@pytest.mark.req("V4-13")
def test_by_a_new_address_the_route_changes_in_one_stroke() -> None:
    scene = leased(bound(lease("203.0.113.51/24")), routes=[WAY])
    assert changes(scene) == [RemoveRoute(WAY)], "the new address is not there yet"
    scene.addresses = [address(ETH0, "203.0.113.51/24")]
    assert changes(scene) == [PutRoute(attrs.evolve(WAY, source=scene.addresses[0].address.ip))]


@pytest.mark.req("V4-14")
@pytest.mark.parametrize(
    "other",
    [
        lease("203.0.113.50/24", (DEFAULT, "203.0.113.2")),
        lease("203.0.113.50/24", mtu=1492),
        lease("203.0.113.50/24", (DEFAULT, None)),
    ],
    ids=["gateway", "mtu", "on-link"],
)
def test_what_changes_with_a_renewal_replaces_what_was(other: Any) -> None:
    [change] = changes(leased(bound(other), routes=[WAY]))
    assert isinstance(change, PutRoute)
    assert change.route != WAY
    assert (change.route.destination, change.route.metric) == (WAY.destination, WAY.metric)


@pytest.mark.req("V4-20")
def test_the_mtu_of_a_lease_is_that_of_its_routes_and_not_of_the_link() -> None:
    [change] = changes(leased(bound(lease("203.0.113.50/24", mtu=1492))))
    assert isinstance(change, PutRoute)
    assert change.route.mtu == 1492


@pytest.mark.req("V4-20", "breaks")
def test_a_lease_without_an_mtu_leaves_that_of_the_link() -> None:
    [change] = changes(leased(BOUND, routes=[attrs.evolve(WAY, mtu=1492)]))
    assert change == PutRoute(WAY)


@pytest.mark.req("V4-18")
def test_a_gateway_outside_the_subnet_is_on_the_link_all_the_same() -> None:
    granted = lease("203.0.113.50/32", ("198.51.100.1/32", None), (DEFAULT, "198.51.100.1"))
    scene = leased(bound(granted), addresses=[address(ETH0, "203.0.113.50/32")])
    first, then = changes(scene)
    assert first == PutRoute(route("198.51.100.1/32", ETH0, metric=100, source="203.0.113.50"))
    assert then == PutRoute(route(DEFAULT, ETH0, "198.51.100.1", metric=100, source="203.0.113.50", onlink=True))


def test_on_loss_they_go_and_their_client_is_named() -> None:
    [step] = plan(leased(acquiring(), routes=[WAY]))
    assert isinstance(step, Step)
    assert step.change == RemoveRoute(WAY)
    assert step.resource == CLIENT_REF


def test_a_lease_that_is_over_takes_its_routes_along_though_the_client_is_not_there() -> None:
    scene = leased(crashed(BOUND), routes=[WAY])
    assert plan(scene) == []
    scene.now = NOW + 3600
    assert changes(scene) == [RemoveRoute(WAY)]


def test_use_routes_false() -> None:
    scene = leased(BOUND)
    scene.resources = [WAN, LAN, resource("DHCPv4Client", "wan", interface="wan", useRoutes=False)]
    assert plan(scene) == []
    scene.routes = [WAY]
    assert changes(scene) == [RemoveRoute(WAY)]


def test_without_a_link_that_is_up_there_are_none() -> None:
    assert plan(leased(BOUND, links=[attrs.evolve(ETH0, admin_up=False), ETH1])) == []


def test_a_link_without_carrier_keeps_its_routes() -> None:
    assert plan(leased(BOUND, links=[attrs.evolve(ETH0, carrier=False), ETH1], routes=[WAY])) == []


# Two clients


LTE = resource("Interface", "lte", ifname="eth1")
SECOND = resource("DHCPv4Client", "lte", interface="lte")
SECOND_REF = Ref("DHCPv4Client", "lte")
OTHER_OWN = address(ETH1, "198.51.100.7/24")
OTHER_WAY = route(DEFAULT, ETH1, "198.51.100.1", metric=101, source="198.51.100.7")
OTHER_BOUND = {**bound(lease("198.51.100.7/24", (DEFAULT, "198.51.100.1")), "eth1"), "interface": "lte"}


def two(first: Status, second: Status, **changes: Any) -> Scene:
    basis = Scene([WAN, LTE, CLIENT, SECOND], objects={CLIENT_REF: first, SECOND_REF: second})
    return attrs.evolve(basis, addresses=[OWN, OTHER_OWN], **changes)


def test_two_default_routes_stand_beside_each_other() -> None:
    assert changes(two(BOUND, OTHER_BOUND)) == [PutRoute(WAY), PutRoute(OTHER_WAY)]


def test_one_that_goes_leaves_the_other_alone() -> None:
    assert changes(two(acquiring(), OTHER_BOUND, routes=[WAY, OTHER_WAY])) == [RemoveRoute(WAY)]
    assert changes(two(BOUND, {**acquiring("eth1"), "interface": "lte"}, routes=[WAY, OTHER_WAY])) == [
        RemoveRoute(OTHER_WAY)
    ]


def test_one_that_has_not_spoken_keeps_its_own_and_holds_nothing_else_up() -> None:
    scene = two(acquiring(), starting("eth1"), routes=[WAY, OTHER_WAY])
    assert changes(scene) == [RemoveRoute(WAY)]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ((None, None, None), [100, 101, 102]),
        ((101, None, None), [101, 100, 102]),
        ((None, None, 100), [101, 102, 100]),
        ((0, None, 7), [0, 100, 7]),
    ],
)
def test_no_two_clients_have_one_metric(declared: tuple[int | None, ...], expected: list[int]) -> None:
    resources = []
    for number, metric in enumerate(declared):
        more = {} if metric is None else {"routeMetric": metric}
        resources += [resource("Interface", f"w{number}", ifname=f"w{number}")]
        resources += [resource("DHCPv4Client", f"w{number}", interface=f"w{number}", **more)]
    scene = Scene(resources)
    assert list(metrics(scene.view()).values()) == expected


def test_another_metric_is_there_before_the_last_one_goes() -> None:
    scene = leased(BOUND, routes=[WAY])
    scene.resources = [WAN, LAN, resource("DHCPv4Client", "wan", interface="wan", routeMetric=7)]
    assert changes(scene) == [PutRoute(attrs.evolve(WAY, metric=7)), RemoveRoute(WAY)]


# Declared ones


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"gateway": "192.168.1.254"}, route("10.20.0.0/16", ETH1, "192.168.1.254")),
        ({"gateway": "192.168.1.254", "device": "lan"}, route("10.20.0.0/16", ETH1, "192.168.1.254")),
        ({"gateway": "192.168.1.254", "device": "eth1"}, route("10.20.0.0/16", ETH1, "192.168.1.254")),
        ({"gateway": "172.16.0.1", "device": "lan"}, route("10.20.0.0/16", ETH1, "172.16.0.1", onlink=True)),
        ({"device": "lan"}, route("10.20.0.0/16", ETH1)),
        ({"device": "lan", "metric": 7}, route("10.20.0.0/16", ETH1, metric=7)),
        (
            {"device": "lan", "preferredSource": "192.168.1.1"},
            route("10.20.0.0/16", ETH1, source="192.168.1.1"),
        ),
        ({"type": "blackhole"}, route("10.20.0.0/16", None, kind="blackhole")),
    ],
)
def test_what_is_declared_is_put(spec: dict[str, Any], expected: Route) -> None:
    scene = Scene([LAN, routed(**spec)], addresses=[HOME])
    [step] = plan(scene)
    assert isinstance(step, Step)
    assert step.change == PutRoute(expected)
    assert step.resource == LAB
    assert status(scene)["phase"] == "Pending", "it is not there yet"
    scene.routes = [expected]
    assert plan(scene) == []
    assert status(scene)["phase"] == "Installed"


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"gateway": "172.16.0.1"}, "LinkAbsent", "no interface has 172.16.0.1 on its subnet"),
        ({"device": "nowhere"}, "LinkAbsent", "there is no interface nowhere"),
        ({"device": "wan"}, "LinkDown", "eth0 is administratively down"),
        (
            {"device": "lan", "preferredSource": "192.168.1.9"},
            "SourceAbsent",
            "192.168.1.9 is no address of this host now",
        ),
        (
            {"gatewayFrom": {"resource": "DHCPv4Client/wan", "field": "gateway"}},
            "Unresolved",
            "gatewayFrom: DHCPv4Client/wan has no gateway now",
        ),
        (
            {"deviceFrom": {"resource": "Interface/lan", "field": "ifname"}},
            "Unresolved",
            "deviceFrom: Interface/lan has no ifname now",
        ),
        (
            {"gatewayFrom": {"resource": "DHCPv4Client/wan", "field": "gateway", "optional": True}},
            "Unresolved",
            "neither its device nor its gateway is known now",
        ),
        (
            {"gatewayFrom": {"resource": "DHCPv4Client/wan", "field": "dnsServers"}},
            "Unresolved",
            "gatewayFrom: 192.168.1.1/24 is no IPv4 address",
        ),
    ],
)
def test_what_cannot_be_yet_waits_and_says_for_what(spec: dict[str, Any], reason: str, words: str) -> None:
    odd = {**acquiring(), "dnsServers": ["192.168.1.1/24"]}
    objects: dict[Ref, Status] = {CLIENT_REF: odd, LAN_REF: {"phase": "Up"}}
    scene = Scene([WAN, LAN, CLIENT, routed(**spec)], addresses=[HOME], objects=objects)
    scene.links = [attrs.evolve(ETH0, admin_up=False), ETH1]
    assert plan(scene) == []
    told = status(scene)
    assert (told["phase"], told["reason"], told["message"]) == ("Pending", reason, words)
    assert told["conditions"][0]["status"] == "False"


FROM_LEASE = {"gatewayFrom": {"resource": "DHCPv4Client/wan", "field": "gateway"}}


def test_values_of_others() -> None:
    scene = leased(BOUND, routed(**FROM_LEASE), routes=[WAY])
    by_lease = route("10.20.0.0/16", ETH0, GATEWAY)
    assert changes(scene) == [PutRoute(by_lease)]
    scene.routes = [WAY, by_lease]
    told = status(scene)
    assert (told["device"], told["gateway"], told["phase"]) == ("eth0", GATEWAY, "Installed")


@pytest.mark.parametrize(
    ("reference", "value", "expected"),
    [
        ({"resource": "DHCPv4Client/wan", "field": "dnsServers"}, ["203.0.113.9", "203.0.113.8"], "203.0.113.9"),
        ({"resource": "DHCPv4Client/wan", "field": "dnsServers"}, [], None),
        ({"resource": "DHCPv4Client/wan", "field": "gateway"}, "203.0.113.3", "203.0.113.3"),
        ({"resource": "DHCPv4Client/wan", "field": "gateway"}, "", None),
    ],
)
def test_of_a_list_the_first_is_taken(reference: dict[str, str], value: object, expected: str | None) -> None:
    scene = leased({**BOUND, reference["field"]: value}, routed(gatewayFrom=reference), routes=[WAY])
    assert changes(scene) == ([] if expected is None else [PutRoute(route("10.20.0.0/16", ETH0, expected))])


def test_an_optional_value_that_is_missing_is_done_without() -> None:
    optional = {"resource": "DHCPv4Client/wan", "field": "gateway", "optional": True}
    scene = leased(acquiring(), routed(device="lan", gatewayFrom=optional))
    assert changes(scene) == [PutRoute(route("10.20.0.0/16", ETH1))]


def test_a_device_by_the_systems_name_is_not_mistaken_for_a_resource_of_that_name() -> None:
    crossed = [
        resource("Interface", "eth1", ifname="eth0"),
        resource("Interface", "eth0", ifname="eth1"),
    ]
    by_ifname = routed(deviceFrom={"resource": "Interface/eth1", "field": "ifname"})
    scene = Scene([*crossed, by_ifname], objects={Ref("Interface", "eth1"): {"phase": "Up", "ifname": "eth0"}})
    assert changes(scene) == [PutRoute(route("10.20.0.0/16", ETH0))]
    scene.resources = [*crossed, routed(device="eth1")]
    assert changes(scene) == [PutRoute(route("10.20.0.0/16", ETH0))], "a literal device is a resource first"


def test_of_two_links_toward_a_gateway_the_longer_prefix_counts() -> None:
    scene = Scene([WAN, LAN, routed(gateway="192.168.1.254")])
    scene.addresses = [address(ETH0, "192.168.0.9/16", ours=False), HOME]
    assert changes(scene) == [PutRoute(route("10.20.0.0/16", ETH1, "192.168.1.254"))]
    scene.links = [ETH0, attrs.evolve(ETH1, admin_up=False)]
    assert changes(scene) == [PutRoute(route("10.20.0.0/16", ETH0, "192.168.1.254"))]


def test_a_route_by_an_address_that_is_about_to_go_goes_first() -> None:
    """Else the address would wait for the route and the route for nobody."""
    by_lease = route("10.20.0.0/16", ETH1, source="203.0.113.50")
    declared = routed(device="lan", preferredSource="203.0.113.50")
    assert plan(leased(BOUND, declared, routes=[WAY, by_lease])) == []
    assert changes(leased(acquiring(), declared, routes=[by_lease])) == [RemoveRoute(by_lease)]
    static = resource("IPv4StaticAddress", "mine", interface="wan", address="203.0.113.50/24")
    assert plan(leased(acquiring(), declared, static, routes=[by_lease])) == []


@pytest.mark.parametrize("device", [{}, {"device": "lan"}])
def test_while_the_address_toward_its_gateway_changes_a_route_waits(device: dict[str, str]) -> None:
    own = resource("IPv4StaticAddress", "lan", interface="lan", address="192.168.1.2/24")
    scene = Scene([LAN, own, routed(gateway="192.168.1.252", **device)], addresses=[address(ETH1, "192.168.1.1/24")])
    assert plan(scene) == [], "the present one is about to go"
    told = status(scene)
    assert (told["phase"], told["reason"]) == ("Pending", "NotYet")
    assert told["message"] == "no address toward 192.168.1.252 is there yet"
    by_lan = route("10.20.0.0/16", ETH1, "192.168.1.252")
    for addresses in ([address(ETH1, "192.168.1.1/24")], []):
        scene.addresses, scene.routes = addresses, [by_lan]
        assert plan(scene) == [], "one that is there stays"
        scene.routes = []
        assert plan(scene) == []
    scene.addresses = [address(ETH1, "192.168.1.2/24")]
    assert changes(scene) == [PutRoute(by_lan)]


def test_a_route_whose_address_goes_does_not_wait_for_the_one_that_takes_its_place() -> None:
    """Else the old address would wait for it, the new address for the old one, and the new route for the new one."""
    own = resource("IPv4StaticAddress", "wan", interface="wan", address="198.51.100.2/24")
    declared = routed(destination=DEFAULT, gateway="198.51.100.1", metric=100)
    scene = Scene([WAN, own, declared], addresses=[address(ETH0, "203.0.113.50/24")], routes=[WAY])
    assert changes(scene) == [RemoveRoute(WAY)]


# One place, two wishes


def test_what_is_declared_comes_before_what_a_provider_sends() -> None:
    own_default = routed(destination=DEFAULT, gateway="192.168.1.254", metric=100)
    scene = leased(BOUND, own_default, routes=[WAY])
    mine = route(DEFAULT, ETH1, "192.168.1.254", metric=100)
    assert changes(scene) == [PutRoute(mine)]
    scene.routes = [mine]
    assert plan(scene) == [], "and it stays"
    scene.links = [ETH0, attrs.evolve(ETH1, admin_up=False)]
    scene.routes = []
    assert changes(scene) == [PutRoute(WAY)], "until it cannot be"


def test_the_first_of_two_routes_of_a_lease_for_one_place_stays() -> None:
    twice = lease("203.0.113.50/24", (DEFAULT, GATEWAY), (DEFAULT, "203.0.113.2"))
    assert changes(leased(bound(twice))) == [PutRoute(WAY)]
    assert plan(leased(bound(twice), routes=[WAY])) == []


@pytest.mark.parametrize(
    "theirs",
    [
        route(DEFAULT, ETH1, "192.168.1.254", metric=100, ours=False),
        route(DEFAULT, ETH0, GATEWAY, metric=100, source="203.0.113.50", mtu=1400, ours=False),
        route(DEFAULT, None, metric=100, kind="blackhole", ours=False),
    ],
)
def test_a_strangers_route_in_the_place_is_never_replaced(theirs: Route) -> None:
    [step] = plan(leased(BOUND, routes=[theirs]))
    assert isinstance(step, Blocked)
    assert step.resource == CLIENT_REF
    assert step.message.startswith("somebody else has the route to 0.0.0.0/0")
    assert plan(leased(acquiring(), routes=[theirs])) == [], "nor removed"


def test_a_strangers_route_that_does_the_same_will_do() -> None:
    assert plan(leased(BOUND, routes=[attrs.evolve(WAY, ours=False)])) == []
    scene = Scene([LAN, routed(gateway="192.168.1.254")], addresses=[HOME])
    scene.routes = [route("10.20.0.0/16", ETH1, "192.168.1.254", ours=False)]
    assert plan(scene) == []
    assert status(scene)["phase"] == "Installed"


def test_a_strangers_route_elsewhere_is_none_of_our_business() -> None:
    theirs = [route(DEFAULT, ETH1, "192.168.1.254", ours=False), route("10.0.0.0/8", ETH0, ours=False)]
    assert changes(leased(BOUND, routes=theirs)) == [PutRoute(WAY)]


def test_a_second_route_of_ours_in_a_place_goes() -> None:
    stray = route(DEFAULT, ETH1, "192.168.1.254", metric=100)
    assert changes(leased(BOUND, routes=[WAY, stray])) == [RemoveRoute(stray)]
    assert changes(leased(BOUND, routes=[stray])) == [PutRoute(WAY)], "replaced in one stroke"


# Over a restart


@pytest.mark.parametrize("silent", [starting(), crashed(starting())])
def test_nothing_is_touched_for_a_client_that_has_not_spoken(silent: Status) -> None:
    by_lease = route("10.20.0.0/16", ETH0, GATEWAY)
    scene = leased(silent, routed(**FROM_LEASE), routes=[WAY, by_lease])
    assert plan(scene) == []


def test_a_route_elsewhere_that_hangs_on_that_client_is_kept_too() -> None:
    """It is a tunnel's, say: by another link, and its gateway comes from the lease."""
    by_lease = route("10.20.0.0/16", ETH1, GATEWAY, onlink=True)
    declared = routed(device="lan", **FROM_LEASE)
    assert plan(leased(starting(), declared, routes=[by_lease])) == []
    assert changes(leased(acquiring(), declared, routes=[by_lease])) == [RemoveRoute(by_lease)]


def test_a_route_that_hangs_on_such_a_route_is_kept_too() -> None:
    second = resource(
        "IPv4Route",
        "more",
        destination="10.30.0.0/16",
        device="lan",
        gatewayFrom={"resource": "IPv4Route/lab", "field": "gateway"},
    )
    chain = [routed(device="lan", **FROM_LEASE), second]
    ways = [route(to, ETH1, GATEWAY, onlink=True) for to in ("10.20.0.0/16", "10.30.0.0/16")]
    assert plan(leased(starting(), *chain, routes=ways)) == []


def test_a_route_that_was_removed_from_the_configuration_goes_whoever_has_not_spoken() -> None:
    stale = route("10.20.0.0/16", ETH1, "192.168.1.254")
    assert changes(leased(starting(), routes=[stale])) == [RemoveRoute(stale)]


def test_who_is_named_when_a_declared_route_goes() -> None:
    stale = route("10.20.0.0/16", ETH1, "192.168.1.254")
    scene = leased(acquiring(), routes=[stale])
    scene.objects[LAB] = {"phase": "Installed", "destination": "10.20.0.0/16", "metric": 0}
    assert [step.resource for step in plan(scene)] == [LAB]
    assert RouteController().judge(scene.view(), {}).gone == [LAB]
    del scene.objects[LAB]
    assert [step.resource for step in plan(scene)] == [LAN_REF]
    scene.routes = [route("10.20.0.0/16", None, kind="blackhole")]
    assert [step.resource for step in plan(scene)] == [Ref("Router", "test", "routerd.net/v1alpha1")]


# Statuses


def test_a_refused_route_is_an_error_and_says_why() -> None:
    told = status(Scene([LAN, routed(gateway="192.168.1.254")], addresses=[HOME], generation=9), "Nexthop has …")
    assert (told["phase"], told["reason"], told["message"]) == ("Error", "HostRefused", "Nexthop has …")
    assert told["observedGeneration"] == told["conditions"][0]["observedGeneration"] == 9
    assert (told["destination"], told["type"], told["metric"]) == ("10.20.0.0/16", "unicast", 0)


def test_what_is_told_of_a_change() -> None:
    scene = leased(BOUND, routes=[route("10.9.0.0/16", ETH1, "192.168.1.254")])
    assert said(plan(scene)) == [
        "installed the route to 0.0.0.0/0 via 203.0.113.1 dev eth0",
        "removed the route to 10.9.0.0/16 via 192.168.1.254 dev eth1",
    ]
