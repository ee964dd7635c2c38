from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.events.topics import matches

SEGMENT = st.sampled_from(["", "a", "b", "ab", "*", "**", "a*"])
TOPIC = st.lists(SEGMENT, min_size=1, max_size=6).map(".".join)


def oracle(pattern: list[str], topic: list[str]) -> bool:
    """Contract §3.1 word by word."""
    if not pattern:
        return not topic
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return any(oracle(rest, topic[taken:]) for taken in range(len(topic) + 1))
    return bool(topic) and first in ("*", topic[0]) and oracle(rest, topic[1:])


@given(pattern=TOPIC, topic=TOPIC)
def test_globs_match_as_the_contract_says(pattern: str, topic: str) -> None:
    assert matches(pattern, topic) is oracle(pattern.split("."), topic.split("."))


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("routerd.dhcpv4.client.lease.bound", "routerd.dhcpv4.client.lease.bound", True),
        ("routerd.*.client.lease.bound", "routerd.dhcpv4.client.lease.bound", True),
        ("routerd.*.lease.bound", "routerd.dhcpv4.client.lease.bound", False),
        ("routerd.**", "routerd", True),
        ("**.failed", "routerd.dhcpv4.client.renew.failed", True),
        ("routerd.dhcp*.**", "routerd.dhcpv4.client.lease.bound", False),
        ("", "", True),
        ("", "a", False),
        ("**", "", True),
    ],
)
def test_examples(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


def test_no_pattern_takes_for_ever() -> None:
    """A matcher that tries every way out does not come back from this one."""
    assert not matches(".".join(["**", "a"] * 200), ".".join("a" * 2000) + ".b")
