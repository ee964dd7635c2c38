"""Which routes shall be there: those of leases, and those of IPv4Route and IPv6StaticRoute as far as they can be
resolved now."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

import attrs

from routerd.config import Router
from routerd.controllers.lease import CLIENTS, LeaseInUse, leases, undecided
from routerd.controllers.lease6 import LAST_RESORT, aggregate_of, delegations, unspoken_delegations
from routerd.controllers.settlement import Settlement
from routerd.controllers.view import Input, View
from routerd.events import incidents
from routerd.events.types import Ref, ref_of
from routerd.host import Address, Link, Route
from routerd.resources.net import DHCPv4Client, Interface, IPv4Route
from routerd.resources.net6 import IPv6StaticRoute, metric_of
from routerd.resources.resource import Resource, ValueFrom

Declared = IPv4Route | IPv6StaticRoute
KINDS = (IPv4Route, IPv6StaticRoute)
"""Kinds that declare a route."""


@attrs.frozen
class Wanted:
    """A route that shall be there, and for whom."""

    route: Route
    resource: Ref


Place = tuple[str, int]
"""Destination and metric: where the kernel keeps one route of ours."""

FIRST_METRIC = 100
"""Of the first client without a `routeMetric`; the next in the file has one more, so that the first is preferred."""

DEVICE_NAMES = ("ifname", "device")
"""Fields that hold the system's name of an interface; any other name is first looked for among the resources."""


@attrs.frozen
class Waiting:
    """A declared route that cannot be wanted yet, and why (`reason` a word, `message` a sentence)."""

    resource: Ref
    reason: str
    message: str


def place_of(route: Route) -> Place:
    """Where the kernel keeps it."""
    return str(route.destination), route.metric


def wanted_routes(view: View, addresses: Settlement) -> Iterator[Wanted | Waiting]:
    """Every route that shall be there now, and every declared one that has to wait. What the operator declares comes
    before what a provider sends. Where a gateway is, is judged by the addresses that there will be: while they change
    a route is neither moved nor taken away for it."""
    for resource in declared_routes(view.router):
        yield _declared(view, addresses, ref_of(resource), resource.spec)
    metric = metrics(view)
    for lease in leases(view):
        if lease.spec.use_routes and _installed(view, lease):
            yield from _lease_routes(addresses.settled, lease, metric[lease.client])
    for delegation in delegations(view):
        for prefix in delegation.aggregates:
            yield Wanted(aggregate_of(prefix), delegation.client)


def declared_routes(router: Router) -> Iterator[Resource[Declared]]:
    """Those that the operator declares, of both versions."""
    yield from router.of(IPv4Route)
    yield from router.of(IPv6StaticRoute)


def metrics(view: View) -> Mapping[Ref, int]:
    """The metric of each client's routes: the declared one, else the next that no other client has."""
    declared = {ref_of(one): one.spec.route_metric for one in view.declared.of(DHCPv4Client)}
    free = (metric for metric in itertools.count(FIRST_METRIC) if metric not in declared.values())
    return {ref: next(free) if metric is None else metric for ref, metric in declared.items()}


def _lease_routes(addresses: Collection[Address], lease: LeaseInUse, metric: int) -> Iterator[Wanted]:
    for destination, gateway in lease.routes:
        yield Wanted(
            Route(
                destination,
                lease.link.index,
                gateway,
                metric=metric,
                source=lease.address.ip,
                mtu=lease.mtu,
                # A gateway outside the subnet is on the link all the same (V4-18).
                onlink=gateway is not None and not _on_subnet(addresses, lease.link.index, gateway),
            ),
            lease.client,
        )


def _installed(view: View, lease: LeaseInUse) -> bool:
    """On gain, the address comes first (X-2), whatever its prefix length still is; its notice wakes us again."""
    there = any(
        a.link == lease.link.index and a.address.ip == lease.address.ip for a in view.picture.addresses.values()
    )
    return there and lease.link.admin_up


def _declared(view: View, addresses: Settlement, ref: Ref, spec: Declared) -> Wanted | Waiting:
    if spec.type != "unicast":
        return Wanted(Route(spec.destination, None, metric=metric_of(spec), kind=spec.type), ref)
    for wish, reference in (("device", spec.device_from), ("gateway", spec.gateway_from)):
        if reference is not None and not reference.optional and _value(view, reference) is None:
            return Waiting(ref, "Unresolved", f"{wish}From: {reference.resource} has no {reference.field} now")
    if _hangs_on_undecided(view, spec):
        return Waiting(ref, "Unresolved", "it is not known yet whether its device or gateway has a value")
    device = spec.device or _value(view, spec.device_from)
    via = spec.gateway or _gateway(view, spec)
    if isinstance(via, str):
        return Waiting(ref, "Unresolved", f"gatewayFrom: {via} is no IPv{spec.destination.version} address")
    if device is None and via is None:
        return Waiting(ref, "Unresolved", "neither its device nor its gateway is known now")
    if device is None and isinstance(via, IPv6Address) and via.is_link_local:
        return Waiting(ref, "Unresolved", f"{via} is on every link: it needs a device")
    link = _device(view, device, spec.device_from) if device is not None else _toward(view, addresses.settled, via)
    if link is None:
        missing = f"there is no interface {device}" if device is not None else f"no interface has {via} on its subnet"
        return Waiting(ref, "LinkAbsent", missing)
    if not link.admin_up:
        return Waiting(ref, "LinkDown", f"{link.name} is administratively down")
    if spec.preferred_source is not None and not _stays(addresses, spec.preferred_source):
        return Waiting(ref, "SourceAbsent", f"{spec.preferred_source} is no address of this host now")
    route = Route(
        spec.destination,
        link.index,
        via,
        metric=metric_of(spec),
        source=spec.preferred_source,
        onlink=via is not None and device is not None and not _on_subnet(addresses.settled, link.index, via),
    )
    return Wanted(route, ref)


def _stays(addresses: Settlement, source: IPv4Address | IPv6Address) -> bool:
    """Is this an address of the host that can be sent from, and not about to go? For a route by it would go first
    (X-2)."""
    return any(a.address.ip == source and a.standing == "ready" for a in addresses.staying)


def _value(view: View, reference: ValueFrom | None) -> str | None:
    """What a `*From` reference gives now. A list gives its first."""
    if reference is None:
        return None
    for ref, status in view.objects.items():
        if (ref.kind, ref.name) == (reference.kind, reference.name):
            value = status.get(reference.field)
            value = value[0] if isinstance(value, list) and value else value
            return str(value) if value else None
    return None


def _gateway(view: View, spec: Declared) -> IPv4Address | IPv6Address | str | None:
    """The address that its reference gives now; the text if it gives something else."""
    value = _value(view, spec.gateway_from)
    try:
        address = None if value is None else ip_address(value)
    except ValueError:
        return value
    return address if address is None or address.version == spec.destination.version else value


def _device(view: View, device: str, reference: ValueFrom | None) -> Link | None:
    return view.picture.link_named(_device_name(view, device, reference))


def _device_name(view: View, device: str, reference: ValueFrom | None) -> str:
    """A device by the name of an Interface resource, else by the system's name."""
    resource = None
    if reference is None or reference.field not in DEVICE_NAMES:
        resource = view.declared.get(Interface, device)
    return device if resource is None else resource.spec.ifname


def inputs_of(view: View, spec: Declared) -> tuple[Input, ...]:
    """What decides whether a declared route can be: whatever gives it its device, its gateway and its source."""
    wished = {(r.kind, r.name) for r in (spec.device_from, spec.gateway_from) if r is not None}
    givers = [ref for ref in view.objects if (ref.kind, ref.name) in wished]
    device = spec.device or _value(view, spec.device_from)
    link = incidents.link(_device_name(view, device, spec.device_from)) if device is not None else None
    places = [incidents.address(index, str(spec.preferred_source)) for index in view.picture.links]
    happened = [view.incidents.last(thing) for thing in (link, *places) if thing is not None]
    return (view.configuration, *givers, *happened)


def _toward(view: View, addresses: Collection[Address], gateway: IPv4Address | IPv6Address | None) -> Link | None:
    """The link that has the gateway on its subnet; of several the one that is up, with the longest prefix."""
    found = [
        (link.admin_up, a.address.network.prefixlen, link)
        for a in addresses
        if gateway in a.address.network and (link := view.picture.links.get(a.link)) is not None
    ]
    return max(found, key=lambda one: one[:2])[2] if found else None


def _on_subnet(addresses: Collection[Address], link: int | None, gateway: IPv4Address | IPv6Address) -> bool:
    """Every link has the link-local ones."""
    if isinstance(gateway, IPv6Address) and gateway.is_link_local:
        return True
    return any(a.link == link and gateway in a.address.network for a in addresses)


def is_within_reach(staying: Collection[Address], route: Route) -> bool:
    """Whether the system would take it now: one of the addresses that are there and stay has its gateway on the
    subnet."""
    return route.gateway is None or route.onlink or _on_subnet(staying, route.link, route.gateway)


def places_kept(view: View) -> Iterator[Place]:
    """Places of declared routes that hang on a client that has not spoken yet, or on a condition of which nobody knows
    yet: they may be right as they are."""
    for resource in declared_routes(view.declared):
        ref = ref_of(resource)
        if ref in view.admission.held:
            continue
        if ref in view.admission.undecided or _hangs_on_undecided(view, resource.spec):
            yield str(resource.spec.destination), metric_of(resource.spec)


def is_kept_aggregate(view: View, route: Route) -> bool:
    """One for a delegated prefix, while nobody knows yet which prefixes there are."""
    return route.kind == "unreachable" and route.metric == LAST_RESORT and bool(unspoken_delegations(view))


def _hangs_on_undecided(view: View, spec: Declared) -> bool:
    for reference in (spec.device_from, spec.gateway_from):
        if reference is None:
            continue
        if reference.kind in CLIENTS and undecided(view, Ref(reference.kind, reference.name)):
            return True
        kind = next((kind for kind in KINDS if kind.__name__ == reference.kind), None)
        other = view.declared.get(kind, reference.name) if kind is not None else None
        if other is not None and _hangs_on_undecided(view, other.spec):
            return True
    return False
