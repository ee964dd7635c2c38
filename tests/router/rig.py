"""A whole router on a simulated host under a fake clock: world, provider, `run_router`, and what a test asks of it."""

from __future__ import annotations

import bisect
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from routerd.config import load
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.events.log import Retention, inline, open_log
from routerd.events.types import Ref, StoredEvent
from routerd.host.simulated import SimulatedHost, open_host
from routerd.nurseries.options import Options
from routerd.nurseries.root import run_router
from routerd.nurseries.system import System
from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_hostile import Hostile
from routerd.sim.dhcpv4_server import Server, Settings, addresses
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.world import World
from tests.api.client import Answer, control, fetch

CLIENT = Ref("DHCPv4Client", "wan")
GATEWAY, GATEWAY_MAC = IPv4Address("203.0.113.1"), bytes.fromhex("02005e711301")
NEIGHBOUR_MAC = bytes.fromhex("02005e7113ee")
LINE = "line"
LEASED, DEFAULT = "203.0.113.50/24", "0.0.0.0/0 via 203.0.113.1"
"""What the provider's first customer gets."""

Reload = Callable[[], Awaitable[None]]

WAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: eth0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: wan}
      spec: {interface: wan%s}
"""


def document(*resources: str) -> str:
    """A configuration with these resources."""
    head = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: test}\nspec:\n  resources:\n"
    return head + "".join(resources)


def provider(lease_time: int = 3600, **changes: Any) -> Settings:
    """An ordinary provider."""
    settings = Settings(
        server_id=GATEWAY,
        subnet=IPv4Network("203.0.113.0/24"),
        first=IPv4Address("203.0.113.50"),
        last=IPv4Address("203.0.113.99"),
        lease_time=lease_time,
        options={3: GATEWAY.packed, 6: addresses("203.0.113.53")},
    )
    return attrs.evolve(settings, **changes)


@attrs.define(eq=False)
class Rig:
    """See the module. `world`, `host`, `server` outlive the router's lives: `live` runs one of them. `hostile` is what
    the server's answers go through, honest to begin with; `sent` is when the router has put a frame on the line,
    `ended` that a life has ended by itself."""

    directory: Path
    seed: int = 0
    config: str = attrs.field(factory=lambda: document(WAN % ""))
    world: World = attrs.field(init=False)
    host: SimulatedHost = attrs.field(init=False)
    server: Server = attrs.field(init=False)
    hostile: Hostile = attrs.field(init=False)
    neighbour: Neighbour = attrs.field(init=False)
    sent: list[float] = attrs.field(init=False, factory=list)
    state_dir: Path = attrs.field(init=False)
    lives: int = 0
    ended: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.world = World(self.seed)
        self.state_dir = self.directory / "state"

    @property
    def config_path(self) -> Path:
        return self.directory / "router.yaml"

    @property
    def run_dir(self) -> Path:
        """Of the life that runs."""
        return self.directory / f"run{self.lives}"

    def _see(self, frame: bytes, now: float) -> None:
        if frame[6:12] not in (GATEWAY_MAC, NEIGHBOUR_MAC):
            self.sent.append(now)

    @asynccontextmanager
    async def surroundings(self, lease_time: int = 3600, links: tuple[str, ...] = ("eth0",)) -> AsyncIterator[None]:
        """The world with a provider on the first link; time runs while this is open."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.server = Server(provider(lease_time))
        self.hostile = Hostile(self.server, random.Random(self.seed), mode=None)
        segment = self.world.segment(LINE)
        segment.witness(self._see)
        Dhcpv4Station(segment, GATEWAY_MAC, GATEWAY, self.hostile)
        Neighbour(segment, GATEWAY_MAC, [GATEWAY])
        self.neighbour = Neighbour(segment, NEIGHBOUR_MAC, defends=True)
        for number, name in enumerate(links):
            self.world.add_link(name, LINE if number == 0 else f"segment {number}")
        async with open_host(self.world) as self.host, trio.open_nursery() as nursery:
            nursery.start_soon(self.world.run)
            yield
            nursery.cancel_scope.cancel()

    def plug_in_another_provider(self, ifname: str) -> None:
        """An honest one, on the segment of this further link."""
        number = [link.name for link in self.world.links].index(ifname)
        segment = self.world.segment(f"segment {number}")
        Dhcpv4Station(segment, GATEWAY_MAC, GATEWAY, Server(provider()))
        Neighbour(segment, GATEWAY_MAC, [GATEWAY])

    def system(self) -> System:
        """The simulated host and line, for the life that runs."""
        rng = random.Random(f"{self.seed} {self.lives}")
        return System(self.host, SimulatedEndpoints(self.world), run_sync=inline, rng=rng)

    @asynccontextmanager
    async def live(self, hold: Callable[[System], System] = lambda system: system) -> AsyncIterator[Reload]:
        """One life of the router, ended as by SIGTERM's cancellation. Gives what SIGHUP calls. `hold` may put
        something between the router and its system."""
        self.lives += 1
        self.config_path.write_text(self.config)
        self.run_dir.mkdir()
        options = Options(self.config_path, self.run_dir, self.state_dir, gauge_interval=86400.0)
        system = hold(self.system())
        router = load(self.config, str(self.config_path))
        up, self.ended = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await run_router(options, router, system, ready=up.set)
                self.ended.set()

            nursery.start_soon(run)
            await up.wait()

            async def hang_up() -> None:
                signal.raise_signal(signal.SIGHUP)
                await trio.lowlevel.checkpoint()

            yield hang_up
            nursery.cancel_scope.cancel()

    async def ask(self, path: str, **query: object) -> Answer:
        """What an operator is told: a GET of the control API on the status socket."""
        return await fetch(str(self.run_dir / "routerd-status.sock"), control(path, **query))

    async def unready(self) -> list[str]:
        """What /readyz finds wrong."""
        answer = await fetch(str(self.run_dir / "routerd-status.sock"), "/readyz")
        failed = [f"{check['name']}: {check['detail']}" for check in answer.json.get("checks", ())]
        assert answer.status == (503 if failed else 200)
        return failed

    async def status_of(self, target: str) -> dict[str, Any]:
        """The status of `Kind/name`, as the API tells it."""
        answer = await self.ask("/describe", target=target)
        status: dict[str, Any] = answer.json["resource"]["status"]
        return status

    async def events(self) -> list[StoredEvent]:
        """Every event on disk, read when no router runs."""
        path, clock = self.state_dir / "routerd.db", self.host.clock.wall
        async with open_log(path, clock_ns=clock, run_sync=inline, retention=Retention(max_age=1e9)) as log:
            page = await log.read(0, limit=10**9)
        return list(page.events)

    def addresses(self, ifname: str = "eth0") -> list[str]:
        """The IPv4 addresses of a link, as the host has them."""
        index = self.world.link(ifname).index
        return [str(a.address) for a in self.host.snapshot().addresses if a.link == index and a.address.version == 4]

    def routes(self) -> list[str]:
        """Our own routes."""
        return [f"{r.destination} via {r.gateway}" for r in self.host.snapshot().routes if r.ours]


async def until(holds: Callable[[], bool], within: float = 300.0) -> None:
    """Wait in virtual time until `holds()`. Fails after `within` seconds."""
    with trio.fail_after(within):
        while not holds():  # noqa: ASYNC110  (what a test waits for has no event of its own)
            await trio.sleep(0.05)


def topics(events: list[StoredEvent], prefix: str = "routerd.dhcpv4.client.") -> list[str]:
    """The topics of a prefix, without it, in order."""
    return [e.event.topic.removeprefix(prefix) for e in events if e.event.topic.startswith(prefix)]


def busiest_minute(moments: Sequence[float]) -> int:
    """The most of them that lie within any minute; in order."""
    return max((n + 1 - bisect.bisect_left(moments, at - 60) for n, at in enumerate(moments)), default=0)


def crashes(events: Sequence[StoredEvent], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything that went wrong and is our own fault."""
    told = [e.event.message for e in events if e.event.topic == "routerd.daemon.lifecycle.crashed"]
    return told + [record.getMessage() for record in caplog.records if record.exc_info is not None]
