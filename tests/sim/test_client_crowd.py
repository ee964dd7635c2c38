"""A thousand clients and one server that goes away and comes back: nobody is in step with the others (D13)."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address as A
from ipaddress import IPv4Network

import attrs
import pytest

from routerd.sim.dhcpv4_server import Server
from tests.sim.network import SERVICE, Network, replaced

CROWD = 1000
TOWN = attrs.evolve(
    SERVICE, subnet=IPv4Network("10.0.0.0/16"), first=A("10.0.1.0"), last=A("10.0.5.255"), lease_time=120
)


def town(seed: int) -> tuple[Network, Server]:
    """The clients are isolated from each other, as on an access network, and want no broadcast: a million frames."""
    network = Network(seed)
    server = network.serve(TOWN)
    for _ in range(CROWD):
        network.client(isolated=True, start=False, conflict_detection="skip", broadcast="never").keep = False
    return network, server


def packets_per(network: Network, width: float, begin: float, end: float) -> list[int]:
    """How many packets all clients sent in each piece of time of `width` seconds."""
    count = Counter(int((at - begin) / width) for node in network.nodes for at, _ in node.conduct.sent if at >= begin)
    return [count[piece] for piece in range(int((end - begin) / width))]


def peak(pieces: list[int]) -> float:
    return max(pieces) / (sum(pieces) / len(pieces))


@pytest.mark.req("V4-1")
@pytest.mark.req("C9", "breaks")
def test_a_server_restarts_under_a_thousand_clients() -> None:
    """Leases begun within a minute; the server is away for long enough that all of them end."""
    network, server = town(1)
    for node in network.nodes:
        network.run(60 / CROWD)
        node.start()
    network.run(120)
    assert all(node.lease for node in network.nodes)
    down = network.now
    replaced(server, silent=True)
    network.run(200)
    assert not any(node.lease for node in network.nodes)
    replaced(server, silent=False)
    network.run(70)
    assert all(node.lease for node in network.nodes)
    assert peak(packets_per(network, 1.0, down, network.now)) < 3
    assert server.violations == []


@pytest.mark.req("V4-1", "breaks")
def test_the_lights_come_on_again_in_the_whole_town() -> None:
    """All links come up in the same instant, and there is no server for a while: the start is spread over a
    second, and every retransmission spreads it further."""
    network, server = town(2)
    replaced(server, silent=True)
    for node in network.nodes:
        node.start()
    network.run(130)
    assert peak(packets_per(network, 0.1, 0, 1)) < 1.5
    waves = ((0, 1), (3, 6), (10, 15), (25, 32), (56, 65), (119, 130))
    highest = [max(packets_per(network, 0.1, begin, end)) for begin, end in waves]
    assert sorted(highest, reverse=True) == highest
    assert highest[-1] < highest[0] / 2
    replaced(server, silent=False)
    network.run(70)
    assert all(node.lease for node in network.nodes)
    assert server.violations == []
