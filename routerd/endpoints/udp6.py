"""UDP port 546 on one link of a Linux host: a DHCPv6 client's ear and mouth (RFC 9915 §7.2).

As with port 68 every link can have one, next to another client's on another link. Answers are heard from any port and
any address: access networks answer from port 49153, and from global addresses (V6-4).
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from typing import Final, cast

import attrs
import trio

from routerd.endpoints import Datagram6, Marking
from routerd.endpoints.ipv6 import ANCILLARY, arrival, belong_to, from_address, plain
from routerd.endpoints.udp import patience

CLIENT_PORT: Final = 546


@attrs.frozen
class Udp6Endpoint:
    """`routerd.endpoints.Datagram6Endpoint`; see `open_dhcpv6`."""

    _channel: trio.socket.SocketType
    _index: int

    async def send(self, payload: bytes, source: IPv6Address, destination: IPv6Address, port: int) -> None:
        """See `Datagram6Endpoint`. OSError(EADDRNOTAVAIL) while `source` is not past duplicate address detection."""
        with patience():
            to = (str(destination), port, 0, self._index)
            await self._channel.sendmsg([payload], [from_address(source, self._index)], 0, to)

    async def receive(self) -> Datagram6:
        """See `Datagram6Endpoint`."""
        while True:
            payload, ancillary, _, sender = await self._channel.recvmsg(1 << 16, ANCILLARY)
            source, port, *_ = cast(tuple[str, int, int, int], sender)
            came = arrival(ancillary)
            if came is not None and came[1] == self._index:  # C14
                return Datagram6(payload, plain(source), port, came[0])


@asynccontextmanager
async def open_dhcpv6(index: int, name: str, marking: Marking) -> AsyncIterator[Udp6Endpoint]:
    """The UDP socket of a DHCPv6 client on a link. Raises OSError (no such link, port in use, not permitted)."""
    with trio.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as channel:
        belong_to(channel, index, name, marking)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await channel.bind(("::", CLIENT_PORT))
        yield Udp6Endpoint(channel, index)
