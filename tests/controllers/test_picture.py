"""The picture of the host: the same as a fresh look, whatever the order in which acts and notices come."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.controllers.picture import Picture
from routerd.host import (
    Address,
    AddressChanged,
    Change,
    HostRefused,
    HostSide6,
    LinkChanged,
    Notice,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Resynced,
    Route,
    RouteChanged,
    SetHostSide6,
    SetLink,
    Snapshot,
)
from routerd.host.simulated import open_host
from routerd.sim.world import World
from tests.controllers.scene import ETH0, ETH1, address, route

HELD = address(ETH0, "203.0.113.50/24")
WAY = route("0.0.0.0/0", ETH0, "203.0.113.1", metric=100, source="203.0.113.50")
NARROW = attrs.evolve(WAY, mtu=1400)
OTHER = route("0.0.0.0/0", ETH1, "192.0.2.1", metric=100)


def picture(*things: Address | Route) -> Picture:
    fresh = Picture()
    addresses = tuple(thing for thing in things if isinstance(thing, Address))
    routes = tuple(thing for thing in things if isinstance(thing, Route))
    fresh.note(Resynced(Snapshot((ETH0, ETH1), addresses, routes)))
    return fresh


def hear(told: Picture, *notices: Notice) -> list[object]:
    """What was taken from us by these."""
    taken = []
    for notice in notices:
        taken += [told.taken(notice)]
        told.note(notice)
    return [thing for thing in taken if thing is not None]


REPLACED = (RouteChanged(WAY, False), RouteChanged(NARROW, True))


@pytest.mark.req("V4-14")
@pytest.mark.parametrize("new", [NARROW, OTHER])
def test_a_route_that_replaces_another_is_no_theft_however_late_its_notice(new: Route) -> None:
    late, early = picture(WAY), picture(WAY)
    notices = (RouteChanged(WAY, False), RouteChanged(new, True))
    with late.applying(PutRoute(new)):
        pass
    late.applied(PutRoute(new))
    assert hear(late, notices[0]) == []
    assert list(late.routes.values()) == [new], "the notice of the old one's end is not about the new one"
    assert hear(late, notices[1]) == []
    with early.applying(PutRoute(new)):
        assert hear(early, *notices) == []
    early.applied(PutRoute(new))
    assert list(early.routes.values()) == list(late.routes.values()) == [new]


def test_what_else_goes_while_a_route_is_replaced_is_theft() -> None:
    elsewhere = route("10.9.0.0/16", ETH1, "192.0.2.1", metric=100)
    told = picture(WAY, elsewhere)
    with told.applying(PutRoute(NARROW)):
        assert hear(told, RouteChanged(WAY, False), RouteChanged(elsewhere, False)) == [elsewhere]


@pytest.mark.parametrize("removal", [RemoveAddress(HELD), RemoveRoute(WAY)])
def test_what_we_remove_is_no_theft_however_late_its_notice(removal: RemoveAddress | RemoveRoute) -> None:
    notice: Notice = AddressChanged(HELD, False) if isinstance(removal, RemoveAddress) else RouteChanged(WAY, False)
    early, late = picture(HELD, WAY), picture(HELD, WAY)
    with early.applying(removal):
        assert hear(early, notice) == []
    early.applied(removal)
    with late.applying(removal):
        pass
    late.applied(removal)
    assert hear(late, notice) == []
    assert (early.addresses, early.routes) == (late.addresses, late.routes)


def test_routes_of_a_link_that_we_set_down_are_no_theft() -> None:
    early, late = picture(WAY, OTHER), picture(WAY, OTHER)
    down = SetLink(ETH0.index, admin_up=False)
    with early.applying(down):
        assert hear(early, RouteChanged(WAY, False)) == []
    late.applied(down)
    assert hear(late, RouteChanged(WAY, False)) == []
    assert list(late.routes.values()) == list(early.routes.values()) == [OTHER]


def test_what_others_remove_is_theft_of_ours_alone() -> None:
    theirs = address(ETH0, "203.0.113.60/24", ours=False)
    told = picture(HELD, theirs, WAY)
    assert hear(told, AddressChanged(theirs, False), RouteChanged(WAY, False), AddressChanged(HELD, False)) == [
        WAY,
        HELD,
    ]
    assert hear(told, AddressChanged(HELD, False)) == [], "once"


@pytest.mark.parametrize(
    ("others", "stolen"),
    [([], []), ([address(ETH0, "198.51.100.2/24")], [WAY]), ([address(ETH1, "198.51.100.2/24")], [])],
)
def test_with_the_last_address_of_a_link_its_routes_go_by_our_own_hand(
    others: list[Address], stolen: list[Route]
) -> None:
    told = picture(HELD, WAY, OTHER, *others)
    with told.applying(RemoveAddress(HELD)):
        assert hear(told, RouteChanged(WAY, False), RouteChanged(OTHER, False)) == [*stolen, OTHER]


def test_a_refused_removal_does_not_excuse_a_later_theft() -> None:
    told = picture(HELD)
    with pytest.raises(HostRefused), told.applying(RemoveAddress(HELD)):
        raise HostRefused(RemoveAddress(HELD), 1, "no")
    assert hear(told, AddressChanged(HELD, False)) == [HELD]


@pytest.mark.req("C14")
def test_with_a_link_goes_what_was_on_it() -> None:
    told = picture(HELD, address(ETH1, "192.0.2.2/24"), WAY, OTHER)
    told.note(LinkChanged(ETH0, None))
    assert told.link_named("eth0") is None
    assert [a.link for a in told.addresses.values()] == [r.link for r in told.routes.values()] == [ETH1.index]


def test_a_renamed_link_keeps_what_is_on_it() -> None:
    told = picture(HELD)
    told.note(LinkChanged(ETH0, attrs.evolve(ETH0, name="wan0")))
    assert told.link_named("eth0") is None
    assert told.link_named("wan0") is not None
    assert HELD in told.addresses.values()


def test_a_change_of_a_link_that_is_gone_changes_nothing() -> None:
    told = Picture()
    told.applied(SetLink(5, admin_up=True))
    assert told.links == {}


def test_of_the_side_of_a_host_that_we_set_the_rest_stays() -> None:
    told = picture()
    told.note(LinkChanged(ETH0, attrs.evolve(ETH0, ipv6=HostSide6(accept_ra=True, autoconf=True))))
    told.applied(SetHostSide6(ETH0.index, accept_ra=False))
    assert told.links[ETH0.index].ipv6 == HostSide6(accept_ra=False, autoconf=True)


HOSTS = st.sampled_from(["10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/25", "192.0.2.1/32"]).map(IPv4Interface)
LINKS = st.sampled_from([1, 2])
ADDRESSES = st.builds(Address, LINKS, HOSTS)
ROUTES = st.builds(
    Route,
    st.sampled_from(["0.0.0.0/0", "10.9.0.0/16"]).map(IPv4Network),
    LINKS,
    metric=st.sampled_from([0, 7]),
    mtu=st.sampled_from([0, 1400]),
)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(PutAddress, ADDRESSES),
    st.builds(RemoveAddress, ADDRESSES),
    st.builds(PutRoute, ROUTES),
    st.builds(RemoveRoute, ROUTES),
    st.builds(SetLink, LINKS, st.sampled_from([None, True, False]), st.sampled_from([None, 1500, 1400, 65000])),
)


@settings(deadline=None)
@given(changes=st.lists(st.tuples(CHANGES, st.booleans(), st.booleans()), max_size=30))
def test_it_is_the_same_as_a_fresh_look_once_all_is_heard(changes: Sequence[tuple[Change, bool, bool]]) -> None:
    """Each change is made by us or by somebody else, and heard before or after the next one."""
    trio.run(_live, changes)


async def _live(changes: Sequence[tuple[Change, bool, bool]]) -> None:
    world = World()
    world.add_link("eth0", "one")
    world.add_link("eth1", "two")
    async with open_host(world) as host, host.watch() as notices:
        told = Picture()
        for change, by_us, heard in changes:
            try:
                await host.apply(change)
            except HostRefused:
                continue
            if by_us:
                told.applied(change)
            if heard:
                _hear_all(told, notices)
        _hear_all(told, notices)
        seen = host.snapshot()
        fresh = Picture()
        fresh.note(Resynced(seen))
        assert told.links == fresh.links
        assert told.addresses == fresh.addresses
        assert told.routes == fresh.routes


def _hear_all(told: Picture, notices: trio.MemoryReceiveChannel[Notice]) -> None:
    while True:
        try:
            told.note(notices.receive_nowait())
        except trio.WouldBlock:
            return
