"""What the kernel has told us so far, and what is news in the next message. Pure: messages in, notices out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface

import attrs

from routerd.host import Address, AddressChanged, Link, LinkChanged, Notice, Route, RouteChanged, Snapshot
from routerd.host.linux import messages
from routerd.host.linux.netlink import NLM_F_REPLACE, Message


class Mirror:
    """Links, addresses and routes as of the last message heard.

    The kernel removes IPv4 routes in silence when their link goes down or loses an address, and replaces one of
    several like routes without saying which. `doubtful` is then True, until `correct` is given the routes read afresh.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.load(snapshot)

    def load(self, snapshot: Snapshot) -> None:
        """Start over from this."""
        self._links = {link.index: link for link in snapshot.links}
        self._addresses = {_key(address): address for address in snapshot.addresses}
        self._routes = dict.fromkeys(snapshot.routes)
        self.doubtful = False

    def snapshot(self) -> Snapshot:
        """All of it now."""
        return Snapshot(tuple(self._links.values()), tuple(self._addresses.values()), tuple(self._routes))

    def hear(self, message: Message, now: float) -> list[Notice]:
        """Take in one message; what it changed, in order."""
        match message.type:
            case messages.RTM_NEWLINK | messages.RTM_DELLINK:
                link = messages.link(message.body)
                return self._link(link, message.type == messages.RTM_NEWLINK) if link else []
            case messages.RTM_NEWADDR | messages.RTM_DELADDR:
                address = messages.address(message.body, now)
                return self._address(address, message.type == messages.RTM_NEWADDR) if address else []
            case messages.RTM_NEWROUTE:
                return self._new_routes(messages.routes(message.body), bool(message.flags & NLM_F_REPLACE))
            case messages.RTM_DELROUTE:
                return self._gone(messages.routes(message.body))
        return []

    def correct(self, routes: Iterable[Route]) -> list[Notice]:
        """These are the routes, read afresh; what we did not know."""
        now = dict.fromkeys(routes)
        notices = self._gone([route for route in self._routes if route not in now])
        notices += self._come(now)
        self.doubtful = False
        return notices

    def _link(self, link: Link, present: bool) -> list[Notice]:
        before = self._links.get(link.index)
        if not present:
            return self._without(before) if before else []
        self._links[link.index] = link
        if before == link:
            return []
        self.doubtful |= before is not None and before.admin_up and not link.admin_up
        return [LinkChanged(before, link)]

    def _without(self, link: Link) -> list[Notice]:
        del self._links[link.index]
        notices: list[Notice] = []
        for address in [address for address in self._addresses.values() if address.link == link.index]:
            notices += self._address(address, present=False)
        self.doubtful = True
        return [*notices, LinkChanged(link, None)]

    def _address(self, address: Address, present: bool) -> list[Notice]:
        before = self._addresses.get(_key(address))
        if present:
            self._addresses[_key(address)] = address
            news = before is None or (before, before.standing) != (address, address.standing)
            return [AddressChanged(address, present=True)] if news else []
        if before is None:
            return []
        del self._addresses[_key(address)]
        self.doubtful = True
        # The kernel takes one that has a lifetime away by itself when it is found to be a duplicate.
        found = address.standing if address.standing == "duplicate" else before.standing
        return [AddressChanged(attrs.evolve(before, standing=found), present=False)]

    def _new_routes(self, routes: list[Route], replaces: bool) -> list[Notice]:
        if not (replaces and routes):
            return self._come(routes)
        spot = (routes[0].destination, routes[0].metric)
        others = [old for old in self._routes if (old.destination, old.metric) == spot and old not in routes]
        if len(others) > 1:
            self.doubtful = True
            return self._come(routes)
        return [*self._gone(others), *self._come(routes)]

    def _come(self, routes: Iterable[Route]) -> list[Notice]:
        new = [route for route in routes if route not in self._routes]
        self._routes.update(dict.fromkeys(new))
        return [RouteChanged(route, present=True) for route in new]

    def _gone(self, routes: Iterable[Route]) -> list[Notice]:
        gone = [route for route in routes if route in self._routes]
        for route in gone:
            del self._routes[route]
        return [RouteChanged(route, present=False) for route in gone]


def _key(address: Address) -> tuple[int, IPv4Interface | IPv6Interface]:
    return address.link, address.address
