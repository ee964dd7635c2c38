"""The world around a simulated router: its links, the segments they are plugged into, and time.

The single truth about simulated links: `host/simulated.py` reads and sets them here, `endpoints/simulated.py`
sends and receives here, tests and the demo pull cables here. Addresses and routes are the host's, not the world's.
"""

from __future__ import annotations

import errno
import math
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address

import attrs
import trio

from routerd.host import Link, LinkChanged
from routerd.sim.ethernet import PERFECT, Faults, Port, Receive, Segment
from routerd.sim.timeline import Timeline

Listener = Callable[[LinkChanged], None]


@attrs.define(eq=False)
class _Socket:
    """A link and where its cable ends. `ears` are the open taps on it."""

    link: Link
    port: Port
    plugged: bool
    ears: list[Receive] = attrs.field(factory=list)


class World:
    """One simulated router's surroundings. Same seed and same acts at the same times: same frames.

    Somebody must run `run()` while frames shall flow. Methods that take a link's index or name raise
    OSError(ENODEV) when there is no such link, as a kernel does.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._wake = trio.Event()
        self.timeline = Timeline(earlier=lambda: self._wake.set())
        self._segments: dict[str, Segment] = {}
        self._sockets: dict[int, _Socket] = {}
        self._listeners: list[Listener] = []
        self._last_index = 0
        self._slept = 0.0
        self.owns: Callable[[int, IPv4Address | IPv6Address], bool] = lambda index, address: True
        """Whether the router has this address on the link of this index. The simulated host sets it; until then
        the router takes every address that a frame to its Ethernet address names."""

    # Time

    def now(self) -> float:
        """Seconds on a clock that counts suspend: trio's, plus what was slept."""
        return trio.current_time() + self._slept

    def suspend(self, seconds: float) -> None:
        """The router has slept for so long: the world went on meanwhile, its clock too, and it heard nothing."""
        self.timeline.run_until(self.now())
        for socket in self._sockets.values():
            socket.port.up = False
        self._slept += seconds
        self.timeline.run_until(self.now())
        for socket in self._sockets.values():
            self._settle(socket)
        self._wake.set()

    async def run(self) -> None:
        """Turn the timeline by the clock, for ever."""
        while True:
            self._wake = trio.Event()
            self.timeline.run_until(self.now())
            due = self.timeline.deadline
            with trio.move_on_at(math.inf if due is None else due - self._slept):
                await self._wake.wait()

    # Segments

    def segment(self, name: str, faults: Faults | None = None) -> Segment:
        """The segment of this name, made when it is first asked for; `faults`, if given, replace its faults."""
        if name not in self._segments:
            self._segments[name] = Segment(self.timeline, random.Random(self._rng.random()), PERFECT)
        segment = self._segments[name]
        if faults is not None:
            segment.faults = faults
        return segment

    # Links

    @property
    def links(self) -> tuple[Link, ...]:
        """All links of the router as they are now, by index."""
        return tuple(socket.link for socket in self._sockets.values())

    def link(self, which: int | str) -> Link:
        """The link of this index or name."""
        return self._find(which).link

    def add_link(
        self,
        name: str,
        segment: str,
        mac: bytes | None = None,
        *,
        mtu: int = 1500,
        max_mtu: int = 9000,
        admin_up: bool = False,
        plugged: bool = True,
        arp: bool = True,
    ) -> Link:
        """Add a link whose cable goes to `segment`. Raises OSError(EEXIST)."""
        if any(link.name == name for link in self.links):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self._last_index += 1
        index = self._last_index
        port = self.segment(segment).attach(
            mac or bytes((2, 0, 0, 0, 0, index)), lambda frame, now: self._receive(index, frame, now)
        )
        link = Link(index, name, port.mac, mtu, max_mtu, admin_up, admin_up and plugged, arp)
        self._sockets[index] = _Socket(link, port, plugged)
        self._settle(self._sockets[index])
        self._tell(LinkChanged(None, link))
        return link

    def remove_link(self, which: int | str) -> None:
        """The device is gone: everything open on it sees ENODEV from now on."""
        socket = self._find(which)
        del self._sockets[socket.link.index]
        socket.port.segment.detach(socket.port)
        self._tell(LinkChanged(socket.link, None))

    def set_link(
        self,
        which: int | str,
        *,
        admin_up: bool | None = None,
        mtu: int | None = None,
        mac: bytes | None = None,
        name: str | None = None,
    ) -> None:
        """Change what is not None. Raises OSError(EINVAL) for an MTU that the device cannot do."""
        socket = self._find(which)
        link = socket.link
        if mtu is not None and not 68 <= mtu <= link.max_mtu:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), link.name)
        wanted = attrs.evolve(
            link,
            admin_up=link.admin_up if admin_up is None else admin_up,
            mtu=link.mtu if mtu is None else mtu,
            mac=link.mac if mac is None else mac,
            name=link.name if name is None else name,
        )
        self._change(socket, wanted)

    def pull_cable(self, which: int | str) -> None:
        """No carrier any more, whatever the administrative state."""
        socket = self._find(which)
        socket.plugged = False
        self._change(socket, socket.link)

    def plug(self, which: int | str) -> None:
        """The cable is in again."""
        socket = self._find(which)
        socket.plugged = True
        self._change(socket, socket.link)

    @contextmanager
    def on_change(self, listener: Listener) -> Iterator[None]:
        """Call `listener` at every change of a link, at once and in order, until the block ends."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _find(self, which: int | str) -> _Socket:
        for socket in self._sockets.values():
            if which in (socket.link.index, socket.link.name):
                return socket
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(which))

    def _change(self, socket: _Socket, wanted: Link) -> None:
        before = socket.link
        socket.link = attrs.evolve(wanted, carrier=wanted.admin_up and socket.plugged)
        self._settle(socket)
        if socket.link != before:
            self._tell(LinkChanged(before, socket.link))

    def _settle(self, socket: _Socket) -> None:
        """The port follows the link."""
        socket.port.up, socket.port.mac, socket.port.mtu = socket.link.carrier, socket.link.mac, socket.link.mtu

    def _tell(self, change: LinkChanged) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    # Frames

    @contextmanager
    def listen(self, which: int | str, ear: Receive) -> Iterator[None]:
        """Call `ear` with every frame that this link receives, until the block ends."""
        ears = self._find(which).ears
        ears.append(ear)
        try:
            yield
        finally:
            ears.remove(ear)

    def send(self, which: int | str, frame: bytes) -> None:
        """Send one complete frame by this link. Raises OSError: ENETDOWN when the link is set down, EMSGSIZE when the
        frame is longer than its MTU allows. Without carrier frames are lost in silence, as they are on a real link."""
        socket = self._find(which)
        if not socket.link.admin_up:
            raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN), socket.link.name)
        if len(frame) > socket.link.mtu + 14:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE), socket.link.name)
        socket.port.send(frame, self.now())

    def resolve(self, which: int | str, address: IPv4Address | IPv6Address) -> bytes | None:
        """The Ethernet address behind `address` on this link's segment: what ARP or Neighbor Discovery would
        find; None: nobody answers."""
        return self._find(which).port.segment.resolve(address)

    def _receive(self, index: int, frame: bytes, now: float) -> None:
        for ear in tuple(self._sockets[index].ears):
            ear(frame, now)
