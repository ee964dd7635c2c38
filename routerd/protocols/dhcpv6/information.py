"""What a server tells beside addresses and prefixes: DNS, NTP, the AFTR (RFC 3646, 4075, 5908, 6334).

Forgiving: what is wrong with an option costs that option alone, and a sentence in `Information.notes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv6Address
from typing import TypeVar

import attrs

from routerd.protocols.dhcpv6 import wire
from routerd.protocols.dhcpv6.message import Message, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.malformed import Malformed
from routerd.protocols.words import domain_names

MAX_SERVERS = 32

UNDERSTOOD = frozenset(
    (
        OptionCode.DNS_SERVERS,
        OptionCode.DOMAIN_SEARCH,
        OptionCode.SNTP_SERVERS,
        OptionCode.NTP_SERVER,
        OptionCode.AFTR_NAME,
    )
)
"""Options that have a field of `Information`."""

_T = TypeVar("_T")
_NTP_ADDRESS, _NTP_MULTICAST, _NTP_NAME = 1, 2, 3


@attrs.frozen
class Information:
    """Other configuration, in the server's order. `others` are options that the operator asked for and nobody here
    understands."""

    dns_servers: tuple[IPv6Address, ...] = ()
    search: tuple[str, ...] = ()
    sntp_servers: tuple[IPv6Address, ...] = ()
    ntp_servers: tuple[IPv6Address | str, ...] = ()
    aftr: str | None = None
    others: tuple[Option, ...] = ()
    notes: tuple[str, ...] = attrs.field(default=(), eq=False)


NOTHING = Information()


def differences(old: Information, new: Information) -> tuple[str, ...]:
    """Names of the attributes in which two differ (C15)."""
    names = (field.name for field in attrs.fields(Information) if field.eq)
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def read(message: Message, asked: Iterable[int] = ()) -> Information:
    """What a message tells; `asked` are the codes of which the raw octets are wanted."""
    notes: list[str] = []

    def value(code: OptionCode, decode: Callable[[bytes], tuple[_T, ...] | Malformed]) -> tuple[_T, ...]:
        raw = message.first(code)
        found = () if raw is None else decode(raw)
        if isinstance(found, Malformed):
            notes.append(f"option {code:d} is ignored: {found.reason}")
            return ()
        if len(found) > MAX_SERVERS:
            notes.append(f"option {code:d} is cut after {MAX_SERVERS} entries")
        return found[:MAX_SERVERS]

    wanted = frozenset(asked) - UNDERSTOOD
    return Information(
        dns_servers=value(OptionCode.DNS_SERVERS, _servers),
        search=value(OptionCode.DOMAIN_SEARCH, _names),
        sntp_servers=value(OptionCode.SNTP_SERVERS, _servers),
        ntp_servers=value(OptionCode.NTP_SERVER, _ntp),
        aftr=next(iter(value(OptionCode.AFTR_NAME, _one_name)), None),
        others=tuple(option for option in message.options if option.code in wanted),
        notes=tuple(notes),
    )


def _servers(value: bytes) -> tuple[IPv6Address, ...] | Malformed:
    """Addresses that a server can have, each once."""
    if not value or len(value) % 16:
        return Malformed("bad-length")
    found = dict.fromkeys(IPv6Address(value[at : at + 16]) for at in range(0, len(value), 16))
    usable = tuple(filter(_can_serve, found))
    return usable or Malformed("no-usable-address")


def _can_serve(address: IPv6Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


def _names(value: bytes) -> tuple[str, ...] | Malformed:
    return domain_names(value, MAX_SERVERS + 1)


def _one_name(value: bytes) -> tuple[str, ...] | Malformed:
    """RFC 6334 §3: one name and nothing else."""
    names = domain_names(value, 2)
    return Malformed("several-names") if not isinstance(names, Malformed) and len(names) > 1 else names


def _ntp(value: bytes) -> tuple[IPv6Address | str, ...] | Malformed:
    """RFC 5908 §4: suboptions, of which those that cannot be read are passed over."""
    found: list[IPv6Address | str] = []
    for code, inner in wire.split(value):
        if code in (_NTP_ADDRESS, _NTP_MULTICAST) and len(inner) == 16:
            found.append(IPv6Address(inner))
        elif code == _NTP_NAME and not isinstance(names := _one_name(inner), Malformed):
            found += names
    return tuple(dict.fromkeys(found)) or Malformed("no-usable-server")
