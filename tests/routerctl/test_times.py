"""Durations and instants, as typed and as shown."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from routerctl.errors import Exit, Failure
from routerctl.times import ago, ahead, clock, parse_duration, parse_instant, parse_moment, span

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


@pytest.fixture(autouse=True)
def somewhere_east() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")  # UTC+9, without summer time
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("500ms", 0.5),
        ("1m30s", 90),
        ("1h", 3600),
        ("7d", 604800),
        (".5s", 0.5),
        ("1d12h", 129600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1", "5 m", "-1s", "1x", "1m 30s", "1e3s", "٣s", "s1", "1..5s"])
def test_what_is_no_duration(text: str) -> None:
    if text == "1":
        assert parse_duration(text) == 1
        return
    with pytest.raises(Failure) as failure:
        parse_duration(text)
    assert failure.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - 600),
        ("1h30m", NOW - 5400),
        ("03:04:05Z", NOW),
        ("03:04Z", NOW - 5),
        ("03:05Z", NOW - 86400 + 55),
        ("12:04", NOW - 5),
        ("12:05", NOW - 86400 + 55),
        ("0:00", NOW - 12 * 3600 - 245),
        ("2026-01-02T03:04:05Z", NOW),
        ("2026-01-02T12:04:05+09:00", NOW),
        ("2026-01-02T03:04:05.123456789Z", NOW + 0.123456),
    ],
)
def test_moments(text: str, moment: float) -> None:
    assert parse_moment(text, NOW) == pytest.approx(moment, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "24:00", "12:60", "1:2", "2026-01-02", "2026-01-02T03:04:05", "12:00z"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(Failure) as failure:
        parse_moment(text, NOW)
    assert failure.value.code is Exit.USAGE


@pytest.mark.parametrize("text", [None, "", 7, "soon", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9" * 400])
def test_what_is_not_known(text: object) -> None:
    assert parse_instant(text) is None
    assert (ago(text, NOW), clock(text, NOW), ahead(text, NOW)) == ("-", "-", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (492, "8m12s"),
        (600, "10m"),
        (2519, "41m"),
        (7500, "2h5m"),
        (36000, "10h"),
        (86400, "1d"),
        (90000, "1d1h"),
        (1_123_456, "13d"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_relative_and_absolute() -> None:
    assert ago("2026-01-02T03:00:00Z", NOW) == "4m5s"
    assert ahead("2026-01-02T03:45:05Z", NOW) == "in 41m"
    assert ahead("2026-01-02T03:04:00Z", NOW) == "5s ago"
    assert clock("2026-01-02T02:13:41.7Z", NOW) == "02:13:41Z"
    assert clock("2026-01-01T02:13:41Z", NOW) == "2026-01-01T02:13:41Z", "another day has its date"
