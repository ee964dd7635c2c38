"""Clocks that jump, hosts that sleep, interfaces that come and go, and others who set the same host up, as the whole
router meets them."""

from __future__ import annotations

from ipaddress import IPv4Interface

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.host import Address, Notice, RouteChanged
from routerd.protocols.dhcpv4.message import MessageType
from routerd.shapes.instant import parse_instant
from tests.router.rig import DEFAULT, LEASED, LINE, WAN, Rig, busiest_minute, crashes, document, provider, topics, until

DECADE = 10 * 365.25 * 86400


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
        assert busiest_minute(rig.sent) <= 70, "C9"
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
