"""What is kept of a lease over a restart, as the octets of `lease.json` (docs/contract.md §2.3), and how it comes
back to life on another clock (C4). Pure: `routerd.daemons.lease_file` does the input and output.

A lease is read back from the server's reply, and from beside it only what the reply does not tell: its times, and
what became of its MTU. The contract's fields are for people and scripts. Keys (option 90) are not kept (C16).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import attrs
import msgspec

from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.grant import read_grant
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.malformed import Malformed
from routerd.protocols.sealed import MAX_SIZE, age_of, seal, unseal

VERSION = 1

_T = TypeVar("_T")
_R = TypeVar("_R")


@attrs.frozen
class LeaseRecord:
    """A lease and the circumstances under which it was written down.

    `lease` is on the clock of the boot `boot_id`, where it was `boottime` at writing; `wall` is the same moment
    in seconds since 1970. `client_id` is option 61 as it was sent: it must stay (V4-6). `gateway_mac`: DNAv4.
    """

    resource: str
    interface: str
    state: str
    lease: Lease
    client_id: bytes
    boot_id: str
    boottime: float
    wall: float
    gateway_mac: bytes | None = None


class _Times(msgspec.Struct, rename="camel", omit_defaults=True):
    """Times of the lease on the clock of its boot; absent: never."""

    obtained_at: float
    t1: float | None = None
    t2: float | None = None
    expires_at: float | None = None


class _File(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """lease.json: what the contract names, then what only we read back."""

    resource: str
    interface: str
    state: str
    current_address: str
    prefix_length: int
    default_gateway: str | None = None
    server_id: str = msgspec.field(name="serverID")
    dns_servers: list[str] = []
    ntp_servers: list[str] = []
    domain: str | None = None
    broadcast_address: str | None = None
    mtu: int | None = None
    lease_time_seconds: int | None = None
    acquired_at: datetime
    renew_at: datetime | None = None
    rebind_at: datetime | None = None
    expires_at: datetime | None = None
    updated_at: datetime

    version: int
    remaining_seconds: float | None = None
    notes: list[str] = []
    client_id: str
    gateway_mac: str | None = None
    boot_id: str
    boottime: float
    wall: float
    times: _Times
    reply: bytes
    checksum: str


def dump(record: LeaseRecord) -> bytes:
    """The octets of lease.json. Raises ValueError for a lease that no reply granted."""
    lease = record.lease
    if lease.reply is None:
        raise ValueError("a lease without the server's reply cannot be kept")

    def date(at: float) -> datetime:
        return datetime.fromtimestamp(record.wall + at - record.boottime, UTC).replace(microsecond=0)

    file = _File(
        resource=record.resource,
        interface=record.interface,
        state=record.state,
        current_address=str(lease.address.ip),
        prefix_length=lease.address.network.prefixlen,
        default_gateway=_maybe(str, lease.gateway),
        server_id=str(lease.server_id),
        dns_servers=[str(server) for server in lease.dns_servers],
        ntp_servers=[str(server) for server in lease.ntp_servers],
        domain=lease.domain,
        broadcast_address=_maybe(str, lease.broadcast),
        mtu=lease.mtu,
        lease_time_seconds=_maybe(round, lease.duration),
        acquired_at=date(lease.obtained_at),
        renew_at=_maybe(date, lease.t1),
        rebind_at=_maybe(date, lease.t2),
        expires_at=_maybe(date, lease.expires_at),
        updated_at=date(record.boottime),
        version=VERSION,
        remaining_seconds=_maybe(lambda end: end - record.boottime, lease.expires_at),
        notes=list(lease.notes),
        client_id=record.client_id.hex(":"),
        gateway_mac=_maybe(lambda mac: mac.hex(":"), record.gateway_mac),
        boot_id=record.boot_id,
        boottime=record.boottime,
        wall=record.wall,
        times=_Times(lease.obtained_at, lease.t1, lease.t2, lease.expires_at),
        reply=_without_secrets(lease.reply),
        checksum="",
    )
    return seal(file)


def load(data: bytes) -> LeaseRecord | Malformed:
    """The record in the octets of a lease.json; any other octets are `Malformed`, never an exception (C5)."""
    file = unseal(data, _File, VERSION)
    if isinstance(file, Malformed):
        return file
    return _record(file)


def revive(record: LeaseRecord, *, boot_id: str, now: float, wall: float, build_date: float) -> Remembered | Malformed:
    """The lease on the present clock, or `Malformed("expired")`. Arguments as of `age_of`: with a clock that cannot be
    trusted it counts as just written, and is not trusted."""
    age = age_of(record, boot_id=boot_id, now=now, wall=wall, build_date=build_date)
    lease = _shifted(record.lease, now - record.boottime - age.seconds)
    if lease.expires_at is not None and lease.expires_at <= now:
        return Malformed("expired")
    return Remembered(lease, age.trusted, record.gateway_mac)


def _record(file: _File) -> LeaseRecord | Malformed:
    message = wire.decode(file.reply)
    if isinstance(message, Malformed):
        return Malformed("bad-reply")
    # What chance and the link of then had a part in is not read again: the times, and what became of the MTU.
    times = file.times
    lease = read_grant(message, sent_at=times.obtained_at, rng=random.Random(0), link_mtu=None)
    if isinstance(lease, Malformed):
        return Malformed("bad-reply")
    if (lease.expires_at is None) != (times.expires_at is None) or not _ascending(times):
        return Malformed("bad-times")
    try:
        client_id, gateway_mac = _octets(file.client_id), _maybe(_octets, file.gateway_mac)
    except ValueError:
        return Malformed("garbage")
    return LeaseRecord(
        resource=file.resource,
        interface=file.interface,
        state=file.state,
        lease=attrs.evolve(
            lease, t1=times.t1, t2=times.t2, expires_at=times.expires_at, mtu=file.mtu, notes=tuple(file.notes)
        ),
        client_id=client_id,
        boot_id=file.boot_id,
        boottime=file.boottime,
        wall=file.wall,
        gateway_mac=gateway_mac,
    )


def _ascending(times: _Times) -> bool:
    """Whether T1 and T2 are there exactly when an end is, and in their order."""
    if times.t1 is None or times.t2 is None or times.expires_at is None:
        return times.t1 is times.t2 is times.expires_at
    return times.obtained_at <= times.t1 <= times.t2 <= times.expires_at


def _shifted(lease: Lease, by: float) -> Lease:
    return attrs.evolve(
        lease,
        obtained_at=lease.obtained_at + by,
        t1=_maybe(by.__add__, lease.t1),
        t2=_maybe(by.__add__, lease.t2),
        expires_at=_maybe(by.__add__, lease.expires_at),
    )


def _without_secrets(reply: Message) -> bytes:
    """The reply as it came, or written anew without option 90: RFC 6704 sends a key in it. An absurdly large one
    may grow beyond what `wire.decode` takes; then `load` says so, which costs the record and nothing else."""
    if reply.opaque and Option.AUTHENTICATION not in reply.options:
        return reply.opaque
    options = {code: value for code, value in reply.options.items() if code != Option.AUTHENTICATION}
    return wire.encode(attrs.evolve(reply, options=options), limit=MAX_SIZE)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _maybe(make: Callable[[_T], _R], value: _T | None) -> _R | None:
    return None if value is None else make(value)
