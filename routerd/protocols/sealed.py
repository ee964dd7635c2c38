"""A file of ours that outlives us: JSON with a version and a checksum, written on a clock that may be gone.

Whatever else is found in its place, torn, foreign or of another version, is a value, never an exception (C5).
"""

from __future__ import annotations

import hashlib
from typing import Protocol, TypeVar

import attrs
import msgspec

from routerd.protocols.malformed import Malformed

MAX_SIZE = 1 << 20

File = TypeVar("File", bound=msgspec.Struct)
"""It has the fields `version` and `checksum`, beside its own."""


class _Version(msgspec.Struct):
    version: int


def seal(file: File) -> bytes:
    """The octets of the file, its checksum filled in."""
    return msgspec.json.format(msgspec.json.encode(_with_checksum(file)), indent=2) + b"\n"


def unseal(data: bytes, kind: type[File], version: int) -> File | Malformed:
    """The file in these octets, if they are one of this version and whole."""
    if not data:
        return Malformed("empty")
    if len(data) > MAX_SIZE:
        return Malformed("long")
    try:
        if msgspec.json.decode(data, type=_Version).version != version:
            return Malformed("other-version")
        file = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Malformed("garbage")
    return file if _with_checksum(file) == file else Malformed("bad-checksum")


def _with_checksum(file: File) -> File:
    octets = msgspec.json.encode(msgspec.structs.replace(file, checksum=""))
    return msgspec.structs.replace(file, checksum=hashlib.sha256(octets).hexdigest())


class Written(Protocol):
    """When it was: `boottime` on the clock of the boot `boot_id`, and the same moment in seconds since 1970, `wall`."""

    @property
    def boot_id(self) -> str: ...
    @property
    def boottime(self) -> float: ...
    @property
    def wall(self) -> float: ...


@attrs.frozen
class Age:
    """How many seconds ago something was written, and whether a clock that can be trusted says so."""

    seconds: float
    trusted: bool


def age_of(written: Written, *, boot_id: str, now: float, wall: float, build_date: float) -> Age:
    """`now` is seconds on the clock of the boot `boot_id`, `wall` and `build_date` seconds since 1970. In the same boot
    the clock tells the age; after another one only the wall clock does, and one that is behind what was written or
    behind the program itself was never set: then it counts as just written, and not as trusted."""
    if boot_id == written.boot_id and now >= written.boottime:
        return Age(now - written.boottime, trusted=True)
    if boot_id != written.boot_id and wall >= max(written.wall, build_date):
        return Age(wall - written.wall, trusted=True)
    return Age(0.0, trusted=False)
