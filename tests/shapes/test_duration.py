"""Go durations, exactly."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.shapes.duration import LONGEST, format_duration, parse_duration
from routerd.shapes.invalid import Invalid

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("1h1m1s1ms1us1ns", 3661.001001001),
        ("100µs", 0.0001),
        ("0.000000001s", 1e-9),
        ("1.0000000019s", 1.000000001),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (1e-9, "1ns"),
        (1.5e-6, "1.5µs"),
        (0.5, "500ms"),
        (1.0, "1s"),
        (1.25, "1.25s"),
        (60.0, "1m0s"),
        (90.0, "1m30s"),
        (3600.0, "1h0m0s"),
        (5400.5, "1h30m0.5s"),
        (-90.0, "-1m30s"),
    ],
)
def test_format_is_gos(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("30x", "did you mean 30s?"),
        ("30", "did you mean 30s?"),
        ("30 s", "did you mean 30s?"),
        ("5 minutes", "did you mean 5m?"),
        ("5 mim", "did you mean 5m?"),
        ("200 MS", "did you mean 200ms?"),
        ("2 days", "did you mean 48h?"),
        ("", "write it as 500ms, 30s or 1m30s"),
        ("-5s", "write it as 500ms, 30s or 1m30s"),
        ("soon", "write it as 500ms, 30s or 1m30s"),
        ("1m 30s", "write it as 500ms, 30s or 1m30s"),
        ("1s" * 60, "write it as 500ms, 30s or 1m30s"),
        ("٣s", "write it as 500ms, 30s or 1m30s"),
        ("5s\n", "did you mean 5s?"),
    ],
)
def test_what_is_no_duration_says_what_it_might_be(text: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_duration(text)
    assert caught.value.code == "schema.duration"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1y", "did you mean 365d?"),
        ("2 weeks", "did you mean 14d?"),
        ("3 months", "did you mean 90d?"),
        ("30 D", "did you mean 30d?"),
        ("1.5d", "write it as 30d or 12h"),
        ("30", "did you mean 30s?"),
        ("long", "write it as 30d or 12h"),
    ],
)
def test_where_days_are_allowed_they_are_offered(text: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_duration(text, days=True)
    assert caught.value.expected == "expected number + d, or number + ms|s|m|h"
    assert caught.value.hint == hint


def test_too_long_for_go() -> None:
    assert parse_duration(f"{LONGEST}ns") == LONGEST / 10**9
    with pytest.raises(Invalid, match="292 years"):
        parse_duration(f"{LONGEST + 1}ns")


def test_days_only_where_they_are_allowed() -> None:
    assert parse_duration("7d", days=True) == 7 * 86400
    with pytest.raises(Invalid, match="not a duration"):
        parse_duration("7d")
    with pytest.raises(Invalid, match="not a duration"):
        parse_duration("1.5d", days=True)


@given(st.lists(st.tuples(st.integers(0, 10**5), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5))
def test_parse_is_exact_to_the_nanosecond(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * UNITS[unit] for number, unit in parts) / 10**9


@given(st.integers(0, LONGEST))
def test_formatted_and_parsed_it_is_the_same(nanoseconds: int) -> None:
    seconds = nanoseconds / 10**9
    if seconds * 10**9 <= LONGEST:
        assert parse_duration(format_duration(seconds)) == seconds


@given(st.text())
def test_any_text_is_a_duration_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert parse_duration(text) >= 0
