"""One managed daemon of router advertisements alone: a simulated link with a router or a host on it, a real log."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.daemons.face import Face
from routerd.daemons.given import Given
from routerd.daemons.ndp_daemon import NdpDaemon
from routerd.daemons.ra_client import RAClient
from routerd.daemons.ra_client_report import ClientSpec
from routerd.daemons.ra_server import RAServer
from routerd.daemons.ra_server_report import ServerSpec
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.host.simulated import SimulatedHost, open_host
from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.message import NameServers, Prefix, RouterAdvertisement
from routerd.resources.net6 import IPv6RAAddress, IPv6RouterAdvertisement
from routerd.shapes.duration import Duration
from routerd.sim.ra_router import RaRouter
from routerd.sim.slaac_host import SlaacHost
from routerd.sim.world import World
from tests.daemons.scene import living

LINE = "line"
ROUTER, ROUTER_MAC = IPv6Address("fe80::1"), bytes.fromhex("02005e711306")
HOST_MAC = bytes.fromhex("02005e7113aa")
PREFIX, OLD = IPv6Network("2001:db8:ff::/64"), IPv6Network("2001:db8:40:1::/64")
DNS = IPv6Address("2001:db8:53::53")
TOLD = RouterAdvertisement(
    lifetime=1800, prefixes=(Prefix(PREFIX, 3600, 1800),), name_servers=(NameServers((DNS,), 600),)
)
"""What an ordinary provider's router says."""


def announced(*prefixes: IPv6Network, lifetime: int = 1800, **changes: Any) -> Announcement:
    """What a LAN is told: these prefixes, for as long as it may be."""
    return Announcement(tuple(LanPrefix(one) for one in prefixes), lifetime=lifetime, **changes)


@attrs.define(eq=False)
class Rig:
    """See the module."""

    directory: Path
    world: World
    host: SimulatedHost
    log: Log
    run_sync: Runner = inline
    crashes: list[str] = attrs.field(factory=list)
    daemon: NdpDaemon = attrs.field(init=False)
    lives: int = 0

    def router(self, advertisement: RouterAdvertisement | None = TOLD, **changes: Any) -> RaRouter:
        """The provider's, on the line; `open` makes it begin."""
        segment = self.world.segment(LINE)
        return RaRouter(self.world.timeline, segment, ROUTER_MAC, ROUTER, advertisement, **changes)

    def lan_host(self) -> SlaacHost:
        """Somebody on the line who believes what routers say."""
        return SlaacHost(self.world.segment(LINE), HOST_MAC)

    @asynccontextmanager
    async def client(self, **spec: Any) -> AsyncIterator[Callable[[], None]]:
        """The life of a client; what it gives ends it."""
        declared = ClientSpec(IPv6RAAddress("wan", **spec), "eth0")
        part = RAClient(declared, self.directory, self.run_sync, random.Random(self.lives))
        async with self._live(self._make("wan", part)) as end:
            yield end

    @asynccontextmanager
    async def server(self, announcement: Announcement | None = None, **spec: Any) -> AsyncIterator[Callable[[], None]]:
        """The life of a server that is given this to tell."""
        declared = ServerSpec(IPv6RouterAdvertisement("lan", **{"max_interval": Duration(60.0), **spec}), "eth0")
        clock, rng = self.host.clock, random.Random(self.lives)
        daemon = self._make("lan", RAServer("lan", declared, self.directory, clock, self.run_sync, rng))
        async with self._live(daemon) as end:
            if announcement is not None:
                self.announce(announcement)
            yield end

    def announce(self, announcement: Announcement) -> None:
        """Tell this from now on."""
        assert isinstance(self.daemon.part, RAServer)
        self.daemon.part.announce(announcement, self.daemon.put)

    def _make(self, name: str, part: RAClient | RAServer) -> NdpDaemon:
        self.lives += 1
        given = Given(
            host=self.host,
            endpoints=SimulatedEndpoints(self.world),
            log=self.log,
            incidents=Incidents(),
            began=lambda: 0,
            state_dir=self.directory,
            generation=lambda: 1,
            reload=self._reload,
            run_sync=self.run_sync,
            rng=random.Random(self.lives),
        )
        return NdpDaemon(name, "eth0", part, given)

    @property
    def face(self) -> Face:
        """Of the daemon."""
        return self.daemon.faces[0]

    async def _reload(self, actor: str, cause: int) -> str | None:
        await trio.sleep(1)
        return None

    def _live(self, daemon: NdpDaemon) -> AbstractAsyncContextManager[Callable[[], None]]:
        self.daemon = daemon
        return living(daemon.run, self._crashed)

    async def _crashed(self, error: str, crashes: int, delay: float) -> None:
        self.crashes.append(error)
        await self.daemon.crashed(error, 0)

    @property
    def status(self) -> Status:
        """What the daemon says of its resource."""
        stored = self.log.objects.get(self.daemon.resource)
        return stored.status if stored is not None else {}

    async def events(self, prefix: str) -> list[Event]:
        """In order."""
        page = await self.log.read(0, limit=100_000)
        return [stored.event for stored in page.events if stored.event.topic.startswith(prefix)]

    async def because(self, topic: str) -> Event:
        """What the last of them is from."""
        page = await self.log.read(0, limit=100_000)
        told = {stored.id: stored.event for stored in page.events}
        last = [event for event in told.values() if event.topic == topic][-1]
        return told[last.causes[0]]

    async def topics(self, prefix: str) -> list[str]:
        """Without the prefix, in order."""
        return [event.topic.removeprefix(prefix) for event in await self.events(prefix)]


@asynccontextmanager
async def rigged(directory: Path) -> AsyncIterator[Rig]:
    """A world in which time runs, with eth0 on the line."""
    world = World()
    world.add_link("eth0", LINE, admin_up=True)
    async with (
        open_host(world, ipv6=True) as host,
        open_log(directory / "routerd.db", clock_ns=host.clock.wall, run_sync=inline) as log,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(world.run)
        rig = Rig(directory, world, host, log)
        yield rig
        nursery.cancel_scope.cancel()
        assert rig.crashes == []
