"""Identity associations as a message carries them (RFC 9915 §21.4 to §21.6, §21.21, §21.22, RFC 6603): IA_NA and IA_PD
with the addresses and prefixes in them and the statuses at both levels, as values and as octets.

Lifetimes and T1, T2 are seconds here, as on the wire; `binding` makes moments of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.dhcpv6 import wire
from routerd.protocols.dhcpv6.message import Option
from routerd.protocols.dhcpv6.options import OptionCode, StatusCode
from routerd.protocols.malformed import Malformed
from routerd.protocols.words import text

INFINITE = 0xFFFFFFFF
"""§7.7."""
MAX_GRANTS = 64  # C17

Asset = IPv6Address | IPv6Network
"""What an association is about: an address (IA_NA) or a prefix (IA_PD)."""

_IA = struct.Struct("!III")
_ADDRESS = struct.Struct("!16sII")
_PREFIX = struct.Struct("!IIB16s")


class Kind(Enum):
    """The value is the code of the association's option."""

    NA = int(OptionCode.IA_NA)
    PD = int(OptionCode.IA_PD)


@attrs.frozen
class Association:
    """One of a client's associations: which kind, and its number among those of that kind (§12)."""

    kind: Kind
    iaid: int

    def __str__(self) -> str:
        return f"IA_{self.kind.name} {self.iaid:#010x}"


@attrs.frozen
class Status:
    """§21.13. `text` is the server's own words, made printable (C13)."""

    code: int
    text: str = ""

    @property
    def ok(self) -> bool:
        return self.code == StatusCode.SUCCESS

    @property
    def word(self) -> str:
        """The code's name as a countable word, such as `no-binding`."""
        if self.code in tuple(StatusCode):
            return StatusCode(self.code).name.lower().replace("_", "-")
        return f"status-{self.code}"


SUCCESS = Status(StatusCode.SUCCESS)
"""What the absence of the option means (§21.13)."""


@attrs.frozen
class Grant:
    """An address or a prefix inside an association. `excluded`: the part of the prefix that belongs to the link to the
    delegating router (RFC 6603)."""

    asset: Asset
    preferred: int = 0
    valid: int = 0
    excluded: IPv6Network | None = None
    status: Status = SUCCESS


@attrs.frozen
class IdentityAssociation:
    """One IA option. `t1`, `t2` 0: as the client likes; INFINITE: never."""

    association: Association
    t1: int = 0
    t2: int = 0
    grants: tuple[Grant, ...] = ()
    status: Status = SUCCESS


def encode(ia: IdentityAssociation) -> Option:
    """The association as an option. Raises ValueError for numbers that do not fit: our own fault."""
    inside = [*map(_encode_grant, ia.grants), *_encode_status(ia.status)]
    try:
        head = _IA.pack(ia.association.iaid, ia.t1, ia.t2)
    except struct.error as error:
        raise ValueError(f"{ia.association} cannot be written: {error}") from error
    return Option(ia.association.kind.value, head + wire.join(inside))


def decode(option: Option) -> IdentityAssociation | Malformed:
    """The association in an option 3 or 25. What is wrong inside it costs that part alone (V6-6)."""
    if len(option.value) < _IA.size:
        return Malformed("short-ia")
    iaid, t1, t2 = _IA.unpack_from(option.value)
    kind = Kind(option.code)
    inside = list(wire.split(option.value[_IA.size :]))
    grants = tuple(_first_of_each(kind, inside))
    return IdentityAssociation(Association(kind, iaid), t1, t2, grants[:MAX_GRANTS], decode_status(inside))


def decode_status(options: list[Option] | tuple[Option, ...]) -> Status:
    """The status among some options, of whatever level; none at all is success."""
    value = next((value for code, value in options if code == OptionCode.STATUS and len(value) >= 2), None)
    return SUCCESS if value is None else Status(int.from_bytes(value[:2], "big"), text(value[2:]))


def _first_of_each(kind: Kind, inside: list[Option]) -> Iterator[Grant]:
    seen: set[Asset] = set()
    for code, value in inside:
        grant = None
        if kind is Kind.NA and code == OptionCode.IA_ADDRESS:
            grant = _decode_address(value)
        elif kind is Kind.PD and code == OptionCode.IA_PREFIX:
            grant = _decode_prefix(value)
        if grant is not None and grant.asset not in seen:
            seen.add(grant.asset)
            yield grant


def _decode_address(value: bytes) -> Grant | None:
    if len(value) < _ADDRESS.size:
        return None
    address, preferred, valid = _ADDRESS.unpack_from(value)
    inside = list(wire.split(value[_ADDRESS.size :]))
    return Grant(IPv6Address(address), preferred, valid, status=decode_status(inside))


def _decode_prefix(value: bytes) -> Grant | None:
    if len(value) < _PREFIX.size:
        return None
    preferred, valid, length, address = _PREFIX.unpack_from(value)
    if not 1 <= length <= 128:
        return None
    # §21.22: bits beyond the length are ignored, hence not strict.
    prefix = IPv6Network((address, length), strict=False)
    inside = list(wire.split(value[_PREFIX.size :]))
    return Grant(prefix, preferred, valid, _excluded(prefix, inside), decode_status(inside))


def _excluded(prefix: IPv6Network, inside: list[Option]) -> IPv6Network | None:
    """RFC 6603 §4.2: the length of the excluded prefix, its bits behind those of the delegated one, left-aligned."""
    value = next((value for code, value in inside if code == OptionCode.PD_EXCLUDE), b"")
    if len(value) < 2:
        return None
    length, extra = value[0], value[0] - prefix.prefixlen
    if not prefix.prefixlen < length <= 128 or len(value) != 1 + (extra + 7) // 8:
        return None
    subnet = int.from_bytes(value[1:], "big") >> (-extra % 8)
    return IPv6Network((int(prefix.network_address) | subnet << (128 - length), length))


def _encode_grant(grant: Grant) -> Option:
    status = wire.join(_encode_status(grant.status))
    match grant.asset:
        case IPv6Address() as address:
            head = _ADDRESS.pack(address.packed, grant.preferred, grant.valid)
            return Option(OptionCode.IA_ADDRESS, head + status)
        case IPv6Network() as prefix:
            head = _PREFIX.pack(grant.preferred, grant.valid, prefix.prefixlen, prefix.network_address.packed)
            excluded = wire.join([_encode_excluded(prefix, grant.excluded)] if grant.excluded else [])
            return Option(OptionCode.IA_PREFIX, head + excluded + status)


def _encode_excluded(prefix: IPv6Network, excluded: IPv6Network) -> Option:
    extra = excluded.prefixlen - prefix.prefixlen
    if extra <= 0 or not excluded.subnet_of(prefix):
        raise ValueError(f"{excluded} is no part of {prefix} that could be excluded")
    subnet = (int(excluded.network_address) - int(prefix.network_address)) >> (128 - excluded.prefixlen)
    octets = (subnet << (-extra % 8)).to_bytes((extra + 7) // 8, "big")
    return Option(OptionCode.PD_EXCLUDE, bytes((excluded.prefixlen,)) + octets)


def _encode_status(status: Status) -> list[Option]:
    if status == SUCCESS:
        return []
    return [Option(OptionCode.STATUS, status.code.to_bytes(2, "big") + status.text.encode())]
