"""Endpoints on the links of a simulated world: the third twin of `packet_linux` and `udp`.

A tap hears what its link receives from the segment and never what itself sends. UDP finds its neighbours by what
the segment knows; nobody speaks ARP for it (`routerd.sim.packets`). DSCP is written into UDP's packets, PCP
nowhere: simulated links carry no VLAN tags.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import TypeVar

import attrs
import trio

from routerd.endpoints import Datagram, Frame, Marking, Tap
from routerd.sim.packets import is_arp, is_dhcpv4, received_datagram, send_datagram
from routerd.sim.world import World

QUEUE = 256
"""Frames or datagrams that a socket keeps for a slow reader; what comes beyond is lost, as in a kernel."""

T = TypeVar("T")


@attrs.frozen
class _Packet:
    _world: World
    _index: int
    _frames: trio.MemoryReceiveChannel[Frame]

    async def send(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._world.send(self._index, frame)

    async def receive(self) -> Frame:
        return await self._frames.receive()


@attrs.frozen
class _Udp:
    _world: World
    _index: int
    _dscp: int
    _datagrams: trio.MemoryReceiveChannel[Datagram]

    async def send(self, payload: bytes, source: IPv4Address, destination: IPv4Address, port: int) -> None:
        await trio.lowlevel.checkpoint()
        send_datagram(self._world, self._index, payload, source, destination, port, self._dscp)

    async def receive(self) -> Datagram:
        return await self._datagrams.receive()


class SimulatedEndpoints:
    """`routerd.endpoints.Endpoints` in `world`."""

    def __init__(self, world: World) -> None:
        self._world = world

    @asynccontextmanager
    async def open_packet(self, index: int, name: str, tap: Tap, marking: Marking) -> AsyncIterator[_Packet]:
        """A tap on the link of this index; `name` and `marking` are the kernel's business elsewhere."""
        passes = is_arp if tap == "arp" else is_dhcpv4
        keep, frames = trio.open_memory_channel[Frame](QUEUE)

        def hear(data: bytes, now: float) -> None:
            if passes(data):
                _put(keep, Frame(data))

        with keep, frames, self._world.listen(index, hear):
            yield _Packet(self._world, index, frames)

    @asynccontextmanager
    async def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Udp]:
        """UDP port 68 on the link of this index."""
        keep, datagrams = trio.open_memory_channel[Datagram](QUEUE)

        def hear(data: bytes, now: float) -> None:
            found = received_datagram(self._world, index, data)
            if found is not None:
                _put(keep, Datagram(found.payload, found.source, found.source_port, found.destination))

        with keep, datagrams, self._world.listen(index, hear):
            yield _Udp(self._world, index, marking.dscp, datagrams)


def _put(channel: trio.MemorySendChannel[T], value: T) -> None:
    try:
        channel.send_nowait(value)
    except trio.WouldBlock:
        return
