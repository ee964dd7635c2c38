"""What is true around an IPv6RouterAdvertisement, as far as it is told to a LAN. Pure questions to a View."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import attrs

from routerd.controllers.conditions import SILENT
from routerd.controllers.lease import ifname_of
from routerd.controllers.lease6 import Delegation, delegation, unspoken_delegations
from routerd.controllers.subnet import subnet_of
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import free_subnet
from routerd.daemons.ra_announcement import Delegated, LanFacts, announcement_of
from routerd.events.types import Ref, Status, ref_of
from routerd.protocols.ndp.told import TAKEN_BACK_FOR
from routerd.resources.net6 import IPv6DelegatedAddress, IPv6RouterAdvertisement
from routerd.resources.resource import ValueFrom

ANYWHERE = IPv6Network("::/0")


def facts_of(view: View, spec: IPv6RouterAdvertisement) -> LanFacts | None:
    """None as long as something of it is not known yet in this life of routerd: what was told before stands. A value
    that is known to be missing is not waited for: a router without a name server is a router."""
    known = _subnets(view, spec)
    rdnss, dnssl = _values(view, spec.rdnss_from), _values(view, spec.dnssl_from)
    if known is None or rdnss is None or dnssl is None:
        return None
    routes = view.picture.routes.values()
    return attrs.evolve(
        known,
        rdnss=tuple(one for text in rdnss if (one := _address(text)) is not None),
        dnssl=tuple(dnssl),
        default_route=any(route.destination == ANYWHERE and route.kind == "unicast" for route in routes),
    )


def told_to_lans(view: View) -> dict[Ref, str]:
    """What the hosts of each LAN are to be told if all is as the view has it, in words; where that is not known yet,
    nothing."""
    known = ((resource, facts_of(view, resource.spec)) for resource in view.router.of(IPv6RouterAdvertisement))
    return {
        ref_of(one): f"tell the hosts of {ifname_of(view.router, one.spec.interface)}: {_words(one.spec, facts)}"
        for one, facts in known
        if facts is not None
    }


def _words(spec: IPv6RouterAdvertisement, facts: LanFacts) -> str:
    told = announcement_of(spec, facts)
    prefixes = [str(one.prefix) for one in told.prefixes]
    servers = [str(address) for one in told.name_servers for address in one.addresses]
    domains = [name for one in told.search_domains for name in one.names]
    lists = {"prefix": prefixes, "name server": servers, "search domain": domains}
    words = [f"{what} {', '.join(values)}" if values else f"no {what}" for what, values in lists.items()]
    return "; ".join([*words, "a default router" if told.lifetime else "no default router"])


def _subnets(view: View, spec: IPv6RouterAdvertisement) -> LanFacts | None:
    """Those that IPv6DelegatedAddress resources put on the interface and want announced, and the one that is named. It
    does not matter whether an address of ours is on it: hosts talk to each other, and the prefix is routed to us."""
    found: list[Delegated] = []
    former: dict[IPv6Network, float] = {}
    for ref, own in _announced(view, spec):
        if ref in view.admission.undecided or own.prefix_delegation in unspoken_delegations(view):
            return None
        known = delegation(view, own.prefix_delegation)
        former |= _former(view, ref, own, known)
        subnet = None if known is None else free_subnet(view, ref, own, known)
        if known is not None and isinstance(subnet, IPv6Interface):
            found.append(Delegated(subnet.network, known.preferred_until, known.valid_until, known.prefix))
    other = _other_prefix(view, spec.prefix_from)
    return None if other is None else LanFacts(delegated=(*found, *other), former=tuple(former.items()))


def _announced(view: View, spec: IPv6RouterAdvertisement) -> Iterator[tuple[Ref, IPv6DelegatedAddress]]:
    """Of what is held nothing is told: that is how it is taken back."""
    for resource in view.declared.of(IPv6DelegatedAddress):
        ref, own = ref_of(resource), resource.spec
        named = spec.prefix_from is not None and spec.prefix_from.resource == str(resource)
        if (named or (own.interface == spec.interface and own.announce)) and ref not in view.admission.held:
            yield ref, own


def _former(view: View, ref: Ref, own: IPv6DelegatedAddress, known: Delegation | None) -> dict[IPv6Network, float]:
    """Subnets that the LAN had, as the client's lease and the subnet's own status remember them. An end that no goodbye
    can have is of another boot, whose clock says nothing now."""
    told = {
        IPv6Network(one["prefix"]): one["expiresAtMonotonic"] for one in view.objects.get(ref, {}).get("previous", ())
    }
    for former in () if known is None else known.former:
        subnet = subnet_of(own, former.prefix)
        if isinstance(subnet, IPv6Interface):
            told[subnet.network] = former.valid_until
    return {prefix: until for prefix, until in told.items() if view.now < until <= view.now + TAKEN_BACK_FOR}


def _other_prefix(view: View, reference: ValueFrom | None) -> tuple[Delegated, ...] | None:
    """What a reference to something else than an IPv6DelegatedAddress gives, with the lifetimes that are told there."""
    if reference is None or reference.kind == "IPv6DelegatedAddress":
        return ()
    texts = _values(view, reference)
    if not texts:
        return None if texts is None else ()
    status = _status(view, reference) or {}
    try:
        prefix = IPv6Network(texts[0], strict=False)
    except ValueError:
        return ()
    until = status.get("preferredUntilMonotonic"), status.get("validUntilMonotonic")
    return (Delegated(prefix, *until),)


def _values(view: View, reference: ValueFrom | None) -> list[str] | None:
    """What a reference gives now; None: nobody knows yet."""
    if reference is None:
        return []
    status = _status(view, reference)
    if status is None or status.get("reason") in SILENT:
        return None
    return list(_texts(status.get(reference.field)))


def _status(view: View, reference: ValueFrom) -> Status | None:
    wanted = (reference.kind, reference.name)
    return next((status for ref, status in view.objects.items() if (ref.kind, ref.name) == wanted), None)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case None | "":
            return
        case list() | tuple():
            yield from map(str, value)
        case _:
            yield str(value)


def _address(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text.partition("/")[0])
    except ValueError:
        return None
