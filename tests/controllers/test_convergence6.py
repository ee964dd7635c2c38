"""The controllers of IPv6 together on a host with a kernel's habits, in random worlds: they come to rest, what is
wanted is there then, and what is not ours is as it was."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import trio
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from routerd.config import ConfigErrors, load
from routerd.controllers.delegation import DelegationController
from routerd.controllers.forwarding import ForwardingController
from routerd.controllers.interface import InterfaceController
from routerd.controllers.planner import Planner
from routerd.controllers.route import RouteController
from routerd.controllers.slaac import SlaacController
from routerd.controllers.wanted_address6 import leaving_addresses6, wanted_addresses6, wanted_by_key
from routerd.events.types import Ref, Status
from routerd.host import Address, Route
from routerd.host.simulated import open_host
from routerd.sim.world import World
from tests.controllers.scene import NOW, document, resource
from tests.controllers.scene6 import NA, NA_REF, OTHER, PD, PD_REF, PREFIX, delegated, granted, silent, speaking, subnet
from tests.controllers.scene6 import without_prefix as lost
from tests.controllers.test_convergence import Case

LINKS = ("eth0", "eth1")
INTERFACES = [resource("Interface", "wan", ifname="eth0"), resource("Interface", "lan", ifname="eth1")]
OWN = ["2001:db8:40:1::1/64", "2001:db8:77:1::1/64", "2001:db8:40:2::1/64", "2001:db8:1::50/128", "2001:db8:9::9/64"]

some = st.lists(
    st.sampled_from(
        [
            subnet(),
            subnet("second", subnetID=2),
            subnet("beyond", subnetID=900),
            resource("IPv6RAAddress", "wan", interface="wan"),
            resource("IPv6StaticRoute", "black", destination=PREFIX, type="blackhole"),
            resource("IPv6StaticRoute", "lab", destination="2001:db8:20::/48", device="lan", gateway="fe80::2"),
            resource("IPv6StaticRoute", "up", destination="::/0", device="wan", gateway="fe80::1", metric=100),
            resource(
                "IPv6StaticRoute",
                "by",
                destination="2001:db8:21::/48",
                device="lan",
                preferredSource="2001:db8:40:1::1",
            ),
        ]
    ),
    unique_by=lambda one: (one["kind"], one["metadata"]["name"]),
)
prefixes = st.sampled_from(
    [
        silent(),
        speaking(),
        delegated(),
        delegated(OTHER, (PREFIX, 600)),
        lost((PREFIX, 600)),
        delegated("2001:db8:40::/64"),
    ]
)
leased = st.sampled_from([silent(), speaking(), granted(), granted("2001:db8:1::51")])
held = st.lists(
    st.builds(
        Address,
        st.sampled_from([1, 2]),
        st.sampled_from(OWN).map(IPv6Interface),
        st.booleans(),
        st.sampled_from([None, NOW + 900]),
        st.sampled_from([None, NOW + 300]),
    ),
    max_size=4,
    unique_by=lambda one: (one.link, one.address),
)
known = st.lists(
    st.builds(
        Route,
        st.sampled_from([PREFIX, OTHER, "::/0", "2001:db8:20::/48"]).map(IPv6Network),
        st.sampled_from([1, 2]),
        st.sampled_from([None, IPv6Address("fe80::1")]),
        metric=st.sampled_from([100, 1024]),
        ours=st.booleans(),
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=50)
@given(more=some, prefix=prefixes, lease=leased, held=held, known=known, order=st.permutations(range(5)))
def test_they_come_to_rest(
    more: list[dict[str, Any]],
    prefix: Status,
    lease: Status,
    held: list[Address],
    known: list[Route],
    order: list[int],
) -> None:
    try:
        load(document(*INTERFACES, PD, NA, *more), "test")
    except ConfigErrors:
        reject()
    objects = {PD_REF: prefix, NA_REF: lease}
    # The clock begins before the leases of `scene6` end.
    trio.run(_live, [*INTERFACES, PD, NA, *more], objects, held, known, order, clock=MockClock())


async def _live(
    resources: list[dict[str, Any]],
    objects: dict[Ref, Status],
    held: list[Address],
    known: list[Route],
    order: list[int],
) -> None:
    world = World()
    for name in LINKS:
        world.add_link(name, name, admin_up=True)
    async with open_host(world, ipv6=True) as host:
        for address in held:
            host.put_address(address)
        for route in known:
            host.put_route(route)
        before = host.snapshot()
        planners: list[Planner] = [
            InterfaceController(),
            DelegationController(),
            RouteController(),
            SlaacController(),
            ForwardingController(),
        ]
        case = Case(resources, objects, host, tuple(planners[n] for n in order))
        for _ in range(3):
            await case.rest()
            for planner in planners:  # what is said is part of what is looked at
                judgement = planner.judge(case.view(), {})
                case.objects |= judgement.statuses
        view, after = case.view(), host.snapshot()
        assert not leaving_addresses6(view, wanted_by_key(view))
        there = {(a.link, a.address) for a in after.addresses}
        assert all((want.address.link, want.address.address) in there for want in wanted_addresses6(view))
        assert all((a.link, a.address) in there for a in before.addresses if not a.ours)
        assert all(route in after.routes for route in known if not route.ours and route in before.routes)
