"""What an ACK grants, and what is left of it when the server makes mistakes."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.grant import DEFAULT_ROUTE, differences, read_grant
from routerd.protocols.dhcpv4.lease import Lease, LeaseRoute
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv4.octets import CLIENT, SERVER, Octets, ack
from tests.vectors import cases

SENT = 1000.0
NEXT_DOOR = IPv4Address("192.0.2.2")
ELSEWHERE = IPv4Address("198.51.100.1")


class Unshaken(random.Random):
    """Draws the middle of every interval."""

    def random(self) -> float:
        return 0.5


def read(message: Message, rng: random.Random | None = None, **limits: Any) -> Lease:
    lease = read_grant(message, sent_at=SENT, rng=rng or Unshaken(), **({"link_mtu": 1500} | limits))
    assert isinstance(lease, Lease)
    return lease


def refused(message: Message) -> str:
    lease = read_grant(message, sent_at=SENT, rng=Unshaken(), link_mtu=1500)
    assert isinstance(lease, Malformed)
    return lease.reason


def timed(lease: int | None, t1: int | None = None, t2: int | None = None) -> Message:
    """The sound ACK with these options 51, 58, 59; None: without."""
    given_times = {51: lease, 58: t1, 59: t2}
    options = {code: number.to_bytes(4, "big") for code, number in given_times.items() if number is not None}
    return ack(options, without=() if lease is not None else (51,))


def default_via(gateway: IPv4Address | None) -> LeaseRoute:
    return LeaseRoute(DEFAULT_ROUTE, gateway)


def on_link(destination: str) -> LeaseRoute:
    return LeaseRoute(IPv4Network(destination), None)


def test_a_plain_ack() -> None:
    message = ack({6: SERVER.packed + NEXT_DOOR.packed, 42: NEXT_DOOR.packed, 15: b"example.net", 12: b"gate"})
    assert read(message) == Lease(
        address=IPv4Interface("192.0.2.10/24"),
        server_id=SERVER,
        obtained_at=SENT,
        t1=SENT + 1800,
        t2=SENT + 3150,
        expires_at=SENT + 3600,
        routes=(default_via(SERVER),),
        gateway=SERVER,
        dns_servers=(SERVER, NEXT_DOOR),
        ntp_servers=(NEXT_DOOR,),
        domain="example.net",
        hostname="gate",
    )
    assert read(message).reply is message


# Times


@pytest.mark.req("V4-2")
@pytest.mark.parametrize("case", cases("dhcpv4/leases"))
def test_times_of_the_shared_leases(case: dict[str, Any]) -> None:
    lease = read(timed(case["lease"]))
    for name, at in (("t1", lease.t1), ("t2", lease.t2), ("expires", lease.expires_at)):
        assert at == (None if case[name] is None else SENT + case[name])


@pytest.mark.parametrize("case", cases("dhcpv4/t1-t2"))
def test_t1_and_t2_of_the_shared_vectors(case: dict[str, Any]) -> None:
    lease = read(timed(case["lease"], case["t1"], case["t2"]))
    expected = case["expect"]
    if expected["t1"] is None:
        assert (lease.t1, lease.t2, lease.expires_at, lease.duration) == (None, None, None, None)
    else:
        assert (lease.t1, lease.t2) == (SENT + expected["t1"], SENT + expected["t2"])
        given_but_unused = (case["t1"], case["t2"]) not in ((None, None), (expected["t1"], expected["t2"]))
        assert given_but_unused == ("options 58 and 59 are ignored: not 0 < T1 < T2 < lease time" in lease.notes)


@pytest.mark.req("V4-2", "breaks")
@pytest.mark.parametrize("case", cases("dhcpv4/leases") + cases("dhcpv4/t1-t2"))
def test_fuzz_keeps_the_times_in_order_and_is_not_constant(case: dict[str, Any]) -> None:
    expected = case.get("expect", case)
    if expected["t1"] is None:
        return
    message = timed(case["lease"], case["t1"], case["t2"]) if "expect" in case else timed(case["lease"])
    fuzz = expected["fuzz"]
    rng, seen = random.Random(7), []
    for _ in range(200):
        lease = read(message, rng)
        assert lease.t1 is not None
        assert lease.t2 is not None
        assert lease.expires_at == SENT + case["lease"]
        assert SENT < lease.t1 < lease.t2 < lease.expires_at
        seen += [lease.t1 - SENT - expected["t1"], lease.t2 - SENT - expected["t2"]]
    assert -fuzz <= min(seen) < -0.9 * fuzz
    assert 0.9 * fuzz < max(seen) <= fuzz


@pytest.mark.req("V4-5")
@pytest.mark.parametrize("duration", [1, 2, 3, 10, 19, 20, 59, 60])
def test_a_short_lease_is_as_short_as_granted(duration: int) -> None:
    assert read(timed(duration)).duration == duration


@pytest.mark.req("V4-5", "breaks")
@pytest.mark.parametrize(
    "message",
    [timed(None), timed(0), ack({51: b"\0\0\x0e"}), ack({51: bytes(8)}), ack({51: b""})],
    ids=["missing", "zero", "three octets", "two copies", "no octets"],
)
def test_no_lease_without_a_lease_time(message: Message) -> None:
    assert refused(message) == "no-lease-time"


# The address and the server


@pytest.mark.req("V4-29")
@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("192.0.2.1", "255.255.255.0"),
        ("192.0.2.254", "255.255.255.0"),
        ("10.0.0.0", "255.255.255.254"),
        ("10.0.0.1", "255.255.255.254"),
        ("10.0.0.0", "255.255.255.255"),
        ("10.0.0.255", "255.255.255.255"),
        ("10.0.0.255", "255.255.0.0"),
        ("1.0.0.1", "255.0.0.0"),
        ("223.255.255.254", "255.255.255.0"),
        ("169.254.3.4", "255.255.0.0"),
    ],
)
def test_an_address_that_may_be_ours(address: str, mask: str) -> None:
    message = ack({1: IPv4Address(mask).packed}, yiaddr=IPv4Address(address))
    assert read(message).address == IPv4Interface(f"{address}/{mask}")


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("0.0.0.0", "255.255.255.0"),
        ("0.1.2.3", "255.255.255.0"),
        ("127.0.0.1", "255.0.0.0"),
        ("127.255.255.254", "255.255.255.255"),
        ("224.0.0.1", "255.255.255.255"),
        ("239.255.255.255", "255.255.255.255"),
        ("240.0.0.1", "255.255.255.255"),
        ("255.255.255.255", "255.255.255.255"),
        ("192.0.2.0", "255.255.255.0"),
        ("192.0.2.255", "255.255.255.0"),
        ("192.0.2.4", "255.255.255.252"),
        ("192.0.2.7", "255.255.255.252"),
    ],
)
def test_an_address_that_cannot_be_ours(address: str, mask: str) -> None:
    assert refused(ack({1: IPv4Address(mask).packed}, yiaddr=IPv4Address(address))) == "bad-address"


@pytest.mark.req("V4-29")
@pytest.mark.parametrize("server", ["192.0.2.1", "198.51.100.1", "10.0.0.255", "1.1.1.1"])
def test_a_server_may_be_anywhere(server: str) -> None:
    assert read(ack({54: IPv4Address(server).packed})).server_id == IPv4Address(server)


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize("server", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3"])
def test_a_server_that_cannot_be(server: str) -> None:
    assert refused(ack({54: IPv4Address(server).packed})) == "bad-server-id"


@pytest.mark.req("V4-29", "breaks")
def test_no_lease_without_a_server() -> None:
    assert refused(ack(without=(54,))) == "no-server-id"


@pytest.mark.req("V4-19")
def test_the_mask_is_the_servers() -> None:
    assert read(ack({1: b"\xff\xff\xfc\0"})).address == IPv4Interface("192.0.2.10/22")


@pytest.mark.req("V4-19", "breaks")
@pytest.mark.parametrize(
    ("message", "note"),
    [
        (ack(without=(1,)), "there is no subnet mask"),
        (ack({1: b"\xff\0\xff\0"}), "option 1 is ignored: bad-mask"),
        (ack({1: bytes(4)}), "option 1 is ignored: bad-mask"),
        (ack({1: b"\xff\xff\xff"}), "option 1 is ignored: bad-length"),
    ],
)
def test_without_a_mask_the_address_stands_alone(message: Message, note: str) -> None:
    lease = read(message)
    assert lease.address == IPv4Interface("192.0.2.10/32")
    assert any(note in sentence for sentence in lease.notes)
    assert lease.routes == (on_link("192.0.2.1/32"), default_via(SERVER))


# Routes


CLASSLESS = bytes.fromhex("18 0a0102 c0000202  00 c0000202")
CLASSLESS_ROUTES = (LeaseRoute(IPv4Network("10.1.2.0/24"), NEXT_DOOR), default_via(NEXT_DOOR))
STATIC = bytes.fromhex("0a000000 c0000202")


@pytest.mark.req("V4-17")
def test_classless_routes_are_instead_of_router_and_static_routes() -> None:
    lease = read(ack({121: CLASSLESS, 33: STATIC}))
    assert (lease.routes, lease.gateway) == (CLASSLESS_ROUTES, NEXT_DOOR)


@pytest.mark.req("V4-17")
def test_microsofts_classless_routes_count_when_there_are_no_others() -> None:
    assert read(ack({249: CLASSLESS, 33: STATIC})).routes == CLASSLESS_ROUTES
    assert read(ack({249: bytes.fromhex("00 c0000203"), 121: CLASSLESS})).routes == CLASSLESS_ROUTES


@pytest.mark.req("V4-17")
def test_static_routes_and_router() -> None:
    lease = read(ack({33: STATIC}))
    assert lease.routes == (LeaseRoute(IPv4Network("10.0.0.0/8"), NEXT_DOOR), default_via(SERVER))
    assert lease.gateway == SERVER


@pytest.mark.req("V4-17")
def test_the_first_router_is_the_gateway() -> None:
    lease = read(ack({3: NEXT_DOOR.packed + SERVER.packed}))
    assert (lease.routes, lease.notes) == ((default_via(NEXT_DOOR),), ())


@pytest.mark.req("V4-17")
def test_an_on_link_default_route_has_no_gateway() -> None:
    lease = read(ack({121: bytes.fromhex("00 00000000")}))
    assert (lease.routes, lease.gateway) == ((default_via(None),), None)


@pytest.mark.req("V4-17", "breaks")
@pytest.mark.parametrize("code", [121, 249])
@pytest.mark.parametrize("void", ["", "21 0a000000 c0000201", "00 c0000202 18 0a"])
def test_void_classless_routes_give_way_to_router_and_static_routes(code: int, void: str) -> None:
    lease = read(ack({code: bytes.fromhex(void), 33: STATIC}))
    assert lease.routes == (LeaseRoute(IPv4Network("10.0.0.0/8"), NEXT_DOOR), default_via(SERVER))
    assert any(note.startswith(f"option {code} is ignored: ") for note in lease.notes)


@pytest.mark.req("V4-17", "breaks")
def test_void_classless_routes_do_not_give_way_to_microsofts() -> None:
    assert read(ack({121: b"\x21", 249: CLASSLESS})).routes == (default_via(SERVER),)


@pytest.mark.req("V4-17", "breaks")
def test_classless_routes_without_default_mean_no_default_and_say_so() -> None:
    lease = read(ack({121: bytes.fromhex("18 0a0102 c0000202")}))
    assert lease.routes == CLASSLESS_ROUTES[:1]
    assert lease.gateway is None
    assert "the classless routes have no default route, so there is none (RFC 3442)" in lease.notes


@pytest.mark.req("V4-18")
def test_a_gateway_outside_the_subnet_gets_its_own_route_first() -> None:
    lease = read(ack({3: ELSEWHERE.packed}))
    assert lease.routes == (on_link("198.51.100.1/32"), default_via(ELSEWHERE))
    assert lease.gateway == ELSEWHERE


@pytest.mark.req("V4-18")
def test_a_lone_address_reaches_its_gateway() -> None:
    lease = read(ack({1: b"\xff" * 4, 3: SERVER.packed}))
    assert lease.routes == (on_link("192.0.2.1/32"), default_via(SERVER))


@pytest.mark.req("V4-18")
def test_on_link_routes_come_before_those_that_need_them() -> None:
    classless = bytes.fromhex(
        "00 c6336401  18 c63364 00000000"
    )  # default via 198.51.100.1, which the second one reaches
    lease = read(ack({121: classless}))
    assert lease.routes == (on_link("198.51.100.0/24"), default_via(ELSEWHERE))


@pytest.mark.req("V4-18")
def test_one_way_to_a_gateway_is_enough() -> None:
    classless = bytes.fromhex("00 c6336401  08 0a c6336401  08 0b c0000202")
    lease = read(ack({121: classless}))
    assert lease.routes == (
        on_link("198.51.100.1/32"),
        default_via(ELSEWHERE),
        LeaseRoute(IPv4Network("10.0.0.0/8"), ELSEWHERE),
        LeaseRoute(IPv4Network("11.0.0.0/8"), NEXT_DOOR),
    )


@pytest.mark.req("V4-18", "breaks")
@pytest.mark.parametrize("router", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
def test_a_gateway_that_cannot_be(router: str) -> None:
    packed = IPv4Address(router).packed
    lease = read(ack({3: packed}))
    assert lease.routes == ()
    assert lease.notes == ("option 3 is ignored: it names no address that a router can have",)
    assert read(ack({3: packed + SERVER.packed})).gateway == SERVER
    if router != "0.0.0.0":
        lease = read(ack({121: b"\0" + packed + b"\x08\x0a" + NEXT_DOOR.packed}))
        assert lease.routes == (LeaseRoute(IPv4Network("10.0.0.0/8"), NEXT_DOOR),)
        assert "1 routes are ignored: their gateway can be no machine's address" in lease.notes


@pytest.mark.req("V4-18", "breaks")
def test_our_own_address_as_gateway_means_on_link() -> None:
    lease = read(ack({3: CLIENT.packed}))
    assert (lease.routes, lease.gateway) == ((default_via(None),), None)


def many_routes(count: int) -> bytes:
    return b"".join(bytes((24, 10, number >> 8, number & 255)) + SERVER.packed for number in range(count))


@pytest.mark.req("C17")
@pytest.mark.req("V4-35")
def test_sixty_four_routes_and_thirty_two_servers() -> None:
    servers = b"".join(bytes((10, 0, 1, number)) for number in range(32))
    lease = read(ack({121: many_routes(63) + b"\0" + SERVER.packed, 6: servers, 42: servers, 119: b"\1a\0" * 32}))
    counts = len(lease.routes), len(lease.dns_servers), len(lease.ntp_servers), len(lease.search)
    assert (counts, lease.notes) == ((64, 32, 32, 32), ())


@pytest.mark.req("C17", "breaks")
@pytest.mark.req("V4-35", "breaks")
def test_what_is_too_much_is_cut_and_said() -> None:
    servers = b"".join(bytes((10, 0, number >> 8, number & 255)) for number in range(1, 4001))
    names = b"".join(b"\4%04d\0" % number for number in range(1000))
    lease = read(ack({121: many_routes(7000), 6: servers, 42: servers, 119: names}))
    assert lease.routes == tuple(
        LeaseRoute(IPv4Network((0x0A000000 + (number << 8), 24)), SERVER) for number in range(64)
    )
    assert lease.dns_servers == lease.ntp_servers == tuple(IPv4Address(0x0A000000 + n) for n in range(1, 33))
    assert lease.search == tuple(f"{number:04d}" for number in range(32))
    assert set(lease.notes) == {
        "the classless routes have no default route, so there is none (RFC 3442)",
        "6936 routes are ignored: the first 64 to different destinations are kept",
        "option 6 names 4000 servers: the first 32 are kept",
        "option 42 names 4000 servers: the first 32 are kept",
        "option 119 is cut after 32 names",
    }


@pytest.mark.req("C17", "breaks")
def test_sixty_four_gateways_outside_the_subnet_cost_no_more_than_their_routes() -> None:
    strangers = b"".join(bytes((24, 10, 0, n, 198, 51, n, 1)) for n in range(200))
    assert len(read(ack({121: strangers})).routes) == 128


@pytest.mark.req("C17", "breaks")
def test_a_second_route_to_a_destination_is_left_out() -> None:
    lease = read(ack({121: bytes.fromhex("00 c0000202 00 c0000203")}))
    assert lease.routes == (default_via(NEXT_DOOR),)


# The rest


@pytest.mark.req("V4-16")
def test_a_server_named_twice_is_one_server() -> None:
    assert read(ack({6: SERVER.packed * 3})).dns_servers == (SERVER,)


def test_servers_that_cannot_be_are_left_out() -> None:
    lease = read(ack({6: bytes(4) + b"\xff" * 4 + b"\x7f\0\0\1" + SERVER.packed}))
    assert lease.dns_servers == (SERVER,)
    assert "option 6 names 3 addresses that no server can have" in lease.notes


@pytest.mark.req("C13")
def test_names() -> None:
    lease = read(ack({15: b"example.net\0", 12: b"gate.example.net.", 119: b"\3lab\7example\0\xc0\4"}))
    assert (lease.domain, lease.hostname, lease.search) == (
        "example.net",
        "gate.example.net",
        ("lab.example", "example"),
    )


@pytest.mark.req("C13", "breaks")
def test_hostile_names() -> None:
    lease = read(ack({15: b"a;reboot", 12: b"../../etc/passwd", 119: b"\1a\xc0\0"}))
    assert (lease.domain, lease.hostname, lease.search) == (None, None, ())
    assert lease.notes == (
        "option 15 is ignored: bad-name",
        "option 119 is ignored: long-name",
        "option 12 is ignored: bad-name",
    )


@pytest.mark.req("V4-20")
@pytest.mark.parametrize("mtu", [576, 1400, 1500])
def test_an_mtu_within_bounds(mtu: int) -> None:
    assert read(ack({26: mtu.to_bytes(2, "big")})).mtu == mtu


@pytest.mark.req("V4-20", "breaks")
@pytest.mark.parametrize("mtu", [0, 67, 68, 575, 1501, 9000, 65535])
def test_an_mtu_out_of_bounds(mtu: int) -> None:
    lease = read(ack({26: mtu.to_bytes(2, "big")}))
    assert lease.mtu is None
    assert lease.notes == (f"option 26 is ignored: {mtu} is not within 576..1500",)


@pytest.mark.req("V4-20")
def test_bounds_of_the_mtu_are_the_callers() -> None:
    assert read(ack({26: b"\0\x44"}), floor_mtu=68).mtu == 68
    assert read(ack({26: b"\x23\x28"}), link_mtu=9000).mtu == 9000
    assert read(ack({26: b"\xff\xff"}), link_mtu=None).mtu == 65535


@pytest.mark.req("V4-24")
@pytest.mark.parametrize("wait", [0, 299, 300, 1800, 0xFFFFFFFF])
def test_the_ipv6_only_wait_is_passed_on_as_it_came(wait: int) -> None:
    assert read(ack({108: wait.to_bytes(4, "big")})).v6_only_wait == wait


@pytest.mark.req("V4-24", "breaks")
@pytest.mark.parametrize("octets", [b"", b"\0\0\1", bytes(5)])
def test_an_ipv6_only_wait_of_another_length(octets: bytes) -> None:
    lease = read(ack({108: octets}))
    assert lease.v6_only_wait is None
    assert lease.notes == ("option 108 is ignored: bad-length",)


@pytest.mark.parametrize(
    ("mask", "broadcast", "kept"),
    [
        ("255.255.255.0", "192.0.2.255", True),
        ("255.255.255.0", "192.0.2.0", True),
        ("255.255.255.0", "255.255.255.255", False),
        ("255.255.255.0", "198.51.100.255", False),
        ("255.255.255.0", "192.0.2.10", False),
        ("255.255.255.0", "192.0.2.1", False),
        ("255.255.255.252", "192.0.2.11", True),
        ("255.255.255.254", "192.0.2.11", False),
        ("255.255.255.255", "192.0.2.10", False),
    ],
)
def test_the_broadcast_address_must_be_one(mask: str, broadcast: str, kept: bool) -> None:
    lease = read(ack({1: IPv4Address(mask).packed, 28: IPv4Address(broadcast).packed}))
    assert lease.broadcast == (IPv4Address(broadcast) if kept else None)
    assert bool(lease.notes) != kept


@pytest.mark.req("V4-37")
def test_the_bootp_fields_configure_nothing() -> None:
    octets = Octets(siaddr=SERVER.packed, giaddr=SERVER.packed, sname=b"tftp.example", file=b"/boot/kernel")
    booting, plain = wire.decode(bytes(octets)), wire.decode(bytes(Octets()))
    assert isinstance(booting, Message)
    assert isinstance(plain, Message)
    assert read(booting) == read(plain)


@pytest.mark.req("V4-37", "breaks")
def test_boot_servers_in_options_configure_nothing() -> None:
    assert read(ack({66: b"tftp.example", 67: b"/boot/kernel", 150: SERVER.packed})) == read(ack())


# Differences


@pytest.mark.req("C15")
@pytest.mark.req("V4-14")
def test_differences_are_those_of_the_configuration() -> None:
    lease = read(ack())
    later = attrs.evolve(lease, obtained_at=2000.0, t1=2100.0, t2=2200.0, expires_at=2300.0, notes=("a note",))
    assert differences(lease, attrs.evolve(later, server_id=NEXT_DOOR)) == ()
    assert differences(lease, read(ack({6: SERVER.packed, 1: b"\xff\xff\0\0"}))) == ("address", "dns_servers")


@pytest.mark.req("V4-14", "breaks")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({3: NEXT_DOOR.packed}, ("routes", "gateway")),
        ({6: NEXT_DOOR.packed}, ("dns_servers",)),
        ({42: NEXT_DOOR.packed}, ("ntp_servers",)),
        ({1: b"\xff\xff\0\0"}, ("address",)),
        ({26: b"\5\0"}, ("mtu",)),
        ({15: b"example.org"}, ("domain",)),
        ({119: b"\1a\0"}, ("search",)),
        ({12: b"other"}, ("hostname",)),
        ({28: b"\xc0\0\2\xff"}, ("broadcast",)),
        ({108: bytes(4)}, ("v6_only_wait",)),
        ({33: STATIC}, ("routes",)),
    ],
)
def test_every_change_has_its_name(options: dict[int, bytes], expected: tuple[str, ...]) -> None:
    assert differences(read(ack()), read(ack(options))) == expected


# Any options at all

CODES = [1, 3, 6, 12, 15, 26, 28, 33, 42, 51, 54, 58, 59, 108, 119, 121, 249]


@pytest.mark.req("C6", "breaks")
@given(
    st.dictionaries(st.sampled_from(CODES), st.binary(max_size=300)),
    st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
    st.integers(0, 2**32),
)
def test_any_options_are_a_lease_or_a_reason(options: dict[int, bytes], yiaddr: IPv4Address, seed: int) -> None:
    lease = read_grant(ack(options, yiaddr=yiaddr), sent_at=SENT, rng=random.Random(seed), link_mtu=1500)
    if isinstance(lease, Malformed):
        assert lease.reason in {"no-server-id", "bad-server-id", "no-lease-time", "bad-address"}
        return
    assert lease.address.ip == yiaddr
    if lease.t1 is not None and lease.t2 is not None and lease.expires_at is not None:
        assert SENT < lease.t1 < lease.t2 < lease.expires_at
    reached = [lease.address.network]
    for route in lease.routes:  # every gateway can be reached by what stands before it
        if route.gateway is None:
            reached.append(route.destination)
        else:
            assert any(route.gateway in network for network in reached)
    assert len(lease.routes) <= 128
    assert len(lease.dns_servers) <= 32
    assert all(note.isprintable() for note in lease.notes)
