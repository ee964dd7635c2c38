"""Interfaces: what is set on them, what is said of them, and what is told when they change."""

from __future__ import annotations

from ipaddress import IPv6Interface
from typing import Any

import attrs
import pytest

from routerd.controllers.interface import InterfaceController, news_of
from routerd.events.types import Status
from routerd.host import Address, AddressChanged, Link, LinkChanged, Resynced, RouteChanged, SetLink, Snapshot
from tests.controllers.scene import ETH0, ETH1, WAN, WAN_REF, Scene, address, link, resource, route, said

DOWN = attrs.evolve(ETH0, admin_up=False, carrier=False)
UNPLUGGED = attrs.evolve(ETH0, carrier=False)


def changes(scene: Scene) -> list[object]:
    steps = InterfaceController().plan(scene.view())
    assert all(step.resource == WAN_REF for step in steps)
    return [step.change for step in steps]


def declared(**spec: Any) -> dict[str, Any]:
    return resource("Interface", "wan", ifname="eth0", **spec)


def status(scene: Scene, refused: str | None = None) -> Status:
    refusals = {} if refused is None else {WAN_REF: refused}
    return InterfaceController().judge(scene.view(), refusals).statuses[WAN_REF]


@pytest.mark.parametrize(
    ("spec", "there", "expected"),
    [
        ({}, DOWN, [SetLink(1, admin_up=True)]),
        ({}, ETH0, []),
        ({}, UNPLUGGED, []),
        ({"adminUp": False}, ETH0, [SetLink(1, admin_up=False)]),
        ({"adminUp": False}, DOWN, []),
        ({"mtu": 1492}, ETH0, [SetLink(1, mtu=1492)]),
        ({"mtu": 1500}, ETH0, []),
        ({"managed": False, "mtu": 1492}, DOWN, []),
        ({"owner": "external", "mtu": 1492}, DOWN, []),
        ({"owner": "external", "adminUp": False}, ETH0, []),
    ],
)
def test_only_what_differs_is_set_and_only_on_what_is_ours(
    spec: dict[str, Any], there: Link, expected: list[SetLink]
) -> None:
    assert changes(Scene([declared(**spec)], links=[there])) == expected


def test_an_impossible_mtu_is_a_step_of_its_own() -> None:
    wanted = changes(Scene([declared(mtu=9216)], links=[DOWN]))
    assert wanted == [SetLink(1, admin_up=True), SetLink(1, mtu=9216)], "or the link would stay down for it"


def test_an_interface_that_is_not_there_waits() -> None:
    absent = Scene([declared(mtu=1492)], links=[ETH1])
    assert changes(absent) == []
    told = status(absent)
    assert (told["phase"], told["reason"], told["ifname"]) == ("Pending", "LinkAbsent", "eth0")
    assert told["conditions"][0]["status"] == "False"


@pytest.mark.parametrize(
    ("spec", "there", "phase", "reason"),
    [
        ({}, ETH0, "Up", "CarrierUp"),
        ({}, UNPLUGGED, "Down", "NoCarrier"),
        ({}, DOWN, "Down", "AdminDown"),
        ({"owner": "external"}, DOWN, "Down", "AdminDown"),
        ({"adminUp": False}, DOWN, "Applied", "DeclaredDown"),
    ],
)
def test_phases(spec: dict[str, Any], there: Link, phase: str, reason: str) -> None:
    told = status(Scene([declared(**spec)], links=[there], generation=7))
    assert (told["phase"], told["reason"]) == (phase, reason)
    assert told["observedGeneration"] == told["conditions"][0]["observedGeneration"] == 7


def test_a_refusal_is_an_error_and_says_why() -> None:
    told = status(Scene([declared(mtu=9216)], links=[DOWN]), "mtu greater than device maximum")
    assert (told["phase"], told["reason"]) == ("Error", "HostRefused")
    assert told["message"] == "mtu greater than device maximum"


def test_what_it_provides_to_others() -> None:
    six = Address(1, IPv6Interface("2001:db8::1/64"))
    own = [six, address(ETH0, "203.0.113.50/24"), address(ETH0, "203.0.113.7/24"), address(ETH1, "192.0.2.1/24")]
    told = status(Scene([WAN], addresses=own))
    assert told["ipv4Addresses"] == ["203.0.113.7/24", "203.0.113.50/24"], "by number, on this link alone"
    assert told["ipv6Addresses"] == ["2001:db8::1/64"]
    assert (told["primaryIPv4"], told["primaryIPv6"]) == ("203.0.113.7", "2001:db8::1")
    assert told["macAddress"] == "02:00:00:00:00:01"


def test_without_addresses_there_is_no_primary() -> None:
    told = status(Scene([WAN]))
    assert told["addresses"] == []
    assert "primaryIPv4" not in told


def test_statuses_of_interfaces_that_are_declared_no_more_go() -> None:
    scene = Scene([resource("Interface", "other", ifname="eth1")], objects={WAN_REF: {"phase": "Up"}})
    assert InterfaceController().judge(scene.view(), {}).gone == [WAN_REF]


# Events


def told(scene: Scene, *notices: Any) -> list[tuple[str, str]]:
    view = scene.view()
    said = []
    for notice in notices:
        said += [
            (e.topic.removeprefix("routerd.interface."), e.message)
            for e in (news.event for news in news_of(view, notice))
        ]
        scene.picture.note(notice)
    return said


RENAMED = attrs.evolve(ETH0, name="wan0")


@pytest.mark.req("C14")
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ETH0, [("link.appeared", "eth0 is there, 02:00:00:00:00:01")]),
        (ETH0, None, [("link.gone", "eth0 is gone")]),
        (ETH0, RENAMED, [("link.gone", "eth0 is gone, it is wan0 now")]),
        (RENAMED, ETH0, [("link.appeared", "eth0 is there, 02:00:00:00:00:01")]),
        (ETH0, UNPLUGGED, [("link.down", "eth0: carrier lost")]),
        (UNPLUGGED, ETH0, [("link.up", "eth0: carrier up")]),
        (ETH0, attrs.evolve(ETH0, mac=bytes(6)), [("link.changed", "eth0 has another MAC: 00:00:00:00:00:00")]),
        (ETH0, attrs.evolve(ETH0, mtu=1400), []),
        (None, ETH1, []),
        (ETH1, attrs.evolve(ETH1, carrier=False), []),
    ],
)
def test_changes_of_declared_links_are_told(
    before: Link | None, after: Link | None, expected: list[tuple[str, str]]
) -> None:
    assert told(Scene([WAN], links=[before] if before else []), LinkChanged(before, after)) == expected


def test_a_swap_of_names_is_two_ends_and_two_beginnings() -> None:
    both = Scene([WAN, resource("Interface", "lan", ifname="eth1")])
    swapped = told(both, LinkChanged(ETH0, link(1, "eth1")), LinkChanged(ETH1, link(2, "eth0")))
    assert [topic for topic, _ in swapped] == ["link.gone", "link.appeared"] * 2


def test_what_somebody_takes_away_is_told_and_what_nobody_had_is_not() -> None:
    mine, theirs = address(ETH0, "203.0.113.50/24"), address(ETH0, "203.0.113.60/24", ours=False)
    way = route("10.0.0.0/8", ETH0, "203.0.113.1")
    scene = Scene([WAN], addresses=[mine, theirs], routes=[way])
    assert told(
        scene,
        AddressChanged(theirs, False),
        AddressChanged(mine, False),
        AddressChanged(mine, False),
        RouteChanged(way, False),
    ) == [
        ("address.taken", "203.0.113.50/24 was removed from eth0 by someone else"),
        ("route.taken", "the route to 10.0.0.0/8 by eth0 is gone, and not by us"),
    ]


def test_a_summary_tells_nothing_by_itself() -> None:
    assert told(Scene([WAN]), Resynced(Snapshot((ETH1,)))) == []


def test_a_plan_says_what_it_is_about() -> None:
    plan = InterfaceController().plan(Scene([declared(mtu=1400)], links=[DOWN]).view())
    assert said(plan) == ["set eth0 administratively up", "set eth0 mtu 1400"]
