"""Addresses of delegated prefixes and of DHCPv6: what is put, deprecated and removed, in which order; what is said."""

from __future__ import annotations

from ipaddress import IPv6Interface, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.controllers.delegation import DelegationController
from routerd.controllers.interface import news_of
from routerd.controllers.lease6 import aggregate_of
from routerd.controllers.planner import Blocked, Step
from routerd.controllers.rest import FIRST, LONGEST, rest_after
from routerd.controllers.wanted_address6 import DEPRECATED, LONGEST_GOODBYE
from routerd.events.types import Ref, Status
from routerd.host import Address, AddressChanged, PutAddress, RemoveAddress
from tests.controllers.scene import ETH0, ETH1, LAN, NOW, WAN, Scene, link, resource, said
from tests.controllers.scene6 import (
    AGGREGATES,
    NA,
    NA_REF,
    OTHER,
    PD,
    PD_REF,
    PREFIX,
    SUBNET,
    SUBNET_REF,
    address6,
    delegated,
    granted,
    route6,
    silent,
    speaking,
    subnet,
    without_prefix,
)

OWN = address6(ETH1, "2001:db8:40:1::1/64")
NEW = address6(ETH1, "2001:db8:77:1::1/64")
TOPIC = "routerd.lan.address."
OTHER_PD = Ref("DHCPv6PrefixDelegation", "other-pd")


def plan(scene: Scene) -> list[Step]:
    return [step for step in DelegationController().plan(scene.view()) if isinstance(step, Step)]


def judge(scene: Scene, refused: str | None = None) -> Status:
    refusals = {} if refused is None else {SUBNET_REF: refused}
    return DelegationController().judge(scene.view(), refusals).statuses[SUBNET_REF]


def scene_of(status: Status | None, *more: dict[str, Any], **changes: Any) -> Scene:
    objects = {} if status is None else {PD_REF: status}
    return attrs.evolve(Scene([WAN, LAN, PD, SUBNET, *more], objects=objects, routes=AGGREGATES), **changes)


def live(scene: Scene, status: Status) -> list[str]:
    """The client says something else: let the controller do what it wants to, and say what it does."""
    scene.objects[PD_REF] = status
    done = []
    while steps := plan(scene):
        for step in steps:
            if isinstance(step.change, PutAddress):
                put = step.change.address
                scene.addresses = [a for a in scene.addresses if a.address != put.address] + [put]
            elif isinstance(step.change, RemoveAddress):
                gone = step.change.address
                scene.addresses = [a for a in scene.addresses if a.address != gone.address]
        done += said(steps)
    judgement = DelegationController().judge(scene.view(), {})
    scene.objects |= judgement.statuses
    return done


# Out of a prefix


def test_an_address_is_put_once_with_the_lifetimes_of_the_lease() -> None:
    scene = scene_of(delegated())
    [step] = plan(scene)
    assert step.change == PutAddress(OWN)
    assert (step.change.address.preferred_until, step.change.address.valid_until) == (NOW + 1800, NOW + 3600)
    assert (step.resource, step.reason, step.topic) == (SUBNET_REF, "Installed", f"{TOPIC}applied")
    scene.addresses = [OWN]
    assert plan(scene) == []


def test_a_lease_for_ever_is_an_address_for_ever() -> None:
    status = delegated()
    del status["validUntilMonotonic"], status["preferredUntilMonotonic"]
    [step] = plan(scene_of(status))
    assert isinstance(step.change, PutAddress)
    assert (step.change.address.preferred_until, step.change.address.valid_until) == (None, None)


@pytest.mark.parametrize(("field", "until"), [("validUntilMonotonic", 7200), ("preferredUntilMonotonic", 900)])
def test_other_lifetimes_are_set_in_silence(field: str, until: float) -> None:
    """Also shorter ones: the two hours of RFC 4862 are not for DHCPv6 (V6-18)."""
    [step] = plan(scene_of({**delegated(), field: NOW + until}, addresses=[OWN]))
    assert (step.topic, step.reason) == ("", "Extended")


def test_what_is_over_is_over_whenever_it_was() -> None:
    old = attrs.evolve(OWN, preferred_until=NOW - 50)
    assert plan(scene_of(delegated(preferredUntilMonotonic=NOW - 900), addresses=[old])) == []


@pytest.mark.parametrize("status", [None, speaking(), delegated(validUntilMonotonic=NOW)])
def test_without_a_prefix_there_is_nothing(status: Status | None) -> None:
    assert plan(scene_of(status)) == []


@pytest.mark.parametrize("status", [None, silent(), {**delegated(), "device": "eth7"}])
def test_nothing_is_withdrawn_before_the_client_has_spoken(status: Status | None) -> None:
    scene = scene_of(status, addresses=[OWN, NEW])
    assert plan(scene) == []
    assert judge(scene)["reason"] == "Unresolved"
    before: Status = {"phase": "Applied", "ifname": "eth1", "prefix": "2001:db8:40:1::/64", "conditions": []}
    scene.objects[SUBNET_REF] = before
    judgement = DelegationController().judge(scene.view(), {})
    assert SUBNET_REF not in judgement.statuses, "what was said last stands: the LAN goes on hearing of its prefix"
    assert judgement.gone == []


def test_what_the_client_says_after_a_restart_decides() -> None:
    scene = scene_of(silent(), addresses=[OWN, NEW])
    assert live(scene, delegated()) == ["removed 2001:db8:77:1::1/64 from eth1"]
    assert scene.addresses == [OWN]


def test_an_address_that_nobody_declares_any_more_goes() -> None:
    scene = Scene(
        [WAN, LAN, PD], addresses=[OWN], objects={PD_REF: delegated(), SUBNET_REF: {"address": str(OWN.address)}}
    )
    [step] = plan(scene)
    assert step.change == RemoveAddress(OWN)
    assert (step.resource, step.topic) == (SUBNET_REF, f"{TOPIC}removed")
    assert DelegationController().judge(scene.view(), {}).gone == [SUBNET_REF]


def test_of_others_addresses_none_is_touched() -> None:
    foreign = attrs.evolve(address6(ETH1, "2001:db8:9::1/64"), ours=False)
    assert plan(scene_of(delegated(), addresses=[OWN, foreign])) == []


def test_addresses_that_come_of_advertisements_are_not_its_own() -> None:
    advertised = resource("IPv6RAAddress", "wan", interface="wan")
    slaac, leased = address6(ETH0, "2001:db8:1:0:200:ff:fe00:1/64"), address6(ETH0, "2001:db8:1::50/128")
    scene = scene_of(delegated(), advertised, addresses=[OWN, slaac, leased])
    assert said(plan(scene)) == ["removed 2001:db8:1::50/128 from eth0"]


# Changes


@pytest.mark.req("V6-22")
def test_a_prefix_that_changes_is_replaced_in_order() -> None:
    scene = scene_of(delegated(), addresses=[OWN])
    assert live(scene, delegated()) == []
    assert live(scene, delegated(OTHER, (PREFIX, 3000))) == [
        "put 2001:db8:77:1::1/64 on eth1",
        "deprecated 2001:db8:40:1::1/64 on eth1",
    ]
    old = next(a for a in scene.addresses if a.address == OWN.address)
    assert (old.preferred_until, old.valid_until) == (DEPRECATED, NOW + 3000)
    told = scene.objects[SUBNET_REF]
    assert (told["phase"], told["prefix"]) == ("Applied", "2001:db8:77:1::/64")
    assert told["previous"] == [{"prefix": "2001:db8:40:1::/64", "expiresAtMonotonic": NOW + 3000}]
    scene.now = NOW + 3000
    assert live(scene, delegated(OTHER, validUntilMonotonic=NOW + 9000, preferredUntilMonotonic=NOW + 5000)) == [
        "extended 2001:db8:77:1::1/64 on eth1",
        "removed 2001:db8:40:1::1/64 from eth1",
    ]
    assert "previous" not in scene.objects[SUBNET_REF]


@pytest.mark.req("V6-21")
def test_a_prefix_that_is_lost_is_deprecated_and_kept_in_sight() -> None:
    scene = scene_of(delegated(), addresses=[OWN])
    live(scene, delegated())
    assert live(scene, without_prefix((PREFIX, 3000))) == ["deprecated 2001:db8:40:1::1/64 on eth1"]
    told = scene.objects[SUBNET_REF]
    assert (told["phase"], told["reason"]) == ("Pending", "NoPrefix")
    assert "prefix" not in told
    assert [one["prefix"] for one in told["previous"]] == ["2001:db8:40:1::/64"]


def test_a_prefix_that_comes_back_is_preferred_again() -> None:
    scene = scene_of(delegated(), addresses=[OWN])
    live(scene, delegated())
    live(scene, without_prefix((PREFIX, 3000)))
    assert live(scene, delegated()) == ["extended 2001:db8:40:1::1/64 on eth1"]
    assert "previous" not in scene.objects[SUBNET_REF]


def test_after_another_subnet_was_declared_the_old_one_is_still_told_of() -> None:
    scene = scene_of(delegated(), addresses=[OWN])
    live(scene, delegated())
    scene.resources = [WAN, LAN, PD, subnet(subnetID=2)]
    assert live(scene, delegated()) == [
        "put 2001:db8:40:2::1/64 on eth1",
        "deprecated 2001:db8:40:1::1/64 on eth1",
    ]
    assert scene.objects[SUBNET_REF]["previous"] == [{"prefix": "2001:db8:40:1::/64", "expiresAtMonotonic": NOW + 3600}]


def test_no_goodbye_lasts_longer_than_two_hours() -> None:
    status = delegated()
    del status["validUntilMonotonic"], status["preferredUntilMonotonic"]
    scene = scene_of(status, addresses=[attrs.evolve(OWN, valid_until=None, preferred_until=None)])
    live(scene, status)
    live(scene, speaking())
    assert scene.objects[SUBNET_REF]["previous"][0]["expiresAtMonotonic"] == NOW + LONGEST_GOODBYE
    scene.now += 60
    live(scene, speaking())
    assert scene.objects[SUBNET_REF]["previous"][0]["expiresAtMonotonic"] == NOW + LONGEST_GOODBYE, "it counts down"


def test_a_goodbye_of_another_boots_clock_is_forgotten() -> None:
    previous = [{"prefix": "2001:db8:99:1::/64", "expiresAtMonotonic": NOW + LONGEST_GOODBYE + 1}]
    scene = scene_of(delegated(), objects={PD_REF: delegated(), SUBNET_REF: {"ifname": "eth1", "previous": previous}})
    assert "previous" not in judge(scene)


def test_a_subnet_that_moves_to_another_link_leaves_before_it_arrives() -> None:
    third, guest = link(3, "eth2"), resource("Interface", "guest", ifname="eth2")
    scene = scene_of(delegated(), addresses=[OWN], links=[ETH0, ETH1, third])
    scene.resources = [WAN, LAN, guest, PD, subnet(interface="guest")]
    assert said(plan(scene)) == ["removed 2001:db8:40:1::1/64 from eth1", "put 2001:db8:40:1::1/64 on eth2"]


def test_an_address_goes_after_the_routes_that_send_from_it() -> None:
    scene = Scene([WAN, LAN, PD], addresses=[OWN], objects={PD_REF: speaking()})
    scene.routes = [route6("2001:db8:20::/48", ETH1, source=OWN.address.ip)]
    assert plan(scene) == []
    scene.routes = []
    assert said(plan(scene)) == ["removed 2001:db8:40:1::1/64 from eth1"]


# What is said


def test_the_status() -> None:
    scene = scene_of(delegated(), generation=4)
    told = judge(scene)
    assert (told["phase"], told["reason"]) == ("Pending", "NotYet")
    scene.addresses = [OWN]
    told = judge(scene)
    assert told == {
        "phase": "Applied",
        "reason": "Applied",
        "interface": "lan",
        "ifname": "eth1",
        "address": "2001:db8:40:1::1/64",
        "prefix": "2001:db8:40:1::/64",
        "prefixSource": "DHCPv6PrefixDelegation/wan-pd",
        "preferredUntilMonotonic": NOW + 1800,
        "validUntilMonotonic": NOW + 3600,
        "dryRun": False,
        "observedGeneration": 4,
        "conditions": [{"type": "Applied", "status": "True", "reason": "Applied", "observedGeneration": 4}],
    }
    assert judge(scene, "No buffer space")["message"] == "No buffer space"


def test_moments_have_the_names_that_the_client_gives_them() -> None:
    times = {"preferredUntil": "2026-01-01T00:30:00Z", "validUntil": "2026-01-01T01:00:00Z"}
    scene = scene_of(delegated(**times), addresses=[OWN])
    live(scene, delegated(**times))
    told = scene.objects[SUBNET_REF]
    assert {name: told[name] for name in times} == times
    gone = {"prefix": PREFIX, "expiresAt": times["validUntil"], "expiresAtMonotonic": NOW + 3600}
    live(scene, {**speaking(), "previousPrefixes": [gone]})
    [former] = scene.objects[SUBNET_REF]["previous"]
    assert former == {**gone, "prefix": "2001:db8:40:1::/64"}
    live(scene, {**speaking(), "previousPrefixes": [{**gone, "expiresAt": "2027-01-01T01:00:00Z"}]})
    [former] = scene.objects[SUBNET_REF]["previous"]
    assert former["expiresAt"] == "2027-01-01T01:00:00Z", "the clock was set"


@pytest.mark.parametrize(
    ("scene", "reason", "words"),
    [
        (scene_of(delegated(), links=[ETH0]), "LinkAbsent", "does not exist"),
        (scene_of(delegated(), links=[ETH0, link(2, "eth1", admin_up=False)]), "LinkDown", "down"),
        (scene_of(speaking()), "NoPrefix", "has no prefix now"),
        (scene_of(delegated("2001:db8:40::/64")), "SubnetDoesNotFit", "has no subnet 1"),
        (scene_of(delegated(excludedPrefix="2001:db8:40:1::/64")), "SubnetExcluded", "not ours to use"),
        (
            scene_of(delegated(), addresses=[Address(1, IPv6Interface("2001:db8:40:1::9/64"), ours=False)]),
            "SubnetTaken",
            "2001:db8:40:1::9/64 is on eth0",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_why_there_is_no_address(scene: Scene, reason: str, words: str) -> None:
    assert plan(scene) == []
    told = judge(scene)
    assert (told["phase"], told["reason"], told["conditions"][0]["status"]) == ("Pending", reason, "False")
    assert words in told["message"]


# Of others


def contest(scene: Scene, stays: bool) -> None:
    """Another host has it: the kernel takes the address away, or leaves it there, marked."""
    twice = attrs.evolve(OWN, standing="duplicate")
    scene.addresses = [attrs.evolve(OWN, standing="tentative")]
    picture = scene.view().picture
    scene.addresses = [twice] if stays else []
    picture.note(AddressChanged(twice, present=stays))


@pytest.mark.parametrize("stays", [True, False], ids=["it stays, marked", "the kernel takes it away"])
def test_an_address_that_another_host_has_is_left_alone_for_a_while(stays: bool) -> None:
    """RFC 4862 §5.4.5. Each time it is found again it rests for longer."""
    scene, controller = scene_of(delegated()), DelegationController()

    def steps() -> list[Step | Blocked]:
        return list(controller.plan(scene.view()))

    for times, pause in ((1, FIRST), (2, 2 * FIRST), (3, 4 * FIRST)):
        contest(scene, stays)
        for left in (pause, 1.0):
            [waits] = steps()
            assert isinstance(waits, Blocked)
            assert waits.message == f"another host has 2001:db8:40:1::1: it is tried again after {pause:.0f} s"
            told = judge(scene, waits.message)
            assert (told["phase"], told["reason"]) == ("Error", "DuplicateAddress"), times
            scene.now += left - 1
        scene.now += 1
        scene.objects = {PD_REF: delegated(validUntilMonotonic=None, preferredUntilMonotonic=None)}
        if stays:
            assert [step.change for step in steps() if isinstance(step, Step)] == [RemoveAddress(OWN)]
            scene.addresses = []
            scene.picture.applied(RemoveAddress(OWN))
            scene.picture.note(AddressChanged(attrs.evolve(OWN, standing="duplicate"), present=False))
        again = [step.change for step in steps() if isinstance(step, Step)]
        assert again == [PutAddress(attrs.evolve(OWN, valid_until=None, preferred_until=None))]
    assert rest_after(1000) == LONGEST


def test_an_address_that_nobody_has_any_more_is_ours_again() -> None:
    scene = scene_of(delegated())
    contest(scene, stays=False)
    assert judge(scene)["phase"] == "Error"
    scene.addresses = [attrs.evolve(OWN, standing="tentative")]
    assert judge(scene)["phase"] == "Error", "that is not known yet"
    scene.addresses = [OWN]
    assert judge(scene)["phase"] == "Applied"
    assert plan(scene) == []


def test_another_address_does_not_wait_for_what_was_found_of_the_first() -> None:
    scene = scene_of(delegated())
    contest(scene, stays=False)
    scene.resources = [WAN, LAN, PD, subnet(addressSuffix="::2")]
    assert said(plan(scene)) == ["put 2001:db8:40:1::2/64 on eth1"]


@pytest.mark.parametrize("present", [True, False], ids=["it stays, marked", "the kernel takes it away"])
def test_that_another_host_has_it_is_told_once(present: bool) -> None:
    scene = scene_of(delegated(), addresses=[attrs.evolve(OWN, standing="tentative")])
    view = scene.view()
    notice = AddressChanged(attrs.evolve(OWN, standing="duplicate"), present)
    [news] = news_of(view, notice)
    assert (news.event.topic, news.event.severity) == ("routerd.interface.address.duplicate", "error")
    view.picture.note(notice)
    assert news_of(view, notice) == []


def test_a_strangers_duplicate_is_none_of_our_business() -> None:
    foreign = Address(2, IPv6Interface("2001:db8:9::1/64"), ours=False)
    view = scene_of(delegated(), addresses=[foreign]).view()
    assert news_of(view, AddressChanged(attrs.evolve(foreign, standing="duplicate"), True)) == []


@pytest.mark.req("V6-25", "breaks")
def test_of_two_delegations_that_overlap_each_part_is_on_one_link() -> None:
    """Providers do not ask each other."""
    third, guest = link(3, "eth2"), resource("Interface", "guest", ifname="eth2")
    other = resource("DHCPv6PrefixDelegation", "other-pd", interface="wan")
    second = subnet("guest", prefixDelegation="other-pd", interface="guest", subnetID=17)
    scene = scene_of(delegated(), guest, other, second, links=[ETH0, ETH1, third])
    scene.objects[OTHER_PD] = delegated("2001:db8:40::/58")
    scene.routes = [*AGGREGATES, aggregate_of(IPv6Network("2001:db8:40::/58"))]
    assert said(plan(scene)) == ["put 2001:db8:40:1::1/64 on eth1", "put 2001:db8:40:11::1/64 on eth2"]
    scene.resources = [WAN, LAN, PD, SUBNET, guest, other, {**second, "spec": {**second["spec"], "subnetID": 1}}]
    assert said(plan(scene)) == ["put 2001:db8:40:1::1/64 on eth1"]
    told = DelegationController().judge(scene.view(), {}).statuses[Ref("IPv6DelegatedAddress", "guest")]
    assert (told["phase"], told["reason"]) == ("Pending", "SubnetTaken")
    assert told["message"].endswith("IPv6DelegatedAddress/lan has 2001:db8:40:1::/64")
    scene.objects[PD_REF] = speaking()
    assert said(plan(scene)) == ["put 2001:db8:40:1::1/64 on eth2"], "then it is free"


@pytest.mark.req("V6-25", "breaks")
def test_what_the_provider_has_on_its_own_link_is_on_no_lan() -> None:
    """Also if it is made of an advertisement there; an address that stands alone is in nobody's way."""
    listening = resource("IPv6RAAddress", "wan", interface="wan")
    slaac = address6(ETH0, "2001:db8:40:1:200:ff:fe00:1/64")
    scene = scene_of(delegated(), listening, addresses=[slaac])
    assert plan(scene) == []
    assert judge(scene)["reason"] == "SubnetTaken"
    scene.addresses = [attrs.evolve(address6(ETH0, "2001:db8:40:1::50/128"), ours=False)]
    assert said(plan(scene)) == ["put 2001:db8:40:1::1/64 on eth1"]


@pytest.mark.req("V6-25")
def test_no_subnet_is_there_before_the_rest_of_the_prefix_is_unreachable() -> None:
    scene = scene_of(delegated(), routes=[])
    assert plan(scene) == []
    told = judge(scene)
    assert (told["reason"], told["message"]) == ("NotYet", f"{PREFIX} is not unreachable yet as a whole")
    scene.routes = AGGREGATES
    assert said(plan(scene)) == ["put 2001:db8:40:1::1/64 on eth1"]
    scene.addresses, scene.routes = [OWN], []
    assert plan(scene) == [], "one that is there is not taken away for it"


def test_why_it_says_so() -> None:
    scene = scene_of(delegated())
    view = attrs.evolve(scene.view(), versions={PD_REF: 7})
    [step] = DelegationController().plan(view)
    assert isinstance(step, Step)
    assert view.newest(step.because) == (7,)
    assert view.newest(DelegationController().judge(view, {}).because[SUBNET_REF]) == (7,)


# Of the interface itself


LEASED = address6(ETH0, "2001:db8:1::50/128")


def test_an_address_of_the_interface_itself() -> None:
    scene = Scene([WAN, LAN, NA], objects={NA_REF: granted()})
    [step] = plan(scene)
    assert step.change == PutAddress(LEASED)
    assert step.resource == NA_REF
    scene.addresses = [LEASED]
    assert plan(scene) == []
    scene.objects = {NA_REF: speaking()}
    assert said(plan(scene)) == ["removed 2001:db8:1::50/128 from eth0"]
    scene.objects = {NA_REF: silent()}
    assert plan(scene) == []


def test_another_address_comes_before_the_old_one_goes() -> None:
    scene = Scene([WAN, LAN, NA], objects={NA_REF: granted("2001:db8:1::51")}, addresses=[LEASED])
    assert said(plan(scene)) == ["put 2001:db8:1::51/128 on eth0", "removed 2001:db8:1::50/128 from eth0"]
