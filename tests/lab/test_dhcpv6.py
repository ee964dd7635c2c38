"""A delegated prefix for real: routerd in a namespace against servers that we did not write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import attrs
import pytest

from tests.lab.lan import watching
from tests.lab.servers6 import DELEGATING, LINK, Terms6, forget, kea
from tests.lab.street import Street

pytestmark = pytest.mark.lab

TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))
delegating = pytest.mark.parametrize("server", DELEGATING)


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


@delegating
async def test_renewed_by_command(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS), kept(street, tmp_path):
        street.router.start()
        subnet = street.settled(TERMS)
        street.order("renew")
        street.router.until(lambda: "prefix.renewed" in street.topics())
        assert street.settled(TERMS) == subnet


async def test_rebound_at_another_server_after_the_first_one_died(street: Street, tmp_path: Path) -> None:
    with kea(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnet = street.settled(TERMS)
        first = street.router.status("DHCPv6PrefixDelegation/wan-pd")["serverDUID"]
    with kea(street.isp, "isp0", tmp_path, attrs.evolve(TERMS, server=2)), kept(street, tmp_path):
        street.order("rebind")
        street.router.until(lambda: "prefix.rebound" in street.topics())
        street.router.until(lambda: street.router.status("DHCPv6PrefixDelegation/wan-pd")["serverDUID"] != first)
        assert street.settled(TERMS) == subnet


@pytest.mark.req("V6-40")
@delegating
async def test_killed_and_nothing_changes(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        subnet = street.settled(TERMS)
        street.router.until(lambda: street.held("wan0"))
        with kept(street, tmp_path):
            for _ in range(3):
                street.router.kill()
                street.router.start()
                street.router.until(street.bound)
                assert street.settled(TERMS) == subnet
        told = street.topics()
    assert told.count("prefix.resumed") == 3
    assert told.count("solicit.sent") == 1, "the prefix was taken up again, not asked for anew"


@pytest.mark.req("V6-21", "breaks")
@pytest.mark.req("V6-22", "breaks")
@delegating
async def test_the_provider_renumbers(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        old = street.settled(TERMS)
    forget(tmp_path)
    with DELEGATING[server](street.isp, "isp0", tmp_path, MOVED):
        street.order("renew")
        street.settled(MOVED)
        street.router.until(lambda: old not in street.preferred("lan0"))
        street.router.until(lambda: not any(route.startswith(f"unreachable {old}") for route in street.routes()))
        street.router.until(lambda: street.phase("IPv6DelegatedAddress/lan") == "Applied")
        previous = street.router.status("IPv6DelegatedAddress/lan")["previous"]
    assert [one["prefix"] for one in previous] == [str(old)], "hosts of the LAN must hear of it"


@pytest.mark.req("V6-22", "breaks")
@delegating
async def test_renumbered_while_it_was_down(server: str, street: Street, tmp_path: Path) -> None:
    with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        old = street.settled(TERMS)
        street.router.kill()
    forget(tmp_path)
    with DELEGATING[server](street.isp, "isp0", tmp_path, MOVED):
        street.router.start()
        street.settled(MOVED)
        street.router.until(lambda: old not in street.preferred("lan0"))
        street.router.until(lambda: street.router.status("IPv6DelegatedAddress/lan").get("previous"))
        previous = street.router.status("IPv6DelegatedAddress/lan")["previous"]
    assert [one["prefix"] for one in previous] == [str(old)]


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
