"""Servers and neighbours that are not by the RFC, as the whole router meets them: it stays up, says what is wrong,
sends and tells no more than it may, and recovers by itself."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.events.types import StoredEvent
from routerd.protocols.dhcpv4.message import MessageType
from routerd.sim.dhcpv4_hostile import MODES, Mode
from routerd.sim.dhcpv4_server import Reply, routes
from tests.router.rig import DEFAULT, LEASED, WAN, Rig, busiest_minute, crashes, document, topics, until

MINUTES = 20
RECOVERY = 400
"""Seconds: the longest pause after setbacks (330), and then a little of DISCOVER's backoff."""
PACKETS, EVENTS = 70, 300
"""In any minute: ten at once and one a second (C9); and what may be told of so many."""

# Whoever says these still grants the lease: the address stays all the time.
HARMLESS = ("twice", "from-elsewhere", "naks-of-a-stranger", "unasked", "forced", "hundreds-of-routes", "search-loop",
    "name-with-control-octets", "text-without-end", "lease-2")  # fmt: skip
USELESS = ("never", "nak-for-ever", "garbage", "wrong-xid", "other-server-grants", "address-class-e", "lease-0")
ERRATIC = ("noise", "cut", "moving", "lease-1")


def seconds(events: Sequence[StoredEvent]) -> list[float]:
    return [stored.created_at / 1e9 for stored in events]


def assert_moderate(rig: Rig, events: Sequence[StoredEvent]) -> None:
    """A hostile server gets no more packets than C9 allows, and does not fill the log."""
    assert busiest_minute(rig.sent) <= PACKETS
    assert busiest_minute(seconds(events)) <= EVENTS


# Servers


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
