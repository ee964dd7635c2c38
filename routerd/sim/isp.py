"""The demo's provider: a DHCPv4 server and a gateway on one segment, and about once a minute something happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import attrs
import trio

from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_leases import Binding
from routerd.sim.dhcpv4_server import Server, Settings, addresses, names, routes
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.ethernet import Segment
from routerd.sim.timeline import Timeline
from routerd.sim.world import World

Narrate = Callable[[str], None]
"""Takes a sentence on what the provider has just done."""

LEASE_TIME = 60
SUBNET = IPv4Network("203.0.113.0/24")
GATEWAY = SUBNET[1]
GATEWAY_MAC = bytes.fromhex("02005e711301")
NEIGHBOUR_MAC = bytes.fromhex("02005e7113ee")
POOLS = ((SUBNET[50], SUBNET[99]), (SUBNET[150], SUBNET[199]))
DNS = (addresses("203.0.113.53", "203.0.113.54"), addresses("198.51.100.53", "203.0.113.54"))


def _settings(pool: int) -> Settings:
    first, last = POOLS[pool]
    return Settings(
        server_id=GATEWAY,
        subnet=SUBNET,
        first=first,
        last=last,
        lease_time=LEASE_TIME,
        options={
            3: GATEWAY.packed,
            6: DNS[0],
            15: b"isp.example",
            26: (1492).to_bytes(2),
            28: SUBNET.broadcast_address.packed,
            42: addresses("203.0.113.123"),
            119: names("isp.example", "example.net"),
            121: routes(("0.0.0.0/0", GATEWAY), ("198.51.100.0/24", GATEWAY)),
        },
    )


class Isp:
    """What the provider has on its side of the cable, and what it does to its customers.

    Pure as the segment is: `open` books everything on the timeline, `narrate` hears a sentence about each act.
    """

    def __init__(self, timeline: Timeline, segment: Segment, narrate: Narrate, *, pace: float = 60.0) -> None:
        self.server = Server(_settings(0))
        self._timeline = timeline
        self._narrate = narrate
        self._pace = pace
        self._pool = 0
        self._neighbour = Neighbour(segment, NEIGHBOUR_MAC, defends=True)
        Neighbour(segment, GATEWAY_MAC, [GATEWAY])
        Dhcpv4Station(segment, GATEWAY_MAC, GATEWAY, self.server)

    def open(self, now: float) -> None:
        """Begin: something happens every `pace` seconds from now on."""
        self._narrate(f"customers get {_range(0)} for {LEASE_TIME} seconds; the gateway is {GATEWAY}")
        acts = itertools.cycle((self._change_dns, self._move_pool, self._fall_silent, self._steal, self._calm_down))

        def act(now: float) -> None:
            next(acts)(now)
            self._timeline.at(now + self._pace, act)

        self._timeline.at(now + self._pace, act)

    def _change_dns(self, now: float) -> None:
        options = {**self.server.settings.options, 6: DNS[1]}
        self.server.settings = attrs.evolve(self.server.settings, options=options)
        self._narrate(f"DNS moves from {_list(DNS[0])} to {_list(DNS[1])}: the next renewal brings it")

    def _move_pool(self, now: float) -> None:
        self._pool = 1 - self._pool
        first, last = POOLS[self._pool]
        self.server.settings = attrs.evolve(self.server.settings, first=first, last=last)
        self._narrate(f"customers are renumbered to {_range(self._pool)}: the next renewal is refused with a NAK")

    def _fall_silent(self, now: float) -> None:
        """From before T1 until shortly before T2: renewing meets silence, rebinding an answer."""
        lease = self._lease(now)
        if lease is None:
            return
        self.server.settings = attrs.evolve(self.server.settings, silent=True)
        self._narrate("the DHCP server goes down: a renewal meets silence, and the customer must ask everybody")
        self._timeline.at(lease.until - LEASE_TIME / 6, self._speak)

    def _speak(self, now: float) -> None:
        self.server.settings = attrs.evolve(self.server.settings, silent=False)
        self._narrate("the DHCP server is up again")

    def _steal(self, now: float) -> None:
        """A neighbour uses the customer's address for half a minute, and says so twice."""
        lease = self._lease(now)
        if lease is None:
            return
        address = lease.address
        self._narrate(f"a neighbour has set up {address} by hand: an address conflict")
        self._neighbour.claim(address, now)
        self._timeline.at(now + 15, lambda later: self._neighbour.claim(address, later))
        self._timeline.at(now + 30, lambda later: self._leave_alone(address))

    def _leave_alone(self, address: IPv4Address) -> None:
        self._neighbour.addresses.clear()
        self._narrate(f"the neighbour has noticed, and leaves {address} alone")

    def _calm_down(self, now: float) -> None:
        self.server.settings = _settings(self._pool)
        self._narrate(f"DNS moves back to {_list(DNS[0])}: the next renewal brings it")

    def _lease(self, now: float) -> Binding | None:
        """A lease that somebody has now."""
        return next(iter(self.server.leases.active(now)), None)


def _list(packed: bytes) -> str:
    return " and ".join(str(IPv4Address(packed[at : at + 4])) for at in range(0, len(packed), 4))


def _range(pool: int) -> str:
    return " … ".join(str(address) for address in POOLS[pool])


async def run_isp(world: World, segment: str, narrate: Narrate, *, pace: float = 60.0) -> None:
    """Be the provider on `segment` of `world`, whose `run` somebody must be running; `narrate` hears what happens."""
    Isp(world.timeline, world.segment(segment), narrate, pace=pace).open(world.now())
    await trio.sleep_forever()
