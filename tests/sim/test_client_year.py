"""A year of renewals on a bad wire, in seconds; and the same year again, octet for octet."""

from __future__ import annotations

import pytest

from routerd.protocols.dhcpv4 import outputs
from routerd.sim.dhcpv4_server import Server
from routerd.sim.ethernet import Faults
from tests.sim.network import SERVICE, Network, Node, replaced

DAY = 86_400
LOSSY = Faults(delay=0.02, jitter=0.05, loss=0.3)


def a_year(seed: int, days: int = 365) -> tuple[Network, Server, Node]:
    """One client, a lease of six hours, three frames of ten lost."""
    network = Network(seed, LOSSY)
    server = network.serve()
    replaced(server, lease_time=6 * 3600)
    network.gateway()
    node = network.client()
    node.network.run_until_bound(600)
    node.said.clear()
    network.run(days * DAY)
    return network, server, node


@pytest.mark.req("C1")
@pytest.mark.req("V4-2", "breaks")
@pytest.mark.req("C10")
@pytest.mark.req("C10", "breaks")
def test_a_year_with_a_third_of_all_frames_lost() -> None:
    first, server, node = a_year(3)
    assert node.all(outputs.Lost) == []
    renewals = [output for output in node.all(outputs.Extended) if output.by == "renew"]
    assert 2000 < len(renewals) < 2920  # one in three hours, if every first question were answered
    assert server.violations == []
    assert first.transcript() == a_year(3)[0].transcript()


@pytest.mark.req("C1", "breaks")
def test_another_seed_is_another_year() -> None:
    assert a_year(3, days=10)[0].transcript() != a_year(4, days=10)[0].transcript()


@pytest.mark.req("V4-4")
def test_an_infinite_lease_is_never_renewed() -> None:
    network = Network(1)
    replaced(network.serve(), lease_time=0xFFFFFFFF)
    node = network.client()
    network.run_until_bound(60)
    packets = len(node.conduct.sent)
    network.run(100 * 365 * DAY)
    assert (node.state, len(node.conduct.sent)) == ("Bound", packets)


@pytest.mark.req("V4-5")
@pytest.mark.parametrize("seconds", [1, 2, 3, 5, 10, 20, 60])
def test_short_leases_are_honoured_as_given(seconds: int) -> None:
    network = Network(1)
    server = network.serve()
    replaced(server, lease_time=seconds)
    node = network.client(conflict_detection="skip")
    network.run(600)
    leases = [output.lease for output in node.all(outputs.Bound) + node.all(outputs.Extended)]
    assert leases
    assert all(lease.duration == pytest.approx(seconds) for lease in leases)
    assert server.violations == []


SERVICE_WITHOUT_ROUTER = {6: SERVICE.options[6]}


@pytest.mark.req("C15")
@pytest.mark.req("V4-14")
def test_a_renewal_that_brings_nothing_new_says_only_that() -> None:
    network = Network(1)
    server = network.serve()
    node = network.client()
    network.run(400)
    replaced(server, options=SERVICE_WITHOUT_ROUTER)
    network.run(300)
    network.run(300)
    said = [output for _, output in node.said if isinstance(output, outputs.Extended | outputs.Changed)]
    assert [type(output).__name__ for output in said] == ["Extended", "Changed", "Extended"]
    (changed,) = node.all(outputs.Changed)
    assert set(changed.fields) >= {"routes", "gateway", "domain"}
    assert node.all(outputs.Lost) == []
