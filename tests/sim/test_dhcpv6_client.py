"""The DHCPv6 client against a server by the RFC, on a wire that is not always good."""

from __future__ import annotations

from ipaddress import IPv6Network
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv6 import outputs, wire
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.inputs import Conflict, LinkDown, Received, Release
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.sim.dhcpv6_server import Server
from tests.sim.network6 import (
    DNS,
    NA,
    OTHER_DUID,
    PD,
    PD2,
    SERVICE,
    Network6,
    Node,
    check_ends,
    exchanges,
)

DAY = 86_400
M = MessageType
NEW_PREFIXES = IPv6Network("2001:db8:8000::/40")
LENGTH = IPv6Network("::/56")


def replaced(server: Server, **settings: Any) -> None:
    server.settings = attrs.evolve(server.settings, **settings)


def settled(*wanted: Association, seed: int = 1, **settings: Any) -> tuple[Network6, Server, Node]:
    """One client that has all it wants of one server."""
    network = Network6(seed)
    server = network.serve(attrs.evolve(SERVICE, **settings))
    node = network.client(*wanted)
    network.run(10)
    assert set(node.held) == set(wanted)
    return network, server, node


@pytest.mark.req("V6-13")
def test_everything_at_once_and_by_the_rfc() -> None:
    network, server, node = settled(NA, PD, PD2)
    network.run(DAY)
    assert server.violations == []
    assert node.all(outputs.Lost) == []
    assert node.machine.information is not None
    assert node.machine.information.dns_servers == (DNS,)
    assert server.heard[M.RENEW] == pytest.approx(DAY / 1800, abs=3)
    assert server.heard[M.SOLICIT] == server.heard[M.REQUEST] == 1


def a_year(seed: int, days: int = 365) -> tuple[Network6, Server, Node]:
    network = Network6(seed, loss=0.3, delay=0.02, jitter=0.05)
    server = network.serve(attrs.evolve(SERVICE, preferred=6 * 3600, valid=12 * 3600))
    node = network.client(NA, PD)
    network.run(600)
    for _ in range(days):
        network.run(DAY)
        check_ends(node, server, network.now)
    return network, server, node


@pytest.mark.req("C1")
@pytest.mark.req("V6-1", "breaks")
def test_a_year_with_a_third_of_all_packets_lost() -> None:
    _, server, node = a_year(3)
    assert node.all(outputs.Lost) == []
    assert node.all(outputs.Deprecated) == []
    assert server.violations == []
    assert 2 * 2500 < len(node.all(outputs.Extended)) < 2 * 3000
    again = a_year(3, days=20)[0].transcript()
    assert again == a_year(3, days=20)[0].transcript() != a_year(4, days=20)[0].transcript()


@pytest.mark.req("V6-22")
@pytest.mark.req("V6-15")
def test_renumbered_at_a_renewal() -> None:
    network, server, node = settled(NA, PD)
    (old,) = node.held[PD]
    replaced(server, prefixes=NEW_PREFIXES)
    network.run(1900)
    (new,) = node.held[PD]
    assert isinstance(new, IPv6Network)
    assert new.subnet_of(NEW_PREFIXES)
    assert [lost.lease.asset for lost in node.all(outputs.Lost)] == [old]
    assert [type(o).__name__ for _, o in node.said if isinstance(o, outputs.Lost | outputs.Changed)] == [
        "Lost",
        "Changed",
    ]
    assert server.violations == []


@pytest.mark.req("V6-17")
@pytest.mark.req("V6-20")
def test_another_server_takes_over() -> None:
    network, server, node = settled(NA, PD)
    before = node.held
    successor = network.serve(attrs.evolve(SERVICE, duid=OTHER_DUID), leases=server.leases)
    replaced(server, silent=True)
    network.run(4000)
    assert node.held == before
    assert {b.server_id for b in node.machine.bindings.values()} == {OTHER_DUID}
    assert node.all(outputs.Lost) == []
    assert successor.violations == []
    assert exchanges(node, M.REBIND)


@pytest.mark.req("V6-17", "breaks")
@pytest.mark.req("V6-24")
def test_no_answer_for_a_day_and_then_the_same_prefix_again() -> None:
    network, server, node = settled(PD)
    before = node.held
    replaced(server, silent=True)
    sent = len(node.sent)
    network.run(DAY)
    assert node.held == {}
    assert [lost.reason for lost in node.all(outputs.Lost)] == ["expired"]
    assert [d.lease.asset for d in node.all(outputs.Deprecated)] == before[PD]
    assert len(node.sent) - sent < 80
    replaced(server, silent=False)
    network.run(4000)
    assert node.held == before
    assert server.violations == []


@pytest.mark.req("V6-20")
@pytest.mark.parametrize("creates", [True, False])
def test_a_server_that_has_forgotten_everything(creates: bool) -> None:
    network, server, node = settled(NA, PD, creates=creates)
    before = node.held
    server.leases.forget()
    network.run(2000)
    assert node.held == before
    assert node.all(outputs.Lost) == []
    assert bool(node.all(outputs.Refusal)) is not creates
    assert server.violations == []


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.req("C17", "breaks")
def test_a_different_prefix_each_time() -> None:
    network, server, node = settled(PD, restless=True)
    network.run(3 * DAY)
    assert len(node.held[PD]) == 1
    assert len(node.machine.former) <= 64
    assert len(node.all(outputs.Changed)) > 100
    assert server.violations == []


@pytest.mark.req("V6-24")
@pytest.mark.req("V6-24", "breaks")
@pytest.mark.parametrize("length", [48, 60, 64])
def test_a_prefix_of_another_length_than_asked_for(length: int) -> None:
    network = Network6()
    server = network.serve(attrs.evolve(SERVICE, length=length))
    node = network.client(PD, hints={PD: LENGTH})
    network.run(10)
    (prefix,) = node.held[PD]
    assert isinstance(prefix, IPv6Network)
    assert prefix.prefixlen == length
    assert len(node.all(outputs.Smaller)) == (length > 56)
    network.run(DAY)
    assert node.held == {PD: [prefix]}
    assert server.violations == []


@pytest.mark.req("V6-21")
@pytest.mark.req("V6-21", "breaks")
def test_the_prefixes_run_out_and_come_back() -> None:
    network, server, node = settled(NA, PD)
    replaced(server, prefixes=None)
    network.run(1900)
    assert set(node.held) == {NA}
    assert [lost.reason for lost in node.all(outputs.Lost)] == ["withdrawn"]
    replaced(server, prefixes=NEW_PREFIXES)
    network.run(2000)
    assert set(node.held) == {NA, PD}
    assert server.violations == []


@pytest.mark.req("V6-40")
@pytest.mark.req("C5", "breaks")
def test_killed_again_and_again_and_everything_stays() -> None:
    network, server, node = settled(NA, PD)
    before = node.held
    for _ in range(20):
        network.run(1000)
        node.restart()
    network.run(20)
    assert node.held == before
    assert node.all(outputs.Lost) == []
    assert server.violations == []
    assert node.sent_kinds() >= {M.REBIND}
    assert M.RELEASE not in node.sent_kinds()


@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V6-40", "breaks")
@pytest.mark.parametrize("renumbered", [False, True])
@pytest.mark.parametrize("outputs_done", range(1, 36))
def test_killed_after_every_output(outputs_done: int, renumbered: bool) -> None:
    network = Network6(5)
    server = network.serve()
    node = network.client(NA, PD)
    node.dies_after = outputs_done
    network.run(10)
    if renumbered:
        replaced(server, prefixes=NEW_PREFIXES)
    network.run(2 * 3600)
    assert set(node.held) == {NA, PD}
    for which, assets in node.held.items():
        own = server.leases.of((node.settings.duid, which), network.now)
        assert own is not None
        assert assets == [own.asset]
    assert set(node.installed[PD]) == set(node.held[PD]), "nothing of before is left behind"
    assert server.violations == []


@pytest.mark.req("V6-41")
def test_a_power_cut_of_a_day() -> None:
    network, server, node = settled(NA, PD)
    before = node.held
    node.stop()
    node.installed.clear()
    network.run(DAY)
    node.boot_id = "second"
    node.restart()
    assert {lost.reason for lost in node.all(outputs.Lost)} == {"expired"}
    network.run(10)
    assert node.held == before
    assert server.violations == []


@pytest.mark.req("C4", "breaks")
def test_a_power_cut_without_a_clock() -> None:
    network, server, node = settled(NA, PD)
    before = node.held
    node.stop()
    node.installed.clear()
    network.run(100)
    node.boot_id, node.wall_offset = "second", -EPOCH_AGO
    said = len(node.said)
    node.restart()
    assert not [o for _, o in node.said[said:] if isinstance(o, outputs.Resumed)]
    network.run(10)
    assert node.held == before
    assert [b.by for b in node.all(outputs.Bound)][-2:] == ["rebind", "rebind"]
    assert server.violations == []


EPOCH_AGO = 1_000_000_000.0


@pytest.mark.req("V6-26")
def test_an_address_that_is_somebody_elses() -> None:
    network, server, node = settled(NA, PD)
    (bad,) = node.held[NA]
    node.feed(Conflict(bad))
    network.run(60)
    assert node.held[NA] != [bad]
    assert set(node.held) == {NA, PD}
    assert server.heard[M.DECLINE] == 1
    assert server.violations == []


@pytest.mark.req("V6-27")
def test_given_back_and_gone() -> None:
    network, server, node = settled(NA, PD)
    node.feed(Release())
    network.run(1)
    assert (node.state, node.installed) == ("Stopped", {NA: {}, PD: {}})
    assert [f.ok for f in node.all(outputs.Finished)] == [True]
    assert server.leases.of((node.settings.duid, PD), network.now) is None
    assert server.violations == []


@pytest.mark.req("V6-33")
def test_the_server_orders_a_renewal() -> None:
    network = Network6()
    server = network.serve(attrs.evolve(SERVICE, key=b"k" * 16))
    node = network.client(PD, reconfigure=True)
    network.run(100)
    replaced(server, prefixes=NEW_PREFIXES)
    octets = server.reconfigure(node.settings.duid, M.RENEW)
    order = wire.decode(octets)
    assert isinstance(order, Message)
    node.feed(Received(order, node.link.link_local))
    network.run(1)
    assert [o.order for o in node.all(outputs.Reconfigured)] == ["renew"]
    (prefix,) = node.held[PD]
    assert isinstance(prefix, IPv6Network)
    assert prefix.subnet_of(NEW_PREFIXES)
    assert server.violations == []


def test_rapid_commit_and_what_is_excluded() -> None:
    network = Network6()
    server = network.serve(attrs.evolve(SERVICE, rapid_commit=True, excluded=64))
    node = network.client(NA, PD, rapid_commit=True)
    network.run(2)
    assert {b.by for b in node.all(outputs.Bound)} == {"solicit"}
    assert server.heard == {M.SOLICIT: 1}
    (lease,) = node.machine.bindings[PD].leases
    assert isinstance(lease.asset, IPv6Network)
    assert lease.excluded is not None
    assert lease.excluded.subnet_of(lease.asset)
    assert server.violations == []


def test_the_preferred_of_two_servers() -> None:
    network = Network6()
    network.serve(attrs.evolve(SERVICE, preference=10))
    better = network.serve(attrs.evolve(SERVICE, duid=OTHER_DUID, preference=20))
    node = network.client(NA, PD)
    network.run(3)
    assert {b.server_id for b in node.machine.bindings.values()} == {better.settings.duid}


@pytest.mark.req("V6-29")
def test_a_month_of_information() -> None:
    network = Network6(loss=0.3)
    server = network.serve(attrs.evolve(SERVICE, options=(*SERVICE.options, Option(32, (3600).to_bytes(4, "big")))))
    node = network.client()
    network.run(30 * DAY)
    assert len(node.all(outputs.Informed)) == pytest.approx(30 * 24, abs=10)
    assert server.violations == []


@pytest.mark.req("C11")
def test_a_cable_that_is_loose_for_a_week() -> None:
    network, server, node = settled(NA, PD)
    before = node.held
    for number in range(300):
        node.feed(LinkDown())
        network.run(1 + number % 5)
        node.feed(node.link)
        network.run(60 + number)
    assert node.held == before
    assert node.all(outputs.Lost) == []
    assert server.violations == []
