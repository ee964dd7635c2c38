"""A delegated prefix for real: routerd in a namespace against servers that we did not write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import attrs
import pytest

from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.settings import Wanted
from tests.lab.driven import dhcpv6, wan
from tests.lab.lan import watching
from tests.lab.servers6 import DELEGATING, LINK, Terms6, forget, kea, reconfigured
from tests.lab.street import DELEGATION, Street, resource

pytestmark = pytest.mark.lab

TERMS = Terms6()
delegating = pytest.mark.parametrize("server", DELEGATING)


SECOND = "".join(
    (
        resource("DHCPv6PrefixDelegation", "wan-pd2", interface="wan"),
        resource("Interface", "guests", ifname="lan1"),
        resource("IPv6DelegatedAddress", "guests", prefixDelegation="wan-pd2", interface="guests", addressSuffix="::1"),
    )
)
"""A prefix of its own for a second LAN."""


@contextmanager
def kept(street: Street, directory: Path) -> Iterator[None]:
    """Meanwhile no address of the router's is removed, not for a moment."""
    with watching(street.router.namespace, directory) as seen:
        yield
    assert [line for _, line in seen() if "Deleted" in line] == []


@delegating
async def test_a_lan_out_of_a_delegated_prefix(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnet = street.settled(TERMS)
        street.router.until(lambda: street.held("wan0"))
        street.router.until(lambda: street.phase("IPv6DelegatedAddress/lan") == "Applied")
        prefix = IPv6Network(street.router.status("DHCPv6PrefixDelegation/wan-pd")["currentPrefix"])
        street.router.until(lambda: any(route.startswith(f"unreachable {prefix}") for route in street.routes()))
        status = street.router.status("DHCPv6Address/wan-na")
    assert subnet == list(prefix.subnets(new_prefix=64))[1]
    assert street.held("lan0") == [f"{subnet[1]}/64"]
    assert street.held("wan0") == [f"{status['currentAddress']}/128"], "and nothing of the prefix on the WAN"
    assert IPv6Address(status["currentAddress"]) in LINK
    assert status["dnsServers"] == [TERMS.dns]


@pytest.mark.req("V6-13")
@delegating
async def test_an_address_and_two_prefixes_in_one_exchange(server: str, street: Street, tmp_path: Path) -> None:
    street.router.config = DELEGATION + SECOND
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnets = street.settled(TERMS, "lan0"), street.settled(TERMS, "lan1")
        street.router.until(lambda: street.held("wan0"))
        second = IPv6Network(street.router.status("DHCPv6PrefixDelegation/wan-pd2")["currentPrefix"])
        assert [subnet.supernet(new_prefix=56) for subnet in subnets] == [street.prefix(), second]
        assert street.prefix() != second
        street.order("renew")
        street.router.until(lambda: street.topics().count("prefix.renewed") == 2)
    told = street.topics()
    assert [told.count(topic) for topic in ("solicit.sent", "request.sent", "renew.sent")] == [1, 1, 1]


@delegating
async def test_renewed_by_command(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS), kept(street, tmp_path):
        street.router.start()
        subnet = street.settled(TERMS)
        street.order("renew")
        street.router.until(lambda: "prefix.renewed" in street.topics())
        assert street.settled(TERMS) == subnet


@pytest.mark.req("V6-17")
async def test_rebound_at_another_server_after_the_first_one_died(street: Street, tmp_path: Path) -> None:
    """At T1 nobody answers; at T2 somebody who has the leases."""
    brief = attrs.evolve(TERMS, preferred=60, valid=90, t1=3, t2=6)
    with kea(street.isp, "isp0", tmp_path, brief):
        street.router.start()
        subnet = street.settled(TERMS)
        first = street.router.status("DHCPv6PrefixDelegation/wan-pd")["serverDUID"]
    with kept(street, tmp_path):
        street.router.until(lambda: "renew.sent" in street.topics())
        with kea(street.isp, "isp0", tmp_path, attrs.evolve(TERMS, server=2)):
            street.router.until(lambda: "prefix.rebound" in street.topics())
            street.router.until(lambda: street.router.status("DHCPv6PrefixDelegation/wan-pd")["serverDUID"] != first)
            assert street.settled(TERMS) == subnet


@pytest.mark.req("V6-20")
@delegating
async def test_a_server_that_has_lost_its_leases(server: str, street: Street, tmp_path: Path) -> None:
    """It has the same pools, and nobody else has asked meanwhile: so the LAN need not notice."""
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        street.settled(TERMS)
        prefix = street.prefix()
    forget(tmp_path)
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS), kept(street, tmp_path):
        mark = len(street.topics())
        street.order("renew")
        street.router.until(street.bound)
        assert street.prefix() == prefix
        assert "prefix.lost" not in street.topics()[mark:]


@pytest.mark.req("V6-21")
@pytest.mark.req("V6-21", "breaks")
async def test_a_server_that_has_no_prefix_left(street: Street, tmp_path: Path) -> None:
    """Its one prefix is somebody else's, and ours is not among its own any more: the LAN begins nothing new, until a
    Renew finds one."""
    taken = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/56"))
    with kea(street.isp, "isp0", tmp_path, taken) as server:
        neighbour = await wan(street.router.namespace, "wan0")
        async with dhcpv6(neighbour, Wanted(Association(Kind.PD, 77))) as somebody:
            await somebody.until(lambda: somebody.machine.bindings)
        reconfigured(server, "isp0", tmp_path, TERMS)
        street.router.start()
        old = street.settled(TERMS)
        street.router.until(lambda: street.held("wan0"))
        address = street.held("wan0")
        reconfigured(server, "isp0", tmp_path, taken)
        street.order("renew")
        street.router.until(lambda: street.preferred("lan0") == [])
        street.router.until(lambda: not street.bound())
        assert street.held("wan0") == address, "of the address nothing was said"
        street.router.until(lambda: street.topics()[-1] == "address.rebound")
        reconfigured(server, "isp0", tmp_path, TERMS)
        street.order("renew")
        street.router.until(lambda: street.preferred("lan0") == [old])


@pytest.mark.req("V6-40")
@delegating
async def test_killed_and_nothing_changes(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnet = street.settled(TERMS)
        street.router.until(lambda: street.held("wan0"))
        with kept(street, tmp_path):
            for _ in range(2):
                street.router.kill()
                street.router.start()
                street.router.until(street.bound)
                assert street.settled(TERMS) == subnet
        told = street.topics()
    assert told.count("prefix.resumed") == 2
    assert told.count("solicit.sent") == 1, "the prefix was taken up again, not asked for anew"


@pytest.mark.req("V6-27")
@delegating
async def test_an_orderly_end_keeps_what_there_is_and_gives_nothing_back(
    server: str, street: Street, tmp_path: Path
) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnet = street.settled(TERMS)
        with kept(street, tmp_path):
            street.router.stop()
            assert street.lan(TERMS) == subnet
            street.router.start()
            street.router.until(street.bound)
        assert "prefix.released" not in street.topics()


async def test_given_back_on_command(street: Street, tmp_path: Path) -> None:
    """Connections that hosts of the LAN have may find their end; nothing new begins with what is not ours any more."""
    with kea(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        street.settled(TERMS)
        street.order("release")
        street.router.until(lambda: street.preferred("lan0") == [] and street.held("wan0") == [])
        street.router.until(lambda: street.phase("DHCPv6PrefixDelegation/wan-pd") == "Released")
        assert "prefix.released" in street.topics()
