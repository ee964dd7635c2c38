"""Addresses: what is put, what is removed, in which order, and whose is left alone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.controllers.address import AddressController
from routerd.controllers.planner import Step
from routerd.events.types import Ref, Status
from routerd.host import PutAddress, RemoveAddress
from tests.controllers.scene import (
    CLIENT,
    CLIENT_REF,
    ETH0,
    ETH1,
    LAN,
    LAN_REF,
    NOW,
    WAN,
    Scene,
    acquiring,
    address,
    bound,
    crashed,
    lease,
    resource,
    route,
    said,
    starting,
)

STATIC = resource("IPv4StaticAddress", "lan", interface="lan", address="192.168.1.1/24")
STATIC_REF = Ref("IPv4StaticAddress", "lan")
HERE = address(ETH1, "192.168.1.1/24")
LEASE = lease("203.0.113.50/24")
HELD = address(ETH0, "203.0.113.50/24", valid_until=LEASE.expires_at)


def plan(scene: Scene, controller: AddressController | None = None) -> list[Step]:
    return list((controller or AddressController()).plan(scene.view()))


def client(status: Status, **changes: Any) -> Scene:
    return attrs.evolve(Scene([WAN, LAN, CLIENT], objects={CLIENT_REF: status}), **changes)


def other(text: str) -> dict[str, Any]:
    return resource("IPv4StaticAddress", "lan", interface="lan", address=text)


# Static ones


def test_what_is_declared_is_put_once() -> None:
    scene = Scene([LAN, STATIC])
    [step] = plan(scene)
    assert step.change == PutAddress(HERE)
    assert (step.resource, step.reason, step.topic) == (STATIC_REF, "Installed", "routerd.lan.ipv4_address.applied")
    scene.addresses = [HERE]
    assert plan(scene) == []


def test_without_its_link_nothing_is_put() -> None:
    scene = Scene([LAN, STATIC], links=[ETH0])
    assert plan(scene) == []
    told = AddressController().judge(scene.view(), {}).statuses[STATIC_REF]
    assert (told["phase"], told["reason"]) == ("Pending", "LinkAbsent")


def test_what_nobody_wants_any_more_goes_and_what_others_put_there_stays() -> None:
    scene = Scene([LAN], addresses=[HERE, address(ETH1, "192.168.1.9/24", ours=False)])
    [step] = plan(scene)
    assert step.change == RemoveAddress(HERE)
    assert step.resource == LAN_REF
    scene.objects[STATIC_REF] = {"phase": "Applied", "address": "192.168.1.1/24"}
    assert plan(scene)[0].resource == STATIC_REF, "who has declared it, until that is forgotten"


def test_on_a_link_that_nobody_declares_it_is_the_routers_own_affair() -> None:
    [step] = plan(Scene([WAN], addresses=[HERE]))
    assert step.resource == Ref("Router", "test", "routerd.net/v1alpha1")


def test_an_exclusive_address_bears_no_other_of_its_version_on_its_link() -> None:
    scene = Scene([WAN, LAN, resource("IPv4StaticAddress", "lan", **STATIC["spec"], exclusive=True)])
    foreign = address(ETH1, "192.168.1.9/24", ours=False)
    scene.addresses = [HERE, foreign, address(ETH0, "192.168.1.9/24", ours=False)]
    [step] = plan(scene)
    assert step.change == RemoveAddress(foreign)
    assert step.reason == "Exclusive"


def test_a_new_address_for_the_link_comes_when_the_old_one_has_gone() -> None:
    assert said(plan(Scene([LAN, other("192.168.1.2/24")], addresses=[HERE]))) == [
        "removed 192.168.1.1/24 from eth1",
        "put 192.168.1.2/24 on eth1",
    ]


@pytest.mark.req("V4-14")
def test_another_prefix_length_never_costs_the_address() -> None:
    """Connections live on the address: there is always one of the two."""
    assert said(plan(Scene([LAN, other("192.168.1.1/25")], addresses=[HERE]))) == [
        "put 192.168.1.1/25 on eth1",
        "removed 192.168.1.1/24 from eth1",
    ]


@pytest.mark.req("C15", "breaks")
def test_an_address_that_moves_to_another_link_leaves_before_it_arrives() -> None:
    moved = resource("IPv4StaticAddress", "lan", interface="wan", address="192.168.1.1/24")
    assert said(plan(Scene([WAN, LAN, moved], addresses=[HERE]))) == [
        "removed 192.168.1.1/24 from eth1",
        "put 192.168.1.1/24 on eth0",
    ]


def test_what_somebody_removed_is_put_back_and_said_so() -> None:
    controller, scene = AddressController(), Scene([LAN, STATIC])
    plan(scene, controller)
    assert plan(scene, controller)[0].reason == "Installed", "it was never there: the system may have refused it"
    scene.addresses = [HERE]
    plan(scene, controller)
    scene.addresses = []
    assert plan(scene, controller)[0].reason == "Restored"
    scene.resources = [LAN]
    plan(scene, controller)
    scene.resources = [LAN, STATIC]
    assert plan(scene, controller)[0].reason == "Installed", "in between nobody wanted it"


def test_what_others_had_put_there_before_becomes_ours() -> None:
    """Else it would stay when its lease is over, or when the declaration is gone."""
    scene = Scene([LAN, STATIC], addresses=[attrs.evolve(HERE, ours=False)])
    [step] = plan(scene)
    assert step.change == PutAddress(HERE)
    assert step.reason == "Adopted"


def test_the_status_of_a_declared_address() -> None:
    controller, scene = AddressController(), Scene([LAN, STATIC], generation=4)
    told = controller.judge(scene.view(), {}).statuses[STATIC_REF]
    assert (told["phase"], told["reason"], told["conditions"][0]["status"]) == ("Pending", "NotYet", "False")
    scene.addresses = [HERE]
    told = controller.judge(scene.view(), {}).statuses[STATIC_REF]
    assert (told["phase"], told["ifname"], told["address"]) == ("Applied", "eth1", "192.168.1.1/24")
    assert told["observedGeneration"] == told["conditions"][0]["observedGeneration"] == 4
    told = controller.judge(scene.view(), {STATIC_REF: "File exists"}).statuses[STATIC_REF]
    assert (told["phase"], told["reason"], told["message"]) == ("Error", "HostRefused", "File exists")
    scene.resources, scene.objects = [LAN], {STATIC_REF: told}
    assert controller.judge(scene.view(), {}).gone == [STATIC_REF]


# Leased ones


def test_a_lease_is_put_with_its_lifetime_for_its_client() -> None:
    [step] = plan(client(bound(LEASE)))
    assert step.change == PutAddress(HELD)
    assert step.change.address.valid_until == LEASE.expires_at
    assert step.resource == CLIENT_REF


def test_a_renewed_lifetime_is_set_in_silence() -> None:
    scene = client(bound(lease("203.0.113.50/24", expires_at=NOW + 7200)), addresses=[HELD])
    [step] = plan(scene)
    assert isinstance(step.change, PutAddress)
    assert step.change.address.valid_until == NOW + 7200
    assert step.topic == ""
    scene.addresses = [attrs.evolve(HELD, valid_until=NOW + 7198.5)]
    assert plan(scene) == [], "the kernel counts whole seconds"


@pytest.mark.parametrize(("before", "after"), [(None, NOW + 3600), (NOW + 3600, None)])
def test_a_lifetime_begins_or_ends_to_be(before: float | None, after: float | None) -> None:
    scene = client(
        bound(lease("203.0.113.50/24", expires_at=after)), addresses=[attrs.evolve(HELD, valid_until=before)]
    )
    assert len(plan(scene)) == 1


@pytest.mark.parametrize("status", [starting(), crashed(starting()), bound(LEASE, "eth7")])
def test_nothing_is_touched_on_the_link_of_a_client_that_has_not_spoken(status: Status) -> None:
    scene = client(status, addresses=[HELD, HERE])
    assert said(plan(scene)) == ["removed 192.168.1.1/24 from eth1"]


def test_a_crashed_client_keeps_its_address() -> None:
    assert plan(client(crashed(bound(LEASE)), addresses=[HELD])) == []


def test_a_crashed_client_does_not_keep_it_longer_than_the_lease() -> None:
    late = client(crashed(bound(LEASE)), addresses=[HELD], now=NOW + 3600)
    assert said(plan(late)) == ["removed 203.0.113.50/24 from eth0"]
    late.addresses = []
    assert plan(late) == [], "the kernel has removed it: we do not put it back for a second at a time"


def test_when_the_lease_is_lost_the_address_goes_and_its_client_is_named() -> None:
    [step] = plan(client(acquiring(), addresses=[HELD]))
    assert step.change == RemoveAddress(HELD)
    assert step.resource == CLIENT_REF


def test_a_client_that_was_removed_has_its_address_until_it_has_said_goodbye() -> None:
    leaving = Scene([WAN], addresses=[HELD], objects={CLIENT_REF: bound(LEASE)})
    assert plan(leaving) == []
    leaving.objects.clear()
    assert said(plan(leaving)) == ["removed 203.0.113.50/24 from eth0"]


def test_a_declared_address_outlives_a_lease_of_the_same() -> None:
    static = resource("IPv4StaticAddress", "mine", interface="wan", address="203.0.113.50/24")
    scene = Scene([WAN, LAN, CLIENT, static], objects={CLIENT_REF: bound(LEASE)})
    [step] = plan(scene)
    assert isinstance(step.change, PutAddress)
    assert step.change.address.valid_until is None
    assert step.resource == Ref("IPv4StaticAddress", "mine")


# What depends on an address


WAY = route("0.0.0.0/0", ETH0, "203.0.113.1", metric=100, source="203.0.113.50")


@pytest.mark.req("V4-13", "breaks")
def test_on_loss_routes_go_first() -> None:
    scene = client(acquiring(), addresses=[HELD], routes=[WAY])
    assert plan(scene) == []
    scene.routes = []
    assert len(plan(scene)) == 1


@pytest.mark.req("V4-13")
def test_the_next_address_comes_when_the_last_one_has_gone() -> None:
    scene = client(bound(lease("203.0.113.51/24")), addresses=[HELD], routes=[WAY])
    assert plan(scene) == [], "the route by the old address goes first, then the old address, then comes the new one"
    scene.routes = []
    assert said(plan(scene)) == ["removed 203.0.113.50/24 from eth0", "put 203.0.113.51/24 on eth0"]


def test_the_same_address_moves_to_another_link_when_its_routes_are_gone() -> None:
    moved = resource("IPv4StaticAddress", "lan", interface="lan", address="203.0.113.50/24")
    scene = Scene([WAN, LAN, CLIENT, moved], addresses=[HELD], objects={CLIENT_REF: acquiring()})
    scene.routes = [WAY]
    assert said(plan(scene)) == ["removed 203.0.113.50/24 from eth0", "put 203.0.113.50/24 on eth1"], (
        "the address stays on the host, and so does the route by it"
    )


@pytest.mark.req("V4-14", "breaks")
def test_another_mask_waits_for_no_route() -> None:
    scene = client(bound(lease("203.0.113.50/25")), addresses=[HELD], routes=[WAY])
    assert said(plan(scene)) == ["put 203.0.113.50/25 on eth0", "removed 203.0.113.50/24 from eth0"]


def test_an_address_that_others_have_there_too_holds_nothing_up() -> None:
    """With another prefix length: the routes by it stay."""
    twin = address(ETH0, "203.0.113.50/25", ours=False)
    assert len(plan(client(acquiring(), addresses=[HELD, twin], routes=[WAY]))) == 1


def test_routes_of_others_hold_nothing_up() -> None:
    scene = client(acquiring(), addresses=[HELD], routes=[attrs.evolve(WAY, ours=False)])
    assert len(plan(scene)) == 1


def test_an_extension_does_not_wait_for_who_leaves() -> None:
    scene = client(bound(lease("203.0.113.51/24", expires_at=NOW + 7200)), routes=[WAY])
    scene.addresses = [HELD, address(ETH0, "203.0.113.51/24", valid_until=NOW + 10)]
    assert said(plan(scene)) == ["extended 203.0.113.51/24 on eth0"]
