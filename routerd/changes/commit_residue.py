"""What of a configuration that was taken back is still on the host: routerd removes what it put there, and restores no
more of what it changed than the configuration in force says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routerd.config import Router
from routerd.controllers.forwarding import LANS
from routerd.controllers.interface import managed
from routerd.controllers.lease import ifname_of
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import wanted_by_key
from routerd.controllers.wanted_route import declared_routes
from routerd.events.types import ref_of
from routerd.host import Link
from routerd.resources.net import DHCPv4Client, Interface, IPv4StaticAddress
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6DelegatedAddress,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
    metric_of,
)

DAEMONS = (
    *(DHCPv4Client, DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information),
    *(IPv6RAAddress, IPv6RouterAdvertisement),
)
"""Kinds for each of which a daemon runs, or a part of one."""


def residue(reverted: Router, view: View) -> list[str]:
    """A sentence for each thing, `view` being of the configuration that is in force again."""
    return [
        *_links(reverted, view),
        *_addresses(reverted, view),
        *_addresses6(reverted, view),
        *_routes(reverted, view),
        *_forwarding(reverted, view),
        *_host_sides(reverted, view),
        *_daemons(reverted, view),
    ]


def _links(reverted: Router, view: View) -> Iterator[str]:
    """MTU and administrative state that were set, and that nobody sets otherwise now."""
    now = {one.spec.ifname: one.spec for one in view.router.of(Interface) if managed(one.spec)}
    for one in reverted.of(Interface):
        spec, link = one.spec, view.picture.link_named(one.spec.ifname)
        if link is None or not managed(spec):
            continue
        present = now.get(spec.ifname)
        if spec.mtu is not None and link.mtu == spec.mtu and (present is None or present.mtu is None):
            yield f"{link.name} still has the MTU {link.mtu}: the configuration in force names none"
        if not spec.admin_up and not link.admin_up and present is None:
            yield f"{link.name} is still down: the configuration in force does not have it"


def _addresses(reverted: Router, view: View) -> Iterator[str]:
    wanted = {_place(view.router, one.spec) for one in view.router.of(IPv4StaticAddress)}
    for one in reverted.of(IPv4StaticAddress):
        place = ifname, address = _place(reverted, one.spec)
        link = view.picture.link_named(ifname or "")
        if place not in wanted and link is not None and (link.index, str(address)) in view.picture.addresses:
            yield f"{ifname} still has the address {address} of {one}"


def _place(router: Router, spec: IPv4StaticAddress) -> tuple[str | None, Any]:
    return ifname_of(router, spec.interface), spec.address


def _addresses6(reverted: Router, view: View) -> Iterator[str]:
    """What was begun with an address of a subnet goes on until its end; what is wanted now is no residue."""
    wanted = wanted_by_key(view)
    names = {ifname_of(reverted, one.spec.interface): one for one in reverted.of(IPv6DelegatedAddress)}
    for key, address in view.picture.addresses.items():
        link = view.picture.links.get(address.link)
        former = names.get(link.name) if link is not None and address.ours and address.address.version == 6 else None
        want = wanted.get(key)
        if link is None or former is None or (want is not None and not want.deprecated) or _is_single(address.address):
            continue
        words = " for what was begun with it" if want is not None else ""
        yield f"{link.name} still has the address {address.address} of {former}{words}"


def _is_single(address: Any) -> bool:
    """A client's own address, and no subnet's."""
    return bool(address.network.prefixlen == address.max_prefixlen)


def _routes(reverted: Router, view: View) -> Iterator[str]:
    wanted = {(one.spec.destination, metric_of(one.spec)) for one in declared_routes(view.router)}
    present = {(route.destination, route.metric) for route in view.picture.routes.values() if route.ours}
    for one in declared_routes(reverted):
        spot = one.spec.destination, metric_of(one.spec)
        if spot in present - wanted and spot[0].prefixlen > 0:  # a default route may be a lease's by now
            yield f"the route to {spot[0]} of {one} is still there"


def _forwarding(reverted: Router, view: View) -> Iterator[str]:
    """It is never switched off: nobody can tell who else needs it."""
    lans = [one for kind in LANS for one in reverted.of(kind.__name__)]
    if any(view.router.of(kind.__name__) for kind in LANS):
        return
    for one in lans:
        link = _link(reverted, view, one.spec.interface)
        if link is not None and link.ipv6 is not None and link.ipv6.forwarding:
            yield f"the kernel still forwards IPv6, as {one} needed it: no LAN of the configuration in force does"
            return


def _host_sides(reverted: Router, view: View) -> Iterator[str]:
    """A kernel that was told to leave routers to us, or to obey them, is not told otherwise."""
    now = {ifname_of(view.router, one.spec.interface) for one in view.router.of(IPv6RAAddress)}
    for one in reverted.of(IPv6RAAddress):
        link = _link(reverted, view, one.spec.interface)
        if link is None or link.ipv6 is None or link.name in now:
            continue
        if link.ipv6.accept_ra is (one.spec.mode == "kernel"):
            verb = "obeys" if link.ipv6.accept_ra else "does not obey"
            yield f"the kernel still {verb} the routers of {link.name}, as {one} had it"


def _link(router: Router, view: View, interface: str) -> Link | None:
    return view.picture.link_named(ifname_of(router, interface) or "")


def _daemons(reverted: Router, view: View) -> Iterator[str]:
    for kind in DAEMONS:
        for one in reverted.of(kind.__name__):
            if ref_of(one) in view.objects and view.router.get(kind.__name__, one.name) is None:
                yield f"{one} still runs"
