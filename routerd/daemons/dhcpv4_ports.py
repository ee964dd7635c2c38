"""The sockets of one DHCPv4 client on one link: bytes in become inputs, `Send` and `SendArp` become bytes.

What is open follows what the machine's state listens to (V4-38): the UDP socket on port 68 always, so that the
kernel sends no ICMP port-unreachable; the raw taps only while a state needs them, because a raw tap taxes
every packet of the link.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Collection

import trio

from routerd.daemons.named_link import DELETED
from routerd.endpoints import DatagramEndpoint, Endpoints, Marking, PacketEndpoint, Tap
from routerd.host import Link
from routerd.protocols.arp import wire as arp_wire
from routerd.protocols.dhcpv4 import frame as dhcp_frame
from routerd.protocols.dhcpv4 import wire as dhcp_wire
from routerd.protocols.dhcpv4.inputs import Input, Received, ReceivedArp
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, CLIENT_PORT, SERVER_PORT
from routerd.protocols.dhcpv4.outputs import Send, SendArp
from routerd.protocols.malformed import Malformed

ETHERNET_BROADCAST = b"\xff" * 6

Deliver = Callable[[Input], None]
Drop = Callable[[str], None]


class Ports:
    """Open for one identity of a link (index and MAC); a new identity gets new ports (C14)."""

    def __init__(self, endpoints: Endpoints, link: Link, marking: Marking, deliver: Deliver, drop: Drop) -> None:
        self._endpoints = endpoints
        self._link = link
        self._marking = marking
        self._deliver = deliver
        self._drop = drop
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[str, trio.CancelScope] = {}
        self._taps: dict[str, PacketEndpoint] = {}
        self._udp: DatagramEndpoint | None = None
        self._identification = itertools.count(1)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the sockets until `close`, cancellation, or the link's end. Raises OSError when we may not."""
        opening = self._endpoints.open_dhcpv4(self._link.index, self._link.name, self._marking)
        async with opening as self._udp:
            try:
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._read_udp, self._udp)
                    task_status.started()
            except* OSError as group:
                if group.split(_is_gone)[1] is not None:
                    raise
            finally:
                self._udp = self._nursery = None

    def close(self) -> None:
        """End `run`."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def listen(self, taps: Collection[str]) -> None:
        """From now on these taps are open and no others: an answer to what is sent next will be seen.
        Raises OSError."""
        await trio.lowlevel.checkpoint()
        if self._nursery is None:
            raise _gone()
        for tap in sorted(self._scopes.keys() - set(taps)):
            self._scopes.pop(tap).cancel()
        for tap in sorted(set(taps) - self._scopes.keys()):
            self._scopes[tap] = await self._nursery.start(self._hold, tap)

    async def send(self, output: Send) -> None:
        """Put a DHCP message on the link. Raises OSError."""
        payload = dhcp_wire.encode(output.message)
        if output.source is not None:
            if self._udp is None:
                raise _gone()
            await self._udp.send(payload, output.source, output.to, SERVER_PORT)
            return
        frame = dhcp_frame.pack(
            payload,
            source_mac=self._link.mac,
            target_mac=ETHERNET_BROADCAST,
            source=ANY,
            target=output.to,
            source_port=CLIENT_PORT,
            target_port=SERVER_PORT,
            dscp=self._marking.dscp,
            identification=next(self._identification) & 0xFFFF,
        )
        await self._send_raw("dhcpv4", frame)

    async def send_arp(self, output: SendArp) -> None:
        """Put an ARP packet on the link. Raises OSError."""
        frame = arp_wire.pack_frame(output.packet, source_mac=self._link.mac, target_mac=output.to)
        await self._send_raw("arp", frame)

    async def _send_raw(self, tap: Tap, frame: bytes) -> None:
        endpoint = self._taps.get(tap)
        if endpoint is not None:
            await endpoint.send(frame)
            return
        # A state may send raw without listening (a DECLINE, an announcement): then a tap just for this frame.
        async with self._endpoints.open_packet(self._link.index, self._link.name, tap, self._marking) as passing:
            await passing.send(frame)

    async def _hold(self, tap: Tap, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            async with self._endpoints.open_packet(self._link.index, self._link.name, tap, self._marking) as endpoint:
                self._taps[tap] = endpoint
                try:
                    task_status.started(scope)
                    await self._read_raw(tap, endpoint)
                finally:
                    if self._taps.get(tap) is endpoint:  # else it was opened again before this end of it came
                        del self._taps[tap]

    async def _read_udp(self, udp: DatagramEndpoint) -> None:
        while True:
            datagram = await udp.receive()
            if "dhcpv4" in self._taps:
                continue  # the raw tap sees it too, and sees it with its Ethernet header: one copy is enough
            message = dhcp_wire.decode(datagram.payload)
            if isinstance(message, Malformed):
                self._drop(message.reason)
                continue
            unicast = datagram.destination != BROADCAST
            self._deliver(Received(message, datagram.source, datagram.source_port, unicast))

    async def _read_raw(self, tap: Tap, endpoint: PacketEndpoint) -> None:
        while True:
            frame = await endpoint.receive()
            if frame.ours:
                continue  # our own frame, looped back: neither a conflict nor an answer (ARP-3)
            event = _dhcp(frame.data, frame.checksum_valid is True) if tap == "dhcpv4" else _arp(frame.data)
            if isinstance(event, Malformed):
                self._drop(event.reason)
            else:
                self._deliver(event)


def _dhcp(data: bytes, checksum_known_good: bool) -> Received | Malformed:
    packet = dhcp_frame.unpack(data, checksum_known_good=checksum_known_good)
    if isinstance(packet, Malformed):
        return packet
    message = dhcp_wire.decode(packet.payload)
    if isinstance(message, Malformed):
        return message
    return Received(message, packet.source, packet.source_port, packet.destination != BROADCAST)


def _arp(data: bytes) -> ReceivedArp | Malformed:
    packet = arp_wire.unpack_frame(data)
    return packet if isinstance(packet, Malformed) else ReceivedArp(packet)


def _gone() -> OSError:
    return OSError(errno.ENODEV, "the interface is gone")


def _is_gone(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in DELETED
