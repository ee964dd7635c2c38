"""Servers that are not by the RFC: every mode, before there is a lease, and against one; and then an honest server."""

from __future__ import annotations

import itertools
from ipaddress import IPv6Address, IPv6Network

import attrs
import pytest

from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.binding import is_usable
from routerd.protocols.dhcpv6.message import MessageType
from routerd.sim.dhcpv6_hostile import MODES
from routerd.sim.dhcpv6_server import Settings
from tests.sim.network6 import EPSILON, NA, PD, SERVICE, Network6, Node, exchanges

M = MessageType
HASTY: Settings = attrs.evolve(SERVICE, preferred=600, valid=1200)


def sane(node: Node) -> None:
    """What must hold of a client whatever a server says."""
    for binding in node.machine.bindings.values():
        assert binding.leases
        for lease in binding.leases:
            assert is_usable(Grant(lease.asset, 1, 1)), lease.asset
            kind = IPv6Network if binding.association == PD else IPv6Address
            assert isinstance(lease.asset, kind)
            ends = lease.preferred_until, lease.valid_until
            assert None in ends or ends[0] <= ends[1]
        assert binding.t1 is None or binding.t2 is None or binding.t1 <= binding.t2
    assert set(node.machine.bindings) <= {NA, PD}
    assert len(node.machine.former) <= 64
    for renewals in exchanges(node, M.RENEW):
        assert all(after - before > 9 - EPSILON for before, after in itertools.pairwise(renewals))
    for kind, gap in ((M.RENEW, 30), (M.REBIND, 9)):
        begun = sorted(times[0] for times in exchanges(node, kind))
        assert all(after - before > gap - EPSILON for before, after in itertools.pairwise(begun))


@pytest.mark.req("C7", "breaks")
@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize("name", MODES)
def test_a_hostile_server_and_then_an_honest_one(name: str) -> None:
    network = Network6(seed=7)
    server = network.serve_hostile(HASTY)
    node = network.client(NA, PD)
    server.mode = MODES[name]
    for _ in range(20):
        network.run(180)
        sane(node)
    assert len(node.sent) < 1000
    server.mode = None
    network.run(3 * 3600 + 4000)
    sane(node)
    assert set(node.held) == {NA, PD} or "4294967295" in name, f"{node.state}: {node.held}"
    assert not [found for found in server.server.violations if "not offered" not in found.rule]


@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize("name", MODES)
def test_an_honest_server_that_turns_hostile(name: str) -> None:
    network = Network6(seed=8)
    server = network.serve_hostile(HASTY)
    node = network.client(NA, PD)
    network.run(10)
    assert set(node.held) == {NA, PD}
    server.mode = MODES[name]
    for _ in range(20):
        network.run(180)
        sane(node)
    server.mode = None
    network.run(3 * 3600 + 4000)
    sane(node)
    assert set(node.held) == {NA, PD} or "4294967295" in name, f"{node.state}: {node.held}"


@pytest.mark.req("C13", "breaks")
def test_the_words_of_a_refusal_are_made_printable() -> None:
    network = Network6()
    server = network.serve_hostile()
    node = network.client(NA)
    network.run(10)
    server.mode = MODES["status-4"]
    network.run(4000)
    texts = [refusal.status.text for refusal in node.all(outputs.Refusal)]
    assert texts
    assert all(text.isprintable() for text in texts)
