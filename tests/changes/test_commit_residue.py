"""What is left on the host of a configuration that was taken back, and what only looks like it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.changes.commit_residue import residue
from routerd.config import Router, load
from routerd.events.types import Ref
from routerd.host import HostSide6
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    DEFAULT,
    ETH0,
    ETH1,
    GATEWAY,
    LAN,
    NOW,
    WAN,
    Scene,
    acquiring,
    address,
    document,
    link,
    resource,
    route,
)
from tests.controllers.scene6 import (
    NA,
    NA_REF,
    PD,
    PD_REF,
    SUBNET,
    SUBNET_REF,
    address6,
    delegated,
    route6,
    speaking,
    subnet,
)

TELLING_REF = Ref("IPv6RouterAdvertisement", "lan")
ADDRESS = resource("IPv4StaticAddress", "lan", interface="lan", address="192.168.1.1/24")
SITE = resource("IPv4Route", "site", destination="10.0.0.0/8", gateway="192.168.1.254")
EVERYWHERE = resource("IPv4Route", "all", destination=DEFAULT, gateway=GATEWAY)
SMALL = resource("Interface", "lan", ifname="eth1", mtu=1280)
SHUT = resource("Interface", "lan", ifname="eth1", adminUp=False)
LOOKED_AT = resource("Interface", "lan", ifname="eth1", managed=False, mtu=1280)
INSIDE, TO_SITE, TO_ALL = address(ETH1, "192.168.1.1/24"), route("10.0.0.0/8", ETH1), route(DEFAULT, ETH0, GATEWAY)
TINY = (ETH0, link(2, "eth1", mtu=1280))

LISTENING = resource("IPv6RAAddress", "wan", interface="wan")
BY_KERNEL = resource("IPv6RAAddress", "wan", interface="wan", mode="kernel")
TELLING = resource("IPv6RouterAdvertisement", "lan", interface="lan")
LAB = resource("IPv6StaticRoute", "lab", destination="2001:db8:20::/48", device="lan")
TRIED = subnet(subnetID=2)
OWN, TRIAL = address6(ETH1, "2001:db8:40:1::1/64"), address6(ETH1, "2001:db8:40:2::1/64")
GOING = {"ifname": "eth1", "previous": [{"prefix": "2001:db8:40:2::/64", "expiresAtMonotonic": NOW + 600}]}
ROUTER6 = attrs.evolve(ETH1, ipv6=HostSide6(accept_ra=False, autoconf=False, forwarding=True))
PLAIN6 = attrs.evolve(ETH1, ipv6=HostSide6(accept_ra=True, autoconf=True))
DEAF6 = attrs.evolve(ETH0, ipv6=HostSide6(accept_ra=False, autoconf=False))
HEARING6 = attrs.evolve(ETH0, ipv6=HostSide6(accept_ra=True, autoconf=True))


def router(*resources: dict[str, Any]) -> Router:
    return load(document(*resources), "test")


@pytest.mark.parametrize(
    ("reverted", "scene", "left"),
    [
        ((WAN, SMALL), Scene((WAN, LAN), links=TINY), "eth1 still has the MTU 1280: the configuration in force"),
        ((WAN, SMALL), Scene((WAN,), links=TINY), "eth1 still has the MTU 1280: the configuration in force"),
        (
            (WAN, SHUT),
            Scene((WAN,), links=(ETH0, attrs.evolve(ETH1, admin_up=False))),
            "eth1 is still down: the configuration in force does not have it",
        ),
        ((LAN, ADDRESS), Scene((LAN,), addresses=(INSIDE,)), "eth1 still has the address 192.168.1.1/24 of"),
        ((LAN, ADDRESS, SITE), Scene((LAN,), routes=(TO_SITE,)), "the route to 10.0.0.0/8 of IPv4Route/site is still"),
        ((WAN, CLIENT), Scene((WAN,), objects={CLIENT_REF: acquiring()}), "DHCPv4Client/wan still runs"),
        ((WAN, PD), Scene((WAN,), objects={PD_REF: speaking()}), "DHCPv6PrefixDelegation/wan-pd still runs"),
        ((WAN, NA), Scene((WAN,), objects={NA_REF: speaking()}), "DHCPv6Address/wan still runs"),
        ((LAN, TELLING), Scene((LAN,), objects={TELLING_REF: {}}), "IPv6RouterAdvertisement/lan still runs"),
        (
            (WAN, LAN, PD, TRIED),
            Scene((WAN, LAN), addresses=(TRIAL,), objects={}),
            "eth1 still has the address 2001:db8:40:2::1/64 of IPv6DelegatedAddress/lan",
        ),
        (
            (WAN, LAN, PD, TRIED),
            Scene((WAN, LAN, PD, SUBNET), addresses=(OWN, TRIAL), objects={PD_REF: delegated(), SUBNET_REF: GOING}),
            "eth1 still has the address 2001:db8:40:2::1/64 of IPv6DelegatedAddress/lan for what was begun with it",
        ),
        (
            (LAN, LAB),
            Scene((LAN,), routes=(route6("2001:db8:20::/48", ETH1),)),
            "the route to 2001:db8:20::/48 of IPv6StaticRoute/lab is still there",
        ),
        ((LAN, TELLING), Scene((LAN,), links=(ETH0, ROUTER6)), "the kernel still forwards IPv6, as IPv6RouterAdvert"),
        ((WAN, LISTENING), Scene((WAN,), links=(DEAF6,)), "the kernel still does not obey the routers of eth0"),
        ((WAN, BY_KERNEL), Scene((WAN,), links=(HEARING6,)), "the kernel still obeys the routers of eth0, as IPv6RA"),
    ],
)
def test_what_is_left(reverted: tuple[Any, ...], scene: Scene, left: str) -> None:
    [found] = residue(router(*reverted), scene.view())
    assert found.startswith(left)


@pytest.mark.parametrize(
    ("reverted", "scene"),
    [
        ((WAN, SMALL), Scene((WAN, SMALL), links=TINY)),
        ((WAN, SMALL), Scene((WAN, LAN))),
        ((WAN, SMALL), Scene((WAN, LAN), links=(ETH0,))),
        ((WAN, LOOKED_AT), Scene((WAN,), links=TINY)),
        ((WAN, SHUT), Scene((WAN, LAN), links=(ETH0, attrs.evolve(ETH1, admin_up=False)))),
        ((LAN, ADDRESS), Scene((LAN, ADDRESS), addresses=(INSIDE,))),
        ((LAN, ADDRESS), Scene((LAN,), addresses=(address(ETH0, "192.168.1.1/24"),))),
        ((LAN, ADDRESS, SITE), Scene((LAN,), routes=(attrs.evolve(TO_SITE, ours=False),))),
        ((WAN, EVERYWHERE), Scene((WAN,), routes=(TO_ALL,))),
        ((WAN, CLIENT), Scene((WAN, CLIENT), objects={CLIENT_REF: acquiring()})),
        ((WAN, CLIENT), Scene((WAN,))),
        ((WAN, PD), Scene((WAN, PD), objects={PD_REF: speaking()})),
        (
            (WAN, LAN, PD, TRIED),
            Scene((WAN, LAN, PD, SUBNET), addresses=(OWN,), objects={PD_REF: delegated()}),
        ),
        ((WAN, LAN, PD, TRIED), Scene((WAN, LAN), addresses=(attrs.evolve(TRIAL, ours=False),))),
        ((WAN, LAN, PD, TRIED), Scene((WAN, LAN), addresses=(attrs.evolve(TRIAL, link=1),))),
        ((LAN, LAB), Scene((LAN, LAB), routes=(route6("2001:db8:20::/48", ETH1),))),
        ((LAN, TELLING), Scene((LAN, TELLING), links=(ETH0, ROUTER6))),
        ((LAN, TELLING), Scene((LAN,), links=(ETH0, PLAIN6))),
        ((WAN, LISTENING), Scene((WAN, LISTENING), links=(DEAF6,))),
        ((WAN, LISTENING), Scene((WAN,), links=(HEARING6,))),
        ((WAN, BY_KERNEL), Scene((WAN, LISTENING), links=(HEARING6,))),
    ],
)
def test_what_only_looks_like_it(reverted: tuple[Any, ...], scene: Scene) -> None:
    """It is wanted, somebody else's, elsewhere, or gone."""
    assert residue(router(*reverted), scene.view()) == []
