"""DHCPv6 messages as octets (RFC 9915 §8, §21.1) and back. Values inside options are not understood here, but for
the lengths of the two DUIDs, without which nobody knows who speaks."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from routerd.protocols.dhcpv6.duid import MAX_DUID
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.malformed import Malformed

MAX_LENGTH = 65535

_HEADER = 4
_OPTION = struct.Struct("!HH")
_TYPES = {int(kind): kind for kind in MessageType}
_RELAYED = (12, 13)
_DUIDS = (int(OptionCode.CLIENT_ID), int(OptionCode.SERVER_ID))
_TWICE = {_DUIDS[0]: "two-client-ids", _DUIDS[1]: "two-server-ids"}


def decode(data: bytes) -> Message | Malformed:
    """One UDP payload as a message. Total and linear; whether the message concerns us is the machine's question.

    An option that runs past the end, and a DUID of no possible length, are as if they were not there (V6-6).
    """
    if len(data) < _HEADER:
        return Malformed("short")
    if len(data) > MAX_LENGTH:
        return Malformed("long")
    if data[0] in _RELAYED:
        return Malformed("relayed")
    kind = _TYPES.get(data[0])
    if kind is None:
        return Malformed("bad-message-type")
    options = tuple(option for option in split(data[_HEADER:]) if option.code not in _DUIDS or _can_be_duid(option))
    codes = [option.code for option in options]
    for code, reason in _TWICE.items():
        if codes.count(code) > 1:
            return Malformed(reason)
    return Message(kind, int.from_bytes(data[1:_HEADER], "big"), options, data)


def encode(message: Message) -> bytes:
    """The message as octets, its options in their order.

    Raises ValueError for what no message can hold: those are our own faults.
    """
    if not 0 <= message.xid < 2**24:
        raise ValueError("a transaction id has 24 bits")
    data = bytes((message.type,)) + message.xid.to_bytes(3, "big") + join(message.options)
    if len(data) > MAX_LENGTH:
        raise ValueError(f"a message of {len(data)} octets fits into no datagram")
    return data


def split(area: bytes) -> Iterator[Option]:
    """The options of a message or of an option, as long as they are whole: one that runs past the end is dropped,
    with what cannot be found behind it (V6-6)."""
    at, end = 0, len(area)
    while at + _OPTION.size <= end:
        code, length = _OPTION.unpack_from(area, at)
        start = at + _OPTION.size
        at = start + length
        if at <= end:
            yield Option(code, area[start:at])


def join(options: Iterable[Option]) -> bytes:
    """The options as octets. Raises ValueError for one that is too long."""
    out = bytearray()
    for code, value in options:
        if not 0 <= code <= 0xFFFF or len(value) > 0xFFFF:
            raise ValueError(f"option {code} of {len(value)} octets cannot be written")
        out += _OPTION.pack(code, len(value)) + value
    return bytes(out)


def _can_be_duid(option: Option) -> bool:
    return 1 <= len(option.value) <= MAX_DUID
