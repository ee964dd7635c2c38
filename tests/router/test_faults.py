"""Peers and a world that behave badly, as the whole router meets them: it stays up, says what is wrong, does no more
than it may, and recovers by itself."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.events.types import StoredEvent
from routerd.host import Address, Notice, RouteChanged
from routerd.protocols.dhcpv4.message import MessageType
from routerd.shapes.instant import parse_instant
from routerd.sim.dhcpv4_hostile import MODES, Mode
from routerd.sim.dhcpv4_server import Reply, routes
from tests.router.rig import LINE, WAN, Rig, document, provider, topics, until

LEASED, DEFAULT = "203.0.113.50/24", "0.0.0.0/0 via 203.0.113.1"
MINUTES = 20
RECOVERY = 400
"""Seconds: the longest pause after setbacks (330), and then a little of DISCOVER's backoff."""
PACKETS, EVENTS = 70, 300
"""In any minute: ten at once and one a second (C9); and what may be told of so many."""
DECADE = 10 * 365.25 * 86400

# Whoever says these still grants the lease: the address stays all the time.
HARMLESS = ("twice", "from-elsewhere", "naks-of-a-stranger", "unasked", "forced", "hundreds-of-routes", "search-loop",
    "name-with-control-octets", "text-without-end", "lease-2")  # fmt: skip
USELESS = ("never", "nak-for-ever", "garbage", "wrong-xid", "other-server-grants", "address-class-e", "lease-0")
ERRATIC = ("noise", "cut", "moving", "lease-1")


def busiest_minute(moments: Sequence[float]) -> int:
    """The most of them that lie within any minute."""
    return max((n + 1 - bisect.bisect_left(moments, at - 60) for n, at in enumerate(moments)), default=0)


def seconds(events: Sequence[StoredEvent]) -> list[float]:
    return [stored.created_at / 1e9 for stored in events]


def crashes(events: Sequence[StoredEvent], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything that went wrong and is our own fault."""
    told = [e.event.message for e in events if e.event.topic == "routerd.daemon.lifecycle.crashed"]
    return told + [record.getMessage() for record in caplog.records if record.exc_info is not None]


def assert_moderate(rig: Rig, events: Sequence[StoredEvent]) -> None:
    """A hostile server gets no more packets than C9 allows, and does not fill the log."""
    assert busiest_minute(rig.sent) <= PACKETS
    assert busiest_minute(seconds(events)) <= EVENTS


# Servers that are not by the RFC


@pytest.mark.req("C8", "breaks")
@pytest.mark.req("C9", "breaks")
@pytest.mark.req("C13", "breaks")
@pytest.mark.parametrize("name", [*HARMLESS, *USELESS, *ERRATIC])
async def test_a_hostile_server_and_then_an_honest_one(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        rig.hostile.mode = MODES[name]
        await trio.sleep(MINUTES * 60)
        assert await rig.unready() == [], "a server that is no good is not our own trouble"
        status = await rig.status_of("DHCPv4Client/wan")
        if name in HARMLESS:
            assert rig.addresses() == [LEASED]
            assert status["phase"] in ("Bound", "Refreshing", "Rebinding")
        if name in USELESS:
            assert rig.addresses() == rig.routes() == []
            assert status["phase"] == "Acquiring"
            assert (await rig.ask("/status")).json["status"]["phase"] != "Healthy"
        rig.hostile.mode = None
        await until(lambda: DEFAULT in rig.routes(), within=RECOVERY)
        assert len(rig.addresses()) == 1
    events = await rig.events()
    assert_moderate(rig, events)
    assert crashes(events, caplog) == []
    assert all(text.isprintable() for e in events for text in (e.event.message, *e.event.attributes.values()))


@pytest.mark.req("C8", "breaks")
@pytest.mark.req("V4-11", "breaks")
@pytest.mark.parametrize("name", ["never", "nak-for-ever", "garbage", "lease-0", "lease-1", "moving", "from-elsewhere"])
async def test_a_server_gone_bad_under_a_good_lease(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.hostile.mode = MODES[name]
        await trio.sleep(290)  # until shortly before T1
        assert rig.addresses() == [LEASED], "whatever nobody asked for"
        await trio.sleep(MINUTES * 60)
        assert await rig.unready() == []
        if name in USELESS:
            assert rig.addresses() == rig.routes() == [], "the lease is over"
        rig.hostile.mode = None
        await until(lambda: DEFAULT in rig.routes(), within=RECOVERY)
        await until(lambda: len(rig.addresses()) == 1, within=1)
    events = await rig.events()
    assert_moderate(rig, events)
    assert crashes(events, caplog) == []


def every_second_other_routes() -> Mode:
    """The worst for our log: leases of two seconds, each with sixty routes that nobody had before."""
    count = 0

    def mode(reply: Reply, rng: Any) -> list[Reply]:
        nonlocal count
        count += 1
        others = routes(*((f"10.{count % 256}.{n}.0/24", "203.0.113.1") for n in range(60)))
        options = {**reply.message.options, 51: (2).to_bytes(4), 121: others}
        return [attrs.evolve(reply, message=attrs.evolve(reply.message, options=options))]

    return mode


@pytest.mark.req("C17", "breaks")
async def test_sixty_other_routes_every_second_do_not_fill_the_log(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.surroundings(), rig.live():
        rig.hostile.mode = every_second_other_routes()
        await until(lambda: len(rig.routes()) == 60)
        await trio.sleep(60)
        assert len(rig.routes()) == 60
        rig.hostile.mode = None
        await until(lambda: rig.routes() == [DEFAULT], within=RECOVERY)
    events = await rig.events()
    assert busiest_minute(seconds(events)) <= 2 * EVENTS, "not one for each route"
    assert crashes(events, caplog) == []


async def test_one_bad_line_does_not_disturb_the_other(rig: Rig, autojump_clock: MockClock) -> None:
    second = WAN.replace("wan", "lte").replace("eth0", "eth1")
    rig.config = document(WAN % "", second % "")
    async with rig.surroundings(lease_time=600, links=("eth0", "eth1")):
        rig.plug_in_another_provider("eth1")
        async with rig.live():
            rig.hostile.mode = MODES["nak-for-ever"]
            await until(lambda: rig.addresses("eth1") != [])
            held = rig.addresses("eth1")
            await trio.sleep(MINUTES * 60)
            assert rig.addresses("eth1") == held
            assert rig.addresses("eth0") == []
            assert (await rig.status_of("DHCPv4Client/lte"))["phase"] == "Bound"
    others = [e for e in await rig.events() if e.event.resource is not None and e.event.resource.name == "lte"]
    assert "lease.lost" not in topics(others)
    assert "lease.expired" not in topics(others)


# Neighbours


@pytest.mark.req("ARP-3", "breaks")
@pytest.mark.req("C9", "breaks")
async def test_somebody_who_claims_every_address(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Every address of the pool is answered for: ten attempts, then one in a minute, and the right one in the end."""
    rig.config = document(WAN % ", conflictDetection: probe")
    async with rig.surroundings(), rig.live():
        rig.neighbour.addresses.update(IPv4Address("203.0.113.0") + n for n in range(50, 100))
        await trio.sleep(MINUTES * 60)
        assert rig.addresses() == [], "never installed, not even for a moment"
        assert 10 <= rig.server.heard[MessageType.DECLINE] <= 10 + MINUTES
        assert await rig.unready() == []
        rig.neighbour.addresses.clear()
        await until(lambda: DEFAULT in rig.routes(), within=RECOVERY)
    events = await rig.events()
    assert "routerd.lan.ipv4_address.applied" not in [e.event.topic for e in events[:-12]]
    assert_moderate(rig, events)
    assert crashes(events, caplog) == []


@pytest.mark.req("ARP-4", "breaks")
async def test_a_neighbour_that_shouts_our_address_a_thousand_times(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(10)
        began, before = trio.current_time(), len(rig.sent)
        for _ in range(1000):
            rig.neighbour.claim(IPv4Interface(LEASED).ip, rig.world.now())
            await trio.sleep(0.06)
        assert rig.addresses() == [LEASED], "defended"
        assert len(rig.sent) - before <= (trio.current_time() - began) / 10 + 2, "once in ten seconds"
        rig.neighbour.addresses.clear()
    conflicts = [topic for topic in topics(await rig.events()) if topic == "address.conflict"]
    assert 1 <= len(conflicts) <= 8


# Time


@pytest.mark.req("C2", "breaks")
@pytest.mark.parametrize("step", [DECADE, -DECADE])
async def test_a_wall_clock_that_jumps_ten_years_changes_no_timer(
    rig: Rig, autojump_clock: MockClock, step: float
) -> None:
    async with rig.surroundings(lease_time=600):
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())
            await trio.sleep(100)
            before = await rig.status_of("DHCPv4Client/wan")
            rig.host.simulated_clock.step_wall(step)
            await trio.sleep(0.1)
            after = await rig.status_of("DHCPv4Client/wan")
            assert after["expiresAtMonotonic"] == before["expiresAtMonotonic"]
            for field in ("renewAt", "rebindAt", "expiresAt"):
                moved = (parse_instant(after[field]) - parse_instant(before[field])) / 1e9
                assert moved == pytest.approx(step, abs=0.1), "the moment is the same, the clock's word for it is not"
            count = len(rig.sent)
            await until(lambda: len(rig.sent) > count, within=600)
            assert 295 < rig.sent[-1] < 305, "T1, as if nothing had been"
            await trio.sleep(5)
            assert rig.addresses() == [LEASED]
            assert await rig.unready() == []
        rig.host.simulated_clock.step_wall(-2 * step)
        async with rig.live():  # the file was written under one clock and is read under another
            await until(lambda: DEFAULT in rig.routes())
            assert rig.addresses() == [LEASED]
            await trio.sleep(20)
    events = await rig.events()
    [told, *_] = [e.event for e in events if e.event.topic == "routerd.host.clock.step"]
    assert float(told.attributes["wallSeconds"]) == step
    assert topics(events).count("discover.sent") == 1
    assert topics(events).count("lease.resumed") == 1
    assert [e.id for e in events] == list(range(events[0].id, events[0].id + len(events))), "nothing was pruned"


@pytest.mark.req("C3", "breaks")
async def test_a_host_that_slept_past_the_end_of_the_lease(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(20)
        rig.server.heard.clear()
        rig.host.simulated_clock.suspend(3600)
        await until(lambda: rig.server.heard[MessageType.DISCOVER] > 0, within=5)
        await until(lambda: DEFAULT in rig.routes(), within=30)
        assert rig.addresses() == [LEASED]
        await trio.sleep(5)
    events = await rig.events()
    said = topics(events)
    assert said[said.index("applied") + 1 :][:2] == ["lease.expired", "discover.sent"]
    assert "routerd.host.clock.resumed" in [e.event.topic for e in events]
    assert "renew.sent" not in said
    assert not rig.server.violations


@pytest.mark.req("C3", "breaks")
async def test_a_host_that_slept_past_t2_asks_everybody(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(20)
        rig.host.simulated_clock.suspend(540)
        await trio.sleep(5)
        assert rig.addresses() == [LEASED]
        assert rig.routes() == [DEFAULT]
    said = topics(await rig.events())
    assert "lease.rebound" in said
    assert "lease.renewed" not in said
    assert "lease.expired" not in said


# Interfaces


async def test_an_interface_that_is_renamed_and_renamed_back(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.world.set_link("eth0", name="eth9")
        await until(lambda: rig.addresses("eth9") == [] and rig.routes() == [], within=5)
        assert (await rig.status_of("Interface/wan"))["reason"] == "LinkAbsent"
        assert (await rig.status_of("DHCPv4Client/wan"))["phase"] == "Pending"
        assert await rig.unready() == []
        await trio.sleep(60)
        rig.world.set_link("eth9", name="eth0")
        await until(lambda: rig.routes() == [DEFAULT], within=30)
        assert rig.addresses() == [LEASED]
    assert not rig.server.violations


@pytest.mark.req("C14", "breaks")
async def test_two_interfaces_that_change_names(rig: Rig, autojump_clock: MockClock) -> None:
    """As udev does it: the other one is `eth0` from one moment to the next, and it is plugged in elsewhere."""
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        for old, new in (("eth0", "spare"), ("eth1", "eth0"), ("spare", "eth1")):
            rig.world.set_link(old, name=new)
        await trio.sleep(60)
        assert rig.addresses("eth0") == rig.addresses("eth1") == rig.routes() == [], "nobody is there to grant anything"
        assert (await rig.status_of("DHCPv4Client/wan"))["phase"] == "Acquiring"
        for old, new in (("eth0", "spare"), ("eth1", "eth0"), ("spare", "eth1")):
            rig.world.set_link(old, name=new)
        await until(lambda: rig.routes() == [DEFAULT], within=60)
        assert rig.addresses() == [LEASED]
        assert rig.addresses("eth1") == []


@pytest.mark.req("C14", "breaks")
async def test_a_mac_that_changes_under_a_lease(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.world.set_link("eth0", mac=bytes.fromhex("020000aabbcc"))
        await until(lambda: rig.addresses() == [], within=5)
        await until(lambda: rig.routes() == [DEFAULT], within=30)
        assert rig.addresses() == [LEASED], "who we are does not change with the card"
    said = topics(await rig.events())
    assert said.count("lease.bound") == 2
    assert not rig.server.violations


async def test_an_interface_that_is_deleted_and_made_again_fifty_times(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.surroundings(), rig.live():
        for n in range(50):
            rig.world.remove_link("eth0")
            await trio.sleep(0.001 * (n % 5) + 0.7 * (n % 3))
            rig.world.add_link("eth0", LINE, bytes((2, 0, 0, 0, 1, n)))
            await trio.sleep(0.02 * (n % 7) + 1.1 * (n % 4))
        await until(lambda: rig.routes() == [DEFAULT], within=60)
        assert len(rig.addresses()) == 1
        assert await rig.unready() == []
    assert crashes(await rig.events(), caplog) == []


@pytest.mark.req("C11", "breaks")
async def test_a_cable_that_flickers_is_no_loss(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.host.watch() as notices, rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(10)
        taken_so_far(notices)
        for n in range(100):
            rig.world.pull_cable("eth0")
            await trio.sleep(0.05 * (n % 11))
            rig.world.plug("eth0")
            await trio.sleep(0.3 * (n % 4))
        await trio.sleep(30)
        assert rig.addresses() == [LEASED]
        gone = [n for n in taken_so_far(notices) if not getattr(n, "present", True) and not isinstance(n, RouteChanged)]
        assert gone == []
        assert busiest_minute(rig.sent) <= PACKETS
    said = topics(await rig.events())
    assert said.count("discover.sent") == 1


# What others do to the host, and what it refuses


async def test_a_lease_that_moves_onto_a_static_address_and_away_again(rig: Rig, autojump_clock: MockClock) -> None:
    """The operator has declared the address that the server grants later. It is the operator's, for ever."""
    static = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: mine}
      spec: {interface: wan, address: 203.0.113.99/24}
"""
    rig.config = document(WAN % ", conflictDetection: skip", static)
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        assert set(rig.addresses()) == {LEASED, "203.0.113.99/24"}
        rig.server.settings = provider(600, first=provider().last, last=provider().last)
        await until(lambda: rig.addresses() == ["203.0.113.99/24"], within=1000)
        await until(lambda: rig.routes() == [DEFAULT], within=5)
        await trio.sleep(700)
        assert lifetimes(rig) == {"203.0.113.99/24": None}
        rig.server.settings = provider(600, silent=True)
        await until(lambda: rig.routes() == [], within=700)
        await trio.sleep(60)
        assert lifetimes(rig) == {"203.0.113.99/24": None}, "the lease is over, the declaration is not"
        assert (await rig.status_of("IPv4StaticAddress/mine"))["phase"] == "Applied"


async def test_a_route_that_others_put_in_the_way_stays_and_ours_comes_back(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        [ours] = [route for route in rig.host.snapshot().routes if route.ours]
        theirs = attrs.evolve(ours, metric=0, ours=False)
        rig.host.put_route(theirs)
        rig.host.remove_route(ours)
        await until(lambda: rig.routes() == [DEFAULT], within=1)
        assert theirs in rig.host.snapshot().routes
        rig.host.put_address(Address(rig.world.link("eth0").index, IPv4Interface("198.51.100.7/24"), ours=False))
        await trio.sleep(60)
        assert "198.51.100.7/24" in rig.addresses(), "not ours to take away"


async def test_what_the_host_refuses_is_told_once_and_tried_again(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig.config = document(WAN.replace("{ifname: eth0}", "{ifname: eth0, mtu: 9100}") % "")
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(3600)
        assert (await rig.status_of("Interface/wan"))["phase"] == "Error"
        assert rig.addresses() == [LEASED], "one refusal does not hold up the rest"
    events = await rig.events()
    refusals = [e.event for e in events if e.event.topic == "routerd.controller.interface.refused"]
    assert len(refusals) == 1
    assert "mtu" in refusals[0].message
    assert crashes(events, caplog) == []


def lifetimes(rig: Rig) -> dict[str, float | None]:
    index = rig.world.link("eth0").index
    return {str(a.address): a.valid_until for a in rig.host.snapshot().addresses if a.link == index}


def taken_so_far(notices: trio.MemoryReceiveChannel[Notice]) -> list[Notice]:
    seen = []
    while notices.statistics().current_buffer_used:
        seen.append(notices.receive_nowait())
    return seen
