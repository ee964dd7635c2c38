"""Whole lives of clients, drawn from a seed: faults, flaps, crashes, sleep, servers that come, go and change.

Invariants hold all the time (`tests.sim.conduct`); when the world has become fair, everybody gets a lease. A seed
that fails is the bug report: `life(seed)` repeats it.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address as A
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv4 import inputs
from routerd.protocols.machine import Start
from routerd.sim.dhcpv4_hostile import MODES
from routerd.sim.dhcpv4_server import Server, addresses
from routerd.sim.ethernet import PERFECT, Faults
from tests.sim.network import SERVICE, Network, Node, replaced

PATIENCE = 900
"""Seconds for everybody to get a lease from a fair world: the longest wait after NAKs, and then some."""
SECOND_MAC = bytes.fromhex("02005e000202")
POOLS = ((A("192.0.2.50"), A("192.0.2.99")), (A("192.0.2.150"), A("192.0.2.199")))


class Life:
    """A network and what fate does to it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.network = Network(seed, self._faults())
        self.hostile = self.network.serve_hostile() if rng.random() < 0.3 else None
        self.server = self.network.serve() if self.hostile is None else self.hostile.server
        self.second = self._second_server()
        self._both(lease_time=rng.choice((30, 60, 120, 600)), rapid_commit=rng.random() < 0.3)
        if rng.random() < 0.8:
            self.network.gateway()
        self.thief = self.network.gateway()
        self.thief.addresses.clear()
        for _ in range(rng.randint(1, 3)):
            self.network.client(
                conflict_detection=rng.choice(("probe", "probe", "parallel", "skip")),
                rapid_commit=rng.random() < 0.3,
                offer_window=rng.choice((0.0, 0.0, 2.0)),
                defend=rng.choice(("defend", "release")),
            )

    def _faults(self) -> Faults:
        rng = self.rng
        some = [rng.choice((0.0, rng.random() * 0.3)) for _ in range(5)]
        return Faults(
            jitter=rng.random(),
            loss=some[0],
            duplication=some[1],
            reordering=some[2],
            truncation=some[3],
            corruption=some[4],
        )

    def _second_server(self) -> Server:
        """The other half of a pair, a stranger on the same wire, or nobody but the first."""
        settings = attrs.evolve(SERVICE, server_id=A("192.0.2.2"))
        match self.rng.randrange(4):
            case 0:
                return self.network.serve(settings, SECOND_MAC, leases=self.server.leases)
            case 1:
                first, last = A("192.0.2.200"), A("192.0.2.220")
                stranger = attrs.evolve(settings, first=first, last=last, authoritative=False)
                return self.network.serve(stranger, SECOND_MAC)
            case _:
                return self.server

    def _both(self, **changes: Any) -> None:
        replaced(self.server, **changes)
        replaced(self.second, **changes)

    def live(self, blows: int) -> None:
        """So many blows of fate, about one in forty seconds."""
        for _ in range(blows):
            self.network.run(self.rng.expovariate(1 / 40))
            self.rng.choice(self.BLOWS)(self)

    def recover(self) -> None:
        """A fair world again, and everybody running in it."""
        self.network.segment.faults = PERFECT
        self.thief.addresses.clear()
        self._turn_honest()
        self._both(silent=False)
        self.network.run(2000)  # everybody is awake then
        for node in self.network.nodes:
            node.crash_after = None
            if node.machine is None:
                node.start()
            node.tell(Start())
            node.plug()
        self.network.run_until_bound(PATIENCE)

    def _node(self) -> Node:
        """Somebody who is awake."""
        while not (awake := [node for node in self.network.nodes if not node.asleep]):
            self.network.run(10)
        return self.rng.choice(awake)

    def _unplug(self) -> None:
        self._node().unplug()

    def _plug(self) -> None:
        self._node().plug()

    def _flap(self) -> None:
        node = self._node()
        for _ in range(self.rng.randint(1, 10)):
            node.unplug()
            self.network.run(self.rng.random() * 4)
            node.plug()
            self.network.run(self.rng.random() * 4)

    def _sleep(self) -> None:
        self._node().sleep(self.rng.choice((5, 60, 400, 2000)) * self.rng.random())

    def _replug(self) -> None:
        node = self._node()
        node.replug(self.rng.choice((None, b"\x02" + self.rng.randbytes(5))))

    def _silence(self) -> None:
        server = self.rng.choice((self.server, self.second))
        replaced(server, silent=not server.settings.silent)

    def _turn_hostile(self) -> None:
        if self.hostile is not None:
            self.hostile.mode = MODES[self.rng.choice(sorted(MODES))]

    def _turn_honest(self) -> None:
        if self.hostile is not None:
            self.hostile.mode = None

    def _move_pool(self) -> None:
        first, last = self.rng.choice(POOLS)
        if self.second.leases is self.server.leases:
            self._both(first=first, last=last)

    def _change_dns(self) -> None:
        self._both(options={**SERVICE.options, 6: addresses(f"192.0.2.{self.rng.randrange(1, 9)}")})

    def _forget_everything(self) -> None:
        self.server.leases.forget()

    def _restart(self) -> None:
        node = self._node()
        node.kill()
        self.network.run(self.rng.random() * 5)
        node.start()

    def _reboot(self) -> None:
        node = self._node()
        node.reboot()
        node.disk = node.disk[: self.rng.choice((len(node.disk), self.rng.randrange(len(node.disk) + 1)))]
        self.network.run(self.rng.random() * 100)
        node.start()

    def _crash(self) -> None:
        self._node().crash_after = self.rng.randrange(20)

    def _stop(self) -> None:
        node = self._node()
        if node.machine is not None:
            node.stop(release=self.rng.random() < 0.5)
            node.start()

    def _command(self) -> None:
        self._node().tell(self.rng.choice((inputs.Renew(), inputs.Rebind(), inputs.Release(), Start())))

    def _steal(self) -> None:
        address = self._node().address
        if address is not None:
            self.thief.claim(address, self.network.now)

    def _leave_alone(self) -> None:
        self.thief.addresses.clear()

    BLOWS = (
        _unplug, _plug, _plug, _flap, _sleep, _replug, _silence, _silence, _move_pool, _change_dns,
        _forget_everything, _turn_hostile, _turn_honest,
        _restart, _reboot, _crash, _stop, _command, _steal, _leave_alone, _leave_alone,
    )  # fmt: skip


def live(seed: int, blows: int) -> Life:
    life = Life(seed)
    life.live(blows)
    life.recover()
    assert life.network.violations() == []
    return life


@pytest.mark.req("C7")
@pytest.mark.req("C7", "breaks")
@pytest.mark.req("C9")
@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize("seed", range(200))
def test_a_life(seed: int) -> None:
    live(seed, blows=20)


@pytest.mark.req("C1")
@pytest.mark.parametrize("seed", range(5))
def test_the_same_life_again(seed: int) -> None:
    assert live(seed, blows=10).network.transcript() == live(seed, blows=10).network.transcript()


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(2, 102))
def test_ten_thousand_lives(hundred: int) -> None:
    for seed in range(hundred * 100, hundred * 100 + 100):
        try:
            live(seed, blows=40)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
