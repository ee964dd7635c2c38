"""When the kernel is let forward IPv6, and whom it goes on obeying."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.controllers.forwarding import ForwardingController
from routerd.host import Address, Change, HostSide6, Route, SetForwarding6, SetHostSide6
from tests.controllers.scene import ETH0, ETH1, LAN, NOW, WAN, Scene, link, resource
from tests.controllers.scene6 import NA, PD, SUBNET

HOST = HostSide6(accept_ra=True, autoconf=True)
ADVERTISING = resource("IPv6RouterAdvertisement", "lan", interface="lan", prefix="fd00:1::/64")
KERNEL = resource("IPv6RAAddress", "wan", interface="wan", mode="kernel")
OURS = resource("IPv6RAAddress", "wan", interface="wan")
ON = SetForwarding6(True)
OBEY = SetHostSide6(ETH0.index, accept_ra=True)


def scene_of(*resources: dict[str, Any], wan: HostSide6 | None = HOST, lan: HostSide6 | None = HOST) -> Scene:
    links = [attrs.evolve(ETH0, ipv6=wan), attrs.evolve(ETH1, ipv6=lan)]
    return Scene([WAN, LAN, *resources], links=links)


def settle(scene: Scene) -> Sequence[Change]:
    """What it does, until it has nothing to do."""
    view, done = scene.view(), []
    while steps := ForwardingController().plan(view):
        for step in steps:
            view.picture.applied(step.change)
            done.append(step.change)
        assert len(done) < 9
    return done


@pytest.mark.parametrize("resources", [(PD, SUBNET), (ADVERTISING,)], ids=["delegated", "of one's own"])
def test_a_router_of_a_lan_forwards(resources: tuple[dict[str, Any], ...]) -> None:
    assert settle(scene_of(*resources))[-1:] == [ON]
    router = attrs.evolve(HOST, forwarding=True)
    assert settle(scene_of(*resources, wan=router, lan=router)) == []


@pytest.mark.parametrize("resources", [(), (PD,), (PD, NA, OURS), (KERNEL,)])
def test_without_a_lan_nothing_is_changed(resources: tuple[dict[str, Any], ...]) -> None:
    assert settle(scene_of(*resources)) == []


def test_without_ipv6_there_is_nothing_to_change() -> None:
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=None, lan=None)) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ((PD, SUBNET), [OBEY, ON]),
        ((PD, NA, SUBNET), [OBEY, ON]),
        ((PD, SUBNET, KERNEL), [OBEY, ON]),
        ((PD, SUBNET, OURS), [ON]),
        ((ADVERTISING,), [ON]),
    ],
    ids=["client", "clients", "left to the kernel", "routerd's own", "nobody upstream"],
)
def test_the_providers_routers_are_obeyed_as_before(resources: tuple[dict[str, Any], ...], expected: object) -> None:
    assert settle(scene_of(*resources)) == expected


def test_a_kernel_that_obeyed_nobody_is_not_told_to_but_by_declaration() -> None:
    deaf = attrs.evolve(HOST, accept_ra=False)
    assert settle(scene_of(PD, SUBNET, wan=deaf)) == [ON]
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=deaf)) == [OBEY, ON]
    router = attrs.evolve(deaf, forwarding=True)
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=router, lan=router)) == [OBEY]


# Links of which nothing is declared

MANAGEMENT = link(3, "eth2", ipv6=HOST)
BY_ROUTER = Address(3, IPv6Interface("2001:db8:3::9/64"), ours=False, valid_until=NOW + 600)
WAY_OUT = Route(IPv6Network("::/0"), 3, IPv6Address("fe80::9"), metric=1024, ours=False)


@pytest.mark.parametrize(
    "changes", [{"addresses": [BY_ROUTER]}, {"routes": [WAY_OUT]}], ids=["an address", "a default route"]
)
def test_an_operator_on_a_link_of_their_own_is_not_cut_off(changes: dict[str, Any]) -> None:
    """A kernel that begins to forward would drop what the routers of that link told."""
    scene = attrs.evolve(scene_of(PD, SUBNET, OURS), **changes)
    scene.links = [*scene.links, MANAGEMENT]
    assert settle(scene) == [SetHostSide6(3, accept_ra=True), ON]
    scene.links = [*scene.links[:2], attrs.evolve(MANAGEMENT, ipv6=attrs.evolve(HOST, accept_ra=False))]
    assert settle(scene) == [ON], "it obeyed nobody"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"addresses": [attrs.evolve(BY_ROUTER, valid_until=None)], "routes": []},
        {"addresses": [attrs.evolve(BY_ROUTER, ours=True)]},
        {"routes": [attrs.evolve(WAY_OUT, gateway=IPv6Address("2001:db8:3::1"))]},
        {"routes": [attrs.evolve(WAY_OUT, destination=IPv6Network("2001:db8:20::/48"))]},
    ],
    ids=["nothing", "static", "ours", "a static default route", "another route"],
)
def test_a_link_that_does_not_live_by_routers_is_left_alone(changes: dict[str, Any]) -> None:
    scene = attrs.evolve(scene_of(PD, SUBNET, OURS), **changes)
    scene.links = [*scene.links, MANAGEMENT]
    assert settle(scene) == [ON]


def test_a_lan_that_appears_later_is_forwarded_for_then() -> None:
    """And the provider of the other WAN goes on being obeyed."""
    other = [resource("Interface", "lte", ifname="eth2"), resource("DHCPv6Address", "lte", interface="lte")]
    scene = scene_of(PD, SUBNET, *other)
    scene.links = [scene.links[0], MANAGEMENT]
    assert settle(scene) == [], "there is no LAN yet"
    scene.links = [*scene.links, attrs.evolve(ETH1, ipv6=HOST)]
    assert settle(scene) == [OBEY, SetHostSide6(3, accept_ra=True), ON]


def test_it_is_never_taken_back() -> None:
    """Whoever else needs it: the LAN is gone, or declared no more."""
    router = attrs.evolve(HOST, forwarding=True)
    for resources in ((), (PD,), (PD, SUBNET)):
        scene = scene_of(*resources, wan=router, lan=router)
        assert settle(scene) == []
        scene.links = scene.links[:1]
        assert settle(scene) == []
