"""The address belongs to somebody else: DHCPDECLINE, pauses, defence (RFC 2131 §3.1(5), RFC 5227)."""

import attrs
import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped
from tests.protocols.dhcpv4.scene import (
    ADDRESS,
    INFINITE,
    LINK,
    MAC,
    OTHER_ADDRESS,
    SERVER,
    THIEF,
    Scene,
    claim,
    probe,
)
from tests.protocols.timeline import gaps, of, only

DISCOVER, DECLINE = MessageType.DISCOVER, MessageType.DECLINE


@pytest.mark.req("ARP-3")
@pytest.mark.parametrize("packet", [claim(), probe()], ids=["claim", "probe"])
def test_a_conflict_while_probing_declines(packet: object) -> None:
    scene = Scene().probing()
    scene.run(3)
    said = scene.arp(packet)  # type: ignore[arg-type]
    conflict = only(outputs.Conflict, said)
    assert (conflict.address, conflict.mac, conflict.defended) == (ADDRESS, THIEF, False)
    decline = only(outputs.Send, said)
    assert (decline.message.type, decline.to, decline.source) == (DECLINE, BROADCAST, None)
    assert decline.message.ciaddr == ANY
    assert decline.message.options[Option.REQUESTED_ADDRESS] == ADDRESS.packed
    assert decline.message.options[Option.SERVER_ID] == SERVER.packed
    assert decline.message.xid not in {message.xid for message in scene.sent[:-1]}
    assert not of(outputs.Lost, said)  # it never was in use
    assert of(outputs.Forget, said)
    since, failed = scene.now, only(outputs.Failed, said)
    assert (failed.during, failed.reason) == ("Probing", "conflict")
    scene.until(outputs.Send)
    assert scene.sent[-1].type is DISCOVER
    assert 10 <= scene.now - since == pytest.approx(failed.retry_in)
    assert Option.REQUESTED_ADDRESS not in scene.sent[-1].options


@pytest.mark.req("ARP-3", "breaks")
def test_a_thief_of_every_address_gets_one_attempt_a_minute() -> None:
    scene = Scene().probing()
    scene.arp(claim())
    for n in range(19):
        scene.until(outputs.Send, where=lambda send: send.message.type is DISCOVER)
        address = OTHER_ADDRESS + n
        scene.offer(address=address)
        scene.ack(address=address)
        scene.arp(claim(address))
    declines = scene.sent_at(DECLINE)
    assert len(declines) == 20
    assert all(gap >= 10 for gap in gaps(declines))
    assert all(gap >= 60 for gap in gaps(declines[9:]))
    assert min(gaps(declines[:10])) < 20
    pauses = [failed.retry_in for failed in scene.all(outputs.Failed)]
    assert all(10 <= pause <= 11 for pause in pauses[:9])
    assert all(60 <= pause <= 61 for pause in pauses[9:])


def test_our_own_probes_looped_back_are_no_conflict() -> None:
    scene = Scene().probing()
    for packet in [probe(mac=MAC), claim(mac=MAC)]:
        assert only(Dropped, scene.arp(packet)).reason == "irrelevant"
    scene.until(outputs.Bound, 10)


@pytest.mark.req("ARP-5")
@pytest.mark.parametrize(("mode", "probes"), [("probe", 3), ("parallel", 3), ("skip", 0)])
def test_the_ways_of_conflict_detection(mode: str, probes: int) -> None:
    scene = Scene(conflict_detection=mode).requesting()
    said = scene.ack()
    assert bool(of(outputs.Bound, said)) == (mode != "probe")
    scene.run(20)
    assert len([packet for packet in scene.arp_sent if packet.sender_ip == ANY]) == probes
    assert len([packet for packet in scene.arp_sent if packet.target_ip == packet.sender_ip]) == 2
    assert len(scene.all(outputs.Bound)) == 1
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("ARP-5", "breaks")
def test_an_address_in_use_meanwhile_is_given_up_at_a_conflict() -> None:
    scene = Scene(conflict_detection="parallel").requesting()
    scene.ack()
    scene.run(2)
    said = scene.arp(claim())
    assert [type(output) for output in said if not isinstance(output, outputs.Entered)] == [
        outputs.Conflict,
        outputs.Lost,
        outputs.Send,
        outputs.Forget,
        outputs.Failed,
    ]
    assert scene.machine.lease is None


@pytest.mark.req("ARP-5")
@pytest.mark.parametrize("lease_time", [8, 12])
def test_a_lease_too_short_for_probing_is_used_meanwhile(lease_time: int) -> None:
    scene = Scene().requesting()
    assert of(outputs.Bound, scene.ack(lease_time=lease_time))


@pytest.mark.req("ARP-6")
def test_a_link_without_arp_has_no_conflicts() -> None:
    scene = Scene().started(attrs.evolve(LINK, arp=False))
    scene.until(outputs.Send)
    scene.offer()
    assert of(outputs.Bound, scene.ack())
    assert scene.machine.listens == frozenset()
    scene.run(100)
    assert not scene.arp_sent


@pytest.mark.req("ARP-6", "breaks")
def test_a_claim_on_a_link_without_arp_is_ignored() -> None:
    scene = Scene().started(attrs.evolve(LINK, arp=False))
    scene.until(outputs.Send)
    scene.offer()
    scene.ack()
    assert only(Dropped, scene.arp(claim())).reason == "irrelevant"
    assert scene.machine.lease is not None


@pytest.mark.req("ARP-4")
@pytest.mark.parametrize("state", ["bound", "renewing", "rebinding"])
def test_a_lease_in_use_is_defended(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.arp(claim())
    assert only(outputs.Conflict, said).defended
    packet = only(outputs.SendArp, said).packet
    assert (packet.sender_ip, packet.target_ip) == (ADDRESS, ADDRESS)
    assert only(Dropped, scene.arp(claim())).reason == "defended-just-now"
    assert scene.machine.lease is not None


@pytest.mark.req("ARP-4", "breaks")
@pytest.mark.parametrize("state", ["bound", "renewing", "rebinding"])
def test_the_policy_release_gives_a_lease_up_at_the_second_conflict(state: str) -> None:
    scene: Scene = getattr(Scene(defend="release"), state)()
    scene.arp(claim())
    scene.run(5)
    said = scene.arp(claim())
    assert only(outputs.Lost, said).reason == "conflict"
    assert only(outputs.Send, said).message.type is DECLINE


@pytest.mark.req("ARP-4", "breaks")
def test_the_policy_defend_holds_an_infinite_lease_against_anybody() -> None:
    scene = Scene().bound(lease_time=INFINITE)
    for _ in range(500):
        scene.arp(claim())
        scene.run(1)
    assert scene.machine.lease is not None
    assert 49 <= len([conflict for conflict in scene.all(outputs.Conflict) if conflict.defended]) <= 51


def test_packets_about_others_concern_nobody() -> None:
    scene = Scene().bound()
    assert only(Dropped, scene.arp(claim(OTHER_ADDRESS))).reason == "irrelevant"
    assert only(Dropped, Scene().arp(claim())).reason == "irrelevant"
