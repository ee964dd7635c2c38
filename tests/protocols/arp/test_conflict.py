"""RFC 5227 alone: probe, announce, defend."""

import random
from ipaddress import IPv4Address
from typing import Literal

import attrs
import pytest

from routerd.protocols.arp.conflict import (
    LONGEST_PROBING,
    Announcing,
    Clear,
    Contested,
    Defended,
    Defending,
    Detector,
    Idle,
    Probing,
)
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.machine import Dropped, Start, Stop, Tick
from tests.protocols.timeline import Timeline, gaps, of, only

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("0200000000bb")
ADDRESS = IPv4Address("192.0.2.10")
ANY = IPv4Address("0.0.0.0")

CLAIM = ArpPacket(ArpOp.REPLY, OTHER, ADDRESS, MAC, ADDRESS)
ASKING = ArpPacket(ArpOp.REQUEST, OTHER, ADDRESS, ZERO_MAC, IPv4Address("192.0.2.1"))
PROBE = ArpPacket(ArpOp.REQUEST, OTHER, ANY, ZERO_MAC, ADDRESS)


def watch(seed: int = 1, *, probe: bool = True, policy: Literal["defend", "release"] = "defend") -> Timeline:
    timeline = Timeline(Detector(ADDRESS, MAC, random.Random(seed), probe=probe, policy=policy), now=0.0)
    timeline.feed(Start())
    return timeline


def defending(policy: Literal["defend", "release"] = "defend") -> Timeline:
    timeline = watch(policy=policy)
    timeline.run(20)
    assert isinstance(timeline.machine.state, Defending)
    return timeline


@pytest.mark.req("ARP-1")
def test_three_probes_and_two_announcements_in_their_times() -> None:
    firsts, distances = [], []
    for seed in range(50):
        timeline = watch(seed)
        timeline.run(20)
        *probes, first, second = timeline.times(ArpPacket)
        (clear,) = timeline.times(Clear)
        assert len(probes) == 3
        firsts.append(probes[0])
        distances += gaps(probes)
        assert clear - probes[-1] == pytest.approx(2)
        assert (first, second) == pytest.approx((clear, clear + 2))
        assert clear <= LONGEST_PROBING
    assert all(0 <= first <= 1 for first in firsts)
    assert max(firsts) - min(firsts) > 0.8
    assert all(1 <= distance <= 2 for distance in distances)
    assert max(distances) - min(distances) > 0.8


@pytest.mark.req("ARP-1", "breaks")
def test_what_others_say_of_others_changes_no_time() -> None:
    quiet, noisy = watch(), watch()
    for _ in range(2000):
        only(Dropped, noisy.feed(attrs.evolve(CLAIM, sender_ip=IPv4Address("192.0.2.77"))))
        noisy.run(0.01)
    quiet.run(20)
    assert noisy.times(ArpPacket) == quiet.times(ArpPacket)


@pytest.mark.req("ARP-2")
def test_what_a_probe_is() -> None:
    timeline = watch()
    assert timeline.until(ArpPacket) == ArpPacket(ArpOp.REQUEST, MAC, ANY, ZERO_MAC, ADDRESS)


@pytest.mark.req("ARP-4")
def test_what_an_announcement_is() -> None:
    timeline = watch(probe=False)
    assert timeline.until(ArpPacket) == ArpPacket(ArpOp.REQUEST, MAC, ADDRESS, ZERO_MAC, ADDRESS)
    assert timeline.now == 0


@pytest.mark.req("ARP-5")
def test_without_probing_it_is_announced_at_once() -> None:
    timeline = watch(probe=False)
    timeline.run(20)
    assert timeline.times(ArpPacket) == [0, 2]
    assert not timeline.all(Clear)


@pytest.mark.req("ARP-2", "breaks")
@pytest.mark.parametrize("packet", [CLAIM, ASKING, PROBE], ids=["reply", "request", "probe"])
@pytest.mark.parametrize("after", [0, 1, 3, "last"])
def test_whoever_has_or_wants_it_while_we_probe(packet: ArpPacket, after: float | str) -> None:
    timeline = watch()
    if after == "last":
        timeline.run(timeline.machine.deadline)
        while timeline.machine.state.sent < 3:
            timeline.until(ArpPacket)
        timeline.run(1.9)
    else:
        timeline.run(float(after))
    assert isinstance(timeline.machine.state, Probing)
    assert only(Contested, timeline.feed(packet)).mac == OTHER
    assert timeline.machine.state == Idle()
    assert timeline.machine.deadline is None


@pytest.mark.req("ARP-3", "breaks")
@pytest.mark.parametrize(
    "packet",
    [
        attrs.evolve(PROBE, sender_mac=MAC),
        attrs.evolve(CLAIM, sender_mac=MAC),
        attrs.evolve(PROBE, target_ip=IPv4Address("192.0.2.11")),
        attrs.evolve(CLAIM, sender_ip=IPv4Address("192.0.2.11")),
        attrs.evolve(PROBE, op=ArpOp.REPLY),
        attrs.evolve(PROBE, sender_ip=IPv4Address("192.0.2.1")),
    ],
    ids=["our probe", "our claim", "another's probe", "another's claim", "no request", "an ordinary question"],
)
def test_what_is_no_conflict(packet: ArpPacket) -> None:
    timeline = watch()
    timeline.run(2)
    before, deadline = timeline.machine.state, timeline.machine.deadline
    assert only(Dropped, timeline.feed(packet)).reason == "irrelevant"
    assert (timeline.machine.state, timeline.machine.deadline) == (before, deadline)
    timeline.until(Clear)


@pytest.mark.req("ARP-4")
def test_a_claim_is_answered_with_one_announcement() -> None:
    timeline = defending()
    defended, announcement = timeline.feed(CLAIM)
    assert defended == Defended(ADDRESS, OTHER)
    assert announcement == ArpPacket(ArpOp.REQUEST, MAC, ADDRESS, ZERO_MAC, ADDRESS)


@pytest.mark.req("ARP-4")
def test_it_is_defended_while_it_is_announced_too() -> None:
    timeline = watch()
    timeline.until(Clear)
    assert isinstance(timeline.machine.state, Announcing)
    assert of(Defended, timeline.feed(CLAIM))
    timeline.run(20)
    assert len(of(Dropped, timeline.feed(CLAIM))) == 0


@pytest.mark.req("ARP-4")
def test_a_probe_by_another_is_not_yet_a_claim() -> None:
    timeline = defending()
    assert only(Dropped, timeline.feed(PROBE)).reason == "irrelevant"


@pytest.mark.req("ARP-4", "breaks")
def test_two_hosts_do_not_shout_each_other_down() -> None:
    timeline = defending()
    announced = 0
    for _ in range(1000):
        announced += len(of(ArpPacket, timeline.feed(CLAIM)))
        timeline.run(0.1)
    assert announced == 10
    times = [said.at for said in timeline.said if isinstance(said.output, Defended)]
    assert all(gap >= 9.999 for gap in gaps(times))


@pytest.mark.req("ARP-4", "breaks")
def test_the_policy_may_be_to_yield_to_a_second_claim() -> None:
    timeline = defending("release")
    assert of(Defended, timeline.feed(CLAIM))
    timeline.run(9.9)
    assert only(Contested, timeline.feed(CLAIM)).mac == OTHER


@pytest.mark.req("ARP-4")
def test_claims_far_apart_are_each_defended_whatever_the_policy() -> None:
    timeline = defending("release")
    for _ in range(5):
        assert of(Defended, timeline.feed(CLAIM))
        timeline.run(10)


def test_early_ticks_and_stops() -> None:
    timeline = watch()
    assert timeline.feed(Tick()) == []
    assert timeline.feed(Start()) == []
    timeline.feed(Stop())
    assert timeline.machine.deadline is None
    assert only(Dropped, timeline.feed(CLAIM)).reason == "irrelevant"
    timeline.feed(Start())
    timeline.until(Clear)
    for _ in range(3):
        assert timeline.feed(Tick()) == []
