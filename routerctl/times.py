"""Numbers, durations and instants as operators type and read them. Instants are seconds since 1970."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from routerctl.errors import Exit, Failure

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(Z?)", re.ASCII)
_CURSOR = re.compile(r"(?:[0-9a-f]+-)?\d+", re.ASCII)
_FRACTION = re.compile(r"(\.\d{6})\d+")


def parse_count(text: str) -> int:
    """How many: `0`, `50`. Raises Failure (usage)."""
    return _whole(text, f'"{text}" is not a number of rows', "write it as 50")


def parse_generation(text: str) -> int:
    """Which one: `41`. Raises Failure (usage)."""
    return _whole(text, f'"{text}" is not the number of a generation', "routerctl generations lists them")


def parse_duration(text: str) -> float:
    """`500ms`, `30s`, `1m30s`, `7d`, or bare seconds; in seconds. Raises Failure (usage)."""
    if text.isascii() and text.isdigit():
        return float(text[:18])
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Failure(Exit.USAGE, f'"{text}" is not a duration', "write it as 500ms, 30s, 1m30s or 7d")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def go_duration(text: str) -> str:
    """A duration as the API takes it, which knows neither days nor bare seconds. Raises Failure (usage)."""
    return f"{round(parse_duration(text) * 1000)}ms"


def is_cursor(text: str) -> bool:
    """Whether it is no time, but a place in the event log: the id of an event, or the cursor of an answer."""
    return _CURSOR.fullmatch(text) is not None


def parse_moment(text: str, now: float) -> float:
    """`10m` (ago), `02:13` (the last one on this host's clock; `02:13Z`: in UTC) or RFC 3339. Raises Failure."""
    if clock := _CLOCK.fullmatch(text):
        return _last(clock, now)
    try:
        return now - parse_duration(text) if _PART.match(text) else _instant(text)
    except ValueError:
        raise Failure(
            Exit.USAGE,
            f'"{text}" is not a time',
            "write it as 10m (ago), 02:13, 2026-01-31T02:13:00Z, or the id of an event",
        ) from None


def parse_instant(text: object) -> float | None:
    """An RFC 3339 time of the API; None when it is none, or before 1970 (unset clocks, Go's zero time)."""
    try:
        instant = _instant(text) if isinstance(text, str) else -1.0
    except ValueError:
        return None
    return instant if instant >= 0 else None


def span(seconds: float) -> str:
    """A length of time in at most two units, as short as sense allows: `41s`, `8m12s`, `41m`, `2h5m`, `13d`."""
    whole = max(0, int(seconds))
    for size, unit, next_size, next_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            count, rest = whole // size, whole % size // next_size
            return f"{count}{unit}{rest}{next_unit}" if count < 10 and rest else f"{count}{unit}"
    return f"{whole}s"


def ago(text: object, now: float) -> str:
    """`8m12s` since an RFC 3339 time; `-` when it is not known."""
    instant = parse_instant(text)
    return "-" if instant is None else span(now - instant)


def ahead(text: object, now: float) -> str:
    """`in 41m` or `8s ago`; nothing when it is not known."""
    instant = parse_instant(text)
    if instant is None:
        return ""
    return f"in {span(instant - now)}" if instant >= now else f"{span(now - instant)} ago"


def clock(text: object, now: float) -> str:
    """`02:13:41Z`, with its date when that is not today's (UTC); `-` when it is not known."""
    instant = parse_instant(text)
    if instant is None:
        return "-"
    shape = "%H:%M:%SZ" if instant // 86400 == now // 86400 else "%Y-%m-%dT%H:%M:%SZ"
    return time.strftime(shape, time.gmtime(instant))


def _whole(text: str, otherwise: str, hint: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Failure(Exit.USAGE, otherwise, hint)
    return int(text)


def _instant(text: str) -> float:
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    if "T" not in text.upper() or moment.tzinfo is None:
        raise ValueError(text)
    return moment.timestamp()


def _last(clock: re.Match[str], now: float) -> float:
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    today = datetime.fromtimestamp(now, UTC) if clock[4] else datetime.fromtimestamp(now).astimezone()
    try:
        moment = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
    except ValueError:
        raise Failure(Exit.USAGE, f'"{clock[0]}" is not a time of day', "write it as 02:13 or 02:13:41") from None
    return (moment if moment.timestamp() <= now else moment - timedelta(days=1)).timestamp()
