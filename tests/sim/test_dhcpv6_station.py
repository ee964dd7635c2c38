"""A DHCPv6 server on a segment: what it hears, and where it answers."""

from __future__ import annotations

import random
from ipaddress import IPv6Address

import attrs
import pytest

from routerd.protocols.dhcpv6 import requests, wire
from routerd.protocols.dhcpv6.association import IdentityAssociation
from routerd.protocols.dhcpv6.message import ALL_SERVERS, Message, MessageType
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.sim.dhcpv6_hostile import MODES, Hostile
from routerd.sim.dhcpv6_server import LINK_LOCAL, Server
from routerd.sim.dhcpv6_station import ALL_NODES, Dhcpv6Station, Service
from routerd.sim.ethernet import Segment
from routerd.sim.packets6 import UDP, Packet6, Udp6, datagram, multicast_mac, pack, read_datagram, unpack
from routerd.sim.timeline import Timeline
from tests.sim.network6 import PD, SERVICE

MAC, SERVER_MAC = bytes.fromhex("02005e000001"), bytes.fromhex("02005e000101")
CLIENT = IPv6Address("fe80::5eff:fe00:1")
SOLICIT = requests.message(
    MessageType.SOLICIT,
    Settings(bytes.fromhex("00030001") + MAC, (Wanted(PD),)),
    7,
    elapsed=0,
    associations=[IdentityAssociation(PD)],
)
ASKED = Packet6(CLIENT, ALL_SERVERS, UDP, datagram(Udp6(546, 547, wire.encode(SOLICIT))))


def answers(packet: Packet6, service: Service | None = None) -> list[Packet6]:
    """What a client hears after it has sent this."""
    timeline, heard = Timeline(), list[bytes]()
    segment = Segment(timeline, random.Random(1))
    port = segment.attach(MAC, lambda data, now: heard.append(data))
    Dhcpv6Station(segment, SERVER_MAC, service or Server(SERVICE))
    port.send(pack(packet, source_mac=MAC, target_mac=multicast_mac(packet.target)), 0.0)
    timeline.run_until(1.0)
    packets = [unpack(data) for data in heard]
    return [found for found in packets if isinstance(found, Packet6)]


def test_a_solicit_is_answered_to_who_asked() -> None:
    (packet,) = answers(ASKED)
    assert (packet.source, packet.target) == (LINK_LOCAL, CLIENT)
    udp = read_datagram(packet)
    assert udp is not None
    assert (udp.source_port, udp.target_port) == (547, 546)
    message = wire.decode(udp.payload)
    assert isinstance(message, Message)
    assert (message.type, message.xid) == (MessageType.ADVERTISE, 7)


@pytest.mark.parametrize(
    "packet",
    [
        attrs.evolve(ASKED, target=IPv6Address("ff02::1")),
        attrs.evolve(ASKED, target=IPv6Address("ff05::1:3")),
        attrs.evolve(ASKED, payload=datagram(Udp6(546, 548, wire.encode(SOLICIT)))),
        attrs.evolve(ASKED, payload=datagram(Udp6(546, 547, b"\1\0"))),
        attrs.evolve(ASKED, next_header=58),
    ],
)
def test_what_is_not_for_a_server(packet: Packet6) -> None:
    assert answers(packet) == []


def test_a_hostile_one_answers_to_everybody() -> None:
    (packet,) = answers(ASKED, Hostile(Server(SERVICE), random.Random(1), MODES["to-all"]))
    assert packet.target == ALL_NODES
