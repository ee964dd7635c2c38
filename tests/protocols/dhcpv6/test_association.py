"""IA_NA and IA_PD with what is in them: RFC 9915 §21.4 to §21.22, RFC 6603."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv6 import association
from routerd.protocols.dhcpv6.association import (
    SUCCESS,
    Association,
    Grant,
    IdentityAssociation,
    Kind,
    Status,
)
from routerd.protocols.dhcpv6.message import Option
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv6.octets import address, associations, option, prefix, status, u32

NA, PD = Association(Kind.NA, 1), Association(Kind.PD, 1)


def na(*inside: bytes) -> IdentityAssociation:
    found = association.decode(Option(3, u32(1, 50, 80) + b"".join(inside)))
    assert isinstance(found, IdentityAssociation)
    return found


def pd(*inside: bytes) -> IdentityAssociation:
    found = association.decode(Option(25, u32(1, 50, 80) + b"".join(inside)))
    assert isinstance(found, IdentityAssociation)
    return found


@pytest.mark.req("C6")
@given(associations())
def test_what_is_written_is_read(value: IdentityAssociation) -> None:
    assert association.decode(association.encode(value)) == value


@pytest.mark.req("C6", "breaks")
@given(st.sampled_from([3, 25]), st.binary(max_size=200))
def test_any_octets_are_an_association_or_a_reason(code: int, octets: bytes) -> None:
    found = association.decode(Option(code, octets))
    if not isinstance(found, Malformed):
        assert association.decode(association.encode(found)) == found


@pytest.mark.req("V6-20")
def test_a_status_at_each_level() -> None:
    found = na(address("2001:db8::1", inside=status(3, b"inner")), status(2, b"outer"))
    assert found == IdentityAssociation(
        NA, 50, 80, (Grant(IPv6Address("2001:db8::1"), 100, 200, status=Status(3, "inner")),), Status(2, "outer")
    )
    assert found.status.word == "no-addrs-avail"
    assert not found.status.ok


@pytest.mark.req("V6-20", "breaks")
@pytest.mark.parametrize("torn", [b"", option(13), option(13, b"\1"), b"\0\x0d\0\x09\0\1x"])
def test_a_torn_status_is_none(torn: bytes) -> None:
    assert na(torn).status == SUCCESS


def test_a_status_that_nobody_knows_is_no_success() -> None:
    found = na(status(77)).status
    assert (found.ok, found.word) == (False, "status-77")


@pytest.mark.req("C13")
@pytest.mark.req("C13", "breaks")
def test_the_words_of_a_server_are_printable() -> None:
    text = na(status(1, b"\x1b[31mno\0\n\xff" + b"x" * 500)).status.text
    assert text.isprintable()
    assert text.startswith("\\x1b[31mno\\x00\\n\\xff")
    assert len(text) < 300


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize("length", range(12))
def test_an_association_shorter_than_its_head(length: int) -> None:
    assert association.decode(Option(3, bytes(length))) == Malformed("short-ia")
    assert association.decode(Option(25, bytes(length))) == Malformed("short-ia")


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize("length", range(25))
def test_a_short_address_or_prefix_is_dropped_alone(length: int) -> None:
    if length < 24:
        assert [g.asset for g in na(option(5, bytes(length)), address("2001:db8::1")).grants] == [
            IPv6Address("2001:db8::1")
        ]
    assert [g.asset for g in pd(option(26, bytes(length)), prefix("2001:db8::/48")).grants] == [
        IPv6Network("2001:db8::/48")
    ]


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize(("length", "kept"), [(0, False), (1, True), (128, True), (129, False), (255, False)])
def test_a_prefix_of_no_possible_length_is_dropped(length: int, kept: bool) -> None:
    assert bool(pd(option(26, u32(1, 2) + bytes((length,)) + bytes(16))).grants) is kept


@pytest.mark.req("V6-6")
def test_bits_beyond_the_prefix_mean_nothing() -> None:
    assert pd(prefix("2001:db8::dead:beef/48")).grants[0].asset == IPv6Network("2001:db8::/48")


def test_an_address_among_prefixes_means_nothing_and_the_first_of_two_counts() -> None:
    found = pd(address("2001:db8::1", inside=bytes(8)), prefix("2001:db8::/48", 1, 2), prefix("2001:db8::/48", 3, 4))
    assert found.grants == (Grant(IPv6Network("2001:db8::/48"), 1, 2),)
    found = na(prefix("2001:db8::/48"), option(13, bytes(40)), address("2001:db8::1", 1, 2))
    assert found.grants == (Grant(IPv6Address("2001:db8::1"), 1, 2),)


@pytest.mark.req("C17")
@pytest.mark.req("C17", "breaks")
def test_of_too_many_the_first_are_kept() -> None:
    found = pd(*(prefix(f"2001:db8:{n:x}::/48") for n in range(100)))
    assert len(found.grants) == association.MAX_GRANTS
    assert found.grants[0].asset == IPv6Network("2001:db8::/48")


@pytest.mark.parametrize(
    ("delegated", "octets", "excluded"),
    [
        ("2001:db8::/56", bytes((64, 0x42)), "2001:db8:0:42::/64"),
        ("2001:db8::/48", bytes((64, 0x12, 0x34)), "2001:db8:0:1234::/64"),
        ("2001:db8::/60", bytes((64, 0xF0)), "2001:db8:0:f::/64"),
        ("2001:db8::/60", bytes((64, 0xFF)), "2001:db8:0:f::/64"),
        ("2001:db8::/63", bytes((64, 0x80)), "2001:db8:0:1::/64"),
        ("2001:db8::/48", bytes((64, 0x12)), None),
        ("2001:db8::/56", bytes((64, 0x42, 0)), None),
        ("2001:db8::/56", bytes((56, 0x42)), None),
        ("2001:db8::/56", bytes((48, 0x42)), None),
        ("2001:db8::/56", bytes((128, *[0xFF] * 9)), "2001:db8:0:ff:ffff:ffff:ffff:ffff/128"),
        ("2001:db8::/56", bytes((129, 0x42)), None),
        ("2001:db8::/56", bytes((129, *[0xFF] * 10)), None),
        ("2001:db8::/56", bytes((64,)), None),
        ("2001:db8::/56", b"", None),
    ],
)
@pytest.mark.req("V6-25")
@pytest.mark.req("V6-25", "breaks")
def test_the_excluded_prefix(delegated: str, octets: bytes, excluded: str | None) -> None:
    (grant,) = pd(prefix(delegated, inside=status(0, b"fine") + option(67, octets))).grants
    assert grant.excluded == (None if excluded is None else IPv6Network(excluded))


@pytest.mark.parametrize("bad", ["2001:db8::/40", "2001:db8:ffff::/64"])
def test_what_cannot_be_excluded_is_our_own_fault(bad: str) -> None:
    grant = Grant(IPv6Network("2001:db8::/48"), excluded=IPv6Network(bad))
    with pytest.raises(ValueError, match="no part of"):
        association.encode(IdentityAssociation(PD, grants=(grant,)))
    with pytest.raises(ValueError, match="cannot be written"):
        association.encode(IdentityAssociation(PD, t1=2**32))
