"""What RFC 4861 §6.2, 7084 L-13, 9096 §3, 8106, 4191 and 6980 say of a router, from their text; and what hosts believe
of it, kept in a book beside it."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from routerd.protocols.machine import Dropped, Start, Stop
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.advertiser import Advertiser, Announce, Remember
from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    ALL_ROUTERS,
    NameServers,
    NdpPacket,
    NeighborAdvertisement,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
    SearchDomains,
)
from routerd.protocols.ndp.told import Told
from tests.protocols.timeline import Timeline, gaps, of

OURS, HOST = IPv6Address("fe80::1"), IPv6Address("fe80::77")
MAC = bytes.fromhex("02005e105301")
UP = LinkUp(OURS, MAC)
NETWORKS = [IPv6Network(f"2001:db8:{n:x}::/64") for n in range(400)]
LEAST_MTU, HEADER = 1280, 40


def announcement(*prefixes: IPv6Network, until: float | None = 1e9, **more: Any) -> Announcement:
    return Announcement(tuple(LanPrefix(prefix, until, until) for prefix in prefixes), **more)


def running(first: Announcement, seed: int = 1) -> Timeline:
    """Past its first advertisements."""
    line = Timeline(Advertiser(random.Random(seed)))
    for event in (Announce(first), Start(), UP):
        line.feed(event)
    line.run(100)
    line.said.clear()
    return line


def said(outputs: list[Any]) -> list[RouterAdvertisement]:
    return [one.message for one in of(NdpPacket, outputs) if isinstance(one.message, RouterAdvertisement)]


def told(outputs: list[Any]) -> dict[IPv6Network, Prefix]:
    return {one.prefix: one for message in said(outputs) for one in message.prefixes}


def sizes(line: Timeline) -> list[int]:
    return [len(wire.encode(packet.message)) for packet in line.all(NdpPacket)]


# §6.1.1, §6.2.6: who asks


@pytest.mark.parametrize("source", ["2001:db8::77", "fd00::77", "fe80::77"])
def test_a_solicitation_may_come_from_any_address_of_the_asker(source: str) -> None:
    """§4.1: "an IP address assigned to the sending interface"."""
    line = running(announcement(NETWORKS[0]))
    line.feed(NdpPacket(RouterSolicitation(MAC), IPv6Address(source), ALL_ROUTERS))
    assert line.until(NdpPacket, within=0.5).target == IPv6Address(source)


@pytest.mark.parametrize(
    "packet",
    [
        NdpPacket(RouterSolicitation(MAC), IPv6Address("::"), ALL_ROUTERS),
        NdpPacket(RouterSolicitation(), HOST, ALL_ROUTERS, hop_limit=254),
        NdpPacket(RouterSolicitation(), HOST, ALL_ROUTERS, hop_limit=0),
        NdpPacket(NeighborAdvertisement(HOST), HOST, ALL_NODES),
    ],
)
def test_who_is_not_answered(packet: NdpPacket) -> None:
    line = running(announcement(NETWORKS[0]))
    before = line.machine.deadline
    assert [type(one) for one in line.feed(packet)] == [Dropped]
    assert line.machine.deadline == before


def test_a_thousand_hosts_ask_again_and_again() -> None:
    """§6.2.6: to all at most every three seconds; and altogether bounded."""
    line = running(announcement(NETWORKS[0]))
    began = line.now
    for step in range(6000):
        source = IPv6Address(int(HOST) + step % 1000) if step % 2 else IPv6Address("::")
        line.feed(NdpPacket(RouterSolicitation(), source, ALL_ROUTERS))
        line.run(0.01)
    to_all = line.times(NdpPacket, lambda packet: packet.target == ALL_NODES)
    assert all(gap >= 3 for gap in gaps(to_all))
    assert len(line.all(NdpPacket)) <= (line.now - began) + 10


# RFC 7084 L-13, RFC 9096 §3.5


def test_what_was_announced_is_announced_until_its_end_though_renumbered_each_minute() -> None:
    line = running(announcement(NETWORKS[0]))
    for network in NETWORKS[1:6]:
        line.feed(Announce(announcement(network)))
        line.run(60)
    line.run(600)
    last = told([line.all(NdpPacket)[-1]])
    assert set(last) == set(NETWORKS[:6])
    assert {n for n, one in last.items() if one.preferred} == {NETWORKS[5]}
    assert all(0 < one.valid <= 7200 for one in last.values())


@pytest.mark.parametrize("length", [64, 60, 80])
def test_what_is_taken_back_is_no_invitation(length: int) -> None:
    """RFC 9096 §3.5: the A flag goes with what was told with it; who never made addresses of it shall not now."""
    prefix = IPv6Network(f"2001:db8:7::/{length}")
    before = Announcement((LanPrefix(prefix, 1e9, 1e9, autonomous=length == 64),))
    line = running(before)
    taken_back = told(line.feed(Announce(announcement(NETWORKS[0]))))[prefix]
    assert (taken_back.preferred, taken_back.autonomous) == (0, length == 64)


def test_a_prefix_comes_back() -> None:
    line = running(announcement(NETWORKS[0]))
    line.feed(Announce(announcement(NETWORKS[1])))
    line.run(60)
    line.feed(Announce(announcement(NETWORKS[0])))
    line.run(10)
    last = told([line.all(NdpPacket)[-1]])
    assert last[NETWORKS[0]].preferred > 0
    assert last[NETWORKS[1]].preferred == 0


def test_a_lease_that_runs_out_is_told_to_run_out() -> None:
    """V6-23, L-13 (b): lifetimes fall in real time and never outlive the lease."""
    line = running(announcement(NETWORKS[0], until=1000 + 3600))
    line.run(4000)
    for moment, packet in zip(line.times(NdpPacket), line.all(NdpPacket), strict=True):
        for one in told([packet]).values():
            assert moment + one.valid <= 4600
            assert one.preferred <= one.valid


# RFC 6980, RFC 4861 §6.2.3: nothing that one packet cannot hold


def test_a_restless_provider_makes_no_advertisement_that_must_be_fragmented() -> None:
    line = running(announcement(NETWORKS[0]))
    for network in NETWORKS[1:]:
        line.feed(Announce(announcement(network)))
        line.run(30)
    assert max(sizes(line)) <= LEAST_MTU - HEADER


def test_a_provider_with_long_names_makes_none_either() -> None:
    """A DHCPv6 server may name 32 domains of 253 octets; one option holds 2040."""
    names = tuple(".".join([f"{n:02}" + "a" * 57, "b" * 60, "c" * 60, "d" * 60]) for n in range(64))
    servers = tuple(IPv6Address(f"2001:db8::53:{n:x}") for n in range(32))
    line = Timeline(Advertiser(random.Random(1)))
    whole = announcement(
        *NETWORKS[:20],
        name_servers=(NameServers(servers, 1800),),
        search_domains=(SearchDomains(names[:32], 1800),),
    )
    for event in (Announce(whole), Start()):
        line.feed(event)
    first = line.feed(UP)
    assert {one for message in said(first) for option in message.search_domains for one in option.names} == set(
        names[:32]
    )
    assert {one for message in said(first) for option in message.name_servers for one in option.addresses} == set(
        servers
    )
    assert set(told(first)) == set(NETWORKS[:20])
    assert {message.lifetime for message in said(first)} == {1800}, "each says that we are a router"
    line.run(100)
    second = attrs.evolve(whole, search_domains=(SearchDomains(names[32:], 1800),))
    line.feed(Announce(second))
    line.run(100)
    assert max(sizes(line)) <= LEAST_MTU - HEADER
    hosts = [wire.decode(wire.encode(packet.message)) for packet in line.all(NdpPacket)]
    assert all(isinstance(message, RouterAdvertisement) for message in hosts)


def test_what_one_packet_holds_is_in_one() -> None:
    line = running(announcement(*NETWORKS[:3], search_domains=(SearchDomains(("example.net", "example.org"), 600),)))
    line.feed(NdpPacket(RouterSolicitation(), HOST, ALL_ROUTERS))
    line.run(0.6)
    assert len(line.all(NdpPacket)) == 1


# RFC 8106 §5.1


def test_a_name_server_that_is_no_more_is_taken_back() -> None:
    old, new = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
    line = running(announcement(NETWORKS[0], name_servers=(NameServers((old,), 1800),)))
    out = line.feed(Announce(announcement(NETWORKS[0], name_servers=(NameServers((new,), 1800),))))
    lifetimes = {a: one.lifetime for message in said(out) for one in message.name_servers for a in one.addresses}
    assert lifetimes == {new: 1800, old: 0}


# §6.2.5


def test_the_last_words_are_that_it_is_no_router() -> None:
    line = running(announcement(NETWORKS[0]))
    line.feed(Stop(release=True))
    line.run(60)
    messages = said([one.output for one in line.said])
    assert 1 <= len(messages) <= 3
    assert {message.lifetime for message in messages} == {0}
    assert line.machine.deadline is None


def test_a_link_that_goes_in_the_middle_of_the_last_words() -> None:
    line = running(announcement(NETWORKS[0]))
    line.feed(Stop(release=True))
    line.feed(LinkDown())
    line.run(600)
    assert len(line.all(NdpPacket)) == 1
    line.feed(UP)
    line.run(600)
    assert len(line.all(NdpPacket)) == 1, "it was stopped"


# The book of a host that hears everything


class Lan(RuleBasedStateMachine):
    """`believed`: until when a host that believes all it is told (RFC 4862 §5.5.3) prefers addresses of each prefix."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        self.line = Timeline(Advertiser(random.Random(seed)))
        self.seed = seed
        self.disk: Told | None = None
        self.believed: dict[IPv6Network, float] = {}
        self.ends: dict[IPv6Network, float] = {}
        self.wanted: dict[IPv6Network, float] = {}
        self.since = self.line.now
        self.hear(self.line.feed(Start()))
        self.hear(self.line.feed(UP))

    def hear(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Remember):
                self.disk = output.told
            elif isinstance(output, NdpPacket):
                assert len(wire.encode(output.message)) <= LEAST_MTU - HEADER
                for one in told([output]).values():
                    self.believe(one)

    def believe(self, one: Prefix) -> None:
        now = self.line.now
        assert one.preferred <= one.valid
        self.believed[one.prefix] = now + one.preferred
        self.ends[one.prefix] = now + one.valid
        if one.preferred:
            assert one.prefix in self.wanted, "nobody announces that"
            assert now + one.valid <= self.wanted[one.prefix] + 1e-3, "longer than the lease"

    @rule(
        networks=st.sets(st.sampled_from(NETWORKS[:4]), max_size=2),
        lasts=st.sampled_from([10.0, 300.0, 4000.0, 1e6]),
    )
    def announced(self, networks: set[IPv6Network], lasts: float) -> None:
        end = self.line.now + lasts
        self.wanted = dict.fromkeys(networks, end)
        self.since = self.line.now
        self.hear(self.line.feed(Announce(announcement(*sorted(networks), until=end))))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 60.0, 700.0, 8000.0]))
    def time(self, seconds: float) -> None:
        end = self.line.now + seconds
        while (deadline := self.line.machine.deadline) is not None and deadline <= end:
            before = len(self.line.said)
            self.line.run(max(deadline - self.line.now, 0.0))
            self.hear([one.output for one in self.line.said[before:]])
        self.line.now = end

    @rule()
    def flap(self) -> None:
        self.line.feed(LinkDown())
        self.since = self.line.now
        self.hear(self.line.feed(UP))

    @rule()
    def somebody_asks(self) -> None:
        self.hear(self.line.feed(NdpPacket(RouterSolicitation(), HOST, ALL_ROUTERS)))

    @rule(away=st.sampled_from([0.0, 1.0, 100.0, 5000.0]))
    def killed(self, away: float) -> None:
        """And begun again with what was on disk, and told the same."""
        self.line.now += away
        self.line.machine = Advertiser(random.Random(self.seed + 1), remembered=self.disk)
        until = {n: end for n, end in self.wanted.items() if end > self.line.now}
        prefixes = tuple(LanPrefix(network, end, end) for network, end in sorted(until.items()))
        self.wanted, self.since = until, self.line.now
        for event in (Announce(Announcement(prefixes)), Start(), UP):
            self.hear(self.line.feed(event))

    @invariant()
    def nobody_prefers_what_is_not_announced(self) -> None:
        """Within the three seconds of §6.2.6 after the last change."""
        if not hasattr(self, "line") or self.line.now < self.since + 3.001:
            return
        preferred = {network for network, end in self.believed.items() if end > self.line.now + 1}
        assert preferred <= {network for network, end in self.wanted.items() if end > self.line.now}


TestLan = Lan.TestCase
TestLan.settings = hypothesis_settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
