"""Opens the system underneath. The one place that knows which systems there are; `__main__` chooses."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

from routerd.config import Router
from routerd.endpoints import Endpoints
from routerd.events.writer import Runner
from routerd.host import Host
from routerd.resources.net import DHCPv4Client, Interface
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
)

KINDS6: tuple[type[Any], ...] = (DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information, IPv6RAAddress)
"""What makes of a link one on which a simulated provider is in IPv6."""
SEED = 0
"""Of the simulated world: each run of it is the same."""


@attrs.frozen
class System:
    """A host and the endpoints on its links. `companions` run beside the router: the simulated world."""

    host: Host
    endpoints: Endpoints
    companions: tuple[Callable[[], Awaitable[None]], ...] = ()
    run_sync: Runner = trio.to_thread.run_sync
    """Runs what blocks on the disk: in threads, but for simulations on an autojump clock (`events.log.inline`)."""
    rng: random.Random = attrs.field(factory=random.SystemRandom)
    """All randomness of the protocols."""


@asynccontextmanager
async def open_linux() -> AsyncIterator[System]:
    """This Linux host. Raises OSError (not permitted)."""
    from routerd.endpoints.linux import LinuxEndpoints
    from routerd.host.linux.host import open_host

    async with open_host() as host:
        yield System(host, LinuxEndpoints())


@asynccontextmanager
async def open_simulated(router: Router, narrate: Callable[[str], None]) -> AsyncIterator[System]:
    """A host in memory that has every interface of `router`, and a provider on each that has a client: of DHCPv4, of
    DHCPv6, or of routers' advertisements; on each on which the router advertises itself there is a host. `narrate`
    hears what they do, and who it is: `isp`, or the name of the interface."""
    from routerd.endpoints.simulated import SimulatedEndpoints
    from routerd.host.simulated import open_host
    from routerd.sim.household import run_household
    from routerd.sim.isp import run_isp
    from routerd.sim.world import World

    world = World(SEED)
    lines = {client.spec.interface for client in router.of(DHCPv4Client)}
    lines6 = {client.spec.interface for kind in KINDS6 for client in router.of(kind)}
    lans = {advertiser.spec.interface for advertiser in router.of(IPv6RouterAdvertisement)}
    companions: list[Callable[[], Awaitable[None]]] = [world.run]
    async with open_host(world, ipv6=True) as host:
        host.simulated_clock.boot_id = str(uuid.uuid4())  # nothing of it is older than this process
        host.simulated_clock.step_wall((time.time_ns() - host.clock.wall()) / 1e9)
        for interface in router.of(Interface):
            segment = f"segment of {interface.name}"
            world.add_link(interface.spec.ifname, segment)
            if interface.name in lines:
                companions.append(partial(run_isp, world, segment, partial(_say, narrate, "isp")))
            if interface.name in lines6:
                from routerd.sim.isp6 import run_isp6  # a provider of DHCPv6 is as much to load as a client

                companions.append(partial(run_isp6, world, segment, partial(_say, narrate, "isp")))
            if interface.name in lans:
                companions.append(partial(run_household, world, segment, partial(_say, narrate, interface.name)))
        yield System(host, SimulatedEndpoints(world), tuple(companions))


def _say(narrate: Callable[[str], None], who: str, sentence: str) -> None:
    narrate(f"{who}: {sentence}")
