"""The process is killed after every single output, and started again with what is on disk: it always converges,
and an address that is good is never given up (D12)."""

from __future__ import annotations

import pytest

from routerd.protocols.dhcpv4 import inputs, outputs, record
from routerd.protocols.malformed import Malformed
from routerd.sim.ethernet import Faults
from tests.sim.network import SERVICE, Network, Node, replaced

STEPS = 75
"""More outputs than the life below has."""


def life(network: Network) -> Node:
    """A client that acquires, renews, hears of a change, flaps, and is refused."""
    server = network.servers[0]
    node = network.client(start=False)
    network.timeline.at(700, lambda now: replaced(server, options={6: SERVICE.options[6]}))
    network.timeline.at(1000, node.unplug)
    network.timeline.at(1010, node.plug)
    network.timeline.at(1500, lambda now: replaced(server, first=SERVICE.last - 5))
    return node


def network_with_a_server() -> Network:
    network = Network(1)
    network.serve()
    network.gateway()
    return network


@pytest.fixture
def outputs_of_a_life() -> int:
    network = network_with_a_server()
    node = life(network)
    node.start()
    network.run(2400)
    return len(node.said)


def test_the_life_is_as_long_as_it_says(outputs_of_a_life: int) -> None:
    assert STEPS - 15 < outputs_of_a_life < STEPS


@pytest.mark.req("C5")
@pytest.mark.req("V4-33", "breaks")
@pytest.mark.parametrize("step", range(STEPS))
def test_killed_after_every_output(step: int) -> None:
    network = network_with_a_server()
    node = life(network)
    node.crash_after = step
    node.start()
    while node.machine is not None and network.now < 2400:
        network.run(1)
    held, since = node.address, network.now
    network.run(3)
    node.start()
    network.run(2400)
    if held is not None and since < 1490:
        lost = [output for output in node.all(outputs.Lost, since) if output.reason != "nak"]
        assert lost == []
    assert node.address is not None
    assert network.violations() == []


def a_lease_file() -> bytes:
    network = network_with_a_server()
    node = network.client()
    network.run(60)
    return node.disk


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("kept", [0, 1, 10, 100, 500, -2, -1])
def test_a_torn_file_is_no_file(kept: int) -> None:
    """Some prefixes as a whole life; every prefix for the loader alone is tested below."""
    network = network_with_a_server()
    node = network.client()
    network.run(60)
    node.kill()
    node.disk = node.disk[:kept]
    node.start()
    network.run(60)
    assert node.address is not None
    assert network.violations() == []


@pytest.mark.req("C5", "breaks")
def test_no_prefix_of_a_file_is_a_file() -> None:
    whole = a_lease_file()
    text = whole.rstrip()
    assert isinstance(record.load(whole), record.LeaseRecord)
    assert all(isinstance(record.load(text[:end]), Malformed) for end in range(len(text)))


@pytest.mark.req("C5", "breaks")
def test_no_file_with_one_other_octet_is_that_file() -> None:
    """One octet changed anywhere: it is refused, or it means the same (a space)."""
    whole = a_lease_file()
    before = record.load(whole)
    for at in range(len(whole)):
        after = record.load(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        assert isinstance(after, Malformed) or after == before


@pytest.mark.req("C4", "breaks")
def test_a_host_without_a_clock_asks_before_it_uses_an_old_lease() -> None:
    """After a reboot the wall clock stands before the file was written: nothing is installed until it is confirmed."""
    network = network_with_a_server()
    node = network.client()
    network.run(60)
    node.reboot()
    node.wall_offset = -1e8
    network.run(10)
    since = network.now
    node.start()
    assert node.address is None
    assert node.all(outputs.Resumed, since) == []
    network.run(30)
    assert node.address == SERVICE.first


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("seed", range(20))
def test_killed_again_and_again_on_a_bad_wire(seed: int) -> None:
    network = Network(seed, Faults(loss=0.2, duplication=0.1, reordering=0.1, jitter=0.2))
    network.serve()
    network.gateway()
    node = network.client()
    for _ in range(30):
        node.crash_after = network.rng.randrange(12)
        network.run(network.rng.random() * 60)
        node.kill()
        network.run(network.rng.random() * 3)
        node.start()
    node.crash_after = None
    network.segment.faults = Faults()
    network.run_until_bound(300)
    node.tell(inputs.Renew())
    network.run(5)
    assert node.address is not None
    assert network.violations() == []
