"""The Linux host: what `routerd.host` asks for, said in rtnetlink.

Ours is what carries the number 114: `ip route show proto 114`. On addresses that mark (IFA_PROTO) exists since
Linux 5.18; an older kernel ignores it, so that after a restart an address of ours is taken for somebody else's:
it is put again all the same when its lease is confirmed, and goes with its lifetime if it is not.

The kernel makes the connected route of an address itself, metric 0, as everybody who types `ip route` expects; we
do not ask for `noprefixroute` and put our own. The metric of a WAN orders the routes that we put. Habits of the
kernel that remain visible: metric 0 of an IPv6 route becomes 1024; an address's lifetime stands still in suspend;
the connected route of an IPv6 address that has a lifetime stays until that ends, though the address be removed;
removing an IPv4 address takes others of the same network and link along, which came later, unless
net.ipv4.conf.all.promote_secondaries is 1 (systemd sets it).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from routerd.host import (
    Change,
    Clock,
    HostRefused,
    Notice,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Resynced,
    Route,
    SetForwarding6,
    SetHostSide6,
    SetLink,
    Snapshot,
)
from routerd.host.linux import messages, netlink
from routerd.host.linux.clock import LinuxClock
from routerd.host.linux.mirror import Mirror
from routerd.host.subscribers import Subscribers

T = TypeVar("T")
_Said = SetLink | PutAddress | RemoveAddress | PutRoute | RemoveRoute
"""Changes that rtnetlink has words for."""

_GONE_ALREADY = frozenset((errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV))
"""What the kernel says when what shall be removed is not there."""
_NONE_OF_IT = frozenset((errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT))
"""What it says when there is no main table yet, or no IPv6 at all."""


class LinuxHost:
    """`routerd.host.Host`; see `open_host`."""

    name = "linux"

    def __init__(self, clock: Clock, mirror: Mirror) -> None:
        self.clock: Clock = clock
        self._mirror = mirror
        self._subscribers: Subscribers[Notice] = Subscribers(lambda missed: Resynced(self._mirror.snapshot()))

    async def observe(self) -> Snapshot:
        """See `Host`. A multipath route is one Route per next hop."""
        return await _read(partial(_everything, clock=self.clock))

    async def apply(self, change: Change) -> None:
        """See `Host`."""
        if isinstance(change, SetHostSide6 | SetForwarding6):
            await trio.lowlevel.checkpoint()
            _set_ipv6(change)  # not in a thread: /proc shows a thread its own network namespace
            return
        with netlink.open_request() as channel:
            await trio.to_thread.run_sync(_make, channel, change, self.clock.now())

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[trio.MemoryReceiveChannel[Notice]]:
        """See `Host`."""
        async with self._subscribers.subscribe(Resynced(self._mirror.snapshot())) as notices:
            yield notices

    async def listen(self, monitor: netlink.Monitor) -> None:
        """Hear what the kernel says and tell it on, for ever."""
        while True:
            try:
                heard = await monitor.receive()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                await self._start_over()
                continue
            for message in heard:
                self._tell(self._mirror.hear(message, self.clock.now()))
            if self._mirror.doubtful:
                self._tell(self._mirror.correct(await _read(_routes)))

    def _tell(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            self._subscribers.publish(notice)

    async def _start_over(self) -> None:
        """Messages were lost: nothing that we know is certain."""
        self._mirror.load(await self.observe())
        self._subscribers.publish(Resynced(self._mirror.snapshot()))


@asynccontextmanager
async def open_host(receive_buffer: int = 4 << 20) -> AsyncIterator[LinuxHost]:
    """The host that this thread's network namespace is. `receive_buffer` in octets: what the kernel keeps for us
    while we are busy; a route takes about 700. Raises OSError."""
    with netlink.open_monitor(messages.GROUPS, receive_buffer) as monitor:
        # Only now we read, so that no change falls between.
        clock = LinuxClock()
        host = LinuxHost(clock, Mirror(await _read(partial(_everything, clock=clock))))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.listen, monitor)
            nursery.start_soon(clock.watch_steps)
            yield host
            nursery.cancel_scope.cancel()


def _make(channel: socket.socket, change: _Said, now: float) -> None:
    try:
        netlink.change(channel, *_request(change, now))
    except netlink.KernelRefused as error:
        assert error.errno is not None
        if not isinstance(change, RemoveAddress | RemoveRoute) or error.errno not in _GONE_ALREADY:
            raise HostRefused(change, error.errno, error.strerror or "") from None


def _set_ipv6(change: SetHostSide6 | SetForwarding6) -> None:
    """By /proc: rtnetlink shows these settings, and has no word to change them. A router is obeyed also while this host
    forwards (2, ip-sysctl)."""
    settings = Path("/proc/sys/net/ipv6/conf")
    try:
        if isinstance(change, SetForwarding6):
            (settings / "all" / "forwarding").write_text("1" if change.on else "0")
            return
        link = settings / socket.if_indextoname(change.index)
        for name, wanted, on in (("accept_ra", change.accept_ra, "2"), ("autoconf", change.autoconf, "1")):
            if wanted is not None:
                (link / name).write_text(on if wanted else "0")
    except OSError as error:
        raise HostRefused(change, error.errno or 0, error.strerror or str(error)) from None


def _request(change: _Said, now: float) -> tuple[int, int, bytes]:
    """Type, flags and body of the request that makes a change."""
    put = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
    match change:
        case SetLink():
            return messages.RTM_NEWLINK, 0, messages.set_link(change)
        case PutAddress(address):
            return messages.RTM_NEWADDR, put, messages.put_address(address, now)
        case RemoveAddress(address):
            return messages.RTM_DELADDR, 0, messages.remove_address(address)
        case PutRoute(route):
            return messages.RTM_NEWROUTE, put, messages.put_route(route)
        case RemoveRoute(route):
            return messages.RTM_DELROUTE, 0, messages.remove_route(route)


async def _read(reader: Callable[[socket.socket], T]) -> T:
    with netlink.open_request() as channel:
        return await trio.to_thread.run_sync(reader, channel)


def _everything(channel: socket.socket, clock: Clock) -> Snapshot:
    links = (messages.link(found.body) for found in _dump(channel, messages.RTM_NEWLINK, messages.links_wanted()))
    addresses = (
        messages.address(found.body, clock.now())
        for family in messages.FAMILIES
        for found in _dump(channel, messages.RTM_NEWADDR, messages.addresses_wanted(family))
    )
    return Snapshot(
        tuple(link for link in links if link),
        tuple(address for address in addresses if address),
        tuple(_routes(channel)),
    )


def _routes(channel: socket.socket) -> list[Route]:
    return [
        route
        for family in messages.FAMILIES
        for found in _dump(channel, messages.RTM_NEWROUTE, messages.routes_wanted(family))
        for route in messages.routes(found.body)
    ]


def _dump(channel: socket.socket, kind: int, body: bytes) -> list[netlink.Message]:
    """All there is of a kind, named by its RTM_NEW*: RTM_GET* is two further (linux/rtnetlink.h)."""
    try:
        return [found for found in netlink.dump(channel, kind + 2, body) if found.type == kind]
    except netlink.KernelRefused as error:
        if error.errno in _NONE_OF_IT:
            return []
        raise
