"""What each state that waits for an answer says (again): RFC 9915 §18.2.1 to §18.2.8."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from routerd.protocols.dhcpv6 import requests
from routerd.protocols.dhcpv6.association import IdentityAssociation, Kind
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.dhcpv6.requests import held, wish
from routerd.protocols.dhcpv6.settings import Settings
from routerd.protocols.dhcpv6.states import (
    Asking,
    Confirming,
    Declining,
    Informing,
    Rebinding,
    Releasing,
    Renewing,
    Requesting,
    Revalidating,
    Soliciting,
)


class Holder(Protocol):
    """Who speaks: what it is, what it holds and what it lacks."""

    @property
    def settings(self) -> Settings: ...

    def holdings(self, server_id: bytes | None = None) -> Iterable[IdentityAssociation]:
        """What is held, of one server or of all."""

    def wishes(self) -> Iterable[IdentityAssociation]:
        """What is missing, with hints."""


def message(holder: Holder, state: Asking, now: float) -> Message:
    """The message that the state's exchange consists of."""
    kind, server_id, associations = _said(holder, state)
    return requests.message(
        kind,
        holder.settings,
        state.exchange.xid,
        elapsed=state.exchange.elapsed(now),
        server_id=server_id,
        associations=associations,
    )


def _said(holder: Holder, state: Asking) -> tuple[MessageType, bytes | None, list[IdentityAssociation]]:
    match state:
        case Soliciting():
            return MessageType.SOLICIT, None, [*holder.wishes()]
        case Requesting(_, chosen):
            return MessageType.REQUEST, chosen.server_id, [_taken_up(ia) for ia in chosen.associations]
        case Renewing(_, server_id):
            return MessageType.RENEW, server_id, [*holder.holdings(server_id), *holder.wishes()]
        case Rebinding():
            return MessageType.REBIND, None, [*holder.holdings(), *holder.wishes()]
        case Revalidating(_, unconfirmed):
            mine = [*holder.holdings(), *map(held, unconfirmed)]
            known = {ia.association for ia in mine}
            return MessageType.REBIND, None, [*mine, *(ia for ia in holder.wishes() if ia.association not in known)]
        case Confirming():
            return MessageType.CONFIRM, None, [ia for ia in holder.holdings() if ia.association.kind is Kind.NA]
        case Informing():
            return MessageType.INFORMATION_REQUEST, None, []
        case Declining(_, binding, lease):
            return MessageType.DECLINE, binding.server_id, [held(binding, [lease])]
        case Releasing(_, bindings):
            server_id = bindings[0].server_id
            return MessageType.RELEASE, server_id, [held(b) for b in bindings if b.server_id == server_id]


def _taken_up(offered: IdentityAssociation) -> IdentityAssociation:
    """What was offered in an association, without the server's times (V6-11)."""
    return wish(offered.association, (grant.asset for grant in offered.grants))
