"""What the controllers make of a client's status: the lease in use, and whether there is anything to go by yet."""

from __future__ import annotations

import pytest

from routerd.controllers.lease import leases, undecided, undecided_links
from routerd.daemons.dhcpv4_report import starting_status
from routerd.events.types import Status
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    ETH0,
    ETH1,
    LAN,
    NOW,
    WAN,
    Scene,
    acquiring,
    bound,
    crashed,
    lease,
    resource,
    starting,
)


def scene(status: Status | None, *resources: dict[str, object]) -> Scene:
    return Scene(resources or (WAN, LAN, CLIENT), objects={} if status is None else {CLIENT_REF: status})


HELD = lease("203.0.113.50/24")


def test_a_lease_is_read_as_it_was_told() -> None:
    [read] = leases(scene(bound(HELD)).view())
    assert read.address == HELD.address
    assert read.valid_until == HELD.expires_at
    assert read.routes == tuple((r.destination, r.gateway) for r in HELD.routes)
    assert (read.link, read.mtu) == (ETH0, 0)


def test_a_lease_without_end() -> None:
    [read] = leases(scene(bound(lease("203.0.113.50/24", t1=None, t2=None, expires_at=None))).view())
    assert read.valid_until is None


@pytest.mark.req("C3", "breaks")
def test_a_lease_that_is_over_is_none_though_its_client_is_not_there_to_say_so() -> None:
    late = scene(crashed(bound(HELD)))
    assert list(leases(late.view()))
    late.now = NOW + 3600
    assert not list(leases(late.view()))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, True),
        (starting(), True),
        (crashed(starting()), True),
        (acquiring(), False),
        (bound(HELD), False),
        (crashed(bound(HELD)), False),
        (crashed(acquiring()), False),
        (starting_status("wan", "eth0", 1, "LinkAbsent"), False),
        (bound(HELD, ifname="eth7"), True),
    ],
    ids=["unknown", "starting", "crashed-first", "acquiring", "bound", "crashed", "crashed-without", "absent", "moved"],
)
def test_who_has_spoken(status: Status | None, expected: bool) -> None:
    view = scene(status).view()
    assert undecided(view, CLIENT_REF) is expected
    assert (ETH0.index in undecided_links(view)) is expected
    assert ETH1.index not in undecided_links(view)


@pytest.mark.req("C14", "breaks")
def test_a_lease_is_not_carried_over_to_another_interface() -> None:
    moved = scene(bound(HELD), WAN, LAN, resource("DHCPv4Client", "wan", interface="lan"))
    assert not list(leases(moved.view()))
    assert undecided_links(moved.view()) == {ETH1.index}


def test_a_client_that_is_declared_no_more_may_still_say_goodbye() -> None:
    leaving = scene(bound(HELD), WAN, LAN)
    assert undecided_links(leaving.view()) == {ETH0.index}
    leaving.objects.clear()
    assert undecided_links(leaving.view()) == frozenset()
