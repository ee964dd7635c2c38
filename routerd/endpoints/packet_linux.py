"""Raw Ethernet on one link of a Linux host: an AF_PACKET socket behind a filter in the kernel.

The filter takes what the kernel itself takes for this link and this host: a frame with the tag of some VLAN reaches
the tap of the link below with its tag already off, but it carries the VLAN's own index or counts as somebody
else's. Sources: packet(7), linux/filter.h, linux/if_packet.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio

from routerd.endpoints import Frame, Marking, Tap
from routerd.endpoints.udp import CLIENT_PORT, SO_PRIORITY, patience, present_name

ETHERTYPE: Final[dict[Tap, int]] = {"dhcpv4": 0x0800, "arp": 0x0806}

SOL_PACKET, PACKET_AUXDATA, SO_ATTACH_FILTER = 263, 8, 26
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
TP_STATUS_CSUMNOTREADY, TP_STATUS_CSUM_VALID = 0x8, 0x80
_AUXDATA = struct.Struct("=IIIHHHH")  # tpacket_auxdata: status, lengths, offsets, VLAN
_LONGEST = 1 << 16
"""Octets of a frame that we take, header included: V4-35 asks for more than 1514."""

# Classic BPF. A step loads a value or compares the one loaded, and drops the frame on a mismatch.
LOAD_WORD, LOAD_HALF, LOAD_BYTE, LOAD_IP_HEADER_LENGTH, LOAD_HALF_BEHIND_IT = 0x20, 0x28, 0x30, 0xB1, 0x48
JUMP_IF_EQUAL, JUMP_IF_ANY_BIT, RETURN = 0x15, 0x45, 0x06
SKF_AD_PKTTYPE, SKF_AD_IFINDEX = 0xFFFFF000 + 4, 0xFFFFF000 + 8
_HEADER: Final = 14
"""Octets of an Ethernet header."""

Step = tuple[int, int, bool]
"""Operation, operand, and whether a comparison that holds drops the frame (rather than one that fails)."""


def _steps(tap: Tap, index: int) -> list[Step]:
    steps: list[Step] = [
        (LOAD_WORD, SKF_AD_IFINDEX, False),
        (JUMP_IF_EQUAL, index, False),
        (LOAD_WORD, SKF_AD_PKTTYPE, False),
        (JUMP_IF_EQUAL, PACKET_OTHERHOST, True),
        (LOAD_HALF, 12, False),
        (JUMP_IF_EQUAL, ETHERTYPE[tap], False),
    ]
    if tap == "dhcpv4":
        steps += [
            (LOAD_BYTE, _HEADER + 9, False),
            (JUMP_IF_EQUAL, socket.IPPROTO_UDP, False),
            (LOAD_HALF, _HEADER + 6, False),
            (JUMP_IF_ANY_BIT, 0x1FFF, True),  # a later fragment has no ports
            (LOAD_IP_HEADER_LENGTH, _HEADER, False),
            (LOAD_HALF_BEHIND_IT, _HEADER + 2, False),
            (JUMP_IF_EQUAL, CLIENT_PORT, False),
        ]
    return steps


def _program(steps: list[Step]) -> bytes:
    """struct sock_filter[]: the steps, then `take`, then `drop`."""
    program = b""
    for place, (operation, operand, drops) in enumerate(steps):
        to_drop = len(steps) - place if operation in (JUMP_IF_EQUAL, JUMP_IF_ANY_BIT) else 0
        program += struct.pack("=HBBI", operation, to_drop if drops else 0, 0 if drops else to_drop, operand)
    return program + struct.pack("=HBBIHBBI", RETURN, 0, 0, _LONGEST, RETURN, 0, 0, 0)


@attrs.frozen
class PacketSocket:
    """`routerd.endpoints.PacketEndpoint`; see `open_packet`."""

    _channel: trio.socket.SocketType
    _index: int
    _name: str

    async def send(self, frame: bytes) -> None:
        """See `PacketEndpoint`."""
        with patience():
            try:
                await self._channel.send(frame)
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                await self._channel.send(frame)  # that was news of the past; this is about now

    async def receive(self) -> Frame:
        """See `PacketEndpoint`."""
        while True:
            try:
                return _frame(await self._channel.recvmsg(_LONGEST, socket.CMSG_SPACE(_AUXDATA.size)))
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
            present_name(self._index, self._name)  # raises if it went down because it was deleted
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_packet(index: int, name: str, tap: Tap, marking: Marking) -> AsyncIterator[PacketSocket]:
    """A raw tap on a link; its PCP becomes the frame's by the VLAN's egress-qos-map. Raises OSError (no such link,
    not permitted)."""
    channel = trio.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: nothing comes before the filter
    try:
        _attach(channel, _program(_steps(tap, index)))
        channel.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        channel.setsockopt(socket.SOL_SOCKET, SO_PRIORITY, marking.pcp)
        await channel.bind((present_name(index, name), ETHERTYPE[tap]))
        yield PacketSocket(channel, index, name)
    finally:
        trio.lowlevel.notify_closing(channel)
        with trio.CancelScope(shield=True):  # close() waits some 12 ms, until no CPU looks at the socket any more
            await trio.to_thread.run_sync(os.close, channel.detach())


def _frame(received: tuple[bytes, list[tuple[int, int, bytes]], int, Any]) -> Frame:
    data, ancillary, _, (_, _, kind, *_) = received
    status = next((_AUXDATA.unpack(control)[0] for _, _, control in ancillary), 0)
    known_good = status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)
    return Frame(data, True if known_good else None, ours=kind == PACKET_OUTGOING)


def _attach(channel: trio.socket.SocketType, program: bytes) -> None:
    """struct sock_fprog: how many instructions, and where they are. The kernel copies them."""
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    channel.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
