"""A neighbour on a simulated segment that answers ARP: a gateway, or somebody with an address that is not his."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from routerd.protocols.arp import wire
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.malformed import Malformed
from routerd.sim.ethernet import BROADCAST_MAC, Segment


class Neighbour:
    """It answers for its `addresses` (RFC 826), probes included. Whoever else uses one of them is answered with an
    announcement if it `defends`, as RFC 5227 §2.4 has it, and else not."""

    def __init__(
        self, segment: Segment, mac: bytes, addresses: Iterable[IPv4Address] = (), *, defends: bool = False
    ) -> None:
        self.defends = defends
        self.port = segment.attach(mac, self._receive, addresses=addresses)

    @property
    def addresses(self) -> set[IPv4Address | IPv6Address]:
        """The addresses that it answers for; change them at will."""
        return self.port.addresses

    def claim(self, address: IPv4Address, now: float) -> None:
        """Begin to use an address, and announce it (RFC 5227 §2.3), whoever has it."""
        self.addresses.add(address)
        self._announce(address, now)

    def _announce(self, address: IPv4Address, now: float) -> None:
        self._send(ArpPacket(ArpOp.REQUEST, self.port.mac, address, ZERO_MAC, address), BROADCAST_MAC, now)

    def _send(self, packet: ArpPacket, to: bytes, now: float) -> None:
        self.port.send(wire.pack_frame(packet, source_mac=self.port.mac, target_mac=to), now)

    def _receive(self, frame: bytes, now: float) -> None:
        packet = wire.unpack_frame(frame)
        if isinstance(packet, Malformed) or packet.sender_mac == self.port.mac:
            return
        if packet.sender_ip in self.addresses:
            if self.defends:
                self._announce(packet.sender_ip, now)
        elif packet.op is ArpOp.REQUEST and packet.target_ip in self.addresses:
            answer = ArpPacket(ArpOp.REPLY, self.port.mac, packet.target_ip, packet.sender_mac, packet.sender_ip)
            self._send(answer, packet.sender_mac, now)
