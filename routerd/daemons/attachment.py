"""How a DHCPv4 client hangs on its interface: which link that is at present, its ports there, and which addresses it
has. What the host tells becomes the machine's LinkUp, LinkDown and LinkGone."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface

import trio

from routerd.daemons.named_link import GONE, link_after, news_of
from routerd.daemons.ports import Deliver, Drop, Ports
from routerd.endpoints import Endpoints, Marking
from routerd.host import AddressChanged, Link, LinkChanged, Notice, Resynced
from routerd.protocols.dhcpv4 import inputs

ETHERNET_ADDRESS = 6
"""Octets; DHCPv4 is spoken on links that have one (RFC 2131 §2: htype, hlen)."""

Put = Callable[[inputs.Input], None]


class Attachment:
    """Follows the interface of one name through its lives."""

    def __init__(
        self, ifname: str, endpoints: Endpoints, marking: Marking, put: Put, deliver: Deliver, drop: Drop
    ) -> None:
        self._ifname = ifname
        self._endpoints = endpoints
        self._marking = marking
        self._put = put
        self._deliver = deliver
        self._drop = drop
        self._link: Link | None = None
        self._addresses: set[tuple[int, str]] = set()
        self.ports: Ports | None = None
        """None: there is no interface to send by."""

    @property
    def index(self) -> int:
        """Of the interface; 0: there is none."""
        return self._link.index if self._link is not None else 0

    def has(self, address: IPv4Interface) -> bool:
        """Whether the interface has this address now."""
        return self._link is not None and (self._link.index, str(address)) in self._addresses

    async def first(self, notices: trio.MemoryReceiveChannel[Notice], wait: Callable[[str], None]) -> Link:
        """The interface, as soon as there is one that DHCPv4 can be spoken on: its MAC may be part of who we are.
        Until then `wait` is told why there is none."""
        await trio.lowlevel.checkpoint()
        async for notice in notices:
            self._note_addresses(notice)
            for link in news_of(notice, self._ifname):
                if link is not None and len(link.mac) == ETHERNET_ADDRESS:
                    return link
                wait("LinkAbsent" if link is None else "NoEthernet")
        raise AssertionError("the host ends its notices only when we do")

    async def follow(self, notice: Notice, nursery: trio.Nursery) -> None:
        """Something happened on the host. Ports are opened in `nursery`."""
        await trio.lowlevel.checkpoint()
        self._note_addresses(notice)
        link = link_after(notice, self._ifname, self._link)
        if link is None:
            self._detach()
        elif link != self._link:
            await self.attach(link, nursery)

    async def attach(self, link: Link, nursery: trio.Nursery) -> None:
        """The link is there, or is different: new ports for a new identity, then tell the machine. Raises OSError
        when we may not have the ports: then the client is of no use, and its supervisor says so."""
        await trio.lowlevel.checkpoint()
        before, self._link = self._link, link
        if before is None or (before.index, before.mac) != (link.index, link.mac) or self.ports is None:
            await self._open_ports(link, nursery)
        if before is not None and _seen(before) == _seen(link):
            return
        if link.carrier:
            self._put(inputs.LinkUp(link.index, link.mac, link.mtu, link.arp))
        elif before is None or before.carrier:
            self._put(inputs.LinkDown())

    def _detach(self) -> None:
        if self._link is None:
            return
        self._link = None
        self._close_ports()
        self._put(inputs.LinkGone())

    async def _open_ports(self, link: Link, nursery: trio.Nursery) -> None:
        await trio.lowlevel.checkpoint()
        self._close_ports()
        ports = Ports(self._endpoints, link, self._marking, self._deliver, self._drop)
        try:
            await nursery.start(ports.run)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return
        self.ports = ports

    def _close_ports(self) -> None:
        if self.ports is not None:
            self.ports.close()
            self.ports = None

    def _note_addresses(self, notice: Notice) -> None:
        match notice:
            case Resynced(snapshot):
                self._addresses = {(a.link, str(a.address)) for a in snapshot.addresses}
            case LinkChanged(before, None) if before is not None:
                self._addresses = {(index, text) for index, text in self._addresses if index != before.index}
            case AddressChanged(address, present):
                change = self._addresses.add if present else self._addresses.discard
                change((address.link, str(address.address)))


def _seen(link: Link) -> tuple[object, ...]:
    """What of a link concerns a client."""
    return link.index, link.mac, link.mtu, link.carrier, link.arp
