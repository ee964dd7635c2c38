"""Neighbor Discovery as octets: what real routers send, one violation at a time, and any octets."""

from __future__ import annotations

import string
from ipaddress import IPv6Address, IPv6Network

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import (
    INFINITE,
    MoreSpecificRoute,
    NameServers,
    NdpMessage,
    NeighborAdvertisement,
    NeighborSolicitation,
    Preference,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
    SearchDomains,
)

MAC = bytes.fromhex("02005e105301")

# As radvd sends it: lifetime 1800, high preference, one prefix, a route, two servers, two domains, MTU, its address.
RADVD = bytes.fromhex(
    "86 00 beef 40 48 0708 00000000 00000000"
    "03 04 40 c0 00015180 00003840 00000000 20010db8004000000000000000000000"
    "18 02 38 18 00000708 20010db800500000"
    "19 05 0000 00000258 20010db8000000000000000000000053 20010db8000000000000000000000054"
    "1f 04 0000 00000258 03 6c616e 07 6578616d706c65 00 05 6c6f63616c 00 00000000"
    "05 01 0000 000005dc"
    "01 01 02005e105301"
)
ADVERTISEMENT = RouterAdvertisement(
    lifetime=1800,
    other=True,
    preference=Preference.HIGH,
    hop_limit=64,
    link_address=MAC,
    mtu=1500,
    prefixes=(Prefix(IPv6Network("2001:db8:40::/64"), valid=86400, preferred=14400),),
    routes=(MoreSpecificRoute(IPv6Network("2001:db8:50::/56"), 1800, Preference.LOW),),
    name_servers=(NameServers((IPv6Address("2001:db8::53"), IPv6Address("2001:db8::54")), 600),),
    search_domains=(SearchDomains(("lan.example", "local"), 600),),
)


def test_what_radvd_sends() -> None:
    assert wire.decode(RADVD) == ADVERTISEMENT


def test_what_we_send_is_read_the_same() -> None:
    assert wire.decode(wire.encode(ADVERTISEMENT)) == ADVERTISEMENT


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        ("85 00 0000 00000000", RouterSolicitation()),
        ("85 00 0000 00000000 01 01 02005e105301", RouterSolicitation(MAC)),
        (
            "87 00 0000 00000000 fe800000000000000000000000000001 01 01 02005e105301",
            NeighborSolicitation(IPv6Address("fe80::1"), MAC),
        ),
        (
            "88 00 0000 e0000000 fe800000000000000000000000000001 02 01 02005e105301",
            NeighborAdvertisement(IPv6Address("fe80::1"), True, True, True, MAC),
        ),
        ("86 00 0000 00 c0 0000 00000000 00000000", RouterAdvertisement(managed=True, other=True)),
    ],
)
def test_octets_of_each_message(octets: str, message: NdpMessage) -> None:
    assert wire.encode(message) == bytes.fromhex(octets)
    assert wire.decode(bytes.fromhex(octets)) == message


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "short"),
        ("8500", "short"),
        ("86 00 0000 40 00 0708 00000000", "short"),
        ("87 00 0000 00000000 fe80", "short"),
        ("80 00 0000 00000000", "other-type"),
        ("89 00 0000 00000000", "other-type"),
        ("85 01 0000 00000000", "bad-code"),
        ("85 00 0000 00000000 01 00 02005e105301", "bad-option-length"),
        ("85 00 0000 00000000 01 02 02005e105301", "bad-option-length"),
        ("85 00 0000 00000000 01", "bad-option-length"),
        ("87 00 0000 00000000 ff020000000000000000000000000001", "bad-target"),
        ("88 00 0000 00000000 ff020000000000000000000000000001", "bad-target"),
    ],
)
def test_one_violation_of_the_message(octets: str, reason: str) -> None:
    assert wire.decode(bytes.fromhex(octets)) == Malformed(reason)


@pytest.mark.parametrize(
    "option",
    [
        "03 04 81 c0 00015180 00003840 00000000 20010db8004000000000000000000000",  # 129 bits
        "03 04 40 c0 00003840 00015180 00000000 20010db8004000000000000000000000",  # preferred longer than valid
        "03 04 40 c0 00015180 00003840 00000000 fe800000000000000000000000000000",  # the link's own
        "03 04 40 c0 00015180 00003840 00000000 ff020000000000000000000000000000",  # multicast
        "03 03 40 c0 00015180 00003840 00000000 20010db800400000",  # too short for a prefix
        "18 02 38 10 00000708 20010db800500000",  # the reserved preference (RFC 4191 §2.3)
        "18 02 41 00 00000708 20010db800500000",  # 65 bits in 8 octets
        "18 03 81 00 00000708 20010db800500000 0000000000000000",
        "19 02 0000 00000258 20010db800000000",  # half an address
        "19 03 0000 00000258 ff020000000000000000000000000001",
        "19 01 0000 00000258",
        "1f 02 0000 00000258 3f 6c616e 00 000000",  # a label longer than the option
        "1f 02 0000 00000258 c0 0c 00 0000000000",  # compressed
        "1f 02 0000 00000258 03 6c0a6e 00 000000",  # a line feed
        "1f 02 0000 00000258 07 6578616d706c65",  # no end
        "1f 02 0000 00000258 0000000000000000",
        "05 02 0000 000005dc 0000000000000000",
        "01 02 02005e105301 0000000000000000",  # not Ethernet's
        "fd 01 000000000000",  # who knows
    ],
)
def test_one_broken_option_is_ignored_alone(option: str) -> None:
    sound = bytes.fromhex("19 03 0000 00000258 20010db8000000000000000000000053")
    head = bytes.fromhex("86 00 0000 40 00 0708 00000000 00000000")
    read = wire.decode(head + bytes.fromhex(option) + sound)
    assert read == wire.decode(head + sound)
    assert isinstance(read, RouterAdvertisement)
    assert read.name_servers == (NameServers((IPv6Address("2001:db8::53"),), 600),)


def test_bits_behind_the_prefix_are_ignored() -> None:
    at = 16 + 16
    dirty = RADVD[: at + 15] + b"\xff" + RADVD[at + 16 :]
    assert wire.decode(dirty) == ADVERTISEMENT


def test_the_reserved_preference_of_a_router_is_medium() -> None:
    octets = bytearray(RADVD)
    octets[5] = 0x50
    read = wire.decode(bytes(octets))
    assert isinstance(read, RouterAdvertisement)
    assert read.preference is Preference.MEDIUM


def test_who_is_no_default_router_has_no_preference() -> None:
    silent = attrs.evolve(ADVERTISEMENT, lifetime=0)
    assert wire.decode(wire.encode(silent)) == attrs.evolve(silent, preference=Preference.MEDIUM)


def test_truncated_at_every_octet() -> None:
    for length in range(len(RADVD)):
        read = wire.decode(RADVD[:length])
        whole = length >= 16 and isinstance(read, RouterAdvertisement)
        assert whole or read in (Malformed("short"), Malformed("bad-option-length"))


@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    for kind in (133, 134, 135, 136):
        read = wire.decode(bytes([kind, 0]) + octets)
        if not isinstance(read, Malformed):
            assert wire.decode(wire.encode(read)) == read


seconds = st.integers(0, INFINITE)
addresses = st.integers(1, 2**125 - 1).map(lambda n: IPv6Address(0x2000 << 112 | n >> 16))
networks = st.builds(lambda a, length: IPv6Network((a.packed, length), strict=False), addresses, st.integers(16, 128))
labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
prefixes = st.builds(
    lambda prefix, a, b, on_link, autonomous: Prefix(prefix, max(a, b), min(a, b), on_link, autonomous),
    *(networks, seconds, seconds, st.booleans(), st.booleans()),
)
advertisements = st.builds(
    RouterAdvertisement,
    lifetime=st.integers(1, 9000),
    managed=st.booleans(),
    other=st.booleans(),
    preference=st.sampled_from(Preference),
    hop_limit=st.integers(0, 255),
    reachable=seconds,
    retransmit=seconds,
    link_address=st.none() | st.binary(min_size=6, max_size=6),
    mtu=st.none() | st.integers(1280, 9000),
    prefixes=st.lists(prefixes, max_size=4).map(tuple),
    routes=st.lists(st.builds(MoreSpecificRoute, networks, seconds, st.sampled_from(Preference)), max_size=4).map(
        tuple
    ),
    name_servers=st.lists(
        st.builds(NameServers, st.lists(addresses, min_size=1, max_size=3).map(tuple), seconds), max_size=2
    ).map(tuple),
    search_domains=st.lists(
        st.builds(SearchDomains, st.lists(names, min_size=1, max_size=3).map(tuple), seconds), max_size=2
    ).map(tuple),
)


@given(advertisements)
def test_round_trip(message: RouterAdvertisement) -> None:
    assert wire.decode(wire.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        RouterSolicitation(b"\x02" * 8),
        RouterAdvertisement(search_domains=(SearchDomains(("a..b",), 1),)),
        RouterAdvertisement(search_domains=(SearchDomains((".".join(["a" * 60] * 5),), 1),)),
        RouterAdvertisement(name_servers=(NameServers((IPv6Address("2001:db8::1"),) * 128, 1),)),
    ],
)
def test_what_cannot_be_said(message: NdpMessage) -> None:
    with pytest.raises(ValueError, match=r"octets|domain name"):
        wire.encode(message)
