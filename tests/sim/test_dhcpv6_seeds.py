"""Whole lives of DHCPv6 clients, drawn from a seed: loss, flaps, crashes, power cuts, servers that come, go, lie and
change. What a host has installed is checked all the time (`network6`); when the world has become fair, everybody has
everything. A seed that fails is the bug report: `life(seed)` repeats it."""

from __future__ import annotations

import random
from ipaddress import IPv6Network
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv6 import inputs
from routerd.sim.dhcpv6_hostile import MODES
from tests.sim.network6 import NA, OTHER_DUID, PD, PD2, SERVICE, Network6, Node

PATIENCE = 3 * 3600
"""Seconds for everybody to get everything from a fair world: the longest of Solicit's waits, and then some."""
POOLS = (IPv6Network("2001:db8:100::/40"), IPv6Network("2001:db8:8000::/40"), None)
LYING = sorted(name for name in MODES if "4294967" not in name and "2147483" not in name)
"""What does not last for ever: a lease without end is kept, whoever gave it."""


class Life:
    """A network and what fate does to it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.network = Network6(seed, loss=rng.choice((0.0, 0.3)), jitter=rng.random())
        valid = rng.choice((300, 1200, 7200))
        settings = attrs.evolve(
            SERVICE,
            preferred=valid // 2,
            valid=valid,
            rapid_commit=rng.random() < 0.3,
            creates=rng.random() < 0.7,
            restless=rng.random() < 0.1,
        )
        self.hostile = self.network.serve_hostile(settings)
        self.servers = [self.hostile.server]
        if rng.random() < 0.5:
            second = attrs.evolve(settings, duid=OTHER_DUID)
            leases = self.hostile.server.leases if rng.random() < 0.5 else None
            self.servers.append(self.network.serve(second, leases=leases))
        wanted = rng.choice(((NA,), (PD,), (NA, PD), (NA, PD, PD2)))
        self.node = self.network.client(*wanted, rapid_commit=rng.random() < 0.3, reconfigure=rng.random() < 0.3)

    def live(self, blows: int) -> None:
        """Let fate strike so often."""
        for _ in range(blows):
            self.network.run(self.rng.choice((0.1, 1, 10, 100, 1000)) * self.rng.random())
            self._strike(self.node)

    def _strike(self, node: Node) -> None:
        rng = self.rng
        match rng.randrange(12):
            case 0:
                node.feed(inputs.LinkDown())
            case 1 | 2:
                node.feed(node.link)
            case 3:
                node.restart()
            case 4:
                node.boot_id = str(rng.random())
                node.wall_offset = rng.choice((0.0, 0.0, -1e9))
                node.restart()
            case 5:
                self._all(silent=rng.random() < 0.5)
            case 6:
                self._all(prefixes=rng.choice(POOLS))
            case 7:
                rng.choice(self.servers).leases.forget()
            case 8:
                node.feed(rng.choice((inputs.Renew, inputs.Rebind, inputs.RequestInformation, inputs.Flush))())
            case 9 if node.held.get(NA):
                node.feed(inputs.Conflict(node.held[NA][0]))
            case 10:
                node.feed(inputs.NetworkChanged())
            case 11:
                self.hostile.mode = MODES[rng.choice(LYING)] if rng.random() < 0.5 else None

    def _all(self, **changes: Any) -> None:
        for server in self.servers:
            server.settings = attrs.evolve(server.settings, **changes)

    def become_fair(self) -> None:
        """Nothing is lost, nobody lies, everybody speaks."""
        self.network.loss = 0.0
        self.hostile.mode = None
        self._all(silent=False, prefixes=POOLS[0])
        self.node.feed(self.node.link)
        self.network.run(PATIENCE)


def life(seed: int, blows: int = 60) -> Life:
    """What happens in the world of a seed."""
    world = Life(seed)
    world.live(blows)
    world.become_fair()
    return world


@pytest.mark.req("C7")
@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("seed", range(40))
def test_a_life(seed: int) -> None:
    world = life(seed)
    node = world.node
    assert set(node.held) == set(node.settings.associations), f"{node.state}: {node.held}"
    installed = {which: sorted(map(str, assets)) for which, assets in node.installed.items() if which in node.held}
    for which, assets in node.held.items():
        assert set(map(str, assets)) <= set(installed[which])


@pytest.mark.req("C1")
def test_the_same_seed_is_the_same_life() -> None:
    assert life(5).network.transcript() == life(5).network.transcript() != life(6).network.transcript()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_more_lives(seed: int) -> None:
    test_a_life(seed)
