"""Who a device says it is, and which of its associations is meant: DUID and IAID (RFC 9915 §11, §12).

Both are made here and kept elsewhere: once said, they must not change.
"""

from __future__ import annotations

import zlib
from typing import Literal
from uuid import UUID

MAX_DUID = 130
"""§11.1: two octets of type and at most 128 more."""

Form = Literal["llt", "en", "ll", "uuid"]

_ETHERNET = 1
_TYPES: dict[Form, int] = {"llt": 1, "en": 2, "ll": 3, "uuid": 4}
_LENGTHS = {b"\0\1\0\1": 14, b"\0\3\0\1": 10, b"\0\4": 18}
"""Of DUID-LLT and DUID-LL for Ethernet, and of DUID-UUID (§11.2, §11.4, §11.5)."""
_YEAR_2000 = 946_684_800


def duid_llt(mac: bytes, made_at: int) -> bytes:
    """A DUID of a link-layer address and the moment (seconds since 1970) at which it was made (§11.2)."""
    return _type("llt") + _u16(_ETHERNET) + ((made_at - _YEAR_2000) % 2**32).to_bytes(4, "big") + _ethernet(mac)


def duid_en(enterprise: int, identifier: bytes) -> bytes:
    """A DUID that a vendor assigned (§11.3). Raises ValueError for an identifier that is empty or too long."""
    if not 1 <= len(identifier) <= MAX_DUID - 6:
        raise ValueError(f"the identifier of a DUID-EN has 1 to {MAX_DUID - 6} octets")
    return _type("en") + enterprise.to_bytes(4, "big") + identifier


def duid_ll(mac: bytes) -> bytes:
    """A DUID made of a link-layer address (§11.4)."""
    return _type("ll") + _u16(_ETHERNET) + _ethernet(mac)


def duid_uuid(uuid: UUID) -> bytes:
    """A DUID for a device without a network card: that of its machine id (§11.5)."""
    return _type("uuid") + uuid.bytes


def is_duid(octets: bytes) -> bool:
    """Whether it can be one, and a whole one: half of ours would be somebody else."""
    fixed = [length for start, length in _LENGTHS.items() if octets.startswith(start)]
    return len(octets) in fixed if fixed else 3 <= len(octets) <= MAX_DUID


def form(duid: bytes) -> Form | None:
    """Which form a DUID has; None: one that we do not know. It is compared whole whatever it is (§11)."""
    return next((name for name, number in _TYPES.items() if duid[:2] == _u16(number)), None)


def iaid(name: str) -> int:
    """The IAID of the association that is configured by this name: of the name alone, neither of the interface's
    index nor of the order in the file (V6-31)."""
    return zlib.crc32(name.encode())


def _type(name: Form) -> bytes:
    return _u16(_TYPES[name])


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _ethernet(mac: bytes) -> bytes:
    if len(mac) != 6:
        raise ValueError("an Ethernet address has six octets")
    return mac
