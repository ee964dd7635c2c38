"""Forwarding of IPv6: whoever has a LAN of IPv6 is its router. A kernel that begins to forward stops obeying the
routers of its own links; where it was obeying those of the provider it goes on (accept_ra 2), and also on a link of
which the configuration says nothing and on which it lives by what a router told: an operator may sit there.

It is never switched off again: nobody can tell who else needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routerd.controllers.interface import link_inputs
from routerd.controllers.lease import ifname_of, link_of
from routerd.controllers.planner import Judgement, Step
from routerd.controllers.view import View
from routerd.events.types import Ref, ref_of
from routerd.host import Link, SetForwarding6, SetHostSide6
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6DelegatedAddress,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
)
from routerd.resources.resource import Resource

LANS = (IPv6DelegatedAddress, IPv6RouterAdvertisement)
"""Kinds that make this host the router of a link."""
CLIENTS = (DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information)


class ForwardingController:
    """See the module."""

    name = "forwarding"
    kinds: tuple[str, ...] = tuple(kind.__name__ for kind in LANS)

    def plan(self, view: View) -> Sequence[Step]:
        """Who is obeyed is settled first: a kernel that begins to forward drops the routes of those whom it does not
        obey."""
        needed = next(_without_forwarding(view), None)
        steps = [_obey(view, resource, link) for resource, link in _obeying(view, beginning=needed is not None)]
        if needed is not None:
            resource, link = needed
            steps += [_obey(view, resource, other) for other in _beside(view)]
            topic, words = "routerd.host.forwarding.enabled", "let the kernel forward IPv6"
            inputs = link_inputs(view, link.name)
            steps.append(Step(SetForwarding6(True), ref_of(resource), topic, "ForwardingEnabled", words, {}, inputs))
        return steps

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """Nothing: its resources are others'. What is refused is an event."""
        return Judgement()


def _without_forwarding(view: View) -> Iterator[tuple[Resource[Any], Link]]:
    """LANs on which the kernel is no router yet."""
    for kind in LANS:
        for resource in view.router.of(kind.__name__):
            link = link_of(view, resource.spec.interface)
            if link is not None and link.ipv6 is not None and not link.ipv6.forwarding:
                yield resource, link


def _obeying(view: View, beginning: bool) -> Iterator[tuple[Resource[Any], Link]]:
    """Links of the provider where the kernel itself obeys routers, and would not any more."""
    listening = {resource.spec.interface: resource for resource in view.declared.of(IPv6RAAddress)}
    for resource in listening.values():
        link = _link(view, resource)
        obeys = link is not None and link.ipv6 is not None and link.ipv6.accept_ra
        if link is not None and link.ipv6 is not None and resource.spec.mode == "kernel" and (beginning or not obeys):
            yield resource, link
    for resource in (resource for kind in CLIENTS for resource in view.declared.of(kind.__name__)):
        link = _link(view, resource)
        told = resource.spec.interface in listening
        if beginning and not told and link is not None and link.ipv6 is not None and link.ipv6.accept_ra:
            listening[resource.spec.interface] = resource
            yield resource, link


def _beside(view: View) -> Iterator[Link]:
    """Links of which nothing is declared that has to do with routers, and that have addresses or a default route of
    one."""
    kinds = (*LANS, *CLIENTS, IPv6RAAddress)
    declared = {_link(view, resource) for kind in kinds for resource in view.declared.of(kind.__name__)}
    for link in view.picture.links.values():
        if link not in declared and link.ipv6 is not None and link.ipv6.accept_ra and _lives_by_routers(view, link):
            yield link


def _lives_by_routers(view: View, link: Link) -> bool:
    """Whether the kernel has made an address, or a way to everywhere, of what a router of the link told."""
    addresses = (one for one in view.picture.addresses.values() if one.link == link.index and one.address.version == 6)
    routes = (one for one in view.picture.routes.values() if one.link == link.index and one.destination.version == 6)
    return any(not one.ours and one.valid_until is not None for one in addresses) or any(
        not one.ours and one.destination.prefixlen == 0 and one.gateway is not None and one.gateway.is_link_local
        for one in routes
    )


def _link(view: View, resource: Resource[Any]) -> Link | None:
    return view.picture.link_named(ifname_of(view.declared, resource.spec.interface) or "")


def _obey(view: View, resource: Resource[Any], link: Link) -> Step:
    change, words = SetHostSide6(link.index, accept_ra=True), f"let the kernel obey the routers of {link.name}"
    topic, inputs = "routerd.ipv6.ra.left_to_kernel", link_inputs(view, link.name)
    return Step(change, ref_of(resource), topic, "LeftToKernel", words, {"ifname": link.name}, inputs)
