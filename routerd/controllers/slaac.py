"""What an IPv6RAAddress brings about on the host: the kernel leaves the link's advertisements to us, and the addresses,
the default route and the other routes that the routers of the link tell of are there, and go in order (X-2).

An address of which no advertisement says anything any more stays until its lifetime is over: that a router is silent
about a prefix means nothing (RFC 4861 §6.3.4).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

import attrs

from routerd.controllers.address import lifetime_fits
from routerd.controllers.interface import link_inputs
from routerd.controllers.lease import ifname_of
from routerd.controllers.picture import address_key, route_key, thing_of
from routerd.controllers.planner import Blocked, Judgement, Step
from routerd.controllers.view import View
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Address, Link, PutAddress, PutRoute, RemoveAddress, RemoveRoute, Route, SetHostSide6
from routerd.resources.net6 import IPv6RAAddress

ANYWHERE = IPv6Network("::/0")
FIRST_METRIC = 100
"""Of the first resource without a `routeMetric`; the next in the file has one more."""
SLAAC_LENGTH = 64
LEAST_MTU = 1280
"""Octets (RFC 8200 §5)."""
PREFERENCES = {"high": 0, "medium": 1, "low": 2}
UNSPOKEN = ("Starting", "CrashLoop", "Undecided")


@attrs.frozen
class Listener:
    """An IPv6RAAddress whose routes and addresses are ours to make. `status` None: it has not yet said in this life
    what it has heard, and nothing of it is touched (X-4); `leaving`: it is declared no more, or is held."""

    ref: Ref
    link: Link
    spec: IPv6RAAddress | None
    status: Status | None
    metric: int
    leaving: bool = False


class SlaacController:
    """See the module."""

    name = "slaac"
    kinds: tuple[str, ...] = ("IPv6RAAddress",)

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        """On gain addresses come before routes, on loss routes go first."""
        steps: list[Step | Blocked] = []
        for listener in listeners(view):
            steps += _host_side(view, listener)
            if listener.status is None and not listener.leaving:
                continue
            addresses, routes = _addresses(listener, view.now), _routes(view, listener)
            steps += _additions(view, listener, addresses)
            steps += _changes_of_routes(view, listener, routes)
            steps += _removals(view, listener, addresses)
        return steps

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """A client speaks for itself. Of one that is declared no more nothing is left to be known once nothing of it is
        on the host."""
        busy = {one.ref for one in listeners(view) if one.leaving and (_ours(view, one) or _our_routes(view, one))}
        declared = {ref_of(one) for one in view.declared.of(IPv6RAAddress)}
        stored = (ref for ref in view.objects if ref.kind == "IPv6RAAddress")
        return Judgement(view.waiting(IPv6RAAddress), [ref for ref in stored if ref not in declared | busy])


def listeners(view: View) -> Iterator[Listener]:
    """All of them whose link exists now, those among them that are declared no more."""
    metric = metrics(view)
    for resource in view.declared.of(IPv6RAAddress):
        ref, spec = ref_of(resource), resource.spec
        link = view.picture.link_named(ifname_of(view.declared, spec.interface) or "")
        if link is None or ref in view.admission.undecided:
            continue
        status = view.objects.get(ref, {})
        unspoken = "state" not in status or status.get("reason") in UNSPOKEN or status.get("device") != link.name
        held = ref in view.admission.held
        leaving = held or spec.mode == "kernel"
        yield Listener(ref, link, None if held else spec, None if unspoken else status, metric[ref], leaving)
    yield from _abandoned(view)


def _abandoned(view: View) -> Iterator[Listener]:
    for ref, status in view.objects.items():
        if ref.kind == "IPv6RAAddress" and view.declared.get(IPv6RAAddress, ref.name) is None:
            link = view.picture.link_named(status.get("device", ""))
            others = {one.spec.interface for one in view.declared.of(IPv6RAAddress)}
            if link is not None and status.get("interface") not in others:
                yield Listener(ref, link, None, None, status.get("metric", FIRST_METRIC), leaving=True)


def metrics(view: View) -> Mapping[Ref, int]:
    """The metric of each one's routes: the declared one, else the next that no other has."""
    declared = {ref_of(one): one.spec.route_metric for one in view.declared.of(IPv6RAAddress)}
    free = (metric for metric in itertools.count(FIRST_METRIC) if metric not in declared.values())
    return {ref: next(free) if metric is None else metric for ref, metric in declared.items()}


def _host_side(view: View, listener: Listener) -> Iterator[Step]:
    """Two who obey the same advertisements would undo each other's work."""
    spec, side = listener.spec, listener.link.ipv6
    if spec is None or spec.mode == "kernel" or side is None or not (side.accept_ra or side.autoconf):
        return
    words = f"routerd itself obeys the advertisements of routers on {listener.link.name}"
    change = SetHostSide6(listener.link.index, accept_ra=False, autoconf=False)
    yield _step(view, listener, change, "routerd.ipv6.ra.taken_over", "TakenOver", words)


# Addresses


def _addresses(listener: Listener, now: float) -> dict[str, Address]:
    """Those that shall be there now."""
    if listener.leaving or listener.status is None or listener.spec is None or not listener.spec.addresses:
        return {}
    found = {}
    for one in listener.status.get("prefixes", ()):
        until = one.get("validUntilMonotonic")
        if "address" in one and (until is None or until > now):
            preferred = one.get("preferredUntilMonotonic")
            address = IPv6Interface(one["address"])
            found[str(address)] = Address(listener.link.index, address, True, until, preferred)
    return found


def _additions(view: View, listener: Listener, wanted: Mapping[str, Address]) -> Iterator[Step]:
    if not listener.link.admin_up:
        return
    for text, address in wanted.items():
        present = view.picture.addresses.get(address_key(address))
        if present is not None and present.standing == "duplicate":
            continue  # the client is about to make another
        fits = present is not None and present.ours and _lifetimes_fit(present, address, view.now)
        if not fits:
            topic = "" if present is not None and present.ours else "routerd.ipv6.ra.address.applied"
            words = f"put {text} on {listener.link.name}"
            yield _step(view, listener, PutAddress(address), topic, "Installed", words, address=text)


def _lifetimes_fit(present: Address, wanted: Address, now: float) -> bool:
    """One that is not preferred any more is so whenever that began."""
    over = all(p is not None and p <= now for p in (present.preferred_until, wanted.preferred_until))
    preferred = over or lifetime_fits(present.preferred_until, wanted.preferred_until)
    return preferred and lifetime_fits(present.valid_until, wanted.valid_until)


def _removals(view: View, listener: Listener, wanted: Mapping[str, Address]) -> Iterator[Step]:
    """Whatever the client does not know (an earlier life's addresses it has taken over) is over, or of another link."""
    for address in _ours(view, listener):
        text = str(address.address)
        if text not in wanted or address.standing == "duplicate":
            words = f"removed {text} from {listener.link.name}"
            topic = "routerd.ipv6.ra.address.removed"
            yield _step(view, listener, RemoveAddress(address), topic, "Removed", words, address=text)


def _ours(view: View, listener: Listener) -> list[Address]:
    addresses = view.picture.addresses.values()
    return [one for one in addresses if one.link == listener.link.index and _is_slaac(listener, one)]


def _is_slaac(listener: Listener, address: Address) -> bool:
    """Of the link's addresses of ours those of the length of SLAAC, and what the client has told of."""
    if not address.ours or not isinstance(address.address, IPv6Interface) or address.address.is_link_local:
        return False
    known = [] if listener.status is None else listener.status.get("addresses", [])
    return address.address.network.prefixlen == SLAAC_LENGTH or str(address.address) in known


# Routes


def _routes(view: View, listener: Listener) -> dict[str, Route]:
    """By destination: the one that shall be there now."""
    if listener.leaving or listener.status is None or listener.spec is None or not listener.spec.use_routes:
        return {}
    if not listener.link.admin_up:
        return {}
    status = listener.status
    found: dict[str, Route] = {}
    ways = [(one["destination"], one["gateway"], one) for one in status.get("routes", ())]
    routers = {one["address"]: one for one in status.get("routers", ())}
    ways += [(str(ANYWHERE), address, one) for address, one in routers.items()]
    ways.sort(key=lambda way: (*_doubts(routers.get(way[1], {})), _rank(way[2]), way[1]))
    for destination, gateway, one in ways:
        until = one.get("untilMonotonic")
        if until is None or until > view.now:
            found.setdefault(destination, _route(listener, destination, gateway))
    return found


def _doubts(router: Mapping[str, bool]) -> tuple[bool, bool]:
    """Who was heard on this link, and answers, comes first (RFC 4861 §6.3.6)."""
    return not router.get("confirmed", True), not router.get("reachable", True)


def _rank(one: Mapping[str, str]) -> int:
    return PREFERENCES.get(one.get("preference", "medium"), 1)


def _route(listener: Listener, destination: str, gateway: str) -> Route:
    """What routers tell of the link's MTU goes for all that is sent by them, also for those behind us; unless it is
    less than any link of IPv6 has, or more than this one (RFC 4861 §6.3.4)."""
    told = (listener.status or {}).get("mtu") or 0
    mtu = told if LEAST_MTU <= told < listener.link.mtu else 0
    return Route(IPv6Network(destination), listener.link.index, IPv6Address(gateway), metric=listener.metric, mtu=mtu)


def _changes_of_routes(view: View, listener: Listener, wanted: Mapping[str, Route]) -> Iterator[Step | Blocked]:
    """Additions first: another router takes the place of one that is lost in one stroke."""
    for destination, route in wanted.items():
        present = view.picture.routes.get(route_key(route))
        if present is not None and (present.mtu == route.mtu or not present.ours):
            continue
        stranger = _stranger_at(view, route)
        if stranger is not None:
            words = f"somebody else has the route to {destination} with metric {route.metric}"
            yield Blocked(listener.ref, words, {"destination": destination})
            continue
        words = f"installed the route to {destination} via {route.gateway} dev {listener.link.name}"
        facts = {"destination": destination, "gateway": str(route.gateway)}
        yield _step(view, listener, PutRoute(route), "routerd.ipv6.route.installed", "Installed", words, **facts)
    for route in _our_routes(view, listener):
        want = wanted.get(str(route.destination))
        if want is None or want.metric != route.metric:  # else it is replaced
            words = f"removed the route to {route.destination} via {route.gateway} dev {listener.link.name}"
            facts = {"destination": str(route.destination)}
            yield _step(view, listener, RemoveRoute(route), "routerd.ipv6.route.removed", "Removed", words, **facts)


def _stranger_at(view: View, route: Route) -> Route | None:
    routes = view.picture.routes.values()
    place = (route.destination, route.metric)
    return next((one for one in routes if not one.ours and (one.destination, one.metric) == place), None)


def _our_routes(view: View, listener: Listener) -> list[Route]:
    return [route for route in view.picture.routes.values() if _is_by_router(view, listener, route)]


def _is_by_router(view: View, listener: Listener, route: Route) -> bool:
    """Of ours, by this link, via a router's own address, and not declared as such."""
    gateway = route.gateway
    if not route.ours or route.link != listener.link.index:
        return False
    if not isinstance(gateway, IPv6Address) or not gateway.is_link_local:
        return False
    place = (str(route.destination), route.metric)
    told = (one for ref, one in view.objects.items() if ref.kind == "IPv6StaticRoute")
    return all((one.get("destination"), one.get("metric")) != place for one in told)


def _step(
    view: View,
    listener: Listener,
    change: SetHostSide6 | PutAddress | RemoveAddress | PutRoute | RemoveRoute,
    topic: str,
    reason: str,
    words: str,
    **facts: str,
) -> Step:
    ref, name = listener.ref, listener.link.name
    taken = view.incidents.open(thing_of(change))
    because = (taken, ref, *view.grounds(ref), *link_inputs(view, name))
    return Step(change, ref, topic, reason, words, {"ifname": name, **facts}, because)
