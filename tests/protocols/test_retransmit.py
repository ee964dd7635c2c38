"""The schedules against vectors that any implementation can use, and the bucket that caps them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols import retransmit
from routerd.protocols.retransmit import BURST, TokenBucket

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "dhcpv4" / "schedule.json").read_text()
)


@pytest.mark.parametrize("vector", VECTORS["doubling"], ids=str)
def test_doubling(vector: dict[str, Any]) -> None:
    assert retransmit.doubling(vector["transmission"], vector["rand"]) == vector["wait"]


@pytest.mark.parametrize("vector", VECTORS["half_of_remaining"], ids=str)
def test_half_of_remaining(vector: dict[str, Any]) -> None:
    assert retransmit.half_of_remaining(vector["now"], vector["until"]) == vector["wait"]


@pytest.mark.parametrize("vector", VECTORS["after_nak"], ids=str)
def test_after_nak(vector: dict[str, Any]) -> None:
    assert retransmit.after_nak(vector["naks"], vector["rand"]) == pytest.approx(vector["wait"])


@pytest.mark.req("C9")
def test_ten_at_once_and_then_one_a_second() -> None:
    bucket, now, sent = TokenBucket(), 100.0, []
    while len(sent) < 20:
        now = max(now, bucket.ready_at())
        bucket = bucket.take(now)
        sent.append(now)
    assert sent == [100.0] * 10 + [100.0 + n for n in range(1, 11)]


@pytest.mark.req("C9", "breaks")
@given(st.lists(st.floats(0, 3), min_size=1, max_size=100), st.integers(0, 3))
def test_whatever_is_wanted_the_bucket_holds(waits: list[float], reserve: int) -> None:
    bucket, now, sent = TokenBucket(), 0.0, []
    for wait in waits:
        now += wait
        if bucket.ready_at(reserve) <= now:
            bucket = bucket.take(now)
            sent.append(now)
    for first, then in enumerate(sent):
        for count, later in enumerate(sent[first:], 1):
            assert count <= BURST - reserve + (later - then) + 1e-6
