"""What is true around an IPv6RouterAdvertisement: what is known is told, what is not known yet changes nothing."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.controllers.gate import Admission, Held
from routerd.daemons.ra_announcement import Delegated, LanFacts
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Route
from routerd.nurseries.ra_facts import facts_of
from routerd.resources.net6 import IPv6RouterAdvertisement
from tests.controllers.scene import ETH0, LAN, NOW, WAN, Scene, resource

PD = resource("DHCPv6PrefixDelegation", "wan-pd", interface="wan")
OWN = resource(
    "IPv6DelegatedAddress", "lan", prefixDelegation="wan-pd", interface="lan", subnetID=1, addressSuffix="::1"
)
PD_REF = Ref("DHCPv6PrefixDelegation", "wan-pd")
SUBNET = Delegated(IPv6Network("2001:db8:40:1::/64"), NOW + 600, NOW + 900, IPv6Network("2001:db8:40::/56"))
STARTING = {"interface": "wan", "device": "eth0", "phase": "Pending", "reason": "Starting"}
NONE = {"interface": "wan", "device": "eth0", "phase": "Acquiring", "reason": "Soliciting", "state": "Soliciting"}
BOUND = {
    **NONE,
    "phase": "Bound",
    "state": "Bound",
    "currentPrefix": "2001:db8:40::/56",
    "preferredUntilMonotonic": NOW + 600,
    "validUntilMonotonic": NOW + 900,
    "dnsServers": ["2001:db8::53", "rubbish"],
}


def facts(
    status: Status | None, *resources: dict[str, Any], routes: Any = (), own_status: Status | None = None, **spec: Any
) -> LanFacts | None:
    ra = resource("IPv6RouterAdvertisement", "lan", interface="lan", **spec)
    told = {PD_REF: status, Ref("IPv6DelegatedAddress", "lan"): own_status}
    objects = {ref: one for ref, one in told.items() if one is not None}
    scene = Scene([WAN, LAN, PD, *(resources or (OWN,)), ra], objects=objects, routes=routes)
    view = scene.view()
    [declared] = view.router.of(IPv6RouterAdvertisement)
    return facts_of(view, declared.spec)


def test_the_subnet_is_told_for_as_long_as_the_lease_lasts() -> None:
    assert facts(BOUND) == LanFacts(delegated=(SUBNET,))


@pytest.mark.parametrize("status", [None, STARTING])
def test_as_long_as_nobody_knows_the_prefix_nothing_is_told_anew(status: Status | None) -> None:
    assert facts(status) is None


def test_a_prefix_that_is_known_to_be_lost_is_not_told_of() -> None:
    assert facts(NONE) == LanFacts()
    assert facts({**BOUND, "validUntilMonotonic": NOW}) == LanFacts()


def test_prefixes_that_the_lease_remembers_are_known_to_have_been_told() -> None:
    """Also when what was told has been forgotten (its file is lost): the client's lease and the subnet know of it."""
    of_lease = {"prefix": "2001:db8:41::/56", "expiresAtMonotonic": NOW + 500}
    other_boot = {"prefix": "2001:db8:42::/56", "expiresAtMonotonic": NOW + 1e6}
    known = facts({**BOUND, "previousPrefixes": [of_lease, other_boot]})
    assert known is not None
    assert (known.delegated, known.former) == ((SUBNET,), ((IPv6Network("2001:db8:41:1::/64"), NOW + 500),))
    said = {"phase": "Applied", "previous": [{"prefix": "2001:db8:43:1::/64", "expiresAtMonotonic": NOW + 5}]}
    known = facts(BOUND, own_status=said)
    assert known is not None
    assert known.former == ((IPv6Network("2001:db8:43:1::/64"), NOW + 5),)


@pytest.mark.parametrize("phase", ["Pending", "Error", "Applied"])
def test_hosts_use_their_prefix_whatever_becomes_of_our_own_address(phase: str) -> None:
    assert facts(BOUND, own_status={"phase": phase, "reason": "DuplicateAddress"}) == LanFacts(delegated=(SUBNET,))


def test_a_client_that_is_held_delegates_nothing() -> None:
    """What was told of its prefix is taken back, and does not just run out."""
    scene = Scene([WAN, LAN, PD, OWN, resource("IPv6RouterAdvertisement", "lan", interface="lan")])
    scene.objects[PD_REF] = {"phase": "Pending", "reason": "WhenFalse"}
    view = scene.view()
    let_in = tuple(one for one in view.declared.resources if ref_of(one) != PD_REF)
    router = attrs.evolve(view.declared, resources=let_in)
    view = attrs.evolve(view, router=router, admission=Admission(router, held={PD_REF: Held("WhenFalse", "no")}))
    [declared] = view.router.of(IPv6RouterAdvertisement)
    assert facts_of(view, declared.spec) == LanFacts()


def test_who_does_not_want_to_be_announced_is_not() -> None:
    quiet = {**OWN, "spec": {**OWN["spec"], "announce": False}}
    assert facts(BOUND, quiet) == LanFacts()
    named = {"resource": "IPv6DelegatedAddress/lan", "field": "prefix"}
    assert facts(BOUND, quiet, prefixFrom=named) == LanFacts(delegated=(SUBNET,))


def test_name_servers_of_others_are_taken_as_far_as_they_are_some() -> None:
    wish = {"resource": "DHCPv6PrefixDelegation/wan-pd", "field": "dnsServers"}
    known = facts(BOUND, rdnssFrom=wish)
    assert known is not None and known.rdnss == (IPv6Address("2001:db8::53"),)
    assert facts(NONE, rdnssFrom=wish) == LanFacts()
    assert facts(STARTING, resource("IPv6RAAddress", "wan", interface="wan"), rdnssFrom=wish) is None


def test_there_is_a_default_route_whoever_put_it() -> None:
    default = Route(IPv6Network("::/0"), ETH0.index, IPv6Address("fe80::1"), metric=1024, ours=False)
    for routes, holds in (([default], True), ([], False)):
        known = facts(NONE, routes=routes)
        assert known is not None and known.default_route is holds
