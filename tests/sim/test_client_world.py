"""What happens to a client: sleep, cables, servers that fail over, renumber or vanish, neighbours, restarts."""

from __future__ import annotations

from ipaddress import IPv4Address as A
from itertools import pairwise

import attrs
import pytest

from routerd.protocols.dhcpv4 import inputs, outputs
from routerd.protocols.dhcpv4.message import BROADCAST, MessageType
from routerd.protocols.machine import Start
from routerd.sim.dhcpv4_hostile import MODES
from routerd.sim.dhcpv4_server import addresses
from routerd.sim.ethernet import Faults
from tests.sim.network import SERVER, SERVER_MAC, SERVICE, Network, Node, replaced

OTHER = A("192.0.2.2")
OTHER_MAC = bytes.fromhex("02005e000202")


@pytest.fixture
def network() -> Network:
    network = Network(1)
    network.serve()
    network.gateway()
    return network


@pytest.fixture
def node(network: Network) -> Node:
    """A client that has had its lease for about a minute."""
    node = network.client()
    network.run(60)
    assert node.address == A("192.0.2.50")
    return node


def story(node: Node, since: float) -> list[str]:
    """What became true since a time, in words."""
    kinds = outputs.Bound | outputs.Resumed | outputs.Extended | outputs.Changed | outputs.Lost | outputs.Nak
    return [
        f"{type(output).__name__.lower()} {getattr(output, 'reason', '')}".strip()
        for at, output in node.said
        if at >= since and isinstance(output, kinds | outputs.Conflict)
    ]


def types_sent(node: Node, since: float) -> list[str]:
    return [message.type.name for at, message in node.conduct.sent if at >= since]


# Sleep


@pytest.mark.req("C2")
@pytest.mark.req("C3")
def test_sleep_past_t1_renews(network: Network, node: Node) -> None:
    network.run(0)
    node.sleep(300)
    since = network.now
    network.run(320)
    assert story(node, since) == ["extended"]
    assert node.conduct.sent[-1][1].ciaddr == node.address
    assert network.violations() == []


@pytest.mark.req("C3")
def test_sleep_past_t2_rebinds(network: Network, node: Node) -> None:
    node.sleep(500)
    since = network.now
    network.run(520)
    assert [output.by for output in node.all(outputs.Extended, since)] == ["rebind"]
    assert node.all(outputs.Send, since)[0].to == BROADCAST


@pytest.mark.req("C2", "breaks")
@pytest.mark.req("C3", "breaks")
def test_sleep_past_the_end_gives_up_first_and_then_begins_anew(network: Network, node: Node) -> None:
    node.sleep(5000)
    since = network.now
    network.run(5030)
    assert story(node, since) == ["lost expired", "bound"]
    assert types_sent(node, since) == ["DISCOVER", "REQUEST"]
    assert network.violations() == []


# Cables


@pytest.mark.req("C11")
def test_a_short_flap_takes_nothing_away(network: Network, node: Node) -> None:
    since = network.now
    node.unplug()
    network.run(2)
    node.plug()
    network.run(60)
    assert "lost" not in " ".join(story(node, since))
    assert node.address == A("192.0.2.50")


@pytest.mark.req("C11", "breaks")
@pytest.mark.req("V4-30")
def test_a_long_loss_keeps_the_lease_until_it_is_confirmed(network: Network, node: Node) -> None:
    since = network.now
    node.unplug()
    network.run(60)
    assert node.address == A("192.0.2.50")
    node.plug()
    network.run(30)
    assert "lost" not in " ".join(story(node, since))
    assert MessageType.DISCOVER.name not in types_sent(node, since)
    assert network.violations() == []


@pytest.mark.req("V4-30", "breaks")
def test_a_cable_into_another_network_loses_the_lease(network: Network, node: Node) -> None:
    """Behind the cable is nobody who knows us: no gateway, no server."""
    node.unplug()
    network.run(60)
    replaced(network.servers[0], silent=True)
    network.segment.faults = Faults(loss=1.0)
    since = network.now
    node.plug()
    network.run(30)
    assert story(node, since) == ["lost unconfirmed"]
    lost = next(at for at, output in node.said if isinstance(output, outputs.Lost) and at >= since)
    assert lost - since == pytest.approx(12, abs=0.5)
    network.segment.faults = Faults()
    replaced(network.servers[0], silent=False)
    network.run_until_bound(120)


@pytest.mark.req("V4-11")
def test_a_cable_into_a_renumbered_network_is_refused_and_begins_anew(network: Network, node: Node) -> None:
    node.unplug()
    network.run(60)
    replaced(network.servers[0], first=A("192.0.2.100"), last=A("192.0.2.110"))
    since = network.now
    node.plug()
    network.run(30)
    assert story(node, since)[:3] == ["nak", "lost nak", "bound"]
    assert node.address == A("192.0.2.100")


@pytest.mark.req("C9", "breaks")
@pytest.mark.req("C7", "breaks")
def test_a_storm_of_flaps(network: Network, node: Node) -> None:
    """A thousand flaps within minutes: never more packets than C9 allows (`Conduct`), and a lease in the end."""
    for number in range(1000):
        node.unplug()
        network.run(0.1 + number % 7 / 10)
        node.plug()
        network.run(0.1 + number % 11 / 10)
    assert len(node.conduct.sent) < network.now + 10
    network.run_until_bound(120)
    assert network.violations() == []


# Servers


@pytest.mark.req("V4-10")
def test_the_other_server_of_a_pair_takes_over_at_t2(network: Network, node: Node) -> None:
    first = network.servers[0]
    network.serve(attrs.evolve(SERVICE, server_id=OTHER), OTHER_MAC, leases=first.leases)
    replaced(first, silent=True)
    since = network.now
    network.run(700)
    extended = node.all(outputs.Extended, since)
    assert [output.by for output in extended][:1] == ["rebind"]
    assert node.lease is not None
    assert node.lease.server_id == OTHER
    assert [output.to for output in node.all(outputs.Send, since)][:2] == [SERVER, SERVER]
    network.run(600)
    assert node.all(outputs.Send)[-1].to == OTHER
    assert node.all(outputs.Lost) == []
    assert network.violations() == []


@pytest.mark.req("V4-10", "breaks")
def test_a_stranger_without_authority_cannot_end_a_lease(network: Network, node: Node) -> None:
    """A second server that knows nobody says NAK to whom it does not know; only at T2 anybody may."""
    network.serve(attrs.evolve(SERVICE, server_id=OTHER, first=A("192.0.2.60")), OTHER_MAC)
    network.run(3000)
    assert node.all(outputs.Lost) == []
    assert node.all(outputs.Nak) == []


@pytest.mark.req("V4-31")
@pytest.mark.req("V4-31", "breaks")
def test_a_server_that_is_switched_off_does_not_end_the_way_to_t2(network: Network, node: Node) -> None:
    """Unicast fails with EHOSTUNREACH as nobody answers ARP; the broadcast at T2 leaves all the same."""
    network.segment.resolve = lambda address: None  # type: ignore[method-assign]
    since = network.now
    network.run(500)
    sent = node.all(outputs.Send, since)
    assert [output.to for output in sent if output.to != BROADCAST]
    assert story(node, since) == ["extended"]
    assert node.all(outputs.Extended, since)[0].by == "rebind"


@pytest.mark.req("V4-11")
@pytest.mark.req("V4-13", "breaks")
def test_a_renumbered_pool(network: Network, node: Node) -> None:
    replaced(network.servers[0], first=A("192.0.2.100"), last=A("192.0.2.110"))
    since = network.now
    network.run(400)
    assert story(node, since)[:3] == ["nak", "lost nak", "bound"]
    assert node.address == A("192.0.2.100")
    assert network.violations() == []


@pytest.mark.req("V4-14")
def test_a_new_dns_server_changes_the_lease_and_not_the_address(network: Network, node: Node) -> None:
    replaced(network.servers[0], options={**SERVICE.options, 6: addresses("198.51.100.53")})
    since = network.now
    network.run(400)
    (changed,) = node.all(outputs.Changed, since)
    assert changed.fields == ("dns_servers",)
    assert changed.lease.dns_servers == (A("198.51.100.53"),)
    assert story(node, since)[:1] == ["changed"]


def test_silence_to_the_end_and_beyond(network: Network, node: Node) -> None:
    server = network.servers[0]
    replaced(server, silent=True)
    since = network.now
    network.run(1200)
    assert story(node, since) == ["lost expired"]
    replaced(server, silent=False)
    assert network.run_until_bound(70) < 70
    assert node.address == A("192.0.2.50")
    assert server.violations == []


@pytest.mark.req("V4-21")
def test_rapid_commit(network: Network) -> None:
    replaced(network.servers[0], rapid_commit=True)
    node = network.client(rapid_commit=True)
    network.run(60)
    assert types_sent(node, 0) == ["DISCOVER"]
    assert node.address is not None


@pytest.mark.req("V4-8")
@pytest.mark.req("V4-8", "breaks")
def test_the_broadcast_flag_alternates_when_nobody_answers(network: Network) -> None:
    replaced(network.servers[0], silent=True)
    node = network.client()
    network.run(400)
    flags = [message.broadcast for _, message in node.conduct.sent]
    assert flags[:6] == [False, False, True, False, True, False]


@pytest.mark.req("V4-9")
def test_of_two_offers_the_one_for_the_last_address_is_taken() -> None:
    """A stranger answers first; the old server still knows us."""
    network = Network(1)
    stranger = network.serve(attrs.evolve(SERVICE, server_id=OTHER, first=A("192.0.2.60"), silent=True), OTHER_MAC)
    server = network.serve()
    node = network.client(offer_window=2.0)
    network.run(60)
    replaced(server, silent=True)
    network.run(700)
    assert node.lease is None
    replaced(server, silent=False)
    replaced(stranger, silent=False)
    network.run_until_bound(120)
    assert node.address == A("192.0.2.50")
    assert stranger.said[MessageType.OFFER] == 1
    assert network.violations() == []


@pytest.mark.req("V4-9", "breaks")
def test_when_the_chosen_server_refuses_the_other_offer_is_taken_at_once() -> None:
    network = Network(1)
    network.serve_hostile(attrs.evolve(SERVICE, first=A("192.0.2.60"))).mode = MODES["nak-for-ever"]
    network.serve(attrs.evolve(SERVICE, server_id=OTHER), OTHER_MAC)
    node = network.client(offer_window=2.0)
    network.run(30)
    assert types_sent(node, 0) == ["DISCOVER", "REQUEST", "REQUEST"]
    assert node.conduct.sent[2][0] - node.conduct.sent[1][0] < 0.1
    assert node.lease is not None
    assert node.lease.server_id == OTHER
    assert network.violations() == []


# Neighbours


@pytest.mark.req("ARP-2", "breaks")
@pytest.mark.req("ARP-3", "breaks")
def test_an_address_that_somebody_has_is_declined(network: Network) -> None:
    thief = network.gateway()
    thief.port.mac = OTHER_MAC
    thief.addresses.clear()
    thief.addresses.add(A("192.0.2.50"))
    node = network.client()
    network.run(60)
    assert node.address == A("192.0.2.51")
    sent = [(at, message.type) for at, message in node.conduct.sent]
    declined = next(at for at, kind in sent if kind is MessageType.DECLINE)
    assert next(at for at, kind in sent if kind is MessageType.DISCOVER and at > declined) >= declined + 10
    assert network.violations() == []


@pytest.mark.req("ARP-3", "breaks")
def test_when_everything_is_taken_the_pace_is_one_in_a_minute(network: Network) -> None:
    thief = network.gateway()
    thief.port.mac = OTHER_MAC
    thief.addresses.update(SERVICE.pool())
    node = network.client()
    network.run(3600)
    declines = [at for at, message in node.conduct.sent if message.type is MessageType.DECLINE]
    gaps = [later - earlier for earlier, later in pairwise(declines)]
    assert len(gaps) > 20
    assert min(gaps) > 10
    assert min(gaps[10:]) > 60
    assert node.lease is None
    assert network.violations() == []


@pytest.mark.req("ARP-4", "breaks")
@pytest.mark.parametrize("defend", ["defend", "release"])
def test_somebody_takes_our_address(network: Network, defend: str) -> None:
    node = network.client(defend=defend)
    network.run(60)
    thief = network.gateway()
    thief.port.mac = OTHER_MAC
    thief.addresses.clear()
    since = network.now
    for _ in range(3):
        thief.claim(A("192.0.2.50"), network.now)
        network.run(4)
    conflicts = node.all(outputs.Conflict, since)
    assert conflicts[0].defended
    assert conflicts[0].mac == OTHER_MAC
    if defend == "defend":
        assert node.address == A("192.0.2.50")
        assert node.all(outputs.Lost) == []
    else:
        assert story(node, since).count("lost conflict") == 1
        network.run(60)
        assert node.address == A("192.0.2.51")
    assert network.violations() == []


@pytest.mark.req("ARP-2")
@pytest.mark.req("ARP-1")
def test_two_clients_that_are_given_one_address_do_not_both_have_it(network: Network) -> None:
    """Two servers that do not know of each other give out the same pool."""
    network.serve(attrs.evolve(SERVICE, server_id=OTHER), OTHER_MAC)
    nodes = [network.client(), network.client()]
    network.run(600)
    held = [node.address for node in nodes]
    assert None not in held
    assert len(set(held)) == 2


# Restarts


@pytest.mark.req("V4-33")
@pytest.mark.req("V4-30")
def test_a_restart_is_not_the_end_of_a_lease(network: Network, node: Node) -> None:
    since = network.now
    node.stop()
    network.run(3)
    node.start()
    network.run(30)
    told = story(node, since)
    assert told[0] == "resumed"
    assert "lost" not in " ".join(told)
    assert "RELEASE" not in types_sent(node, since)
    assert MessageType.RELEASE not in network.servers[0].heard


@pytest.mark.req("V4-33", "breaks")
def test_a_crash_is_not_the_end_of_a_lease_either(network: Network, node: Node) -> None:
    since = network.now
    node.kill()
    network.run(30)
    node.start()
    network.run(30)
    assert story(node, since)[0] == "resumed"
    assert node.all(outputs.Lost) == []


@pytest.mark.req("C4")
def test_after_a_reboot_the_address_is_asked_for_again(network: Network, node: Node) -> None:
    node.reboot()
    network.run(30)
    since = network.now
    node.start()
    network.run(30)
    assert types_sent(node, since)[0] == "REQUEST"
    assert node.address == A("192.0.2.50")
    assert network.violations() == []


@pytest.mark.req("V4-33")
def test_an_operator_may_release(network: Network, node: Node) -> None:
    server = network.servers[0]
    node.tell(inputs.Release())
    network.run(60)
    assert (node.address, node.disk) == (None, b"")
    assert server.heard[MessageType.RELEASE] == 1
    assert server.leases.active(network.now) == []
    node.tell(Start())
    network.run(60)
    assert node.address == A("192.0.2.50")
    assert network.violations() == []


@pytest.mark.parametrize(("command", "by"), [(inputs.Renew(), "renew"), (inputs.Rebind(), "rebind")])
def test_an_operator_may_extend(network: Network, node: Node, command: object, by: str) -> None:
    since = network.now
    node.tell(command)
    network.run(5)
    assert [output.by for output in node.all(outputs.Extended, since)] == [by]
    assert [output.ok for output in node.all(outputs.Finished, since)] == [True]
    assert network.violations() == []


def test_servers_share_one_mac_with_their_gateway(network: Network, node: Node) -> None:
    """What DNAv4 keeps is the gateway's own Ethernet address."""
    assert {output.mac for output in node.all(outputs.GatewayKnown)} == {SERVER_MAC}
