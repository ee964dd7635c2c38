"""A DHCPv4 server on a simulated segment: frames in, frames out, the service between them."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address
from typing import Protocol

from routerd.protocols.dhcpv4 import frame, wire
from routerd.protocols.dhcpv4.message import BROADCAST, CLIENT_PORT, SERVER_PORT, Message
from routerd.protocols.malformed import Malformed
from routerd.sim.dhcpv4_server import Reply
from routerd.sim.ethernet import Segment


class Service(Protocol):
    """Whoever answers: a server by the RFC, or one that is not."""

    def receive(self, message: Message, source: IPv4Address, destination: IPv4Address, now: float) -> list[Reply]:
        """Take one message of a client; `source` and `destination` of its IP header."""


class Dhcpv4Station:
    """`service` at one place of `segment`. It hears what is sent to `address` and what is broadcast."""

    def __init__(self, segment: Segment, mac: bytes, address: IPv4Address, service: Service) -> None:
        self.service = service
        self.address = address
        self.port = segment.attach(mac, self._receive, addresses=(address,))
        self._identification = itertools.count(1)

    def _receive(self, data: bytes, now: float) -> None:
        outer = frame.unpack(data, checksum_known_good=False, port=SERVER_PORT)
        if isinstance(outer, Malformed) or outer.destination not in (BROADCAST, self.address):
            return
        message = wire.decode(outer.payload)
        if isinstance(message, Malformed):
            return
        for reply in self.service.receive(message, outer.source, outer.destination, now):
            self.port.send(self._framed(reply), now)

    def _framed(self, reply: Reply) -> bytes:
        return frame.pack(
            reply.octets or wire.encode(reply.message),
            source_mac=self.port.mac,
            target_mac=reply.mac,
            source=reply.source,
            target=reply.to,
            source_port=reply.source_port,
            target_port=CLIENT_PORT,
            identification=next(self._identification) & 0xFFFF,
        )
