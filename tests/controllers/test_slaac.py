"""What routers tell of, on the host: who obeys them, in which order things come and go, and what is left alone."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.controllers.picture import AddressKey
from routerd.controllers.planner import Blocked, Step
from routerd.controllers.slaac import SlaacController, metrics
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import leaving_addresses6, wanted_by_key
from routerd.events.types import Ref, Status
from routerd.host import (
    Address,
    HostSide6,
    Link,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Route,
    SetHostSide6,
)
from tests.controllers.scene import ETH0, ETH1, NOW, WAN, Scene, resource

CLIENT = resource("IPv6RAAddress", "wan", interface="wan")
REF = Ref("IPv6RAAddress", "wan")
OBEYING = attrs.evolve(ETH0, ipv6=HostSide6(accept_ra=True, autoconf=True))
DEAF = attrs.evolve(ETH0, ipv6=HostSide6(accept_ra=False, autoconf=False))
OWN = IPv6Interface("2001:db8:ff::abcd/64")
ONE, OTHER = "fe80::1", "fe80::2"


def router(address: str = ONE, until: float = NOW + 1800, **more: Any) -> dict[str, Any]:
    return {"address": address, "preference": "medium", "untilMonotonic": until, "confirmed": True, **more}


def prefix(own: IPv6Interface = OWN, valid: float = NOW + 3600, preferred: float = NOW + 1800) -> dict[str, Any]:
    times = {"validUntilMonotonic": valid, "preferredUntilMonotonic": preferred}
    return {"prefix": str(OWN.network), "address": str(own), "onLink": True, **times}


ROUTER, PREFIX = router(), prefix()


def heard(*, routers: Any = (ROUTER,), prefixes: Any = (PREFIX,), routes: Any = (), **changes: Any) -> Status:
    """What a client says that has heard somebody."""
    told = {"routers": list(routers), "prefixes": list(prefixes), "routes": list(routes)}
    addresses = [one["address"] for one in prefixes]
    known = {"phase": "Bound", "reason": "RouterKnown", "state": "Listening", "addresses": addresses}
    return {"interface": "wan", "device": "eth0", **known, **told, **changes}


def starting() -> Status:
    """Before it has heard anybody in this life."""
    return {"interface": "wan", "device": "eth0", "phase": "Pending", "reason": "Starting"}


def ours(own: IPv6Interface = OWN, valid: float = NOW + 3600, preferred: float = NOW + 1800, **more: Any) -> Address:
    return Address(ETH0.index, own, **{"valid_until": valid, "preferred_until": preferred, **more})


def way(gateway: str = ONE, to: str = "::/0", metric: int = 100, link: Link = ETH0, **more: Any) -> Route:
    return Route(IPv6Network(to), link.index, IPv6Address(gateway), metric=metric, **more)


def scene(status: Status | None, *more: dict[str, Any], **changes: Any) -> Scene:
    objects = {} if status is None else {REF: status}
    basis = Scene([WAN, CLIENT, *more], links=[DEAF, ETH1], objects=objects)
    return attrs.evolve(basis, **changes)


def leaving(view: View) -> dict[AddressKey, Address]:
    """Addresses of IPv6 that the controller of delegated ones would take away."""
    return leaving_addresses6(view, wanted_by_key(view))


def plan(basis: Scene) -> list[object]:
    steps: list[Step | Blocked] = list(SlaacController().plan(basis.view()))
    return [step.change if isinstance(step, Step) else step.message for step in steps]


def test_the_kernel_is_told_to_leave_it_to_us_before_anything_is_heard() -> None:
    taken = [SetHostSide6(1, accept_ra=False, autoconf=False)]
    assert plan(scene(starting(), links=[OBEYING])) == taken


def test_the_address_comes_before_the_route() -> None:
    assert plan(scene(heard())) == [PutAddress(ours()), PutRoute(way())]


def test_what_is_there_is_left_alone() -> None:
    assert plan(scene(heard(), addresses=[ours()], routes=[way()])) == []


def test_lifetimes_are_brought_up_to_date() -> None:
    [step] = plan(scene(heard(), addresses=[ours(valid=NOW + 60)], routes=[way()]))
    assert isinstance(step, PutAddress)
    assert (step.address.valid_until, step.address.preferred_until) == (NOW + 3600, NOW + 1800)


def test_a_deprecated_address_is_so_whenever_that_began() -> None:
    status = heard(prefixes=[prefix(preferred=NOW - 50)])
    assert plan(scene(status, addresses=[ours(preferred=NOW - 5)], routes=[way()])) == []
    assert len(plan(scene(status, addresses=[ours()], routes=[way()]))) == 1


def test_until_somebody_was_heard_nothing_is_touched() -> None:
    basis = scene(starting(), addresses=[ours()], routes=[way()])
    assert plan(basis) == []
    assert leaving(basis.view()) == {}


def test_on_loss_the_route_goes_first() -> None:
    nothing = heard(routers=[], prefixes=[])
    assert plan(scene(nothing, addresses=[ours()], routes=[way()])) == [RemoveRoute(way()), RemoveAddress(ours())]


def test_another_router_takes_the_place_of_a_lost_one_in_one_stroke() -> None:
    status = heard(routers=[router(OTHER)])
    assert plan(scene(status, addresses=[ours()], routes=[way()])) == [PutRoute(way(OTHER))]


@pytest.mark.parametrize(
    ("routers", "chosen"),
    [
        ([router(OTHER), router(ONE)], ONE),
        ([router(ONE), router(OTHER, preference="high")], OTHER),
        ([router(ONE, preference="high", confirmed=False), router(OTHER, preference="low")], OTHER),
        ([router(ONE, until=NOW), router(OTHER)], OTHER),
        ([router(ONE, preference="high", reachable=False), router(OTHER, preference="low")], OTHER),
        ([router(ONE, reachable=False), router(OTHER, reachable=False)], ONE),
    ],
)
def test_the_best_router_is_chosen(routers: list[dict[str, Any]], chosen: str) -> None:
    assert plan(scene(heard(routers=routers), addresses=[ours()])) == [PutRoute(way(chosen))]


def test_routes_of_routers_are_there_too() -> None:
    more = {"destination": "2001:db8:9::/48", "gateway": OTHER, "preference": "low", "untilMonotonic": NOW + 60}
    status = heard(routes=[more, {**more, "gateway": ONE, "untilMonotonic": NOW}])
    changes = plan(scene(status, addresses=[ours()], routes=[way()]))
    assert changes == [PutRoute(way(OTHER, "2001:db8:9::/48"))]


@pytest.mark.parametrize(("told", "mtu"), [(1492, 1492), (1280, 1280), (1500, 0), (9000, 0), (1279, 0), (0, 0)])
def test_the_mtu_that_routers_tell_goes_for_what_is_sent_by_them(told: int, mtu: int) -> None:
    """RFC 4861 §6.3.4: no less than any link has, no more than this one."""
    assert plan(scene(heard(mtu=told), addresses=[ours()])) == [PutRoute(way(mtu=mtu))]
    assert plan(scene(heard(mtu=told), addresses=[ours()], routes=[way(mtu=mtu)])) == []
    assert plan(scene(heard(mtu=told), addresses=[ours()], routes=[way(mtu=1400)])) == [PutRoute(way(mtu=mtu))]
    assert plan(scene(heard(mtu=told), addresses=[ours()], routes=[way(mtu=1400, ours=False)])) == []


def test_the_old_metric_goes_with_the_old_route() -> None:
    client = resource("IPv6RAAddress", "wan", interface="wan", routeMetric=7)
    basis = scene(heard(), addresses=[ours()], routes=[way()], resources=[WAN, client])
    assert plan(basis) == [PutRoute(way(metric=7)), RemoveRoute(way())]


def test_somebody_elses_route_in_its_place_is_not_taken_away() -> None:
    [blocked] = plan(scene(heard(), addresses=[ours()], routes=[way(OTHER, ours=False)]))
    assert "somebody else" in str(blocked)


@pytest.mark.parametrize("mode", ["kernel", "gone", "no addresses, no routes"])
def test_what_is_not_wanted_any_more_goes(mode: str) -> None:
    declared = {
        "kernel": [WAN, resource("IPv6RAAddress", "wan", interface="wan", mode="kernel")],
        "gone": [WAN],
        "no addresses, no routes": [
            WAN,
            resource("IPv6RAAddress", "wan", interface="wan", addresses=False, useRoutes=False),
        ],
    }[mode]
    basis = scene(heard(), addresses=[ours()], routes=[way()], resources=declared)
    assert plan(basis) == [RemoveRoute(way()), RemoveAddress(ours())]


def test_who_is_declared_no_more_is_forgotten_once_all_of_it_is_gone() -> None:
    basis = scene(heard(), addresses=[ours()], resources=[WAN])
    assert list(SlaacController().judge(basis.view(), {}).gone) == []
    basis.addresses = []
    assert list(SlaacController().judge(basis.view(), {}).gone) == [REF]


def test_a_duplicate_goes_and_the_next_one_comes() -> None:
    duplicate = ours(standing="duplicate")
    assert plan(scene(heard(), addresses=[duplicate], routes=[way()])) == [RemoveAddress(duplicate)]
    other = IPv6Interface("2001:db8:ff::1234/64")
    changes = plan(scene(heard(prefixes=[prefix(other)]), addresses=[duplicate], routes=[way()]))
    assert changes == [PutAddress(ours(other)), RemoveAddress(duplicate)]


def test_an_address_that_stands_alone_is_ours_if_the_client_tells_of_it() -> None:
    alone = IPv6Interface("2001:db8:ff::abcd/128")
    basis = scene(heard(prefixes=[prefix(alone)]), addresses=[ours(alone)], routes=[way()])
    assert plan(basis) == []
    assert leaving(basis.view()) == {}
    basis.objects[REF] = heard()
    assert list(leaving(basis.view()).values()) == [ours(alone)]


def test_on_a_link_that_is_down_nothing_is_put() -> None:
    assert plan(scene(heard(), links=[attrs.evolve(DEAF, admin_up=False, carrier=False)])) == []


def test_metrics_count_in_the_order_of_the_file() -> None:
    lan = resource("Interface", "lan", ifname="eth1")
    declared = resource("IPv6RAAddress", "lan", interface="lan", routeMetric=100)
    found = metrics(scene(None, lan, declared).view())
    assert found == {REF: 101, Ref("IPv6RAAddress", "lan"): 100}
