"""IPv6 around a whole router on a simulated host: a provider that delegates and advertises on eth0, and on eth1 a host
that believes what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

import attrs
import trio

from routerd.host.simulated import open_host
from routerd.protocols.dhcpv6.message import Option
from routerd.sim.dhcpv6_server import Server, Settings
from routerd.sim.dhcpv6_station import Dhcpv6Station
from routerd.sim.isp6 import ADVERTISEMENT, DNS, LENGTH, LINK, MAC, POOLS, ROUTER, SERVER_ID, SERVER_MAC
from routerd.sim.ra_router import RaRouter
from routerd.sim.slaac_host import SlaacHost
from tests.router.rig import LINE, Rig, document

HOST_MAC = bytes.fromhex("02005e6100aa")
LAN = "lan"
PREFERRED, VALID, T1, T2 = 3000, 4000, 1000, 2000

IPV6 = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: eth0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1}
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
      spec: {interface: lan, rdnssFrom: {resource: DHCPv6PrefixDelegation/wan-pd, field: dnsServers}}
"""


def provider6(pool: int = 0) -> Settings:
    """An ordinary provider, with one of its two pools."""
    return Settings(
        SERVER_ID,
        addresses=LINK,
        prefixes=POOLS[pool],
        length=LENGTH,
        t1=T1,
        t2=T2,
        preferred=PREFERRED,
        valid=VALID,
        options=(Option(23, b"".join(server.packed for server in DNS)),),
    )


@attrs.define(eq=False)
class Street6:
    """The router is `rig`'s: `rig.live` runs it, while `surroundings` is open. `more`: resources beside those above."""

    rig: Rig
    more: str = ""
    server: Server = attrs.field(init=False)
    router: RaRouter = attrs.field(init=False)
    host: SlaacHost = attrs.field(init=False)

    @asynccontextmanager
    async def surroundings(self) -> AsyncIterator[None]:
        """The world with the provider and the LAN; time runs while this is open."""
        rig, world = self.rig, self.rig.world
        rig.config = document(IPV6, self.more)
        rig.state_dir.mkdir(parents=True, exist_ok=True)
        line, lan = world.segment(LINE), world.segment(LAN)
        self.server = Server(provider6())
        Dhcpv6Station(line, SERVER_MAC, self.server)
        self.router = RaRouter(world.timeline, line, MAC, ROUTER, ADVERTISEMENT)
        self.host = SlaacHost(lan, HOST_MAC)
        world.add_link("eth0", LINE)
        world.add_link("eth1", LAN)
        async with open_host(world, ipv6=True) as rig.host, trio.open_nursery() as nursery:
            nursery.start_soon(world.run)
            self.router.open(world.now())
            yield
            nursery.cancel_scope.cancel()

    def held(self, ifname: str) -> list[IPv6Interface]:
        """The router's global IPv6 addresses on a link."""
        index = self.rig.world.link(ifname).index
        every = (a.address for a in self.rig.host.snapshot().addresses if a.link == index)
        return [address for address in every if isinstance(address, IPv6Interface) and not address.is_link_local]

    @property
    def now(self) -> float:
        return self.rig.world.now()

    def preferred(self) -> list[IPv6Address]:
        """What the LAN's host begins new connections with."""
        return self.host.preferred(self.now)

    def on(self, pool: int) -> bool:
        """Whether the LAN's host prefers an address of this pool, and none of the other one."""
        preferred = self.preferred()
        return bool(preferred) and all(address in POOLS[pool] for address in preferred)

    @property
    def prefix(self) -> IPv6Network:
        """The delegated prefix that the LAN's subnet is of."""
        (address,) = (a for a in self.held("eth1") if any(a.ip in pool for pool in POOLS))
        return address.network.supernet(new_prefix=LENGTH)
