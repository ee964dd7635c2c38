"""The demo's provider does to a client what it says, and the client lives through it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
import trio.testing

from routerd.protocols.dhcpv4 import outputs
from routerd.sim.isp import GATEWAY, LEASE_TIME, POOLS, Isp, run_isp
from routerd.sim.world import World
from tests.sim.network import Network, Node

ROUND = 5 * 60
"""Seconds until the provider begins from the beginning."""


class Demo:
    """A client at the provider, and everything that was said on both sides."""

    def __init__(self, seed: int = 1) -> None:
        self.network = Network(seed)
        self.told: list[tuple[float, str]] = []
        self.isp = Isp(self.network.timeline, self.network.segment, self._narrate)
        self.node: Node = self.network.client()
        self.isp.open(0.0)

    def _narrate(self, sentence: str) -> None:
        self.told.append((self.network.timeline.now, sentence))

    def between(self, begin: float, end: float) -> list[str]:
        """What became true for the client between two times."""
        kinds = outputs.Bound | outputs.Extended | outputs.Changed | outputs.Lost | outputs.Conflict
        return [
            f"{type(output).__name__} {getattr(output, 'by', getattr(output, 'reason', ''))}".strip()
            for at, output in self.node.said
            if begin <= at < end and isinstance(output, kinds)
        ]


@pytest.fixture
def demo() -> Demo:
    return Demo()


@pytest.mark.parametrize("seed", range(10))
def test_every_minute_brings_what_was_announced(seed: int) -> None:
    demo = Demo(seed)
    demo.network.run(2 * ROUND)
    assert set(demo.between(0, 60)) == {"Bound", "Extended renew"}
    assert demo.between(60, 120)[0] == "Changed renew"
    assert demo.between(120, 180)[:2] == ["Lost nak", "Bound"]
    assert "Extended rebind" in demo.between(180, 240 + LEASE_TIME / 2)
    assert "Conflict" in demo.between(240, 300)
    assert "Changed renew" in demo.between(300, 360)
    assert {output.reason for output in demo.node.all(outputs.Lost)} == {"nak"}
    assert demo.isp.server.violations == []


def test_the_lease_says_everything_a_provider_can_say(demo: Demo) -> None:
    demo.network.run(30)
    lease = demo.node.lease
    assert lease is not None
    assert lease.duration == pytest.approx(LEASE_TIME)
    assert POOLS[0][0] <= lease.address.ip <= POOLS[0][1]
    assert lease.gateway == GATEWAY
    assert lease.domain == "isp.example"
    assert lease.mtu == 1492
    assert len(lease.dns_servers) == 2
    assert lease.ntp_servers
    assert lease.search
    assert len(lease.routes) == 2
    assert lease.notes == ()


def test_it_has_something_to_tell_at_least_once_a_minute(demo: Demo) -> None:
    demo.network.run(3 * ROUND)
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(demo.told)) <= 60
    assert all(sentence.isprintable() for _, sentence in demo.told)


def test_without_a_customer_it_tells_nothing_that_did_not_happen() -> None:
    network = Network(1)
    told: list[str] = []
    Isp(network.timeline, network.segment, told.append).open(0.0)
    network.run(ROUND)
    assert not any("down" in sentence or "neighbour" in sentence for sentence in told)


async def test_in_a_world(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(1)
    told: list[str] = []
    nursery.start_soon(world.run)
    nursery.start_soon(run_isp, world, "isp", told.append)
    await trio.sleep(130)
    assert len(told) == 3
    assert world.segment("isp").resolve(GATEWAY) is not None
