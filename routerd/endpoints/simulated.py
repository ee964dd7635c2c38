"""Endpoints on the links of a simulated world: the third twin of `packet_linux` and `udp`.

A tap hears what its link receives from the segment and never what itself sends. UDP finds its neighbours by what
the segment knows; nobody speaks ARP for it (`routerd.sim.packets`). DSCP is written into UDP's packets, PCP
nowhere: simulated links carry no VLAN tags.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

import attrs
import trio

from routerd.endpoints import Datagram, Datagram6, Frame, Icmpv6, Marking, Tap
from routerd.sim import packets6
from routerd.sim.packets import is_arp, is_dhcpv4, received_datagram, send_datagram
from routerd.sim.world import World

QUEUE = 256
"""Frames or datagrams that a socket keeps for a slow reader; what comes beyond is lost, as in a kernel."""

CLIENT_PORT6 = 546
NDP_TYPES = range(133, 137)

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


@attrs.frozen
class _Udp6:
    _world: World
    _index: int
    _dscp: int
    _datagrams: trio.MemoryReceiveChannel[Datagram6]

    async def send(self, payload: bytes, source: IPv6Address, destination: IPv6Address, port: int) -> None:
        await trio.lowlevel.checkpoint()
        datagram = packets6.datagram(packets6.Udp6(CLIENT_PORT6, port, payload))
        packet = packets6.Packet6(source, destination, packets6.UDP, datagram, 1, self._dscp)
        packets6.send(self._world, self._index, packet)

    async def receive(self) -> Datagram6:
        return await self._datagrams.receive()


@attrs.frozen
class _Ndp:
    _world: World
    _index: int
    _dscp: int
    _messages: trio.MemoryReceiveChannel[Icmpv6]

    async def send(self, payload: bytes, source: IPv6Address, target: IPv6Address) -> None:
        await trio.lowlevel.checkpoint()
        packet = packets6.Packet6(source, target, packets6.ICMPV6, payload, dscp=self._dscp)
        packets6.send(self._world, self._index, packet)

    async def receive(self) -> Icmpv6:
        return await self._messages.receive()


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

    @asynccontextmanager
    async def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Udp6]:
        """UDP port 546 on the link of this index."""
        keep, datagrams = trio.open_memory_channel[Datagram6](QUEUE)

        def hear(data: bytes, now: float) -> None:
            packet = packets6.received(self._world, index, data)
            found = None if packet is None else packets6.read_datagram(packet)
            if packet is not None and found is not None and found.target_port == CLIENT_PORT6:
                _put(keep, Datagram6(found.payload, packet.source, found.source_port, packet.target))

        with keep, datagrams, self._world.listen(index, hear):
            yield _Udp6(self._world, index, marking.dscp, datagrams)

    @asynccontextmanager
    async def open_ndp(self, index: int, name: str, marking: Marking) -> AsyncIterator[_Ndp]:
        """Neighbor Discovery on the link of this index."""
        keep, messages = trio.open_memory_channel[Icmpv6](QUEUE)

        def hear(data: bytes, now: float) -> None:
            packet = packets6.received(self._world, index, data)
            if packet is not None and packet.next_header == packets6.ICMPV6 and packet.payload[0] in NDP_TYPES:
                _put(keep, Icmpv6(packet.payload, packet.source, packet.target, packet.hop_limit))

        with keep, messages, self._world.listen(index, hear):
            yield _Ndp(self._world, index, marking.dscp, messages)


def _put(channel: trio.MemorySendChannel[T], value: T) -> None:
    try:
        channel.send_nowait(value)
    except trio.WouldBlock:
        return
