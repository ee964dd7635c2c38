"""Neighbor Discovery messages as octets and back: ICMPv6 from its type on (RFC 4861 §4, RFC 4191, RFC 8106).

The checksum covers the IPv6 header too; who sends and receives (the kernel's ICMPv6 socket) makes and checks it. Here
it is left zero and stepped over.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp.message import (
    MoreSpecificRoute,
    NameServers,
    NdpMessage,
    NeighborAdvertisement,
    NeighborSolicitation,
    Preference,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
    SearchDomains,
)

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT = 133, 134, 135, 136

SOURCE_LINK, TARGET_LINK, PREFIX, MTU, ROUTE, RDNSS, DNSSL = 1, 2, 3, 5, 24, 25, 31
"""Option types."""

LONGEST_NAME = 253

_LABEL = re.compile(rb"[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?").fullmatch
_HEAD = struct.Struct("!BBxx")
_ADVERTISEMENT = struct.Struct("!BBHII")
_PREFIX = struct.Struct("!BBIIxxxx16s")
_ROUTE = struct.Struct("!BBI")
_LIFETIME = struct.Struct("!xxI")
_PREFERENCES = {0b01: Preference.HIGH, 0b00: Preference.MEDIUM, 0b11: Preference.LOW}
_BITS = {preference: bits for bits, preference in _PREFERENCES.items()}

T = TypeVar("T")
Option = tuple[int, bytes]
"""Type, and what stands behind its length."""


def decode(data: bytes) -> NdpMessage | Malformed:
    """The message. An option that is broken breaks the message when its length is (RFC 4861 §6.1), and else is ignored
    alone; one that we do not know is ignored."""
    if len(data) < _HEAD.size:
        return Malformed("short")
    kind, code = _HEAD.unpack_from(data)
    fixed, read = _READERS.get(kind, (0, None))
    if read is None:
        return Malformed("other-type")
    if code:
        return Malformed("bad-code")
    if len(data) < fixed:
        return Malformed("short")
    options = _options(data[fixed:])
    return options if isinstance(options, Malformed) else read(data, options)


def _options(data: bytes) -> list[Option] | Malformed:
    found: list[Option] = []
    while data:
        if len(data) < 2 or not data[1] or len(data) < data[1] * 8:
            return Malformed("bad-option-length")
        end = data[1] * 8
        found.append((data[0], data[2:end]))
        data = data[end:]
    return found


def _read_solicitation(data: bytes, options: list[Option]) -> RouterSolicitation:
    return RouterSolicitation(_link_address(options, SOURCE_LINK))


def _read_advertisement(data: bytes, options: list[Option]) -> RouterAdvertisement:
    hop_limit, flags, lifetime, reachable, retransmit = _ADVERTISEMENT.unpack_from(data, 4)
    return RouterAdvertisement(
        lifetime=lifetime,
        managed=bool(flags & 0x80),
        other=bool(flags & 0x40),
        # Of no default router the bits mean nothing, and the reserved value is taken as medium (RFC 4191 §2.2).
        preference=_PREFERENCES.get(flags >> 3 & 3, Preference.MEDIUM) if lifetime else Preference.MEDIUM,
        hop_limit=hop_limit,
        reachable=reachable,
        retransmit=retransmit,
        link_address=_link_address(options, SOURCE_LINK),
        mtu=next((mtu for mtu in _all(options, MTU, _read_mtu)), None),
        prefixes=tuple(_all(options, PREFIX, _read_prefix)),
        routes=tuple(_all(options, ROUTE, _read_route)),
        name_servers=tuple(_all(options, RDNSS, _read_name_servers)),
        search_domains=tuple(_all(options, DNSSL, _read_search_domains)),
    )


def _read_neighbor_solicitation(data: bytes, options: list[Option]) -> NeighborSolicitation | Malformed:
    target = IPv6Address(data[8:24])
    if target.is_multicast:
        return Malformed("bad-target")
    return NeighborSolicitation(target, _link_address(options, SOURCE_LINK))


def _read_neighbor_advertisement(data: bytes, options: list[Option]) -> NeighborAdvertisement | Malformed:
    target, flags = IPv6Address(data[8:24]), data[4]
    if target.is_multicast:
        return Malformed("bad-target")
    link_address = _link_address(options, TARGET_LINK)
    return NeighborAdvertisement(target, bool(flags & 0x80), bool(flags & 0x40), bool(flags & 0x20), link_address)


_READERS: dict[int, tuple[int, Callable[[bytes, list[Option]], NdpMessage | Malformed]]] = {
    ROUTER_SOLICITATION: (8, _read_solicitation),
    ROUTER_ADVERTISEMENT: (16, _read_advertisement),
    NEIGHBOR_SOLICITATION: (24, _read_neighbor_solicitation),
    NEIGHBOR_ADVERTISEMENT: (24, _read_neighbor_advertisement),
}
"""By type: how long the message is without options, and who reads it."""


def _all(options: list[Option], kind: int, read: Callable[[bytes], T | None]) -> Iterator[T]:
    """Every option of a kind that can be read."""
    for found, body in options:
        if found == kind and (value := read(body)) is not None:
            yield value


def _link_address(options: list[Option], kind: int) -> bytes | None:
    """Of Ethernet: six octets. Of other links it is padded, and nothing for us."""
    return next((body for found, body in options if found == kind and len(body) == 6), None)


def _read_mtu(body: bytes) -> int | None:
    return int(_LIFETIME.unpack(body)[0]) if len(body) == 6 else None


def _read_prefix(body: bytes) -> Prefix | None:
    if len(body) != 30:
        return None
    length, flags, valid, preferred, address = _PREFIX.unpack(body)
    prefix = _network(address, length)
    if prefix is None or prefix.is_link_local or preferred > valid:  # RFC 4861 §6.3.4, RFC 4862 §5.5.3
        return None
    return Prefix(prefix, valid, preferred, bool(flags & 0x80), bool(flags & 0x40))


def _read_route(body: bytes) -> MoreSpecificRoute | None:
    if len(body) < 6:
        return None
    length, flags, lifetime = _ROUTE.unpack_from(body)
    preference = _PREFERENCES.get(flags >> 3 & 3)
    if preference is None or len(body) < 6 + 8 * ((length + 63) // 64):
        return None
    prefix = _network(body[6:].ljust(16, b"\0")[:16], length)
    return None if prefix is None else MoreSpecificRoute(prefix, lifetime, preference)


def _read_name_servers(body: bytes) -> NameServers | None:
    if len(body) < 22 or (len(body) - 6) % 16:
        return None
    addresses = tuple(IPv6Address(body[at : at + 16]) for at in range(6, len(body), 16))
    usable = tuple(a for a in addresses if not (a.is_multicast or a.is_unspecified or a.is_loopback))
    return NameServers(usable, _LIFETIME.unpack_from(body)[0]) if usable else None


def _read_search_domains(body: bytes) -> SearchDomains | None:
    if len(body) < 14:
        return None
    names = _names(body[6:])
    return SearchDomains(names, _LIFETIME.unpack_from(body)[0]) if names else None


def _names(data: bytes) -> tuple[str, ...] | None:
    """Names in the form of RFC 1035 §3.1, never compressed, padded with zeros; None when they are not so."""
    names: list[str] = []
    labels: list[str] = []
    while data:
        length, data = data[0], data[1:]
        if not length and labels:
            names.append(".".join(labels))
            labels = []
        elif length > 63 or length > len(data):
            return None
        elif length:
            label, data = data[:length], data[length:]
            if not _LABEL(label):
                return None
            labels.append(label.decode())
    if labels or any(len(name) > LONGEST_NAME for name in names):
        return None
    return tuple(names)


def _network(address: bytes, length: int) -> IPv6Network | None:
    """Bits behind the prefix are ignored (RFC 4861 §4.6.2)."""
    if length > 128:
        return None
    prefix = IPv6Network((address, length), strict=False)
    return None if prefix.is_multicast else prefix


# Back to octets


def encode(message: NdpMessage) -> bytes:
    """The message with a checksum of zero. Raises ValueError for what has no place in it: a name of more than 253
    octets, a link address that is not Ethernet's, more options of a kind than a message holds."""
    match message:
        case RouterSolicitation():
            return _head(ROUTER_SOLICITATION) + bytes(4) + _write_link(SOURCE_LINK, message.link_address)
        case RouterAdvertisement():
            return _head(ROUTER_ADVERTISEMENT) + _write_advertisement(message)
        case NeighborSolicitation():
            link = _write_link(SOURCE_LINK, message.link_address)
            return _head(NEIGHBOR_SOLICITATION) + bytes(4) + message.target.packed + link
        case NeighborAdvertisement():
            flags = message.router << 7 | message.solicited << 6 | message.override << 5
            link = _write_link(TARGET_LINK, message.link_address)
            return _head(NEIGHBOR_ADVERTISEMENT) + bytes([flags, 0, 0, 0]) + message.target.packed + link


def _head(kind: int) -> bytes:
    return _HEAD.pack(kind, 0)


def _write_advertisement(message: RouterAdvertisement) -> bytes:
    preference = message.preference if message.lifetime else Preference.MEDIUM  # RFC 4191 §2.2
    flags = message.managed << 7 | message.other << 6 | _BITS[preference] << 3
    fixed = _ADVERTISEMENT.pack(message.hop_limit, flags, message.lifetime, message.reachable, message.retransmit)
    options = [_write_link(SOURCE_LINK, message.link_address)]
    if message.mtu is not None:
        options.append(_option(MTU, _LIFETIME.pack(message.mtu)))
    options += map(_write_prefix, message.prefixes)
    options += map(_write_route, message.routes)
    options += [
        _option(RDNSS, _LIFETIME.pack(servers.lifetime) + b"".join(a.packed for a in servers.addresses))
        for servers in message.name_servers
    ]
    options += [
        _option(DNSSL, _LIFETIME.pack(domains.lifetime) + b"".join(map(_write_name, domains.names)))
        for domains in message.search_domains
    ]
    return fixed + b"".join(options)


def _write_link(kind: int, address: bytes | None) -> bytes:
    if address is None:
        return b""
    if len(address) != 6:
        raise ValueError("an Ethernet address has six octets")
    return _option(kind, address)


def _write_prefix(prefix: Prefix) -> bytes:
    network, flags = prefix.prefix, prefix.on_link << 7 | prefix.autonomous << 6
    packed = network.network_address.packed
    return _option(PREFIX, _PREFIX.pack(network.prefixlen, flags, prefix.valid, prefix.preferred, packed))


def _write_route(route: MoreSpecificRoute) -> bytes:
    network = route.prefix
    octets = network.network_address.packed[: 8 * ((network.prefixlen + 63) // 64)]
    return _option(ROUTE, _ROUTE.pack(network.prefixlen, _BITS[route.preference] << 3, route.lifetime) + octets)


def _write_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.split(".")]
    if len(name) > LONGEST_NAME or not all(0 < len(label) < 64 and _LABEL(label) for label in labels):
        raise ValueError(f"{name!r} is not a domain name")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _option(kind: int, body: bytes) -> bytes:
    length = (len(body) + 2 + 7) // 8
    if length > 255:
        raise ValueError("an option has at most 2040 octets")
    return bytes([kind, length]) + body.ljust(length * 8 - 2, b"\0")
