"""Suspend, late Ticks, and clocks that do not matter (C1, C2, C3)."""

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.message import BROADCAST, MessageType
from routerd.protocols.machine import Dropped, Tick
from tests.protocols.dhcpv4.scene import INFINITE, LINK, Scene, remembered
from tests.protocols.timeline import of, only

DISCOVER, REQUEST = MessageType.DISCOVER, MessageType.REQUEST


@pytest.mark.req("C3")
@pytest.mark.parametrize("state", ["bound", "renewing", "rebinding"])
def test_a_sleep_past_the_end_of_the_lease(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.sleep(10_000)
    assert [type(output) for output in said] == [outputs.Lost, outputs.Entered]
    assert of(outputs.Lost, said)[0].reason == "expired"
    assert isinstance(scene.state, states.Init)
    scene.until(outputs.Send, 1)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("C3")
def test_a_sleep_past_t2_rebinds_and_does_not_renew_first() -> None:
    scene = Scene().bound()
    said = scene.sleep(3300)
    send = only(outputs.Send, said)
    assert send.to == BROADCAST
    assert isinstance(scene.state, states.Rebinding)
    only(outputs.Extended, scene.ack())


@pytest.mark.req("C3")
def test_a_sleep_past_t1_renews_with_one_packet() -> None:
    scene = Scene().bound()
    assert len(of(outputs.Send, scene.sleep(3000))) == 1
    assert isinstance(scene.state, states.Renewing)


@pytest.mark.req("C3", "breaks")
@pytest.mark.parametrize("state", ["bound", "renewing", "rebinding"])
def test_whatever_comes_first_after_the_end_of_the_lease_comes_after_its_loss(state: str) -> None:
    for event in ("ack", "nak", "link", "arp"):
        scene: Scene = getattr(Scene(), state)()
        scene.now += 10_000
        match event:
            case "ack":
                said = scene.ack()
            case "nak":
                said = scene.nak()
            case "link":
                said = scene.feed(LINK)
            case _:
                said = scene.feed(Tick())
        assert isinstance(said[0], outputs.Lost)
        assert said[0].reason == "expired"
        assert not of(outputs.Send, said) + of(outputs.Extended, said)  # type: ignore[operator]
        assert scene.machine.lease is None


@pytest.mark.parametrize("state", ["selecting", "requesting", "probing"])
def test_a_sleep_in_an_acquisition_costs_no_burst(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.sleep(100_000)
    assert len(of(outputs.Send, said)) + len(of(outputs.SendArp, said)) <= 1
    scene.run(100)
    assert len(scene.all(outputs.Send, scene.now - 100)) <= 8


@pytest.mark.req("C3", "breaks")
def test_a_sleep_while_an_address_is_probed_never_uses_it_when_it_is_over() -> None:
    scene = Scene().probing(lease_time=60)
    scene.sleep(61)
    assert not scene.all(outputs.Bound)
    assert isinstance(scene.state, states.Init)


def test_a_tick_that_is_early_does_nothing() -> None:
    for state in ("started", "selecting", "requesting", "probing", "bound", "renewing", "rebinding"):
        scene: Scene = getattr(Scene(), state)()
        before = scene.state
        assert scene.feed(Tick()) == []
        assert scene.state == before


@pytest.mark.req("C1")
def test_the_same_seed_says_the_same() -> None:
    first, second, other = (Scene(seed).rebinding() for seed in (5, 5, 6))
    assert first.said == second.said
    assert first.said != other.said


@pytest.mark.req("C1", "breaks")
def test_nothing_but_seed_and_inputs_matters() -> None:
    """Another machine at work between its steps changes nothing: no global generator, no clock."""
    alone = Scene(5).rebinding()
    first, other = Scene(5), Scene(77)
    for scene in (first, other):
        scene.started()
    while not isinstance(first.state, states.Rebinding):
        for scene in (first, other):
            scene.run(0.25)
            if isinstance(scene.state, states.Selecting):
                scene.offer()
            elif isinstance(scene.state, states.Requesting):
                scene.ack()
    assert [message.xid for message in first.sent] == [message.xid for message in alone.sent][: len(first.sent)]


@pytest.mark.req("C2")
@pytest.mark.req("C2", "breaks")
def test_only_the_distances_of_times_matter() -> None:
    """What the wall clock says never comes in; the clock that does may begin anywhere."""
    early, late = Scene(now=10.0), Scene(now=10.0 + 2**28)
    for scene in (early, late):
        scene.rebinding()
    assert [type(said.output) for said in early.said] == [type(said.output) for said in late.said]
    for one, other in zip(early.said, late.said, strict=True):
        assert other.at - one.at == pytest.approx(2**28, abs=1e-3)
    assert [message.secs for message in early.sent] == [message.secs for message in late.sent]


@pytest.mark.req("V4-4", "breaks")
def test_an_infinite_lease_sleeps_through_years() -> None:
    scene = Scene().bound(lease_time=INFINITE)
    assert scene.sleep(20 * 365 * 86400) == []
    assert scene.machine.lease is not None


@pytest.mark.req("V4-4")
def test_a_lease_of_2_to_the_31_is_long_and_not_negative() -> None:
    scene = Scene().bound(lease_time=2**31)
    scene.run(2**30 - 100)
    assert isinstance(scene.state, states.Bound)
    scene.run(200)
    assert isinstance(scene.state, states.Renewing)


def test_a_sleep_while_a_lease_is_checked() -> None:
    scene = Scene(remembered=remembered()).started()
    said = scene.sleep(10_000)
    assert only(outputs.Lost, said).reason == "expired"


def test_an_answer_that_overtakes_the_tick_is_heard() -> None:
    scene = Scene().renewing()
    scene.now += 1500  # past T2, before the end, no Tick yet
    said = scene.ack()
    assert not of(Dropped, said)
    assert isinstance(scene.state, states.Bound)
