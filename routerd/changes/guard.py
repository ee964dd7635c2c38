"""What must not be lost while a change is on trial: the ways by which operators come in, the WANs, and the connection
of whoever asked for the change. Pure questions to a View.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import attrs

from routerd.changes.commit import GuardFailed, GuardHolds
from routerd.config import Router
from routerd.controllers.lease import ifname_of, leases, ref_of, undecided
from routerd.controllers.management import shut
from routerd.controllers.picture import Picture
from routerd.controllers.reconcile import View
from routerd.host import Route
from routerd.resources.management import ManagementAccess
from routerd.resources.net import DHCPv4Client

PATIENCE: Final = 10.0
"""Seconds that a way in may be shut: addresses move, links come up anew."""
WAN_PATIENCE: Final = 30.0
"""Seconds that what a lease brings may be missing: a client that begins anew has to find a server, and to probe its
address."""

Verdict = GuardFailed | GuardHolds


@attrs.frozen
class Caller:
    """The connection by which an operator sits at this host: its address here, and theirs."""

    local: str
    remote: str


@attrs.frozen
class Guards:
    """What is guarded: interfaces by the system's name, DHCPv4 clients by theirs."""

    interfaces: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    caller: Caller | None = None


def standing(view: View, routers: Iterable[Router], caller: Caller | None) -> Guards:
    """What can be guarded now, before a change from one of `routers` to another: only what is there can be lost."""
    ifnames = dict.fromkeys(ifname for router in routers for ifname in _management(router))
    return Guards(
        tuple(ifname for ifname in ifnames if shut(view.picture, ifname) is None),
        tuple(lease.client.name for lease in leases(view)),
        caller if caller is not None and _cut(view.picture, caller) is None else None,
    )


def judge(guards: Guards, view: View) -> Iterator[Verdict]:
    """Which of them hold, and which are lost. Of what is not known yet nothing is said."""
    for ifname in guards.interfaces:
        there = view.picture.link_named(ifname) is not None
        patience = _patience(view, ifname) if there else 0.0
        yield _verdict(f"interface {ifname}", shut(view.picture, ifname), patience)
    if guards.clients:
        yield from _wans(guards.clients, view)
    if guards.caller is not None:
        yield _verdict("caller", _cut(view.picture, guards.caller), _patience(view, None))


def _verdict(guard: str, why: str | None, patience: float) -> Verdict:
    return GuardHolds(guard) if why is None else GuardFailed(guard, why, patience)


def _patience(view: View, ifname: str | None) -> float:
    """Longer while a client (of this interface) that is to have a lease has none: what is missing may come with it."""
    held = {lease.client.name for lease in leases(view)}
    missing = (one.spec.interface for one in view.router.of(DHCPv4Client) if one.name not in held)
    return WAN_PATIENCE if any(ifname in (None, ifname_of(view.router, name)) for name in missing) else PATIENCE


def _management(router: Router) -> Iterator[str]:
    for access in router.of(ManagementAccess):
        for name in access.spec.interfaces:
            ifname = ifname_of(router, name)
            if ifname is not None:
                yield ifname


def _wans(clients: tuple[str, ...], view: View) -> Iterator[Verdict]:
    """All WANs are down when no client has a lease any more, and no other way leads to everywhere."""
    declared = [resource for resource in view.router.of(DHCPv4Client) if resource.name in clients]
    if any(lease.client.name in clients for lease in leases(view)) or _leads_everywhere(view.picture):
        yield GuardHolds("wan")
    elif not any(undecided(view, ref_of(resource)) for resource in declared):
        names = ", ".join(f"DHCPv4Client/{name}" for name in clients)
        yield GuardFailed("wan", f"no WAN is left: {names} had a lease and lost it", WAN_PATIENCE)


def _leads_everywhere(picture: Picture) -> bool:
    return any(route.destination.prefixlen == 0 and _usable(picture, route) for route in picture.routes.values())


def _usable(picture: Picture, route: Route) -> bool:
    link = picture.links.get(route.link) if route.link is not None else None
    return route.kind == "unicast" and link is not None and link.admin_up and link.carrier


def _cut(picture: Picture, caller: Caller) -> str | None:
    """Why the caller's connection cannot live, None if it can."""
    local, remote = _address(caller.local), _address(caller.remote)
    if not any(known.address.ip == local for known in picture.addresses.values()):
        return f"the address {local}, to which the caller is connected, is gone"
    if remote.is_link_local:
        return None
    found = _route_to(picture, remote)
    return None if found is not None and _usable(picture, found) else f"there is no route to the caller at {remote}"


def _address(text: str) -> IPv4Address | IPv6Address:
    """Of `fe80::1%eth0` too: which link it is on does not matter here. And IPv4 told as IPv6 is IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _route_to(picture: Picture, address: IPv4Address | IPv6Address) -> Route | None:
    """The route by which the host sends to an address: the longest prefix, then the lowest metric."""
    leading = (route for route in picture.routes.values() if address in route.destination)
    return min(leading, key=lambda route: (-route.destination.prefixlen, route.metric), default=None)
