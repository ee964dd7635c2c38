"""What a router has told its hosts, as it outlives a crash and a reboot: octets of a file and back (RFC 9096 §3.5).

Instants are on the clock of the boot in which they were written; `revive` brings them to the present one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

import attrs
import msgspec

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp.told import Told

VERSION = 2
MAX_SIZE = 1 << 20

T = TypeVar("T")


@attrs.frozen
class AdvertiserRecord:
    """What was told on the link `ifname`, and when that was written down: `boottime` on the clock of the boot
    `boot_id`, `wall` in seconds since 1970."""

    told: Told
    ifname: str
    boot_id: str
    boottime: float
    wall: float


class _One(msgspec.Struct, omit_defaults=True):
    what: str
    until: float | None = None


class _File(msgspec.Struct, kw_only=True, rename="camel"):
    version: int
    ifname: str
    prefixes: list[_One]
    name_servers: list[_One]
    search_domains: list[_One]
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
        ifname=record.ifname,
        prefixes=_written(record.told.prefixes),
        name_servers=_written(record.told.name_servers),
        search_domains=_written(record.told.search_domains),
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
        told = Told(
            _read(file.prefixes, IPv6Network), _read(file.name_servers, IPv6Address), _read(file.search_domains, str)
        )
    except ValueError:
        return Malformed("garbage")
    return AdvertiserRecord(told, file.ifname, file.boot_id, file.boottime, file.wall)


def revive(record: AdvertiserRecord, *, boot_id: str, now: float, wall: float, build_date: float) -> Told:
    """What hosts may still use, on the present clock; arguments as of `dhcpv4.record.revive`. A wall clock that cannot
    be right counts as no time gone by: rather a prefix too many is taken back than one too few."""
    if boot_id == record.boot_id and now >= record.boottime:
        age = now - record.boottime
    elif boot_id != record.boot_id and wall >= max(record.wall, build_date):
        age = wall - record.wall
    else:
        age = 0.0
    return record.told.shifted(now - record.boottime - age).at(now)


def _written(told: Mapping[T, float | None]) -> list[_One]:
    return [_One(str(what), until) for what, until in told.items()]


def _read(written: list[_One], read: Callable[[str], T]) -> dict[T, float | None]:
    return {read(one.what): one.until for one in written}


def _checksum(file: _File) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(file, checksum=""))).hexdigest()
