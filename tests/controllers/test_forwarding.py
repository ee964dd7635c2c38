"""When the kernel is let forward IPv6, and whom it goes on obeying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from routerd.controllers.forwarding import ForwardingController
from routerd.host import Change, HostSide6, SetForwarding6, SetHostSide6
from tests.controllers.scene import ETH0, ETH1, LAN, WAN, Scene, resource
from tests.controllers.scene6 import NA, PD, SUBNET

HOST = HostSide6(accept_ra=True, autoconf=True)
ADVERTISING = resource("IPv6RouterAdvertisement", "lan", interface="lan", prefix="fd00:1::/64")
KERNEL = resource("IPv6RAAddress", "wan", interface="wan", mode="kernel")
OURS = resource("IPv6RAAddress", "wan", interface="wan")
ON = SetForwarding6(True)
OBEY = SetHostSide6(ETH0.index, accept_ra=True)


def scene_of(*resources: dict[str, Any], wan: HostSide6 | None = HOST, lan: HostSide6 | None = HOST) -> Scene:
    links = [attrs.evolve(ETH0, ipv6=wan), attrs.evolve(ETH1, ipv6=lan)]
    return Scene([WAN, LAN, *resources], links=links)


def settle(scene: Scene) -> Sequence[Change]:
    """What it does, until it has nothing to do."""
    view, done = scene.view(), []
    while steps := ForwardingController().plan(view):
        for step in steps:
            view.picture.applied(step.change)
            done.append(step.change)
        assert len(done) < 9
    return done


@pytest.mark.parametrize("resources", [(PD, SUBNET), (ADVERTISING,)], ids=["delegated", "of one's own"])
def test_a_router_of_a_lan_forwards(resources: tuple[dict[str, Any], ...]) -> None:
    assert settle(scene_of(*resources))[-1:] == [ON]
    router = attrs.evolve(HOST, forwarding=True)
    assert settle(scene_of(*resources, wan=router, lan=router)) == []


@pytest.mark.parametrize("resources", [(), (PD,), (PD, NA, OURS), (KERNEL,)])
def test_without_a_lan_nothing_is_changed(resources: tuple[dict[str, Any], ...]) -> None:
    assert settle(scene_of(*resources)) == []


def test_without_ipv6_there_is_nothing_to_change() -> None:
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=None, lan=None)) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ((PD, SUBNET), [OBEY, ON]),
        ((PD, NA, SUBNET), [OBEY, ON]),
        ((PD, SUBNET, KERNEL), [OBEY, ON]),
        ((PD, SUBNET, OURS), [ON]),
        ((ADVERTISING,), [ON]),
    ],
    ids=["client", "clients", "left to the kernel", "routerd's own", "nobody upstream"],
)
def test_the_providers_routers_are_obeyed_as_before(resources: tuple[dict[str, Any], ...], expected: object) -> None:
    assert settle(scene_of(*resources)) == expected


def test_a_kernel_that_obeyed_nobody_is_not_told_to_but_by_declaration() -> None:
    deaf = attrs.evolve(HOST, accept_ra=False)
    assert settle(scene_of(PD, SUBNET, wan=deaf)) == [ON]
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=deaf)) == [OBEY, ON]
    router = attrs.evolve(deaf, forwarding=True)
    assert settle(scene_of(PD, SUBNET, KERNEL, wan=router, lan=router)) == [OBEY]
