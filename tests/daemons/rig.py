"""One managed DHCPv4 client alone: a simulated link with a server on it, a real log, a supervisor, no controllers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.plane import CommandEnd
from routerd.daemons.dhcpv4_client import DHCPv4Daemon, dhcpv4_daemon
from routerd.daemons.dhcpv4_settings import ClientSpec
from routerd.daemons.face import Face
from routerd.daemons.given import Given
from routerd.endpoints import Marking
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.host.simulated import SimulatedHost, open_host
from routerd.resources.net import DHCPv4Client
from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_server import Server
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.world import World
from tests.daemons.scene import WAN, living
from tests.router.rig import GATEWAY, GATEWAY_MAC, LINE, provider, until

DHCP = "routerd.dhcpv4.client."


@attrs.define
class Endpoints:
    """Those of the simulation; notes which taps are open, and fails or dawdles where a test wants it."""

    inner: SimulatedEndpoints
    taps: list[str] = attrs.field(factory=list)
    opened: list[str] = attrs.field(factory=list)
    before_open: Callable[[str], None] = lambda what: None
    before_send: Callable[[str], None] = lambda what: None
    slow: float = 0.0
    sends_take: float = 0.0

    @asynccontextmanager
    async def open_packet(self, index: int, name: str, tap: Any, marking: Marking) -> AsyncIterator[Any]:
        self.before_open(tap)
        async with self.inner.open_packet(index, name, tap, marking) as endpoint:
            self.taps.append(tap)
            try:
                yield _Sending(self, tap, endpoint)
            finally:
                self.taps.remove(tap)

    @asynccontextmanager
    async def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AsyncIterator[Any]:
        await trio.sleep(self.slow)
        self.before_open("udp")
        self.opened.append(name)
        async with self.inner.open_dhcpv4(index, name, marking) as endpoint:
            yield _Sending(self, "udp", endpoint)


@attrs.define
class _Sending:
    endpoints: Endpoints
    what: str
    inner: Any

    async def send(self, *packet: Any) -> None:
        self.endpoints.before_send(self.what)
        await trio.sleep(self.endpoints.sends_take)
        await self.inner.send(*packet)

    async def receive(self) -> Any:
        return await self.inner.receive()


CRASHED = "routerd.daemon.lifecycle.crashed"


@attrs.define(eq=False)
class Rig:
    """See the module."""

    directory: Path
    world: World
    host: SimulatedHost
    server: Server
    endpoints: Endpoints
    log: Log
    run_sync: Runner = inline
    generation: int = 1
    incidents: Incidents = attrs.field(factory=Incidents)
    began: int = 0
    reloads: list[str | None] = attrs.field(factory=list)
    """What the next reloads come to; then None for ever."""
    daemon: DHCPv4Daemon = attrs.field(init=False)

    def make(self, ifname: str = "eth0", **spec: Any) -> DHCPv4Daemon:
        """A client; `live` runs it."""
        given = Given(
            host=self.host,
            endpoints=self.endpoints,
            log=self.log,
            incidents=self.incidents,
            began=lambda: self.began,
            state_dir=self.directory,
            generation=lambda: self.generation,
            reload=self._reload,
            run_sync=self.run_sync,
            rng=random.Random(7),
        )
        self.daemon = dhcpv4_daemon("wan", ClientSpec(DHCPv4Client("wan", **spec), ifname), given)
        return self.daemon

    @property
    def face(self) -> Face:
        """Of the daemon."""
        return self.daemon.faces[0]

    async def _reload(self, actor: str, cause: int) -> str | None:
        await trio.sleep(1)
        return self.reloads.pop(0) if self.reloads else None

    def live(self, ifname: str = "eth0", **spec: Any) -> AbstractAsyncContextManager[Callable[[], None]]:
        """A client's life, supervised, until the block ends or what it gives is called: then it says goodbye."""
        daemon = self.make(ifname, **spec)
        return living(daemon.run, self._crashed)

    async def _crashed(self, error: str, crashes: int, delay: float) -> None:
        [event_id] = await self.log.append(Event(CRASHED, "error", "CrashLoop", error, WAN))
        await self.daemon.crashed(error, event_id)

    async def bound(self) -> None:
        await until(lambda: self.status.get("phase") == "Bound")

    @property
    def status(self) -> Status:
        stored = self.log.objects.get(WAN)
        return stored.status if stored is not None else {}

    async def command(self, name: str, wait: float = 10.0) -> CommandEnd:
        return await self.face.command(name, {}, wait, "tester")

    async def events(self) -> list[Event]:
        page = await self.log.read(0, limit=100_000)
        return [stored.event for stored in page.events]

    async def topics(self, prefix: str = DHCP) -> list[str]:
        return [e.topic.removeprefix(prefix) for e in await self.events() if e.topic.startswith(prefix)]

    async def phases(self) -> list[str]:
        """Every phase that the client was seen in, in order."""
        changes = [e for e in await self.events() if e.topic == "routerd.resource.status.changed"]
        seen = [e.attributes["phase"] for e in changes]
        return [phase for n, phase in enumerate(seen) if n == 0 or seen[n - 1] != phase]


@asynccontextmanager
async def rigged(directory: Path, *, links: tuple[str, ...] = ("eth0",), lease_time: int = 3600) -> AsyncIterator[Rig]:
    """A world in which time runs, with a provider on the cable of every link. The router has every address that a
    frame names: there are no controllers here that would put one."""
    world = World()
    server = Server(provider(lease_time))
    segment = world.segment(LINE)
    Dhcpv4Station(segment, GATEWAY_MAC, GATEWAY, server)
    Neighbour(segment, GATEWAY_MAC, [GATEWAY])
    for name in links:
        world.add_link(name, LINE, admin_up=True)
    async with (
        open_host(world) as host,
        open_log(directory / "routerd.db", clock_ns=host.clock.wall, run_sync=inline) as log,
        trio.open_nursery() as nursery,
    ):
        world.owns = lambda index, address: True
        nursery.start_soon(world.run)
        yield Rig(directory, world, host, server, Endpoints(SimulatedEndpoints(world)), log)
        nursery.cancel_scope.cancel()


async def at_once(*acts: Callable[[], Awaitable[Any]]) -> list[Any]:
    """All of them side by side; what each comes to."""
    ends: list[Any] = [None] * len(acts)

    async def run(place: int, act: Callable[[], Awaitable[Any]]) -> None:
        ends[place] = await act()

    async with trio.open_nursery() as nursery:
        for place, act in enumerate(acts):
            nursery.start_soon(run, place, act)
    return ends
