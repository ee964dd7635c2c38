"""What is left on the host of a configuration that was taken back, and what only looks like it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.changes.commit_residue import residue
from routerd.config import Router, load
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    DEFAULT,
    ETH0,
    ETH1,
    GATEWAY,
    LAN,
    WAN,
    Scene,
    acquiring,
    address,
    document,
    link,
    resource,
    route,
)

ADDRESS = resource("IPv4StaticAddress", "lan", interface="lan", address="192.168.1.1/24")
SITE = resource("IPv4Route", "site", destination="10.0.0.0/8", gateway="192.168.1.254")
EVERYWHERE = resource("IPv4Route", "all", destination=DEFAULT, gateway=GATEWAY)
SMALL = resource("Interface", "lan", ifname="eth1", mtu=1280)
SHUT = resource("Interface", "lan", ifname="eth1", adminUp=False)
LOOKED_AT = resource("Interface", "lan", ifname="eth1", managed=False, mtu=1280)
INSIDE, TO_SITE, TO_ALL = address(ETH1, "192.168.1.1/24"), route("10.0.0.0/8", ETH1), route(DEFAULT, ETH0, GATEWAY)
TINY = (ETH0, link(2, "eth1", mtu=1280))


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
    ],
)
def test_what_only_looks_like_it(reverted: tuple[Any, ...], scene: Scene) -> None:
    """It is wanted, somebody else's, elsewhere, or gone."""
    assert residue(router(*reverted), scene.view()) == []
