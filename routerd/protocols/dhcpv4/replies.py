"""Whether a message is the answer to what was said, and what it grants. Asking changes nothing (C8)."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

from routerd.protocols import words
from routerd.protocols.dhcpv4 import values
from routerd.protocols.dhcpv4.grant import read_grant
from routerd.protocols.dhcpv4.inputs import LinkUp
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import Rebinding, Rebooting, Renewing, Requesting, Selecting, State, V6Only
from routerd.protocols.malformed import Malformed


def mismatch(message: Message, state: State, link: LinkUp, client_id: bytes) -> str | None:
    """Why a message cannot be the answer that `state` waits for; None: it can (V4-12, V4-22, V4-28)."""
    if message.op is not Op.BOOTREPLY:
        return "not-a-reply"
    if message.chaddr != link.mac:
        return "wrong-chaddr"
    if message.options.get(Option.CLIENT_ID, client_id) != client_id:  # RFC 6842 §3
        return "client-id-mismatch"
    if message.type is MessageType.FORCERENEW:
        return None  # begins an exchange of the server's own (RFC 3203)
    awaited = awaited_xid(state)
    if awaited is None:
        return "stale"
    if message.xid != awaited:
        return "wrong-xid"
    if message.type is MessageType.NAK and server_id(message) is None:  # table 3: MUST
        return "no-server-id"
    return None


def awaited_xid(state: State) -> int | None:
    """The xid of the answer that may come; None: nothing was asked."""
    match state:
        case (
            Selecting(exchange)
            | Requesting(exchange)
            | Rebooting(exchange=exchange)
            | Renewing(exchange=exchange)
            | Rebinding(exchange=exchange)
        ):
            return exchange.xid if exchange.transmissions else None
        case V6Only(xid=xid):
            return xid
        case _:
            return None


def server_id(message: Message) -> IPv4Address | None:
    """Option 54; None: absent."""
    value = values.address(message.options.get(Option.SERVER_ID, b""))
    return None if isinstance(value, Malformed) else value


def nak_text(message: Message) -> str:
    """Option 56: why, in the server's words, made printable (C13)."""
    return words.text(message.options.get(Option.MESSAGE, b""))


def lease(
    message: Message, *, sent_at: float, now: float, settings: Settings, link: LinkUp, rng: random.Random
) -> Lease | Malformed:
    """What an OFFER or ACK grants to a client that asked for it at `sent_at`."""
    duration = values.u32(message.options.get(Option.LEASE_TIME, b""))
    if isinstance(duration, int) and 0 < duration <= now - sent_at:
        return Malformed("stale")  # it was under way for longer than it lasts
    return read_grant(message, sent_at=sent_at, rng=rng, floor_mtu=settings.min_mtu, link_mtu=link.mtu)
