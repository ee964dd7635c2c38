"""A DHCPv6 server on a simulated segment: frames in, frames out, the service between them."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Protocol

from routerd.protocols.dhcpv6 import wire
from routerd.protocols.dhcpv6.message import ALL_SERVERS, CLIENT_PORT, SERVER_PORT, Message
from routerd.protocols.malformed import Malformed
from routerd.sim.dhcpv6_server import Reply
from routerd.sim.ethernet import Segment
from routerd.sim.packets6 import UDP, Packet6, Udp6, datagram, multicast_mac, pack, read_datagram, unpack

ALL_NODES = IPv6Address("ff02::1")
_SOURCE_MAC = slice(6, 12)


class Service(Protocol):
    """Whoever answers: a server by the RFC, or one that is not."""

    def receive(self, message: Message, now: float) -> list[Reply]:
        """Take one message of a client."""


class Dhcpv6Station:
    """`service` at one place of `segment`. It hears what is sent to all servers, and nothing else (RFC 9915 §14)."""

    def __init__(self, segment: Segment, mac: bytes, service: Service) -> None:
        self.service = service
        self.port = segment.attach(mac, self._receive)

    def _receive(self, data: bytes, now: float) -> None:
        packet = unpack(data)
        if isinstance(packet, Malformed) or packet.target != ALL_SERVERS:
            return
        udp = read_datagram(packet)
        message = wire.decode(udp.payload) if udp is not None and udp.target_port == SERVER_PORT else None
        if not isinstance(message, Message):
            return
        for reply in self.service.receive(message, now):
            self.port.send(self._framed(reply, packet.source, data[_SOURCE_MAC]), now)

    def order(self, octets: bytes, client: IPv6Address, mac: bytes, now: float) -> None:
        """Send what nobody has asked for, to one client: a Reconfigure (RFC 9915 §18.3.11)."""
        message = wire.decode(octets)
        assert isinstance(message, Message)
        self.port.send(self._framed(Reply(message, octets=octets), client, mac), now)

    def _framed(self, reply: Reply, client: IPv6Address, mac: bytes) -> bytes:
        payload = reply.octets or wire.encode(reply.message)
        target = ALL_NODES if reply.multicast else client
        packet = Packet6(reply.source, target, UDP, datagram(Udp6(reply.source_port, CLIENT_PORT, payload)))
        return pack(packet, source_mac=self.port.mac, target_mac=multicast_mac(target) if reply.multicast else mac)
