"""Whether a message is the answer to what was said. Asking changes nothing (C8)."""

from __future__ import annotations

from routerd.protocols.dhcpv6.association import Kind
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.dhcpv6.settings import Settings
from routerd.protocols.dhcpv6.states import (
    Asking,
    Declining,
    Informing,
    Releasing,
    Renewing,
    Requesting,
    Soliciting,
    State,
)

_ASSOCIATIONS = frozenset((*(kind.value for kind in Kind), OptionCode.IA_TA))


def mismatch(message: Message, state: State, settings: Settings, *, unicast: bool) -> str | None:
    """Why a message cannot be the answer that `state` waits for; None: it can (RFC 9915 §16, V6-4, V6-5)."""
    if message.type not in (MessageType.ADVERTISE, MessageType.REPLY, MessageType.RECONFIGURE):
        return "not-a-reply"
    if not unicast:
        return "multicast"
    client_id, server_id = message.first(OptionCode.CLIENT_ID), message.first(OptionCode.SERVER_ID)
    if client_id is None:
        return "no-client-id"
    if client_id != settings.duid:
        return "other-client"
    if server_id is None:
        return "no-server-id"
    if message.type is MessageType.RECONFIGURE:
        return None  # begins an exchange of the server's own (§18.2.11)
    if not isinstance(state, Asking) or not state.exchange.transmissions:
        return "stale"
    if message.xid != state.exchange.xid:
        return "wrong-xid"
    if (message.type is MessageType.ADVERTISE) is not isinstance(state, Soliciting):
        return None if _is_rapid(message, state, settings) else "unexpected-type"
    if addressed(state) not in (None, server_id):
        return "wrong-server"
    if isinstance(state, Informing) and any(option.code in _ASSOCIATIONS for option in message.options):
        return "association-in-information"  # §16.10
    return None


def addressed(state: State) -> bytes | None:
    """The server that was asked; None: any may answer."""
    match state:
        case Requesting(_, chosen):
            return chosen.server_id
        case Renewing(_, server_id):
            return server_id
        case Declining(_, binding) | Releasing(_, (binding, *_)):
            return binding.server_id
        case _:
            return None


def _is_rapid(message: Message, state: State, settings: Settings) -> bool:
    """Whether a Reply may answer a Solicit: both must say so (§18.2.1, §21.14, V6-12)."""
    return (
        isinstance(state, Soliciting)
        and message.type is MessageType.REPLY
        and settings.rapid_commit
        and message.first(OptionCode.RAPID_COMMIT) is not None
    )
