"""A lease from an earlier life: INIT-REBOOT (RFC 2131 §3.2), and beside it the gateway's word (RFC 4436)."""

import attrs
import pytest

from routerd.protocols.arp.packet import ArpOp
from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped, Start, Stop
from tests.protocols.dhcpv4.scene import (
    ADDRESS,
    GATEWAY_MAC,
    LINK,
    OTHER_ADDRESS,
    OTHER_SERVER,
    SERVER,
    THIEF,
    Scene,
    claim,
    gateway_answer,
    remembered,
)
from tests.protocols.timeline import of, only

REQUEST, DISCOVER = MessageType.REQUEST, MessageType.DISCOVER


def trusted(**how: object) -> Scene:
    return Scene(remembered=remembered(**how)).started()  # type: ignore[arg-type]


@pytest.mark.req("V4-30")
def test_a_trusted_lease_is_resumed_and_asked_about_in_both_ways_at_once() -> None:
    scene = Scene(remembered=remembered())
    resumed = only(outputs.Resumed, scene.feed(Start()))
    assert resumed.lease.address.ip == ADDRESS
    said = scene.feed(LINK)
    request = only(outputs.Send, said)
    assert (request.to, request.source, request.message.ciaddr) == (BROADCAST, None, ANY)
    assert request.message.options[Option.REQUESTED_ADDRESS] == ADDRESS.packed
    assert Option.SERVER_ID not in request.message.options
    question = only(outputs.SendArp, said)
    assert question.to == GATEWAY_MAC
    assert (question.packet.op, question.packet.sender_ip, question.packet.target_ip) == (
        ArpOp.REQUEST,
        ADDRESS,
        SERVER,
    )
    assert scene.machine.lease == resumed.lease
    assert scene.machine.listens == {"dhcpv4", "arp"}


@pytest.mark.req("V4-30")
def test_the_server_confirms() -> None:
    scene = trusted()
    said = scene.ack(options={Option.DOMAIN_NAME_SERVER: None})
    assert not of(outputs.Bound, said)
    assert (of(outputs.Extended, said) or of(outputs.Changed, said))[0].by == "reboot"
    assert isinstance(scene.state, states.Bound)


def test_the_server_confirms_with_other_options() -> None:
    scene = trusted()
    changed = only(outputs.Changed, scene.ack(options={Option.ROUTER: OTHER_SERVER.packed}))
    assert changed.by == "reboot"
    assert "gateway" in changed.fields


@pytest.mark.req("V4-30")
def test_the_gateway_answers_first_and_the_server_later() -> None:
    scene = trusted()
    scene.run(0.1)
    assert only(outputs.Extended, scene.arp(gateway_answer())).by == "dna"
    assert isinstance(scene.state, states.Rebooting)
    scene.run(2)
    scene.ack()
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("V4-30")
def test_the_gateway_answers_and_the_server_never() -> None:
    scene = trusted()
    lease = scene.machine.lease
    scene.arp(gateway_answer())
    scene.run(13)
    assert isinstance(scene.state, states.Bound)
    assert scene.machine.lease == lease
    assert not scene.all(outputs.Lost)


@pytest.mark.req("V4-30", "breaks")
def test_the_server_wins_over_the_gateway() -> None:
    scene = trusted()
    scene.arp(gateway_answer())
    said = scene.nak()
    assert only(outputs.Lost, said).reason == "nak"
    assert of(outputs.Forget, said)
    assert scene.machine.lease is None


@pytest.mark.req("V4-30", "breaks")
def test_nobody_answers_for_twelve_seconds() -> None:
    scene = trusted()
    lost = scene.until(outputs.Lost)
    assert (scene.now, lost.reason) == (1012.0, "unconfirmed")
    times = scene.sent_at(REQUEST)
    assert len(times) == 2
    assert 3 <= times[1] - times[0] <= 5
    scene.until(outputs.Send, 1)
    assert scene.sent[-1].type is DISCOVER
    assert scene.sent[-1].options[Option.REQUESTED_ADDRESS] == ADDRESS.packed


@pytest.mark.req("ARP-7")
def test_three_questions_to_the_gateway_two_tenths_apart() -> None:
    scene = trusted()
    scene.run(5)
    times = scene.times(outputs.SendArp)
    assert times == pytest.approx([1000.0, 1000.2, 1000.4])


@pytest.mark.req("ARP-7")
def test_the_gateway_timeouts_are_settings() -> None:
    scene = Scene(remembered=remembered(), dna_timeout=1.0, dna_probes=2).started()
    scene.run(5)
    assert scene.times(outputs.SendArp) == pytest.approx([1000.0, 1001.0])


@pytest.mark.req("ARP-7", "breaks")
@pytest.mark.parametrize(
    "answer",
    [
        gateway_answer(mac=THIEF),
        gateway_answer(address=OTHER_SERVER),
        attrs.evolve(gateway_answer(), op=ArpOp.REQUEST),
        attrs.evolve(gateway_answer(), target_mac=THIEF),
    ],
    ids=["another host", "another address", "no reply", "not to us"],
)
def test_only_the_same_gateway_confirms(answer: object) -> None:
    scene = trusted()
    before = scene.state
    assert only(Dropped, scene.arp(answer)).reason == "irrelevant"  # type: ignore[arg-type]
    assert scene.state == before
    scene.until(outputs.Lost, 12)


@pytest.mark.req("ARP-7", "breaks")
def test_a_link_local_lease_is_not_tested() -> None:
    held = remembered()
    lease = attrs.evolve(held.lease, address=type(held.lease.address)("169.254.3.4/16"))
    scene = Scene(remembered=attrs.evolve(held, lease=lease)).started()
    scene.run(5)
    assert not scene.arp_sent


@pytest.mark.req("ARP-6")
def test_on_a_link_without_arp_only_the_server_is_asked() -> None:
    scene = Scene(remembered=remembered()).started(attrs.evolve(LINK, arp=False))
    scene.ack()
    assert isinstance(scene.state, states.Bound)
    scene.run(60)
    assert not scene.arp_sent


@pytest.mark.req("C4")
def test_a_lease_of_unknown_age_is_not_used_before_somebody_confirms_it() -> None:
    scene = trusted(trusted=False)
    assert scene.machine.lease is None
    assert not scene.all(outputs.Resumed)
    bound = only(outputs.Bound, scene.ack())
    assert bound.confirmed_by == "reboot"
    assert scene.machine.lease == bound.lease


@pytest.mark.req("C4")
def test_the_gateway_too_may_confirm_a_lease_of_unknown_age() -> None:
    scene = trusted(trusted=False)
    assert only(outputs.Bound, scene.arp(gateway_answer())).confirmed_by == "dna"
    said = scene.ack()
    assert not of(outputs.Bound, said)
    assert not scene.all(outputs.Lost)


@pytest.mark.req("C4", "breaks")
def test_a_lease_of_unknown_age_that_nobody_confirms_is_never_used() -> None:
    scene = trusted(trusted=False)
    scene.run(20)
    assert not scene.all(outputs.Bound)
    assert not scene.all(outputs.Lost)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("C4", "breaks")
def test_the_gateway_cannot_confirm_what_has_ended() -> None:
    scene = trusted(trusted=False, lease_time=101.0)  # over one second from now
    scene.run(1.5)
    scene.arp(gateway_answer())
    assert scene.machine.lease is None
    ended = trusted(trusted=False, lease_time=50.0)
    assert not ended.arp_sent
    assert ended.sent[0].type is REQUEST


def test_an_expired_lease_is_only_a_wish() -> None:
    scene = trusted(lease_time=50.0)
    scene.until(outputs.Send, 1)
    assert scene.sent[0].type is DISCOVER
    assert scene.sent[0].options[Option.REQUESTED_ADDRESS] == ADDRESS.packed
    assert not scene.all(outputs.Resumed) + scene.all(outputs.Lost)  # type: ignore[operator]


def test_a_lease_that_ends_while_it_is_asked_about() -> None:
    scene = trusted(lease_time=105.0)
    assert scene.until(outputs.Lost).reason == "expired"
    assert scene.now == 1005.0


def test_another_address_from_the_server_of_the_lease_replaces_it() -> None:
    scene = trusted()
    said = scene.ack(address=OTHER_ADDRESS)
    assert only(outputs.Lost, said).reason == "moved"
    assert scene.until(outputs.Bound, 10).lease.address.ip == OTHER_ADDRESS


def test_another_address_from_elsewhere_is_ignored() -> None:
    scene = trusted()
    assert only(Dropped, scene.ack(server=OTHER_SERVER, address=OTHER_ADDRESS)).reason == "wrong-address"


def test_any_server_of_the_new_network_may_refuse_the_lease_of_the_old_one() -> None:
    scene = trusted()
    assert only(outputs.Lost, scene.nak(server=OTHER_SERVER)).reason == "nak"


@pytest.mark.req("ARP-5")
def test_a_confirmed_address_is_probed_while_in_use() -> None:
    scene = trusted(trusted=False)
    only(outputs.Bound, scene.ack())
    scene.run(10)
    probes = [packet for packet in scene.arp_sent if packet.sender_ip == ANY]
    assert len(probes) == 3
    assert scene.machine.lease is not None


@pytest.mark.req("ARP-5", "breaks")
def test_a_confirmed_address_that_somebody_else_has_is_given_up() -> None:
    scene = trusted()
    scene.ack()
    said = scene.arp(claim())
    assert only(outputs.Lost, said).reason == "conflict"
    assert only(outputs.Send, said).message.type is MessageType.DECLINE


@pytest.mark.req("V4-33")
def test_a_restart_keeps_the_lease() -> None:
    scene = Scene(conflict_detection="parallel").requesting()
    scene.ack()
    lease = scene.machine.lease
    said = scene.feed(Stop())
    assert (scene.machine.deadline, scene.machine.listens) == (None, frozenset())
    assert not of(outputs.Lost, said) + of(outputs.Send, said) + of(outputs.Forget, said)  # type: ignore[operator]
    assert scene.machine.lease is None
    scene.run(30)
    assert only(outputs.Resumed, scene.feed(Start())).lease == lease
    only(outputs.Extended, scene.ack())


@pytest.mark.req("V4-33", "breaks")
def test_a_stop_in_the_midst_of_an_acquisition_begins_it_anew() -> None:
    for scene in (Scene().selecting(), Scene().requesting()):
        scene.feed(Stop())
        assert scene.machine.deadline is None
        scene.run(100)
        scene.feed(Start())
        scene.until(outputs.Send, 1)
        assert scene.sent[-1].type is DISCOVER


def test_a_stop_while_probing_asks_for_the_same_lease_again() -> None:
    scene = Scene().probing()
    scene.feed(Stop())
    scene.run(100)
    scene.feed(Start())
    assert scene.sent[-1].options[Option.REQUESTED_ADDRESS] == ADDRESS.packed
    only(outputs.Bound, scene.ack())


def test_a_trusted_lease_without_a_carrier_is_kept_until_it_ends() -> None:
    scene = Scene(remembered=remembered())
    scene.feed(Start())
    assert isinstance(scene.state, states.Detached)
    assert scene.until(outputs.Lost).reason == "expired"
    assert isinstance(scene.state, states.NoLink)
    scene.feed(LINK)
    scene.until(outputs.Send, 1)
    assert scene.sent[0].type is DISCOVER


def test_without_a_known_gateway_only_the_server_is_asked() -> None:
    scene = Scene(remembered=attrs.evolve(remembered(), gateway_mac=None)).started()
    scene.run(5)
    assert not scene.arp_sent


@pytest.mark.req("V4-30")
def test_the_gateway_is_learnt_beside_the_announcements() -> None:
    scene = Scene().bound()
    asked = [packet for packet in scene.arp_sent if packet.target_ip == SERVER]
    assert len(asked) == 2
    assert only(outputs.GatewayKnown, scene.arp(gateway_answer())).mac == GATEWAY_MAC
    assert scene.arp(gateway_answer()) == []
    assert only(Dropped, scene.arp(gateway_answer(address=OTHER_SERVER))).reason == "irrelevant"
    scene.feed(LinkDown())
    scene.run(1)
    question = only(outputs.SendArp, scene.feed(LINK))
    assert question.to == GATEWAY_MAC


def test_a_gateway_that_came_with_a_renewal_is_learnt_too() -> None:
    scene = Scene().renewing()
    scene.ack(options={Option.ROUTER: OTHER_SERVER.packed})
    known = only(outputs.GatewayKnown, scene.arp(gateway_answer(address=OTHER_SERVER)))
    assert known.address == OTHER_SERVER


@pytest.mark.req("C17", "breaks")
def test_a_flood_of_gateways_is_one_lesson() -> None:
    scene = Scene().bound()
    for n in range(100):
        scene.arp(gateway_answer(mac=bytes((2, 0, 0, 0, 0, n))))
    assert len(scene.all(outputs.GatewayKnown)) == 1
    scene.until_state(states.Renewing)
    scene.ack()
    assert of(outputs.GatewayKnown, scene.arp(gateway_answer()))
