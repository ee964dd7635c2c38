"""A router with two WAN cables, and raw ears and mouths at the provider's ends of them."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

from tests.lab.netns import Namespace, lay

ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4


@attrs.frozen
class Cable:
    """One of them. `index`, `name`, `mac` are the router's end; the provider's end is called `far`."""

    index: int
    name: str
    mac: bytes
    far: str
    isp: Namespace

    @contextmanager
    def end(self) -> Iterator[trio.socket.SocketType]:
        """The provider's end: sends and receives whole frames; everything that the router sends is heard."""
        with self.isp.call(lambda: _ear(self.far)) as channel:
            yield trio.socket.from_stdlib_socket(channel)


def lay_cable(router: Namespace, isp: Namespace, number: int) -> Cable:
    """`wanN` to `ispN`, both up, no IPv6, whose chatter would be in the way."""
    name, far, mac = f"wan{number}", f"isp{number}", bytes((2, 0, 0, 0, 0, number))
    lay(router, name, isp, far, "address", mac.hex(":"))
    for end, namespace in ((name, router), (far, isp)):
        namespace.sysctl(f"net.ipv6.conf.{end}.disable_ipv6", "1")
        namespace.ip("link", "set", end, "up")
    router.settle(name)
    return Cable(router.call(lambda: socket.if_nametoindex(name)), name, mac, far, isp)


def _ear(name: str) -> socket.socket:
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    channel.bind((name, ETH_P_ALL))
    return channel


async def hear(end: trio.socket.SocketType) -> bytes:
    """The next frame that comes in at this end of a cable."""
    with trio.fail_after(20):
        while True:
            frame, address = await end.recvfrom(1 << 16)
            if address[2] != PACKET_OUTGOING:
                return frame


@contextmanager
def open_priority_ear(name: str, priority: int) -> Iterator[trio.socket.SocketType]:
    """Hears what leaves by a link of this namespace with this priority (SO_PRIORITY), which becomes the PCP of a VLAN
    tag: a program in the kernel looks at `__sk_buff.priority`, since nothing else shows it (bpf(2))."""
    with _ear(name) as channel:
        program = load_priority_filter(priority)
        try:
            channel.setsockopt(socket.SOL_SOCKET, 50, program)  # SO_ATTACH_BPF
        finally:
            os.close(program)
        yield trio.socket.from_stdlib_socket(channel)


def load_priority_filter(priority: int) -> int:
    """The descriptor of such a program. Raises PermissionError for the root of a user namespace."""
    instructions = b"".join(
        struct.pack("=BBhi", code, registers, offset, operand)
        for code, registers, offset, operand in (
            (0x61, 0x10, 32, 0),  # r0 = r1->priority
            (0x15, 0x00, 2, priority),  # if r0 == priority: skip 2
            (0xB7, 0x00, 0, 0),  # r0 = 0, that is: drop
            (0x95, 0x00, 0, 0),  # return r0
            (0xB7, 0x00, 0, 0xFFFF),  # r0 = 65535, that is: so many octets
            (0x95, 0x00, 0, 0),
        )
    )
    program, license_name = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"BSD")
    attributes = struct.pack("=IIQQ", 1, 6, ctypes.addressof(program), ctypes.addressof(license_name)).ljust(72, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 321}.get(platform.machine(), 280)
    descriptor = libc.syscall(number, 5, attributes, len(attributes))  # BPF_PROG_LOAD, a socket filter
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "bpf")
    return int(descriptor)
