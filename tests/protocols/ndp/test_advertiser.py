"""A router on its LAN, as a timeline (RFC 4861 §6.2, RFC 7084 L-13, RFC 9096 §3)."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network

import attrs
import pytest

from routerd.protocols.machine import Dropped, Start, Stop
from routerd.protocols.ndp.advertiser import Advertiser, Announce, Remember
from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    ALL_ROUTERS,
    NameServers,
    NdpPacket,
    NeighborSolicitation,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
    SearchDomains,
)
from routerd.protocols.ndp.told import Told
from tests.protocols.timeline import Timeline, gaps, of, only

OURS, HOST, STRANGER = (IPv6Address(f"fe80::{n}") for n in (1, 2, 3))
MAC = bytes.fromhex("02005e105301")
UP = LinkUp(OURS, MAC)
OLD, NEW, OTHER = (IPv6Network(f"2001:db8:{n}::/64") for n in (1, 2, 3))
DNS, OTHER_DNS = IPv6Address("2001:db8:53::53"), IPv6Address("2001:db8:53::54")
ASKING = NdpPacket(RouterSolicitation(), HOST, ALL_ROUTERS)


def announced(*prefixes: IPv6Network, until: float | None = 1e9) -> Announce:
    return Announce(Announcement(tuple(LanPrefix(prefix, until, until) for prefix in prefixes)))


def timeline(seed: int = 1, **settings: object) -> Timeline:
    return Timeline(Advertiser(random.Random(seed), **settings))  # type: ignore[arg-type]


def running(*prefixes: IPv6Network, seed: int = 1) -> Timeline:
    """Past its first advertisements, and nothing due for some time."""
    line = timeline(seed)
    for event in (announced(*prefixes), Start(), UP):
        line.feed(event)
    line.run(100)
    line.said.clear()
    return line


def prefixes(packet: NdpPacket) -> dict[IPv6Network, tuple[int, int]]:
    """Valid and preferred lifetime by prefix."""
    assert isinstance(packet.message, RouterAdvertisement)
    return {one.prefix: (one.valid, one.preferred) for one in packet.message.prefixes}


def test_nothing_before_all_of_it_is_there() -> None:
    for order in ((Start(), UP), (announced(OLD), UP), (announced(OLD), Start())):
        line = timeline()
        for event in order:
            line.feed(event)
        line.run(1000)
        assert line.all(NdpPacket) == []


NOTHING = Announce(Announcement(lifetime=0))


def test_what_no_host_can_go_by_does_not_hold_up_what_comes_then() -> None:
    line = timeline()
    for event in (NOTHING, Start(), UP):
        line.feed(event)
    line.run(1)
    line.feed(ASKING)
    line.run(1)
    assert line.all(NdpPacket) == []
    line.feed(announced(OLD))
    assert line.times(NdpPacket) == [1002]


@pytest.mark.parametrize(
    "some",
    [
        Announcement(lifetime=1800),
        Announcement(lifetime=0, managed=True),
        Announcement(lifetime=0, other=True),
        Announcement(lifetime=0, name_servers=(NameServers((DNS,), 600),)),
        Announcement(lifetime=0, search_domains=(SearchDomains(("home.arpa",), 600),)),
    ],
)
def test_what_hosts_can_go_by_without_a_prefix_is_told_at_once(some: Announcement) -> None:
    line = timeline()
    for event in (Start(), UP, Announce(some)):
        line.feed(event)
    assert line.times(NdpPacket) == [1000]


def test_that_there_is_nothing_any_more_is_told() -> None:
    line = running()
    line.feed(NOTHING)
    assert [packet.message.lifetime for packet in line.all(NdpPacket)] == [0]  # type: ignore[union-attr]


def test_the_first_at_once_three_soon_then_by_the_interval() -> None:
    line = timeline()
    for event in (announced(OLD), Start(), UP):
        line.feed(event)
    line.run(86400)
    times = line.times(NdpPacket)
    assert times[0] == 1000
    early, late = gaps(times)[:2], gaps(times)[3:]
    assert all(3 <= gap <= 16 for gap in early)
    assert all(200 <= gap <= 600 for gap in late)
    assert len(set(late)) > 50, "random, not in step"
    sent = line.all(NdpPacket)
    assert {(one.source, one.target, one.hop_limit) for one in sent} == {(OURS, ALL_NODES, 255)}
    assert {one.message.link_address for one in sent if isinstance(one.message, RouterAdvertisement)} == {MAC}


@pytest.mark.req("V6-23")
def test_a_provider_that_gives_a_month_and_hosts_that_may_count_on_hours() -> None:
    """RFC 9096 §3.4: whoever it is that renumbers, hosts know of it within the time that they were told."""
    line, month = timeline(), 30 * 86400.0
    for event in (announced(OLD, until=1000 + month), Start(), UP):
        line.feed(event)
    line.run(86400)
    assert {tuple(prefixes(packet).items()) for packet in line.all(NdpPacket)} == {((OLD, (5400, 2700)),)}


@pytest.mark.req("V6-23", "breaks")
def test_lifetimes_are_limited_and_never_longer_than_the_lease() -> None:
    line = timeline()
    for event in (announced(OLD, until=1000 + 4000), Start(), UP):
        line.feed(event)
    line.run(10_000)
    for said in line.said:
        if isinstance(said.output, NdpPacket):
            left = int(5000 - said.at)
            expected = {OLD: (min(left, 5400), min(left, 2700))} if left > 0 else {}
            assert prefixes(said.output) == expected


def test_what_is_ours_may_last() -> None:
    line = timeline()
    ula = LanPrefix(IPv6Network("fd00:1::/64"), preferred_limit=None, valid_limit=None)
    for event in (Announce(Announcement((ula,))), Start(), UP):
        line.feed(event)
    message = line.all(NdpPacket)[0].message
    assert isinstance(message, RouterAdvertisement)
    assert message.prefixes == (Prefix(ula.prefix, 0xFFFFFFFF, 0xFFFFFFFF),)


def test_a_changed_prefix_is_deprecated_at_once() -> None:
    """V6-22: the old one goes on to be told, without a preferred lifetime, until hosts have forgotten it."""
    line = running(OLD)
    remember, packet = line.feed(announced(NEW))
    assert remember == Remember(Told({NEW: None, OLD: line.now + 5400}))
    assert prefixes(packet) == {NEW: (5400, 2700), OLD: (5400, 0)}
    began = line.now
    line.run(5000)
    for said in line.said:
        if isinstance(said.output, NdpPacket):
            assert prefixes(said.output)[OLD] == (int(5400 - (said.at - began)), 0)
    line.run(2000)
    assert prefixes(line.all(NdpPacket)[-1]) == {NEW: (5400, 2700)}
    assert line.all(Remember)[-1] == Remember(Told({NEW: None}))


def test_a_lost_prefix_is_deprecated_at_once_and_comes_back() -> None:
    line = running(OLD)
    assert prefixes(only(NdpPacket, line.feed(announced()))) == {OLD: (5400, 0)}
    line.run(60)
    assert prefixes(only(NdpPacket, line.feed(announced(OLD)))) == {OLD: (5400, 2700)}


def test_an_unlimited_prefix_is_withdrawn_for_two_hours() -> None:
    line = timeline()
    forever = Announce(Announcement((LanPrefix(OLD, preferred_limit=None, valid_limit=None),)))
    for event in (forever, Start(), UP):
        line.feed(event)
    line.run(100)
    assert prefixes(only(NdpPacket, line.feed(announced(NEW))))[OLD] == (7200, 0)


@pytest.mark.parametrize(("until", "left"), [(None, 5400), (1300.0, 300), (1e9, 7200)])
def test_the_life_before_had_told_another_prefix(until: float | None, left: int) -> None:
    """After kill -9, and after a reboot in between: what hosts may still use is withdrawn."""
    line = timeline(remembered=Told({OLD: until}))
    assert line.feed(announced(NEW)) == [Remember(Told({NEW: None, OLD: 1000.0 + left}))]
    line.feed(Start())
    assert prefixes(only(NdpPacket, line.feed(UP))) == {NEW: (5400, 2700), OLD: (left, 0)}


def test_the_life_before_had_told_the_same() -> None:
    line = timeline(remembered=Told({OLD: None, NEW: 500.0}))
    assert line.feed(announced(OLD)) == [Remember(Told({OLD: None}))]


def test_a_new_life_does_not_repeat_at_once_what_may_be_over() -> None:
    """Else the news would have to wait for three seconds (§6.2.4). Who asks is answered all the same."""
    for event, wait, told in (
        (announced(NEW), 0.0, {NEW: (5400, 2700), OLD: (5400, 0)}),
        (announced(OLD), 0.5, {OLD: (5400, 2700)}),
    ):
        line = timeline(remembered=Told({OLD: None}))
        for first in (announced(OLD), Start(), UP):
            line.feed(first)
        line.run(1)
        assert sent(line) == []
        line.feed(event)
        line.run(wait)
        assert [prefixes(packet) for packet in sent(line)] == [told]
    line = timeline(remembered=Told({OLD: None}))
    for first in (announced(OLD), Start(), UP):
        line.feed(first)
    line.feed(ASKING)
    line.run(0.5)
    assert [packet.target for packet in sent(line)] == [HOST]


def test_a_new_life_does_not_say_that_it_is_no_router_before_it_knows() -> None:
    line = timeline(remembered=Told({OLD: None}))
    away = attrs.evolve(announced(NEW).announcement, lifetime=0)
    for event in (Announce(away), Start(), UP):
        line.feed(event)
    line.run(1)
    assert sent(line) == []
    line.feed(announced(NEW))
    assert [packet.message.lifetime for packet in sent(line)] == [1800]  # type: ignore[union-attr]


def sent(line: Timeline) -> list[NdpPacket]:
    """All advertisements so far."""
    return of(NdpPacket, [said.output for said in line.said])


def test_what_others_know_of_an_earlier_time_is_taken_back_too() -> None:
    """The memory of the life before was lost; who has the lease still knows what it was."""
    line = timeline()
    known = attrs.evolve(announced(NEW).announcement, former=((OLD, 1300.0), (NEW, 1e9), (OTHER, 900.0)))
    assert line.feed(Announce(known)) == [Remember(Told({NEW: None, OLD: 1300.0}))]
    line.feed(Start())
    assert prefixes(only(NdpPacket, line.feed(UP))) == {NEW: (5400, 2700), OLD: (300, 0)}


def test_a_provider_that_gives_another_prefix_each_time() -> None:
    line = running(OLD)
    for number in range(200):
        line.feed(announced(IPv6Network(f"2001:db8:{number:x}::/64")))
        line.run(60)
    assert max(len(prefixes(packet)) for packet in line.all(NdpPacket)) == 17
    assert max(len(word.told.prefixes) for word in line.all(Remember)) == 17


# Name servers and domains


def naming(*servers: IPv6Address, domains: tuple[str, ...] = ()) -> Announce:
    named = (NameServers(servers, 1800),) if servers else ()
    searched = (SearchDomains(domains, 1800),) if domains else ()
    return Announce(Announcement(name_servers=named, search_domains=searched))


def named(packet: NdpPacket) -> dict[IPv6Address | str, int]:
    """The lifetime of each name server and domain."""
    message, found = packet.message, dict[IPv6Address | str, int]()
    assert isinstance(message, RouterAdvertisement)
    for servers in message.name_servers:
        found |= dict.fromkeys(servers.addresses, servers.lifetime)
    for domains in message.search_domains:
        found |= dict.fromkeys(domains.names, domains.lifetime)
    return found


def test_a_name_server_that_is_no_more_is_told_with_a_lifetime_of_zero_as_long_as_hosts_know_it() -> None:
    """RFC 8106 §5.1: "it MUST no longer be used"; and that more than once, for one of them may be lost."""
    line = running()
    line.feed(naming(DNS, OTHER_DNS, domains=("home.example", "old.example")))
    line.run(100)
    line.said.clear()
    remember, packet = line.feed(naming(DNS, domains=("home.example",)))
    until = line.now + 1800
    assert remember == Remember(Told({}, {DNS: None, OTHER_DNS: until}, {"home.example": None, "old.example": until}))
    kept = {DNS: 1800, "home.example": 1800}
    assert named(packet) == {**kept, OTHER_DNS: 0, "old.example": 0}
    line.said.clear()
    line.run(1700)
    assert len(line.all(NdpPacket)) >= 4
    assert all(named(one) == {**kept, OTHER_DNS: 0, "old.example": 0} for one in line.all(NdpPacket))
    line.run(1000)
    assert named(line.all(NdpPacket)[-1]) == kept


def test_name_servers_that_changed_while_nobody_ran() -> None:
    line = timeline(remembered=Told({}, {OTHER_DNS: None}, {"old.example": 1300.0}))
    for event in (naming(DNS), Start()):
        line.feed(event)
    assert named(only(NdpPacket, line.feed(UP))) == {DNS: 1800, OTHER_DNS: 0, "old.example": 0}


def test_at_the_end_nobody_asks_here_for_names_any_more() -> None:
    line = running()
    line.feed(naming(DNS, domains=("home.example",)))
    line.run(100)
    assert named(of(NdpPacket, line.feed(Stop(release=True)))[0]) == {DNS: 0, "home.example": 0}


def test_the_same_announcement_again_is_nothing_new() -> None:
    line = running(OLD)
    assert line.feed(announced(OLD)) == []


def test_changes_do_not_come_faster_than_every_three_seconds() -> None:
    line = running(OLD)
    for step in range(20):
        line.feed(announced(NEW if step % 2 else OLD))
        line.run(0.1)
        line.feed(LinkDown())
        line.feed(UP)
    line.run(10)
    assert all(gap >= 3 for gap in gaps(line.times(NdpPacket)))


def test_who_asks_is_answered_alone_within_half_a_second() -> None:
    line = running(OLD)
    asked_at = line.now
    assert line.feed(ASKING) == []
    answer = line.until(NdpPacket, within=0.5)
    assert (answer.target, line.now >= asked_at) == (HOST, True)
    assert prefixes(answer) == {OLD: (5400, 2700)}


def test_who_has_no_address_yet_is_answered_with_all_the_others() -> None:
    line = running(OLD)
    line.feed(attrs.evolve(ASKING, source=IPv6Address("::")))
    assert line.until(NdpPacket, within=0.5).target == ALL_NODES


def test_a_crowd_is_answered_at_once() -> None:
    line = running(OLD)
    for number in range(1000):
        line.feed(attrs.evolve(ASKING, source=IPv6Address(f"fe80::1:{number:x}")))
    line.run(60)
    sent = line.all(NdpPacket)
    assert len(sent) <= 70
    assert sent[-1].target == ALL_NODES or any(one.target == ALL_NODES for one in sent)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (attrs.evolve(ASKING, hop_limit=254), "bad-hop-limit"),
        (NdpPacket(RouterSolicitation(MAC), IPv6Address("::"), ALL_ROUTERS), "bad-source"),
        (NdpPacket(RouterAdvertisement(), IPv6Address("2001:db8::1"), ALL_NODES), "bad-source"),
        (NdpPacket(RouterAdvertisement(), STRANGER, ALL_NODES, hop_limit=1), "bad-hop-limit"),
        (NdpPacket(NeighborSolicitation(OURS), HOST, OURS), "irrelevant"),
    ],
)
def test_what_is_dropped(packet: NdpPacket, reason: str) -> None:
    assert running(OLD).feed(packet) == [Dropped(reason, packet)]


def test_asking_twice_is_asking_once() -> None:
    line = running(OLD)
    line.feed(ASKING)
    assert line.feed(ASKING) == [Dropped("asked-already", ASKING)]


def test_a_stop_for_good_says_that_it_is_no_router_any_more() -> None:
    line = running(OLD)
    line.feed(Stop(release=True))
    line.run(100)
    sent = line.all(NdpPacket)
    assert [one.message.lifetime for one in sent if isinstance(one.message, RouterAdvertisement)] == [0, 0, 0]
    assert [prefixes(one)[OLD][1] for one in sent] == [0, 0, 0], "nobody begins anything with its prefixes any more"
    assert gaps(line.times(NdpPacket)) == [3, 3]
    assert line.machine.deadline is None


def test_a_restart_says_nothing() -> None:
    line = running(OLD)
    assert line.feed(Stop()) == []
    line.run(1000)
    assert line.all(NdpPacket) == []


def test_what_is_over_at_the_end_is_remembered_as_such() -> None:
    line = running(OLD)
    assert line.feed(Stop(release=True))[0] == Remember(Told({OLD: line.now + 5400}))


def test_a_prefix_that_another_router_goes_on_to_tell_of_is_left_to_it() -> None:
    line = running(OLD)
    line.feed(NdpPacket(RouterAdvertisement(1800, prefixes=(Prefix(OLD, 5400, 2700),)), STRANGER, ALL_NODES))
    sent = of(NdpPacket, line.feed(Stop(release=True)))
    assert [prefixes(one) for one in sent] == [{}]


def test_who_begins_again_after_its_end_takes_nothing_back() -> None:
    line = running(OLD)
    line.feed(Stop(release=True))
    line.run(100)
    line.said.clear()
    line.feed(Start())
    line.run(100)
    assert line.all(Remember) == [Remember(Told({OLD: None}))]
    assert prefixes(line.all(NdpPacket)[0]) == {OLD: (5400, 2700)}


@pytest.mark.parametrize("interval", [3.9, 1801])
def test_an_interval_out_of_range(interval: float) -> None:
    with pytest.raises(ValueError, match="4 to 1800"):
        Advertiser(random.Random(1), max_interval=interval)
