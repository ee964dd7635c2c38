"""What a LAN is told, made of what is declared and what is true: limits of lifetimes, and when this is no router."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest

from routerd.daemons.ra_announcement import Delegated, LanFacts, announcement_of
from routerd.protocols.ndp.announcement import Announcement
from routerd.protocols.ndp.message import INFINITE, MoreSpecificRoute, NameServers, Preference, SearchDomains
from routerd.resources.net6 import IPv6RouterAdvertisement
from routerd.shapes.duration import Duration

NOW = 1000.0
SUBNET, ULA = IPv6Network("2001:db8:40:1::/64"), IPv6Network("fd00:1::/64")
DNS, OTHER = IPv6Address("2001:db8::53"), IPv6Address("fd00::53")


def told(facts: LanFacts, **spec: Any) -> Announcement:
    return announcement_of(IPv6RouterAdvertisement("lan", **spec), facts)


def lifetimes(announcement: Announcement, now: float = NOW) -> list[tuple[IPv6Network, int, int]]:
    """Prefix, preferred, valid, as hosts are told."""
    return [(p.prefix, p.preferred, p.valid) for p in announcement.advertisement(now, b"\2\0\0\0\0\1").prefixes]


@pytest.mark.parametrize(
    ("preferred", "valid", "as_told"),
    [
        (None, None, (2700, 5400)),
        (NOW + 86400, NOW + 172800, (2700, 5400)),
        (NOW + 600, NOW + 900, (600, 900)),
        (NOW - 1, NOW + 900, (0, 900)),
    ],
)
def test_a_delegated_prefix_is_never_told_for_longer_than_its_lease_nor_than_hosts_may_rely_on(
    preferred: float | None, valid: float | None, as_told: tuple[int, int]
) -> None:
    facts = LanFacts(delegated=(Delegated(SUBNET, preferred, valid),))
    assert lifetimes(told(facts)) == [(SUBNET, *as_told)]


def test_a_lease_that_is_over_is_not_told_of() -> None:
    assert lifetimes(told(LanFacts(delegated=(Delegated(SUBNET, NOW - 5, NOW),)))) == []


@pytest.mark.parametrize(
    ("spec", "as_told"),
    [
        ({}, (2700, 5400)),
        ({"preferred_lifetime": Duration(14400.0), "valid_lifetime": Duration(86400.0)}, (14400, 86400)),
        ({"preferred_lifetime": Duration(14400.0)}, (14400, 14400)),
        ({"valid_lifetime": Duration(600.0)}, (600, 600)),
    ],
)
def test_a_prefix_of_ones_own_has_the_declared_lifetimes_each_time_anew(
    spec: dict[str, Any], as_told: tuple[int, int]
) -> None:
    announcement = told(LanFacts(), prefix=ULA, **spec)
    assert lifetimes(announcement) == lifetimes(announcement, NOW + 10**6) == [(ULA, *as_told)]
    assert INFINITE not in as_told


def test_each_prefix_is_told_of_once_and_only_slaac_s_length_makes_addresses() -> None:
    wide = IPv6Network("2001:db8:50::/60")
    facts = LanFacts(delegated=(Delegated(ULA, None, None), Delegated(SUBNET, None, None), Delegated(wide, None, None)))
    prefixes = told(facts, prefix=ULA).prefixes
    assert [(one.prefix, one.autonomous) for one in prefixes] == [(ULA, True), (SUBNET, True), (wide, False)]


def test_without_a_default_route_this_is_no_default_router() -> None:
    assert told(LanFacts()).lifetime == 0
    assert told(LanFacts(default_route=True)).lifetime == 1800
    assert told(LanFacts(default_route=True), router_lifetime=Duration(0.0)).lifetime == 0
    assert told(LanFacts(default_route=True), router_lifetime=Duration(9000.0)).lifetime == 9000


def test_the_other_lans_of_a_lease_are_reached_by_us_also_without_a_way_out() -> None:
    """RFC 7084 L-3: by a route of its own, which lasts as long as the lease, and ends with us."""
    whole, alone = IPv6Network("2001:db8:40::/56"), IPv6Network("2001:db8:50::/64")
    lan = Delegated(SUBNET, NOW + 600, NOW + 900, whole)
    announcement = told(LanFacts(delegated=(lan, Delegated(alone, None, None, alone))))
    assert announcement.lifetime == 0
    message = announcement.advertisement(NOW, b"\2\0\0\0\0\1")
    assert message.routes == (MoreSpecificRoute(whole, 900),)
    forever = told(LanFacts(delegated=(Delegated(SUBNET, None, None, whole),)))
    assert forever.advertisement(NOW, b"\2\0\0\0\0\1").routes == (MoreSpecificRoute(whole, 1800),)
    assert forever.farewell.advertisement(NOW, b"\2\0\0\0\0\1").routes == (MoreSpecificRoute(whole, 0),)


def test_name_servers_and_domains_are_told_for_three_intervals() -> None:
    facts = LanFacts(rdnss=(OTHER, DNS), dnssl=("home.example",))
    announcement = told(facts, rdnss=(DNS,), max_interval=Duration(100.0))
    assert announcement.name_servers == (NameServers((DNS, OTHER), 300),)
    assert announcement.search_domains == (SearchDomains(("home.example",), 300),)
    assert told(LanFacts()).name_servers == ()


def test_the_rest_is_as_declared() -> None:
    announcement = told(LanFacts(), m_flag=True, o_flag=True, mtu=1492, prf_preference="low")
    assert (announcement.managed, announcement.other, announcement.mtu) == (True, True, 1492)
    assert announcement.preference is Preference.LOW
