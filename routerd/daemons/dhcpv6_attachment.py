"""How a DHCPv6 client hangs on its interface: which link that is at present, its port there, and whether it can speak:
with a carrier, and a link-local address that duplicate address detection has let pass (V6-3)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

import trio

from routerd.daemons.dhcpv6_port import Deliver, Drop, Port
from routerd.daemons.link_ports import LinkPorts
from routerd.daemons.named_link import news_of
from routerd.endpoints import Endpoints, Marking
from routerd.host import Address, AddressChanged, Link, LinkChanged, Notice, Resynced
from routerd.protocols.dhcpv6 import inputs

Put = Callable[[inputs.Input], None]
Standing = inputs.LinkUp | inputs.LinkDown | inputs.LinkGone


class Attachment:
    """Follows the interface of one name through its lives. `may_speak` is asked whether the client may begin at all."""

    def __init__(
        self,
        ifname: str,
        endpoints: Endpoints,
        marking: Marking,
        put: Put,
        deliver: Deliver,
        drop: Drop,
        may_speak: Callable[[], bool],
    ) -> None:
        self._ifname = ifname
        self._put = put
        self._at = LinkPorts(ifname, lambda link: Port(endpoints, link, marking, deliver, drop))
        self._may_speak = may_speak
        self._addresses: dict[tuple[int, IPv6Address], Address] = {}
        self._told: Standing | None = None

    @property
    def index(self) -> int:
        """Of the interface; 0: there is none."""
        return self._at.index

    @property
    def port(self) -> Port | None:
        """None: there is no interface to send by."""
        return self._at.ports

    def has(self, address: IPv6Address) -> bool:
        """Whether the interface has this address now, and nobody else does."""
        found = self._addresses.get((self.index, address))
        return found is not None and found.standing == "ready"

    def is_duplicate(self, address: IPv6Address) -> bool:
        """Whether the interface has it, and so has another host."""
        found = self._addresses.get((self.index, address))
        return found is not None and found.standing == "duplicate"

    @property
    def obstacle(self) -> str:
        """Why nothing can be said on the link, as the word of a status; empty: nothing is in the way."""
        if self._at.link is None:
            return "LinkAbsent"
        if not self._at.link.carrier:
            return "NoCarrier"
        if self._link_local() is None:
            return "NoLinkLocal"
        return "" if self._may_speak() else "AwaitingRouter"

    async def first(self, notices: trio.MemoryReceiveChannel[Notice], wait: Callable[[str], None]) -> Link:
        """The interface, as soon as there is one: its MAC, if it has any, may be part of who we are. `wait` is called
        for each time that there is none."""
        await trio.lowlevel.checkpoint()
        async for notice in notices:
            self._note_addresses(notice)
            for link in news_of(notice, self._ifname):
                if link is not None:
                    return link
                wait("LinkAbsent")
        raise AssertionError("the host ends its notices only when we do")

    async def follow(self, notice: Notice, nursery: trio.Nursery) -> None:
        """Something happened on the host. The port is opened in `nursery`."""
        self._note_addresses(notice)
        await self._at.follow(notice, nursery)
        self.look()

    async def attach(self, link: Link, nursery: trio.Nursery) -> None:
        """The link is there. Raises OSError when we may not have the port."""
        await self._at.take(link, nursery)
        self.look()

    def look(self) -> None:
        """Tell the machine how it stands with the link, if that is another thing than before."""
        now = self._standing()
        if now != self._told:
            self._told = now
            self._put(now)

    def _standing(self) -> Standing:
        link, source = self._at.link, self._link_local()
        if link is None:
            return inputs.LinkGone()
        if not link.carrier or source is None or not self._may_speak():
            return inputs.LinkDown()
        return inputs.LinkUp(link.index, link.mac, source)

    def _link_local(self) -> IPv6Address | None:
        """What we send from: as long as it is there the one that we have used before."""
        found = [
            address
            for (index, address), one in self._addresses.items()
            if index == self.index and address.is_link_local and one.standing == "ready"
        ]
        used = self._told.link_local if isinstance(self._told, inputs.LinkUp) else None
        return used if used in found else next(iter(found), None)

    def _note_addresses(self, notice: Notice) -> None:
        match notice:
            case Resynced(snapshot):
                self._addresses = {}
                for address in snapshot.addresses:
                    self._note(address)
            case LinkChanged(before, None) if before is not None:
                self._addresses = {key: one for key, one in self._addresses.items() if key[0] != before.index}
            case AddressChanged(address, present):
                self._note(address, present)

    def _note(self, address: Address, present: bool = True) -> None:
        ip = address.address.ip
        if not isinstance(ip, IPv6Address):
            return
        before = self._addresses.pop((address.link, ip), None)
        if present:
            self._addresses[address.link, ip] = address
        # Linux takes one that has a lifetime away as soon as it has found it to be somebody else's.
        if address.standing == "duplicate" and (before is None or before.standing != "duplicate"):
            self._contest(address.link, ip)

    def _contest(self, index: int, address: IPv6Address) -> None:
        """Duplicate address detection has found somebody else with it (V6-26)."""
        if index == self.index and not address.is_link_local:
            self._put(inputs.Conflict(address))
