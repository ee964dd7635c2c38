"""Router advertisements for real: routerd between a provider's router and a Linux host of its LAN, which we watch."""

from __future__ import annotations

import subprocess
from ipaddress import IPv6Network
from pathlib import Path

import attrs
import pytest

from tests.lab.driven import wan
from tests.lab.lan import default_routes, watching
from tests.lab.netns import Namespace
from tests.lab.servers6 import DELEGATING, SERVER, Terms6, forget, kea, radvd
from tests.lab.street import ADVERTISEMENTS, Street

pytestmark = pytest.mark.lab

TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))
ADVERTISED = """
    MinRtrAdvInterval 3; MaxRtrAdvInterval 10; AdvManagedFlag on; AdvOtherConfigFlag on;
    prefix 2001:db8:ff::/64 { AdvAutonomous off; };
"""
delegating = pytest.mark.parametrize("server", DELEGATING)


@pytest.fixture
def advertising(street: Street) -> Street:
    """All of them, and the router hears and tells."""
    street.router.config += ADVERTISEMENTS
    return street


def told(street: Street, terms: Terms6) -> IPv6Network:
    """Wait until the LAN has a subnet of these terms and its host prefers it; the subnet."""
    subnet = street.settled(terms)
    street.router.until(lambda: street.prefers(subnet))
    return subnet


@delegating
async def test_a_host_of_the_lan_reaches_the_provider(server: str, advertising: Street, tmp_path: Path) -> None:
    street = advertising
    with (
        DELEGATING[server](street.isp, "isp0", tmp_path, TERMS),
        radvd(street.isp, "isp0", tmp_path, ADVERTISED),
    ):
        street.router.start()
        subnet = told(street, TERMS)
        prefix = IPv6Network(street.router.status("DHCPv6PrefixDelegation/wan-pd")["currentPrefix"])
        default = f"default via {street.provider.link_local} dev wan0"
        street.router.until(lambda: any(route.startswith(default) for route in street.routes()))
        street.router.until(lambda: any(route.startswith(f"unreachable {prefix}") for route in street.routes()))
        assert subnet == list(prefix.subnets(new_prefix=64))[1]
        street.router.until(lambda: default_routes(street.host))
        (gateway,) = default_routes(street.host)
        assert gateway == str((await wan(street.router.namespace, "lan0")).link_local)
        back = (await wan(street.router.namespace, "wan0")).link_local
        street.isp.ip("-6", "route", "add", str(prefix), "via", str(back), "dev", "isp0")
        street.router.until(lambda: reaches(street.host, SERVER))
    street.router.until(lambda: not any(route.startswith("default") for route in street.routes()))


def reaches(host: Namespace, address: str) -> bool:
    """Whether it answers."""
    return host.spawn("ping", "-6", "-c", "1", "-W", "1", address, stdout=subprocess.DEVNULL).wait() == 0


@pytest.mark.req("V6-21", "breaks")
@pytest.mark.req("V6-22", "breaks")
@delegating
async def test_the_provider_renumbers(server: str, advertising: Street, tmp_path: Path) -> None:
    """The LAN's host knows as soon as a router may speak to all again (three seconds after the last time, RFC 4861
    §6.2.4), and is never without an address."""
    street = advertising
    (far := tmp_path / "far").mkdir()
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
            street.router.start()
            old = told(street, TERMS)
        forget(tmp_path)
        with (
            DELEGATING[server](street.isp, "isp0", tmp_path, MOVED),
            watching(street.router.namespace, tmp_path) as at_the_router,
            watching(street.host, far) as at_the_host,
        ):
            street.order("renew")
            new = told(street, MOVED)
            street.router.until(lambda: street.deprecates(old))
            street.router.until(lambda: when(at_the_host(), old, "deprecated") and when(at_the_host(), new))
            knew, heard = when(at_the_router(), new), when(at_the_host(), old, "deprecated")
            began = when(at_the_host(), new)
    assert knew is not None
    assert heard is not None
    assert began is not None
    assert heard - knew < 4
    assert abs(began - heard) < 1, "no gap between the two"
    assert [line for _, line in at_the_host() if "Deleted" in line] == []


def when(seen: list[tuple[float, str]], network: IPv6Network, word: str = "inet6") -> float | None:
    """When something was first seen of an address of this network."""
    start = str(network[0]).removesuffix("::") + ":"
    return next((at for at, line in seen if start in line and word in line), None)


async def test_killed_and_the_lan_does_not_notice(advertising: Street, tmp_path: Path) -> None:
    street = advertising
    with kea(street.isp, "isp0", tmp_path, TERMS), radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        subnet = told(street, TERMS)
        with watching(street.host, tmp_path) as seen:
            for _ in range(3):
                street.router.kill()
                street.router.start()
                street.router.until(
                    lambda: street.router.status("DHCPv6PrefixDelegation/wan-pd").get("phase") == "Bound"
                )
                assert told(street, TERMS) == subnet
            lines = [line for _, line in seen()]
    assert [line for line in lines if "Deleted" in line or "deprecated" in line] == []


@pytest.mark.req("V6-22", "breaks")
async def test_renumbered_while_it_was_down(advertising: Street, tmp_path: Path) -> None:
    """Killed, renumbered, started: it tells the LAN what the life before had announced and is over."""
    street = advertising
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        with kea(street.isp, "isp0", tmp_path, TERMS):
            street.router.start()
            old = told(street, TERMS)
            street.router.kill()
        forget(tmp_path)
        with kea(street.isp, "isp0", tmp_path, MOVED):
            street.router.start()
            street.router.until(lambda: street.deprecates(old), 60)
            told(street, MOVED)
