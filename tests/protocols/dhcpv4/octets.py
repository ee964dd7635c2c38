"""DHCPv4 messages as octets, written without the codec under test: one sound ACK, to be spoilt one field at a time."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import attrs

from routerd.protocols.dhcpv4.message import Message, MessageType, Op

MAC = bytes.fromhex("020000000001")
SERVER = IPv4Address("192.0.2.1")
CLIENT = IPv4Address("192.0.2.10")
ACK_OPTIONS = bytes.fromhex("350105 3604c0000201 330400000e10 0104ffffff00 0304c0000201 ff")


@attrs.frozen
class Octets:
    """Figure 1 of RFC 2131, field by field. `bytes()` of it is the message."""

    op: int = 2
    htype: int = 1
    hlen: int = 6
    hops: int = 0
    xid: int = 0x12345678
    secs: int = 0
    flags: int = 0
    ciaddr: bytes = bytes(4)
    yiaddr: bytes = CLIENT.packed
    siaddr: bytes = bytes(4)
    giaddr: bytes = bytes(4)
    chaddr: bytes = MAC
    sname: bytes = b""
    file: bytes = b""
    cookie: bytes = b"\x63\x82\x53\x63"
    options: bytes = ACK_OPTIONS

    def __bytes__(self) -> bytes:
        head = struct.pack("!4BI2H", self.op, self.htype, self.hlen, self.hops, self.xid, self.secs, self.flags)
        addresses = self.ciaddr + self.yiaddr + self.siaddr + self.giaddr
        names = struct.pack("!16s64s128s4s", self.chaddr, self.sname, self.file, self.cookie)
        return head + addresses + names + self.options


def ack(
    options: dict[int, bytes] | None = None, *, without: tuple[int, ...] = (), yiaddr: IPv4Address = CLIENT
) -> Message:
    """A sound ACK with these options in place of, or beside, its own."""
    own = {54: SERVER.packed, 51: (3600).to_bytes(4, "big"), 1: b"\xff\xff\xff\0", 3: SERVER.packed}
    merged = {code: value for code, value in (own | (options or {})).items() if code not in without}
    return Message(Op.BOOTREPLY, MessageType.ACK, 0x12345678, MAC, yiaddr=yiaddr, options=merged)
