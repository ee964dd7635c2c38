"""How a daemon of Neighbor Discovery hangs on its interface: which link that is at present, its socket there, by which
address it speaks, and what the host has on it. What the host tells becomes the machine's LinkUp and LinkDown."""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Interface

import attrs
import trio

from routerd.daemons.named_link import GONE
from routerd.endpoints import Endpoints, Marking, NdpEndpoint
from routerd.host import (
    ETHERNET_ADDRESS,
    Address,
    AddressChanged,
    Link,
    LinkChanged,
    Notice,
    Resynced,
    Route,
    RouteChanged,
)
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import NdpPacket

ABSENT, DOWN, NO_CARRIER, NO_ADDRESS = "LinkAbsent", "LinkDown", "NoCarrier", "NoLinkLocal"
WORDS = {
    ABSENT: "there is no interface {}, or it is no Ethernet",
    DOWN: "{} is administratively down",
    NO_CARRIER: "{} has no carrier",
    NO_ADDRESS: "{} has no link-local address that is past duplicate address detection",
}
"""Why nothing can be said on the link."""


@attrs.frozen
class Facts:
    """What the host has at present: the link, its IPv6 addresses, the IPv6 routes by it; and which addresses, be they
    there or not, were last found to be another host's."""

    link: Link | None = None
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    contested: tuple[IPv6Address, ...] = ()

    @property
    def source(self) -> IPv6Address | None:
        """By which address we speak: a link-local one that is known to be ours alone."""
        ready = (one.address.ip for one in self.addresses if one.standing == "ready")
        return next((ip for ip in ready if isinstance(ip, IPv6Address) and ip.is_link_local), None)

    @property
    def obstacle(self) -> str:
        """Why nothing can be said on the link, a key of WORDS; empty: nothing is in the way."""
        if self.link is None or len(self.link.mac) != ETHERNET_ADDRESS:
            return ABSENT
        if not self.link.carrier:
            return NO_CARRIER if self.link.admin_up else DOWN
        return "" if self.source is not None else NO_ADDRESS

    @property
    def up(self) -> LinkUp | None:
        """The link as machines are told of it; None: it is of no use now."""
        if self.obstacle or self.link is None or self.source is None:
            return None
        return LinkUp(self.source, self.link.mac)


class NdpLink:
    """Follows the interface of one name through its lives. `put` takes what the machine is told, `deliver` packets."""

    def __init__(
        self,
        ifname: str,
        endpoints: Endpoints,
        put: Callable[[LinkUp | LinkDown], None],
        deliver: Callable[[NdpPacket], None],
        drop: Callable[[str], None],
    ) -> None:
        self.ifname = ifname
        self._endpoints = endpoints
        self._put = put
        self._deliver = deliver
        self._drop = drop
        self._link: Link | None = None
        self._addresses: dict[tuple[int, str], Address] = {}
        self._routes: dict[Route, None] = {}
        self._contested: dict[tuple[int, str], IPv6Address] = {}
        self._told: tuple[int, LinkUp] | None = None
        self._port: NdpEndpoint | None = None
        self._scope: trio.CancelScope | None = None

    @property
    def facts(self) -> Facts:
        """See Facts."""
        if self._link is None:
            return Facts()
        index = self._link.index
        addresses = tuple(one for (link, _), one in self._addresses.items() if link == index)
        contested = tuple(ip for (link, _), ip in self._contested.items() if link == index)
        return Facts(self._link, addresses, tuple(one for one in self._routes if one.link == index), contested)

    async def follow(self, notice: Notice, nursery: trio.Nursery) -> None:
        """Something happened on the host. The socket is opened in `nursery`. Raises OSError when we may not have it."""
        await trio.lowlevel.checkpoint()
        self._note(notice)
        facts = self.facts
        now = None if facts.link is None or facts.up is None else (facts.link.index, facts.up)
        if now == self._told:
            return
        if self._told is not None:
            self._put(LinkDown())
        if now is None or self._told is None or now[0] != self._told[0]:
            self._close()
        self._told = now
        if facts.link is not None and now is not None:
            if self._port is None:
                await self._open(facts.link, nursery)
            self._put(now[1])

    async def send(self, packet: NdpPacket) -> None:
        """Put a message on the link. Raises OSError."""
        if self._port is None:
            raise OSError(errno.ENODEV, "there is no interface to send by")
        await self._port.send(wire.encode(packet.message), packet.source, packet.target)

    async def _open(self, link: Link, nursery: trio.Nursery) -> None:
        await trio.lowlevel.checkpoint()
        try:
            self._scope = await nursery.start(self._hold, link)
        except OSError as error:
            if error.errno not in GONE:
                raise

    def _close(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        self._scope, self._port = None, None

    async def _hold(self, link: Link, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            async with self._endpoints.open_ndp(link.index, link.name, Marking()) as port:
                self._port = port
                task_status.started(scope)
                try:
                    await self._read(port)
                except OSError as error:
                    if error.errno not in GONE:
                        raise

    async def _read(self, port: NdpEndpoint) -> None:
        while True:
            heard = await port.receive()
            message = wire.decode(heard.payload)
            if isinstance(message, Malformed):
                self._drop(message.reason)
            else:
                self._deliver(NdpPacket(message, heard.source, heard.target, heard.hop_limit))

    # What the host tells

    def _note(self, notice: Notice) -> None:
        match notice:
            case Resynced(snapshot):
                self._link = snapshot.link(self.ifname)
                self._addresses = {_key(one): one for one in snapshot.addresses if _is_ipv6(one)}
                self._routes = dict.fromkeys(one for one in snapshot.routes if one.destination.version == 6)
                for one in self._addresses.values():
                    self._contest(one)
            case LinkChanged(before, after):
                self._note_link(before, after)
            case AddressChanged(address, True) if _is_ipv6(address):
                self._addresses[_key(address)] = address
                self._contest(address)
            case AddressChanged(address, False):
                self._addresses.pop(_key(address), None)
                self._contest(address)
            case RouteChanged(route, True) if route.destination.version == 6:
                self._routes[route] = None
            case RouteChanged(route, False):
                self._routes.pop(route, None)

    def _contest(self, address: Address) -> None:
        """Linux takes one that has a lifetime away as soon as it has found it to be somebody else's."""
        if address.standing == "duplicate" and isinstance(address.address.ip, IPv6Address):
            self._contested[_key(address)] = address.address.ip
        elif address.standing == "ready":
            self._contested.pop(_key(address), None)

    def _note_link(self, before: Link | None, after: Link | None) -> None:
        if after is not None and after.name == self.ifname:
            self._link = after
        elif before is not None and self._link is not None and before.index == self._link.index:
            self._link = None
        if before is not None and (after is None or not after.carrier):  # who was there need not be there afterwards
            self._contested = {key: ip for key, ip in self._contested.items() if key[0] != before.index}
        if before is not None and after is None:
            self._addresses = {key: one for key, one in self._addresses.items() if key[0] != before.index}
            self._routes = dict.fromkeys(one for one in self._routes if one.link != before.index)


def _key(address: Address) -> tuple[int, str]:
    return address.link, str(address.address)


def _is_ipv6(address: Address) -> bool:
    return isinstance(address.address, IPv6Interface)
