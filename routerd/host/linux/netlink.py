"""rtnetlink: sockets, framing and attributes. What the messages mean is known in `messages`.

Written out rather than taken from pyroute2, whose `AsyncIPRoute` needs asyncio and whose codecs alone cost 65 ms
of start-up, 12 MiB, and 300 µs per link dumped (32 µs here): of its hundred message types we need three. It is
the oracle in `tests/host/test_messages.py` instead.

A request is a blocking function for a worker thread: the kernel answers at once, but only when it gets the RTNL
lock, which another process's driver may hold for seconds. Each has a socket of its own, so that a request that
was interrupted leaves nothing behind. Sources: netlink(7), rtnetlink(7), linux/netlink.h. Linux 5.0 or later.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
NLM_F_REPLACE, NLM_F_CREATE = 0x100, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1
NLA_TYPE_MASK = 0x3FFF

SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
SO_RCVBUFFORCE = 33

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_DATAGRAM = 1 << 17
"""Octets; the kernel fills at most 32 KiB, unless one message is larger."""
_BATCH = 1000
"""Messages after which other tasks have their turn."""


@attrs.frozen
class Message:
    """One netlink message. `body` is what follows the header: a fixed structure, then attributes."""

    type: int
    flags: int
    body: bytes


class KernelRefused(OSError):
    """The kernel understood a request and said no. `strerror` is its extended acknowledgement where it gave one."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(body: bytes, start: int = 0) -> dict[int, bytes]:
    """The attributes in `body` from `start` on, by type; the last of a repeated one."""
    found = {}
    while start + 4 <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = body[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def open_request() -> socket.socket:
    """A socket for one `change` or `dump`. Its network namespace is that of the thread which opens it."""
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
        channel.setsockopt(SOL_NETLINK, option, 1)
    return channel


def change(channel: socket.socket, kind: int, flags: int, body: bytes) -> None:
    """Ask for a change and wait until it is made. Blocks. Raises KernelRefused."""
    _send(channel, kind, flags | NLM_F_ACK, body)
    _answers(channel)


def dump(channel: socket.socket, kind: int, body: bytes) -> list[Message]:
    """Everything of one kind. Blocks. Raises KernelRefused.

    A dump during which the table changed may lack or repeat entries. It is read again, but not for ever: where
    routes change all the time, the third must do (`Host.watch` is told of what changes).
    """
    for _ in range(3):
        _send(channel, kind, NLM_F_DUMP, body)
        messages = _answers(channel)
        if not any(message.flags & NLM_F_DUMP_INTR for message in messages):
            break
    return messages


class Monitor:
    """What the kernel multicasts to us."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.port: int = channel.getsockname()[0]
        """The socket's address, which any process can learn and send to."""

    async def receive(self) -> list[Message]:
        """All messages that wait, at least one. Raises OSError(ENOBUFS) when some were lost; the others are then
        forgotten too, since what they tell is older than what must now be read afresh."""
        while True:
            await trio.lowlevel.wait_readable(self._channel)
            if messages := self._waiting():
                return messages

    def _waiting(self) -> list[Message]:
        messages: list[Message] = []
        lost: OSError | None = None
        while lost or len(messages) < _BATCH:
            try:
                messages += _messages(_receive(self._channel))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = error  # until its queue is empty the kernel goes on dropping what comes
        if lost:
            raise lost
        return messages


@contextmanager
def open_monitor(groups: int, receive_buffer: int) -> Iterator[Monitor]:
    """Listen to multicast groups (RTMGRP_*, or'ed). `receive_buffer` in octets, as for SO_RCVBUF."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as channel:
        try:
            channel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:  # no CAP_NET_ADMIN in the first user namespace
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        channel.bind((0, groups))
        yield Monitor(channel)


def _send(channel: socket.socket, kind: int, flags: int, body: bytes) -> None:
    channel.sendto(_HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body, (0, 0))


def _answers(channel: socket.socket) -> list[Message]:
    """The answers to one request, up to the one that says that the kernel is through."""
    answers: list[Message] = []
    while True:
        for message in _messages(_receive(channel)):
            answers.append(message)
            if message.type in (NLMSG_ERROR, NLMSG_DONE):
                _judge(message)
                return answers


def _receive(channel: socket.socket) -> bytes:
    """One datagram from the kernel; one from another process is empty."""
    datagram, _, flags, (sender, _) = channel.recvmsg(_DATAGRAM)
    if flags & socket.MSG_TRUNC:
        raise OSError(errno.ENOBUFS, "netlink message cut off")
    return datagram if sender == 0 else b""


def _messages(datagram: bytes) -> Iterator[Message]:
    start = 0
    while start + _HEADER.size <= len(datagram):
        length, kind, flags, _, _ = _HEADER.unpack_from(datagram, start)
        if length < _HEADER.size:
            break
        yield Message(kind, flags, datagram[start + _HEADER.size : start + length])
        start += (length + 3) & ~3


def _judge(last: Message) -> None:
    """Raise what the last answer says, unless it says that all is well."""
    number = -struct.unpack_from("=i", last.body)[0]
    if number == 0:
        return
    text = b""
    if last.flags & NLM_F_ACK_TLVS:  # after struct nlmsgerr, which NETLINK_CAP_ACK ends with the request's header
        start = 4 + _HEADER.size if last.type == NLMSG_ERROR else 4
        text = attributes(last.body, start).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0")
    raise KernelRefused(number, text.decode(errors="replace") or os.strerror(number))
