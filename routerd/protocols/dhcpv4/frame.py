"""Ethernet, IPv4 and UDP around a DHCPv4 message: the raw path, when there is no address yet (V4-27).

Only what this path needs: no fragments, no IPv4 options on sending.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import attrs

from routerd.protocols import ethernet
from routerd.protocols.dhcpv4.message import CLIENT_PORT
from routerd.protocols.malformed import Malformed

TTL = 64

_UDP_PROTOCOL = 17
_MORE_FRAGMENTS_OR_OFFSET = 0x3FFF
_IPV4 = struct.Struct("!BBHHHBBHII")
_UDP = struct.Struct("!4H")
_PSEUDO = struct.Struct("!IIHH")


@attrs.frozen
class Encapsulated:
    """A UDP payload and where it came from."""

    payload: bytes
    source: IPv4Address
    source_port: int
    destination: IPv4Address


def pack(
    payload: bytes,
    *,
    source_mac: bytes,
    target_mac: bytes,
    source: IPv4Address,
    target: IPv4Address,
    source_port: int,
    target_port: int,
    dscp: int = 0,
    identification: int,
) -> bytes:
    """One Ethernet frame with both checksums filled in. Raises ValueError if a field is out of range."""
    udp_length = _UDP.size + len(payload)
    total = _IPV4.size + udp_length
    try:
        udp = _UDP.pack(source_port, target_port, udp_length, 0) + payload
        pseudo = _PSEUDO.pack(int(source), int(target), _UDP_PROTOCOL, udp_length)
        # RFC 768: a computed zero is sent as all ones, because zero says that there is none.
        udp = udp[:6] + (_checksum(pseudo + udp) or 0xFFFF).to_bytes(2, "big") + udp[8:]
        ip = _IPV4.pack(0x45, dscp << 2, total, identification, 0, TTL, _UDP_PROTOCOL, 0, int(source), int(target))
    except struct.error as error:
        raise ValueError(f"a header field is out of range: {error}") from error
    ip = ip[:10] + _checksum(ip).to_bytes(2, "big") + ip[12:]
    return ethernet.pack(ip + udp, source=source_mac, target=target_mac, ethertype=ethernet.ETHERTYPE_IPV4)


def unpack(frame: bytes, *, checksum_known_good: bool, port: int = CLIENT_PORT) -> Encapsulated | Malformed:
    """The UDP payload of a received frame, if it is whole and goes to `port` (V4-27).

    `checksum_known_good`: the kernel has verified the UDP checksum, or has not filled it in yet; the IPv4
    header's is verified anyhow. Octets behind the IPv4 packet are Ethernet's padding.
    """
    at = ethernet.payload_offset(frame, ethernet.ETHERTYPE_IPV4)
    if isinstance(at, Malformed):
        return at
    if len(frame) < at + _IPV4.size:
        return Malformed("short-frame")
    first, _, total, _, fragment, _, protocol, _, source, target = _IPV4.unpack_from(frame, at)
    header = (first & 0x0F) * 4
    if first >> 4 != 4:
        return Malformed("not-ipv4")
    if header < _IPV4.size or total < header or len(frame) < at + total:
        return Malformed("bad-ip-length")
    if _checksum(frame[at : at + header]):
        return Malformed("bad-ip-checksum")
    if fragment & _MORE_FRAGMENTS_OR_OFFSET:
        return Malformed("fragment")
    if protocol != _UDP_PROTOCOL:
        return Malformed("not-udp")
    if total < header + _UDP.size:
        return Malformed("bad-udp-length")
    source_port, target_port, udp_length, checksum = _UDP.unpack_from(frame, at + header)
    if target_port != port:
        return Malformed("other-port")
    if not _UDP.size <= udp_length <= total - header:
        return Malformed("bad-udp-length")
    udp = frame[at + header : at + header + udp_length]
    pseudo = _PSEUDO.pack(source, target, _UDP_PROTOCOL, udp_length)
    if checksum and not checksum_known_good and _checksum(pseudo + udp):
        return Malformed("bad-udp-checksum")
    return Encapsulated(udp[_UDP.size :], IPv4Address(source), source_port, IPv4Address(target))


def _checksum(data: bytes) -> int:
    """RFC 1071: the complement of the ones' complement sum of 16-bit words; 0 over data that holds its own.

    As 2**16 is 1 modulo 65535, the sum of the words is the whole number modulo 65535: one division in C.
    """
    if len(data) % 2:
        data += b"\0"
    return -int.from_bytes(data, "big") % 0xFFFF
