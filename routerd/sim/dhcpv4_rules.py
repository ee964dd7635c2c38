"""What a DHCPv4 client must and must not send: RFC 2131 table 5 and its neighbours, as the server sees it.

Written from the RFC, for a server that judges its clients. It decides nothing: it only names what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Literal

import attrs

from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op

REQUESTED_ADDRESS = 50
LEASE_TIME = 51
TYPE = 53
SERVER_ID = 54
PARAMETERS = 55
TEXT = 56
MAX_SIZE = 57
CLIENT_ID = 61

RequestState = Literal["SELECTING", "INIT-REBOOT", "RENEWING", "REBINDING"]


@attrs.frozen
class Violation:
    """A client sent what it must not. `rule` is a sentence with its source."""

    at: float
    client: bytes
    type: MessageType
    rule: str


def request_state(message: Message, destination: IPv4Address) -> RequestState:
    """The state of the client that sent this DHCPREQUEST, as a server tells it (RFC 2131 §4.3.2, table 4).
    One that has an address and does not ask for one is extending its lease, even if it names a server."""
    if SERVER_ID in message.options and (message.ciaddr == ANY or REQUESTED_ADDRESS in message.options):
        return "SELECTING"
    if message.ciaddr == ANY:
        return "INIT-REBOOT"
    return "REBINDING" if destination == BROADCAST else "RENEWING"


def broken_rules(message: Message, source: IPv4Address, destination: IPv4Address) -> Iterator[str]:
    """Every rule that this message breaks by itself. `source`, `destination`: of the IP header."""
    yield from _header(message)
    yield from _wire(message.opaque)
    yield from _option_lengths(message)
    match message.type:
        case MessageType.DISCOVER:
            yield from _without_address(message, source, destination)
            yield from _must_not(message, SERVER_ID)
        case MessageType.REQUEST:
            yield from _request(message, source, destination)
        case MessageType.DECLINE | MessageType.RELEASE:
            yield from _goodbye(message, source, destination)
        case MessageType.INFORM:
            yield from _must_not(message, REQUESTED_ADDRESS, LEASE_TIME, SERVER_ID)
            if message.ciaddr == ANY:
                yield "INFORM without ciaddr (table 5)"
        case other:
            yield f"a client sent {other.name}"


def _header(message: Message) -> Iterator[str]:
    if message.op is not Op.BOOTREQUEST:
        yield "op is not BOOTREQUEST (table 5)"
    for field in ("yiaddr", "siaddr", "giaddr"):
        if getattr(message, field) != ANY:
            yield f"{field} is not 0 (table 5)"
    if len(message.chaddr) != 6:
        yield "chaddr is not six octets"


def _wire(octets: bytes) -> Iterator[str]:
    """What only the octets tell; empty when the message never was on a wire."""
    if not octets:
        return
    if octets[1:4] != b"\x01\x06\x00":
        yield "htype, hlen, hops are not 1, 6, 0 (table 5)"
    if octets[10] & 0x7F or octets[11]:
        yield "reserved flags are not 0 (RFC 2131 §2)"
    if any(octets[34:44]):
        yield "chaddr is not padded with zeros"
    if any(octets[44:236]):
        yield "sname or file is used"
    if len(octets) < 300:
        yield "shorter than 300 octets (RFC 1542 §2.1)"
    if octets[240:242] != bytes((TYPE, 1)):
        yield "option 53 is not the first (V4-7)"


def _option_lengths(message: Message) -> Iterator[str]:
    for code, length in ((REQUESTED_ADDRESS, 4), (LEASE_TIME, 4), (SERVER_ID, 4), (MAX_SIZE, 2)):
        if len(message.options.get(code, bytes(length))) != length:
            yield f"option {code} is not {length} octets (RFC 2132)"
    if len(message.options.get(CLIENT_ID, b"??")) < 2:
        yield "option 61 is shorter than two octets (RFC 2132 §9.14)"
    if message.options.get(PARAMETERS) == b"":
        yield "option 55 is empty (RFC 2132 §9.8)"
    if int.from_bytes(message.options.get(MAX_SIZE, b"\xff\xff")) < 576:
        yield "option 57 is below 576 (RFC 2132 §9.10)"


def _must_not(message: Message, *codes: int) -> Iterator[str]:
    for code in codes:
        if code in message.options:
            yield f"option {code} in {message.type.name} (table 5: MUST NOT)"


def _must(message: Message, *codes: int) -> Iterator[str]:
    for code in codes:
        if code not in message.options:
            yield f"no option {code} in {message.type.name} (table 5: MUST)"


def _without_address(message: Message, source: IPv4Address, destination: IPv4Address) -> Iterator[str]:
    """A client that has no address yet (RFC 2131 §4.1, §4.4.4)."""
    if message.ciaddr != ANY:
        yield "ciaddr is not 0 (table 5)"
    if destination != BROADCAST:
        yield f"{message.type.name} is not broadcast (§4.4.4)"
    if source != ANY:
        yield "the IP source is not 0 before there is an address (§4.1)"


def _request(message: Message, source: IPv4Address, destination: IPv4Address) -> Iterator[str]:
    match request_state(message, destination):
        case "SELECTING" | "INIT-REBOOT":
            yield from _must(message, REQUESTED_ADDRESS)
            yield from _without_address(message, source, destination)
        case "RENEWING" | "REBINDING" as state:
            yield from _must_not(message, REQUESTED_ADDRESS, SERVER_ID)
            if state == "RENEWING" and source != message.ciaddr:
                yield "a unicast renewal comes from another address than ciaddr (§4.4.5)"


def _goodbye(message: Message, source: IPv4Address, destination: IPv4Address) -> Iterator[str]:
    yield from _must(message, SERVER_ID)
    if message.type is MessageType.DECLINE:
        yield from _must(message, REQUESTED_ADDRESS)
        yield from _without_address(message, source, destination)
    else:
        yield from _must_not(message, REQUESTED_ADDRESS)
        if message.ciaddr == ANY:
            yield "RELEASE without ciaddr (table 5)"
        if destination == BROADCAST:
            yield "RELEASE is broadcast (§4.4.4)"
        if source != message.ciaddr:
            yield "RELEASE comes from another address than ciaddr"
    if message.secs:
        yield "secs is not 0 (table 5)"
    if message.broadcast:
        yield "flags are not 0 (table 5)"
    allowed = {REQUESTED_ADDRESS, SERVER_ID, TEXT, CLIENT_ID}
    yield from _must_not(message, *(code for code in message.options if code not in allowed))
