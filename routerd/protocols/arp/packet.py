"""An ARP packet as a value: IPv4 over Ethernet only (RFC 826). `wire` turns bytes into it and back."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address

import attrs

ZERO_MAC = b"\0" * 6


class ArpOp(IntEnum):
    """`ar$op`."""

    REQUEST = 1
    REPLY = 2


@attrs.frozen
class ArpPacket:
    """One packet; addresses as in RFC 826: sender and target, hardware and protocol."""

    op: ArpOp
    sender_mac: bytes
    sender_ip: IPv4Address
    target_mac: bytes
    target_ip: IPv4Address
