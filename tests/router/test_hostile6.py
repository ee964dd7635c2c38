"""Providers, routers and neighbours of IPv6 that are not by the RFCs, as the whole router meets them: it stays up,
tells its LAN nothing that it was not granted, sends no more than it may, and recovers by itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.events.types import StoredEvent
from routerd.protocols.dhcpv6.message import Message, Option
from routerd.protocols.ndp.message import (
    MoreSpecificRoute,
    NameServers,
    Preference,
    Prefix,
    RouterAdvertisement,
    SearchDomains,
)
from routerd.sim.dhcpv6_hostile import MODES, Hostile, Mode
from routerd.sim.dhcpv6_server import Reply, Server, Settings
from routerd.sim.isp6 import LINK, ROUTER
from routerd.sim.packets6 import ICMPV6, Packet6, pack
from routerd.sim.ra_router import RaRouter
from tests.router import rig6
from tests.router.rig import LINE, Rig, busiest_minute, crashes, document, until
from tests.router.rig6 import IPV6, LAN, Street6

MINUTES = 20
RECOVERY = 4500
"""Seconds: the longest wait of Solicit's backoff that twenty minutes lead to, and a lease that must end first."""
EVENTS = 300
"""In any minute."""
ROGUE_MAC = bytes.fromhex("02005e00bad0")
ROGUE = IPv6Address("fe80::bad")

HARMLESS = ("twice", "from-elsewhere", "unasked", "names-without-end", "sol-max-rt-0")
USELESS = ("garbage", "to-all", "two-servers", "other-server-grants", "link-local-leases", "multicast-leases",
    "nothing-left-in-the-reply", "status-1", "preferred-above-valid", "t1-after-t2")  # fmt: skip
ERRATIC = ("noise", "cut", "another-prefix-each-time", "moved-in-the-reply", "longer-prefix", "prefix-of-128",
    "shorter-prefix", "valid-1", "valid-4294967295", "t1-1", "lifetimes-0", "ia-status-3", "ia-status-6")  # fmt: skip


def slow_but(*names: str, quick: Sequence[str]) -> list[Any]:
    """All of them, where there is time; where there is not, a few."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


class Turncoat:
    """The street's server, whose answers go through a mode that may change."""

    def __init__(self, settings: Settings) -> None:
        self.honest = Server(settings)
        self.hostile = Hostile(self.honest, random.Random(1), None)

    @property
    def settings(self) -> Settings:
        return self.honest.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.honest.settings = settings

    def receive(self, message: Message, now: float) -> list[Reply]:
        return self.hostile.receive(message, now)


@pytest.fixture
def street(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Street6:
    """With a server that can turn hostile."""
    monkeypatch.setattr(rig6, "Server", Turncoat)
    return Street6(rig)


def turn(street: Street6, mode: Mode | None) -> None:
    server: Any = street.server
    server.hostile.mode = mode


def watch_the_line(street: Street6) -> list[float]:
    """When the router puts a frame on the line."""
    sent: list[float] = []
    own = street.rig.world.link("eth0").mac
    street.rig.world.segment(LINE).witness(lambda frame, now: sent.append(now) if frame[6:12] == own else None)
    return sent


def seconds(events: Sequence[StoredEvent]) -> list[float]:
    return [stored.created_at / 1e9 for stored in events]


async def assert_sound(street: Street6, sent: list[float], caplog: pytest.LogCaptureFixture) -> None:
    events = await street.rig.events()
    assert crashes(events, caplog) == []
    assert busiest_minute(sent) <= 200, "DHCPv6 and Neighbor Discovery, each by its own bucket (C9)"
    assert busiest_minute(seconds(events)) <= EVENTS


def assert_lan_was_told_the_truth(street: Street6) -> None:
    """Lifetimes by RFC 9096 §3.4, and nothing that no host can use."""
    for _, told in street.host.heard:
        for one in told.prefixes:
            assert one.preferred <= min(one.valid, 2700)
            assert one.valid <= 7200
            assert not one.prefix.is_link_local
            assert not one.prefix.is_multicast
            assert not one.prefix.is_unspecified


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.req("V6-21", "breaks")
@pytest.mark.parametrize(
    "name", slow_but(*HARMLESS, *USELESS, *ERRATIC, quick=("twice", "garbage", "cut", "shorter-prefix"))
)
async def test_a_hostile_server_from_the_beginning_and_then_an_honest_one(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with street.surroundings():
        sent = watch_the_line(street)
        turn(street, MODES[name])
        async with street.rig.live():
            await trio.sleep(MINUTES * 60)
            assert await street.rig.unready() == [], "a server that is no good is not our own trouble"
            if name in HARMLESS:
                assert street.on(0)
            if name in USELESS:
                assert street.preferred() == []
            turn(street, None)
            if name != "valid-4294967295":  # nobody is obliged to let go of what is granted for ever
                await until(lambda: street.on(0), within=RECOVERY)
        await assert_sound(street, sent, caplog)
        assert_lan_was_told_the_truth(street)


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.parametrize("name", slow_but(*USELESS, *ERRATIC, quick=("nothing-left-in-the-reply", "longer-prefix")))
async def test_an_honest_server_that_turns_hostile(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """For two hours, past the end of the lease; then it comes to its senses."""
    async with street.surroundings():
        sent = watch_the_line(street)
        async with street.rig.live():
            await until(lambda: street.on(0))
            turn(street, MODES[name])
            await trio.sleep(7200)
            turn(street, None)
            if name != "valid-4294967295":
                await until(lambda: street.on(0), within=RECOVERY)
            held = {prefix.network for prefix in street.held("eth1")}
            assert all(network.prefixlen == 64 for network in held)
        await assert_sound(street, sent, caplog)
        assert_lan_was_told_the_truth(street)


def _names(reply: Reply, rng: random.Random) -> list[Reply]:
    """Five domains of 250 octets: as many as one frame brings, and more than one advertisement takes along."""
    labels = [bytes((61,)) + b"%02d" % number + b"a" * 59 for number in range(5)]
    rest = b"".join(bytes((61,)) + letter * 61 for letter in (b"b", b"c", b"d")) + b"\0"
    search = Option(24, b"".join(label + rest for label in labels))
    options = (*(option for option in reply.message.options if option.code != 24), search)
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, options=options))]


async def test_more_names_than_one_advertisement_holds(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 6980: the LAN still hears all of it, in packets that are not fragmented."""
    more = ", dnsslFrom: {resource: DHCPv6PrefixDelegation/wan-pd, field: domainSearch}}"
    async with street.surroundings():
        sent = watch_the_line(street)
        street.rig.config = document(IPV6.rstrip().removesuffix("}") + more)
        turn(street, _names)
        async with street.rig.live():
            await until(lambda: street.on(0))
            await trio.sleep(60)
            names = {n for _, told in street.host.heard for one in told.search_domains for n in one.names}
            assert len(names) == 5
            assert street.host.default_routers(street.now)
            turn(street, None)
            await trio.sleep(7200)
            assert street.on(0)
        await assert_sound(street, sent, caplog)


async def test_a_restless_provider(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Another prefix at each message, and a T1 of a second: hosts always have one address to prefer, and what they are
    told stays within a packet."""

    def restless(reply: Reply, rng: random.Random) -> list[Reply]:
        return [worse for one in MODES["another-prefix-each-time"](reply, rng) for worse in MODES["t1-1"](one, rng)]

    async with street.surroundings():
        sent = watch_the_line(street)
        turn(street, restless)
        async with street.rig.live():
            await until(lambda: bool(street.preferred()))
            for _ in range(60):
                await trio.sleep(15)
                assert street.preferred(), "no gap"
                assert len(street.preferred()) <= 2
            assert max(len(told.prefixes) for _, told in street.host.heard) <= 20
        await assert_sound(street, sent, caplog)


# Routers of the line


@pytest.mark.parametrize("kind", ["rogue", "flood", "zeros", "garbage"])
async def test_a_rogue_on_the_line(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """It can do harm, but none that outlasts it (nor to the LAN, which has its own advertisements)."""
    async with street.surroundings(), street.rig.live():
        sent = watch_the_line(street)
        segment, timeline = street.rig.world.segment(LINE), street.rig.world.timeline
        await until(lambda: street.on(0) and f"::/0 via {ROUTER}" in street.rig.routes())
        lan = street.preferred()
        if kind == "rogue":
            bad = RouterAdvertisement(
                lifetime=60,
                preference=Preference.HIGH,
                mtu=1280,
                prefixes=(Prefix(IPv6Network("2001:db8:bad::/64"), 60, 60),),
                routes=(MoreSpecificRoute(IPv6Network("2001:db8::/32"), 60),),
                name_servers=(NameServers((IPv6Address("2001:db8:bad::53"),), 60),),
                search_domains=(SearchDomains(("bad.example",), 60),),
            )
            rogue = RaRouter(timeline, segment, ROGUE_MAC, ROGUE, bad)
            for _ in range(60):
                rogue.advertise(street.now)
                await trio.sleep(10)
            await trio.sleep(120)
        elif kind == "flood":
            rogue = RaRouter(timeline, segment, ROGUE_MAC, ROGUE, None)
            for number in range(2000):
                network = IPv6Network(f"2001:db8:bad:{number:x}::/64")
                rogue.advertisement = RouterAdvertisement(lifetime=number % 2 * 30, prefixes=(Prefix(network, 60, 60),))
                rogue.advertise(street.now)
                await trio.sleep(0.01)
            await trio.sleep(120)
        elif kind == "zeros":
            zero = RouterAdvertisement(lifetime=0, prefixes=(Prefix(LINK, 0, 0),))
            rogue = RaRouter(timeline, segment, ROGUE_MAC, ROUTER, zero)
            for _ in range(100):
                rogue.advertise(street.now)
                await trio.sleep(1)
        else:
            rng = random.Random(3)
            port = segment.attach(ROGUE_MAC, lambda frame, now: None)
            for _ in range(2000):
                octets = bytes((rng.choice((134, 135, 136)), 0, 0, 0)) + rng.randbytes(rng.randrange(200))
                packet = Packet6(ROUTER, IPv6Address("ff02::1"), ICMPV6, octets)
                port.send(pack(packet, source_mac=ROGUE_MAC, target_mac=bytes.fromhex("333300000001")), street.now)
                await trio.sleep(0.01)
        street.router.advertise(street.now)
        await trio.sleep(30)
        assert f"::/0 via {ROUTER}" in street.rig.routes()
        assert f"::/0 via {ROGUE}" not in street.rig.routes()
        assert not [a for a in street.held("eth0") if a.ip in IPv6Network("2001:db8:bad::/48")]
        assert [a for a in street.held("eth0") if a.ip in LINK]
        assert street.preferred() == lan
        assert await street.rig.unready() == []
        await assert_sound(street, sent, caplog)


async def test_a_rogue_on_the_lan(street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody's forgotten router, and a flood of them: we go on to say what is true, and believe none of it."""
    async with street.surroundings(), street.rig.live():
        sent = watch_the_line(street)
        await until(lambda: street.on(0))
        segment = street.rig.world.segment(LAN)
        for number in range(200):
            mac = bytes.fromhex("02005ebad0") + bytes((number,))
            told = RouterAdvertisement(lifetime=1800, prefixes=(Prefix(IPv6Network("2001:db8:bad::/64"), 600, 600),))
            RaRouter(street.rig.world.timeline, segment, mac, IPv6Address(f"fe80::bad:{number:x}"), told).advertise(
                street.now
            )
            await trio.sleep(0.1)
        await trio.sleep(600)
        assert not [route for route in street.rig.routes() if "bad" in route]
        assert not [a for a in street.held("eth1") if a.ip in IPv6Network("2001:db8:bad::/48")]
        assert [router for router in street.host.default_routers(street.now) if "bad" not in str(router)]
        await assert_sound(street, sent, caplog)
