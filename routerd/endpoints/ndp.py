"""Neighbor Discovery on one link of a Linux host, by a raw ICMPv6 socket: the kernel fills in and checks checksums and
throws away what is not of the four types (RFC 3542 §3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from typing import Final, cast

import attrs
import trio

from routerd.endpoints import Icmpv6, Marking
from routerd.endpoints.ipv6 import ANCILLARY, arrival, belong_to, from_address, plain
from routerd.endpoints.udp import patience

TYPES: Final = (133, 134, 135, 136)
"""Solicitations and advertisements of routers and of neighbours."""
ICMP6_FILTER, HOP_LIMIT = 1, 255
_ALL_ROUTERS = IPv6Address("ff02::2").packed


@attrs.frozen
class NdpSocket:
    """`routerd.endpoints.NdpEndpoint`; see `open_ndp`."""

    _channel: trio.socket.SocketType
    _index: int

    async def send(self, payload: bytes, source: IPv6Address, target: IPv6Address) -> None:
        """See `NdpEndpoint`. OSError(EADDRNOTAVAIL) while `source` is not past duplicate address detection."""
        with patience():
            to = (str(target), 0, 0, self._index)
            await self._channel.sendmsg([payload], [from_address(source, self._index)], 0, to)

    async def receive(self) -> Icmpv6:
        """See `NdpEndpoint`."""
        while True:
            payload, ancillary, _, sender = await self._channel.recvmsg(1 << 16, ANCILLARY)
            source, *_ = cast(tuple[str, int, int, int], sender)
            came = arrival(ancillary)
            if came is not None and came[1] == self._index:  # C14
                return Icmpv6(payload, plain(source), came[0], came[2])


@asynccontextmanager
async def open_ndp(index: int, name: str, marking: Marking) -> AsyncIterator[NdpSocket]:
    """Neighbor Discovery on a link. Raises OSError (no such link, not permitted)."""
    with trio.socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as channel:
        belong_to(channel, index, name, marking)
        channel.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _only(TYPES))
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOP_LIMIT)
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        # Who asks for routers asks all of them; all nodes (ff02::1) every host hears anyway.
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _ALL_ROUTERS + struct.pack("=i", index))
        yield NdpSocket(channel, index)


def _only(types: tuple[int, ...]) -> bytes:
    """An icmp6_filter: a bit for each type, set for what is thrown away."""
    blocked = (1 << 256) - 1
    for kind in types:
        blocked &= ~(1 << kind)
    words = ((blocked >> (32 * place)) & 0xFFFFFFFF for place in range(8))
    return struct.pack("=8I", *words)
