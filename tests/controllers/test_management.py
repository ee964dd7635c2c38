"""ManagementAccess: what it says of itself as links and addresses come and go."""

from __future__ import annotations

from ipaddress import IPv6Interface
from typing import Any

import attrs
import pytest

from routerd.controllers.management import ManagementController
from routerd.events.types import Ref
from routerd.host import Address, Link
from tests.controllers.scene import ETH0, ETH1, LAN, WAN, Scene, address, link, resource

ACCESS = Ref("ManagementAccess", "ssh")
OUTSIDE, INSIDE = address(ETH0, "203.0.113.50/24"), address(ETH1, "192.168.1.1/24", ours=False)
LOCAL = Address(ETH1.index, IPv6Interface("fe80::1/64"))


def status(links: list[Link], addresses: list[Address], *interfaces: str) -> dict[str, Any]:
    access = resource("ManagementAccess", "ssh", interfaces=list(interfaces or ("lan",)))
    scene = Scene((WAN, LAN, access), links=links, addresses=addresses)
    assert ManagementController().plan(scene.view()) == []
    return dict(ManagementController().judge(scene.view(), {}).statuses[ACCESS])


def test_it_is_up_when_operators_can_come_in() -> None:
    found = status([ETH0, ETH1], [INSIDE])
    assert (found["phase"], found["reason"], found["interfaces"]) == ("Up", "Reachable", ["lan"])
    [reachable] = found["conditions"]
    assert (reachable["type"], reachable["status"], reachable["observedGeneration"]) == ("Reachable", "True", 1)
    assert "message" not in found


@pytest.mark.parametrize(
    ("links", "addresses", "why"),
    [
        ([ETH0], [OUTSIDE], "there is no interface eth1 on this host now"),
        ([ETH0, link(2, "eth1", admin_up=False, carrier=False)], [INSIDE], "eth1 is down"),
        ([ETH0, link(2, "eth1", carrier=False)], [INSIDE], "eth1 has no carrier"),
        ([ETH0, ETH1], [OUTSIDE], "eth1 has no address"),
        ([ETH0, ETH1], [LOCAL], "eth1 has no address"),
    ],
)
def test_it_is_down_and_says_why(links: list[Link], addresses: list[Address], why: str) -> None:
    found = status(links, addresses)
    assert (found["phase"], found["reason"], found["message"]) == ("Down", "InterfaceShut", why)
    assert found["conditions"][0]["status"] == "False"


def test_one_way_of_two_is_left() -> None:
    found = status([ETH0, ETH1], [OUTSIDE], "lan", "wan")
    assert (found["phase"], found["message"]) == ("Degraded", "eth1 has no address")
    assert found["conditions"][0]["status"] == "True", "operators can come in"


def test_one_that_is_not_declared_any_more_is_forgotten() -> None:
    scene = Scene((WAN, LAN), objects={ACCESS: {"phase": "Up"}})
    assert ManagementController().judge(scene.view(), {}).gone == [ACCESS]


def test_another_generation_is_seen_in_its_conditions() -> None:
    access = resource("ManagementAccess", "ssh", interfaces=["lan"])
    scene = Scene((LAN, access), addresses=[INSIDE])
    after = ManagementController().judge(attrs.evolve(scene, generation=7).view(), {}).statuses[ACCESS]
    assert after["observedGeneration"] == after["conditions"][0]["observedGeneration"] == 7


def test_a_group_that_is_not_there_is_told_once() -> None:
    asked: list[str] = []

    def has_group(name: str) -> bool:
        asked.append(name)
        return name == "wheel"

    controller = ManagementController(has_group)
    accesses = [
        resource("ManagementAccess", name, interfaces=["lan"], adminGroup=group)
        for name, group in (("ssh", "nosuch"), ("console", "wheel"))
    ]
    scene = Scene((WAN, LAN, *accesses), links=[ETH0, ETH1], addresses=[INSIDE])
    view = scene.view()
    first = controller.judge(view, {})
    found = first.statuses[ACCESS]
    assert (found["phase"], found["reason"]) == ("Degraded", "AdminGroupAbsent")
    assert "there is no group nosuch on this host" in found["message"]
    assert [(one["type"], one["status"]) for one in found["conditions"]] == [
        ("Reachable", "True"),
        ("AdminGroup", "False"),
    ]
    assert first.statuses[Ref("ManagementAccess", "console")]["phase"] == "Up"
    [event] = first.told
    assert (event.severity, event.resource, event.message) == ("warning", ACCESS, found["message"])
    again = attrs.evolve(view, objects=first.statuses)
    assert controller.judge(again, {}).told == [] and sorted(asked) == ["nosuch", "wheel"]


def test_a_group_that_comes_later_is_noticed() -> None:
    groups: set[str] = set()
    controller = ManagementController(groups.__contains__)
    ssh = resource("ManagementAccess", "ssh", interfaces=["lan"], adminGroup="wheel")
    view = Scene((WAN, LAN, ssh), links=[ETH0, ETH1], addresses=[INSIDE]).view()
    assert controller.judge(view, {}).statuses[ACCESS]["reason"] == "AdminGroupAbsent"
    groups.add("wheel")
    later = attrs.evolve(view, now=view.now + 10)
    assert controller.judge(later, {}).statuses[ACCESS]["reason"] == "Reachable"
