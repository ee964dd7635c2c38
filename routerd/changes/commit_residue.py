"""What of a configuration that was taken back is still on the host: routerd removes what it put there, and restores no
more of what it changed than the configuration in force says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routerd.config import Router
from routerd.controllers.interface import managed
from routerd.controllers.lease import ifname_of
from routerd.controllers.reconcile import View
from routerd.resources.net import DHCPv4Client, Interface, IPv4Route, IPv4StaticAddress


def residue(reverted: Router, view: View) -> list[str]:
    """A sentence for each thing, `view` being of the configuration that is in force again."""
    return [
        *_links(reverted, view),
        *_addresses(reverted, view),
        *_routes(reverted, view),
        *_clients(reverted, view),
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


def _routes(reverted: Router, view: View) -> Iterator[str]:
    wanted = {(one.spec.destination, one.spec.metric) for one in view.router.of(IPv4Route)}
    present = {(route.destination, route.metric) for route in view.picture.routes.values() if route.ours}
    for one in reverted.of(IPv4Route):
        spot = one.spec.destination, one.spec.metric
        if spot in present - wanted and spot[0].prefixlen > 0:  # a default route may be a lease's by now
            yield f"the route to {spot[0]} of {one} is still there"


def _clients(reverted: Router, view: View) -> Iterator[str]:
    known = {ref.name for ref in view.objects if ref.kind == "DHCPv4Client"}
    for one in reverted.of(DHCPv4Client):
        if one.name in known and view.router.get(DHCPv4Client, one.name) is None:
            yield f"{one} still runs"
