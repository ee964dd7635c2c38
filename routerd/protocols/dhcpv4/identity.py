"""Who a client says it is: the forms of option 61.

A form once chosen for a lease is kept for its life (V4-6); remembering it is not done here.
"""

from __future__ import annotations

MAX_DUID = 130
"""RFC 9915 §11.1: two octets of type and at most 128 more."""

_ETHERNET = 1
_RFC4361 = b"\xff"
_DUID_LL = 3
_LENGTHS = {b"\0\1\0\1": 14, b"\0\3\0\1": 10, b"\0\4": 18}
"""Of DUID-LLT and DUID-LL for Ethernet, and of DUID-UUID (RFC 9915 §11.2, §11.4, §11.5)."""


def duid_ll(mac: bytes) -> bytes:
    """A DUID made of a link-layer address (RFC 9915 §11.4)."""
    return _DUID_LL.to_bytes(2, "big") + _ETHERNET.to_bytes(2, "big") + _ethernet(mac)


def is_duid(octets: bytes) -> bool:
    """Whether it can be one, and a whole one: half of ours would be somebody else."""
    fixed = [length for start, length in _LENGTHS.items() if octets.startswith(start)]
    return len(octets) in fixed if fixed else 3 <= len(octets) <= MAX_DUID


def from_duid(iaid: int, duid: bytes) -> bytes:
    """Client identifier of RFC 4361 §6.1: the one that DHCPv6 uses too. Raises ValueError for what is no DUID."""
    if not is_duid(duid):
        raise ValueError(f"{duid.hex(':')} is no DUID")
    return _RFC4361 + iaid.to_bytes(4, "big") + duid


def from_mac(mac: bytes) -> bytes:
    """The old client identifier: hardware type and address (RFC 2132 §9.14)."""
    return bytes((_ETHERNET,)) + _ethernet(mac)


def _ethernet(mac: bytes) -> bytes:
    if len(mac) != 6:
        raise ValueError("an Ethernet address has six octets")
    return mac
