"""A router that advertises and a host that believes it, on one simulated segment."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network

import attrs
import pytest

from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import (
    ALL_NODES,
    INFINITE,
    NameServers,
    NdpMessage,
    NeighborAdvertisement,
    NeighborSolicitation,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
)
from routerd.sim.ethernet import Segment
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack, unpack
from routerd.sim.ra_router import RaRouter
from routerd.sim.slaac_host import TWO_HOURS, SlaacHost
from routerd.sim.timeline import Timeline

ROUTER_MAC, HOST_MAC, OTHER_MAC = (bytes.fromhex(f"02005e6100{n:02x}") for n in (1, 2, 3))
ROUTER, OTHER = IPv6Address("fe80::1"), IPv6Address("fe80::3")
PREFIX, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
DNS = IPv6Address("2001:db8::53")
TOLD = RouterAdvertisement(
    lifetime=1800, mtu=1480, prefixes=(Prefix(PREFIX, 5400, 2700),), name_servers=(NameServers((DNS,), 1200),)
)


class Lan:
    """Both of them, and time."""

    def __init__(self, told: RouterAdvertisement | None = TOLD) -> None:
        self.timeline, self.now = Timeline(), 0.0
        self.segment = Segment(self.timeline, random.Random(1))
        self.router = RaRouter(self.timeline, self.segment, ROUTER_MAC, ROUTER, told)
        self.host = SlaacHost(self.segment, HOST_MAC)
        self.heard: list[Packet6] = []
        self.port = self.segment.attach(OTHER_MAC, self._hear, addresses=[OTHER])

    def _hear(self, frame: bytes, now: float) -> None:
        packet = unpack(frame)
        assert isinstance(packet, Packet6)
        self.heard.append(packet)

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.now += seconds
        self.timeline.run_until(self.now)

    def tell(self, *prefixes: Prefix) -> None:
        """The router tells this, from now on."""
        self.router.advertisement = attrs.evolve(TOLD, prefixes=prefixes)
        self.router.advertise(self.now)
        self.run()

    def say(self, message: NdpMessage, target: IPv6Address, source: IPv6Address = OTHER, hops: int = 255) -> None:
        """Somebody else says this."""
        self.heard.clear()
        packet = Packet6(source, target, ICMPV6, wire.encode(message), hops)
        self.port.send(pack(packet, source_mac=OTHER_MAC, target_mac=multicast_mac(ALL_NODES)), self.now)
        self.run()


def test_a_host_has_what_the_router_tells() -> None:
    lan = Lan()
    lan.router.open(0.0)
    lan.run()
    (address,) = lan.host.preferred(lan.now)
    assert address == IPv6Address("2001:db8:1::5eff:fe61:2")
    assert lan.host.default_routers(lan.now) == [ROUTER]
    assert (lan.host.mtu, list(lan.host.name_servers)) == (1480, [DNS])
    assert lan.segment.resolve(address) == HOST_MAC, "it answers for its address"


def test_it_is_told_again_and_again_and_forgets_a_router_that_is_silent() -> None:
    lan = Lan()
    lan.router.open(0.0)
    lan.run(6001)
    assert len(lan.host.heard) == 31
    assert lan.host.preferred(lan.now)
    lan.router.advertisement = None
    lan.run(1801)
    assert lan.host.default_routers(lan.now) == []
    assert lan.host.preferred(lan.now), "the address lasts longer than the router"
    lan.run(1000)
    assert (lan.host.preferred(lan.now), len(lan.host.usable(lan.now))) == ([], 1)
    lan.run(2700)
    assert lan.host.usable(lan.now) == []


def test_who_asks_is_answered_alone() -> None:
    lan = Lan()
    lan.host.ask(0.0)
    lan.run()
    assert (len(lan.host.heard), lan.router.asked) == (1, 1)
    assert not any(isinstance(wire.decode(packet.payload), RouterAdvertisement) for packet in lan.heard)


def test_who_asks_without_an_address_is_answered_before_all() -> None:
    lan = Lan()
    lan.say(RouterSolicitation(), ALL_NODES, IPv6Address("::"))
    assert [packet.target for packet in lan.heard] == [ALL_NODES]


def test_a_router_that_is_asked_whether_it_is_there() -> None:
    lan = Lan()
    lan.say(NeighborSolicitation(ROUTER, OTHER_MAC), ROUTER)
    (answer,) = (wire.decode(packet.payload) for packet in lan.heard)
    assert isinstance(answer, NeighborAdvertisement)
    assert (answer.target, answer.router, answer.solicited, answer.link_address) == (ROUTER, True, True, ROUTER_MAC)
    lan.say(NeighborSolicitation(OTHER, OTHER_MAC), ROUTER)
    assert lan.heard == []
    lan.router.advertisement = None
    lan.say(NeighborSolicitation(ROUTER, OTHER_MAC), ROUTER)
    assert lan.heard == []


def test_a_router_that_ends_says_so_once() -> None:
    lan = Lan()
    lan.router.open(0.0)
    lan.run()
    lan.router.cease(lan.now)
    lan.router.cease(lan.now)
    lan.run(1000)
    assert [told.lifetime for _, told in lan.host.heard] == [1800, 0]
    assert lan.host.default_routers(lan.now) == []


def test_a_prefix_that_is_taken_back_ends_for_what_is_new_at_once_and_lasts_for_what_there_is() -> None:
    lan = Lan()
    lan.tell(Prefix(PREFIX, INFINITE, INFINITE))
    before = lan.host.preferred(lan.now)
    lan.tell(Prefix(PREFIX, 0, 0), Prefix(NEXT, 5400, 2700))
    (after,) = lan.host.preferred(lan.now)
    assert after in NEXT
    assert before[0] in lan.host.usable(lan.now)
    lan.run(TWO_HOURS)
    assert before[0] not in lan.host.usable(lan.now), "RFC 4862 §5.5.3 e: two hours, not nothing and not for ever"


def test_of_less_than_two_hours_nothing_is_taken_by_an_advertisement() -> None:
    lan = Lan()
    lan.tell(Prefix(PREFIX, 3600, 3600))
    lan.tell(Prefix(PREFIX, 10, 10))
    lan.run(1800)
    assert (lan.host.preferred(lan.now), len(lan.host.usable(lan.now))) == ([], 1)


@pytest.mark.parametrize(
    "prefix",
    [
        Prefix(PREFIX, 5400, 2700, autonomous=False),
        Prefix(PREFIX, 10, 2700),
        Prefix(PREFIX, 0, 0),
        Prefix(IPv6Network("2001:db8::/56"), 5400, 2700),
        Prefix(IPv6Network("fe80::/64"), 5400, 2700),
    ],
)
def test_prefixes_of_which_no_address_is_made(prefix: Prefix) -> None:
    lan = Lan()
    lan.tell(prefix)
    assert lan.host.addresses == {}


@pytest.mark.parametrize(("source", "hops"), [(OTHER, 64), (IPv6Address("2001:db8::9"), 255)])
def test_who_is_no_router_of_this_link_is_not_believed(source: IPv6Address, hops: int) -> None:
    lan = Lan(None)
    lan.say(TOLD, ALL_NODES, source, hops)
    assert lan.host.heard == []
