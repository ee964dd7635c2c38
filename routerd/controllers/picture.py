"""A live picture of the host: the last snapshot, kept up to date by the host's notices and by our own acts.

Controllers plan against it, so that a thousand routes are dumped once and not at every look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import attrs

from routerd.events import incidents
from routerd.events.incidents import Thing
from routerd.host import (
    Address,
    AddressChanged,
    Change,
    HostSide6,
    Link,
    LinkChanged,
    Notice,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Resynced,
    Route,
    RouteChanged,
    SetForwarding6,
    SetHostSide6,
    SetLink,
    Snapshot,
)

AddressKey = tuple[int, str]
RouteKey = tuple[str, int, int | None, str | None]


class Picture:
    """Links by index, addresses and routes by what the kernel tells them apart by."""

    def __init__(self) -> None:
        self._leaving: list[Address | Route] = []
        self.addresses: dict[AddressKey, Address] = {}
        self.contested: dict[AddressKey, int] = {}
        """Addresses that another host of the link was found to have, and how often, since they were last past
        duplicate address detection here (RFC 4862 §5.4). The kernel does not keep all of them."""
        self._read(Snapshot())

    def _read(self, snapshot: Snapshot) -> None:
        for address in snapshot.addresses:
            self._contest(address, present=True)
        self.links: dict[int, Link] = {link.index: link for link in snapshot.links}
        self.addresses = {address_key(a): a for a in snapshot.addresses}
        self.routes: dict[RouteKey, Route] = {route_key(r): r for r in snapshot.routes}

    def link_named(self, name: str) -> Link | None:
        """The link of this name, if there is one."""
        return next((link for link in self.links.values() if link.name == name), None)

    @contextmanager
    def applying(self, change: Change) -> Iterator[None]:
        """While we do this: what is noticed to go away with it goes by our own hand (`taken` says so)."""
        leaving = list(self._leaving_by(change))
        self._leaving += leaving
        try:
            yield
        finally:
            for thing in leaving:
                self._leaving.remove(thing)

    def _leaving_by(self, change: Change) -> Iterator[Address | Route]:
        """What a change takes away beside what it makes: a route in the same place, the routes of a link set down or
        left without an address."""
        match change:
            case RemoveAddress(address):
                yield address
                yield from self._by_last(address)
            case RemoveRoute(route):
                yield route
            case PutRoute(route):
                yield from self._in_place_of(route)
            case SetLink(index, admin_up=False):
                yield from self._by_link(index)

    def _by_last(self, address: Address) -> list[Route]:
        """What goes with an IPv4 address: if it is the last of its link, all IPv4 routes there."""
        family = address.address.version
        others = [a for a in self.addresses.values() if a.link == address.link and a.address.version == family]
        if family == 6 or any(address_key(other) != address_key(address) for other in others):
            return []
        return [route for route in self._by_link(address.link) if route.destination.version == family]

    def _in_place_of(self, route: Route) -> list[Route]:
        return [old for key, old in self.routes.items() if key[:2] == route_key(route)[:2] and old != route]

    def _by_link(self, index: int) -> list[Route]:
        return [route for route in self.routes.values() if route.link == index]

    def taken(self, notice: Notice) -> Address | Route | None:
        """What of ours went away by this notice although we did not remove it. Ask before `note`."""
        match notice:
            case AddressChanged(address, False):
                known: Address | Route | None = self.addresses.get(address_key(address))
            case RouteChanged(route, False) if self.routes.get(route_key(route)) == route:
                known = route
            case _:
                return None
        return known if known is not None and known.ours and known not in self._leaving else None

    def note(self, notice: Notice) -> None:
        """Something happened under us."""
        match notice:
            case Resynced(snapshot):
                self._read(snapshot)
            case LinkChanged(before, None) if before is not None:
                self._drop_link(before.index)
            case LinkChanged(_, after) if after is not None:
                self.links[after.index] = after
            case AddressChanged(address, present):
                self._contest(address, present)
                if present:
                    self.addresses[address_key(address)] = address
                else:
                    self.addresses.pop(address_key(address), None)
            case RouteChanged(route, True):
                self.routes[route_key(route)] = route
            case RouteChanged(route, False) if self.routes.get(route_key(route)) == route:
                del self.routes[
                    route_key(route)
                ]  # else another has taken the place already: this is of the time before

    def applied(self, change: Change) -> None:
        """We did this just now; the notice of it is still on its way."""
        match change:
            case SetLink(index, admin_up, mtu) if index in self.links:
                link = self.links[index]
                self.links[index] = attrs.evolve(
                    link,
                    admin_up=link.admin_up if admin_up is None else admin_up,
                    mtu=link.mtu if mtu is None else mtu,
                )
                self._forget_routes(self._by_link(index) if admin_up is False else ())
            case SetHostSide6(index, accept_ra, autoconf) if index in self.links:
                link = self.links[index]
                before = link.ipv6 or HostSide6(accept_ra=False, autoconf=False)
                side = attrs.evolve(
                    before,
                    accept_ra=before.accept_ra if accept_ra is None else accept_ra,
                    autoconf=before.autoconf if autoconf is None else autoconf,
                )
                self.links[index] = attrs.evolve(link, ipv6=side)
            case SetForwarding6(on):
                for index, link in self.links.items():
                    if link.ipv6 is not None:
                        self.links[index] = attrs.evolve(link, ipv6=attrs.evolve(link.ipv6, forwarding=on))
            case PutAddress(address):
                self.addresses[address_key(address)] = address
            case RemoveAddress(address):
                self.addresses.pop(address_key(address), None)
            case PutRoute(route):
                # A route replaces the one with the same destination and metric, whoever made that.
                self._forget_routes(self._in_place_of(route))
                self.routes[route_key(route)] = route
            case RemoveRoute(route):
                self._leave(route)

    def _contest(self, address: Address, present: bool) -> None:
        """What duplicate address detection has found. Of one that stays, marked, it is told more than once, and when it
        goes, too."""
        key = address_key(address)
        before = self.addresses.get(key)
        if address.standing == "duplicate":
            told = not present if before is None else before.standing == "duplicate"
            self.contested[key] = self.contested.get(key, 0) + (0 if told else 1)
        elif present and address.standing == "ready":
            self.contested.pop(key, None)

    def _leave(self, route: Route) -> None:
        """This very route is gone; its successor in the same place may be known already, and stays."""
        if self.routes.get(route_key(route)) == route:
            del self.routes[route_key(route)]

    def _forget_routes(self, routes: Iterable[Route]) -> None:
        for route in routes:
            del self.routes[route_key(route)]

    def _drop_link(self, index: int) -> None:
        self.links.pop(index, None)
        self.addresses = {key: a for key, a in self.addresses.items() if a.link != index}
        self.routes = {key: r for key, r in self.routes.items() if r.link != index}
        self.contested = {key: times for key, times in self.contested.items() if key[0] != index}


def address_key(address: Address) -> AddressKey:
    """What tells two addresses apart."""
    return address.link, str(address.address)


def route_key(route: Route) -> RouteKey:
    """What tells two routes apart: destination and metric, then where it goes."""
    return str(route.destination), route.metric, route.link, str(route.gateway) if route.gateway else None


def thing_of(change: Change | Address | Route) -> Thing:
    """What is changed, as `routerd.events.incidents` names it."""
    match change:
        case PutAddress(address) | RemoveAddress(address) | (Address() as address):
            return incidents.address(address.link, str(address.address.ip))
        case PutRoute(route) | RemoveRoute(route) | (Route() as route):
            return incidents.route(*route_key(route)[:2])
        case SetLink(index) | SetHostSide6(index):
            return "link", index
        case SetForwarding6():
            return ("forwarding",)
