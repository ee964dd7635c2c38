"""All controllers together on a host with a kernel's habits, in random worlds: they come to rest, what is wanted is
there then, and what is not ours is as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import attrs
import trio
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from routerd.config import ConfigErrors, load
from routerd.controllers.address import AddressController, wanted_addresses
from routerd.controllers.interface import InterfaceController
from routerd.controllers.lease import undecided_links
from routerd.controllers.picture import Picture
from routerd.controllers.planner import Blocked, Planner, Step
from routerd.controllers.route import RouteController
from routerd.controllers.settlement import settle
from routerd.controllers.view import View
from routerd.controllers.wanted_route import Wanted, place_of, places_kept, wanted_routes
from routerd.events.types import Ref, Status
from routerd.host import Address, HostRefused, Resynced, Route, SetLink, Snapshot
from routerd.host.simulated import SimulatedHost, open_host
from routerd.sim.world import World
from tests.controllers.scene import NOW, acquiring, bound, crashed, document, lease, resource, starting

LINKS = ("eth0", "eth1")
ROUNDS = 8
"""More than that and they do not come to rest, but fight each other."""

interfaces = st.tuples(
    *(
        st.fixed_dictionaries(
            {},
            optional={
                "adminUp": st.booleans(),
                "mtu": st.sampled_from([1400, 1500, 9216]),
                "owner": st.just("external"),
                "managed": st.booleans(),
            },
        ).map(lambda spec, name=name: resource("Interface", name, ifname=name, **spec))
        for name in LINKS
    )
)
clients = st.lists(
    st.tuples(
        st.sampled_from(LINKS),
        st.fixed_dictionaries({}, optional={"useRoutes": st.booleans(), "routeMetric": st.sampled_from([0, 100, 7])}),
    ),
    max_size=2,
    unique_by=(lambda one: one[0], lambda one: one[1].get("routeMetric", one[0])),
).map(lambda found: [resource("DHCPv4Client", name, interface=name, **spec) for name, spec in found])
HOSTS = ["203.0.113.50/24", "203.0.113.50/25", "203.0.113.51/24", "198.51.100.9/32"]
statics = st.lists(
    st.tuples(st.sampled_from(LINKS), st.sampled_from([*HOSTS, "192.168.1.1/24"]), st.booleans()),
    max_size=2,
    unique_by=lambda one: one[0],
).map(
    lambda found: [
        resource(
            "IPv4StaticAddress",
            f"s{n}",
            interface=name,
            address=text,
            exclusive=only,
            allowOverlap=True,
            allowOverlapReason="why not",
        )
        for n, (name, text, only) in enumerate(found)
    ]
)
ways = st.one_of(
    st.fixed_dictionaries({"device": st.sampled_from([*LINKS, "eth7"])}),
    st.fixed_dictionaries({"gateway": st.sampled_from(["203.0.113.1", "192.168.1.254"])}),
    st.fixed_dictionaries({"device": st.sampled_from(LINKS), "gateway": st.just("172.16.0.1")}),
    st.fixed_dictionaries({"device": st.sampled_from(LINKS), "preferredSource": st.just("203.0.113.50")}),
    st.fixed_dictionaries({"type": st.just("blackhole")}),
)
declared = st.lists(
    st.tuples(st.sampled_from(["0.0.0.0/0", "10.9.0.0/16", "203.0.113.0/24"]), st.sampled_from([0, 100]), ways),
    max_size=3,
    unique_by=lambda one: one[:2],
).map(
    lambda found: [
        resource("IPv4Route", f"r{n}", destination=to, metric=metric, **way)
        for n, (to, metric, way) in enumerate(found)
    ]
)
statuses = st.sampled_from(
    [
        starting,
        acquiring,
        lambda name: crashed(starting(name)),
        *(lambda name, host=host: bound(lease(host, expires_at=None), name) for host in HOSTS),
        *(lambda name, host=host: crashed(bound(lease(host, expires_at=NOW + 60), name)) for host in HOSTS),
        lambda name: bound(lease(HOSTS[0], expires_at=0.0), name),
        lambda name: bound(lease(HOSTS[3], ("198.51.100.1/32", None), ("0.0.0.0/0", "198.51.100.1"), mtu=1400), name),
    ]
)
addresses = st.lists(
    st.builds(
        Address, st.sampled_from([1, 2]), st.sampled_from([*HOSTS, "192.168.1.9/24"]).map(IPv4Interface), st.booleans()
    ),
    max_size=4,
)
routes = st.lists(
    st.builds(
        Route,
        st.sampled_from(["0.0.0.0/0", "10.9.0.0/16", "10.8.0.0/16"]).map(IPv4Network),
        st.sampled_from([1, 2]),
        metric=st.sampled_from([0, 100, 7]),
        source=st.sampled_from([None, IPv4Address("203.0.113.50")]),
        ours=st.booleans(),
    ),
    max_size=4,
)


@attrs.define
class Case:
    """The controllers on one host."""

    resources: Sequence[dict[str, Any]]
    objects: dict[Ref, Status]
    host: SimulatedHost
    planners: tuple[Planner, ...]

    def view(self) -> View:
        picture = Picture()
        picture.note(Resynced(self.host.snapshot()))
        return View(load(document(*self.resources), "test"), 1, self.objects, picture, self.host.clock.now())

    async def round(self) -> list[Step]:
        """Let each look and act, in turn; what was done."""
        await trio.lowlevel.checkpoint()
        done = []
        for planner in self.planners:
            for step in planner.plan(self.view()):
                if isinstance(step, Blocked):
                    continue
                try:
                    await self.host.apply(step.change)
                except HostRefused:
                    continue
                done.append(step)
        return done

    async def rest(self) -> int:
        """Go on until nothing is left to do; after how many rounds."""
        for number in range(ROUNDS):
            if not await self.round():
                return number
        raise AssertionError(f"after {ROUNDS} rounds there is still to do: {await self.round()}")


@settings(deadline=None, max_examples=100)
@given(
    resources=st.tuples(interfaces, clients, statics, declared).map(
        lambda four: [one for part in four for one in part]
    ),
    spoken=st.tuples(statuses, statuses),
    held=addresses,
    known=routes,
    order=st.permutations(range(3)),
)
def test_they_come_to_rest(
    resources: list[dict[str, Any]], spoken: Any, held: list[Address], known: list[Route], order: list[int]
) -> None:
    try:
        load(document(*resources), "test")
    except ConfigErrors:
        reject()
    trio.run(_live, resources, spoken, held, known, order)


async def _live(
    resources: list[dict[str, Any]], spoken: Any, held: list[Address], known: list[Route], order: list[int]
) -> None:
    world = World()
    for name in LINKS:
        world.add_link(name, name, admin_up=True)
    names = [one["metadata"]["name"] for one in resources if one["kind"] == "DHCPv4Client"]
    objects = {Ref("DHCPv4Client", name): say(name) for name, say in zip(names, spoken, strict=False)}
    async with open_host(world) as host:
        _furnish(host, held, known)
        before = host.snapshot()
        planners: list[Planner] = [InterfaceController(), AddressController(), RouteController()]
        case = Case(resources, objects, host, tuple(planners[n] for n in order))
        await case.rest()
        view, after = case.view(), host.snapshot()
        _assert_strangers_stay(view, before, after)
        _assert_wishes_are_met(view, after)
        _assert_nothing_is_left(view, after)
        _assert_the_undecided_are_spared(view, before, after)


def _furnish(host: SimulatedHost, held: list[Address], known: list[Route]) -> None:
    """What is there from before, as far as a kernel takes it."""
    for address in held:
        host.put_address(address)
    for route in known:
        try:
            host.put_route(route)
        except OSError:
            continue


def _managed_down(view: View) -> Iterator[int]:
    for planned in InterfaceController().plan(attrs.evolve(view, picture=_all_up(view))):
        if isinstance(planned.change, SetLink) and planned.change.admin_up is False:
            yield planned.change.index


def _all_up(view: View) -> Picture:
    up = Picture()
    links = tuple(attrs.evolve(link, admin_up=True) for link in view.picture.links.values())
    up.note(Resynced(Snapshot(links)))
    return up


def _assert_strangers_stay(view: View, before: Snapshot, after: Snapshot) -> None:
    """Addresses of others stay unless a declaration wants the link for itself, or the very address. Their routes stay
    as far as the kernel does not remove them with an address or a link."""
    exclusive = {want.address.link for want in wanted_addresses(view) if want.exclusive}
    there = {(a.link, a.address) for a in after.addresses}
    for address in before.addresses:
        if not address.ours and address.link not in exclusive:
            assert (address.link, address.address) in there
    for route in before.routes:
        if route.ours or route.source is not None or route.link in {*exclusive, *_managed_down(view)}:
            continue
        if {(a.link, a.address) for a in before.addresses if a.link == route.link} & there:
            assert route in after.routes


def _assert_wishes_are_met(view: View, after: Snapshot) -> None:
    there = {(a.link, a.address) for a in after.addresses if a.ours}
    for want in wanted_addresses(view):
        assert (want.address.link, want.address.address) in there
    done = set()
    for wish in wanted_routes(view, settle(view)):
        if not isinstance(wish, Wanted) or place_of(wish.route) in done:
            continue
        done.add(place_of(wish.route))
        occupied = any(place_of(r) == place_of(wish.route) and not r.ours for r in after.routes)
        assert occupied or wish.route in after.routes or _unreachable(view, wish.route)


def _unreachable(view: View, route: Route) -> bool:
    """The kernel does not see its gateway: the host route to it is in somebody else's way, or the metric is taken."""
    return route.gateway is not None and not route.onlink


def _assert_nothing_is_left(view: View, after: Snapshot) -> None:
    spared, kept = undecided_links(view), set(places_kept(view))
    wanted = {(w.address.link, w.address.address) for w in wanted_addresses(view)}
    for address in after.addresses:
        if address.ours and address.link not in spared:
            assert (address.link, address.address) in wanted
    places = {place_of(w.route) for w in wanted_routes(view, settle(view)) if isinstance(w, Wanted)}
    for route in after.routes:
        if route.ours and route.link not in spared:
            assert place_of(route) in places | kept


def _assert_the_undecided_are_spared(view: View, before: Snapshot, after: Snapshot) -> None:
    there = {(a.link, a.address) for a in after.addresses}
    for address in before.addresses:
        if address.link in undecided_links(view):
            assert (address.link, address.address) in there
