"""RENEWING, REBINDING and expiry (RFC 2131 §4.4.5)."""

import json
from pathlib import Path

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import SendFailed
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped
from tests.protocols.dhcpv4.scene import ADDRESS, INFINITE, OTHER_ADDRESS, OTHER_SERVER, SERVER, Scene, u32
from tests.protocols.timeline import gaps, of, only

REQUEST, ACK, NAK = MessageType.REQUEST, MessageType.ACK, MessageType.NAK
SCHEDULES = json.loads((Path(__file__).parents[2] / "vectors" / "dhcpv4" / "schedule.json").read_text())["renewal"]


@pytest.mark.req("V4-2")
def test_t1_and_t2_are_at_half_and_seven_eighths_with_some_fuzz() -> None:
    t1s, t2s = set(), set()
    for seed in range(30):
        scene = Scene(seed).rebinding()
        lease = scene.machine.lease
        assert lease is not None
        first, second = scene.times(outputs.Entered, lambda entered: entered.state in ("Renewing", "Rebinding"))
        t1s.add(first - lease.obtained_at)
        t2s.add(second - lease.obtained_at)
    assert all(1799 <= t1 <= 1801 for t1 in t1s)
    assert all(3149 <= t2 <= 3151 for t2 in t2s)
    assert len(t1s) == len(t2s) == 30


@pytest.mark.req("V4-3")
@pytest.mark.req("V4-3", "breaks")
@pytest.mark.parametrize(
    ("t1", "t2", "expected"),
    [
        (600, 900, 600),
        (0, 900, 1800),
        (900, 900, 1800),
        (900, 600, 1800),
        (3600, 3700, 1800),
        (INFINITE, INFINITE, 1800),
    ],
)
def test_t1_of_the_server_if_it_makes_sense(t1: int, t2: int, expected: int) -> None:
    scene = Scene().requesting()
    start = scene.now
    scene.ack(options={Option.RENEWAL_TIME: u32(t1), Option.REBINDING_TIME: u32(t2)})
    scene.until_state(states.Renewing)
    assert abs(scene.now - start - expected) <= 1


def test_a_renewal_is_a_legal_request() -> None:
    scene = Scene().renewing()
    send = scene.all(outputs.Send)[-1]
    assert (send.to, send.source) == (SERVER, ADDRESS)
    assert (send.message.ciaddr, send.message.broadcast, send.message.secs) == (ADDRESS, False, 0)
    assert not {Option.REQUESTED_ADDRESS, Option.SERVER_ID} & send.message.options.keys()


@pytest.mark.req("V4-32")
def test_a_unicast_renewal_names_its_source_address() -> None:
    assert Scene().renewing().all(outputs.Send)[-1].source == ADDRESS


@pytest.mark.req("V4-32", "breaks")
def test_only_what_is_broadcast_goes_without_a_source_address() -> None:
    scene = Scene().rebinding()
    for send in scene.all(outputs.Send):
        assert (send.source is None) == (send.to == BROADCAST)


def test_a_rebinding_is_a_legal_request() -> None:
    scene = Scene().rebinding()
    send = scene.all(outputs.Send)[-1]
    assert (send.to, send.source) == (BROADCAST, None)
    assert send.message.ciaddr == ADDRESS
    assert send.message.secs >= 1349  # since the renewal began (V4-37)
    assert not {Option.REQUESTED_ADDRESS, Option.SERVER_ID} & send.message.options.keys()


@pytest.mark.parametrize("vector", SCHEDULES, ids=lambda vector: str(vector["lease"]))
def test_the_renewal_schedule_of_a_silent_server(vector: dict[str, object]) -> None:
    """Half of what remains, at least a minute; the vectors are without fuzz, hence the two seconds."""
    lease_time = INFINITE if vector["lease"] is None else vector["lease"]
    scene = Scene(conflict_detection="skip").requesting()
    start = scene.now
    scene.ack(lease_time=lease_time)
    scene.run(200_000 if vector["lease"] is None else float(str(vector["lease"])) - 0.001)
    sent = [at - start for at in scene.sent_at(REQUEST) if at > start]
    expected = vector["renewing"] + vector["rebinding"]  # type: ignore[operator]
    assert len(sent) == len(expected)
    assert all(abs(at - then) <= 2 for at, then in zip(sent, expected, strict=True)), (sent, expected)


def test_an_answer_that_changes_nothing_only_extends() -> None:
    scene = Scene().renewing()
    asked = scene.now
    said = scene.ack()
    extended = only(outputs.Extended, said)
    assert (extended.by, extended.lease.obtained_at, extended.lease.expires_at) == ("renew", asked, asked + 3600)
    assert not of(outputs.Bound, said) + of(outputs.Lost, said)  # type: ignore[operator]
    assert isinstance(scene.state, states.Bound)
    assert scene.machine.lease == extended.lease


@pytest.mark.req("C15")
def test_a_hundred_renewals_say_only_extended() -> None:
    scene = Scene().bound()
    begun = scene.now
    for _ in range(100):
        scene.until_state(states.Renewing)
        scene.ack()
    kinds = {type(said.output) for said in scene.said if said.at > begun}
    assert kinds == {outputs.Entered, outputs.Send, outputs.Extended}


@pytest.mark.req("C15", "breaks")
def test_what_moves_is_removed_before_it_is_added() -> None:
    scene = Scene(conflict_detection="skip").renewing()
    said = scene.ack(address=OTHER_ADDRESS)
    kinds = [type(output) for output in said if isinstance(output, outputs.Lost | outputs.Bound)]
    assert kinds == [outputs.Lost, outputs.Bound]


@pytest.mark.req("V4-14")
@pytest.mark.parametrize("state", ["renewing", "rebinding"])
def test_other_options_for_the_same_address_are_one_change(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.ack(options={Option.DOMAIN_NAME_SERVER: OTHER_SERVER.packed, Option.ROUTER: OTHER_SERVER.packed})
    changed = only(outputs.Changed, said)
    assert set(changed.fields) == {"dns_servers", "gateway", "routes"}
    assert changed.previous.dns_servers == (SERVER,)
    assert changed.lease.dns_servers == (OTHER_SERVER,)
    assert not of(outputs.Lost, said)
    assert not of(outputs.Bound, said)


@pytest.mark.req("V4-14", "breaks")
def test_a_server_that_changes_its_mind_every_time_never_costs_the_address() -> None:
    scene = Scene().bound()
    for n in range(20):
        scene.until_state(states.Renewing)
        scene.ack(options={Option.DOMAIN_NAME_SERVER: (SERVER + n + 1).packed})
    assert len(scene.all(outputs.Changed)) == 20
    assert not scene.all(outputs.Lost)


@pytest.mark.req("V4-13")
@pytest.mark.parametrize("state", ["renewing", "rebinding"])
def test_another_address_replaces_the_old_one_after_conflict_detection(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.ack(address=OTHER_ADDRESS)
    assert only(outputs.Lost, said).reason == "moved"
    assert scene.machine.lease is None
    assert isinstance(scene.state, states.Probing)
    bound = scene.until(outputs.Bound, 10)
    assert bound.lease.address.ip == OTHER_ADDRESS


@pytest.mark.req("V4-13", "breaks")
@pytest.mark.req("V4-10", "breaks")
@pytest.mark.parametrize("state", ["renewing", "rebinding"])
def test_another_address_from_another_server_is_ignored(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    before = scene.state
    assert only(Dropped, scene.ack(server=OTHER_SERVER, address=OTHER_ADDRESS)).reason == "wrong-server"
    assert scene.state == before


@pytest.mark.req("V4-10")
@pytest.mark.parametrize("state", ["renewing", "rebinding"])
def test_a_failover_partner_may_extend(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    extended = only(outputs.Extended, scene.ack(server=OTHER_SERVER))
    assert extended.lease.server_id == OTHER_SERVER
    scene.until_state(states.Renewing)
    assert scene.all(outputs.Send)[-1].to == OTHER_SERVER


@pytest.mark.req("V4-31")
@pytest.mark.req("V4-31", "breaks")
def test_a_renewal_that_cannot_be_sent_counts_and_the_broadcast_at_t2_comes() -> None:
    scene = Scene().renewing()
    while isinstance(scene.state, states.Renewing):
        assert scene.feed(SendFailed("Network is unreachable")) == []
        scene.until(outputs.Send)
    assert scene.all(outputs.Send)[-1].to == BROADCAST
    only(outputs.Extended, scene.ack())


def test_at_expiry_the_address_goes_and_a_new_acquisition_asks_for_it() -> None:
    scene = Scene().bound()
    lost = scene.until(outputs.Lost)
    assert scene.now == lost.lease.expires_at
    assert scene.machine.lease is None
    scene.until(outputs.Send, 1)
    discover = scene.sent[-1]
    assert (discover.type, discover.ciaddr) == (MessageType.DISCOVER, ANY)
    assert discover.options[Option.REQUESTED_ADDRESS] == ADDRESS.packed


def test_a_late_answer_to_the_first_renewal_still_counts() -> None:
    scene = Scene().renewing()
    first = scene.sent[-1]
    scene.until(outputs.Send)
    assert isinstance(scene.state, states.Renewing)
    only(outputs.Extended, scene.ack(to=first))


def test_an_answer_to_the_renewal_is_no_answer_to_the_rebinding() -> None:
    scene = Scene().renewing()
    renewal = scene.sent[-1]
    scene.until_state(states.Rebinding)
    assert only(Dropped, scene.ack(to=renewal)).reason == "wrong-xid"


@pytest.mark.req("V4-12")
@pytest.mark.parametrize("kind", [MessageType.OFFER, ACK, NAK])
def test_bound_hears_no_answers(kind: MessageType) -> None:
    scene = Scene().bound()
    before, deadline = scene.state, scene.machine.deadline
    assert only(Dropped, scene.feed(scene.reply(kind))).reason == "stale"
    assert (scene.state, scene.machine.deadline) == (before, deadline)


@pytest.mark.req("V4-12", "breaks")
def test_an_unsolicited_ack_moves_nobody() -> None:
    scene = Scene().bound()
    lease = scene.machine.lease
    for xid in (0, 1, scene.sent[-1].xid):
        assert len(scene.ack(xid=xid, address=OTHER_ADDRESS, server=OTHER_SERVER)) == 1
    assert scene.machine.lease == lease


def test_gaps_of_the_schedule_never_fall_below_a_minute() -> None:
    scene = Scene().bound()
    begun = scene.now
    scene.until(outputs.Lost)
    renewing = [at for at in scene.sent_at(REQUEST) if begun < at]
    lease = scene.all(outputs.Lost)[0].lease
    assert lease.t2 is not None
    for phase in ([at for at in renewing if at < lease.t2], [at for at in renewing if at >= lease.t2]):
        assert all(gap > 59.999 for gap in gaps(phase))
