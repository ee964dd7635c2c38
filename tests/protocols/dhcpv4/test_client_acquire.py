"""INIT, SELECTING, REQUESTING: a lease from nothing (RFC 2131 §4.4.1)."""

import itertools

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown, SendFailed
from routerd.protocols.dhcpv4.message import BROADCAST, MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped, Start
from tests.protocols.dhcpv4.scene import (
    ADDRESS,
    INFINITE,
    LINK,
    OTHER_ADDRESS,
    OTHER_SERVER,
    SERVER,
    Scene,
    remembered,
    u32,
)
from tests.protocols.timeline import gaps, of, only, snapshot

DISCOVER, REQUEST, OFFER, ACK, NAK = (
    MessageType.DISCOVER,
    MessageType.REQUEST,
    MessageType.OFFER,
    MessageType.ACK,
    MessageType.NAK,
)


def test_the_whole_way() -> None:
    scene = Scene().started()
    scene.until(outputs.Send, 1)
    assert scene.sent[0].type is DISCOVER
    scene.offer()
    scene.ack()
    bound = scene.until(outputs.Bound, 10)
    assert (bound.lease.address.ip, bound.lease.server_id, bound.confirmed_by) == (ADDRESS, SERVER, "request")
    assert scene.machine.lease == bound.lease
    names = [entered.state for entered in scene.all(outputs.Entered)]
    assert names == ["NoLink", "Init", "Selecting", "Requesting", "Probing", "Bound"]


@pytest.mark.req("V4-1")
def test_the_start_is_delayed_by_up_to_a_second() -> None:
    delays = set()
    for seed in range(50):
        scene = Scene(seed).started()
        assert not scene.sent
        scene.until(outputs.Send)
        delays.add(scene.now - 1000)
    assert all(0 <= delay <= 1 for delay in delays)
    assert min(delays) < 0.2
    assert max(delays) > 0.8


@pytest.mark.req("V4-1")
def test_a_remembered_lease_is_asked_about_without_delay() -> None:
    scene = Scene(remembered=remembered()).started()
    assert scene.sent_at(REQUEST) == [1000.0]


@pytest.mark.req("V4-1", "breaks")
def test_discovers_to_a_silent_network_go_on_for_ever() -> None:
    waits: list[list[float]] = []
    for seed in range(20):
        scene = Scene(seed).started()
        scene.run(2000)
        waits.append(gaps(scene.sent_at(DISCOVER)))
    for n, nominal in enumerate([4, 8, 16, 32, 64, 64, 64, 64, 64]):
        drawn = [wait[n] for wait in waits]
        assert all(nominal - 1 <= wait <= nominal + 1 for wait in drawn)
        assert max(drawn) - min(drawn) > 0.5, "the jitter is drawn for each transmission"
    assert len({message.xid for message in scene.sent}) == 1  # C10


@pytest.mark.req("V4-1")
def test_every_fifth_unanswered_discover_is_an_event() -> None:
    scene = Scene().started()
    scene.run(1000)
    failures = scene.times(outputs.Failed)
    discovers = scene.sent_at(DISCOVER)
    assert failures == [discovers[5], discovers[10], discovers[15]]
    assert {failed.reason for failed in scene.all(outputs.Failed)} == {"no-answer"}


@pytest.mark.req("V4-1", "breaks")
def test_a_server_that_offers_and_then_is_silent() -> None:
    scene = Scene().requesting()
    failed = scene.until(outputs.Failed, 70)
    times = scene.sent_at(REQUEST)
    for wait, nominal in zip(gaps([*times, scene.now]), [4, 8, 16, 32], strict=True):
        assert nominal - 1 <= wait <= nominal + 1
    assert (failed.during, failed.reason) == ("Requesting", "no-answer")
    assert isinstance(scene.state, states.Init)
    scene.until(outputs.Send, failed.retry_in)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("V4-37")
def test_the_request_has_the_secs_and_the_flag_of_its_discover() -> None:
    scene = Scene().selecting()
    for _ in range(2):
        scene.until(outputs.Send)
    discover = scene.sent[-1]
    assert discover.secs >= 11
    assert discover.broadcast
    scene.run(1)
    scene.offer()
    scene.run(30)
    for request in [message for message in scene.sent if message.type is REQUEST]:
        assert (request.secs, request.broadcast, request.xid) == (discover.secs, True, discover.xid)


@pytest.mark.req("V4-37", "breaks")
def test_secs_saturates_when_nobody_answers_for_a_day() -> None:
    scene = Scene().selecting()
    scene.run(70000)
    assert scene.sent[-1].secs == 65535
    secs = [message.secs for message in scene.sent]
    assert secs == sorted(secs)
    assert secs[0] == 0


@pytest.mark.req("V4-37", "breaks")
def test_what_bootp_had_is_no_configuration() -> None:
    plain = Scene().bound().machine.lease
    odd = Scene().bound(giaddr=OTHER_SERVER, siaddr=OTHER_SERVER).machine.lease
    assert plain == odd


@pytest.mark.req("V4-8")
def test_the_broadcast_flag_alternates_after_two_unanswered_discovers() -> None:
    scene = Scene().selecting()
    scene.run(400)
    flags = [message.broadcast for message in scene.sent]
    assert flags[:8] == [False, False, True, False, True, False, True, False]


@pytest.mark.req("V4-8", "breaks")
def test_a_relay_that_answers_only_broadcast_discovers_is_found() -> None:
    scene = Scene().selecting()
    while not scene.sent[-1].broadcast:
        scene.until(outputs.Send)
    scene.offer()
    scene.ack()
    scene.until(outputs.Bound, 10)
    assert scene.now < 1030


@pytest.mark.parametrize(("choice", "expected"), [("always", True), ("never", False)])
def test_the_broadcast_flag_may_be_chosen(choice: str, expected: bool) -> None:
    scene = Scene(broadcast=choice).selecting()
    scene.run(100)
    assert {message.broadcast for message in scene.sent} == {expected}


# Choosing (V4-9)


@pytest.mark.req("V4-9")
def test_the_first_offer_is_taken_at_once() -> None:
    scene = Scene().selecting()
    said = scene.offer()
    assert only(outputs.Offered, said).server_id == SERVER
    request = only(outputs.Send, said).message
    assert request.options[Option.SERVER_ID] == SERVER.packed
    assert request.options[Option.REQUESTED_ADDRESS] == ADDRESS.packed


@pytest.mark.req("V4-9")
def test_the_window_waits_for_the_last_address() -> None:
    scene = Scene(offer_window=3.0, requested=OTHER_ADDRESS).selecting()
    assert of(outputs.Offered, scene.offer())
    scene.run(1)
    assert of(outputs.Offered, scene.offer(server=OTHER_SERVER, address=OTHER_ADDRESS)) != []
    assert len(scene.sent) == 1
    scene.run(2.5)
    request = scene.sent[-1]
    assert request.type is REQUEST
    assert request.options[Option.SERVER_ID] == OTHER_SERVER.packed


@pytest.mark.req("V4-9", "breaks")
def test_a_nak_from_the_chosen_server_falls_back_to_the_next_offer() -> None:
    scene = Scene(offer_window=2.0).selecting()
    scene.offer()
    scene.offer(server=OTHER_SERVER, address=OTHER_ADDRESS)
    scene.run(2)
    said = scene.nak()
    assert only(outputs.Nak, said).server_id == SERVER
    request = only(outputs.Send, said).message
    assert request.options[Option.SERVER_ID] == OTHER_SERVER.packed
    assert isinstance(scene.state, states.Requesting)
    scene.nak(server=OTHER_SERVER)
    assert isinstance(scene.state, states.Init)


@pytest.mark.req("C17")
@pytest.mark.req("C17", "breaks")
def test_sixteen_offers_are_kept_and_the_wished_one_displaces_the_last() -> None:
    scene = Scene(offer_window=5.0, requested=ADDRESS).selecting()
    servers = [SERVER + n for n in range(40)]
    dropped = 0
    for server in servers[1:31]:
        dropped += len(of(Dropped, scene.offer(server=server, address=OTHER_ADDRESS)))
    assert dropped == 14
    assert len(scene.state.offers) == 16
    scene.offer(server=servers[31], address=ADDRESS)
    assert len(scene.state.offers) == 16
    assert scene.state.offers[0].address == ADDRESS


@pytest.mark.req("V4-34", "breaks")
def test_an_offer_said_twice_is_one_offer() -> None:
    scene = Scene(offer_window=5.0).selecting()
    scene.offer()
    before = snapshot(scene.machine)
    assert only(Dropped, scene.offer()).reason == "duplicate"
    assert snapshot(scene.machine) == before
    scene.run(5)
    assert only(Dropped, scene.offer()).reason == "unexpected-type"


@pytest.mark.req("V4-34")
def test_an_ack_while_its_address_is_probed_is_ignored() -> None:
    scene = Scene().probing()
    state = scene.state
    assert only(Dropped, scene.ack(to=scene.sent[-1])).reason == "stale"
    assert scene.state == state


@pytest.mark.req("V4-10")
@pytest.mark.parametrize("kind", [ACK, NAK])
def test_the_chosen_server_is_heard(kind: MessageType) -> None:
    scene = Scene().requesting()
    scene.feed(scene.reply(kind))
    assert not isinstance(scene.state, states.Requesting)


@pytest.mark.req("C10")
@pytest.mark.req("C10", "breaks")
def test_a_late_answer_to_the_first_transmission_counts() -> None:
    scene = Scene().requesting()
    first = scene.sent[-1]
    scene.run(15)
    assert len(scene.sent_at(REQUEST)) == 3
    scene.ack(to=first)
    assert isinstance(scene.state, states.Probing)


@pytest.mark.req("C10")
def test_every_exchange_has_its_own_xid() -> None:
    scene = Scene().rebinding()
    xids = [xid for xid, _ in itertools.groupby(message.xid for message in scene.sent)]
    assert len(xids) == len(set(xids)) == 3  # DISCOVER with REQUEST, RENEWING, REBINDING
    firsts = {Scene(seed).selecting().sent[0].xid for seed in range(100)}
    assert len(firsts) == 100
    assert max(firsts) > 2**31


@pytest.mark.req("V4-2")
def test_lease_time_counts_from_the_request() -> None:
    scene = Scene().requesting()
    asked = scene.now
    scene.run(2)
    scene.ack()
    lease = scene.until(outputs.Bound, 10).lease
    assert (lease.obtained_at, lease.expires_at) == (asked, asked + 3600)


@pytest.mark.req("V4-2", "breaks")
def test_lease_time_counts_from_the_earliest_request_that_may_have_been_answered() -> None:
    scene = Scene().requesting()
    asked = scene.now
    scene.run(30)  # four transmissions: which of them is answered?
    scene.ack()
    assert scene.state.lease.obtained_at == asked


@pytest.mark.req("V4-2", "breaks")
def test_an_answer_older_than_its_lease_grants_nothing() -> None:
    scene = Scene().requesting()
    scene.run(30)
    assert only(Dropped, scene.ack(lease_time=30)).reason == "stale"
    assert isinstance(scene.state, states.Requesting)


@pytest.mark.req("V4-4")
def test_an_infinite_lease_has_no_timers() -> None:
    scene = Scene().bound(lease_time=INFINITE)
    sent = len(scene.sent)
    scene.run(10 * 365 * 86400)
    assert len(scene.sent) == sent
    assert scene.machine.lease is not None


@pytest.mark.req("V4-5")
@pytest.mark.parametrize("lease_time", [1, 2, 5, 20, 60])
def test_short_leases_are_honoured_as_given(lease_time: int) -> None:
    scene = Scene().requesting()
    start = scene.now
    scene.ack(lease_time=lease_time)
    lease = scene.machine.lease or scene.state.lease
    assert lease.expires_at == start + lease_time
    lost = scene.until(outputs.Lost, lease_time + 1)
    assert scene.now == start + lease_time
    assert lost.reason == "expired"


@pytest.mark.req("V4-5", "breaks")
@pytest.mark.parametrize("lease_time", [1, 2, 3, 5])
def test_a_server_of_short_leases_gets_at_most_a_packet_a_second(lease_time: int) -> None:
    scene = Scene(conflict_detection="skip").requesting()
    scene.ack(lease_time=lease_time)
    for _ in range(200):
        scene.until(outputs.Send, 400)
        if scene.sent[-1].type is DISCOVER:
            scene.offer()
        scene.ack(lease_time=lease_time)
    renewals = [at for at in scene.sent_at(REQUEST, DISCOVER) if at > 1010]
    discover_request = set(scene.sent_at(DISCOVER))
    assert all(gap >= 1 for gap, at in zip(gaps(renewals), renewals, strict=False) if at not in discover_request)
    assert len(renewals) / (scene.now - 1010) < 1.5


# Rapid commit (V4-21)


@pytest.mark.req("V4-21")
def test_rapid_commit() -> None:
    scene = Scene(rapid_commit=True).selecting()
    asked = scene.now
    assert scene.sent[0].options[Option.RAPID_COMMIT] == b""
    scene.ack(options={Option.RAPID_COMMIT: b""})
    assert isinstance(scene.state, states.Probing)
    assert scene.state.lease.obtained_at == asked


@pytest.mark.req("V4-21")
def test_an_offer_with_option_80_is_a_plain_offer() -> None:
    scene = Scene(rapid_commit=True).selecting()
    scene.offer(options={Option.RAPID_COMMIT: b""})
    assert isinstance(scene.state, states.Requesting)


@pytest.mark.req("V4-21", "breaks")
@pytest.mark.parametrize(
    ("asked", "options"), [(False, {Option.RAPID_COMMIT: b""}), (True, {})], ids=["not asked", "not carried"]
)
def test_an_ack_to_a_discover_without_agreement(asked: bool, options: dict[int, bytes]) -> None:
    scene = Scene(rapid_commit=asked).selecting()
    assert only(Dropped, scene.ack(options=options)).reason == "unexpected-type"
    assert isinstance(scene.state, states.Selecting)


# IPv6-only (V4-24)


@pytest.mark.req("V4-24")
@pytest.mark.parametrize(("value", "wait"), [(0, 300), (299, 300), (301, 301), (86400, 86400)])
def test_an_offer_to_go_without_ipv4_is_taken(value: int, wait: int) -> None:
    scene = Scene(v6_only_preferred=True).selecting()
    scene.offer(options={Option.IPV6_ONLY_PREFERRED: u32(value)})
    assert isinstance(scene.state, states.V6Only)
    assert scene.machine.deadline == scene.now + wait
    scene.run(wait)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("V4-24", "breaks")
def test_an_offer_to_go_without_ipv4_that_we_did_not_ask_for_is_an_offer() -> None:
    scene = Scene().selecting()
    assert Option.IPV6_ONLY_PREFERRED not in scene.sent[0].options[Option.PARAMETER_REQUEST_LIST]
    scene.offer(options={Option.IPV6_ONLY_PREFERRED: u32(1800)})
    assert isinstance(scene.state, states.Requesting)


@pytest.mark.req("V4-24")
@pytest.mark.parametrize("event", ["nak", "link"])
def test_a_nak_or_another_link_ends_the_wait(event: str) -> None:
    scene = Scene(v6_only_preferred=True).selecting()
    scene.offer(options={Option.IPV6_ONLY_PREFERRED: u32(86400)})
    scene.run(10)
    if event == "nak":
        scene.nak()
    else:
        scene.feed(LinkDown())
        scene.feed(LINK)
    scene.until(outputs.Send, 3)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("V4-24")
def test_a_renewal_that_asks_us_to_go_without_ipv4_is_obeyed() -> None:
    scene = Scene(v6_only_preferred=True).renewing()
    said = scene.ack(options={Option.IPV6_ONLY_PREFERRED: u32(1800)})
    assert only(outputs.Lost, said).reason == "v6-only"
    assert scene.machine.lease is None
    assert isinstance(scene.state, states.V6Only)


# What it says, and to whom


def test_before_there_is_an_address_everything_is_broadcast_raw() -> None:
    scene = Scene().requesting()
    for send in scene.all(outputs.Send):
        assert (send.to, send.source) == (BROADCAST, None)


@pytest.mark.req("V4-39")
@pytest.mark.req("V4-39", "breaks")
def test_a_send_that_fails_leaves_the_timer_running() -> None:
    failing, fair = Scene().selecting(), Scene().selecting()
    for _ in range(8):
        assert failing.feed(SendFailed("No buffer space available")) == []
        assert failing.machine.deadline == fair.machine.deadline
        failing.until(outputs.Send)
        fair.until(outputs.Send)
    assert failing.sent == fair.sent


@pytest.mark.req("V4-36")
def test_a_silent_network_gets_no_link_local_address_from_us() -> None:
    scene = Scene().selecting()
    scene.run(3600)
    assert not scene.all(outputs.Bound)
    assert Option.AUTO_CONFIGURE not in scene.sent[0].options


@pytest.mark.req("V4-36", "breaks")
def test_an_order_to_configure_oneself_is_not_obeyed() -> None:
    scene = Scene().selecting()
    scene.offer(options={Option.AUTO_CONFIGURE: b"\x01", Option.LEASE_TIME: None})
    scene.run(3600)
    assert not scene.all(outputs.Bound)


@pytest.mark.req("V4-38")
def test_the_taps_that_each_state_needs() -> None:
    scene = Scene()
    assert scene.machine.listens == frozenset()
    scene.started()
    assert scene.machine.listens == frozenset()
    scene.until(outputs.Send)
    assert scene.machine.listens == {"dhcpv4"}
    scene.offer()
    assert scene.machine.listens == {"dhcpv4"}
    scene.ack()
    assert scene.machine.listens == {"arp"}
    scene.until(outputs.Bound)
    assert scene.machine.listens == {"arp"}
    scene.until_state(states.Renewing)
    assert scene.machine.listens == {"arp"}
    scene.until_state(states.Rebinding)
    assert scene.machine.listens == {"dhcpv4", "arp"}


@pytest.mark.req("V4-6")
def test_one_client_identifier_for_the_whole_life_of_a_lease() -> None:
    scene = Scene().rebinding()
    scene.until(outputs.Lost)
    scene.until(outputs.Send)
    assert {message.options[Option.CLIENT_ID] for message in scene.sent} == {scene.sent[0].options[Option.CLIENT_ID]}


def test_starting_twice_is_starting_once() -> None:
    scene = Scene().selecting()
    before = scene.state
    assert scene.feed(Start()) == []
    assert scene.state == before
