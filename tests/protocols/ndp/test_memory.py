"""What a router has told its hosts, on disk: what is damaged is no memory, and time goes by while nobody runs."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp.memory import AdvertiserRecord, dump, load, revive
from routerd.protocols.ndp.told import Told
from routerd.protocols.sealed import MAX_SIZE

NOW_ONE, GONE = IPv6Network("2001:db8:40:1::/64"), IPv6Network("2001:db8:41:1::/64")
DNS = IPv6Address("2001:db8:53::53")
RECORD = AdvertiserRecord(
    Told({NOW_ONE: None, GONE: 1500.0}, {DNS: None}, {"home.example": 1500.0}), "eth1", "boot-1", 1000.0, 2e9
)


def told(gone: float) -> Told:
    """What is left of it, when what is gone lasts until then."""
    return Told({NOW_ONE: None, GONE: gone}, {DNS: None}, {"home.example": gone})


def test_what_was_told_comes_back() -> None:
    assert load(dump(RECORD)) == RECORD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" " * (MAX_SIZE + 1), "long"),
        (b"[" * 100_000, "garbage"),
        (b"\xff\xfe", "garbage"),
        (b'{"version": 1}', "other-version"),
        (dump(RECORD)[:-20], "garbage"),
        (dump(RECORD).replace(b"db8:41", b"db8:42"), "bad-checksum"),
    ],
)
def test_other_octets_are_no_memory(data: bytes, reason: str) -> None:
    assert load(data) == Malformed(reason)


def test_every_octet_counts() -> None:
    octets = dump(RECORD)
    for at in range(0, len(octets), 7):
        flipped = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        assert load(flipped) == RECORD or isinstance(load(flipped), Malformed)


def test_in_the_same_boot_instants_stay() -> None:
    assert revive(RECORD, boot_id="boot-1", now=1400.0, wall=0.0, build_date=1e9) == told(1500.0)


def test_after_another_boot_the_wall_clock_tells_the_time_that_went_by() -> None:
    assert revive(RECORD, boot_id="boot-2", now=20.0, wall=2e9 + 100, build_date=1e9) == told(420.0)


def test_a_wall_clock_that_was_never_set_tells_nothing() -> None:
    assert revive(RECORD, boot_id="boot-2", now=20.0, wall=5.0, build_date=1e9) == told(520.0)


def test_what_hosts_have_forgotten_is_forgotten() -> None:
    left = revive(RECORD, boot_id="boot-2", now=20.0, wall=2e9 + 600, build_date=1e9)
    assert left == Told({NOW_ONE: None}, {DNS: None})
