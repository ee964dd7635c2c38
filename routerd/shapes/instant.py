"""Points in time: nanoseconds since 1970 in our hands, RFC 3339 in UTC on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from routerd.shapes.invalid import Invalid, described

Instant = NewType("Instant", int)
"""Wall-clock nanoseconds since 1970. Its wire form is RFC 3339, UTC, trailing zeros trimmed (Go's RFC3339Nano)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)


def format_instant(nanoseconds: int) -> str:
    """`2026-01-02T03:04:05.6Z`. Years 1 to 9999."""
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction}Z"


def parse_instant(text: str) -> Instant:
    """RFC 3339 with any offset, at most nine fractional digits. Raises Invalid."""
    parts = _RFC3339.fullmatch(text)
    if parts is None:
        raise _invalid(text)
    day, time, fraction, sign, hours, minutes = parts.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}+00:00")
    except ValueError:
        raise _invalid(text) from None
    if sign and (int(hours) > 23 or int(minutes) > 59):
        raise _invalid(text)
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1) if sign else 0
    since = moment - _EPOCH
    return Instant((since.days * 86400 + since.seconds - offset) * 10**9 + int((fraction or "").ljust(9, "0")))


def _invalid(text: str) -> Invalid:
    return Invalid("schema.time", f"{described(text)} is not a time", "expected RFC 3339, as 2026-01-02T03:04:05Z")
