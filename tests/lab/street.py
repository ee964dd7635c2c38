"""A provider, the router under test, and a host on each of its two LANs, all in namespaces of their own and wired."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Interface, IPv6Network
from pathlib import Path

import attrs
import pytest

from tests.lab.driven import Wan, wan
from tests.lab.lan import deprecates, prefers
from tests.lab.netns import Namespace, wire
from tests.lab.router import Router
from tests.lab.servers6 import SERVER, Terms6

DELEGATION = """\
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
      kind: IPv6DelegatedAddress
      metadata: {name: lan}
      spec: {prefixDelegation: wan-pd, interface: lan, subnetID: 1, addressSuffix: "::1"}
"""
"""A prefix, an address of the WAN, and a subnet of the prefix on the LAN."""

HEAD = DELEGATION.partition("    - ")[0]
NET = "net.routerd.net/v1alpha1"


def document(*resources: str) -> str:
    """A configuration of its own. See `resource`."""
    return HEAD + "".join(resources)


def resource(kind: str, name: str, **spec: object) -> str:
    """One more resource for a configuration."""
    return f"    - {json.dumps({'apiVersion': NET, 'kind': kind, 'metadata': {'name': name}, 'spec': spec})}\n"


GUESTS = """\
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: guests}
      spec: {ifname: lan1}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: guests}
      spec: {prefixDelegation: wan-pd, interface: guests, subnetID: 2, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: guests}
      spec: {interface: guests, rdnss: ["2001:db8:53::53"]}
"""
"""A second LAN, with the next subnet."""

ADVERTISEMENTS = """\
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {name: wan-ra}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: lan}
      spec: {interface: lan, rdnss: ["2001:db8:53::53"]}
"""
"""The provider's router is heard, and the LAN told."""


@attrs.frozen
class Street:
    """Who is there: the provider on isp0, the router between wan0 and lan0, a host of its LAN on eth0; and on lan1 a
    guest."""

    isp: Namespace
    router: Router
    host: Namespace
    provider: Wan
    guest: Namespace

    def held(self, ifname: str) -> list[str]:
        """The router's global IPv6 addresses on a link, by the kernel's word."""
        links = json.loads(self.router.namespace.ip("-j", "-6", "addr", "show", "dev", ifname, "scope", "global"))
        infos = [info for link in links for info in link.get("addr_info", ()) if "local" in info]
        return [f"{info['local']}/{info['prefixlen']}" for info in infos]

    def routes(self) -> list[str]:
        """The router's own IPv6 routes by the kernel's word, one line each."""
        ours = self.router.namespace.ip("-6", "route", "show", "proto", "114")
        return [line.strip() for line in ours.splitlines()]

    def lan(self, terms: Terms6, ifname: str = "lan0") -> IPv6Network | None:
        """The subnet on a LAN, if it is out of the prefixes of these terms."""
        networks = [IPv6Interface(address).network for address in self.held(ifname)]
        return next((network for network in networks if network.subnet_of(terms.pool)), None)

    def settled(self, terms: Terms6, ifname: str = "lan0") -> IPv6Network:
        """Wait until a LAN has a subnet of these terms; the subnet."""
        self.router.until(lambda: self.lan(terms, ifname) is not None, 60)
        network = self.lan(terms, ifname)
        assert network is not None
        return network

    def prefers(self, network: IPv6Network) -> bool:
        """Whether the LAN's host begins new connections with an address of it."""
        return prefers(self.host, network)

    def deprecates(self, network: IPv6Network) -> bool:
        """Whether it has one and does not."""
        return deprecates(self.host, network)

    def preferred(self, ifname: str) -> list[IPv6Network]:
        """The networks of the addresses on a link that may be used for what is new, by the kernel's word."""
        shown = self.router.namespace.ip("-6", "-o", "addr", "show", "dev", ifname, "scope", "global", "-deprecated")
        return [IPv6Interface(line.split()[3]).network for line in shown.splitlines()]

    def order(self, command: str) -> None:
        """As an operator does."""
        assert self.router.order(self.router.run_dir / "dhcpv6-client" / "wan-pd.sock", command)["accepted"]

    def bound(self) -> bool:
        """Whether there is a prefix."""
        return self.phase("DHCPv6PrefixDelegation/wan-pd") == "Bound"

    def phase(self, target: str) -> str | None:
        """Of a resource, as the API tells it."""
        phase: str | None = self.router.status(target).get("phase")
        return phase

    def way_back(self, prefix: IPv6Network) -> None:
        """The provider sends what is for this prefix to the router, as one who delegates it does."""
        links = json.loads(self.router.namespace.ip("-j", "-6", "address", "show", "dev", "wan0", "scope", "link"))
        (own,) = [info["local"] for link in links for info in link.get("addr_info", ()) if "local" in info]
        self.isp.ip("-6", "route", "replace", str(prefix), "via", own, "dev", "isp0")

    def prefix(self) -> IPv6Network:
        """The delegated prefix, as the client has it."""
        return IPv6Network(self.router.status("DHCPv6PrefixDelegation/wan-pd")["currentPrefix"])

    def topics(self) -> list[str]:
        """What the client told, in order."""
        prefix = "routerd.dhcpv6.client."
        return [topic.removeprefix(prefix) for topic in self.router.topics(prefix + "**")]


@pytest.fixture
async def street(namespaces: Callable[[str], Namespace], tmp_path: Path) -> AsyncIterator[Street]:
    """All of them; nothing runs yet."""
    isp, rtr, host, guest = (namespaces(name) for name in ("isp", "rtr", "host", "guest"))
    wire(isp, "isp0", rtr, "wan0")
    wire(rtr, "lan0", host, "eth0")
    wire(rtr, "lan1", guest, "eth0")
    isp.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    provider = await wan(isp, "isp0")
    router = Router(rtr, tmp_path, DELEGATION)
    yield Street(isp, router, host, provider, guest)
    if router.process is not None and router.process.poll() is None:
        router.stop()
