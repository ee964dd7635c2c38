"""Many clients, one server that is away: no bursts (D13), no client above its cap (C9)."""

import heapq
import itertools
import random
from collections import Counter

import pytest

from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.inputs import LinkDown
from routerd.protocols.machine import Tick
from tests.protocols.dhcpv4.scene import LINK, Scene


def packets_of(scene: Scene) -> list[float]:
    return scene.times(outputs.Send) + scene.times(outputs.SendArp)


@pytest.mark.req("C9")
def test_a_thousand_clients_of_a_server_that_restarts_do_not_beat_in_time() -> None:
    rng = random.Random(7)
    clients = [Scene(seed, now=rng.uniform(0, 600), conflict_detection="skip").requesting() for seed in range(1000)]
    for client in clients:
        client.ack(lease_time=600)
    order = itertools.count()
    queue = [(client.machine.deadline, next(order), client) for client in clients]
    heapq.heapify(queue)
    away, until = (1000, 1240)
    seconds: Counter[int] = Counter()
    while queue[0][0] < 1500:
        now, _, client = heapq.heappop(queue)
        client.now = now
        for output in client.feed(Tick()):
            if isinstance(output, outputs.Send):
                if away <= now < until + 60:
                    seconds[int(now)] += 1
                if not away <= now < until:
                    client.ack(lease_time=600)
        heapq.heappush(queue, (client.machine.deadline, next(order), client))
    mean = sum(seconds.values()) / (until + 60 - away)
    assert mean > 3
    assert max(seconds.values()) / mean < 3
    assert not any(client.all(outputs.Lost) for client in clients)


@pytest.mark.req("C9", "breaks")
def test_a_link_that_never_rests_is_answered_within_the_cap() -> None:
    scene = Scene().bound()
    begun = scene.now
    while scene.now < begun + 120:
        scene.feed(LinkDown())
        scene.feed(LINK)
        scene.run(0.01)
    times = sorted(at for at in packets_of(scene) if at >= begun)
    for first, at in enumerate(times):
        for count, later in enumerate(times[first:], 1):
            assert count <= 10 + later - at + 1e-6


@pytest.mark.req("C9", "breaks")
def test_a_server_that_answers_at_once_and_always_refuses() -> None:
    scene = Scene(offer_window=0.0).selecting()
    begun = scene.now
    for _ in range(30):
        scene.offer()
        scene.nak()
        scene.until(outputs.Send)
    assert len(scene.sent) / (scene.now - begun) < 0.1


@pytest.mark.req("C9", "breaks")
def test_a_decline_always_finds_a_token() -> None:
    scene = Scene(conflict_detection="parallel").selecting()
    for _ in range(50):
        scene.feed(LinkDown())
        scene.feed(LINK)
    assert scene.machine.deadline is not None
    scene.until(outputs.Send)
    scene.offer()
    scene.run(5)
    scene.ack()
    station = scene.machine._station
    while station.can_send(scene.now):
        station.bucket = station.bucket.take(scene.now)
    assert station.bucket.ready_at() <= scene.now
