"""What a router has told its hosts, as it outlives a crash and a reboot: octets of a file and back (RFC 9096 §3.5).

Instants are on the clock of the boot in which they were written; `revive` brings them to the present one.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Network

import attrs
import msgspec

from routerd.protocols.malformed import Malformed

VERSION = 1
MAX_SIZE = 1 << 20

Told = tuple[tuple[IPv6Network, float | None], ...]
"""Prefixes that a host may still use, and until when; None: announced at the time of writing."""


@attrs.frozen
class AdvertiserRecord:
    """What was told, and when that was written down: `boottime` on the clock of the boot `boot_id`, `wall` in seconds
    since 1970."""

    prefixes: Told
    boot_id: str
    boottime: float
    wall: float


class _Prefix(msgspec.Struct, omit_defaults=True):
    prefix: str
    until: float | None = None


class _File(msgspec.Struct, kw_only=True, rename="camel"):
    version: int
    prefixes: list[_Prefix]
    boot_id: str
    boottime: float
    wall: float
    checksum: str


class _Version(msgspec.Struct):
    version: int


def dump(record: AdvertiserRecord) -> bytes:
    """The octets of memory.json."""
    file = _File(
        version=VERSION,
        prefixes=[_Prefix(str(prefix), until) for prefix, until in record.prefixes],
        boot_id=record.boot_id,
        boottime=record.boottime,
        wall=record.wall,
        checksum="",
    )
    file.checksum = _checksum(file)
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def load(data: bytes) -> AdvertiserRecord | Malformed:
    """The record in the octets of a memory.json; any other octets are `Malformed`, never an exception (C5)."""
    if not data:
        return Malformed("empty")
    if len(data) > MAX_SIZE:
        return Malformed("long")
    try:
        if msgspec.json.decode(data, type=_Version).version != VERSION:
            return Malformed("other-version")
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Malformed("garbage")
    if file.checksum != _checksum(file):
        return Malformed("bad-checksum")
    try:
        told = tuple((IPv6Network(one.prefix), one.until) for one in file.prefixes)
    except ValueError:
        return Malformed("garbage")
    return AdvertiserRecord(told, file.boot_id, file.boottime, file.wall)


def revive(record: AdvertiserRecord, *, boot_id: str, now: float, wall: float, build_date: float) -> Told:
    """What hosts may still use, on the present clock; arguments as of `dhcpv4.record.revive`. A wall clock that cannot
    be right counts as no time gone by: rather a prefix too many is taken back than one too few."""
    if boot_id == record.boot_id and now >= record.boottime:
        age = now - record.boottime
    elif boot_id != record.boot_id and wall >= max(record.wall, build_date):
        age = wall - record.wall
    else:
        age = 0.0
    shift = now - record.boottime - age
    shifted = ((prefix, None if until is None else until + shift) for prefix, until in record.prefixes)
    return tuple((prefix, until) for prefix, until in shifted if until is None or until > now)


def _checksum(file: _File) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(file, checksum=""))).hexdigest()
