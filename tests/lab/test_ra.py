"""Router advertisements for real: routerd between a provider's router and a Linux host of its LAN, which we watch."""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path

import pytest

from tests.lab.driven import wan
from tests.lab.lan import default_routes, reaches, watching
from tests.lab.servers6 import DELEGATING, SERVER, Terms6, kea, radvd
from tests.lab.street import ADVERTISEMENTS, Street

pytestmark = pytest.mark.lab

TERMS = Terms6()
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
