"""A server's message read once, level by level: who speaks, how it went, what is offered, what is told beside it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from routerd.protocols.dhcpv6 import association, information
from routerd.protocols.dhcpv6.association import Association, IdentityAssociation, Kind, Status
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.malformed import Malformed

MAX_ASSOCIATIONS = 32  # C17
RT_RANGE = range(60, 86401)
"""§21.24, §21.25: SOL_MAX_RT and INF_MAX_RT outside of it are as if they were not there."""
IRT_DEFAULT = 86400.0
IRT_MINIMUM = 600
"""§21.23."""

_KINDS = tuple(kind.value for kind in Kind)


@attrs.frozen
class Answer:
    """What there is in an Advertise or a Reply. `refresh_after`: seconds; None: never (§21.23)."""

    server_id: bytes | None
    status: Status
    preference: int
    associations: tuple[IdentityAssociation, ...]
    information: Information
    sol_max_rt: int | None
    inf_max_rt: int | None
    refresh_after: float | None

    def of(self, wanted: Association) -> IdentityAssociation | None:
        """What it says about one association; None: nothing."""
        return next((ia for ia in self.associations if ia.association == wanted), None)


def read(message: Message, asked: Iterable[int] = ()) -> Answer:
    """Read a message. `asked` are the codes of further options whose octets are wanted."""
    return Answer(
        server_id=message.first(OptionCode.SERVER_ID),
        status=association.decode_status(message.options),
        preference=_number(message, OptionCode.PREFERENCE, 1) or 0,
        associations=_associations(message),
        information=information.read(message, asked),
        sol_max_rt=_retransmission_time(message, OptionCode.SOL_MAX_RT),
        inf_max_rt=_retransmission_time(message, OptionCode.INF_MAX_RT),
        refresh_after=_refresh_after(message),
    )


def _associations(message: Message) -> tuple[IdentityAssociation, ...]:
    """The first of each; two with the same number cannot both be meant."""
    found: dict[Association, IdentityAssociation] = {}
    for option in message.options:
        if option.code in _KINDS and len(found) < MAX_ASSOCIATIONS:
            ia = association.decode(option)
            if not isinstance(ia, Malformed):
                found.setdefault(ia.association, ia)
    return tuple(found.values())


def _retransmission_time(message: Message, code: OptionCode) -> int | None:
    seconds = _number(message, code, 4)
    return seconds if seconds is not None and seconds in RT_RANGE else None


def _refresh_after(message: Message) -> float | None:
    seconds = _number(message, OptionCode.INFORMATION_REFRESH_TIME, 4)
    if seconds is None:
        return IRT_DEFAULT
    return None if seconds == association.INFINITE else float(max(seconds, IRT_MINIMUM))


def _number(message: Message, code: OptionCode, octets: int) -> int | None:
    value = message.first(code)
    return int.from_bytes(value, "big") if value is not None and len(value) == octets else None
