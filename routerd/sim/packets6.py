"""What a kernel does between sockets and frames, as far as DHCPv6 and Neighbor Discovery need it: IPv6 headers,
checksums, multicast addresses, and who is meant. Stations of the simulation pack and unpack with it, too."""

from __future__ import annotations

import errno
import os
import struct
from ipaddress import IPv6Address

import attrs

from routerd.protocols import ethernet
from routerd.protocols.malformed import Malformed
from routerd.sim.world import World

ETHERTYPE_IPV6 = 0x86DD
UDP, ICMPV6 = 17, 58

_HEADER = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")


@attrs.frozen
class Packet6:
    """An IPv6 packet without extension headers. `payload` of ICMPv6 begins with its type, of UDP with its header."""

    source: IPv6Address
    target: IPv6Address
    next_header: int
    payload: bytes
    hop_limit: int = 255
    dscp: int = 0


@attrs.frozen
class Udp6:
    """A UDP datagram."""

    source_port: int
    target_port: int
    payload: bytes


def pack(packet: Packet6, *, source_mac: bytes, target_mac: bytes) -> bytes:
    """One Ethernet frame, the checksum of its payload filled in."""
    payload = _summed(packet)
    head = _HEADER.pack(
        6 << 28 | packet.dscp << 22,
        len(payload),
        packet.next_header,
        packet.hop_limit,
        packet.source.packed,
        packet.target.packed,
    )
    return ethernet.pack(head + payload, source=source_mac, target=target_mac, ethertype=ETHERTYPE_IPV6)


def unpack(data: bytes) -> Packet6 | Malformed:
    """The packet in a frame, if its checksum holds."""
    at = ethernet.payload_offset(data, ETHERTYPE_IPV6)
    if isinstance(at, Malformed):
        return at
    if len(data) < at + _HEADER.size:
        return Malformed("short-ip")
    first, length, next_header, hop_limit, source, target = _HEADER.unpack_from(data, at)
    payload = data[at + _HEADER.size : at + _HEADER.size + length]
    if first >> 28 != 6 or len(payload) < length:
        return Malformed("bad-ip-length")
    packet = Packet6(IPv6Address(source), IPv6Address(target), next_header, payload, hop_limit, first >> 22 & 0x3F)
    if next_header not in (UDP, ICMPV6) or len(payload) < 8:
        return Malformed("other-protocol")
    return packet if _sum(packet) in (0, 0xFFFF) else Malformed("bad-checksum")


def datagram(udp: Udp6) -> bytes:
    """Header and payload, the checksum zero."""
    return _UDP.pack(udp.source_port, udp.target_port, _UDP.size + len(udp.payload), 0) + udp.payload


def read_datagram(packet: Packet6) -> Udp6 | None:
    """The datagram in a packet, if it is one."""
    if packet.next_header != UDP:
        return None
    source_port, target_port, length, _ = _UDP.unpack_from(packet.payload)
    if not _UDP.size <= length <= len(packet.payload):
        return None
    return Udp6(source_port, target_port, packet.payload[_UDP.size : length])


def multicast_mac(address: IPv6Address) -> bytes:
    """Where a multicast packet goes on Ethernet (RFC 2464 §7)."""
    return b"\x33\x33" + address.packed[12:]


def send(world: World, index: int, packet: Packet6) -> None:
    """Send by a link of the router. No neighbour is asked: the segment knows who has the target.

    Raises OSError: EADDRNOTAVAIL when the source is not ours, EHOSTUNREACH when nobody has the target, and what
    `World.send` raises."""
    link = world.link(index)
    if not (packet.source.is_unspecified or world.owns(index, packet.source)):
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL), str(packet.source))
    multicast = packet.target.is_multicast
    mac = multicast_mac(packet.target) if multicast else world.resolve(index, packet.target)
    if mac is None and link.carrier:
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH), str(packet.target))
    world.send(index, pack(packet, source_mac=link.mac, target_mac=mac or multicast_mac(packet.target)))


def received(world: World, index: int, data: bytes) -> Packet6 | None:
    """The packet in a frame, if it is whole and for the router: to an address of its link, or to many."""
    packet = unpack(data)
    if isinstance(packet, Malformed):
        return None
    return packet if packet.target.is_multicast or world.owns(index, packet.target) else None


def _summed(packet: Packet6) -> bytes:
    """The payload with its checksum: a zero one of UDP is written as all ones (RFC 8200 §8.1)."""
    at = 6 if packet.next_header == UDP else 2
    blank = packet.payload[:at] + b"\0\0" + packet.payload[at + 2 :]
    value = 0xFFFF ^ _sum(attrs.evolve(packet, payload=blank))
    return blank[:at] + (value or 0xFFFF).to_bytes(2) + blank[at + 2 :]


def _sum(packet: Packet6) -> int:
    """The one's complement sum over pseudo header and payload."""
    pseudo = (
        packet.source.packed + packet.target.packed + struct.pack("!IxxxB", len(packet.payload), packet.next_header)
    )
    octets = pseudo + packet.payload + b"\0" * (len(packet.payload) % 2)
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
