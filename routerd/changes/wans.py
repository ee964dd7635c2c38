"""Which ways out a router has: leases of DHCPv4, addresses and prefixes of DHCPv6, routers that advertise themselves,
and whatever else leads everywhere. Pure questions to a View."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from routerd.controllers.lease import ifname_of, leases, undecided
from routerd.controllers.lease6 import delegations, held_addresses
from routerd.controllers.picture import Picture
from routerd.controllers.view import View
from routerd.events.types import Ref, ref_of
from routerd.host import Route
from routerd.resources.net import DHCPv4Client
from routerd.resources.net6 import DHCPv6Address, DHCPv6PrefixDelegation, IPv6RAAddress
from routerd.resources.resource import Resource

UPSTREAM = (DHCPv4Client, DHCPv6PrefixDelegation, DHCPv6Address, IPv6RAAddress)
"""Kinds of whom a way out may come."""


def wans_up(view: View) -> Iterator[str]:
    """`Kind/name` of everyone that has one now."""
    yield from (str(lease.client) for lease in leases(view))
    yield from (str(known.client) for known in delegations(view) if known.prefix is not None)
    yield from (str(held.client) for held in held_addresses(view))
    for listener in view.router.of(IPv6RAAddress):
        known = not _is_undecided(view, listener)
        if known and view.objects.get(ref_of(listener), {}).get("defaultGateway"):
            yield str(listener)


def are_undecided(view: View, wans: Collection[str]) -> bool:
    """Whether one of them is still to run, and has not yet said in this life of routerd what it has."""
    return any(str(one) in wans and _is_undecided(view, one) for one in _upstream(view))


def is_awaited(view: View, ifname: str | None) -> bool:
    """Whether a client (of this interface; None: of any) is to have something and has nothing."""
    held = set(wans_up(view))
    missing = (one for one in _upstream(view) if str(one) not in held)
    return any(ifname in (None, ifname_of(view.router, one.spec.interface)) for one in missing)


def leads_everywhere(picture: Picture) -> bool:
    """Whether there is a default route that can be used, whoever put it there."""
    return any(route.destination.prefixlen == 0 and is_usable(picture, route) for route in picture.routes.values())


def is_usable(picture: Picture, route: Route) -> bool:
    """Whether what is sent by it leaves the host."""
    link = picture.links.get(route.link) if route.link is not None else None
    return route.kind == "unicast" and link is not None and link.admin_up and link.carrier


def _upstream(view: View) -> Iterator[Resource[Any]]:
    for kind in UPSTREAM:
        yield from view.router.of(kind.__name__)


def _is_undecided(view: View, resource: Resource[Any]) -> bool:
    ref: Ref = ref_of(resource)
    if ref.kind != IPv6RAAddress.__name__:
        return undecided(view, ref)
    status = view.objects.get(ref, {})
    return "state" not in status and status.get("reason") != "Stopped"
