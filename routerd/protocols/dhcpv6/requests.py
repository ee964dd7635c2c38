"""The messages a client sends (RFC 9915 §18.2 and appendix B): which options go into which."""

from __future__ import annotations

from collections.abc import Iterable

from routerd.protocols.dhcpv6 import association
from routerd.protocols.dhcpv6.association import Asset, Association, Grant, IdentityAssociation, Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.dhcpv6.settings import Settings

ASKED_FOR = (
    OptionCode.DNS_SERVERS,
    OptionCode.DOMAIN_SEARCH,
    OptionCode.NTP_SERVER,
    OptionCode.AFTR_NAME,
    OptionCode.SOL_MAX_RT,
)
ASKED_FOR_INFORMATION = (OptionCode.INFORMATION_REFRESH_TIME, OptionCode.INF_MAX_RT)

_ASKING = frozenset(
    (
        MessageType.SOLICIT,
        MessageType.REQUEST,
        MessageType.RENEW,
        MessageType.REBIND,
        MessageType.INFORMATION_REQUEST,
    )
)
"""Messages with an option request option (§21.7), and those that take Reconfigure Accept (§21.20)."""


def message(
    kind: MessageType,
    settings: Settings,
    xid: int,
    *,
    elapsed: int,
    server_id: bytes | None = None,
    associations: Iterable[IdentityAssociation] = (),
) -> Message:
    """One message of a client. `elapsed`: hundredths of a second since the first of its exchange (§21.9)."""
    options = [Option(OptionCode.CLIENT_ID, settings.duid)]
    if server_id is not None:
        options.append(Option(OptionCode.SERVER_ID, server_id))
    options.append(Option(OptionCode.ELAPSED_TIME, elapsed.to_bytes(2, "big")))
    if kind in _ASKING:
        options.append(Option(OptionCode.OPTION_REQUEST, option_request(kind, settings)))
        if settings.reconfigure:
            options.append(Option(OptionCode.RECONFIGURE_ACCEPT, b""))
    if kind is MessageType.SOLICIT and settings.rapid_commit:
        options.append(Option(OptionCode.RAPID_COMMIT, b""))
    options += map(association.encode, associations)
    return Message(kind, xid, (*options, *settings.options))


def option_request(kind: MessageType, settings: Settings) -> bytes:
    """The codes of what we want to be told (V6-7). Options 32 and 83 mean something in a Reply to an
    Information-request alone (§21.23, §21.25), 67 with a prefix (RFC 6603 §4.1)."""
    codes = [*ASKED_FOR]
    if kind is MessageType.INFORMATION_REQUEST:
        codes += ASKED_FOR_INFORMATION
    elif any(wanted.kind is Kind.PD for wanted in settings.associations):
        codes.append(OptionCode.PD_EXCLUDE)
    return b"".join(code.to_bytes(2, "big") for code in dict.fromkeys((*map(int, codes), *settings.request)))


def wish(wanted: Association, assets: Iterable[Asset]) -> IdentityAssociation:
    """An association with what we would like in it. Lifetimes and T1, T2 are the server's business: 0 (§21.4)."""
    return IdentityAssociation(wanted, grants=tuple(map(Grant, assets)))


def held(binding: Binding, leases: Iterable[Lease] | None = None) -> IdentityAssociation:
    """An association with what we hold in it, or with these leases of it."""
    return wish(binding.association, (lease.asset for lease in (binding.leases if leases is None else leases)))
