"""UDP port 68 on one link of a Linux host: how a lease is renewed, and why nobody is told that the port is closed.

The socket is bound to the link by its index, which survives a renaming, before it is bound to the port: so every
link can have one, next to another DHCP client's on another link. What it sends leaves by that link: by the main
table's best route that does, else to a neighbour. Sources: ip(7), socket(7); SO_BINDTOIFINDEX is Linux 5.0.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address
from typing import Final, cast

import attrs
import trio

from routerd.endpoints import Datagram, Marking

CLIENT_PORT: Final = 68
PATIENCE: Final = 1.0
"""Seconds for which a packet may wait for room in a link's queue."""

SO_PRIORITY, SO_BINDTOIFINDEX, IP_PKTINFO = 12, 62, 8
_PKTINFO = struct.Struct("=i4s4s")  # in_pktinfo: index, our address for it, the header's destination


@contextmanager
def patience() -> Iterator[None]:
    """A packet that the link does not take in time is lost, as when the kernel says so: OSError(ENOBUFS)."""
    with trio.move_on_after(PATIENCE) as scope:
        yield
    if scope.cancelled_caught:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))


def present_name(index: int, name: str) -> str:
    """What the link of this index, once called `name`, is called now; OSError(ENODEV) when it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name) from None


@attrs.frozen
class UdpEndpoint:
    """`routerd.endpoints.DatagramEndpoint`; see `open_dhcpv4`."""

    _channel: trio.socket.SocketType
    _index: int

    async def send(self, payload: bytes, source: IPv4Address, destination: IPv4Address, port: int) -> None:
        """See `DatagramEndpoint`. `source` must be an address of this host."""
        control = _PKTINFO.pack(self._index, source.packed, bytes(4))
        with patience():
            await self._channel.sendmsg(
                [payload], [(socket.IPPROTO_IP, IP_PKTINFO, control)], 0, (str(destination), port)
            )

    async def receive(self) -> Datagram:
        """See `DatagramEndpoint`."""
        while True:
            received = await self._channel.recvmsg(1 << 16, socket.CMSG_SPACE(_PKTINFO.size))
            payload, ancillary, _, sender = received
            source, port = cast(tuple[str, int], sender)
            for level, kind, control in ancillary:
                if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                    index, _, destination = _PKTINFO.unpack(control)
                    if index == self._index:  # C14
                        return Datagram(payload, IPv4Address(source), port, IPv4Address(destination))


@asynccontextmanager
async def open_dhcpv4(index: int, name: str, marking: Marking) -> AsyncIterator[UdpEndpoint]:
    """The UDP socket of a DHCPv4 client on a link. Raises OSError (no such link, port in use, not permitted).

    The port is shared with clients that share it too (SO_REUSEADDR): dhclient holds it on all links at once, and
    of several sockets the kernel prefers the one bound to the link.
    """
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        present_name(index, name)  # the kernel takes any index
        channel.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, marking.dscp << 2)
        channel.setsockopt(socket.SOL_SOCKET, SO_PRIORITY, marking.pcp)  # after IP_TOS, which sets it too
        await channel.bind(("0.0.0.0", CLIENT_PORT))
        yield UdpEndpoint(channel, index)
