"""Who is behind what a LAN is told otherwise than before."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.daemons.ra_announcement import Delegated, LanFacts
from routerd.events.types import Ref
from routerd.nurseries.ra_facts import facts_of
from routerd.nurseries.ra_grounds import grounds_of
from routerd.resources.net6 import IPv6RouterAdvertisement
from tests.controllers.scene import ETH0, LAN, WAN, Scene, resource
from tests.controllers.scene6 import PD, PD_REF, SUBNET, SUBNET_REF, address6, delegated

TOLD = resource(
    *("IPv6RouterAdvertisement", "lan"),
    interface="lan",
    rdnssFrom={"resource": "DHCPv6Information/wan", "field": "dnsServers"},
)
UPSTREAM, INFORMATION = Ref("IPv6RAAddress", "wan"), Ref("DHCPv6Information", "wan")
RESOURCES = [
    *(WAN, LAN, PD, SUBNET, TOLD),
    resource("IPv6RAAddress", "wan", interface="wan"),
    resource("DHCPv6Information", "wan", interface="wan"),
]
VERSIONS = {PD_REF: 11, UPSTREAM: 12, INFORMATION: 13, SUBNET_REF: 19}
BEFORE = LanFacts(default_route=True)


@pytest.mark.parametrize(
    ("changed", "event"),
    [
        ({"delegated": (Delegated(IPv6Network("2001:db8:40:1::/64"), None, None),)}, 11),
        ({"default_route": False}, 12),
        ({"rdnss": (IPv6Address("2001:db8::53"),)}, 13),
        ({"rdnss": (IPv6Address("2001:db8::53"),), "default_route": False}, 13),
    ],
)
def test_each_part_has_its_givers(changed: dict[str, Any], event: int) -> None:
    view = attrs.evolve(Scene(RESOURCES, objects={INFORMATION: {}}).view(), versions=VERSIONS)
    [resource] = view.router.of(IPv6RouterAdvertisement)
    assert grounds_of(view, resource.spec, BEFORE, attrs.evolve(BEFORE, **changed)) == (event,)
    assert grounds_of(view, resource.spec, BEFORE, BEFORE) == ()


def test_at_first_everything_is_behind_it() -> None:
    view = attrs.evolve(Scene(RESOURCES, objects={INFORMATION: {}}).view(), versions=VERSIONS)
    [resource] = view.router.of(IPv6RouterAdvertisement)
    assert grounds_of(view, resource.spec, None, BEFORE) == (13,)


@pytest.mark.req("V6-25", "breaks")
def test_a_subnet_that_is_on_another_link_is_not_told_to_the_lan() -> None:
    scene = Scene([WAN, LAN, PD, SUBNET, resource("IPv6RouterAdvertisement", "lan", interface="lan")])
    scene.objects = {PD_REF: delegated()}
    scene.addresses = [attrs.evolve(address6(ETH0, "2001:db8:40:1::9/64"), ours=False)]
    view = scene.view()
    assert facts_of(view, view.router.of(IPv6RouterAdvertisement)[0].spec) == LanFacts()
