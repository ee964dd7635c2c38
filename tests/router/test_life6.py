"""A whole router with IPv6 on a simulated host: a LAN out of a delegated prefix, and what comes of it when the provider
renumbers, is silent, or the router ends in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.protocols.ndp.message import RouterAdvertisement
from routerd.sim.isp6 import DNS, LINK, POOLS, ROUTER
from tests.router.rig import Rig, crashes, until
from tests.router.rig6 import T1, Street6, provider6


@pytest.fixture
def street(rig: Rig) -> Street6:
    """The router and what is around it; nothing of it runs yet."""
    return Street6(rig)


async def test_a_lan_out_of_a_delegated_prefix(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await until(lambda: street.on(0) and f"::/0 via {ROUTER}" in rig.routes())
        await until(lambda: any(address.ip in LINK for address in street.held("eth0")))
        prefix = street.prefix
        assert [address.network for address in street.held("eth1")] == [list(prefix.subnets(new_prefix=64))[1]]
        assert not any(address.ip in prefix for address in street.held("eth0")), "nothing of it on the line"
        assert f"{prefix} via None" in rig.routes(), "what is not on the LAN is unreachable"
        assert street.host.default_routers(street.now)
        await until(lambda: set(street.host.name_servers) == set(DNS))
        assert not await rig.unready()
    assert crashes(await rig.events(), caplog) == []
    assert street.server.violations == []


@pytest.mark.req("V6-21", "breaks")
@pytest.mark.req("V6-22", "breaks")
async def test_a_renumbering_reaches_the_hosts_within_a_second_and_leaves_no_gap(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await until(lambda: street.on(0))
        old = street.preferred()
        street.server.settings = provider6(1)
        began = street.now
        while not any(address.ip in POOLS[1] for address in street.held("eth1")):
            assert street.now < began + 2 * T1
            assert street.preferred(), "no gap"
            await trio.sleep(0.1)
        known = street.now
        await until(lambda: street.on(1), within=4)
        assert street.now - known < 1
        assert set(old) <= set(street.host.usable(street.now)), "connections that there are go on"
        await trio.sleep(7300)
        assert street.on(1)
        assert not set(old) & set(street.host.usable(street.now)), "and end with their two hours"
    assert crashes(await rig.events(), caplog) == []


@pytest.mark.req("V6-40")
async def test_a_restart_is_nothing_to_the_lan(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig = street.rig
    async with street.surroundings():
        async with rig.live():
            await until(lambda: street.on(0))
            addresses = street.preferred()
        for _ in range(3):
            async with rig.live():
                await trio.sleep(60)
                assert street.preferred() == addresses
        with told(street) as advertisements:
            async with rig.live():
                await trio.sleep(60)
        assert all(prefix.preferred for told in advertisements for prefix in told.prefixes)
    assert crashes(await rig.events(), caplog) == []


@pytest.mark.req("V6-22", "breaks")
async def test_renumbered_while_it_was_down(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings():
        async with rig.live():
            await until(lambda: street.on(0))
        street.server.settings = provider6(1)
        async with rig.live():
            await until(lambda: street.on(1), within=60)


async def test_a_provider_that_is_silent_until_the_lease_ends(street: Street6, autojump_clock: MockClock) -> None:
    """The LAN's address ends with the lease, not sooner; and comes again."""
    rig = street.rig
    async with street.surroundings(), rig.live():
        await until(lambda: street.on(0))
        street.server.settings = attrs.evolve(provider6(0), silent=True)
        await until(lambda: not street.preferred(), within=4000)
        await until(lambda: not street.held("eth1"), within=4000)
        street.server.settings = provider6(0)
        await until(lambda: street.on(0), within=4000)


@contextmanager
def told(street: Street6) -> Iterator[list[RouterAdvertisement]]:
    """What the LAN's host is told meanwhile."""
    advertisements: list[RouterAdvertisement] = []
    before = len(street.host.heard)
    yield advertisements
    advertisements += [advertisement for _, advertisement in street.host.heard[before:]]


@pytest.mark.req("V6-26")
async def test_an_address_of_the_line_that_another_customer_has(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is declined, once, and another one is granted; the delegated prefix has nothing to do with it."""
    rig = street.rig
    async with street.surroundings():
        taken = LINK.network_address + 16
        rig.host.elsewhere.add(taken)
        async with rig.live():
            await until(lambda: street.on(0), within=60)
            await until(lambda: any(a.network.prefixlen == 128 and a.ip != taken for a in street.held("eth0")))
            await trio.sleep(600)
            assert all(address.ip != taken for address in street.held("eth0"))
            told = await rig.status_of("DHCPv6Address/wan-na")
            assert (told["phase"], told["conditions"][1]["status"]) == ("Bound", "True")
            assert street.on(0)
    events = [one.event.topic for one in await rig.events()]
    assert events.count("routerd.interface.address.duplicate") == 1
    assert crashes(await rig.events(), caplog) == []
    assert street.server.violations == []
