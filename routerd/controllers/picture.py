"""A live picture of the host: the last snapshot, kept up to date by the host's notices and by our own acts.

Controllers plan against it, so that a thousand routes are dumped once and not at every look.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from typing import Any

import attrs

from routerd.host import (
    Address,
    AddressChanged,
    Change,
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
    SetLink,
    Snapshot,
)

AddressKey = tuple[int, str]
RouteKey = tuple[str, int, int | None, str | None]


class Picture:
    """Links by index, addresses and routes by what the kernel tells them apart by."""

    def __init__(self) -> None:
        self._leaving: list[Address | Route] = []
        self._read(Snapshot())

    def _read(self, snapshot: Snapshot) -> None:
        self.links: dict[int, Link] = {link.index: link for link in snapshot.links}
        self.addresses: dict[AddressKey, Address] = {address_key(a): a for a in snapshot.addresses}
        self.routes: dict[RouteKey, Route] = {route_key(r): r for r in snapshot.routes}

    def link_named(self, name: str) -> Link | None:
        """The link of this name, if there is one."""
        return next((link for link in self.links.values() if link.name == name), None)

    @contextmanager
    def applying(self, change: Change) -> Iterator[None]:
        """While we do this: a removal that is noticed now is our own (`taken` says so)."""
        leaving: list[Address | Route] = []
        match change:
            case RemoveAddress(thing) | RemoveRoute(thing):
                leaving.append(thing)
        self._leaving += leaving
        try:
            yield
        finally:
            for thing in leaving:
                self._leaving.remove(thing)

    def taken(self, notice: Notice) -> Address | Route | None:
        """What of ours went away by this notice although we did not remove it. Ask before `note`."""
        match notice:
            case AddressChanged(address, False):
                known: Address | Route | None = self.addresses.get(address_key(address))
            case RouteChanged(route, False):
                known = self.routes.get(route_key(route))
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
                _place(self.addresses, address_key(address), address, present)
            case RouteChanged(route, present):
                _place(self.routes, route_key(route), route, present)

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
            case PutAddress(address):
                self.addresses[address_key(address)] = address
            case RemoveAddress(address):
                self.addresses.pop(address_key(address), None)
            case PutRoute(route):
                # A route replaces the one with the same destination and metric, whoever made that.
                for key in [k for k in self.routes if k[:2] == route_key(route)[:2]]:
                    del self.routes[key]
                self.routes[route_key(route)] = route
            case RemoveRoute(route):
                self.routes.pop(route_key(route), None)

    def _drop_link(self, index: int) -> None:
        self.links.pop(index, None)
        self.addresses = {key: a for key, a in self.addresses.items() if a.link != index}
        self.routes = {key: r for key, r in self.routes.items() if r.link != index}


def address_key(address: Address) -> AddressKey:
    """What tells two addresses apart."""
    return address.link, str(ip_interface(address.address))


def route_key(route: Route) -> RouteKey:
    """What tells two routes apart: destination and metric, then where it goes."""
    return str(route.destination), route.metric, route.link, str(route.gateway) if route.gateway else None


def _place(table: dict[Any, Any], key: object, value: object, present: bool) -> None:
    if present:
        table[key] = value
    else:
        table.pop(key, None)
