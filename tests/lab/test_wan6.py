"""The WAN side of a whole routerd, against routers and servers that we did not write: what routers tell, what
DHCPv6 servers tell beside prefixes, addresses that somebody else has, cables and cards that come and go."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.lab.driven import wan
from tests.lab.lan import reaches
from tests.lab.netns import Namespace, wire
from tests.lab.servers6 import LINK, SERVER, Terms6, dnsmasq, kea, radvd, readvertised
from tests.lab.street import Street, document, resource
from tests.lab.test_dhcpv6 import kept

pytestmark = pytest.mark.lab

TERMS = Terms6()
WAN = resource("Interface", "wan", ifname="wan0")
LISTENER = resource("IPv6RAAddress", "wan-ra", interface="wan")
ADDRESS = resource("DHCPv6Address", "wan-na", interface="wan")
INFORMATION = resource("DHCPv6Information", "wan-info", interface="wan")
PREFIX = resource("DHCPv6PrefixDelegation", "wan-pd", interface="wan", prefixLength=56)
LAN = resource("Interface", "lan", ifname="lan0")
SUBNET = resource(
    "IPv6DelegatedAddress", "lan", prefixDelegation="wan-pd", interface="lan", subnetID=1, addressSuffix="::1"
)
EVERY_FEW_SECONDS = "MinRtrAdvInterval 3; MaxRtrAdvInterval 4;"
ADVERTISED = (
    EVERY_FEW_SECONDS
    + """
    AdvLinkMTU 1480;
    prefix 2001:db8:ff::/64 { AdvValidLifetime 4000; AdvPreferredLifetime 3000; };
    route 2001:db8:77::/48 { AdvRouteLifetime 1200; };
    RDNSS 2001:db8:53::53 { AdvRDNSSLifetime 1000; };
"""
)


def slaac(street: Street) -> str | None:
    """The address that the router made itself, by the kernel's word."""
    made = [address for address in street.held("wan0") if IPv6Interface(address).network == LINK]
    return made[0] if made else None


def default_route(street: Street) -> bool:
    return any(route.startswith(f"default via {street.provider.link_local} dev wan0") for route in street.routes())


async def test_an_address_of_ones_own_and_routes_by_radvd(street: Street, tmp_path: Path) -> None:
    street.router.config = document(WAN, LISTENER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED) as server:
        street.router.start()
        street.router.until(lambda: slaac(street) and default_route(street))
        street.router.until(lambda: any(route.startswith("2001:db8:77::/48 via") for route in street.routes()))
        street.router.until(lambda: reaches(street.router.namespace, SERVER))
        status = street.router.status("IPv6RAAddress/wan-ra")
        assert (status["phase"], status["mtu"], status["dnsServers"]) == ("Bound", 1480, ["2001:db8:53::53"])
        assert status["defaultGateway"] == str(street.provider.link_local)
        own = slaac(street)
        with kept(street, tmp_path):
            readvertised(server, "isp0", tmp_path, ADVERTISED + "AdvDefaultLifetime 0;")
            street.router.until(lambda: not default_route(street))
            assert slaac(street) == own, "the link is what it was, be there a router or not"
            readvertised(server, "isp0", tmp_path, ADVERTISED)
            street.router.until(lambda: default_route(street))


@pytest.mark.parametrize("mode", ["stateful", "stateless", "slaac"])
async def test_an_address_in_the_way_that_dnsmasq_says(mode: Any, street: Street, tmp_path: Path) -> None:
    """With M by DHCPv6; else one of our own; with O what else there is to know by DHCPv6."""
    street.router.config = document(WAN, LISTENER, ADDRESS if mode == "stateful" else INFORMATION)
    with dnsmasq(street.isp, "isp0", tmp_path, TERMS, mode):
        street.router.start()
        street.router.until(lambda: default_route(street))
        if mode == "stateful":
            street.router.until(lambda: street.phase("DHCPv6Address/wan-na") == "Bound")
            address = street.router.status("DHCPv6Address/wan-na")["currentAddress"]
            street.router.until(lambda: street.held("wan0") == [f"{address}/128"])
            assert IPv6Interface(address).ip in LINK
        else:
            street.router.until(lambda: slaac(street))
            status = street.router.status("IPv6RAAddress/wan-ra")
            assert (status["managed"], status["other"]) == (False, mode == "stateless")
        if mode == "stateless":
            street.router.until(lambda: street.phase("DHCPv6Information/wan-info") == "Bound")
            information = street.router.status("DHCPv6Information/wan-info")
            assert (information["dnsServers"], information["domainSearch"]) == ([TERMS.dns], [TERMS.search])
        street.router.until(lambda: reaches(street.router.namespace, SERVER))


@pytest.mark.req("V6-26")
async def test_an_address_that_somebody_else_has(street: Street, tmp_path: Path) -> None:
    """The kernel's duplicate address detection finds it, kea is told, and gives another one."""
    taken = TERMS.addresses[0]
    street.isp.ip("addr", "add", f"{taken}/64", "dev", "isp0", "nodad")
    street.router.namespace.sysctl("net.ipv6.conf.wan0.accept_dad", "1")
    with kea(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        street.router.until(lambda: "decline.sent" in street.topics())
        street.router.until(lambda: "DHCP6_DECLINE_LEASE" in (tmp_path / "kea6.log").read_text())
        subnet = street.settled(TERMS)
        street.router.until(lambda: street.phase("DHCPv6Address/wan-na") == "Bound", 60)
        other = street.router.status("DHCPv6Address/wan-na")["currentAddress"]
        street.router.until(lambda: f"{other}/128" in street.held("wan0"))
        assert other != taken
        assert f"{taken}/128" not in street.held("wan0")
        assert street.lan(TERMS) == subnet, "the prefix has nothing to do with it"
    assert f"another host of wan0 has {taken}" in street.router.routerctl(
        "events", "--topic", "routerd.interface.address.**"
    )


@pytest.mark.req("V6-40")
@pytest.mark.parametrize("asked", ["rebind.sent", "confirm.sent"])
async def test_a_cable_that_is_out_for_a_while(asked: str, street: Street, tmp_path: Path) -> None:
    """What we have is kept meanwhile, and asked about afterwards: a prefix by a Rebind, an address alone by a
    Confirm."""
    only = asked == "confirm.sent"
    street.router.config = document(WAN, ADDRESS) if only else document(WAN, PREFIX, LAN, SUBNET)
    client = "DHCPv6Address/wan-na" if only else "DHCPv6PrefixDelegation/wan-pd"
    with kea(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        street.router.until(lambda: street.held("wan0" if only else "lan0"))
        held, mark = street.held("wan0" if only else "lan0"), len(street.topics())
        with kept(street, tmp_path):
            street.isp.ip("link", "set", "isp0", "down")
            street.router.until(lambda: street.phase("Interface/wan") == "Down")
            street.router.until(lambda: street.router.status(client)["state"] == "NoLink")
            assert street.held("wan0" if only else "lan0") == held
            street.isp.ip("link", "set", "isp0", "up")
            street.isp.ip("addr", "replace", f"{SERVER}/64", "dev", "isp0", "nodad")
            street.router.until(lambda: asked in street.topics()[mark:])
            street.router.until(lambda: street.router.status(client)["state"] == "Bound")
        assert street.held("wan0" if only else "lan0") == held
        assert "solicit.sent" not in street.topics()[mark:]


@pytest.mark.req("C14", "breaks")
async def test_a_card_that_is_replaced(street: Street, tmp_path: Path) -> None:
    """Another MAC, the same client: it gets the same prefix. Without a card the LAN begins nothing new with it."""
    street.router.config = document(WAN, PREFIX, LAN, SUBNET, LISTENER)
    with kea(street.isp, "isp0", tmp_path, TERMS):
        with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
            street.router.start()
            subnet = street.settled(TERMS)
            street.router.until(lambda: default_route(street) and street.bound() and slaac(street))
            before = street.router.status("Interface/wan")["macAddress"]
            street.router.namespace.ip("link", "del", "wan0")
        street.router.until(lambda: street.preferred("lan0") == [])
        assert street.lan(TERMS) == subnet, "what hosts have begun goes on"
        assert not default_route(street)
    wire(street.isp, "isp0", street.router.namespace, "wan0")
    street.isp.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    street = attrs.evolve(street, provider=await wan(street.isp, "isp0"))
    with kea(street.isp, "isp0", tmp_path, TERMS), radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.until(lambda: street.preferred("lan0") == [subnet] and default_route(street) and slaac(street))
        street.router.until(street.bound)
        assert street.router.status("Interface/wan")["macAddress"] != before
    assert street.router.events("routerd.daemon.lifecycle.crashed") == []


async def test_two_providers(street: Street, namespaces: Callable[[str], Namespace], tmp_path: Path) -> None:
    """Each has its own client and its own LAN; nothing of one reaches the other."""
    (there := tmp_path / "there").mkdir()
    other = namespaces("other")
    wire(other, "isp0", street.router.namespace, "wan1")
    other.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    await wan(other, "isp0")
    second = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"), server=2)
    street.router.config = document(
        *(WAN, PREFIX, ADDRESS, LAN, SUBNET),
        resource("Interface", "wan2", ifname="wan1"),
        resource("Interface", "guests", ifname="lan1"),
        resource("DHCPv6PrefixDelegation", "wan2-pd", interface="wan2", prefixLength=56),
        resource("IPv6DelegatedAddress", "guests", prefixDelegation="wan2-pd", interface="guests", addressSuffix="::1"),
    )
    with kea(street.isp, "isp0", tmp_path, TERMS), kea(other, "isp0", there, second):
        street.router.start()
        street.settled(TERMS, "lan0")
        street.settled(second, "lan1")
        street.router.until(lambda: street.held("wan0"))
        assert len(street.held("lan0")) == len(street.held("lan1")) == 1
        assert street.held("wan1") == []
        statuses = [street.router.status(f"DHCPv6PrefixDelegation/{name}") for name in ("wan-pd", "wan2-pd")]
    assert statuses[0]["clientDUID"] == statuses[1]["clientDUID"], "one device"
    assert statuses[0]["serverDUID"] != statuses[1]["serverDUID"]
