"""What an operator chooses about a DHCPv6 client. Values only; the configuration has checked them before."""

from __future__ import annotations

import attrs

from routerd.protocols.dhcpv6.answer import MAX_ASSOCIATIONS
from routerd.protocols.dhcpv6.association import Asset, Association
from routerd.protocols.dhcpv6.message import Option
from routerd.protocols.dhcpv6.options import OptionCode

RESERVED = frozenset(
    (
        OptionCode.CLIENT_ID,
        OptionCode.SERVER_ID,
        OptionCode.IA_NA,
        OptionCode.IA_TA,
        OptionCode.IA_ADDRESS,
        OptionCode.OPTION_REQUEST,
        OptionCode.ELAPSED_TIME,
        OptionCode.IA_PD,
        OptionCode.IA_PREFIX,
        OptionCode.RAPID_COMMIT,
        OptionCode.RECONFIGURE_ACCEPT,
        OptionCode.STATUS,
    )
)
"""Options that nobody may set raw: the machine's own."""


@attrs.frozen
class Wanted:
    """An association that the client asks for. `hint`: what it would like as long as it had nothing, an address, a
    prefix, or a length alone as ::/56 (V6-24)."""

    association: Association
    hint: Asset | None = None


def _distinct(instance: Settings, attribute: attrs.Attribute[tuple[Wanted, ...]], value: tuple[Wanted, ...]) -> None:
    if len({wanted.association for wanted in value}) != len(value):
        raise ValueError("two associations have the same number")
    if len(value) > MAX_ASSOCIATIONS:
        raise ValueError(f"more than {MAX_ASSOCIATIONS} associations")


def _sendable(instance: Settings, attribute: attrs.Attribute[tuple[Option, ...]], value: tuple[Option, ...]) -> None:
    wrong = [option.code for option in value if option.code in RESERVED or not 0 < option.code < 2**16]
    if wrong:
        raise ValueError(f"options that cannot be set: {wrong}")


@attrs.frozen
class Settings:
    """One client's settings. No `wanted`: information only (§18.2.6).

    `options` are sent as they are in every message (vendor class, user class, credentials): they are in no repr.
    `request` is added to what the client asks for by itself.
    """

    duid: bytes
    wanted: tuple[Wanted, ...] = attrs.field(default=(), validator=_distinct)
    request: tuple[int, ...] = ()
    options: tuple[Option, ...] = attrs.field(default=(), repr=False, validator=_sendable)
    rapid_commit: bool = False
    """Take a lease in two messages where the server can (V6-12)."""
    reconfigure: bool = False
    """Let the server that granted the leases order us to renew them (V6-33)."""

    @property
    def associations(self) -> tuple[Association, ...]:
        """What the client asks for, in the operator's order."""
        return tuple(wanted.association for wanted in self.wanted)

    def hint(self, association: Association) -> Asset | None:
        """What the operator would like."""
        return next((wanted.hint for wanted in self.wanted if wanted.association == association), None)
