"""Ethernet II headers, and nothing of what lies behind them."""

from __future__ import annotations

import struct

from routerd.protocols.malformed import Malformed

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100

_HEADER = struct.Struct("!6s6sH")
_TAG = struct.Struct("!HH")
_VLAN_ID = 0x0FFF


def pack(payload: bytes, *, source: bytes, target: bytes, ethertype: int) -> bytes:
    """One untagged frame, without check sequence and without padding to 60 octets (the driver pads)."""
    if len(source) != 6 or len(target) != 6:
        raise ValueError("an Ethernet address has six octets")
    return _HEADER.pack(target, source, ethertype) + payload


def payload_offset(frame: bytes, ethertype: int) -> int | Malformed:
    """Where the payload of a frame of this `ethertype` begins.

    A priority tag (802.1Q with VLAN 0) is stepped over: it says nothing about the link. A frame of a real VLAN
    belongs to another link than the one it was seen on, and is refused.
    """
    if len(frame) < 14:
        return Malformed("short-frame")
    offset, (found,) = 14, struct.unpack_from("!H", frame, 12)
    if found == ETHERTYPE_VLAN and len(frame) >= 18:
        tag, found = _TAG.unpack_from(frame, 14)
        if tag & _VLAN_ID:
            return Malformed("other-vlan")
        offset = 18
    return offset if found == ethertype else Malformed("wrong-ethertype")
