"""Why a LAN is told something else than before: who is behind each part of what is told. Pure questions to a View."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from routerd.controllers.view import Input, View
from routerd.daemons.ra_announcement import LanFacts
from routerd.events.types import Ref, ref_of
from routerd.resources.net6 import (
    DHCPv6PrefixDelegation,
    IPv6DelegatedAddress,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
    IPv6StaticRoute,
)
from routerd.resources.resource import ValueFrom


def grounds_of(view: View, spec: IPv6RouterAdvertisement, before: LanFacts | None, after: LanFacts) -> tuple[int, ...]:
    """The event for which `after` is true and `before` (None: nothing was known) is not any more; none, if nothing has
    changed."""
    if before == after:
        return ()
    parts = [field.name for field in attrs.fields(LanFacts) if field.eq]
    changed = [one for one in parts if before is None or getattr(before, one) != getattr(after, one)]
    return view.newest((view.configuration, *(giver for part in changed for giver in _givers(view, spec, part))))


def _givers(view: View, spec: IPv6RouterAdvertisement, part: str) -> Iterator[Input]:
    match part:
        case "delegated":
            yield from _of_subnets(view, spec)
            yield from _named(view, spec.prefix_from)
        case "default_route":
            for kind in (IPv6RAAddress, IPv6StaticRoute):
                yield from (ref_of(one) for one in view.declared.of(kind))
        case "rdnss":
            yield from _named(view, spec.rdnss_from)
        case "dnssl":
            yield from _named(view, spec.dnssl_from)


def _of_subnets(view: View, spec: IPv6RouterAdvertisement) -> Iterator[Input]:
    """Clients, and the gate's word on who takes a subnet for this interface. What the subnet's own status says is
    another effect of the same."""
    for subnet in view.declared.of(IPv6DelegatedAddress):
        if subnet.spec.interface == spec.interface:
            yield from view.grounds(ref_of(subnet))
            giver = view.declared.get(DHCPv6PrefixDelegation, subnet.spec.prefix_delegation)
            yield from () if giver is None else (ref_of(giver),)


def _named(view: View, reference: ValueFrom | None) -> Iterator[Ref]:
    """Who gives what a `*From` reference asks for."""
    if reference is not None:
        yield from (ref for ref in view.objects if (ref.kind, ref.name) == (reference.kind, reference.name))
