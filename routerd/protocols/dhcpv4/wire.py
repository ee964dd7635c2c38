"""DHCPv4 messages as octets (RFC 2131 §2, RFC 2132 §9.3, RFC 3396) and back. Values inside options are not
understood here, but for 52 (overload), 53 (type) and the length of 54 (server)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from routerd.protocols.dhcpv4.message import ANY, Message, MessageType, Op
from routerd.protocols.dhcpv4.options import FIXED_LENGTH, Option
from routerd.protocols.malformed import Malformed

MAGIC_COOKIE = 0x63825363
MAX_LENGTH = 65535
MIN_SENT = 300
"""RFC 1542 §2.1: relays and servers may drop what is shorter."""
ETHERNET_PAYLOAD = 1500 - 20 - 8

_ETHERNET = 1
_BROADCAST_FLAG = 0x8000
_HEADER = struct.Struct("!3BxI2H4I6s10x192xI")
_SNAME = slice(44, 108)
_FILE = slice(108, 236)
_OPS = {int(op): op for op in Op}
_TYPES = {bytes((kind,)): kind for kind in MessageType}
_OVERLOADED = {b"\1": (_FILE,), b"\2": (_SNAME,), b"\3": (_FILE, _SNAME)}  # in this order: RFC 3396 §5
_FOUR_OCTETS = bytes(4)

# Plain integers: to look up an IntEnum member costs more than to use it.
_PAD, _LEASE_TIME, _OVERLOAD, _MESSAGE_TYPE, _SERVER_ID, _END = map(
    int, (Option.PAD, Option.LEASE_TIME, Option.OVERLOAD, Option.MESSAGE_TYPE, Option.SERVER_ID, Option.END)
)
_OURS = frozenset((_PAD, _OVERLOAD, _MESSAGE_TYPE, _END))


def decode(data: bytes) -> Message | Malformed:
    """One UDP payload as a message. Total and linear; whether the message concerns us is the machine's question."""
    if len(data) < _HEADER.size:
        return Malformed("short")
    if len(data) > MAX_LENGTH:
        return Malformed("long")
    op, htype, hlen, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, cookie = _HEADER.unpack_from(data)
    if op not in _OPS:
        return Malformed("bad-op")
    if htype != _ETHERNET:
        return Malformed("bad-htype")
    if hlen != 6:
        return Malformed("bad-hlen")
    if cookie != MAGIC_COOKIE:
        return Malformed("bad-cookie")
    options: dict[int, bytes] = {}
    repeated: dict[int, list[bytes]] = {}
    whole = _scan(data, _HEADER.size, options, repeated)
    if repeated or _OVERLOAD in options:
        unfolded = _unfold(data, options, repeated)
        if isinstance(unfolded, Malformed):
            return unfolded
        whole = whole and unfolded
    said = options.pop(_MESSAGE_TYPE, None)
    if said is None:
        return Malformed("no-message-type" if whole else "overrun")  # BOOTP (V4-26)
    kind = _TYPES.get(said)
    if kind is None:
        return Malformed("bad-message-type")
    if len(options.get(_SERVER_ID, _FOUR_OCTETS)) != 4:
        return Malformed("bad-server-id")
    if not whole and op == Op.BOOTREPLY and not _sufficient(kind, options):
        return Malformed("overrun")
    return Message(
        _OPS[op],
        kind,
        xid,
        chaddr,
        secs,
        flags >= _BROADCAST_FLAG,
        IPv4Address(ciaddr) if ciaddr else ANY,
        IPv4Address(yiaddr) if yiaddr else ANY,
        IPv4Address(siaddr) if siaddr else ANY,
        IPv4Address(giaddr) if giaddr else ANY,
        options,
        data,
    )


def encode(message: Message, *, limit: int = ETHERNET_PAYLOAD) -> bytes:
    """The message as octets: option 53 first, the others by ascending code, END, zeros up to 300 octets (V4-7).

    Raises ValueError if it is longer than `limit` octets, or holds what no message can: those are our own faults.
    """
    if len(message.chaddr) != 6:
        raise ValueError("chaddr of Ethernet has six octets")
    try:
        out = bytearray(
            _HEADER.pack(
                message.op,
                _ETHERNET,
                6,
                message.xid,
                message.secs,
                _BROADCAST_FLAG if message.broadcast else 0,
                int(message.ciaddr),
                int(message.yiaddr),
                int(message.siaddr),
                int(message.giaddr),
                message.chaddr,
                MAGIC_COOKIE,
            )
        )
    except struct.error as error:
        raise ValueError(f"a header field is out of range: {error}") from error
    out += bytes((_MESSAGE_TYPE, 1, message.type))
    for code, value in sorted(message.options.items()):
        if code in _OURS:
            raise ValueError(f"option {code} is written by the codec alone")
        if len(value) > 255:
            out += _split(code, value)
        else:
            out.append(code)
            out.append(len(value))
            out += value
    out.append(_END)
    if len(out) > limit:
        raise ValueError(f"a message of {len(out)} octets does not fit into {limit}")
    return bytes(out).ljust(MIN_SENT, b"\0")


def _split(code: int, value: bytes) -> bytes:
    """RFC 3396 §6: a long value as several options of one code."""
    pieces = (value[at : at + 255] for at in range(0, len(value), 255))
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)


def _scan(area: bytes, at: int, found: dict[int, bytes], repeated: dict[int, list[bytes]]) -> bool:
    """Collect the options of one field from octet `at` on; False if the last one runs past the field's end."""
    end = len(area)
    try:
        while (code := area[at]) != _END:
            if code == _PAD:
                at += 1
                continue
            start = at + 2
            at = start + area[at + 1]
            if at > end:
                return False
            if code in found:
                repeated.setdefault(code, [found[code]]).append(area[start:at])
            else:
                found[code] = area[start:at]
    except IndexError:  # neither END nor another option: that is allowed, but for half an option
        return at == end
    return True


def _unfold(data: bytes, found: dict[int, bytes], repeated: dict[int, list[bytes]]) -> bool | Malformed:
    """Follow option 52 into file and sname, and join what was repeated; False if one of them is cut off."""
    whole = True
    if _OVERLOAD in found:
        said = _join(_OVERLOAD, repeated.pop(_OVERLOAD, [found[_OVERLOAD]]))
        if said not in _OVERLOADED:
            return Malformed("bad-overload")
        for field in _OVERLOADED[said]:
            whole = _scan(data[field], 0, found, repeated) and whole
        del found[_OVERLOAD]
        repeated.pop(_OVERLOAD, None)  # one inside file or sname means nothing
    for code, pieces in repeated.items():
        found[code] = _join(code, pieces)
    return whole


def _join(code: int, pieces: list[bytes]) -> bytes:
    """RFC 3396 §7, but a fixed-length option that is only said twice is said once (V4-16). Contradictory copies
    of one are joined too: their length is wrong then, and nobody takes them for a value."""
    first = pieces[0]
    if FIXED_LENGTH.get(code) == len(first) and pieces.count(first) == len(pieces):
        return first
    return b"".join(pieces)


def _sufficient(kind: MessageType, found: dict[int, bytes]) -> bool:
    """Whether a reply that lost its tail still says enough (V4-28)."""
    granting = kind in (MessageType.OFFER, MessageType.ACK)
    return _SERVER_ID in found and (not granting or _LEASE_TIME in found)
