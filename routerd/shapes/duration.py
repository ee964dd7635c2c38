"""Durations as Go writes them (`500ms`, `10s`, `1m30s`), in our hands seconds. Exact to the nanosecond."""

from __future__ import annotations

import difflib
import re
from typing import NewType

from routerd.shapes.invalid import Invalid, described

Duration = NewType("Duration", float)
"""Seconds, never negative. Its wire form is a Go duration."""

Period = NewType("Period", float)
"""Seconds, as Duration; may also be written in days (`30d`)."""

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DAY = 24 * 3600 * 10**9
PATTERN = r"^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
PERIOD_PATTERN = rf"^([0-9]{{1,6}}d|{PATTERN.removeprefix('^').removesuffix('$')})$"
EXPECTED = "expected number + ms|s|m|h"
EXPECTED_PERIOD = "expected number + d, or number + ms|s|m|h"
LONGEST = 2**63 - 1
"""Nanoseconds: what a Go duration can hold, 292 years."""

_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"([0-9]*)\.?([0-9]*)([a-zµμ]+)")
_NEARLY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([^\W\d_]*)\s*", re.ASCII)
_WORDS = {
    "ms": "ms milli millis millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes",
    "h": "h hr hrs hour hours",
}
_DAYS_OF = {
    word: days
    for days, words in ((1, "d day days"), (7, "w week weeks"), (30, "month months"), (365, "y yr year years"))
    for word in words.split()
}
_UNIT_OF = {word: unit for unit, words in _WORDS.items() for word in words.split()}


def parse_duration(text: str, *, days: bool = False) -> Duration:
    """A Go duration as seconds; with `days` also `7d`. Raises Invalid."""
    if days and re.fullmatch(r"[0-9]{1,6}d", text):
        return _seconds(int(text[:-1]) * DAY, text)
    if len(text) > 100 or not _WHOLE.fullmatch(text):
        expected, hint = EXPECTED_PERIOD if days else EXPECTED, _did_you_mean(text, days)
        raise Invalid("schema.duration", f"{described(text)} is not a duration", expected, hint)
    return _seconds(sum(_nanoseconds(*part) for part in _PART.findall(text)), text)


def parse_period(text: str) -> Period:
    """A Go duration or `7d` as seconds. Raises Invalid."""
    return Period(parse_duration(text, days=True))


def format_duration(seconds: float) -> str:
    """Exact to the nanosecond, as Go's Duration.String writes it: `1m30s`, `1.5s`, `500ms`, `0s`."""
    numerator, denominator = abs(seconds).as_integer_ratio()
    total = (2 * numerator * 10**9 + denominator) // (2 * denominator)
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if total < UNITS["s"]:
        unit = "ms" if total >= UNITS["ms"] else "µs" if total >= UNITS["us"] else "ns"
        return _decimal(total, UNITS[unit]) + unit if total else "0s"
    minutes, rest = divmod(total, UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return head + _decimal(rest, UNITS["s"]) + "s"


def _nanoseconds(whole: str, fraction: str, unit: str) -> int:
    scale: int = 10 ** len(fraction)
    return int((whole + fraction) or "0") * UNITS[unit] // scale


def _seconds(nanoseconds: int, text: str) -> Duration:
    if nanoseconds > LONGEST:
        raise Invalid("value.duration", f"{described(text)} is longer than 292 years", "expected a shorter duration")
    return Duration(nanoseconds / 10**9)


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    places = len(str(unit)) - 1
    return f"{whole}.{rest:0{places}}".rstrip("0").rstrip(".")


def _did_you_mean(text: str, days: bool) -> str:
    nearly = _NEARLY.fullmatch(text[:40])
    number, word = (nearly[1], nearly[2].lower()) if nearly is not None else ("", "")
    if not number or (word in _DAYS_OF and "." in number):
        return "write it as 30d or 12h" if days else "write it as 500ms, 30s or 1m30s"
    if word in _DAYS_OF:
        meant = int(number) * _DAYS_OF[word]
        return f"did you mean {meant}d?" if days else f"did you mean {meant * 24}h?"
    near = difflib.get_close_matches(word, _UNIT_OF, 1)
    return f"did you mean {number}{_UNIT_OF[near[0]] if near else 's'}?"
