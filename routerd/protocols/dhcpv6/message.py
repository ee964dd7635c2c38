"""A DHCPv6 message as a value (RFC 9915 §8). `wire` turns bytes into it and back; what is in its options is not
understood here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv6Address
from typing import NamedTuple

import attrs

ALL_SERVERS = IPv6Address("ff02::1:2")
"""All_DHCP_Relay_Agents_and_Servers (§7.1): where a client sends everything."""
CLIENT_PORT = 546
SERVER_PORT = 547

_AUTHENTICATION = 11


class MessageType(IntEnum):
    """§7.3, without the relays' two, which have another header."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11


class Option(NamedTuple):
    """One option as the wire has it; options inside are octets of `value` still."""

    code: int
    value: bytes


def _shown(options: Iterable[Option]) -> str:
    """Options as people may see them: option 11 carries keys (C16)."""
    return repr([(code, b"***" if code == _AUTHENTICATION else value) for code, value in options])


@attrs.frozen
class Message:
    """One message. `options` are in the order of the wire; of those that may come once only, the first counts.

    `opaque` is what the wire carried, byte for byte (empty for one that we build): authenticators need it; it does
    not take part in comparison.
    """

    type: MessageType
    xid: int
    options: tuple[Option, ...] = attrs.field(default=(), repr=_shown)
    opaque: bytes = attrs.field(default=b"", eq=False, repr=False)

    def first(self, code: int) -> bytes | None:
        """The value of the first option of this code; None: there is none."""
        return next((option.value for option in self.options if option.code == code), None)

    def every(self, code: int) -> tuple[bytes, ...]:
        """The values of all options of this code."""
        return tuple(option.value for option in self.options if option.code == code)
