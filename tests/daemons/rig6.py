"""One managed DHCPv6 client alone: a simulated link with a server on it, a real log, a supervisor, no controllers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.plane import CommandEnd
from routerd.daemons.dhcpv6_client import DHCPv6Daemon, dhcpv6_daemon
from routerd.daemons.dhcpv6_settings import ClientSpec, Part
from routerd.daemons.face import Face
from routerd.daemons.given import Given
from routerd.endpoints import Marking
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Ref, Status
from routerd.events.writer import Runner
from routerd.host import Address, PutAddress
from routerd.host.simulated import SimulatedHost, open_host
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.message import MessageType
from routerd.resources.net6 import DHCPv6Address, DHCPv6Information, DHCPv6PrefixDelegation
from routerd.sim.dhcpv6_server import Server, Settings
from routerd.sim.dhcpv6_station import Dhcpv6Station
from routerd.sim.world import World
from tests.daemons.scene import living
from tests.router.rig import GATEWAY_MAC, LINE, until

DHCP = "routerd.dhcpv6.client."
PD, NA, INFO = (Ref(kind, "wan") for kind in ("DHCPv6PrefixDelegation", "DHCPv6Address", "DHCPv6Information"))
SERVER = duid_ll(GATEWAY_MAC)
CRASHED = "routerd.daemon.lifecycle.crashed"


@attrs.define
class Endpoints:
    """Those of the simulation; fails or dawdles where a test wants it."""

    inner: SimulatedEndpoints
    opened: list[str] = attrs.field(factory=list)
    before_open: Callable[[], None] = lambda: None
    before_send: Callable[[], None] = lambda: None
    slow: float = 0.0
    sends_take: float = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @asynccontextmanager
    async def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AsyncIterator[Any]:
        await trio.sleep(self.slow)
        self.before_open()
        self.opened.append(name)
        async with self.inner.open_dhcpv6(index, name, marking) as endpoint:
            yield _Sending(self, endpoint)


@attrs.define
class _Sending:
    endpoints: Endpoints
    inner: Any

    async def send(self, *packet: Any) -> None:
        self.endpoints.before_send()
        await trio.sleep(self.endpoints.sends_take)
        await self.inner.send(*packet)

    async def receive(self) -> Any:
        return await self.inner.receive()


def pd(name: str = "wan", **spec: Any) -> Part:
    return Part(Ref("DHCPv6PrefixDelegation", name), DHCPv6PrefixDelegation("wan", **spec))


def na(name: str = "wan", **spec: Any) -> Part:
    return Part(Ref("DHCPv6Address", name), DHCPv6Address("wan", **spec))


def info(name: str = "wan", **spec: Any) -> Part:
    return Part(Ref("DHCPv6Information", name), DHCPv6Information("wan", **spec))


@attrs.define(eq=False)
class Rig:
    """See the module."""

    directory: Path
    world: World
    host: SimulatedHost
    server: Server
    station: Dhcpv6Station
    endpoints: Endpoints
    log: Log
    run_sync: Runner = inline
    generation: int = 1
    incidents: Incidents = attrs.field(factory=Incidents)
    began: int = 0
    lives: int = 0
    daemon: DHCPv6Daemon = attrs.field(init=False)

    def make(self, *parts: Part, ifname: str = "eth0") -> DHCPv6Daemon:
        """A client; `live` runs it."""
        self.lives += 1
        parts = parts or (pd(),)
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
            rng=random.Random(self.lives),
        )
        self.daemon = dhcpv6_daemon(parts[0].ref, ClientSpec("wan", ifname, parts), given)
        return self.daemon

    @property
    def face(self) -> Face:
        """Of the daemon."""
        return self.daemon.faces[0]

    async def _reload(self, actor: str, cause: int) -> str | None:
        await trio.sleep(1)
        return None

    def live(self, *parts: Part, ifname: str = "eth0") -> AbstractAsyncContextManager[Callable[[], None]]:
        """A client's life, supervised, until the block ends or what it gives is called: then it says goodbye."""
        daemon = self.make(*parts, ifname=ifname)
        return living(daemon.run, self._crashed)

    async def _crashed(self, error: str, crashes: int, delay: float) -> None:
        [event_id] = await self.log.append(Event(CRASHED, "error", "CrashLoop", error, PD))
        await self.daemon.crashed(error, event_id)

    async def bound(self, ref: Ref = PD) -> None:
        await until(lambda: self.status_of(ref).get("phase") == "Bound")

    @property
    def status(self) -> Status:
        return self.status_of(PD)

    def status_of(self, ref: Ref) -> Status:
        stored = self.log.objects.get(ref)
        return stored.status if stored is not None else {}

    def order(self, kind: MessageType) -> bytes:
        """The server orders the client to say this: what it sends."""
        octets = self.server.reconfigure(bytes.fromhex(self.status["clientDUID"].replace(":", "")), kind)
        self.send_order(octets)
        return octets

    def send_order(self, octets: bytes) -> None:
        """Such an order, perhaps once more."""
        link = self.world.link("eth0")
        own = (a.address.ip for a in self.host.snapshot().addresses if a.link == link.index)
        mine = next(ip for ip in own if isinstance(ip, IPv6Address) and ip.is_link_local)
        self.station.order(octets, mine, link.mac, self.world.now())

    async def put(self, address: str, **how: Any) -> None:
        """Have this address on the client's interface."""
        index = self.world.link("eth0").index
        await self.host.apply(PutAddress(Address(index, IPv6Interface(address), **how)))

    async def command(self, name: str, wait: float = 15.0) -> CommandEnd:
        return await self.face.command(name, {}, wait, "tester")

    async def events(self) -> list[Event]:
        page = await self.log.read(0, limit=100_000)
        return [stored.event for stored in page.events]

    async def topics(self, prefix: str = DHCP) -> list[str]:
        return [e.topic.removeprefix(prefix) for e in await self.events() if e.topic.startswith(prefix)]

    async def phases(self, ref: Ref = PD) -> list[str]:
        """Every phase that a resource was seen in, in order."""
        changes = [e for e in await self.events() if e.topic == "routerd.resource.status.changed" and e.resource == ref]
        seen = [e.attributes["phase"] for e in changes]
        return [phase for n, phase in enumerate(seen) if n == 0 or seen[n - 1] != phase]


@asynccontextmanager
async def rigged(
    directory: Path, *, links: tuple[str, ...] = ("eth0",), ipv6: bool = True, **settings: Any
) -> AsyncIterator[Rig]:
    """A world in which time runs, with a provider on the cable of every link."""
    world = World()
    server = Server(Settings(SERVER, **settings))
    station = Dhcpv6Station(world.segment(LINE), GATEWAY_MAC, server)
    async with (
        open_host(world, ipv6=ipv6) as host,
        open_log(directory / "routerd.db", clock_ns=host.clock.wall, run_sync=inline) as log,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(world.run)
        for name in links:
            world.add_link(name, LINE, admin_up=True)
        yield Rig(directory, world, host, server, station, Endpoints(SimulatedEndpoints(world)), log)
        nursery.cancel_scope.cancel()
