"""What a DHCPv6 client must and must not send: RFC 9915 §16, §18.2 and appendix B, as the server sees it.

Written from the RFC, for a server that judges its clients. It decides nothing: it only names what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from routerd.protocols.dhcpv6 import association
from routerd.protocols.dhcpv6.association import IdentityAssociation, Kind
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.malformed import Malformed

CLIENT_ID, SERVER_ID, IA_NA, REQUEST, PREFERENCE, ELAPSED, STATUS = 1, 2, 3, 6, 7, 8, 13
RAPID_COMMIT, RECONFIGURE_MESSAGE, RECONFIGURE_ACCEPT, IA_PD = 14, 19, 20, 25

_M = MessageType
_TO_ONE = (_M.REQUEST, _M.RENEW, _M.RELEASE, _M.DECLINE)
_TO_ALL = (_M.SOLICIT, _M.CONFIRM, _M.REBIND)
_ASKING = (_M.SOLICIT, _M.REQUEST, _M.RENEW, _M.REBIND, _M.INFORMATION_REQUEST)
_ABOUT_LEASES = (*_TO_ONE, *_TO_ALL)
_ONCE = (CLIENT_ID, SERVER_ID, REQUEST, ELAPSED, RAPID_COMMIT, RECONFIGURE_ACCEPT)


@attrs.frozen
class Violation:
    """A client sent what it must not. `rule` is a sentence with its source."""

    at: float
    client: bytes
    type: MessageType
    rule: str


def broken_rules(message: Message) -> Iterator[str]:
    """Every rule that this message breaks by itself."""
    if message.type not in (*_ABOUT_LEASES, _M.INFORMATION_REQUEST):
        yield f"a client sent {message.type.name}"
        return
    yield from _identity(message)
    yield from _options(message)
    yield from _requested(message)
    yield from _associations(message)


def associations(message: Message) -> list[IdentityAssociation]:
    """The associations of a message, in its order."""
    found = [association.decode(option) for option in message.options if option.code in (IA_NA, IA_PD)]
    return [ia for ia in found if not isinstance(ia, Malformed)]


def _identity(message: Message) -> Iterator[str]:
    if message.first(CLIENT_ID) is None and message.type is not _M.INFORMATION_REQUEST:
        yield "no client identifier (§16)"
    if message.type in _TO_ONE and message.first(SERVER_ID) is None:
        yield f"{message.type.name} without a server identifier (§16)"
    if message.type in _TO_ALL and message.first(SERVER_ID) is not None:
        yield f"{message.type.name} with a server identifier (§16)"


def _options(message: Message) -> Iterator[str]:
    for code in _ONCE:
        if len(message.every(code)) > 1:
            yield f"option {code} twice (§21)"
    for code in (PREFERENCE, STATUS, RECONFIGURE_MESSAGE):
        if message.first(code) is not None:
            yield f"option {code} from a client (appendix B)"
    if len(message.first(ELAPSED) or b"") != 2:
        yield "no elapsed time (§21.9: MUST)"
    if message.type is not _M.SOLICIT and message.first(RAPID_COMMIT) is not None:
        yield "rapid commit outside of Solicit (§21.14)"
    if message.type not in _ASKING and message.first(RECONFIGURE_ACCEPT) is not None:
        yield f"Reconfigure Accept in {message.type.name} (appendix B)"


def _requested(message: Message) -> Iterator[str]:
    value = message.first(REQUEST)
    if message.type in _ASKING and value is None:
        yield f"{message.type.name} without an option request (§18.2: MUST)"
    if value is None:
        return
    codes = [int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)]
    if len(value) % 2 or len(set(codes)) != len(codes):
        yield "the option request is torn or repeats itself (§21.7)"
    if message.type is _M.SOLICIT and 82 not in codes:
        yield "Solicit does not ask for SOL_MAX_RT (§18.2.1: MUST)"
    if message.type is _M.INFORMATION_REQUEST and not {32, 83} <= set(codes):
        yield "Information-request does not ask for options 32 and 83 (§18.2.6: MUST)"


def _associations(message: Message) -> Iterator[str]:
    found = associations(message)
    if message.type is _M.INFORMATION_REQUEST and found:
        yield "an association in Information-request (§16.12)"
    if message.type in _ABOUT_LEASES and not found:
        yield f"{message.type.name} about nothing (§18.2)"
    if message.type is _M.CONFIRM and any(ia.association.kind is Kind.PD for ia in found):
        yield "a prefix in Confirm (§18.2.3)"
    if message.type in (_M.CONFIRM, _M.RELEASE, _M.DECLINE) and not all(ia.grants for ia in found):
        yield f"an empty association in {message.type.name} (§18.2)"
    if len({ia.association for ia in found}) != len(found):
        yield "two associations of one number (§12)"
    for ia in found:
        if ia.t1 or ia.t2:
            yield "T1 and T2 from a client (§21.4: SHOULD be 0)"
        if not ia.status.ok or any(not grant.status.ok for grant in ia.grants):
            yield "a status from a client"
