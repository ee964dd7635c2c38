"""A router that is killed (-9) at one certain output: what its disk held at that moment is what the next life finds.

The process cannot really be killed inside a test, so its ghost goes on: it writes to a folder that nobody looks at any
more, and neither the wire nor the host hears it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import trio

from routerd.endpoints import Endpoints, Frame, Marking, PacketEndpoint, Tap
from routerd.events.log import inline
from routerd.host import Change, Clock, Host, Notice, Snapshot
from routerd.nurseries.system import System
from tests.router.rig import Rig


@attrs.define(eq=False)
class Mortal:
    """Counts what the router does to disk, wire and host, and kills it right after number `last`."""

    rig: Rig
    last: float = float("inf")
    outputs: int = 0
    dead: trio.Event = attrs.field(factory=trio.Event)

    def hold(self, system: System) -> System:
        """For `Rig.live`."""
        host = _Host(self, system.host, system.host.name, system.host.clock)
        endpoints = _Endpoints(self, system.endpoints)
        return attrs.evolve(system, host=host, endpoints=endpoints, run_sync=self.run_sync)

    def count(self) -> None:
        """It has put something out."""
        if not self.alive:
            return
        self.outputs += 1
        if self.outputs == self.last:
            left = self.rig.state_dir
            self.rig.state_dir = left.with_name(f"{left.name}-{self.outputs}")
            shutil.copytree(left, self.rig.state_dir)
            self.rig.config = self.rig.config_path.read_text()
            self.dead.set()

    @property
    def alive(self) -> bool:
        """The ghost is not."""
        return not self.dead.is_set()

    async def run_sync(self, function: Any, *args: Any, **_: Any) -> Any:
        """What the disk is asked to do."""
        answer = await inline(function, *args)
        self.count()
        return answer


@attrs.define(eq=False)
class _Host:
    _mortal: Mortal
    _host: Host
    name: str
    clock: Clock

    async def observe(self) -> Snapshot:
        return await self._host.observe()

    async def apply(self, change: Change) -> None:
        await trio.lowlevel.checkpoint()
        if self._mortal.alive:
            await self._host.apply(change)
            self._mortal.count()

    def watch(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Notice]]:
        return self._host.watch()


@attrs.frozen(eq=False)
class _Packet:
    _mortal: Mortal
    _packet: PacketEndpoint

    async def send(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self._mortal.alive:
            await self._packet.send(frame)
            self._mortal.count()

    async def receive(self) -> Frame:
        return await self._packet.receive()


@attrs.frozen(eq=False)
class _Udp:
    """Of either version."""

    _mortal: Mortal
    _udp: Any

    async def send(self, *packet: Any) -> None:
        await trio.lowlevel.checkpoint()
        if self._mortal.alive:
            await self._udp.send(*packet)
            self._mortal.count()

    async def receive(self) -> Any:
        return await self._udp.receive()


@attrs.frozen(eq=False)
class _Endpoints:
    _mortal: Mortal
    _endpoints: Endpoints

    @asynccontextmanager
    async def open_packet(self, index: int, name: str, tap: Tap, marking: Marking) -> AsyncIterator[PacketEndpoint]:
        async with self._endpoints.open_packet(index, name, tap, marking) as packet:
            yield _Packet(self._mortal, packet)

    @asynccontextmanager
    async def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Udp]:
        async with self._endpoints.open_dhcpv4(index, name, marking) as udp:
            yield _Udp(self._mortal, udp)

    @asynccontextmanager
    async def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Udp]:
        async with self._endpoints.open_dhcpv6(index, name, marking) as udp:
            yield _Udp(self._mortal, udp)

    @asynccontextmanager
    async def open_ndp(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Udp]:
        async with self._endpoints.open_ndp(index, name, marking) as icmp:
            yield _Udp(self._mortal, icmp)
