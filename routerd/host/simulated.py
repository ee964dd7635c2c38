"""A host in memory, with a kernel's habits. Its links and its time are the simulated world's.

It is kernel and `Host` in one: keep it while routerd is restarted on top, and it still has what routerd put there.
What an operator does by hand, or a kernel by itself, is done with the methods that are not the seam's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import attrs
import trio

from routerd.host import (
    ETHERNET_ADDRESS,
    LIFETIME_GRACE,
    Address,
    AddressChanged,
    Change,
    Clock,
    HostRefused,
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
from routerd.host.simulated_clock import SimulatedClock
from routerd.host.simulated_ipv6 import Kernel6, link_local
from routerd.host.subscribers import Subscribers
from routerd.sim.timeline import Appointment
from routerd.sim.world import World

_KERNEL_METRIC = {4: 0, 6: 256}
"""Of connected routes, by IP version."""
_MIN_MTU = 68
DETECTION = 1.0
"""Seconds that duplicate address detection takes (RFC 4862 §5.4)."""


class SimulatedHost:
    """`routerd.host.Host`; see `open_host`. Methods that change it raise OSError in a kernel's words."""

    name = "simulated"

    def __init__(self, world: World, *, ipv6: bool = False) -> None:
        self._ipv6 = Kernel6() if ipv6 else None
        """None: it is switched off."""
        self.simulated_clock = SimulatedClock(world)
        self.clock: Clock = self.simulated_clock
        self.world = world
        self._addresses: dict[tuple[int, IPv4Interface | IPv6Interface], Address] = {}
        self._ends: dict[tuple[int, IPv4Interface | IPv6Interface], Appointment] = {}
        self.elsewhere: set[IPv4Address | IPv6Address] = set()
        """IPv6 addresses that other hosts of the links have: one that is put here is found to be a duplicate."""
        self._routes: dict[Route, None] = {}
        self._subscribers: Subscribers[Notice] = Subscribers(lambda missed: Resynced(self.snapshot()))

    def snapshot(self) -> Snapshot:
        """All of it now."""
        return Snapshot(
            tuple(map(self._with_side, self.world.links)), tuple(self._addresses.values()), tuple(self._routes)
        )

    def owns(self, index: int, address: IPv4Address | IPv6Address) -> bool:
        """Whether the link of this index has this address."""
        return any(own.link == index and own.address.ip == address for own in self._addresses.values())

    # Host

    async def observe(self) -> Snapshot:
        """See `Host`."""
        await trio.lowlevel.checkpoint()
        return self.snapshot()

    async def apply(self, change: Change) -> None:
        """See `Host`."""
        await trio.lowlevel.checkpoint()
        try:
            self._apply(change)
        except OSError as error:
            raise HostRefused(change, error.errno or 0, error.strerror or "") from None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[trio.MemoryReceiveChannel[Notice]]:
        """See `Host`."""
        async with self._subscribers.subscribe(Resynced(self.snapshot())) as notices:
            yield notices

    def _apply(self, change: Change) -> None:
        match change:
            case SetLink():
                self.set_link(change.index, change.admin_up, change.mtu)
            case SetHostSide6():
                self.world.link(change.index)
                self._kernel6().set_side(change)
            case SetForwarding6(on):
                self._kernel6().forwarding = on
            case PutAddress(address):
                self.put_address(attrs.evolve(address, ours=True))
            case RemoveAddress(address):
                self.remove_address(address)
            case PutRoute(route):
                self.put_route(attrs.evolve(route, ours=True))
            case RemoveRoute(route):
                self.remove_route(route)

    # Links

    def set_link(self, index: int, admin_up: bool | None = None, mtu: int | None = None) -> None:
        """Change what is not None."""
        link = self.world.link(index)
        if mtu is not None and mtu < _MIN_MTU:
            raise OSError(errno.EINVAL, "mtu less than device minimum")
        if mtu is not None and mtu > link.max_mtu:
            raise OSError(errno.EINVAL, "mtu greater than device maximum")
        self.world.set_link(index, admin_up=admin_up, mtu=mtu)

    def _kernel6(self) -> Kernel6:
        if self._ipv6 is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._ipv6

    def _with_side(self, link: Link) -> Link:
        return link if self._ipv6 is None else self._ipv6.seen(link)

    def hear_link(self, change: LinkChanged) -> None:
        """The world says that a link has changed: addresses and routes follow."""
        before, after = change.before, change.after
        index = (before or after).index  # type: ignore[union-attr]  # never both None
        if after is None:
            self._clear(index, self._of(index))
        told = LinkChanged(before and self._with_side(before), after and self._with_side(after))
        self._tell(told)
        if before is not None and before.admin_up and after is not None and not after.admin_up:
            self._clear(index, [address for address in self._of(index) if address.address.version == 6])
        elif after is not None and after.admin_up:
            for address in self._of(index):
                self._connect(address)
            self._speak_ipv6(after)

    def _clear(self, index: int, addresses: list[Address]) -> None:
        """The link is down or gone: with its routes go these addresses."""
        for address in addresses:
            self._forget(address)
        self._drop(route for route in self._routes if route.link == index)

    def _speak_ipv6(self, link: Link) -> None:
        """A link that can carry frames has a link-local address (RFC 4291 §2.5.6); here nobody waits for duplicates."""
        if self._ipv6 is None or not link.carrier or len(link.mac) != ETHERNET_ADDRESS:
            return
        address = Address(link.index, link_local(link.mac), ours=False)
        if (link.index, address.address) not in self._addresses:
            self.put_address(address)

    # Addresses

    def _collide(self, address: Address, now: float) -> None:
        """Another host of the link has answered. One that has a lifetime goes, any other stays, marked, as on Linux."""
        twice, key = attrs.evolve(address, standing="duplicate"), (address.link, address.address)
        if key not in self._addresses:
            return
        if address.valid_until is not None:
            self._addresses[key] = twice
            self._forget(address)
        else:
            self._addresses[key] = twice
            self._tell(AddressChanged(twice, present=True))

    def put_address(self, address: Address) -> None:
        """Add it, or renew its lifetime."""
        if address.address.ip in self.elsewhere:
            address = attrs.evolve(address, standing="tentative")
            self.world.timeline.at(self.clock.now() + DETECTION, partial(self._collide, address))
        if self._up(address.link) is None:
            raise OSError(errno.ENODEV, "Device not found")
        key = address.link, address.address
        if key in self._ends:
            self._ends.pop(key).cancel()
        before = self._addresses.get(key)
        self._addresses[key] = address
        if address.valid_until is not None:
            end = max(address.valid_until + (LIFETIME_GRACE if address.ours else 0), self.clock.now() + 1)
            self._ends[key] = self.world.timeline.at(end, partial(self._expire, address))
        if before != address:
            self._tell(AddressChanged(address, present=True))
        self._connect(address)

    def remove_address(self, address: Address) -> None:
        """Remove it, if it is there, and the routes that cannot be without it."""
        if (address.link, address.address) in self._addresses:
            self._forget(address)

    def _expire(self, address: Address, now: float) -> None:
        self._forget(address)

    def _forget(self, address: Address) -> None:
        key = address.link, address.address
        if key in self._ends:
            self._ends.pop(key).cancel()
        gone = self._addresses.pop(key)
        self._tell(AddressChanged(gone, present=False))
        siblings = [other for other in self._of(gone.link) if other.address.version == gone.address.version]
        self._drop(
            route
            for route in self._routes
            if route.source == gone.address.ip
            or (route.link == gone.link and gone.address.version == 4 == route.destination.version and not siblings)
            or (route == _connected(gone) and not any(_connected(other) == route for other in siblings))
        )
        for other in siblings:
            self._connect(other)  # one of the same network takes the connected route over

    # Routes

    def put_route(self, route: Route) -> None:
        """Add it, or replace the one with the same destination and metric."""
        route = _as_kept(route)
        self._check(route)
        if route not in self._routes:
            self._drop(old for old in self._routes if _spot(old) == _spot(route))
            self._come(route)

    def remove_route(self, route: Route) -> None:
        """Remove it, if it is there."""
        self._drop(old for old in self._routes if old == _as_kept(route))

    def _check(self, route: Route) -> None:
        if route.kind != "unicast":
            return
        if route.link is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if (up := self._up(route.link)) is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if not up:
            raise OSError(errno.ENETDOWN, "Device for nexthop is not up")
        if route.gateway is not None and not (route.onlink or self._reaches(route)):
            raise OSError(errno.ENETUNREACH, "Nexthop has invalid gateway")
        if route.source is not None and not any(own.address.ip == route.source for own in self._addresses.values()):
            raise OSError(errno.EINVAL, "Invalid prefsrc address")

    def _reaches(self, route: Route) -> bool:
        """Whether the gateway is a neighbour."""
        return route.gateway is not None and (
            (route.gateway.version == 6 and route.gateway.is_link_local)
            or any(
                direct.link == route.link and direct.gateway is None and route.gateway in direct.destination
                for direct in self._routes
            )
        )

    def _connect(self, address: Address) -> None:
        """The connected route of an address, when its link is up and no other address of its network has made it."""
        route = _connected(address)
        if not self._up(address.link) or (address.address.version == 4 and route.destination.prefixlen == 32):
            return
        if not any((old.destination, old.metric, old.link) == (*_spot(route), route.link) for old in self._routes):
            self._come(route)

    # What all of this needs

    def _up(self, index: int) -> bool | None:
        """Whether the link is up; None: there is none."""
        return next((link.admin_up for link in self.world.links if link.index == index), None)

    def _of(self, index: int) -> list[Address]:
        return [address for address in self._addresses.values() if address.link == index]

    def _come(self, route: Route) -> None:
        self._routes[route] = None
        self._tell(RouteChanged(route, present=True))

    def _drop(self, routes: Iterable[Route]) -> None:
        for route in list(routes):
            del self._routes[route]
            self._tell(RouteChanged(route, present=False))

    def _tell(self, notice: Notice) -> None:
        self._subscribers.publish(notice)


@asynccontextmanager
async def open_host(world: World, *, ipv6: bool = False) -> AsyncIterator[SimulatedHost]:
    """The host whose links are the world's; without `ipv6` its kernel has that switched off. `world.run` must run for
    lifetimes to end."""
    host = SimulatedHost(world, ipv6=ipv6)
    world.owns = host.owns
    with world.on_change(host.hear_link):
        for link in world.links:
            host.hear_link(LinkChanged(link, link))
        yield host


def _connected(address: Address) -> Route:
    version = address.address.version
    source = address.address.ip if version == 4 else None
    return Route(address.address.network, address.link, metric=_KERNEL_METRIC[version], source=source, ours=False)


def _as_kept(route: Route) -> Route:
    """As the kernel keeps it: an IPv6 route without a metric has one."""
    return attrs.evolve(route, metric=1024) if route.destination.version == 6 and not route.metric else route


def _spot(route: Route) -> tuple[IPv4Network | IPv6Network, int]:
    """Where there is room for one route of ours."""
    return route.destination, route.metric
