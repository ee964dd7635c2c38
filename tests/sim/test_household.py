"""The demo's host: what it tells of its addresses is so, and it tells it once."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network

import pytest

from routerd.protocols.ndp.message import Prefix, RouterAdvertisement
from routerd.sim.ethernet import Segment
from routerd.sim.household import Household
from routerd.sim.ra_router import RaRouter
from routerd.sim.timeline import Timeline

ROUTER = IPv6Address("fe80::1")
OLD, NEW = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
OWN = "2001:db8:%d::5eff:fe61:aa"


class Lan:
    """A router, the host, and time."""

    def __init__(self) -> None:
        self.timeline, self.now, self.told = Timeline(), 0.0, list[str]()
        segment = Segment(self.timeline, random.Random(1))
        self.router = RaRouter(self.timeline, segment, bytes.fromhex("02005e610001"), ROUTER, None)
        Household(self.timeline, segment, self.told.append).open(0.0)

    def tell(self, *prefixes: Prefix, lifetime: int = 1800) -> list[str]:
        """The router tells this; what the host says of it."""
        self.router.advertisement = RouterAdvertisement(lifetime=lifetime, prefixes=prefixes)
        self.router.advertise(self.now)
        return self.run(1)

    def run(self, seconds: float) -> list[str]:
        """What the host says in these seconds."""
        before = len(self.told)
        self.now += seconds
        self.timeline.run_until(self.now)
        return self.told[before:]


@pytest.fixture
def lan() -> Lan:
    return Lan()


def test_who_hears_nobody_says_nothing(lan: Lan) -> None:
    assert lan.run(3600) == []


def test_what_is_as_before_is_told_once(lan: Lan) -> None:
    assert lan.tell(Prefix(OLD, 5400, 2700)) == [f"the host begins with {OWN % 1}, by fe80::1"]
    assert lan.tell(Prefix(OLD, 5400, 2700)) == []


def test_a_renumbering_is_one_sentence(lan: Lan) -> None:
    lan.tell(Prefix(OLD, 5400, 2700))
    both = lan.tell(Prefix(OLD, 5400, 0), Prefix(NEW, 5400, 2700))
    assert both == [f"the host begins with {OWN % 2}, goes on with {OWN % 1}, by fe80::1"]


def test_what_ends_by_itself_is_told_when_it_ends(lan: Lan) -> None:
    lan.tell(Prefix(OLD, 5400, 2700), lifetime=1800)
    assert lan.run(1790) == []
    assert lan.run(20) == [f"the host begins with {OWN % 1}, without a router"]
    assert lan.run(900) == [f"the host has no address to begin with, goes on with {OWN % 1}, without a router"]
    assert lan.run(2700) == ["the host has no address to begin with, without a router"]


def test_a_router_that_resigns(lan: Lan) -> None:
    lan.tell(Prefix(OLD, 5400, 2700))
    assert lan.tell(Prefix(OLD, 5400, 2700), lifetime=0) == [f"the host begins with {OWN % 1}, without a router"]
