"""Option values: the RFCs' own examples, hostile ones, and any octets."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols import words
from routerd.protocols.dhcpv4 import values
from routerd.protocols.dhcpv4.lease import LeaseRoute
from routerd.protocols.dhcpv4.options import FIXED_LENGTH, Option
from routerd.protocols.malformed import Malformed
from routerd.sim import dhcpv4_server as server

ROUTER = IPv4Address("192.0.2.1")


def route(destination: str, gateway: IPv4Address | None = ROUTER) -> LeaseRoute:
    return LeaseRoute(IPv4Network(destination), gateway)


def test_fixed_lengths_are_of_known_options() -> None:
    assert set(FIXED_LENGTH) <= set(Option)


@pytest.mark.req("V4-4")
def test_numbers_have_no_sign() -> None:
    assert values.u16(b"\xff\xff") == 65535
    assert values.u32(b"\xff\xff\xff\xff") == values.INFINITE == 4294967295


@pytest.mark.req("C6", "breaks")
@pytest.mark.parametrize(
    ("decode", "octets"),
    [
        (values.u16, b""),
        (values.u16, b"\0"),
        (values.u16, b"\0\0\0"),
        (values.u32, b"\0\0\0"),
        (values.u32, bytes(5)),
        (values.address, b""),
        (values.address, bytes(8)),
        (values.addresses, b""),
        (values.addresses, bytes(3)),
        (values.addresses, bytes(5)),
        (values.prefix_length, bytes(3)),
        (values.static_routes, b""),
        (values.static_routes, bytes(4)),
        (values.static_routes, bytes(12)),
    ],
)
def test_a_value_of_another_length(decode: Callable[[bytes], object], octets: bytes) -> None:
    assert decode(octets) == Malformed("bad-length")


def test_addresses_in_their_order() -> None:
    assert values.addresses(bytes((9, 9, 9, 9, 1, 1, 1, 1))) == (IPv4Address("9.9.9.9"), IPv4Address("1.1.1.1"))
    assert values.address(bytes((9, 9, 9, 9))) == IPv4Address("9.9.9.9")


@pytest.mark.req("V4-19")
@pytest.mark.parametrize("length", range(1, 33))
def test_every_mask(length: int) -> None:
    assert values.prefix_length(IPv4Network((0, length)).netmask.packed) == length


@pytest.mark.req("V4-19", "breaks")
@pytest.mark.parametrize("mask", ["255.0.255.0", "255.255.255.253", "0.0.0.255", "127.255.255.255", "0.0.0.0"])
def test_what_is_no_mask(mask: str) -> None:
    assert values.prefix_length(IPv4Address(mask).packed) == Malformed("bad-mask")


@pytest.mark.req("V4-17")
@pytest.mark.parametrize(
    ("descriptor", "destination"),
    [  # the table of RFC 3442
        ("00", "0.0.0.0/0"),
        ("080a", "10.0.0.0/8"),
        ("180a0000", "10.0.0.0/24"),
        ("100a11", "10.17.0.0/16"),
        ("180a1b81", "10.27.129.0/24"),
        ("190a e5 00 80", "10.229.0.128/25"),
        ("200ac67a2f", "10.198.122.47/32"),
    ],
)
def test_destination_descriptors(descriptor: str, destination: str) -> None:
    octets = bytes.fromhex(descriptor) + ROUTER.packed
    assert values.classless_routes(octets) == (route(destination),)
    assert server.routes((destination, ROUTER)) == octets


@pytest.mark.req("V4-17")
def test_a_router_of_zero_means_on_link_and_bits_beyond_the_mask_are_cleared() -> None:
    octets = bytes.fromhex("16 c00203 00000000")
    assert values.classless_routes(octets) == (route("192.2.0.0/22", None),)


@pytest.mark.req("V4-17", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "empty"),
        ("21 0a000000 c0000201", "bad-width"),
        ("ff 0a000000 c0000201", "bad-width"),
        ("00", "truncated"),
        ("00 c00002", "truncated"),
        ("18 0a0000", "truncated"),
        ("00 c0000201 18 0a", "truncated"),
        ("00 c0000201 21 0a000000 c0000201", "bad-width"),
    ],
)
def test_one_bad_route_voids_the_list(octets: str, reason: str) -> None:
    assert values.classless_routes(bytes.fromhex(octets)) == Malformed(reason)


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("10.0.0.0", "10.0.0.0/8"),
        ("172.16.0.0", "172.16.0.0/16"),
        ("198.51.100.0", "198.51.100.0/24"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.0.0", "10.1.0.0/32"),
        ("127.0.0.0", "127.0.0.0/8"),
        ("128.0.0.0", "128.0.0.0/16"),
        ("191.255.0.0", "191.255.0.0/16"),
        ("192.0.0.0", "192.0.0.0/24"),
        ("223.255.255.0", "223.255.255.0/24"),
        ("224.0.0.0", "224.0.0.0/32"),
    ],
)
def test_a_static_route_goes_to_a_class_or_to_a_host(destination: str, expected: str) -> None:
    assert values.static_routes(IPv4Address(destination).packed + ROUTER.packed) == (route(expected),)


@pytest.mark.req("V4-17", "breaks")
def test_a_static_route_is_no_default_route() -> None:
    assert values.static_routes(bytes(4) + ROUTER.packed) == ()  # RFC 2132 §5.8


@pytest.mark.req("C13")
@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"address in use", "address in use"),
        (b"with NULs\0\0", "with NULs"),
        ("größer".encode(), "größer"),
        (b"", ""),
        (b"x" * 255, "x" * 255),
    ],
)
def test_text_of_a_decent_server(octets: bytes, text: str) -> None:
    assert words.text(octets) == text


@pytest.mark.req("C13", "breaks")
@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1b[2J", "\\x1b[2J"),
        (b"two\r\nlines", "two\\r\\nlines"),
        (b"a\0b", "a\\x00b"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\x7f", "\\x7f"),
        ("\u202eright to left".encode(), "\\u202eright to left"),
        ("\u2028".encode(), "\\u2028"),
        (b"x" * 300, "x" * 255),
        (b"x" * 254 + "ß".encode(), "x" * 254 + "\\xc3"),
    ],
)
def test_text_of_a_hostile_server(octets: bytes, text: str) -> None:
    assert words.text(octets) == text


@pytest.mark.req("C13")
@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"example.net", "example.net"),
        (b"example.net.", "example.net"),
        (b"example.net\0", "example.net"),
        (b"Gate-1", "Gate-1"),
        (b"_srv.a_b.example", "_srv.a_b.example"),
        (b"x" * 63, "x" * 63),
        (b".".join([b"x" * 49] * 5 + [b"abc"]), ".".join(["x" * 49] * 5 + ["abc"])),
    ],
)
def test_a_domain_name(octets: bytes, name: str) -> None:
    assert values.domain_name(octets) == name


@pytest.mark.req("C13", "breaks")
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b".",
        b"\0",
        b"a..b",
        b".a",
        b"a..",
        b"a b",
        b"a\0b",
        b"a;reboot",
        b"$(reboot)",
        b"../../etc",
        b"-rf",
        b"a-",
        "größer".encode(),
        b"a\n",
        b"x" * 64,
        b".".join([b"x" * 49] * 5 + [b"abcd"]),
    ],
)
def test_what_is_no_domain_name(octets: bytes) -> None:
    assert values.domain_name(octets) == Malformed("bad-name")


@pytest.mark.req("C13")
def test_a_search_list() -> None:
    octets = bytes.fromhex("03656e67056170706c6503636f6d00096d61726b6574696e67c004")  # RFC 3397 §2
    assert words.domain_names(octets, 32) == ("eng.apple.com", "marketing.apple.com")
    assert words.domain_names(octets, 1) == ("eng.apple.com",)
    assert words.domain_names(octets + b"\xc0\0\xc0\x0f", 32) == (
        "eng.apple.com",
        "marketing.apple.com",
        "eng.apple.com",
        "marketing.apple.com",
    )


@pytest.mark.req("C13")
def test_the_longest_name_of_a_search_list() -> None:
    octets = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0"
    assert len(octets) == 255
    assert words.domain_names(octets, 1) == (".".join(["a" * 63] * 3 + ["a" * 61]),)


@pytest.mark.req("C13", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "empty"),
        (b"\0", "bad-name"),
        (b"\1a", "truncated"),
        (b"\5abc", "truncated"),
        (b"\1a\0\1", "truncated"),
        (b"\1a\xc0", "bad-pointer"),
        ((b"\x2f" + b"a" * 47) * 4 + b"\3bbb\0" + b"\1c\xc0", "bad-pointer"),
        (b"\xc0\0", "bad-pointer"),
        (b"\1a\xc0\2", "bad-pointer"),
        (b"\1a\xc0\4\1b\0", "bad-pointer"),
        (b"\1a\0\xc0\0\xc0\3", "bad-pointer"),
        (b"\1a\xc0\0", "long-name"),
        (b"\1a\1b\xc0\2", "long-name"),
        (b"\x40" + b"a" * 64 + b"\0", "long-name"),
        (b"\xbf" + b"a" * 191 + b"\0", "long-name"),
        ((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0", "long-name"),
        (b"\3a.b\0", "bad-name"),
        (b"\3a\0b\0", "bad-name"),
        (b"\1a\0\0", "bad-name"),
    ],
)
def test_a_hostile_search_list(octets: bytes, reason: str) -> None:
    assert words.domain_names(octets, 32) == Malformed(reason)


label = st.text("abyzABYZ09_", min_size=1, max_size=20) | st.just("with-hyphen")
name = st.lists(label, min_size=1, max_size=10).map(".".join)
address = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
classless = st.builds(
    lambda number, width, gateway: LeaseRoute(IPv4Network((number, width), strict=False), gateway),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
    st.none() | st.integers(1, 2**32 - 1).map(IPv4Address),
)


@pytest.mark.req("C6")
@given(st.lists(name, min_size=1, max_size=8), st.lists(classless, min_size=1), st.lists(address, min_size=1))
def test_what_a_server_encoded_decodes_to_itself(
    names: list[str], routes: list[LeaseRoute], addresses: list[IPv4Address]
) -> None:
    told = [(route.destination, route.gateway or "0.0.0.0") for route in routes]
    assert words.domain_names(server.names(*names), 32) == tuple(names)
    assert values.classless_routes(server.routes(*told)) == tuple(routes)
    assert values.addresses(server.addresses(*addresses)) == tuple(addresses)


@pytest.mark.req("C6")
@given(st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_numbers_decode_to_themselves(small: int, large: int) -> None:
    assert values.u16(values.encode_u16(small)) == small
    assert values.u32(large.to_bytes(4, "big")) == large


@pytest.mark.req("C6", "breaks")
@given(st.binary(max_size=300) | st.text("\1\2ab\xc0\0\3", max_size=60).map(lambda text: text.encode("latin-1")))
def test_any_octets_are_a_value_or_a_reason(octets: bytes) -> None:
    for decode in (values.u16, values.u32, values.address, values.addresses, values.prefix_length):
        decode(octets)
    values.static_routes(octets)
    routes = values.classless_routes(octets)
    assert isinstance(routes, Malformed) or len(routes) <= len(octets) // 5
    names = words.domain_names(octets, 32)
    assert isinstance(names, Malformed) or all(values.domain_name(name.encode()) == name for name in names)
    text = words.text(octets)
    assert text.isprintable()
