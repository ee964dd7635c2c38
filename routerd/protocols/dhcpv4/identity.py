"""Who a client says it is: the forms of option 61.

A form once chosen for a lease is kept for its life (V4-6); remembering it is not done here.
"""

from __future__ import annotations

from routerd.protocols.dhcpv6.duid import is_duid

_ETHERNET = b"\x01"
_RFC4361 = b"\xff"


def from_duid(iaid: int, duid: bytes) -> bytes:
    """Client identifier of RFC 4361 §6.1: the one that DHCPv6 uses too. Raises ValueError for what is no DUID."""
    if not is_duid(duid):
        raise ValueError(f"{duid.hex(':')} is no DUID")
    return _RFC4361 + iaid.to_bytes(4, "big") + duid


def from_mac(mac: bytes) -> bytes:
    """The old client identifier: hardware type and address (RFC 2132 §9.14)."""
    if len(mac) != 6:
        raise ValueError("an Ethernet address has six octets")
    return _ETHERNET + mac
