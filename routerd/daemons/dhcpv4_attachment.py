"""How a DHCPv4 client hangs on its interface: which link that is at present, its ports there, and which addresses it
has. What the host tells becomes the machine's LinkUp, LinkDown and LinkGone."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface

import trio

from routerd.daemons.dhcpv4_ports import Deliver, Drop, Ports
from routerd.daemons.link_ports import LinkPorts
from routerd.daemons.named_link import news_of
from routerd.endpoints import Endpoints, Marking
from routerd.host import ETHERNET_ADDRESS, AddressChanged, Link, LinkChanged, Notice, Resynced
from routerd.protocols.dhcpv4 import inputs

Put = Callable[[inputs.Input], None]


class Attachment:
    """Follows the interface of one name through its lives."""

    def __init__(
        self, ifname: str, endpoints: Endpoints, marking: Marking, put: Put, deliver: Deliver, drop: Drop
    ) -> None:
        self._ifname = ifname
        self._put = put
        self._at = LinkPorts(ifname, lambda link: Ports(endpoints, link, marking, deliver, drop))
        self._addresses: set[tuple[int, str]] = set()

    @property
    def index(self) -> int:
        """Of the interface; 0: there is none."""
        return self._at.index

    @property
    def ports(self) -> Ports | None:
        """None: there is no interface to send by."""
        return self._at.ports

    def has(self, address: IPv4Interface) -> bool:
        """Whether the interface has this address now."""
        return (self._at.index, str(address)) in self._addresses

    async def first(self, notices: trio.MemoryReceiveChannel[Notice], wait: Callable[[str], None]) -> Link:
        """The interface, as soon as there is one that DHCPv4 can be spoken on (RFC 2131 §2: htype, hlen): its MAC
        may be part of who we are. Until then `wait` is told why there is none."""
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
        self._note_addresses(notice)
        before = self._at.link
        await self._at.follow(notice, nursery)
        self._tell(before)

    async def attach(self, link: Link, nursery: trio.Nursery) -> None:
        """The link is there. Raises OSError when we may not have the ports."""
        await self._at.take(link, nursery)
        self._tell(None)

    def _tell(self, before: Link | None) -> None:
        """What the machine is to know of the link, if that is another thing than before."""
        link = self._at.link
        if (before and _seen(before)) == (link and _seen(link)):
            return
        if link is None:
            self._put(inputs.LinkGone())
        elif link.carrier:
            self._put(inputs.LinkUp(link.index, link.mac, link.mtu, link.arp))
        elif before is None or before.carrier:
            self._put(inputs.LinkDown())

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
