"""Routes: what IPv4Route declares and what DHCPv4 leases bring is in the main table, and nothing else of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address

import attrs

from routerd.controllers.lease import LeaseInUse, clients, leases, ref_of, undecided, undecided_links
from routerd.controllers.picture import route_key
from routerd.controllers.reconcile import Judgement, Step, View, condition
from routerd.events.types import Ref, Status
from routerd.host import Link, PutRoute, RemoveRoute, Route
from routerd.resources.net import Interface, IPv4Route
from routerd.resources.resource import ValueFrom


@attrs.frozen
class Wanted:
    """A route that shall be there, and for whom."""

    route: Route
    resource: Ref


Place = tuple[str, int]
"""Destination and metric: where the kernel keeps one route of ours."""

FIRST_METRIC = 100
"""Of the first client without a `routeMetric`; the next in the file has one more, so that the first is preferred."""


@attrs.frozen
class Waiting:
    """A declared route that cannot be wanted yet, and why (`reason` a word, `message` a sentence)."""

    resource: Ref
    reason: str
    message: str


class RouteController:
    """See the module."""

    name = "route"
    kinds: tuple[str, ...] = ("IPv4Route", "DHCPv4Client")

    def plan(self, view: View) -> Sequence[Step]:
        """Removals first, except where a wanted route takes the place: the kernel replaces that in one stroke."""
        wanted: dict[Place, Wanted] = {}
        for want in wanted_routes(view):
            if isinstance(want, Wanted):
                wanted.setdefault(_place(want.route), want)  # of two for one place the first wins, and stays
        return [*_removals(view, wanted), *_additions(view, wanted)]

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each IPv4Route."""
        resolved = {want.resource: want for want in wanted_routes(view)}
        statuses = {
            ref: _status(view, resource.spec, resolved[ref], refused.get(ref))
            for resource in view.router.of(IPv4Route)
            for ref in [ref_of(resource)]
        }
        return Judgement(statuses, [ref for ref in view.objects if ref.kind == "IPv4Route" and ref not in statuses])


def wanted_routes(view: View) -> Iterator[Wanted | Waiting]:
    """Every route that shall be there now, and every declared one that has to wait."""
    order = [ref for ref, _, _ in clients(view)]
    for lease in leases(view):
        if lease.spec.use_routes and _installed(view, lease):
            yield from _lease_routes(lease, FIRST_METRIC + order.index(lease.client))
    for resource in view.router.of(IPv4Route):
        yield _declared(view, ref_of(resource), resource.spec)


def _lease_routes(lease: LeaseInUse, metric: int) -> Iterator[Wanted]:
    for destination, gateway in lease.routes:
        yield Wanted(
            Route(
                destination,
                lease.link.index,
                gateway,
                metric=metric if lease.spec.route_metric is None else lease.spec.route_metric,
                source=lease.address.ip,
                mtu=lease.mtu,
                # A gateway outside the subnet is on the link all the same (V4-18).
                onlink=gateway is not None and gateway not in lease.address.network,
            ),
            lease.client,
        )


def _installed(view: View, lease: LeaseInUse) -> bool:
    """On gain, the address comes first (X-2); its notice wakes us again."""
    return (lease.link.index, str(lease.address)) in view.picture.addresses and lease.link.admin_up


def _declared(view: View, ref: Ref, spec: IPv4Route) -> Wanted | Waiting:
    if spec.type == "blackhole":
        return Wanted(Route(spec.destination, None, metric=spec.metric, kind="blackhole"), ref)
    device = spec.device or _value(view, spec.device_from)
    gateway = spec.gateway or _value(view, spec.gateway_from)
    for wish, reference, value in (
        ("device", spec.device_from, device),
        ("gateway", spec.gateway_from, gateway),
    ):
        if reference is not None and value is None and not reference.optional:
            message = f"{wish}From: {reference.resource} has no {reference.field} now"
            return Waiting(ref, "Unresolved", message)
    via = IPv4Address(gateway) if gateway is not None else None
    link = _device(view, str(device)) if device is not None else _toward(view, via)
    if link is None:
        missing = f"there is no interface {device}" if device is not None else f"no interface has {via} on its subnet"
        return Waiting(ref, "LinkAbsent", missing)
    if not link.admin_up:
        return Waiting(ref, "LinkDown", f"{link.name} is administratively down")
    return Wanted(
        Route(
            spec.destination,
            link.index,
            via,
            metric=spec.metric,
            source=spec.preferred_source,
            onlink=via is not None and device is not None and not _on_subnet(view, link, via),
        ),
        ref,
    )


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


def _device(view: View, device: str) -> Link | None:
    """A device by the name of an Interface resource, else by the system's name."""
    for resource in view.router.of(Interface):
        if resource.name == device:
            return view.picture.link_named(resource.spec.ifname)
    return view.picture.link_named(device)


def _toward(view: View, gateway: IPv4Address | None) -> Link | None:
    for link in view.picture.links.values():
        if gateway is not None and _on_subnet(view, link, gateway):
            return link
    return None


def _on_subnet(view: View, link: Link, gateway: IPv4Address) -> bool:
    return any(a.link == link.index and gateway in a.address.network for a in view.picture.addresses.values())


def _removals(view: View, wanted: Mapping[Place, Wanted]) -> Iterator[Step]:
    spared = undecided_links(view)
    waiting = any(undecided(view, ref) for ref, _, _ in clients(view))
    for route in list(view.picture.routes.values()):
        if not route.ours or _place(route) in wanted or route.link in spared or route.destination.version != 4:
            continue
        if waiting and route.link is not None and route.source is None:
            continue  # a declared route may hang on a client that has not spoken yet
        yield Step(
            RemoveRoute(route),
            Ref("IPv4Route", str(route.destination)),
            "routerd.ipv4.route.removed",
            "Unwanted",
            f"removed the route to {_words(view, route)}",
            {"destination": str(route.destination)},
        )


def _additions(view: View, wanted: Mapping[Place, Wanted]) -> Iterator[Step]:
    for want in wanted.values():
        if view.picture.routes.get(route_key(want.route)) == want.route:
            continue
        yield Step(
            PutRoute(want.route),
            want.resource,
            "routerd.ipv4.route.installed",
            "Installed",
            f"installed the route to {_words(view, want.route)}",
            {"destination": str(want.route.destination), "gateway": str(want.route.gateway or "")},
        )


def _place(route: Route) -> Place:
    return str(route.destination), route.metric


def _words(view: View, route: Route) -> str:
    link = view.picture.links.get(route.link) if route.link is not None else None
    via = f" via {route.gateway}" if route.gateway is not None else ""
    return f"{route.destination}{via}{f' dev {link.name}' if link else ''}"


def _status(view: View, spec: IPv4Route, resolved: Wanted | Waiting, refused: str | None) -> Status:
    status: dict[str, object] = {
        "type": spec.type,
        "destination": str(spec.destination),
        "metric": spec.metric,
        "dryRun": False,
        "observedGeneration": view.generation,
    }
    if isinstance(resolved, Waiting):
        phase, reason, message = "Pending", resolved.reason, resolved.message
    elif refused is not None:
        phase, reason, message = "Error", "HostRefused", refused
    else:
        phase, reason, message = "Installed", "Installed", ""
    if isinstance(resolved, Wanted):
        link = view.picture.links.get(resolved.route.link) if resolved.route.link is not None else None
        status |= {"device": link.name} if link else {}
        status |= {"gateway": str(resolved.route.gateway)} if resolved.route.gateway else {}
        status |= {"preferredSource": str(resolved.route.source)} if resolved.route.source else {}
    status |= {"message": message} if message else {}
    holds = phase == "Installed"
    return {
        **status,
        "phase": phase,
        "reason": reason,
        "conditions": [condition("Installed", holds, reason, view.generation, message)],
    }
