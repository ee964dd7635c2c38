"""Servers that are not by the RFC, each for twenty minutes, from the first DISCOVER on and against a good lease.

Never an exception, never more packets than C9 allows, never an address that was not granted; and a lease from the
honest server as soon as there is one.
"""

from __future__ import annotations

from ipaddress import IPv4Address as A

import pytest

from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.message import MessageType
from routerd.protocols.machine import Dropped
from routerd.sim.dhcpv4_hostile import MODES, STRANGER, Hostile
from routerd.sim.dhcpv4_rules import Violation
from routerd.sim.ethernet import Faults
from tests.sim.network import SERVICE, Network, Node

MINUTES = 20
RECOVERY = 900
"""Seconds: the longest pause after NAKs (330) and then the longest of DISCOVER (65), more than twice."""

# Modes in which an honest lease is granted, whatever else is said, and the client has it all the time.
HARMLESS = {
    "twice", "naks-of-a-stranger", "from-elsewhere", "unasked", "forced", "overrun-last",
    "overload-of-nothing", "holes-in-the-mask", "mask-of-a-pair", "mtu-0", "mtu-65535", "route-too-wide", "route-cut",
    "no-default-route", "hundreds-of-routes", "hundreds-of-servers", "search-loop", "name-with-control-octets",
    "text-without-end", "t1-after-t2", *(name for name in MODES if name.startswith(("t1-", "t2-"))),
}  # fmt: skip

# Modes in which nothing may be believed: no lease at all.
USELESS = {
    "never", "wrong-xid", "wrong-chaddr", "a-request", "nak-for-ever", "garbage", "other-server-grants",
    "no-server-id", "other-client-id", "no-lease-time", "two-types", "two-servers", "two-lease-times", "no-type",
    "bad-overload", "overrun-first", "hasty", "lease-0", *(name for name in MODES if name.startswith("address-")),
}  # fmt: skip


def hostile_from_the_start(name: str) -> tuple[Network, Hostile, Node]:
    network = Network(5)
    network.gateway()
    hostile = network.serve_hostile()
    hostile.mode = MODES[name]
    node = network.client()
    network.run(MINUTES * 60)
    return network, hostile, node


def honestly_blamed(hostile: Hostile, name: str) -> list[Violation]:
    """What the server holds against the client, unless noise put words into its own mouth."""
    return [] if name == "noise" else hostile.server.violations


def discovers(node: Node) -> list[float]:
    return [at for at, message in node.conduct.sent if message.type is MessageType.DISCOVER]


@pytest.mark.req("C8", "breaks")
@pytest.mark.req("C9", "breaks")
@pytest.mark.req("C7", "breaks")
@pytest.mark.parametrize("name", MODES)
def test_twenty_minutes_and_then_honesty(name: str) -> None:
    network, hostile, node = hostile_from_the_start(name)
    assert (node.lease is not None) or name not in HARMLESS
    assert (node.all(outputs.Bound) == []) or name not in USELESS
    hostile.mode = None
    network.run_until_bound(RECOVERY)
    assert honestly_blamed(hostile, name) == []


@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize("name", MODES)
def test_a_good_lease_under_a_server_gone_bad(name: str) -> None:
    """The lease was honest. Whatever is said at its renewals, no address is used past its end (`Conduct`)."""
    network = Network(6)
    network.gateway()
    hostile = network.serve_hostile()
    node = network.client()
    network.run(30)
    hostile.mode = MODES[name]
    network.run(MINUTES * 60)
    if name in HARMLESS:
        assert node.all(outputs.Lost) == []
    hostile.mode = None
    network.run_until_bound(RECOVERY)
    assert honestly_blamed(hostile, name) == []


@pytest.mark.parametrize("name", ["garbage", "noise", "cut", "unasked", "moving"])
@pytest.mark.parametrize("seed", range(5))
def test_hostile_and_the_wire_is_bad_too(name: str, seed: int) -> None:
    network = Network(seed, Faults(loss=0.1, duplication=0.2, reordering=0.2, truncation=0.1, corruption=0.1))
    hostile = network.serve_hostile()
    hostile.mode = MODES[name]
    network.client()
    network.client(offer_window=2.0)
    network.run(MINUTES * 60)
    hostile.mode, network.segment.faults = None, Faults()
    network.run_until_bound(RECOVERY)


@pytest.mark.req("V4-11", "breaks")
def test_naks_for_ever_slow_the_client_down() -> None:
    _, _, node = hostile_from_the_start("nak-for-ever")
    naks = [at for at, output in node.said if isinstance(output, outputs.Nak)]
    assert len(discovers(node)) <= 12
    assert len(naks) >= 8


@pytest.mark.req("V4-11")
@pytest.mark.req("C13", "breaks")
def test_the_words_of_a_nak_are_made_printable() -> None:
    _, _, node = hostile_from_the_start("nak-for-ever")
    texts = {output.text for output in node.all(outputs.Nak)}
    assert len(texts) == 1
    assert all(text.isprintable() and text.startswith("no") for text in texts)


@pytest.mark.req("V4-11")
def test_after_a_minute_with_a_lease_naks_are_forgiven() -> None:
    network, hostile, node = hostile_from_the_start("nak-for-ever")
    hostile.mode = None
    network.run_until_bound(RECOVERY)
    network.run(120)
    hostile.mode = MODES["nak-for-ever"]
    since = network.now
    network.run(400)  # past T1: the renewal is refused
    nak = next(at for at, output in node.said if isinstance(output, outputs.Nak) and at > since)
    assert next(at for at in discovers(node) if at > nak) - nak < 2


@pytest.mark.req("C10", "breaks")
def test_another_transaction_is_not_ours() -> None:
    _, _, node = hostile_from_the_start("wrong-xid")
    dropped = {output.reason for output in node.all(Dropped)}
    assert dropped == {"wrong-xid"}


@pytest.mark.req("V4-28", "breaks")
def test_another_mac_is_not_ours() -> None:
    _, _, node = hostile_from_the_start("wrong-chaddr")
    assert node.all(Dropped)
    assert node.all(outputs.Offered) == []


@pytest.mark.req("V4-22", "breaks")
def test_another_client_identifier_is_not_ours() -> None:
    _, _, node = hostile_from_the_start("other-client-id")
    assert node.all(outputs.Offered) == []


@pytest.mark.req("V4-10", "breaks")
def test_a_grant_of_another_server_is_ignored() -> None:
    _, _, node = hostile_from_the_start("other-server-grants")
    assert node.all(outputs.Offered)
    assert node.all(outputs.Bound) == []


@pytest.mark.req("V4-10", "breaks")
def test_naks_of_a_stranger_are_counted_and_ignored() -> None:
    _, _, node = hostile_from_the_start("naks-of-a-stranger")
    assert node.all(outputs.Nak) == []
    assert len(node.all(outputs.Bound)) == 1
    strangers = [output for output in node.all(Dropped) if output.packet.options.get(54) == STRANGER.packed]
    assert strangers


@pytest.mark.req("V4-34")
@pytest.mark.req("V4-34", "breaks")
def test_answers_given_twice_count_once() -> None:
    _, _, node = hostile_from_the_start("twice")
    honest, _, other = hostile_from_the_start("from-elsewhere")
    assert len(node.all(outputs.Offered)) == 1
    assert len(node.all(outputs.Bound)) == 1
    assert [message.type for _, message in node.conduct.sent] == [message.type for _, message in other.conduct.sent]
    assert honest.violations() == []


@pytest.mark.req("V4-27", "breaks")
def test_an_answer_from_another_address_and_port_is_an_answer() -> None:
    _, _, node = hostile_from_the_start("from-elsewhere")
    assert node.address == SERVICE.first


@pytest.mark.req("V4-12", "breaks")
def test_what_nobody_asked_for_changes_nothing() -> None:
    _, _, node = hostile_from_the_start("unasked")
    assert len(node.all(outputs.Bound)) == 1
    assert node.all(outputs.Lost) == []
    assert node.all(outputs.Nak) == []


@pytest.mark.req("V4-23", "breaks")
def test_forcerenew_without_a_key_is_ignored() -> None:
    _, _, node = hostile_from_the_start("forced")
    _, _, calm = hostile_from_the_start("from-elsewhere")
    assert len(node.conduct.sent) == len(calm.conduct.sent)


@pytest.mark.req("V4-21", "breaks")
def test_rapid_commit_that_was_not_asked_for_is_no_grant() -> None:
    _, _, node = hostile_from_the_start("hasty")
    assert node.all(Dropped)
    assert node.all(outputs.Bound) == []


@pytest.mark.req("V4-5", "breaks")
@pytest.mark.parametrize("name", ["lease-0", "no-lease-time", "two-lease-times"])
def test_no_lease_without_a_lease_time(name: str) -> None:
    _, _, node = hostile_from_the_start(name)
    assert node.all(outputs.Bound) == []


@pytest.mark.req("V4-4", "breaks")
@pytest.mark.parametrize("time", [2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1])
def test_lease_times_are_unsigned(time: int) -> None:
    _, _, node = hostile_from_the_start(f"lease-{time}")
    assert node.lease is not None
    assert node.lease.duration == (None if time == 2**32 - 1 else pytest.approx(time))
    assert len(node.conduct.sent) == 2


@pytest.mark.req("V4-3", "breaks")
@pytest.mark.parametrize("name", [name for name in MODES if name.startswith(("t1-", "t2-"))])
def test_t1_and_t2_that_make_no_sense_are_worked_out_anew(name: str) -> None:
    """Twenty minutes of a ten-minute lease: renewed at about half of it, never at once and never not at all."""
    _, _, node = hostile_from_the_start(name)
    sensible = name in ("t1-1", "t1-2", "t2-1", "t2-2")
    assert 2 <= len(node.all(outputs.Extended)) <= (1200 if sensible else 5)


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize("name", [name for name in MODES if name.startswith("address-")])
def test_addresses_that_nobody_can_have_are_not_offers(name: str) -> None:
    _, _, node = hostile_from_the_start(name)
    assert node.all(outputs.Offered) == []


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize("name", ["server-zero", "server-limited-broadcast", "server-multicast"])
def test_servers_that_nobody_can_be_are_not_servers(name: str) -> None:
    _, _, node = hostile_from_the_start(name)
    assert node.all(outputs.Offered) == []


@pytest.mark.req("V4-17", "breaks")
@pytest.mark.parametrize("name", ["route-too-wide", "route-cut"])
def test_broken_classless_routes_are_void(name: str) -> None:
    _, _, node = hostile_from_the_start(name)
    assert node.lease is not None
    assert node.lease.gateway == SERVICE.server_id
    assert node.lease.notes


@pytest.mark.req("V4-17")
def test_classless_routes_without_a_default_are_no_default() -> None:
    _, _, node = hostile_from_the_start("no-default-route")
    assert node.lease is not None
    assert node.lease.gateway is None
    assert [str(route.destination) for route in node.lease.routes] == ["10.0.0.0/8"]


@pytest.mark.req("V4-35", "breaks")
@pytest.mark.req("C17", "breaks")
def test_too_much_of_everything_is_cut() -> None:
    _, _, routes = hostile_from_the_start("hundreds-of-routes")
    _, _, servers = hostile_from_the_start("hundreds-of-servers")
    assert routes.lease is not None
    assert servers.lease is not None
    assert len(routes.lease.routes) <= 64
    assert len(servers.lease.dns_servers) <= 32
    assert routes.lease.notes
    assert servers.lease.notes


@pytest.mark.req("V4-20", "breaks")
@pytest.mark.parametrize("name", ["mtu-0", "mtu-65535"])
def test_an_mtu_that_no_link_has_is_ignored(name: str) -> None:
    _, _, node = hostile_from_the_start(name)
    assert node.lease is not None
    assert node.lease.mtu is None


@pytest.mark.req("V4-19", "breaks")
def test_a_mask_with_holes_is_no_mask() -> None:
    _, _, node = hostile_from_the_start("holes-in-the-mask")
    assert node.lease is not None
    assert node.lease.address.network.prefixlen == 32


@pytest.mark.req("C13", "breaks")
def test_names_from_the_wire_are_names_or_nothing() -> None:
    _, _, node = hostile_from_the_start("name-with-control-octets")
    assert node.lease is not None
    assert node.lease.domain is None or node.lease.domain.isprintable()


@pytest.mark.req("V4-13", "breaks")
def test_an_address_that_moves_with_every_grant_is_given_up_each_time() -> None:
    network, hostile, node = hostile_from_the_start("moving")
    assert A("192.0.2.50") not in {output.lease.address.ip for output in node.all(outputs.Bound)}
    hostile.mode = None
    network.run_until_bound(RECOVERY)
