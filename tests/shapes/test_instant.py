"""Instants on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.shapes.instant import format_instant, parse_instant
from routerd.shapes.invalid import Invalid

FIRST, LAST = -62135596800 * 10**9, 253402300799999999999
"""Years 1 to 9999."""


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_767_323_045_000_000_000, "2026-01-02T03:04:05Z"),
        (1_767_323_045_600_000_000, "2026-01-02T03:04:05.6Z"),
        (1_767_323_045_000_000_001, "2026-01-02T03:04:05.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (FIRST, "0001-01-01T00:00:00Z"),
        (LAST, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_as_gos_rfc3339nano(nanoseconds: int, text: str) -> None:
    assert format_instant(nanoseconds) == text
    assert parse_instant(text) == nanoseconds


def test_offsets_are_taken_into_account() -> None:
    assert parse_instant("2026-01-02T04:34:05+01:30") == parse_instant("2026-01-02T03:04:05Z")
    assert parse_instant("2026-01-01 22:04:05-05:00") == parse_instant("2026-01-02t03:04:05z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "0000-01-01T00:00:00Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05Z\n",
        "２026-01-02T03:04:05Z",
    ],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(Invalid, match="is not a time"):
        parse_instant(text)


@given(st.integers(FIRST, LAST))
def test_round_trip(nanoseconds: int) -> None:
    assert parse_instant(format_instant(nanoseconds)) == nanoseconds
