"""Renumbering as the hosts of two LANs live through it: a whole routerd behind a provider that delegates, and Linux
hosts whose addresses `ip monitor` watches.

The demand: within one second of when routerd knows (its event), hosts begin nothing new with an address out of the old
prefix, prefer the new one, and were at no moment without. The second begins when a router may speak: RFC 4861 §6.2.4
wants three seconds between two advertisements to all, and where both sides run, they are let pass first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from ipaddress import IPv6Network
from pathlib import Path

import attrs
import pytest

from tests.lab.lan import (
    Events,
    Heard,
    addresses,
    default_routes,
    deprecated_at,
    gaps,
    hearing,
    path_mtu,
    preferred_at,
    prefers,
    reaches,
    turns,
    watching,
)
from tests.lab.netns import Namespace
from tests.lab.servers6 import DELEGATING, SERVER, Terms6, forget, kea, radvd, reconfigured
from tests.lab.street import ADVERTISEMENTS, GUESTS, Street

pytestmark = pytest.mark.lab

TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))
ADVERTISED = """
    MinRtrAdvInterval 3; MaxRtrAdvInterval 10; AdvManagedFlag on; AdvOtherConfigFlag on;
    prefix 2001:db8:ff::/64 { AdvAutonomous off; };
"""
REST = 3.0
"""Seconds between two advertisements to all, at least (RFC 4861 §10)."""


@attrs.frozen
class Lan:
    """One of the two: its host, what has been seen and heard there, and the subnet that it had first."""

    host: Namespace
    ifname: str
    seen: Events
    heard: Callable[[], list[Heard]]
    first: IPv6Network

    def may_know_at(self, at: float) -> float:
        """When the router may have told all what it knows since `at`."""
        before = [heard.at for heard in self.heard() if heard.to_all and heard.at < at]
        return max(at, before[-1] + REST) if before else at


@pytest.fixture
def inhabited(street: Street) -> Street:
    """The router serves both of its LANs, and hears the provider's router."""
    street.router.config += ADVERTISEMENTS + GUESTS
    return street


@contextmanager
def watched(street: Street, directory: Path) -> Iterator[tuple[Lan, Lan]]:
    """Start the router; once both hosts have addresses, and reach the provider, what happens to them from then on. No
    address of theirs is deleted in all that."""
    with ExitStack() as stack:
        ears = [stack.enter_context(hearing(host)) for host in (street.host, street.guest)]
        street.router.start()
        first = told(street, TERMS)
        street.way_back(street.prefix())
        eyes = [stack.enter_context(watching(host, directory)) for host in (street.host, street.guest)]
        host = Lan(street.host, "lan0", eyes[0], ears[0], first[0])
        guest = Lan(street.guest, "lan1", eyes[1], ears[1], first[1])
        street.router.until(lambda: reaches(street.host, SERVER) and reaches(street.guest, SERVER))
        yield host, guest
        assert [turn for lan in (host, guest) for turn in turns(lan.seen()) if turn.deleted] == []


def told(street: Street, terms: Terms6) -> tuple[IPv6Network, IPv6Network]:
    """Wait until both LANs have subnets of these terms and their hosts prefer them; the subnets."""
    lan, guests = street.settled(terms, "lan0"), street.settled(terms, "lan1")
    street.router.until(lambda: prefers(street.host, lan) and prefers(street.guest, guests))
    return lan, guests


def rested(street: Street, lans: tuple[Lan, Lan]) -> None:
    """Wait until the router may speak to all of both LANs."""
    street.router.until(lambda: all(lan.may_know_at(time.time()) <= time.time() for lan in lans))


def known_at(street: Street) -> float:
    """When the router learned that the old prefix is over (seconds since 1970)."""
    topics = ("lost", "changed", "deprecated")
    told = [event for topic in topics for event in street.router.events(f"routerd.dhcpv6.client.prefix.{topic}")]
    return min(datetime.fromisoformat(event["createdAt"]).timestamp() for event in told)


def assert_moved_in_time(street: Street, lans: tuple[Lan, Lan]) -> None:
    """See the module."""
    new = told(street, MOVED)
    street.router.until(lambda: all(deprecated_at(lan.seen(), lan.first) for lan in lans))
    known = known_at(street)
    for lan, network in zip(lans, new, strict=True):
        may = lan.may_know_at(known)
        over, begun = deprecated_at(lan.seen(), lan.first), preferred_at(lan.seen(), network)
        assert over is not None
        assert begun is not None
        assert max(over, begun) - may < 1
        assert gaps(lan.seen(), lan.first) == 0
        assert addresses(lan.host)[lan.first]["valid_life_time"] <= 7200, "and connections of old end in peace"
        assert default_routes(lan.host), "by the way that there is"
    first = lans[0].first
    street.router.until(lambda: first not in street.preferred("lan0"))
    (previous,) = street.router.status("IPv6DelegatedAddress/lan")["previous"]
    assert previous["prefix"] == str(first), "what hosts must hear of, over restarts"
    street.way_back(street.prefix())
    street.router.until(lambda: all(reaches(lan.host, SERVER) for lan in lans))


async def test_two_lans_out_of_one_prefix(inhabited: Street, tmp_path: Path) -> None:
    street = inhabited
    with (
        kea(street.isp, "isp0", tmp_path, TERMS),
        radvd(street.isp, "isp0", tmp_path, ADVERTISED + "AdvLinkMTU 1480;"),
        watched(street, tmp_path) as (host, guest),
    ):
        prefix = street.prefix()
        subnets = list(prefix.subnets(new_prefix=64))
        assert (host.first, guest.first) == (subnets[1], subnets[2])
        (neighbour,) = (info["local"] for info in addresses(guest.host).values())
        street.router.until(lambda: reaches(host.host, neighbour))
        street.router.until(lambda: path_mtu(host.host, SERVER) == 1480)
        shown = street.router.routerctl("get", "prefixes").splitlines()
    for words in (("wan-pd", prefix, "Bound"), ("lan", subnets[1], "on lan0"), ("guests", subnets[2], "on lan1")):
        assert [line for line in shown if all(str(word) in line for word in words)], f"{words} in {shown}"


@pytest.mark.req("V6-21")
@pytest.mark.req("V6-22", "breaks")
async def test_while_both_sides_run(inhabited: Street, tmp_path: Path) -> None:
    """The server goes on with other pools, and has the leases still: in its answer to the next Renew it ends the old
    prefix and gives another one."""
    street = inhabited
    with (
        kea(street.isp, "isp0", tmp_path, TERMS) as server,
        radvd(street.isp, "isp0", tmp_path, ADVERTISED),
        watched(street, tmp_path) as lans,
    ):
        old = street.prefix()
        reconfigured(server, "isp0", tmp_path, MOVED)
        rested(street, lans)
        street.router.routerctl("renew", "DHCPv6PrefixDelegation/wan-pd")
        assert_moved_in_time(street, lans)
        shown = street.router.routerctl("get", "prefixes")
    (before,) = [line for line in shown.splitlines() if "before" in line]
    assert all(str(word) in before for word in (old, street.prefix(), "Deprecated"))


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.parametrize("server", DELEGATING)
async def test_by_a_server_that_was_set_up_anew(server: str, inhabited: Street, tmp_path: Path) -> None:
    """It knows nothing of the leases of before."""
    street = inhabited
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED), ExitStack() as stack:
        with DELEGATING[server](street.isp, "isp0", tmp_path, TERMS):
            lans = stack.enter_context(watched(street, tmp_path))
        forget(tmp_path)
        with DELEGATING[server](street.isp, "isp0", tmp_path, MOVED):
            rested(street, lans)
            street.order("renew")
            assert_moved_in_time(street, lans)


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.req("V6-40", "breaks")
@pytest.mark.parametrize("end", ["kill", "reboot"])
async def test_while_the_router_was_away(end: str, inhabited: Street, tmp_path: Path) -> None:
    """Killed without a word, or with all that its kernel had: the next life tells the LANs what is over."""
    street = inhabited
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED), ExitStack() as stack:
        with kea(street.isp, "isp0", tmp_path, TERMS):
            lans = stack.enter_context(watched(street, tmp_path))
            street.router.kill() if end == "kill" else street.router.reboot()
        forget(tmp_path)
        with kea(street.isp, "isp0", tmp_path, MOVED):
            street.router.start()
            assert_moved_in_time(street, lans)


@pytest.mark.req("V6-23")
@pytest.mark.req("V6-23", "breaks")
async def test_a_lease_that_nobody_extends(inhabited: Street, tmp_path: Path) -> None:
    """The server has died. Hosts are never told more than what is left of the lease; with it their addresses go. Then
    there is a server again."""
    street = inhabited
    brief = attrs.evolve(TERMS, preferred=9, valid=15, t1=3, t2=6)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED), hearing(street.host) as heard:
        with kea(street.isp, "isp0", tmp_path, brief):
            street.router.start()
            lan, _ = told(street, TERMS)
            until = street.router.status("DHCPv6PrefixDelegation/wan-pd")["validUntil"]
        with watching(street.host, tmp_path) as seen:
            street.router.until(lambda: street.held("lan0") == [])
            street.router.until(lambda: lan not in addresses(street.host))
            street.router.until(lambda: [turn for turn in turns(seen()) if turn.deleted])
        end = datetime.fromisoformat(until).timestamp()
        for advertisement in heard():
            for prefix in advertisement.message.prefixes:
                assert advertisement.at + prefix.valid <= end + 0.1
        assert not street.bound()
        with kea(street.isp, "isp0", tmp_path, TERMS):
            told(street, TERMS)
