"""Routes: what IPv4Route and IPv6StaticRoute declare and what leases bring is in the main table, and nothing else of
ours. What routers advertise is not this controller's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv6Address

import attrs

from routerd.controllers.interface import link_inputs
from routerd.controllers.lease import client_of, ifname_of, interface_of, undecided_links
from routerd.controllers.lease6 import LAST_RESORT
from routerd.controllers.picture import route_key, thing_of
from routerd.controllers.planner import Blocked, Judgement, Step
from routerd.controllers.settlement import Settlement, settle
from routerd.controllers.view import Input, View
from routerd.controllers.wanted_route import (
    KINDS,
    Declared,
    Place,
    Waiting,
    Wanted,
    declared_routes,
    inputs_of,
    is_kept_aggregate,
    is_within_reach,
    place_of,
    places_kept,
    wanted_routes,
)
from routerd.events.incidents import SLEEP
from routerd.events.status import condition
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Address, PutRoute, RemoveRoute, Route
from routerd.resources.net6 import DHCPv6PrefixDelegation, IPv6RAAddress, metric_of

DECLARED = {kind.__name__: kind for kind in KINDS}
INSTALLED = {4: "routerd.ipv4.route.installed", 6: "routerd.ipv6.route.installed"}
REMOVED = {4: "routerd.ipv4.route.removed", 6: "routerd.ipv6.route.removed"}


class RouteController:
    """See the module."""

    name = "route"
    kinds: tuple[str, ...] = ("IPv4Route", "IPv6StaticRoute", "DHCPv4Client", "DHCPv6PrefixDelegation")

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        """Additions first: what takes the place of another replaces it in one stroke, and what comes beside another
        is there before that goes, so that no destination is ever without the one or the other."""
        addresses, wanted = settle(view), dict[Place, Wanted]()
        for want in wanted_routes(view, addresses):
            if isinstance(want, Wanted):
                wanted.setdefault(place_of(want.route), want)  # of two for one place the first wins, and stays
        return [*_additions(view, addresses, wanted), *_removals(view, addresses, wanted)]

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each declared route."""
        addresses = settle(view)
        resolved = {want.resource: want for want in wanted_routes(view, addresses)}
        statuses = {
            ref: _status(view, addresses.staying, resource.spec, resolved[ref], refused.get(ref))
            for resource in declared_routes(view.router)
            for ref in [ref_of(resource)]
        }
        for kind in KINDS:
            statuses |= view.waiting(kind)
        gone = [ref for ref in view.objects if ref.kind in DECLARED and ref not in statuses]
        because = {
            ref: _inputs(view, ref, want.route if isinstance(want, Wanted) else None)
            for ref in statuses
            for want in [resolved.get(ref)]
        }
        return Judgement(statuses, gone, because)


def _inputs(view: View, ref: Ref, route: Route | None) -> tuple[Input, ...]:
    """What decides about a route: who it is for, what that hangs on, and the link."""
    link = view.picture.links.get(route.link) if route is not None and route.link is not None else None
    declared = view.declared.get(DECLARED[ref.kind], ref.name) if ref.kind in DECLARED else None
    givers = inputs_of(view, declared.spec) if declared is not None else ()
    # A route's own object is what comes of this: only of another's is it an effect.
    owner = () if ref.kind in DECLARED else (ref, view.incidents.last(SLEEP))
    return (*owner, *givers, *view.grounds(ref), *link_inputs(view, link.name if link is not None else ""))


def _removals(view: View, addresses: Settlement, wanted: Mapping[Place, Wanted]) -> Iterator[Step]:
    spared, kept = undecided_links(view), frozenset(places_kept(view))
    for route in list(view.picture.routes.values()):
        if not route.ours or _is_wanted(view, addresses, route, wanted) or _is_advertised(view, route):
            continue
        if (route.link in spared and route.destination.version == 4) or place_of(route) in kept:
            continue
        if is_kept_aggregate(view, route):
            continue
        yield Step(
            RemoveRoute(route),
            _former_owner(view, route),
            REMOVED[route.destination.version],
            "Removed",
            f"removed the route to {_words(view, route)}",
            {"destination": str(route.destination)},
            _inputs(view, _former_owner(view, route), route),
        )


def _is_advertised(view: View, route: Route) -> bool:
    """On links where routers are listened to, routes by a router's own link-local address are theirs, unless somebody
    declares one."""
    if not isinstance(route.gateway, IPv6Address) or not route.gateway.is_link_local:
        return False
    declared = any(place_of(route) == told for told in _places_told(view))
    names = {ifname_of(view.declared, one.spec.interface) for one in view.declared.of(IPv6RAAddress)}
    link = view.picture.links.get(route.link) if route.link is not None else None
    return link is not None and link.name in names and not declared


def _places_told(view: View) -> Iterator[Place]:
    """Where the statuses of declared routes say that they are."""
    for ref, status in view.objects.items():
        if ref.kind in DECLARED and "destination" in status and "metric" in status:
            yield status["destination"], status["metric"]


def _is_wanted(view: View, addresses: Settlement, route: Route, wanted: Mapping[Place, Wanted]) -> bool:
    """It is one that is wanted, or about to be replaced by that in one stroke; unless its address waits for it to go,
    and what replaces it for the next address."""
    want = wanted.get(place_of(route))
    if want is None or want.route == route:
        return want is not None
    lasts = route.source is None or any(a.address.ip == route.source for a in addresses.settled)
    return not _is_there(view, want.route) and (lasts or is_within_reach(addresses.staying, want.route))


def _is_there(view: View, route: Route) -> bool:
    """Somebody else's that does the same will do."""
    present = view.picture.routes.get(route_key(route))
    return present is not None and attrs.evolve(present, ours=True) == route


def _additions(view: View, addresses: Settlement, wanted: Mapping[Place, Wanted]) -> Iterator[Step | Blocked]:
    for want in wanted.values():
        if _is_there(view, want.route):
            continue
        if not is_within_reach(addresses.staying, want.route):
            continue  # On gain, the address comes first; its notice wakes us again.
        stranger = _stranger_at(view, want.route)
        facts = {"destination": str(want.route.destination), "gateway": str(want.route.gateway or "")}
        if stranger is not None:
            words = f"somebody else has the route to {_words(view, stranger)} with metric {stranger.metric}"
            yield Blocked(want.resource, words, facts)
            continue
        inputs, taken = _inputs(view, want.resource, want.route), view.incidents.open(thing_of(want.route))
        back = taken > 0 and view.newest((taken, *inputs)) == (taken,)
        yield Step(
            PutRoute(want.route),
            want.resource,
            INSTALLED[want.route.destination.version],
            "Restored" if back else "Installed",
            f"{'put back' if back else 'installed'} the route to {_words(view, want.route)}",
            facts,
            (taken, *inputs),
        )


def _stranger_at(view: View, route: Route) -> Route | None:
    """Somebody else's route in the place of ours: to put ours would take it away."""
    routes = view.picture.routes.values()
    return next((other for other in routes if not other.ours and place_of(other) == place_of(route)), None)


def _former_owner(view: View, route: Route) -> Ref:
    """Whom to name for a route that has to go: who declared it, the client of its link, or the Interface."""
    for resource in declared_routes(view.declared):
        if (str(resource.spec.destination), metric_of(resource.spec)) == place_of(route):
            return ref_of(resource)
    for ref, status in view.objects.items():
        if ref.kind in DECLARED and (status.get("destination"), status.get("metric")) == place_of(route):
            return ref
    link = view.picture.links.get(route.link) if route.link is not None else None
    if route.metric == LAST_RESORT and route.kind == "unreachable":
        return _giver_of(view, str(route.destination)) or interface_of(view, None)
    return (client_of(view, link) if link is not None else None) or interface_of(view, link)


def _giver_of(view: View, prefix: str) -> Ref | None:
    """Who has or had a delegated prefix; else the first that could have."""
    for ref, status in view.objects.items():
        former = (one.get("prefix") for one in status.get("previousPrefixes", ()))
        if ref.kind == DHCPv6PrefixDelegation.__name__ and prefix in (status.get("currentPrefix"), *former):
            return ref
    return next((ref_of(one) for one in view.declared.of(DHCPv6PrefixDelegation)), None)


def _words(view: View, route: Route) -> str:
    link = view.picture.links.get(route.link) if route.link is not None else None
    via = f" via {route.gateway}" if route.gateway is not None else ""
    return f"{route.destination}{via}{f' dev {link.name}' if link else ''}"


def _outcome(view: View, staying: Collection[Address], route: Route, refused: str | None) -> tuple[str, str, str]:
    if refused is not None:
        return "Error", "HostRefused", refused
    if not _is_there(view, route):
        if not is_within_reach(staying, route):
            return "Pending", "NotYet", f"no address toward {route.gateway} is there yet"
        return "Pending", "NotYet", "it is not in the table yet"
    return "Installed", "Installed", ""


def _status(
    view: View, staying: Collection[Address], spec: Declared, resolved: Wanted | Waiting, refused: str | None
) -> Status:
    status: dict[str, object] = {
        "type": spec.type,
        "destination": str(spec.destination),
        "metric": metric_of(spec),
        "dryRun": False,
        "observedGeneration": view.generation,
    }
    if isinstance(resolved, Waiting):
        phase, reason, message = "Pending", resolved.reason, resolved.message
    else:
        phase, reason, message = _outcome(view, staying, resolved.route, refused)
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
