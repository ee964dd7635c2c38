"""The simulated host does what every host does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

import pytest
import trio
from trio.testing import MockClock

from routerd.host import Address, ClockStep, Host, Route
from routerd.host.simulated import SimulatedHost, open_host
from routerd.sim.world import World
from tests.host.suite import *  # noqa: F403
from tests.host.suite import MAC, Stage


class SimulatedStage:
    """The hands of world and operator in memory."""

    def __init__(self, world: World, host: SimulatedHost) -> None:
        self._world = world
        self._host = host

    @asynccontextmanager
    async def open_host(self) -> AsyncIterator[Host]:
        yield self._host

    def add_link(self, name: str, mac: bytes = MAC) -> None:
        self._world.add_link(name, "street", mac)

    def delete_link(self, name: str) -> None:
        self._world.remove_link(name)

    def rename_link(self, name: str, new_name: str) -> None:
        self._world.set_link(name, name=new_name)

    def set_link(self, name: str, up: bool) -> None:
        self._world.set_link(name, admin_up=up)

    def pull_cable(self, name: str) -> None:
        self._world.pull_cable(name)

    def plug(self, name: str) -> None:
        self._world.plug(name)

    def add_address(self, link: str, address: str) -> None:
        self._host.put_address(Address(self._world.link(link).index, ip_interface(address), ours=False))

    def delete_address(self, link: str, address: str) -> None:
        self._host.remove_address(Address(self._world.link(link).index, ip_interface(address)))

    def have_elsewhere(self, link: str, address: str) -> None:
        self._host.elsewhere.add(ip_interface(address).ip)

    def have_nowhere(self, link: str, address: str) -> None:
        self._host.elsewhere.remove(ip_interface(address).ip)

    def add_route(self, destination: str, gateway: str, link: str) -> None:
        index = self._world.link(link).index
        self._host.put_route(Route(ip_network(destination), index, ip_address(gateway), ours=False))

    def delete_route(self, destination: str, gateway: str, link: str) -> None:
        index = self._world.link(link).index
        self._host.remove_route(Route(ip_network(destination), index, ip_address(gateway)))


@pytest.fixture
async def host(nursery: trio.Nursery) -> AsyncIterator[SimulatedHost]:
    world = World()
    nursery.start_soon(world.run)
    async with open_host(world, ipv6=True) as host:
        yield host


@pytest.fixture
async def stage(host: SimulatedHost) -> Stage:
    return SimulatedStage(host.world, host)


@pytest.mark.req("C2")
@pytest.mark.req("C2", "breaks")
async def test_setting_the_wall_clock_moves_no_deadline(host: SimulatedHost, autojump_clock: MockClock) -> None:
    clock = host.simulated_clock
    start, wall = clock.now(), clock.wall()
    async with clock.steps() as steps:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.sleep_until, start + 100)
            for years in (10, -20):
                await trio.testing.wait_all_tasks_blocked()
                clock.step_wall(years * 365.25 * 86400)
        assert clock.now() == pytest.approx(start + 100)
        assert clock.wall() - wall == pytest.approx((-10 * 365.25 * 86400 + 100) * 1e9)
        assert [await steps.receive() for _ in range(2)] == [
            ClockStep(years * 365.25 * 86400, 0.0) for years in (10, -20)
        ]


async def test_a_sleeper_wakes_in_time_though_the_host_slept(host: SimulatedHost, autojump_clock: MockClock) -> None:
    clock = host.simulated_clock
    start, began = clock.now(), trio.current_time()
    async with clock.steps() as steps, trio.open_nursery() as nursery:
        nursery.start_soon(clock.sleep_until, start + 3600)
        await trio.testing.wait_all_tasks_blocked()
        clock.suspend(3000)
        assert await steps.receive() == ClockStep(0.0, 3000)
    assert clock.now() == pytest.approx(start + 3600)
    assert trio.current_time() - began == pytest.approx(600)


async def test_a_slow_reader_of_steps_gets_their_sum(host: SimulatedHost) -> None:
    clock = host.simulated_clock
    async with clock.steps() as steps:
        for _ in range(8):
            clock.step_wall(1)
        clock.suspend(5)
        assert await steps.receive() == ClockStep(8.0, 5.0)


async def test_the_world_knows_which_addresses_the_router_has(host: SimulatedHost, stage: Stage) -> None:
    stage.add_link("wan0")
    stage.add_address("wan0", "192.0.2.10/24")
    index = host.world.link("wan0").index
    assert (await host.observe()).addresses
    assert host.world.owns(index, IPv4Address("192.0.2.10"))
    assert not host.world.owns(index, IPv4Address("192.0.2.11"))
    assert not host.world.owns(index + 1, IPv4Address("192.0.2.10"))


async def test_a_host_that_slept_past_a_lifetime_has_lost_the_address(host: SimulatedHost, stage: Stage) -> None:
    stage.add_link("wan0")
    host.put_address(Address(host.world.link("wan0").index, ip_interface("192.0.2.10/24"), True, host.clock.now() + 60))
    host.simulated_clock.suspend(100)
    await trio.testing.wait_all_tasks_blocked()
    assert host.snapshot().addresses == ()
