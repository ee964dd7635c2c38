"""A host that looks for routers, as a timeline (RFC 4861 §6.3, RFC 7559, RFC 6059, RFC 4862 §5.5.3)."""

from __future__ import annotations

import itertools
import random
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.protocols.machine import Dropped, Start, Stop
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
    NeighborSolicitation,
    Preference,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
    SearchDomains,
)
from tests.protocols.timeline import Timeline, gaps, of, only

OURS, ONE, TWO = (IPv6Address(f"fe80::{n}") for n in (99, 1, 2))
MAC, ROUTER_MAC = bytes.fromhex("02005e105399"), bytes.fromhex("02005e105301")
UP = LinkUp(OURS, MAC)
PREFIX = IPv6Network("2001:db8:1::/64")
TOLD = RouterAdvertisement(
    lifetime=1800,
    link_address=ROUTER_MAC,
    mtu=1492,
    prefixes=(Prefix(PREFIX, 86400, 14400),),
    name_servers=(NameServers((IPv6Address("2001:db8::53"),), 600),),
    search_domains=(SearchDomains(("example",), 600),),
)


def advertised(message: RouterAdvertisement = TOLD, source: IPv6Address = ONE) -> NdpPacket:
    return NdpPacket(message, source, ALL_NODES)


def answer(router: IPv6Address = ONE, link_address: bytes | None = ROUTER_MAC) -> NdpPacket:
    return NdpPacket(NeighborAdvertisement(router, True, True, False, link_address), router, OURS)


class Link(Timeline):
    """With routers on it that answer whoever asks them alone, as long as they are `awake`."""

    def __init__(self, machine: Discovery) -> None:
        super().__init__(machine)
        self.awake: set[IPv6Address] = set()

    def feed(self, event: object) -> list[Any]:
        outputs = super().feed(event)
        asked = [one.message.target for one in of(NdpPacket, outputs) if isinstance(one.message, NeighborSolicitation)]
        for router in asked:
            if router in self.awake:
                super().feed(answer(router))
        return outputs

    def solicited(self) -> list[float]:
        """When it asked for routers."""
        return self.times(NdpPacket, where=lambda packet: packet.target == ALL_ROUTERS)


def started(seed: int = 1) -> Link:
    line = Link(Discovery(random.Random(seed)))
    line.feed(Start())
    line.feed(UP)
    return line


def listening(*sources: IPv6Address) -> Link:
    """It knows these routers."""
    line = started()
    line.run(2)
    for source in sources:
        line.feed(advertised(source=source))
    line.run(10)
    line.said.clear()
    return line


def learned(line: Timeline) -> Learned:
    known: Learned = line.machine.learned
    return known


# Asking


def test_it_asks_within_a_second_and_then_less_and_less_often() -> None:
    """RFC 7559: for ever, at last once an hour."""
    line = started()
    line.run(86400)
    times = line.times(NdpPacket)
    assert 1000 <= times[0] <= 1001
    waits = gaps(times)
    assert 3.6 <= waits[0] <= 4.4
    assert all(1.9 * a <= b <= 2.1 * a for a, b in itertools.pairwise(waits[:9]))
    assert all(3240 <= wait <= 3960 for wait in waits[12:])
    assert {one.target for one in line.all(NdpPacket)} == {ALL_ROUTERS}
    assert line.all(NdpPacket)[0] == NdpPacket(RouterSolicitation(MAC), OURS, ALL_ROUTERS)


def test_a_default_router_ends_the_asking() -> None:
    line = started()
    line.run(10)
    line.feed(advertised())
    line.awake = {ONE}
    line.said.clear()
    line.run(1799)
    assert line.solicited() == []


def test_a_router_that_is_no_default_router_does_not() -> None:
    line = started()
    line.run(1)
    line.feed(advertised(attrs.evolve(TOLD, lifetime=0)))
    assert line.until(NdpPacket, within=60).target == ALL_ROUTERS
    assert PREFIX in learned(line).prefixes, "but what it says of the link holds"


def test_when_the_last_default_router_is_over_it_asks_anew() -> None:
    line = listening(ONE)
    line.awake = {ONE}
    line.run(1800)
    assert 1002 + 1800 <= line.solicited()[0] < 1002 + 1801


def test_a_router_that_says_goodbye_is_asked_after_at_once() -> None:
    line = listening(ONE)
    line.feed(advertised(attrs.evolve(TOLD, lifetime=0)))
    assert learned(line).default_routers(line.now) == ()
    assert line.until(NdpPacket, within=1).target == ALL_ROUTERS


# Whether they answer


def in_use(line: Link) -> IPv6Address:
    return learned(line).default_routers(line.now)[0].address


def test_the_router_in_use_is_asked_now_and_then() -> None:
    line = listening(ONE, TWO)
    line.awake = {ONE, TWO}
    line.run(1700)
    asked = line.times(NdpPacket)
    assert {(one.target, one.source) for one in line.all(NdpPacket)} == {(ONE, OURS)}
    assert all(15 <= gap <= 45 for gap in gaps(asked))
    assert len(set(gaps(asked))) > 10, "random, not in step with all others"


def test_another_router_takes_the_place_of_one_that_does_not_answer() -> None:
    """RFC 4861 §6.3.6: reachable ones are preferred, whatever they prefer themselves."""
    line = listening(TWO)
    line.feed(advertised(attrs.evolve(TOLD, preference=Preference.HIGH), ONE))
    line.awake = {TWO}
    began = line.now
    line.run(60)
    (known,) = [said for said in line.said if isinstance(said.output, Heard) and said.at > began]
    assert known.at - began <= 45 + 3, "at most three questions in vain"
    assert (in_use(line), learned(line).routers[ONE].reachable) == (TWO, False)
    assert line.solicited() == [], "there is one"


def test_one_that_answers_again_is_used_again() -> None:
    line = listening(TWO)
    line.feed(advertised(attrs.evolve(TOLD, preference=Preference.HIGH), ONE))
    line.awake = {TWO}
    line.run(600)
    assert in_use(line) == TWO
    line.awake = {ONE, TWO}
    line.run(60)
    assert in_use(line) == ONE


def test_both_are_silent() -> None:
    """Then it does not matter which; somebody else is looked for, and hearing them is not being heard."""
    line = listening(ONE, TWO)
    line.run(100)
    assert not any(one.reachable for one in learned(line).routers.values())
    assert len(line.solicited()) >= 2
    line.feed(advertised())
    assert learned(line).routers[ONE].reachable is False
    line.awake = {TWO}
    line.run(60)
    assert in_use(line) == TWO
    asked = len(line.solicited())
    line.run(600)
    assert len(line.solicited()) == asked


def test_the_only_router_stays_the_default_router_though_it_is_silent() -> None:
    line = listening(ONE)
    line.run(600)
    assert in_use(line) == ONE


def test_a_card_of_the_router_that_was_replaced_is_no_other_router() -> None:
    line = listening(ONE)
    line.until(NdpPacket)
    assert line.feed(answer(link_address=MAC)) == []
    assert learned(line).routers[ONE].reachable


def test_a_router_says_that_it_is_a_host_now() -> None:
    """RFC 4861 §7.2.5; what it said of the link holds."""
    line = listening(ONE)
    line.feed(NdpPacket(NeighborAdvertisement(ONE, router=False, override=True), ONE, ALL_NODES))
    assert (learned(line).default_routers(line.now), set(learned(line).prefixes)) == ((), {PREFIX})
    assert learned(line).routers[ONE].mtu == 1492
    again = NdpPacket(NeighborAdvertisement(ONE, router=False, override=True), ONE, ALL_NODES)
    assert line.feed(again) == [Dropped("irrelevant", again)]
    line.run(1)
    assert len(line.solicited()) == 1


def test_what_is_no_default_router_says_of_the_link_holds() -> None:
    """RFC 4861 §4.2: its lifetime is about its being a default router alone. What it says of the link has no end of its
    own, and goes when it was not said for as long as a router may be silent."""
    line = listening(ONE)
    line.feed(advertised(RouterAdvertisement(lifetime=0, managed=True, other=True, hop_limit=64)))
    assert learned(line).default_routers(line.now) == ()
    line.run(8999)
    router = learned(line).routers[ONE]
    assert (router.managed, router.other, router.hop_limit, router.mtu) == (True, True, 64, 1492)
    line.run(2)
    assert ONE not in learned(line).routers


def test_a_router_that_is_no_default_router_tells_the_link_too() -> None:
    line = listening(ONE)
    line.feed(advertised(attrs.evolve(TOLD, lifetime=0)))
    line.feed(LinkDown())
    line.feed(UP)
    line.feed(advertised(attrs.evolve(TOLD, lifetime=0)))
    assert line.all(Attached) == [Attached(True)]


def test_what_an_advertisement_does_not_say_stays_as_it_was() -> None:
    """RFC 4861 §6.3.4: a router may say part of it each time."""
    line = listening(ONE)
    line.feed(advertised(RouterAdvertisement(lifetime=1800)))
    assert (learned(line).routers[ONE].mtu, learned(line).routers[ONE].link_address) == (1492, ROUTER_MAC)


def test_without_a_link_nobody_is_asked() -> None:
    line = listening(ONE)
    line.feed(LinkDown())
    line.run(600)
    assert line.all(NdpPacket) == []


# Learning


def test_what_an_advertisement_says() -> None:
    line = started()
    line.run(2)
    now = line.now
    heard = only(Heard, line.feed(advertised())).learned
    assert heard == learned(line)
    [router] = heard.default_routers(now)
    assert (router.address, router.until, router.mtu, router.link_address) == (ONE, now + 1800, 1492, ROUTER_MAC)
    prefix = heard.prefixes[PREFIX]
    assert (prefix.on_link_until, prefix.valid_until, prefix.preferred_until) == (now + 86400, now + 86400, now + 14400)
    assert heard.name_servers == {IPv6Address("2001:db8::53"): now + 600}
    assert heard.search_domains == {"example": now + 600}


def test_everything_ends_in_time() -> None:
    line = listening(ONE)
    line.run(1e6)
    assert learned(line) == Learned()


def test_infinite_lifetimes() -> None:
    line = started()
    line.run(2)
    line.feed(advertised(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 0xFFFFFFFF, 0xFFFFFFFF),))))
    line.run(1e7)
    assert learned(line).prefixes[PREFIX].valid_until is None


def test_the_preferred_router_comes_first() -> None:
    line = listening(ONE, TWO)
    line.feed(advertised(attrs.evolve(TOLD, preference=Preference.HIGH), TWO))
    assert [router.address for router in learned(line).default_routers(line.now)] == [TWO, ONE]


def test_routes_of_one_router() -> None:
    line = listening(ONE)
    route = MoreSpecificRoute(IPv6Network("2001:db8:99::/48"), 60, Preference.HIGH)
    line.feed(advertised(attrs.evolve(TOLD, routes=(route,))))
    assert (route.prefix, ONE) in learned(line).routes
    line.run(61)
    assert learned(line).routes == {}


@pytest.mark.parametrize("mtu", [0, 1279])
def test_an_mtu_under_that_of_ipv6_is_none(mtu: int) -> None:
    line = listening(ONE)
    for router in (ONE, TWO):
        line.feed(advertised(attrs.evolve(TOLD, mtu=mtu), router))
    assert learned(line).routers[TWO].mtu is None
    assert learned(line).routers[ONE].mtu == TOLD.mtu, "it is passed over (RFC 4861 §6.3.4)"


@pytest.mark.parametrize(
    ("left", "told", "after"),
    [
        (86400, 100_000, 100_000),  # longer than what is left
        (86400, 7201, 7201),  # more than two hours
        (86400, 60, 7200),  # less: two hours remain
        (86400, 0, 7200),
        (3600, 60, 3600),  # less than two hours remained: nothing changes
        (3600, 0, 3600),
        (3600, 5000, 5000),
    ],
)
def test_nobody_can_end_an_address_within_two_hours(left: int, told: int, after: int) -> None:
    line = started()
    line.run(2)
    for valid in (left, told):
        line.feed(advertised(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, valid, 0),))))
    prefix = learned(line).prefixes[PREFIX]
    assert (prefix.valid_until, prefix.on_link_until) == (line.now + after, line.now + told)
    assert prefix.preferred_until == line.now, "but it is deprecated at once"


def test_a_prefix_not_for_addresses_leaves_the_address_alone() -> None:
    line = listening(ONE)
    before = learned(line).prefixes[PREFIX]
    line.feed(advertised(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 0, 0, autonomous=False),))))
    after = learned(line).prefixes[PREFIX]
    assert (after.valid_until, after.preferred_until) == (before.valid_until, before.preferred_until)
    line.feed(advertised(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 60, 60, on_link=False),))))
    assert learned(line).prefixes[PREFIX].on_link_until == after.on_link_until


# Attachment


def test_the_same_link_again() -> None:
    """The router answers a question that went to it alone; nothing is forgotten meanwhile."""
    line = listening(ONE)
    before = learned(line).prefixes
    line.feed(LinkDown())
    line.run(5)
    assert line.feed(UP) == [NdpPacket(NeighborSolicitation(ONE, MAC), OURS, ONE)]
    assert line.feed(answer()) == [Attached(True)]
    assert learned(line).prefixes == before
    line.run(14)
    assert line.all(NdpPacket) == [NdpPacket(NeighborSolicitation(ONE, MAC), OURS, ONE)]


def test_another_link() -> None:
    line = listening(ONE)
    line.feed(LinkDown())
    line.feed(UP)
    other = attrs.evolve(TOLD, prefixes=(Prefix(IPv6Network("2001:db8:2::/64"), 3600, 1800),))
    assert of(Attached, line.feed(advertised(other, TWO))) == [], "the router that was known may still answer"
    line.run(3)
    assert line.all(Attached) == [Attached(False)]
    assert set(learned(line).routers) == {TWO}
    assert set(learned(line).prefixes) == {IPv6Network("2001:db8:2::/64")}


def test_another_link_whose_router_is_late() -> None:
    line = listening(ONE)
    line.feed(LinkDown())
    line.feed(UP)
    line.run(30)
    assert set(learned(line).routers) == {ONE}, "nobody was heard: nothing is known"
    outputs = line.feed(advertised(source=TWO))
    assert of(Attached, outputs) == [Attached(False)]
    assert set(learned(line).routers) == {TWO}


def test_another_router_with_the_address_of_the_one_that_was_known() -> None:
    line = listening(ONE)
    line.feed(LinkDown())
    line.feed(UP)
    stranger = answer(link_address=b"\x02" * 6)
    assert line.feed(stranger) == [Dropped("other-link-address", stranger)]


def test_a_flapping_link_is_not_asked_as_often() -> None:
    line = listening(ONE, TWO)
    for _ in range(1000):
        line.feed(LinkDown())
        line.feed(UP)
        line.run(0.01)
    assert len(line.all(NdpPacket)) <= 30


# Bad input


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (attrs.evolve(advertised(), hop_limit=254), "bad-hop-limit"),
        (advertised(source=IPv6Address("2001:db8::1")), "bad-source"),
        (NdpPacket(RouterSolicitation(), TWO, ALL_ROUTERS), "irrelevant"),
        (answer(), "not-asked"),
        (answer(TWO), "not-asked"),
        (NdpPacket(NeighborAdvertisement(ONE, True, solicited=False), ONE, ALL_NODES), "irrelevant"),
    ],
)
def test_what_is_dropped(packet: NdpPacket, reason: str) -> None:
    line = listening(ONE)
    before = learned(line)
    assert line.feed(packet) == [Dropped(reason, packet)]
    assert learned(line) == before


def test_nothing_is_heard_without_a_link() -> None:
    line = listening(ONE)
    line.feed(LinkDown())
    assert line.feed(advertised()) == [Dropped("not-listening", advertised())]
    assert line.machine.handle(Stop(), line.now) == []


STRANGERS = tuple(IPv6Address(f"fe80::1:{number:x}") for number in range(16))


def crowded(preference: Preference = Preference.MEDIUM, lifetime: int = 1800) -> Link:
    """Where sixteen routers that are none came first."""
    line = started()
    line.run(2)
    for stranger in STRANGERS:
        line.feed(advertised(RouterAdvertisement(lifetime=lifetime, preference=preference), stranger))
    return line


@pytest.mark.parametrize(
    ("line", "preference"),
    [
        (crowded(Preference.LOW), Preference.MEDIUM),
        (crowded(Preference.MEDIUM), Preference.HIGH),
        (crowded(Preference.HIGH, lifetime=0), Preference.LOW),
    ],
)
def test_who_is_preferred_finds_room_among_many(line: Link, preference: Preference) -> None:
    line.feed(advertised(attrs.evolve(TOLD, preference=preference)))
    assert in_use(line) == ONE
    assert len(learned(line).routers) == 16


def test_who_does_not_answer_gives_way() -> None:
    line = crowded()
    assert only(Dropped, line.feed(advertised())).reason == "too-many-routers"
    line.run(60)
    line.awake = {ONE}
    line.feed(advertised())
    assert in_use(line) == ONE
    assert len(learned(line).routers) == 16


def test_who_is_no_default_router_takes_nobodys_place() -> None:
    line = crowded(Preference.LOW)
    high = attrs.evolve(TOLD, lifetime=0, preference=Preference.HIGH)
    assert only(Dropped, line.feed(advertised(high))).reason == "too-many-routers"


def test_who_was_known_on_the_link_from_before_gives_way_to_who_is_heard_on_this_one() -> None:
    line = crowded(Preference.HIGH)
    line.feed(LinkDown())
    line.feed(UP)
    line.feed(advertised())
    assert in_use(line) == ONE


def test_a_flood_has_a_bound() -> None:
    line = listening(ONE)
    for number in range(500):
        many = RouterAdvertisement(
            lifetime=1800,
            prefixes=tuple(Prefix(IPv6Network(f"2001:db8:{number:x}:{n:x}::/64"), 1000, 500) for n in range(20)),
            routes=tuple(MoreSpecificRoute(IPv6Network(f"2001:db8:{number:x}:{n:x}::/64"), 1000) for n in range(20)),
            name_servers=(NameServers(tuple(IPv6Address(f"2001:db8::{number:x}:{n:x}") for n in range(20)), 60),),
            search_domains=(SearchDomains(tuple(f"d{number}-{n}" for n in range(20)), 60),),
        )
        line.feed(advertised(many, IPv6Address(f"fe80::1:{number:x}")))
    known = learned(line)
    assert (len(known.routers), len(known.prefixes), len(known.routes)) == (16, 32, 32)
    assert (len(known.name_servers), len(known.search_domains)) == (8, 16)
    assert ONE in known.routers, "who was known before stays"
    assert {one.reason for one in line.all(Dropped)} == {"too-many-routers"}
