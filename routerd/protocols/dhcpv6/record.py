"""What is kept of a client over a restart, as the octets of `lease.json` (docs/contract.md §2.4), and how it comes back
to life on another clock (C4). Pure: a daemon does the input and output.

The contract's fields are for people and scripts, and about the first prefix; what is read back stands beside them.
With the key of a Reconfigure in it the file is nobody else's (`is_secret`; C16).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import attrs
import msgspec

from routerd.protocols.dhcpv6.association import Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.duid import is_duid
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.dhcpv6.written import Written, read, written
from routerd.protocols.malformed import Malformed
from routerd.protocols.sealed import age_of, seal, unseal

VERSION = 1

_T = TypeVar("_T")
_R = TypeVar("_R")


@attrs.frozen
class ClientRecord:
    """What a client knows, and the circumstances under which it was written down.

    `memory` is on the clock of the boot `boot_id`, where it was `boottime` at writing; `wall` is the same moment in
    seconds since 1970. `duid` is who the client was: it must stay (V6-30). `state` is a word of the contract.
    """

    resource: str
    interface: str
    state: str
    memory: Memory
    duid: bytes
    boot_id: str
    boottime: float
    wall: float
    last_error: str | None = None

    @property
    def is_secret(self) -> bool:
        """Whether what is written is for nobody but us."""
        return self.memory.key is not None


class _Previous(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    prefix: str
    expires_at: datetime


class _File(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """lease.json: what the contract names, then what only we read back."""

    resource: str
    interface: str
    state: str
    current_prefix: str | None = None
    previous_prefixes: list[_Previous] = []
    server_duid: str | None = msgspec.field(default=None, name="serverDUID")
    iaid: int | None = None
    client_duid: str
    t1_seconds: int | None = None
    t2_seconds: int | None = None
    preferred_seconds: int | None = None
    valid_seconds: int | None = None
    acquired_at: datetime | None = None
    renew_at: datetime | None = None
    rebind_at: datetime | None = None
    expires_at: datetime | None = None
    aftr_name: str | None = None
    dns_servers: list[str] = []
    sntp_servers: list[str] = []
    domain_search: list[str] = []
    updated_at: datetime
    last_error: str | None = None

    version: int
    boot_id: str
    boottime: float
    wall: float
    memory: Written
    checksum: str


def dump(record: ClientRecord) -> bytes:
    """The octets of lease.json."""
    memory = record.memory
    told = memory.information or Information()

    def date(at: float) -> datetime:
        return datetime.fromtimestamp(record.wall + at - record.boottime, UTC).replace(microsecond=0)

    file = _File(
        resource=record.resource,
        interface=record.interface,
        state=record.state,
        previous_prefixes=[
            _Previous(prefix=str(former.lease.asset), expires_at=date(former.lease.valid_until))
            for former in memory.former
            if former.lease.valid_until is not None
        ],
        client_duid=record.duid.hex(":"),
        aftr_name=told.aftr,
        dns_servers=list(map(str, told.dns_servers)),
        sntp_servers=list(map(str, told.sntp_servers)),
        domain_search=list(told.search),
        updated_at=date(record.boottime),
        last_error=record.last_error,
        version=VERSION,
        boot_id=record.boot_id,
        boottime=record.boottime,
        wall=record.wall,
        memory=written(memory),
        checksum="",
    )
    prefixes = [binding for binding in memory.bindings if binding.association.kind is Kind.PD]
    if prefixes:
        _describe(file, prefixes[0], date)
    return seal(file)


def _describe(file: _File, binding: Binding, date: Callable[[float], datetime]) -> None:
    """What the contract says of a prefix."""
    lease = binding.leases[0]

    def seconds(until: float | None) -> int | None:
        return _maybe(lambda end: round(end - binding.obtained_at), until)

    file.current_prefix = str(lease.asset)
    file.server_duid = binding.server_id.hex(":")
    file.iaid = binding.association.iaid
    file.t1_seconds, file.t2_seconds = seconds(binding.t1), seconds(binding.t2)
    file.preferred_seconds, file.valid_seconds = seconds(lease.preferred_until), seconds(lease.valid_until)
    file.acquired_at = date(binding.obtained_at)
    file.renew_at, file.rebind_at = _maybe(date, binding.t1), _maybe(date, binding.t2)
    file.expires_at = _maybe(date, lease.valid_until)


def load(data: bytes) -> ClientRecord | Malformed:
    """The record in the octets of a lease.json; any other octets are `Malformed`, never an exception (C5)."""
    file = unseal(data, _File, VERSION)
    if isinstance(file, Malformed):
        return file
    try:
        duid, memory = bytes.fromhex(file.client_duid.replace(":", "")), read(file.memory)
    except (ValueError, KeyError):
        return Malformed("garbage")
    if not is_duid(duid):
        return Malformed("bad-duid")
    return ClientRecord(
        file.resource, file.interface, file.state, memory, duid, file.boot_id, file.boottime, file.wall, file.last_error
    )


def revive(record: ClientRecord, *, boot_id: str, now: float, wall: float, build_date: float) -> Memory:
    """What was known, on the present clock; what has ended meanwhile is in it still, for the machine to say so (V6-41).
    Arguments as of `age_of`: with a clock that cannot be trusted it counts as just written, and is not trusted."""
    age = age_of(record, boot_id=boot_id, now=now, wall=wall, build_date=build_date)
    return _shifted(record.memory, now - record.boottime - age.seconds, trusted=age.trusted and record.memory.trusted)


def _shifted(memory: Memory, by: float, *, trusted: bool) -> Memory:
    def moment(at: float | None) -> float | None:
        return None if at is None else at + by

    def lease(old: Lease) -> Lease:
        return attrs.evolve(old, preferred_until=moment(old.preferred_until), valid_until=moment(old.valid_until))

    def binding(old: Binding) -> Binding:
        return attrs.evolve(
            old,
            obtained_at=old.obtained_at + by,
            t1=moment(old.t1),
            t2=moment(old.t2),
            leases=tuple(map(lease, old.leases)),
        )

    return attrs.evolve(
        memory,
        bindings=tuple(map(binding, memory.bindings)),
        former=tuple(attrs.evolve(former, lease=lease(former.lease)) for former in memory.former),
        trusted=trusted,
    )


def _maybe(make: Callable[[_T], _R], value: _T | None) -> _R | None:
    return None if value is None else make(value)
