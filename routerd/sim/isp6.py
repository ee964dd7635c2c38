"""The demo's provider in IPv6: a router that advertises itself, a DHCPv6 server that delegates prefixes, and every now
and then it renumbers its customers or is not there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

import attrs
import trio

from routerd.protocols.dhcpv6.message import Option
from routerd.protocols.ndp.message import NameServers, Prefix, RouterAdvertisement
from routerd.sim.dhcpv6_server import Server, Settings
from routerd.sim.dhcpv6_station import Dhcpv6Station
from routerd.sim.ethernet import Segment
from routerd.sim.ra_router import RaRouter
from routerd.sim.timeline import Timeline
from routerd.sim.world import World

Narrate = Callable[[str], None]
"""Takes a sentence on what the provider has just done."""

PREFERRED, VALID, T1, T2 = 300, 360, 60, 120
"""Seconds of a delegation: short, so that there is something to see, but longer than the server is ever silent."""
MAC = bytes.fromhex("02005e711306")
SERVER_MAC = bytes.fromhex("02005e711347")
SERVER_ID = bytes.fromhex("00030001") + SERVER_MAC
ROUTER = IPv6Address("fe80::5eff:fe71:1306")
LINK = IPv6Network("2001:db8:ff::/64")
POOLS = (IPv6Network("2001:db8:4000::/36"), IPv6Network("2001:db8:8000::/36"))
LENGTH = 56
DNS = IPv6Address("2001:db8:53::53"), IPv6Address("2001:db8:53::54")
OPTIONS = (
    Option(23, b"".join(server.packed for server in DNS)),
    Option(24, b"\3isp\7example\0"),
    Option(56, b"\0\1\0\x10" + IPv6Address("2001:db8:53::123").packed),
    Option(64, b"\4aftr\3isp\7example\0"),
)
ADVERTISEMENT = RouterAdvertisement(
    lifetime=600,
    managed=True,
    other=True,
    hop_limit=64,
    mtu=1492,
    prefixes=(Prefix(LINK, 3600, 1800),),
    name_servers=(NameServers(DNS, 1200),),
)


class Isp6:
    """What the provider has on its side of the cable beside IPv4, and what it does to its customers.

    Pure as the segment is: `open` books everything on the timeline, `narrate` hears a sentence about each act.
    """

    def __init__(self, timeline: Timeline, segment: Segment, narrate: Narrate, *, pace: float = 150.0) -> None:
        self.server = Server(_settings(0))
        self.router = RaRouter(timeline, segment, MAC, ROUTER, ADVERTISEMENT, interval=60.0)
        self._timeline = timeline
        self._narrate = narrate
        self._pace = pace
        self._pool = 0
        Dhcpv6Station(segment, SERVER_MAC, self.server)

    def open(self, now: float) -> None:
        """Begin: something happens every `pace` seconds from now on."""
        self._narrate(f"customers get a /{LENGTH} of {POOLS[0]} for {VALID} seconds; the router is {ROUTER}")
        self.router.open(now)
        acts = itertools.cycle((self.renumber, self._fall_silent, self._leave, self.renumber, self._forget))

        def act(now: float) -> None:
            next(acts)(now)
            self._timeline.at(now + self._pace, act)

        self._timeline.at(now + self._pace, act)

    def renumber(self, now: float) -> None:
        """Delegate out of the other pool; what was delegated before is over with the next renewal."""
        self._pool = 1 - self._pool
        self.server.settings = _settings(self._pool)
        self._narrate(f"customers are renumbered to {POOLS[self._pool]}: the next renewal takes the old prefix back")

    def _fall_silent(self, now: float) -> None:
        self.server.settings = attrs.evolve(self.server.settings, silent=True)
        self._narrate("the DHCPv6 server goes down: a renewal meets silence, and the customer must ask everybody")
        self._timeline.at(now + T2 + 10, self._speak)

    def _speak(self, now: float) -> None:
        self.server.settings = attrs.evolve(self.server.settings, silent=False)
        self._narrate("the DHCPv6 server is up again")

    def _leave(self, now: float) -> None:
        self.router.cease(now)
        self._narrate("the provider's router says that it is none any more: there is no way out in IPv6")
        self._timeline.at(now + 20, self._return)

    def _return(self, now: float) -> None:
        self.router.advertisement = ADVERTISEMENT
        self.router.advertise(now)
        self._narrate("the provider's router is back")

    def _forget(self, now: float) -> None:
        """As a server whose disk was lost: what a customer holds is known to nobody, and granted anew."""
        self.server.leases.forget()
        self._narrate("the DHCPv6 server has lost its leases: at the next renewal it knows nothing of the customer's")


def _settings(pool: int) -> Settings:
    return Settings(
        SERVER_ID,
        addresses=LINK,
        prefixes=POOLS[pool],
        length=LENGTH,
        t1=T1,
        t2=T2,
        preferred=PREFERRED,
        valid=VALID,
        options=OPTIONS,
        creates=False,
    )


async def run_isp6(world: World, segment: str, narrate: Narrate) -> None:
    """Be the provider in IPv6 on `segment` of `world`, whose `run` somebody must be running; `narrate` hears what
    happens."""
    Isp6(world.timeline, world.segment(segment), narrate).open(world.now())
    await trio.sleep_forever()
