"""A client's memory as structs that JSON can hold, and back. `record` puts them into a file."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import msgspec

from routerd.protocols.dhcpv6.answer import MAX_ASSOCIATIONS
from routerd.protocols.dhcpv6.association import MAX_GRANTS, Asset, Association, Kind
from routerd.protocols.dhcpv6.auth import Key
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.memory import DEFAULT_MAX_RT, Former, Memory
from routerd.protocols.dhcpv6.message import Option


class _Lease(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    asset: str
    preferred_until: float | None = None
    valid_until: float | None = None
    excluded: str | None = None
    deprecated: bool = False


class _Binding(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    kind: str
    iaid: int
    server_id: str
    obtained_at: float
    t1: float | None = None
    t2: float | None = None
    leases: list[_Lease]


class _Former(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    kind: str
    iaid: int
    lease: _Lease
    in_use: bool


class _Last(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    kind: str
    iaid: int
    assets: list[str]


class _Option(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    code: int
    value: bytes


class _Information(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    dns_servers: list[str] = []
    search: list[str] = []
    sntp_servers: list[str] = []
    ntp_addresses: list[str] = []
    ntp_names: list[str] = []
    aftr: str | None = None
    others: list[_Option] = []


class _Key(msgspec.Struct, kw_only=True, rename="camel"):
    """Of a Reconfigure. Never shown, but to the file (C16)."""

    server_id: str
    secret: str

    def __repr__(self) -> str:
        return "_Key(***)"


class Written(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A `Memory` as JSON has it."""

    bindings: list[_Binding] = []
    former: list[_Former] = []
    last: list[_Last] = []
    information: _Information | None = None
    sol_max_rt: float = DEFAULT_MAX_RT
    inf_max_rt: float = DEFAULT_MAX_RT
    replay: int = -1
    key: _Key | None = None
    trusted: bool = True


def written(memory: Memory) -> Written:
    """The memory as structs."""
    told = memory.information
    return Written(
        bindings=[
            _Binding(
                kind=b.association.kind.name,
                iaid=b.association.iaid,
                server_id=b.server_id.hex(":"),
                obtained_at=b.obtained_at,
                t1=b.t1,
                t2=b.t2,
                leases=list(map(_written_lease, b.leases)),
            )
            for b in memory.bindings
        ],
        former=[
            _Former(
                kind=f.association.kind.name, iaid=f.association.iaid, lease=_written_lease(f.lease), in_use=f.in_use
            )
            for f in memory.former
        ],
        last=[_Last(kind=a.kind.name, iaid=a.iaid, assets=list(map(str, v))) for a, v in memory.last.items()],
        information=None if told is None else _written_information(told),
        sol_max_rt=memory.sol_max_rt,
        inf_max_rt=memory.inf_max_rt,
        replay=memory.replay,
        key=None if memory.key is None else _Key(server_id=memory.key.server_id.hex(":"), secret=memory.key.key.hex()),
        trusted=memory.trusted,
    )


def _written_lease(lease: Lease) -> _Lease:
    return _Lease(
        asset=str(lease.asset),
        preferred_until=lease.preferred_until,
        valid_until=lease.valid_until,
        excluded=None if lease.excluded is None else str(lease.excluded),
        deprecated=lease.deprecated,
    )


def _written_information(told: Information) -> _Information:
    return _Information(
        dns_servers=list(map(str, told.dns_servers)),
        search=list(told.search),
        sntp_servers=list(map(str, told.sntp_servers)),
        ntp_addresses=[str(server) for server in told.ntp_servers if isinstance(server, IPv6Address)],
        ntp_names=[server for server in told.ntp_servers if isinstance(server, str)],
        aftr=told.aftr,
        others=[_Option(code=code, value=value) for code, value in told.others],
    )


def read(memory: Written) -> Memory:
    """Raises ValueError or KeyError for what we never wrote."""
    bindings = tuple(map(_read_binding, memory.bindings[:MAX_ASSOCIATIONS]))
    return Memory(
        bindings,
        tuple(Former(_association(f), _read_lease(f.lease, _association(f).kind), f.in_use) for f in memory.former),
        {
            _association(known): tuple(_asset(a, _association(known).kind) for a in known.assets)
            for known in memory.last
        },
        None if memory.information is None else _read_information(memory.information),
        memory.sol_max_rt,
        memory.inf_max_rt,
        memory.replay,
        None if memory.key is None else _read_key(memory.key),
        memory.trusted,
    )


def _read_key(known: _Key) -> Key:
    return Key(_server(known.server_id), bytes.fromhex(known.secret))


def _server(duid: str) -> bytes:
    return bytes.fromhex(duid.replace(":", ""))


def _read_binding(binding: _Binding) -> Binding:
    which = _association(binding)
    leases = tuple(_read_lease(lease, which.kind) for lease in binding.leases[:MAX_GRANTS])
    if not leases:
        raise ValueError(f"nothing is held in {which}")
    return Binding(which, _server(binding.server_id), binding.obtained_at, binding.t1, binding.t2, leases)


def _read_lease(lease: _Lease, kind: Kind) -> Lease:
    asset = _asset(lease.asset, kind)
    excluded = None if lease.excluded is None else IPv6Network(lease.excluded)
    return Lease(asset, lease.preferred_until, lease.valid_until, excluded, lease.deprecated)


def _read_information(told: _Information) -> Information:
    return Information(
        dns_servers=tuple(map(IPv6Address, told.dns_servers)),
        search=tuple(told.search),
        sntp_servers=tuple(map(IPv6Address, told.sntp_servers)),
        ntp_servers=(*map(IPv6Address, told.ntp_addresses), *told.ntp_names),
        aftr=told.aftr,
        others=tuple(Option(option.code, option.value) for option in told.others),
    )


def _association(named: _Binding | _Former | _Last) -> Association:
    return Association(Kind[named.kind], named.iaid)


def _asset(text: str, kind: Kind) -> Asset:
    return IPv6Network(text) if kind is Kind.PD else IPv6Address(text)
