"""The demo's provider in IPv6 does to a client what it says, and the client lives through it."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network
from itertools import pairwise

import pytest

from routerd.protocols.dhcpv6 import inputs, outputs, wire
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.message import ALL_SERVERS, Message, MessageType
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.protocols.machine import Start, Tick
from routerd.sim.ethernet import Segment
from routerd.sim.isp6 import DNS, LINK, POOLS, ROUTER, VALID, Isp6
from routerd.sim.packets6 import UDP, Packet6, Udp6, datagram, multicast_mac, pack, read_datagram, unpack
from routerd.sim.slaac_host import SlaacHost
from routerd.sim.timeline import Appointment, Timeline

MAC, HOST_MAC = bytes.fromhex("02005e610001"), bytes.fromhex("02005e610002")
OURS = IPv6Address("fe80::5eff:fe61:1")
NA, PD = Association(Kind.NA, 1), Association(Kind.PD, 1)
PACE = 150.0


class Customer:
    """The client's machine on a segment. `said`: all its outputs with their times."""

    def __init__(self, timeline: Timeline, segment: Segment, seed: int) -> None:
        self.machine = Client(Settings(duid_ll(MAC), (Wanted(NA), Wanted(PD))), random.Random(seed))
        self.said: list[tuple[float, outputs.Output]] = []
        self.port = segment.attach(MAC, self._hear, addresses=[OURS])
        self._timeline = timeline
        self._alarm: Appointment | None = None

    def feed(self, event: inputs.Input | Start | Tick, now: float) -> None:
        for output in self.machine.handle(event, now):
            self.said.append((now, output))
            if isinstance(output, outputs.Send):
                udp = datagram(Udp6(546, 547, wire.encode(output.message)))
                packet = Packet6(output.source, ALL_SERVERS, UDP, udp)
                self.port.send(pack(packet, source_mac=MAC, target_mac=multicast_mac(ALL_SERVERS)), now)
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self.machine.deadline
        self._alarm = None if deadline is None else self._timeline.at(deadline, lambda now: self.feed(Tick(), now))

    def _hear(self, frame: bytes, now: float) -> None:
        packet = unpack(frame)
        udp = read_datagram(packet) if isinstance(packet, Packet6) and packet.target == OURS else None
        message = wire.decode(udp.payload) if udp is not None else None
        if isinstance(packet, Packet6) and isinstance(message, Message):
            self.feed(inputs.Received(message, packet.source), now)


class Demo:
    """A client and a host at the provider, and everything that was said on both sides."""

    def __init__(self, seed: int = 1) -> None:
        self.timeline = Timeline()
        segment = Segment(self.timeline, random.Random(seed))
        self.told: list[tuple[float, str]] = []
        self.isp = Isp6(self.timeline, segment, lambda said: self.told.append((self.timeline.now, said)), pace=PACE)
        self.customer = Customer(self.timeline, segment, seed)
        self.host = SlaacHost(segment, HOST_MAC)
        self.isp.open(0.0)
        self.customer.feed(Start(), 0.0)
        self.customer.feed(inputs.LinkUp(1, MAC, OURS), 0.0)

    def run_to(self, moment: float) -> None:
        self.timeline.run_until(moment)

    @property
    def prefix(self) -> IPv6Network | None:
        """What the client has."""
        binding = self.customer.machine.bindings.get(PD)
        asset = binding.leases[0].asset if binding else None
        return asset if isinstance(asset, IPv6Network) else None

    def sent(self, begin: float, end: float) -> set[MessageType]:
        """What the client sent between two times."""
        return {
            said.message.type for at, said in self.customer.said if begin <= at < end and isinstance(said, outputs.Send)
        }


@pytest.mark.parametrize("seed", range(5))
def test_every_act_brings_what_was_announced(seed: int) -> None:
    demo = Demo(seed)
    demo.run_to(PACE)
    first = demo.prefix
    assert first is not None
    assert first.subnet_of(POOLS[0])
    demo.run_to(2 * PACE)  # renumbered
    second = demo.prefix
    assert second is not None
    assert second.subnet_of(POOLS[1])
    lost = [said for _, said in demo.customer.said if isinstance(said, outputs.Lost)]
    assert [(said.lease.asset, said.reason) for said in lost] == [(first, "withdrawn")]
    demo.run_to(3 * PACE + 60)  # the server was silent
    assert MessageType.REBIND in demo.sent(2 * PACE, 3 * PACE + 60)
    assert demo.prefix == second
    demo.run_to(4 * PACE)
    demo.run_to(5 * PACE)  # renumbered again
    assert demo.prefix == first
    demo.run_to(6 * PACE)  # forgotten
    assert MessageType.REQUEST in demo.sent(5 * PACE, 6 * PACE)
    assert demo.prefix == first
    assert demo.isp.server.violations == []


def test_a_delegation_lasts_as_long_as_it_says() -> None:
    demo = Demo()
    demo.run_to(20.0)
    (lease,) = demo.customer.machine.bindings[PD].leases
    assert lease.valid_until == pytest.approx(VALID, abs=5)
    (address,) = demo.customer.machine.bindings[NA].leases
    assert address.asset in LINK
    information = demo.customer.machine.information
    assert information is not None
    assert information.dns_servers == DNS
    assert (information.search, information.aftr) == (("isp.example",), "aftr.isp.example")
    assert information.ntp_servers == (IPv6Address("2001:db8:53::123"),)
    assert information.notes == ()


def test_its_router_advertises_and_goes_for_a_while() -> None:
    demo = Demo()
    demo.run_to(3 * PACE - 1)
    assert demo.host.default_routers(3 * PACE - 1) == [ROUTER]
    demo.run_to(3 * PACE + 10)
    assert demo.host.default_routers(3 * PACE + 10) == []
    assert demo.host.preferred(3 * PACE + 10)
    demo.run_to(3 * PACE + 21)
    assert demo.host.default_routers(3 * PACE + 21) == [ROUTER]


def test_what_it_tells_happens_and_can_be_printed() -> None:
    demo = Demo()
    demo.run_to(12 * PACE)
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(demo.told)) <= PACE
    assert all(sentence.isprintable() for _, sentence in demo.told)
