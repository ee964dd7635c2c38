"""A DHCPv4 message as a value (RFC 2131 §2). `wire` turns bytes into it and back; nothing here knows bytes' order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from ipaddress import IPv4Address

import attrs

ANY = IPv4Address("0.0.0.0")
BROADCAST = IPv4Address("255.255.255.255")
CLIENT_PORT = 68
SERVER_PORT = 67

_AUTHENTICATION = 90


class Op(IntEnum):
    """`op` of RFC 2131 figure 1."""

    BOOTREQUEST = 1
    BOOTREPLY = 2


class MessageType(IntEnum):
    """Option 53 (RFC 2132 §9.6; FORCERENEW is RFC 3203 §4)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
    FORCERENEW = 9


def _shown(options: Mapping[int, bytes]) -> str:
    """Options as people may see them: option 90 carries credentials (C16)."""
    return repr({code: b"***" if code == _AUTHENTICATION else value for code, value in options.items()})


@attrs.frozen
class Message:
    """One message. `options` maps a code to the option's whole value, repeats already joined (RFC 3396),
    overloaded file and sname already read (RFC 2132 §9.3); codes 0, 52, 53 (that is `type`) and 255 never
    appear in it.

    `opaque` is what the wire carried, byte for byte (empty for one that we build): authenticators and the
    lease file need it; it does not take part in comparison.
    """

    op: Op
    type: MessageType
    xid: int
    chaddr: bytes
    secs: int = 0
    broadcast: bool = False
    ciaddr: IPv4Address = ANY
    yiaddr: IPv4Address = ANY
    siaddr: IPv4Address = ANY
    giaddr: IPv4Address = ANY
    options: Mapping[int, bytes] = attrs.field(factory=dict, repr=_shown)
    opaque: bytes = attrs.field(default=b"", eq=False, repr=False)
