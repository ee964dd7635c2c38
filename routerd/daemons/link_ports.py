"""The link that has an interface's name at present, and a DHCP client's ports there: new ones for each identity of the
link, which is its index and its MAC (C14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

from routerd.daemons.named_link import GONE, link_after
from routerd.host import Link, Notice


class Ports(Protocol):
    """Sockets on one link."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Hold them until `close`. Raises OSError when we may not."""

    def close(self) -> None: ...


P = TypeVar("P", bound=Ports)


class LinkPorts(Generic[P]):
    """Follows the interface of one name through its lives; `make` gives the ports for a link."""

    def __init__(self, ifname: str, make: Callable[[Link], P]) -> None:
        self._ifname = ifname
        self._make = make
        self.link: Link | None = None
        self.ports: P | None = None
        """None: there is no interface to send by."""

    @property
    def index(self) -> int:
        """Of the interface; 0: there is none."""
        return self.link.index if self.link is not None else 0

    async def follow(self, notice: Notice, nursery: trio.Nursery) -> None:
        """Something happened on the host. Ports are opened in `nursery`."""
        await trio.lowlevel.checkpoint()
        link = link_after(notice, self._ifname, self.link)
        if link is None:
            self.link = None
            self._close()
        elif link != self.link:
            await self.take(link, nursery)

    async def take(self, link: Link, nursery: trio.Nursery) -> None:
        """The link is there, or is different. Raises OSError when we may not have the ports: then the client is of no
        use, and its supervisor says so."""
        await trio.lowlevel.checkpoint()
        before, self.link = self.link, link
        if before is not None and (before.index, before.mac) == (link.index, link.mac) and self.ports is not None:
            return
        self._close()
        ports = self._make(link)
        try:
            await nursery.start(ports.run)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return
        self.ports = ports

    def _close(self) -> None:
        if self.ports is not None:
            self.ports.close()
            self.ports = None
