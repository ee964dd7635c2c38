"""An independent eye on a customer's line: what the kernel tells over netlink, what comes to the provider's switch,
and whether a host beyond the gateway answers a ping. The program under measurement is never asked.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import attrs

from tests.lab.netns import Namespace

PATIENCE = 30.0
PING_AGAIN = 0.002
"""Seconds without an answer after which the next echo request is sent."""

RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10
RTM_NEWLINK, RTM_NEWADDR, IFF_LOWER_UP = 16, 20, 0x10000
MESSAGE = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")
ETH_P_IP, UDP, SERVER_PORT = 0x0800, 17, 67
ECHO_REQUEST, ECHO_REPLY = bytes.fromhex("0800 f7ff 0000 0000"), 0


@attrs.frozen
class Times:
    """Of one acquisition, in milliseconds: until the first packet, and from there until the kernel told of the address
    and until the first ping was answered."""

    waited: float
    address: float
    usable: float

    @property
    def whole(self) -> float:
        """From the beginning until the first ping was answered."""
        return self.waited + self.usable


@attrs.define
class Course:
    """What happened when, on time.monotonic; None: it did not."""

    exec_at: float | None = None
    """The program began, if it was started on a link that was up."""
    link_at: float | None = None
    """The kernel told of the carrier."""
    asked_at: float | None = None
    """The first DHCP packet came to the switch."""
    address_at: float | None = None
    """The kernel told of an IPv4 address on the interface."""
    answered_at: float | None = None
    """A host beyond the gateway answered a ping: address and default route are in use."""

    def times(self) -> Times | None:
        """What it came to; None: to nothing."""
        began_at = self.exec_at or self.link_at
        if began_at is None or self.asked_at is None or self.address_at is None or self.answered_at is None:
            return None
        after = ((at - self.asked_at) * 1e3 for at in (self.address_at, self.answered_at))
        return Times((self.asked_at - began_at) * 1e3, *after)


class Eye:
    """Notes in `course` what it sees while it watches."""

    def __init__(self, netlink: socket.socket, switch: socket.socket, ping: socket.socket, beyond: str) -> None:
        self.course = Course()
        self._ping, self._beyond = ping, beyond
        self._selector = selectors.DefaultSelector()
        for source, note in ((netlink, self._note_kernel), (switch, self._note_packet), (ping, self._note_echo)):
            self._selector.register(source, selectors.EVENT_READ, note)

    def watch(self, until: Callable[[Course], object]) -> None:
        """Look until this holds of the course, for PATIENCE seconds at most."""
        deadline = time.monotonic() + PATIENCE
        while not until(self.course) and (left := deadline - time.monotonic()) > 0:
            pinging = self.course.address_at is not None and self.course.answered_at is None
            if pinging:
                with suppress(OSError):  # there is no route yet
                    self._ping.sendto(ECHO_REQUEST, (self._beyond, 0))
            for key, _ in self._selector.select(PING_AGAIN if pinging else left):
                now, data = time.monotonic(), key.fileobj.recv(65536)  # type: ignore[union-attr]
                key.data(data, now)

    def _note_kernel(self, data: bytes, now: float) -> None:
        course = self.course
        for kind, body in told(data):
            if kind == RTM_NEWADDR:
                course.address_at = course.address_at or now
            elif kind == RTM_NEWLINK and LINK.unpack_from(body)[3] & IFF_LOWER_UP:
                course.link_at = course.link_at or now

    def _note_packet(self, packet: bytes, now: float) -> None:
        ports = (packet[0] & 15) * 4
        if packet[9] == UDP and int.from_bytes(packet[ports + 2 : ports + 4], "big") == SERVER_PORT:
            self.course.asked_at = self.course.asked_at or now

    def _note_echo(self, packet: bytes, now: float) -> None:
        if packet[(packet[0] & 15) * 4] == ECHO_REPLY:
            self.course.answered_at = self.course.answered_at or now


def told(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kernel's messages over netlink, by kind."""
    while data:
        length, kind, *_ = MESSAGE.unpack_from(data)
        yield kind, data[MESSAGE.size : length]
        data = data[(length + 3) & ~3 :]


@contextmanager
def punctual() -> Iterator[None]:
    """This process, and none that it starts, comes before all others, where it may (root, Linux): what it waits for is
    noted when it happens, and not when a busy machine has time."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


@contextmanager
def watching(customer: Namespace, isp: Namespace, switch: str, beyond: str) -> Iterator[Eye]:
    """An eye on the customer's only link, on a switch of the provider, and on the host `beyond` the gateway."""
    with ExitStack() as stack:
        stack.enter_context(punctual())

        def opened(there: Namespace, *of: int) -> socket.socket:
            return stack.enter_context(there.call(lambda: socket.socket(*of)))

        netlink = opened(customer, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        netlink.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR))
        packets = opened(isp, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        packets.bind((switch, ETH_P_IP))
        ping = opened(customer, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        yield Eye(netlink, packets, ping, beyond)
