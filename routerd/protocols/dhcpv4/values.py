"""The values inside DHCPv4 options: octets to addresses, numbers, names and routes; `words` has those of DHCPv6, too.

A decoder is total: it answers with the value or with `Malformed`.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network

from routerd.protocols import words
from routerd.protocols.dhcpv4.lease import LeaseRoute
from routerd.protocols.malformed import Malformed

INFINITE = 0xFFFFFFFF
"""RFC 2131 §3.3, for option 51."""

_UNSPECIFIED = b"\0\0\0\0"


def u16(value: bytes) -> int | Malformed:
    """Two octets, unsigned."""
    return int.from_bytes(value, "big") if len(value) == 2 else Malformed("bad-length")


def u32(value: bytes) -> int | Malformed:
    """Four octets, unsigned (V4-4)."""
    return int.from_bytes(value, "big") if len(value) == 4 else Malformed("bad-length")


def address(value: bytes) -> IPv4Address | Malformed:
    """One address."""
    return IPv4Address(value) if len(value) == 4 else Malformed("bad-length")


def addresses(value: bytes) -> tuple[IPv4Address, ...] | Malformed:
    """One address or more, in the server's order."""
    if not value or len(value) % 4:
        return Malformed("bad-length")
    return tuple(IPv4Address(number) for (number,) in struct.iter_unpack("!I", value))


def prefix_length(value: bytes) -> int | Malformed:
    """A subnet mask as 1 to 32; a mask with holes, or of all zeros, is none (V4-19)."""
    if len(value) != 4:
        return Malformed("bad-length")
    host = 0xFFFFFFFF ^ int.from_bytes(value, "big")
    if host & (host + 1) or host == 0xFFFFFFFF:
        return Malformed("bad-mask")
    return 32 - host.bit_length()


def domain_name(value: bytes) -> str | Malformed:
    """A name in dotted text (options 12, 15), without its trailing dot: letters, digits, `-` and `_` only, labels
    of at most 63 octets, at most 253 in all (C13). Trailing NULs are deleted as RFC 2132 §2 demands."""
    name = value.rstrip(b"\0").removesuffix(b".")
    return words.domain_name(name.split(b".") if len(name) <= 253 else [])


def classless_routes(value: bytes) -> tuple[LeaseRoute, ...] | Malformed:
    """Options 121 and 249 (RFC 3442). One bad route voids the list (V4-17)."""
    routes: list[LeaseRoute] = []
    at = 0
    while at < len(value):
        width = value[at]
        router = at + 1 + (width + 7) // 8
        at, start = router + 4, at + 1
        if width > 32:
            return Malformed("bad-width")
        if at > len(value):
            return Malformed("truncated")
        # RFC 3442: bits beyond the mask are to be cleared, hence not strict.
        network = IPv4Network((value[start:router].ljust(4, b"\0"), width), strict=False)
        routes.append(LeaseRoute(network, _gateway(value[router:at])))
    return tuple(routes) or Malformed("empty")


def static_routes(value: bytes) -> tuple[LeaseRoute, ...] | Malformed:
    """Option 33 (RFC 2132 §5.8): destinations of a class, or hosts. 0.0.0.0 is no legal destination there."""
    if not value or len(value) % 8:
        return Malformed("bad-length")
    routes = [
        LeaseRoute(_classful(destination), _gateway(router))
        for destination, router in struct.iter_unpack("!4s4s", value)
    ]
    return tuple(route for route in routes if route.destination.prefixlen)


def encode_u16(number: int) -> bytes:
    """The inverse of `u16`. Raises OverflowError outside 0..65535."""
    return number.to_bytes(2, "big")


def _gateway(router: bytes) -> IPv4Address | None:
    return None if router == _UNSPECIFIED else IPv4Address(router)


def _classful(destination: bytes) -> IPv4Network:
    first = destination[0]
    if destination == _UNSPECIFIED:
        return IPv4Network((destination, 0))
    width = 8 if first < 128 else 16 if first < 192 else 24 if first < 224 else 32
    network = IPv4Network((destination, width), strict=False)
    return network if network.network_address.packed == destination else IPv4Network((destination, 32))
