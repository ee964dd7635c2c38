"""An independent eye on a household: what the router's kernel tells over netlink of its line and of its LAN, what
passes the provider's switch, and what a host on the LAN hears. The program under measurement is never asked.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address, IPv6Network

import attrs

from benchmarks.eye import IFF_LOWER_UP, LINK, PATIENCE, RTM_NEWADDR, RTM_NEWLINK, RTMGRP_LINK, punctual, told
from tests.lab.netns import Namespace

RTMGRP_IPV6_IFADDR = 0x100
ADDRESS = struct.Struct("=BBBBI")
ATTRIBUTE = struct.Struct("=HH")
IFA_ADDRESS, IFA_F_TENTATIVE = 1, 0x40
ETH_P_ALL, ETH_P_IPV6, UDP, ICMP6 = 0x0003, 0x86DD, 17, 58
SOLICIT, REPLY, SERVER_PORT = 1, 7, 547
ROUTER_ADVERTISEMENT, PREFIX_INFORMATION = 134, 3


@attrs.frozen
class Times6:
    """Of one delegation, in milliseconds: until the first Solicit; and from there until the server's Reply, until the
    LAN's address could be used, and until a host there heard of its prefix (None: it never did)."""

    waited: float
    replied: float
    address: float
    advertised: float | None


@attrs.define
class Course6:
    """What happened when, on time.monotonic; None: it did not."""

    exec_at: float | None = None
    """The program began, if it was started on a link that was up."""
    link_at: float | None = None
    """The kernel told of the line's carrier."""
    asked_at: float | None = None
    """The first Solicit came to the switch."""
    replied_at: float | None = None
    """The first Reply left the switch."""
    address_at: float | None = None
    """The kernel told of an address on the LAN out of the provider's prefixes, and that it may be used."""
    advertised_at: float | None = None
    """A host on the LAN was told of a prefix out of the provider's."""

    def times(self) -> Times6 | None:
        """What it came to; None: to nothing."""
        began_at = self.exec_at or self.link_at
        if began_at is None or self.asked_at is None or self.replied_at is None or self.address_at is None:
            return None
        after = ((at - self.asked_at) * 1e3 for at in (self.replied_at, self.address_at))
        heard = None if self.advertised_at is None else (self.advertised_at - self.asked_at) * 1e3
        return Times6((self.asked_at - began_at) * 1e3, *after, heard)


class Eye6:
    """Notes in `course` what it sees while it watches."""

    def __init__(
        self, netlink: socket.socket, switch: socket.socket, host: socket.socket, lan: int, pool: IPv6Network
    ) -> None:
        self.course = Course6()
        self._lan, self._pool = lan, pool
        self._selector = selectors.DefaultSelector()
        for source, note in ((netlink, self._note_kernel), (switch, self._note_packet), (host, self._note_heard)):
            self._selector.register(source, selectors.EVENT_READ, note)

    def watch(self, until: Callable[[Course6], object]) -> None:
        """Look until this holds of the course, for PATIENCE seconds at most."""
        deadline = time.monotonic() + PATIENCE
        while not until(self.course) and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                now, data = time.monotonic(), key.fileobj.recv(65536)  # type: ignore[union-attr]
                key.data(data, now)

    def _note_kernel(self, data: bytes, now: float) -> None:
        for kind, body in told(data):
            if kind == RTM_NEWADDR and usable_on(self._lan, self._pool, body):
                self.course.address_at = self.course.address_at or now
            elif kind == RTM_NEWLINK:
                _, _, index, flags, _ = LINK.unpack_from(body)
                if index != self._lan and flags & IFF_LOWER_UP:
                    self.course.link_at = self.course.link_at or now

    def _note_packet(self, packet: bytes, now: float) -> None:
        if len(packet) < 49 or packet[0] >> 4 != 6 or packet[6] != UDP:
            return
        source, destination = struct.unpack_from("!HH", packet, 40)
        if destination == SERVER_PORT and packet[48] == SOLICIT:
            self.course.asked_at = self.course.asked_at or now
        elif source == SERVER_PORT and packet[48] == REPLY:
            self.course.replied_at = self.course.replied_at or now

    def _note_heard(self, packet: bytes, now: float) -> None:
        if packet[6] == ICMP6 and packet[40] == ROUTER_ADVERTISEMENT and any(_prefixes(packet[56:], self._pool)):
            self.course.advertised_at = self.course.advertised_at or now


def usable_on(lan: int, pool: IPv6Network, told: bytes) -> bool:
    """Whether the kernel told of an address out of the pool that is on this link, and not on trial any more."""
    _, _, flags, _, index = ADDRESS.unpack_from(told)
    address = IPv6Address(_attribute(told[ADDRESS.size :], IFA_ADDRESS))
    return index == lan and not flags & IFA_F_TENTATIVE and address in pool


def _attribute(data: bytes, wanted: int) -> bytes:
    """Of a netlink message; it is there."""
    while True:
        length, kind = ATTRIBUTE.unpack_from(data)
        if kind == wanted:
            return data[ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _prefixes(options: bytes, pool: IPv6Network) -> Iterator[IPv6Address]:
    """Those of a router advertisement that are out of a pool and not taken back in the same breath."""
    while options:
        kind, length = options[0], options[1] * 8
        if kind == PREFIX_INFORMATION and any(options[4:8]) and (found := IPv6Address(options[16:32])) in pool:
            yield found
        options = options[length:]


@contextmanager
def watching6(
    router: Namespace, lan: str, isp: Namespace, switch: str, host: Namespace, pool: IPv6Network
) -> Iterator[Eye6]:
    """An eye on the router's line and its LAN, on the provider's switch, and on the only link of a host on the LAN."""
    with ExitStack() as stack:
        stack.enter_context(punctual())

        def opened(there: Namespace, *of: int) -> socket.socket:
            return stack.enter_context(there.call(lambda: socket.socket(*of)))

        netlink = opened(router, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        netlink.bind((0, RTMGRP_LINK | RTMGRP_IPV6_IFADDR))
        packets = opened(isp, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))  # what it sends, too
        packets.bind((switch, ETH_P_ALL))
        heard = opened(host, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
        index = router.call(lambda: socket.if_nametoindex(lan))
        yield Eye6(netlink, packets, heard, index, pool)
