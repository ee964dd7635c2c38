"""What a router has told its hosts, as it outlives a crash and a reboot: octets of a file and back (RFC 9096 §3.5).

Instants are on the clock of the boot in which they were written; `revive` brings them to the present one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

import attrs
import msgspec

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp.told import Told
from routerd.protocols.sealed import age_of, seal, unseal

VERSION = 2

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
    return seal(file)


def load(data: bytes) -> AdvertiserRecord | Malformed:
    """The record in the octets of a memory.json; any other octets are `Malformed`, never an exception (C5)."""
    file = unseal(data, _File, VERSION)
    if isinstance(file, Malformed):
        return file
    try:
        told = Told(
            _read(file.prefixes, IPv6Network), _read(file.name_servers, IPv6Address), _read(file.search_domains, str)
        )
    except ValueError:
        return Malformed("garbage")
    return AdvertiserRecord(told, file.ifname, file.boot_id, file.boottime, file.wall)


def revive(record: AdvertiserRecord, *, boot_id: str, now: float, wall: float, build_date: float) -> Told:
    """What hosts may still use, on the present clock; arguments as of `age_of`. A wall clock that cannot
    be right counts as no time gone by: rather a prefix too many is taken back than one too few."""
    age = age_of(record, boot_id=boot_id, now=now, wall=wall, build_date=build_date)
    return record.told.shifted(now - record.boottime - age.seconds).at(now)


def _written(told: Mapping[T, float | None]) -> list[_One]:
    return [_One(str(what), until) for what, until in told.items()]


def _read(written: list[_One], read: Callable[[str], T]) -> dict[T, float | None]:
    return {read(one.what): one.until for one in written}
