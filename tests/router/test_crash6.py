"""A whole router with IPv6 is killed after each of its outputs: the LAN never hears a good prefix taken back, and one
that was replaced meanwhile is deprecated all the same (C5, V6-21, V6-22, V6-40)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Network
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.sim.isp6 import POOLS
from tests.router.mortal import Mortal
from tests.router.rig import Rig, topics, until
from tests.router.rig6 import T1, Street6, provider6

LIFE = 60.0
BROUGHT_UP, RENUMBERED = 85, 72
"""More outputs than a life of that length has, which acquires everything, or finds another prefix."""
YEAR = 365 * 86400.0
EVERY = 5
"""Of the steps, one in so many is taken where all would take too long."""


def steps(most: int) -> list[object]:
    return [n if n % EVERY == 1 else pytest.param(n, marks=pytest.mark.slow) for n in range(1, most + 1)]


@pytest.fixture
def street(rig: Rig) -> Street6:
    """The router and what is around it; nothing of it runs yet."""
    return Street6(rig)


async def killed_after(street: Street6, step: float) -> Mortal:
    """One life, killed right after output number `step`, or at its end."""
    mortal = Mortal(street.rig, step)
    async with street.rig.live(mortal.hold):
        with trio.move_on_after(LIFE):
            await mortal.dead.wait()
        if mortal.alive:
            mortal.last = mortal.outputs + 1
            mortal.count()
    return mortal


def taken_back(street: Street6, pool: IPv6Network) -> list[float]:
    """When the LAN's host was told not to use a prefix of this pool any more."""
    return [
        at
        for at, told in street.host.heard
        for prefix in told.prefixes
        if prefix.prefix.subnet_of(pool) and not (prefix.preferred and prefix.valid)
    ]


@pytest.mark.parametrize("renumbered", [False, True])
async def test_the_lives_are_as_long_as_they_say(street: Street6, autojump_clock: MockClock, renumbered: bool) -> None:
    async with street.surroundings():
        if renumbered:
            async with street.rig.live():
                await until(lambda: street.on(0))
            street.server.settings = provider6(1)
        mortal = await killed_after(street, float("inf"))
        assert street.on(1 if renumbered else 0)
        most = RENUMBERED if renumbered else BROUGHT_UP
        assert most - 15 < mortal.outputs <= most


@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V6-40", "breaks")
@pytest.mark.parametrize("step", steps(BROUGHT_UP))
async def test_killed_after_every_output(street: Street6, autojump_clock: MockClock, step: int) -> None:
    async with street.surroundings():
        await killed_after(street, step)
        had = street.preferred()
        await trio.sleep(3)
        async with street.rig.live():
            await until(lambda: street.on(0), within=60)
            await trio.sleep(30)
            assert street.on(0)
        assert set(had) <= set(street.preferred()), "it was good all the time"
        assert taken_back(street, POOLS[0]) == []
        assert street.server.violations == []


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.parametrize("step", steps(RENUMBERED))
async def test_killed_after_every_output_of_a_renumbering(
    street: Street6, autojump_clock: MockClock, step: int
) -> None:
    async with street.surroundings():
        async with street.rig.live():
            await until(lambda: street.on(0))
            old = street.preferred()
        street.server.settings = provider6(1)
        await killed_after(street, step)
        await trio.sleep(3)
        async with street.rig.live():
            await until(lambda: street.on(1), within=60)
        assert taken_back(street, POOLS[0]) != [], "the host was told"
        assert taken_back(street, POOLS[1]) == [], "and not of what is new"
        assert set(old) <= set(street.host.usable(street.now)), "connections that there are go on"
        assert street.server.violations == []


# What the next life may find


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda octets: octets[: len(octets) // 2],
    "empty": lambda octets: b"",
    "an earlier version": lambda octets: octets.replace(b'"version": 1', b'"version": 0'),
    "another octet": lambda octets: octets.replace(b"2001:db8:4000::/56", b"2001:db8:4001::/56"),
    "garbage": lambda octets: bytes(len(octets)),
}


def lease_file(rig: Rig) -> Path:
    return rig.state_dir / "dhcpv6-client" / "wan-pd" / "lease.json"


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_lease_file_is_none_and_the_same_prefix_comes_again(
    street: Street6, autojump_clock: MockClock, damage: str
) -> None:
    async with street.surroundings():
        async with street.rig.live():
            await until(lambda: street.on(0))
            prefix = street.prefix
        octets = lease_file(street.rig).read_bytes()
        spoilt = DAMAGES[damage](octets)
        assert spoilt != octets
        lease_file(street.rig).write_bytes(spoilt)
        async with street.rig.live():
            await until(lambda: street.on(0) and street.prefix == prefix, within=60)
            await trio.sleep(5)
            assert street.on(0)
        assert street.server.violations == []
    said = topics(await street.rig.events(), "routerd.dhcpv6.client.")
    assert (said.count("lease.unreadable"), said.count("identity.changed")) == (1, 0)


@pytest.mark.req("C2", "breaks")
@pytest.mark.req("C4", "breaks")
@pytest.mark.parametrize("years", [-10, 10])
@pytest.mark.parametrize("when", ["running", "ended", "rebooted"])
async def test_a_clock_that_is_set_by_years(street: Street6, autojump_clock: MockClock, years: int, when: str) -> None:
    """In the same boot it changes nothing. After another one nobody can tell how old a lease is: then the server is
    asked, and what it says is what the LAN had."""
    async with street.surroundings():
        clock = street.rig.host.simulated_clock
        async with street.rig.live():
            await until(lambda: street.on(0))
            prefix = street.prefix
            if when == "running":
                clock.step_wall(years * YEAR)
                await trio.sleep(60)
                assert street.on(0)
        if when != "running":
            clock.step_wall(years * YEAR)
        if when == "rebooted":
            clock.boot_id = "11111111-0000-4000-8000-000000000000"
        async with street.rig.live():
            await until(lambda: street.on(0) and street.prefix == prefix, within=60)
            await trio.sleep(T1 + 10)
            assert street.on(0)
        assert when == "rebooted" or taken_back(street, POOLS[0]) == []
        assert street.server.violations == []


@pytest.mark.req("V6-31", "breaks")
async def test_another_iaid_is_another_lease(street: Street6, autojump_clock: MockClock) -> None:
    """The operator has changed it meanwhile: what was obtained under the old one is not ours to renew."""
    async with street.surroundings():
        async with street.rig.live():
            await until(lambda: street.on(0))
            old = street.prefix
        street.rig.config = street.rig.config.replace("prefixLength: 56", "prefixLength: 56, iaid: 99")
        async with street.rig.live():
            await until(lambda: street.on(0) and not any(one in old for one in street.preferred()), within=60)
        assert taken_back(street, old) != [], "the hosts were told"
        assert street.server.violations == []


@pytest.mark.req("V6-40", "breaks")
async def test_killed_again_and_again_while_nobody_answers(street: Street6, autojump_clock: MockClock) -> None:
    """What is held is good until its end, though no server ever confirms it."""
    async with street.surroundings():
        async with street.rig.live():
            await until(lambda: street.on(0))
            had = street.preferred()
        street.server.settings = attrs.evolve(provider6(0), silent=True)
        for life in range(12):
            await killed_after(street, 3 + 5 * life)
            await trio.sleep(5)
            assert street.preferred() == had
        assert taken_back(street, POOLS[0]) == []
