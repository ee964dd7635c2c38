"""The timeline and the segment: order, who hears whom, every fault by itself, and the same again with the same seed."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import attrs
import pytest

from routerd.sim.ethernet import BROADCAST_MAC, PERFECT, Faults, Port, Segment
from routerd.sim.timeline import Timeline

A = b"\2\0\0\0\0\1"
B = b"\2\0\0\0\0\2"
C = b"\2\0\0\0\0\3"
PAYLOAD = b"\x08\x00" + bytes(range(86))


class Wire:
    """A segment with three stations and all that they heard."""

    def __init__(self, seed: int = 0, faults: Faults = PERFECT) -> None:
        self.timeline = Timeline()
        self.segment = Segment(self.timeline, random.Random(seed), faults)
        self.heard: list[tuple[float, bytes, bytes]] = []
        self.a, self.b, self.c = (self.station(mac) for mac in (A, B, C))

    def station(self, mac: bytes, *, isolated: bool = False) -> Port:
        return self.segment.attach(mac, lambda frame, now: self.heard.append((now, mac, frame)), isolated=isolated)

    def burst(self, count: int = 200, to: bytes = B) -> list[tuple[float, bytes, bytes]]:
        """`count` frames from A, ten a second, each with its number."""
        for number in range(count):
            self.a.send(to + A + number.to_bytes(2) + PAYLOAD, number / 10)
        self.timeline.run_until(count / 10 + 60)
        return self.heard

    def numbers(self) -> list[int]:
        return [int.from_bytes(frame[12:14]) for _, _, frame in self.heard]


def test_what_is_due_happens_in_order_and_with_its_own_time() -> None:
    timeline, seen = Timeline(), []

    def book(now: float) -> None:
        timeline.at(1.5, lambda later: seen.append(("booked on the way", later)))

    timeline.at(2, lambda now: seen.append(("second", now)))
    timeline.at(1, book)
    timeline.at(2, lambda now: seen.append(("as booked", now)))
    timeline.at(9, lambda now: seen.append(("not yet", now)))
    timeline.run_until(5)
    assert seen == [("booked on the way", 1.5), ("second", 2), ("as booked", 2)]
    assert timeline.deadline == 9


def test_a_cancelled_appointment_is_not_kept() -> None:
    timeline, seen = Timeline(), []
    timeline.at(1, lambda now: seen.append(now)).cancel()
    assert timeline.deadline is None
    timeline.run_until(2)
    assert seen == []


def test_whoever_sleeps_is_told_of_an_earlier_appointment() -> None:
    woken: list[float | None] = []
    timeline = Timeline(earlier=lambda: woken.append(timeline.deadline))
    timeline.at(5, lambda now: None)
    timeline.at(7, lambda now: None)
    timeline.at(3, lambda now: None)
    assert woken == [5, 3]


def test_unicast_reaches_one_broadcast_all_but_the_sender() -> None:
    wire = Wire()
    wire.a.send(B + A + PAYLOAD, 0)
    wire.a.send(BROADCAST_MAC + A + PAYLOAD, 1)
    wire.timeline.run_until(2)
    assert [(now, mac) for now, mac, _ in wire.heard] == [(0.001, B), (1.001, B), (1.001, C)]


def test_isolated_stations_hear_the_others_and_not_each_other() -> None:
    wire = Wire()
    one, _two = wire.station(b"\2\0\0\0\0\4", isolated=True), wire.station(b"\2\0\0\0\0\5", isolated=True)
    one.send(BROADCAST_MAC + one.mac + PAYLOAD, 0)
    wire.timeline.run_until(1)
    assert [mac for _, mac, _ in wire.heard] == [A, B, C]
    wire.heard.clear()
    wire.a.send(BROADCAST_MAC + A + PAYLOAD, 1)
    wire.timeline.run_until(2)
    assert len(wire.heard) == 4


def test_without_carrier_nothing_leaves_and_nothing_arrives() -> None:
    wire = Wire()
    wire.a.up = False
    wire.a.send(B + A + PAYLOAD, 0)
    wire.b.send(A + B + PAYLOAD, 0)
    wire.c.send(B + C + PAYLOAD, 0)  # on its way when the cable is pulled
    wire.b.up = False
    wire.timeline.run_until(1)
    assert wire.heard == []


def test_what_is_longer_than_the_mtu_passes_neither_end() -> None:
    wire = Wire()
    wire.b.mtu = 60
    wire.a.send(B + A + PAYLOAD, 0)
    wire.b.send(A + B + PAYLOAD, 0)
    wire.a.send(B + A + PAYLOAD[:60] + b"\0\0", 0)
    wire.timeline.run_until(1)
    assert [len(frame) for _, _, frame in wire.heard] == [74]


def test_who_answers_for_an_address() -> None:
    wire, address = Wire(), IPv4Address("192.0.2.1")
    assert wire.segment.resolve(address) is None
    wire.c.addresses.add(address)
    assert wire.segment.resolve(address) == C
    wire.c.up = False
    assert wire.segment.resolve(address) is None


def test_a_detached_station_is_gone() -> None:
    wire = Wire()
    wire.a.send(B + A + PAYLOAD, 0)
    wire.segment.detach(wire.b)
    wire.timeline.run_until(1)
    assert wire.heard == []


def test_loss() -> None:
    wire = Wire(faults=Faults(loss=0.3))
    assert 100 < len(wire.burst()) < 180
    assert wire.numbers() == sorted(set(wire.numbers()))


def test_duplication() -> None:
    wire = Wire(faults=Faults(duplication=0.3))
    wire.burst()
    assert set(wire.numbers()) == set(range(200))
    assert 220 < len(wire.heard) < 300


def test_reordering() -> None:
    wire = Wire(faults=Faults(reordering=0.3))
    wire.burst()
    assert wire.numbers() != sorted(wire.numbers())
    assert sorted(wire.numbers()) == list(range(200))


def test_jitter() -> None:
    wire = Wire(faults=Faults(delay=0.01, jitter=0.05))
    delays = [now - number / 10 for (now, _, _), number in zip(wire.burst(), wire.numbers(), strict=True)]
    assert 0.01 <= min(delays) < 0.02 < 0.05 < max(delays) <= 0.06


def test_truncation() -> None:
    lengths = {len(frame) for _, _, frame in Wire(faults=Faults(truncation=0.5)).burst()}
    assert max(lengths) == 14 + len(PAYLOAD)
    assert len(lengths) > 20


def test_corruption_flips_one_bit() -> None:
    wire = Wire(faults=Faults(corruption=0.5))
    wire.burst()
    flipped = [
        (int.from_bytes(frame) ^ int.from_bytes(B + A + number.to_bytes(2) + PAYLOAD)).bit_count()
        for number in range(200)
        for _, _, frame in wire.heard
        if frame[:12] == B + A and frame[12:14] == number.to_bytes(2)
    ]
    assert set(flipped) == {0, 1}
    assert 40 < flipped.count(1) < 140


BAD = Faults(
    delay=0.01, jitter=0.1, loss=0.1, duplication=0.1, reordering=0.2, truncation=0.05, corruption=0.05, hold=3.0
)


@pytest.mark.req("C1")
def test_same_seed_same_wire() -> None:
    assert Wire(7, BAD).burst(to=BROADCAST_MAC) == Wire(7, BAD).burst(to=BROADCAST_MAC)


@pytest.mark.req("C1", "breaks")
def test_other_seed_other_wire() -> None:
    assert Wire(7, BAD).burst() != Wire(8, BAD).burst()


def test_faults_may_change_while_it_runs() -> None:
    wire = Wire(faults=Faults(loss=1.0))
    wire.a.send(B + A + PAYLOAD, 0)
    wire.segment.faults = attrs.evolve(wire.segment.faults, loss=0.0)
    wire.a.send(B + A + PAYLOAD, 1)
    wire.timeline.run_until(2)
    assert [now for now, _, _ in wire.heard] == [1.001]


def test_a_witness_sees_what_was_sent_and_when() -> None:
    wire, seen = Wire(faults=Faults(loss=1.0)), []
    wire.segment.witness(lambda frame, now: seen.append((now, frame)))
    wire.a.send(B + A + PAYLOAD, 3)
    assert seen == [(3, B + A + PAYLOAD)]
