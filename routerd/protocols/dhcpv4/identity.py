"""Who a client says it is: the forms of option 61, and of option 77.

A form once chosen for a lease is kept for its life (V4-6); remembering it is not done here.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_DUID = 130
"""RFC 9915 §11.1: two octets of type and at most 128 more."""

_ETHERNET = 1
_RFC4361 = b"\xff"
_DUID_LL = 3


def duid_ll(mac: bytes) -> bytes:
    """A DUID made of a link-layer address (RFC 9915 §11.4)."""
    return _DUID_LL.to_bytes(2, "big") + _ETHERNET.to_bytes(2, "big") + _ethernet(mac)


def from_duid(iaid: int, duid: bytes) -> bytes:
    """Client identifier of RFC 4361 §6.1: the one that DHCPv6 uses too. Raises ValueError for what is no DUID."""
    if not 3 <= len(duid) <= MAX_DUID:
        raise ValueError(f"a DUID has 3 to {MAX_DUID} octets")
    return _RFC4361 + iaid.to_bytes(4, "big") + duid


def from_mac(mac: bytes) -> bytes:
    """The old client identifier: hardware type and address (RFC 2132 §9.14)."""
    return bytes((_ETHERNET,)) + _ethernet(mac)


def user_class(names: Iterable[bytes]) -> bytes:
    """Option 77 as RFC 3004 §4 wants it, each name behind its length. Verbatim is for who asks for it (V4-25)."""
    return b"".join(bytes((len(name),)) + name for name in names)


def _ethernet(mac: bytes) -> bytes:
    if len(mac) != 6:
        raise ValueError("an Ethernet address has six octets")
    return mac
