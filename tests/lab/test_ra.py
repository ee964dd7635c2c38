"""Router advertisements for real: routerd between a provider's router and a Linux host of its LAN, which we watch."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Interface, IPv6Network
from pathlib import Path

import attrs
import pytest

from tests.lab.driven import Wan, wan
from tests.lab.lan import addresses, default_routes, watching
from tests.lab.netns import Namespace, wire
from tests.lab.router import Router
from tests.lab.servers6 import DELEGATING, SERVER, Terms6, forget, kea, radvd

pytestmark = pytest.mark.lab

TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))
ADVERTISED = """
    MinRtrAdvInterval 3; MaxRtrAdvInterval 10; AdvManagedFlag on; AdvOtherConfigFlag on;
    prefix 2001:db8:ff::/64 { AdvAutonomous off; };
"""
delegating = pytest.mark.parametrize("server", DELEGATING)

CONFIGURATION = """\
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: lab}
spec:
  resources:
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: wan0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: lan0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6PrefixDelegation
      metadata: {name: wan-pd}
      spec: {interface: wan, prefixLength: 56}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Address
      metadata: {name: wan-na}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {name: wan-ra}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: lan}
      spec: {prefixDelegation: wan-pd, interface: lan, subnetID: 1, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: lan}
      spec: {interface: lan, rdnss: ["2001:db8:53::53"]}
"""


@attrs.frozen
class Street:
    """Who is there: the provider on isp0, the router between wan0 and lan0, a host of the LAN on eth0."""

    isp: Namespace
    router: Router
    host: Namespace
    provider: Wan

    def held(self, ifname: str) -> list[str]:
        """The router's global IPv6 addresses on a link, by the kernel's word."""
        links = json.loads(self.router.namespace.ip("-j", "-6", "addr", "show", "dev", ifname, "scope", "global"))
        infos = [info for link in links for info in link.get("addr_info", ()) if "local" in info]
        return [f"{info['local']}/{info['prefixlen']}" for info in infos]

    def routes(self) -> list[str]:
        """The router's own IPv6 routes by the kernel's word, one line each."""
        ours = self.router.namespace.ip("-6", "route", "show", "proto", "114")
        return [line.strip() for line in ours.splitlines()]

    def lan(self, terms: Terms6) -> IPv6Network | None:
        """The subnet on the LAN, if it is out of the prefixes of these terms."""
        networks = [IPv6Interface(address).network for address in self.held("lan0")]
        return next((network for network in networks if network.subnet_of(terms.pool)), None)

    def settled(self, terms: Terms6) -> IPv6Network:
        """Wait until the LAN has a subnet of these terms and its host a preferred address of it; the subnet."""
        self.router.until(lambda: (lan := self.lan(terms)) is not None and self.prefers(lan), 60)
        network = self.lan(terms)
        assert network is not None
        return network

    def prefers(self, network: IPv6Network) -> bool:
        info = addresses(self.host).get(network)
        return info is not None and not info.get("deprecated") and not info.get("tentative")

    def deprecates(self, network: IPv6Network) -> bool:
        return bool(addresses(self.host).get(network, {}).get("deprecated"))

    def bound(self) -> bool:
        return self.router.status("DHCPv6PrefixDelegation/wan-pd").get("phase") == "Bound"

    def renew(self) -> None:
        """As an operator does."""
        path = self.router.run_dir / "dhcpv6-client" / "wan-pd.sock"
        assert self.router.order(path, "renew")["accepted"]


@pytest.fixture
async def street(namespaces: Callable[[str], Namespace], tmp_path: Path) -> AsyncIterator[Street]:
    isp, rtr, host = namespaces("isp"), namespaces("rtr"), namespaces("host")
    wire(isp, "isp0", rtr, "wan0")
    wire(rtr, "lan0", host, "eth0")
    isp.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    provider = await wan(isp, "isp0")
    router = Router(rtr, tmp_path, CONFIGURATION)
    yield Street(isp, router, host, provider)
    if router.process is not None and router.process.poll() is None:
        router.stop()


@delegating
async def test_a_host_of_the_lan_reaches_the_provider(server: str, street: Street, tmp_path: Path) -> None:
    with (
        DELEGATING[server](street.isp, "isp0", tmp_path, TERMS),
        radvd(street.isp, "isp0", tmp_path, ADVERTISED),
    ):
        street.router.start()
        subnet = street.settled(TERMS)
        prefix = IPv6Network(street.router.status("DHCPv6PrefixDelegation/wan-pd")["currentPrefix"])
        default = f"default via {street.provider.link_local} dev wan0"
        street.router.until(lambda: any(route.startswith(default) for route in street.routes()))
        street.router.until(lambda: any(route.startswith(f"unreachable {prefix}") for route in street.routes()))
        assert subnet == list(prefix.subnets(new_prefix=64))[1]
        (gateway,) = default_routes(street.host)
        assert gateway == str((await wan(street.router.namespace, "lan0")).link_local)
        back = (await wan(street.router.namespace, "wan0")).link_local
        street.isp.ip("-6", "route", "add", str(prefix), "via", str(back), "dev", "isp0")
        street.router.until(lambda: reaches(street.host, SERVER))
    street.router.until(lambda: not any(route.startswith("default") for route in street.routes()))


def reaches(host: Namespace, address: str) -> bool:
    """Whether it answers."""
    return host.spawn("ping", "-6", "-c", "1", "-W", "1", address, stdout=subprocess.DEVNULL).wait() == 0


@delegating
async def test_the_provider_renumbers(server: str, street: Street, tmp_path: Path) -> None:
    """The LAN's host deprecates the old address within a second of the router's knowing, and is never without one."""
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
            street.router.start()
            old = street.settled(TERMS)
        forget(tmp_path)
        with DELEGATING[server](street.isp, "isp0", tmp_path, MOVED), watching(street.host, tmp_path) as seen:
            street.renew()
            street.router.until(lambda: street.deprecates(old), 60)
            new = street.settled(MOVED)
            knew = time.time()
    assert old != new
    assert [line for _, line in seen() if "Deleted" in line] == []
    deprecated = next(at for at, line in seen() if str(old[0]).rstrip(":") in line and "deprecated" in line)
    preferred = next(at for at, line in seen() if str(new[0]).rstrip(":") in line)
    assert abs(preferred - deprecated) < 1, "no gap between the two"
    assert deprecated < knew
    assert street.lan(TERMS) is None or street.deprecates(old)


async def test_killed_and_the_lan_does_not_notice(street: Street, tmp_path: Path) -> None:
    with kea(street.isp, "isp0", tmp_path, TERMS), radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        subnet = street.settled(TERMS)
        with watching(street.host, tmp_path) as seen:
            for _ in range(3):
                street.router.kill()
                street.router.start()
                street.router.until(
                    lambda: street.router.status("DHCPv6PrefixDelegation/wan-pd").get("phase") == "Bound"
                )
                assert street.settled(TERMS) == subnet
            lines = [line for _, line in seen()]
    assert [line for line in lines if "Deleted" in line or "deprecated" in line] == []


@pytest.mark.req("V6-22", "breaks")
async def test_renumbered_while_it_was_down(street: Street, tmp_path: Path) -> None:
    """Killed, renumbered, started: it tells the LAN what the life before had announced and is over."""
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        with kea(street.isp, "isp0", tmp_path, TERMS):
            street.router.start()
            old = street.settled(TERMS)
            street.router.kill()
        forget(tmp_path)
        with kea(street.isp, "isp0", tmp_path, MOVED):
            street.router.start()
            street.router.until(lambda: street.deprecates(old), 60)
            street.settled(MOVED)
