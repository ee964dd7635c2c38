"""What is guarded while a change is on trial, and when that counts as lost."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.changes.commit import GuardFailed, GuardHolds
from routerd.changes.guard import PATIENCE, WAN_PATIENCE, Caller, Guards, judge, standing
from routerd.events.types import Ref, Status
from routerd.host import Address, Route
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    DEFAULT,
    ETH0,
    ETH1,
    GATEWAY,
    LAN,
    NOW,
    WAN,
    Scene,
    acquiring,
    address,
    bound,
    crashed,
    lease,
    link,
    resource,
    route,
    starting,
)
from tests.controllers.scene6 import NA, NA_REF, PD, PD_REF, delegated, granted, silent, speaking, without_prefix

SSH = resource("ManagementAccess", "ssh", interfaces=["lan"])
INSIDE, OUTSIDE = address(ETH1, "192.168.1.1/24"), address(ETH0, "203.0.113.50/24")
CONNECTED = route("192.168.1.0/24", ETH1, ours=False)
TO_ALL = route(DEFAULT, ETH0, GATEWAY)
HELD = lease("203.0.113.50/24")
NEAR, FAR = Caller("192.168.1.1", "192.168.1.7"), Caller("192.168.1.1", "198.51.100.7")


def scene(**changes: Any) -> Scene:
    """A router as it should be: a lease, a way in, and somebody who sits there."""
    whole = Scene(
        (WAN, LAN, CLIENT, SSH),
        addresses=(INSIDE, OUTSIDE),
        routes=(CONNECTED, TO_ALL),
        objects={CLIENT_REF: bound(HELD)},
    )
    return attrs.evolve(whole, **changes)


def failing(guards: Guards, **changes: Any) -> list[GuardFailed]:
    verdicts = list(judge(guards, scene(**changes).view()))
    return [verdict for verdict in verdicts if isinstance(verdict, GuardFailed)]


def test_what_is_there_is_guarded() -> None:
    view = scene().view()
    assert standing(view, [view.router], NEAR) == Guards(("eth1",), ("DHCPv4Client/wan",), NEAR)


@pytest.mark.parametrize(
    ("changes", "guards"),
    [
        ({"addresses": (OUTSIDE,)}, Guards((), ("DHCPv4Client/wan",), None)),
        ({"links": (ETH0,)}, Guards((), ("DHCPv4Client/wan",), NEAR)),
        ({"objects": {CLIENT_REF: acquiring()}}, Guards(("eth1",), (), NEAR)),
        ({"objects": {}}, Guards(("eth1",), (), NEAR)),
        ({"now": NOW + 3601}, Guards(("eth1",), (), NEAR)),
        ({"resources": (WAN, LAN, CLIENT)}, Guards((), ("DHCPv4Client/wan",), NEAR)),
        ({"routes": ()}, Guards(("eth1",), ("DHCPv4Client/wan",), None)),
    ],
)
def test_only_what_is_there_can_be_lost(changes: dict[str, Any], guards: Guards) -> None:
    view = scene(**changes).view()
    if changes.get("links") == (ETH0,):
        guards = attrs.evolve(guards, caller=None)  # its route is by a link that is gone
    assert standing(view, [view.router], NEAR) == guards


def test_the_ways_in_of_both_configurations_are_guarded() -> None:
    other = scene(resources=(WAN, LAN, resource("ManagementAccess", "ssh", interfaces=["wan", "lan"]))).view()
    view = scene().view()
    assert standing(view, [view.router, other.router], None).interfaces == ("eth1", "eth0")


ACCESS = Guards(interfaces=("eth1",))


@pytest.mark.parametrize(
    ("changes", "why", "patience"),
    [
        ({"addresses": (OUTSIDE,)}, "eth1 has no address", PATIENCE),
        ({"links": (ETH0, link(2, "eth1", carrier=False))}, "eth1 has no carrier", PATIENCE),
        ({"links": (ETH0, link(2, "eth1", admin_up=False))}, "eth1 is down", PATIENCE),
        ({"links": (ETH0,)}, "there is no interface eth1 on this host now", 0.0),
    ],
)
def test_a_way_in_is_lost(changes: dict[str, Any], why: str, patience: float) -> None:
    assert failing(ACCESS, **changes) == [GuardFailed("interface eth1", why, patience)]


def test_a_way_in_by_a_lease_may_take_longer() -> None:
    """A client begins anew: its address comes with its lease."""
    outside = Guards(interfaces=("eth0",))
    lost = GuardFailed("interface eth0", "eth0 has no address", WAN_PATIENCE)
    for status in (acquiring(), starting()):
        assert failing(outside, addresses=(INSIDE,), objects={CLIENT_REF: status}) == [lost]
    assert failing(outside, addresses=(INSIDE,)) == [attrs.evolve(lost, patience=PATIENCE)], "it has its lease"
    without = failing(outside, addresses=(INSIDE,), resources=(WAN, LAN, SSH))
    assert without == [attrs.evolve(lost, patience=PATIENCE)], "nobody asks for one"
    [inside] = failing(ACCESS, addresses=(OUTSIDE,), objects={CLIENT_REF: acquiring()})
    assert inside.patience == PATIENCE, "another interface"
    [caller] = failing(Guards(caller=FAR), routes=(CONNECTED,), objects={CLIENT_REF: acquiring()})
    assert caller.patience == WAN_PATIENCE


def test_a_way_in_holds_although_nobody_declares_it_any_more() -> None:
    assert list(judge(ACCESS, scene(resources=(WAN,)).view())) == [GuardHolds("interface eth1")]


WANS = Guards(wans=("DHCPv4Client/wan",))
LOST = GuardFailed("wan", "no WAN is left: DHCPv4Client/wan had one and lost it", WAN_PATIENCE)


@pytest.mark.parametrize(
    "changes", [{"objects": {CLIENT_REF: acquiring()}}, {"resources": (WAN, LAN)}, {"now": NOW + 3601}]
)
def test_all_wans_are_down(changes: dict[str, Any]) -> None:
    assert failing(WANS, routes=(CONNECTED,), **changes) == [LOST]


def test_a_wan_that_has_another_way_is_up() -> None:
    """A static address and route in the place of the client, or another client."""
    assert list(judge(WANS, scene(resources=(WAN, LAN)).view())) == [GuardHolds("wan")]
    dead = attrs.evolve(TO_ALL, kind="blackhole")
    assert failing(WANS, resources=(WAN, LAN), routes=(dead,)) == [LOST]
    down = (link(1, "eth0", carrier=False), ETH1)
    assert failing(WANS, resources=(WAN, LAN), links=down) == [LOST]


def test_one_wan_of_two_is_enough() -> None:
    assert failing(attrs.evolve(WANS, wans=("DHCPv4Client/wan", "DHCPv4Client/lte")), routes=()) == []


@pytest.mark.parametrize("status", [starting(), crashed(starting())])
def test_of_a_client_that_has_not_spoken_nothing_is_said(status: Any) -> None:
    assert list(judge(WANS, scene(routes=(), objects={CLIENT_REF: status}).view())) == []


@pytest.mark.parametrize(
    ("caller", "changes", "why"),
    [
        (NEAR, {"addresses": (OUTSIDE,)}, "the address 192.168.1.1, to which the caller is connected, is gone"),
        (NEAR, {"routes": ()}, "there is no route to the caller at 192.168.1.7"),
        (FAR, {"routes": (CONNECTED,)}, "there is no route to the caller at 198.51.100.7"),
        (
            FAR,
            {"routes": (CONNECTED, TO_ALL, route("198.51.100.0/24", None, kind="blackhole"))},
            "there is no route to the caller at 198.51.100.7",
        ),
        (NEAR, {"links": (ETH0, link(2, "eth1", carrier=False))}, "there is no route to the caller at 192.168.1.7"),
    ],
)
def test_the_caller_is_cut(caller: Caller, changes: dict[str, Any], why: str) -> None:
    assert failing(Guards(caller=caller), **changes) == [GuardFailed("caller", why, PATIENCE)]


def test_the_caller_may_come_by_the_default_route() -> None:
    assert failing(Guards(caller=FAR)) == []
    worse = route(DEFAULT, None, kind="blackhole", metric=200)
    assert failing(Guards(caller=FAR), routes=(CONNECTED, worse, TO_ALL)) == [], "the lower metric counts"


# IPv6

RA = resource("IPv6RAAddress", "wan", interface="wan")
RA_REF = Ref("IPv6RAAddress", "wan")
HEARD: Status = {"phase": "Bound", "state": "Listening", "device": "eth0", "defaultGateway": "fe80::1"}
DEAF: Status = {"phase": "Acquiring", "state": "Soliciting", "device": "eth0", "reason": "NoRouter"}
WANS6 = Guards(wans=("DHCPv6PrefixDelegation/wan-pd", "DHCPv6Address/wan", "IPv6RAAddress/wan"))
OUT = Route(IPv6Network("::/0"), ETH0.index, IPv6Address("fe80::1"))


def scene6(**changes: Any) -> Scene:
    """A router with nothing but IPv6 on its WAN."""
    objects = {PD_REF: delegated(), NA_REF: granted(), RA_REF: HEARD}
    return attrs.evolve(Scene((WAN, LAN, PD, NA, RA), objects=objects, routes=(OUT,)), **changes)


def test_what_comes_of_ipv6_is_guarded() -> None:
    view = scene6().view()
    assert standing(view, [view.router], None) == WANS6
    lost = scene6(objects={PD_REF: without_prefix(), NA_REF: speaking(), RA_REF: DEAF}).view()
    assert standing(lost, [lost.router], None) == Guards()


@pytest.mark.parametrize(
    "objects",
    [
        {PD_REF: delegated(), NA_REF: speaking(), RA_REF: DEAF},
        {PD_REF: speaking(), NA_REF: granted(), RA_REF: DEAF},
        {PD_REF: speaking(), NA_REF: speaking(), RA_REF: HEARD},
    ],
    ids=["a prefix", "an address", "a router"],
)
def test_one_thing_that_a_provider_gives_is_a_wan(objects: dict[Ref, Status]) -> None:
    assert list(judge(WANS6, scene6(objects=objects, routes=()).view())) == [GuardHolds("wan")]


def test_all_wans_of_ipv6_are_down() -> None:
    gone = scene6(objects={PD_REF: without_prefix(), NA_REF: speaking(), RA_REF: DEAF}, routes=())
    [lost] = judge(WANS6, gone.view())
    assert isinstance(lost, GuardFailed)
    assert (lost.guard, lost.patience) == ("wan", WAN_PATIENCE)
    assert lost.why.startswith("no WAN is left: DHCPv6PrefixDelegation/wan-pd, DHCPv6Address/wan, IPv6RAAddress/wan")
    gone.objects[PD_REF] = delegated(validUntilMonotonic=NOW)
    assert list(judge(WANS6, gone.view())) == [lost], "it is over"
    gone.objects[PD_REF] = silent()
    assert list(judge(WANS6, gone.view())) == [], "it has only just begun"
    gone.objects |= {PD_REF: speaking(), RA_REF: {"phase": "Pending", "reason": "Starting", "device": "eth0"}}
    assert list(judge(WANS6, gone.view())) == [], "nobody was heard yet"
    gone.routes = (OUT,)
    assert list(judge(WANS6, gone.view())) == [GuardHolds("wan")], "the kernel knows a way"


def test_one_wan_of_either_version_is_enough() -> None:
    both = Guards(wans=("DHCPv4Client/wan", "DHCPv6PrefixDelegation/wan-pd"))
    held = scene6(resources=(WAN, LAN, CLIENT, PD), objects={CLIENT_REF: acquiring(), PD_REF: delegated()}, routes=())
    assert list(judge(both, held.view())) == [GuardHolds("wan")]
    held.objects = {CLIENT_REF: bound(HELD), PD_REF: speaking()}
    assert list(judge(both, held.view())) == [GuardHolds("wan")]


def test_a_way_in_that_only_another_host_has_is_none() -> None:
    known = Address(ETH1.index, IPv6Interface("2001:db8:40:1::1/64"))
    assert failing(ACCESS, addresses=(known,)) == []
    shut = [GuardFailed("interface eth1", "eth1 has no address", PATIENCE)]
    assert failing(ACCESS, addresses=(attrs.evolve(known, standing="duplicate"),)) == shut
    assert failing(ACCESS, addresses=(attrs.evolve(known, address=IPv6Interface("fe80::1/64")),)) == shut


INSIDE6 = Address(ETH1.index, IPv6Interface("2001:db8::1/64"))
LOCAL = attrs.evolve(INSIDE6, address=IPv6Interface("fe80::1/64"))
BY_LINK = Caller("fe80::1%eth1", "fe80::2%eth1")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"addresses": (LOCAL,)}, None),
        ({"addresses": (LOCAL,), "routes": ()}, None),
        ({"addresses": (INSIDE,)}, "the address fe80::1%eth1, to which the caller is connected, is gone"),
        ({"addresses": (attrs.evolve(LOCAL, link=ETH0.index),)}, "the address fe80::1%eth1, to which the caller is"),
        ({"addresses": (LOCAL,), "links": (ETH0,)}, "the address fe80::1%eth1, to which the caller is"),
        (
            {"addresses": (LOCAL,), "links": (ETH0, link(2, "eth1", carrier=False))},
            "eth1, by which the caller is connected, has no carrier",
        ),
        ({"addresses": (attrs.evolve(LOCAL, standing="duplicate"),)}, "the address fe80::1%eth1, to which the caller"),
    ],
)
def test_a_caller_on_the_same_link(changes: dict[str, Any], why: str | None) -> None:
    """SSH by a link-local address: every link has such ones, so that its link is a part of it."""
    found = failing(Guards(caller=BY_LINK), **changes)
    assert [one.why[: len(why or "")] for one in found] == ([] if why is None else [why])


def test_a_caller_at_a_deprecated_address_stays() -> None:
    """A trial that moves the LAN to another subnet does not cut off who sits there."""
    way = Route(IPv6Network("2001:db8::/64"), ETH1.index, None, ours=False)
    old = attrs.evolve(INSIDE6, preferred_until=0.0, valid_until=NOW + 600)
    caller = Guards(caller=Caller("2001:db8::1", "2001:db8::7"))
    assert failing(caller, addresses=(old,), routes=(way,)) == []
    aggregate = Route(IPv6Network("2001:db8::/56"), None, metric=2**31 - 1, kind="unreachable")
    [lost] = failing(caller, addresses=(old,), routes=(aggregate,))
    assert lost.why == "there is no route to the caller at 2001:db8::7"


def test_the_caller_may_come_by_ipv6() -> None:
    inside = Address(ETH1.index, IPv6Interface("2001:db8::1/64"))
    way = Route(IPv6Network("2001:db8::/32"), ETH1.index, IPv6Address("fe80::9"))
    caller = Caller("2001:db8::1", "2001:db8:1::7")
    assert failing(Guards(caller=caller), addresses=(inside,), routes=(way,)) == []
    [lost] = failing(Guards(caller=caller), addresses=(inside,), routes=(CONNECTED, TO_ALL))
    assert lost.why == "there is no route to the caller at 2001:db8:1::7"
    local = attrs.evolve(inside, address=IPv6Interface("fe80::1/64"))
    assert failing(Guards(caller=Caller("fe80::1%eth1", "fe80::2%eth1")), addresses=(local,)) == []
    assert failing(Guards(caller=Caller("::ffff:192.168.1.1", "::ffff:192.168.1.7"))) == []
