"""What RFC 4861 §6.3, 4862 §5.5.3, 4191, 8106 and 7559 say of a host, from their text: advertisements as octets, one
thing wrong at a time, and routers that change their mind."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network

import attrs
import pytest

from routerd.protocols.machine import Dropped, Start
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.discovery import Attached, Discovery, Heard
from routerd.protocols.ndp.learned import Learned
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    ALL_ROUTERS,
    MoreSpecificRoute,
    NameServers,
    NdpPacket,
    NeighborAdvertisement,
    Preference,
    Prefix,
    RouterAdvertisement,
)
from tests.protocols.timeline import Timeline, gaps, of, only

OURS, ONE, TWO = (IPv6Address(f"fe80::{n}") for n in (99, 1, 2))
MAC, ROUTER_MAC = bytes.fromhex("02005e105399"), bytes.fromhex("02005e105301")
UP = LinkUp(OURS, MAC)
PREFIX, OTHER = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
WHOLE = RouterAdvertisement(
    lifetime=1800, hop_limit=64, link_address=ROUTER_MAC, mtu=1492, prefixes=(Prefix(PREFIX, 86400, 14400),)
)


def from_router(message: RouterAdvertisement = WHOLE, source: IPv6Address = ONE) -> NdpPacket:
    return NdpPacket(message, source, ALL_NODES)


def listening(*sources: IPv6Address) -> Timeline:
    line = Timeline(Discovery(random.Random(1)))
    line.feed(Start())
    line.feed(UP)
    line.run(2)
    for source in sources:
        line.feed(from_router(source=source))
    line.run(10)
    line.said.clear()
    return line


def learned(line: Timeline) -> Learned:
    known: Learned = line.machine.learned
    return known


# Octets, written down without the codec


def option(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-(len(body) + 2) % 8)
    return bytes((kind, (len(padded) + 2) // 8)) + padded


def advertisement(*options: bytes, flags: int = 0, lifetime: int = 1800, code: int = 0) -> bytes:
    return bytes((134, code, 0, 0, 64, flags)) + lifetime.to_bytes(2, "big") + bytes(8) + b"".join(options)


def prefix(text: str, length: int = 64, flags: int = 0xC0, valid: int = 100, preferred: int = 50) -> bytes:
    times = valid.to_bytes(4, "big") + preferred.to_bytes(4, "big")
    return option(3, bytes((length, flags)) + times + bytes(4) + IPv6Address(text).packed)


def route(text: str, length: int, flags: int = 0, octets: int = 16) -> bytes:
    return option(24, bytes((length, flags)) + (60).to_bytes(4, "big") + IPv6Address(text).packed[:octets])


def servers(*addresses: str, lifetime: int = 60, short: int = 0) -> bytes:
    packed = b"".join(IPv6Address(address).packed for address in addresses)
    return option(25, bytes(2) + lifetime.to_bytes(4, "big") + packed[: len(packed) - short])


def read(octets: bytes) -> RouterAdvertisement:
    message = wire.decode(octets)
    assert isinstance(message, RouterAdvertisement), message
    return message


@pytest.mark.parametrize(
    "octets",
    [
        advertisement(code=1),
        advertisement()[:15],
        advertisement(bytes((3, 0)) + bytes(6)),
        advertisement(bytes((3, 5)) + bytes(30)),
        advertisement(prefix("2001:db8::"), b"\0"),
        advertisement(prefix("2001:db8::"), bytes((99, 0)) + bytes(6)),
    ],
)
def test_all_of_it_is_discarded(octets: bytes) -> None:
    """§6.1.2, §4.6: an option of length zero discards the packet, wherever it stands."""
    assert isinstance(wire.decode(octets), Malformed)


@pytest.mark.parametrize(
    "octets",
    [
        prefix("fe80::"),
        prefix("2001:db8::", valid=50, preferred=51),
        prefix("2001:db8::", length=129),
        prefix("ff02::"),
        route("2001:db8::", 48, flags=0x10),
        route("2001:db8::", 65, octets=8),
        route("2001:db8::", 1, octets=0),
        route("2001:db8::", 129),
        servers("2001:db8::53", short=8),
        servers(),
        option(200, bytes(30)),
        option(5, bytes(2) + (1400).to_bytes(4, "big") + bytes(8)),
    ],
)
def test_that_option_alone_is_passed_over(octets: bytes) -> None:
    """RFC 4862 §5.5.3 b and c, RFC 4191 §2.3, RFC 8106 §5.3.1, RFC 4861 §4.2."""
    sound = prefix("2001:db8:1::")
    assert read(advertisement(octets, sound)) == read(advertisement(sound))
    assert read(advertisement(sound, octets)) == read(advertisement(sound))


def test_truncated_at_every_octet() -> None:
    """Whole options or nothing: §6.1.2 checks that every option is."""
    octets = advertisement(prefix("2001:db8:1::"), servers("2001:db8::53"), route("2001:db8:9::", 48))
    ends = {16, 16 + 32, 16 + 32 + 24, len(octets)}
    for cut in range(len(octets) + 1):
        assert isinstance(wire.decode(octets[:cut]), RouterAdvertisement) is (cut in ends), cut


def test_bits_beyond_the_length_and_reserved_bits_are_ignored() -> None:
    """§4.6.2."""
    [one] = read(advertisement(prefix("2001:db8:1::dead:beef", flags=0xFF))).prefixes
    assert one == Prefix(PREFIX, 100, 50)


@pytest.mark.parametrize(
    ("flags", "lifetime", "preference"),
    [
        (0x08, 1800, Preference.HIGH),
        (0x18, 1800, Preference.LOW),
        (0x10, 1800, Preference.MEDIUM),  # reserved: as if it were medium
        (0x08, 0, Preference.MEDIUM),  # no default router: ignored
    ],
)
def test_preference(flags: int, lifetime: int, preference: Preference) -> None:
    """RFC 4191 §2.2."""
    assert read(advertisement(flags=flags, lifetime=lifetime)).preference is preference


# §6.3.4: what is not said is not changed


def test_what_an_advertisement_does_not_say_stays() -> None:
    """A host MUST NOT take the unspecified for a default; a router may say a part each time (§6.2.3)."""
    line = listening(ONE)
    line.feed(from_router(RouterAdvertisement(lifetime=1800)))
    router = learned(line).routers[ONE]
    assert (router.mtu, router.hop_limit, router.link_address) == (1492, 64, ROUTER_MAC)
    assert PREFIX in learned(line).prefixes
    line.feed(from_router(attrs.evolve(WHOLE, mtu=1280, hop_limit=32, link_address=MAC)))
    router = learned(line).routers[ONE]
    assert (router.mtu, router.hop_limit, router.link_address) == (1280, 32, MAC)


def test_the_parts_of_one_advertisement_make_the_whole_whatever_their_order() -> None:
    parts = [
        RouterAdvertisement(lifetime=1800, mtu=1400),
        RouterAdvertisement(lifetime=1800, prefixes=(Prefix(PREFIX, 600, 300),)),
        RouterAdvertisement(lifetime=1800, prefixes=(Prefix(OTHER, 600, 300),)),
        RouterAdvertisement(lifetime=1800, name_servers=(NameServers((IPv6Address("2001:db8::53"),), 600),)),
        RouterAdvertisement(lifetime=1800, routes=(MoreSpecificRoute(IPv6Network("2001:db8:9::/48"), 600),)),
    ]
    results = []
    for seed in range(10):
        line = listening()
        for part in random.Random(seed).sample(parts, len(parts)) * 2:
            line.feed(from_router(part))
        known = learned(line)
        results.append((known.routers, dict(sorted(known.prefixes.items())), known.routes, known.name_servers))
    assert all(result == results[0] for result in results)
    assert set(results[0][1]) == {PREFIX, OTHER}
    assert results[0][0][ONE].mtu == 1400


@pytest.mark.parametrize("left", ["lifetime", "nothing"])
def test_no_default_router_says_what_it_says(left: str) -> None:
    """§4.2: a lifetime of zero is about being a default router alone."""
    line = listening(*([ONE] if left == "lifetime" else []))
    line.feed(from_router(attrs.evolve(WHOLE, lifetime=0, prefixes=(Prefix(OTHER, 600, 300),))))
    assert learned(line).default_routers(line.now) == ()
    assert OTHER in learned(line).prefixes
    assert (PREFIX in learned(line).prefixes) is (left == "lifetime"), "nor does it take anything back"


# §7.2.5: a router that is none


@pytest.mark.parametrize("solicited", [True, False])
def test_a_neighbour_that_says_to_be_no_router_is_no_default_router(solicited: bool) -> None:
    """§7.2.5: when the IsRouter flag changes to false, the router MUST leave the Default Router List."""
    line = listening(ONE, TWO)
    said = NeighborAdvertisement(ONE, router=False, solicited=solicited, override=True, link_address=ROUTER_MAC)
    known = only(Heard, line.feed(NdpPacket(said, ONE, OURS if solicited else ALL_NODES))).learned
    assert [router.address for router in known.default_routers(line.now)] == [TWO]
    assert PREFIX in known.prefixes
    line.feed(NdpPacket(attrs.evolve(said, target=TWO, link_address=None), TWO, OURS))
    assert learned(line).default_routers(line.now) == ()
    assert line.until(NdpPacket, within=1.1).target == ALL_ROUTERS, "others are asked for"


def test_somebody_else_with_another_card_does_not_say_that_of_it() -> None:
    """§7.2.5: without the override flag another link-layer address changes nothing."""
    line = listening(ONE)
    said = NeighborAdvertisement(ONE, router=False, override=False, link_address=MAC)
    assert [type(one) for one in line.feed(NdpPacket(said, ONE, ALL_NODES))] == [Dropped]
    assert ONE in learned(line).routers


def test_a_router_that_came_back_as_a_host_is_not_the_same_link() -> None:
    """RFC 6059 asks whether the *router* is still there."""
    line = listening(ONE)
    line.feed(LinkDown())
    line.feed(UP)
    said = NeighborAdvertisement(ONE, router=False, solicited=True, override=True, link_address=ROUTER_MAC)
    assert of(Attached, line.feed(NdpPacket(said, ONE, OURS))) == []
    assert learned(line).default_routers(line.now) == ()


# Rogues and floods


def test_a_flood_of_one_router_that_changes_its_mind() -> None:
    """Ten thousand advertisements: nothing is sent because of them, and nothing grows."""
    line = listening(ONE)
    for number in range(10_000):
        network = IPv6Network(f"2001:db8:{number % 65536:x}::/64")
        message = RouterAdvertisement(
            lifetime=number % 2 * 1800,
            managed=bool(number % 3),
            prefixes=(Prefix(network, number % 5 * 1000, 0),),
            routes=(MoreSpecificRoute(network, number % 2 * 60),),
        )
        line.feed(from_router(message))
        line.now += 0.001
    known = learned(line)
    assert len(known.prefixes) <= 32
    assert len(known.routes) <= 32
    assert len(line.all(NdpPacket)) <= 20
    line.said.clear()
    line.run(1e6)
    assert learned(line) == Learned()


def test_a_rogue_that_ends_everything_of_the_router() -> None:
    """Who speaks as the router, with zeros: the address stays its two hours (RFC 4862 §5.5.3 e) and comes back."""
    line = listening(ONE)
    zeros = RouterAdvertisement(lifetime=0, prefixes=(Prefix(PREFIX, 0, 0),))
    for _ in range(100):
        line.feed(from_router(zeros))
        line.run(10)
    end = learned(line).prefixes[PREFIX].valid_until
    assert end is not None
    assert end > line.now + 6000
    line.feed(from_router())
    assert learned(line).default_routers(line.now)
    assert learned(line).prefixes[PREFIX].preferred_until == line.now + 14400


def test_a_day_without_a_router_and_a_lifetime_without_end() -> None:
    line = listening()
    line.run(86400)
    times = line.times(NdpPacket)
    assert times, "RFC 7559: it is asked for ever"
    assert max(gaps(times)) <= 3960
    line.feed(from_router(attrs.evolve(WHOLE, lifetime=65535, prefixes=(Prefix(PREFIX, 0xFFFFFFFF, 0xFFFFFFFF),))))
    line.run(86400)
    assert learned(line).prefixes[PREFIX].preferred_until is None
    assert learned(line).default_routers(line.now) == ()


@pytest.mark.parametrize("asleep", [1.0, 1800.0, 14400.0, 86400.0, 1e7])
def test_a_sleep_past_the_ends(asleep: float) -> None:
    line = listening(ONE)
    line.sleep(asleep)
    known = learned(line)
    assert known == known.at(line.now)
    assert bool(known.default_routers(line.now)) is (asleep < 1700)
