"""ARP packets as octets (RFC 826) and back, with and without their Ethernet header."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from routerd.protocols import ethernet
from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.malformed import Malformed

_ETHERNET = 1
_PACKET = struct.Struct("!HHBBH6s4s6s4s")
_OPS = {int(op): op for op in ArpOp}


def decode(data: bytes) -> ArpPacket | Malformed:
    """A packet of Ethernet and IPv4 (ARP-6). Octets behind it are Ethernet's padding."""
    if len(data) < _PACKET.size:
        return Malformed("short")
    htype, ptype, hlen, plen, op, sender_mac, sender_ip, target_mac, target_ip = _PACKET.unpack_from(data)
    if htype != _ETHERNET:
        return Malformed("bad-htype")
    if ptype != ethernet.ETHERTYPE_IPV4:
        return Malformed("bad-ptype")
    if hlen != 6:
        return Malformed("bad-hlen")
    if plen != 4:
        return Malformed("bad-plen")
    if op not in _OPS:
        return Malformed("bad-op")
    return ArpPacket(_OPS[op], sender_mac, IPv4Address(sender_ip), target_mac, IPv4Address(target_ip))


def encode(packet: ArpPacket) -> bytes:
    """The packet's 28 octets. Raises ValueError for a hardware address that is not six octets."""
    if len(packet.sender_mac) != 6 or len(packet.target_mac) != 6:
        raise ValueError("an Ethernet address has six octets")
    return _PACKET.pack(
        _ETHERNET,
        ethernet.ETHERTYPE_IPV4,
        6,
        4,
        packet.op,
        packet.sender_mac,
        packet.sender_ip.packed,
        packet.target_mac,
        packet.target_ip.packed,
    )


def unpack_frame(frame: bytes) -> ArpPacket | Malformed:
    """The ARP packet in a received Ethernet frame."""
    at = ethernet.payload_offset(frame, ethernet.ETHERTYPE_ARP)
    return at if isinstance(at, Malformed) else decode(frame[at:])


def pack_frame(packet: ArpPacket, *, source_mac: bytes, target_mac: bytes) -> bytes:
    """One Ethernet frame with the packet in it."""
    return ethernet.pack(encode(packet), source=source_mac, target=target_mac, ethertype=ethernet.ETHERTYPE_ARP)
