"""What the sockets of UDP over IPv6 and of Neighbor Discovery share: they belong to a link, and know of each packet
where it went to. Sources: ipv6(7), RFC 3542 (the advanced socket interface); the numbers are Linux's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Final

import trio

from routerd.endpoints import Marking
from routerd.endpoints.udp import SO_BINDTOIFINDEX, SO_PRIORITY, present_name

IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 49, 50, 51, 52
IPV6_TCLASS = 67
_PKTINFO: Final = struct.Struct("=16si")  # in6_pktinfo: address, index
_INT: Final = struct.Struct("=i")
ANCILLARY: Final = socket.CMSG_SPACE(_PKTINFO.size) + socket.CMSG_SPACE(_INT.size)


def belong_to(channel: trio.socket.SocketType, index: int, name: str, marking: Marking) -> None:
    """Bind a socket to a link and mark what it sends. Raises OSError (no such link)."""
    present_name(index, name)  # the kernel takes any index
    channel.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
    channel.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    channel.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
    channel.setsockopt(socket.IPPROTO_IPV6, IPV6_TCLASS, marking.dscp << 2)
    channel.setsockopt(socket.SOL_SOCKET, SO_PRIORITY, marking.pcp)


def from_address(source: IPv6Address, index: int) -> tuple[int, int, bytes]:
    """The control message that says by which address and link a packet leaves."""
    return socket.IPPROTO_IPV6, IPV6_PKTINFO, _PKTINFO.pack(source.packed, index)


def arrival(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[IPv6Address, int, int] | None:
    """Of a packet received: where it went to, by which link it came, its hop limit (-1: not told)."""
    to, hop_limit = None, -1
    for level, kind, control in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            address, index = _PKTINFO.unpack(control)
            to = IPv6Address(address), index
        elif (level, kind) == (socket.IPPROTO_IPV6, IPV6_HOPLIMIT):
            (hop_limit,) = _INT.unpack(control)
    return None if to is None else (*to, hop_limit)


def plain(address: str) -> IPv6Address:
    """Without the zone that a kernel writes behind a link-local address."""
    return IPv6Address(address.partition("%")[0])
