"""Renew, Rebind and the ends of leases (RFC 9915 §14.2, §18.2.4, §18.2.5, §18.2.10.1)."""

from ipaddress import IPv6Network

import pytest

from routerd.protocols.dhcpv6 import outputs, states
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.inputs import Renew
from routerd.protocols.dhcpv6.message import MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.machine import Dropped, Refused
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    INFINITE,
    LENGTH,
    NA,
    OTHER_ADDRESS,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PD2,
    PREFIX,
    SERVER,
    Scene,
    empty,
    ia,
    status_option,
)
from tests.protocols.timeline import gaps, of, only

SOLICIT, REQUEST, RENEW, REBIND = MessageType.SOLICIT, MessageType.REQUEST, MessageType.RENEW, MessageType.REBIND
GONE = Grant(PREFIX, 0, 0)


@pytest.mark.req("V6-14")
@pytest.mark.parametrize(
    ("t1", "t2", "preferred", "valid", "renew", "rebind"),
    [
        (100, 160, 3000, 5000, 100, 160),
        (0, 0, 3000, 5000, 1500, 2400),
        (100, 0, 3000, 5000, 100, 2400),
        (0, 1000, 3000, 5000, 1000, 1000),
        (0, 0, 0, 5000, 2500, 4000),
        (2900, 0, 3000, 5000, 2900, 2900),
        (100, INFINITE, 3000, 5000, 100, None),
        (INFINITE, INFINITE, 3000, 5000, None, None),
        (0, 0, INFINITE, INFINITE, None, None),
        (100, 160, INFINITE, INFINITE, 100, 160),
        (6000, 7000, 3000, 5000, 2500, 4000),
        (100, 7000, 3000, 5000, 100, 4000),
        (100, 100, 100, 100, 100, 100),
    ],
)
def test_when_to_renew_and_when_to_rebind(
    t1: int, t2: int, preferred: int, valid: int, renew: int | None, rebind: int | None
) -> None:
    scene = Scene(PD).requesting()
    asked = scene.now
    scene.reply(ia(PD, t1=t1, t2=t2, preferred=preferred, valid=valid))
    held = scene.machine.bindings[PD]
    assert held.t1 == (None if renew is None else pytest.approx(asked + renew))
    assert held.t2 == (None if rebind is None else pytest.approx(asked + rebind))
    scene.run(4999 if valid > 100 else 99)
    assert isinstance(scene.state, states.Bound | states.Renewing | states.Rebinding)
    first = {kind: min(scene.sent_at(kind), default=None) for kind in (RENEW, REBIND)}
    if renew is None or (rebind is not None and renew >= rebind):
        assert first[RENEW] is None
    else:
        assert first[RENEW] == pytest.approx(asked + renew)
    assert (first[REBIND] is None) is (rebind is None or rebind >= valid)


@pytest.mark.req("V6-14", "breaks")
@pytest.mark.parametrize("t1", [161, INFINITE])
def test_t1_after_t2_voids_the_association(t1: int) -> None:
    scene = Scene(PD).requesting()
    assert only(Dropped, scene.reply(ia(PD, t1=t1, t2=160))).reason == "nothing-granted"
    scene = Scene(PD).renewing()
    before = scene.machine.bindings
    scene.reply(ia(PD, t1=161, t2=160))
    assert scene.machine.bindings == before
    assert isinstance(scene.state, states.Renewing)


@pytest.mark.req("V6-14")
def test_the_first_of_all_times_renews_everything() -> None:
    scene = Scene(NA, PD).requesting()
    asked = scene.now
    scene.reply(ia(NA, t1=300, t2=900), ia(PD, t1=600, t2=700))
    scene.until_sent(RENEW)
    assert scene.now == pytest.approx(asked + 300)
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), ia(PD, Grant(PREFIX)))
    scene.until_sent(REBIND)
    assert scene.now == pytest.approx(asked + 700)


@pytest.mark.req("V6-16")
@pytest.mark.req("V6-16", "breaks")
@pytest.mark.parametrize("t1", [1, 2, 10])
def test_nobody_is_renewed_more_often_than_every_thirty_seconds(t1: int) -> None:
    scene = Scene(PD).bound(ia(PD, t1=t1, t2=4000))
    for _ in range(5):
        scene.until_sent(RENEW)
        scene.reply(ia(PD, t1=t1, t2=4000))
    assert all(gap >= 30 for gap in gaps(scene.sent_at(RENEW)))


@pytest.mark.req("V6-1")
@pytest.mark.req("V6-17")
def test_renew_and_rebind_by_their_schedules() -> None:
    scene = Scene(PD).bound(ia(PD, t1=1000, t2=3000, valid=9000))
    scene.until(outputs.Lost)
    renews, rebinds = scene.sent_at(RENEW), scene.sent_at(REBIND)
    for times in (renews, rebinds):
        assert 9 <= gaps(times)[0] <= 11
        assert all(
            1.9 * a <= b <= 2.1 * a or 540 <= b <= 660 for a, b in zip(gaps(times), gaps(times)[1:], strict=False)
        )
    assert renews[-1] < rebinds[0]
    servers = {message.type: message.first(OptionCode.SERVER_ID) for message in scene.sent}
    assert servers[RENEW] == SERVER
    assert servers[REBIND] is None
    xids = {kind: {m.xid for m in scene.sent if m.type is kind} for kind in (RENEW, REBIND)}
    assert [len(x) for x in xids.values()] == [1, 1]
    assert xids[RENEW] != xids[REBIND]


@pytest.mark.req("V6-17")
def test_when_all_is_over_everybody_is_asked_with_what_it_was() -> None:
    scene = Scene(PD).bound()
    lost = scene.until(outputs.Lost)
    assert (lost.lease.asset, lost.reason) == (PREFIX, "expired")
    assert scene.held == {}
    scene.until_sent(SOLICIT, 10)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)


@pytest.mark.req("V6-17", "breaks")
def test_one_of_two_ends_and_the_other_goes_on() -> None:
    scene = Scene(NA, PD).bound(ia(NA, preferred=100, valid=200, t1=INFINITE, t2=INFINITE), ia(PD, t1=1000))
    assert scene.until(outputs.Deprecated).association == NA
    lost = scene.until(outputs.Lost)
    assert lost.association == NA
    assert isinstance(scene.state, states.Bound)
    scene.until_sent(RENEW)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)), ia(NA, Grant(ADDRESS)))


@pytest.mark.req("C3")
@pytest.mark.parametrize(("slept", "kind"), [(1600, RENEW), (2500, REBIND), (6000, SOLICIT)])
def test_what_is_done_after_a_long_sleep(slept: float, kind: MessageType) -> None:
    scene = Scene(PD).bound()
    said = scene.sleep(slept)
    if kind is SOLICIT:
        assert isinstance(said[0], outputs.Lost)
        scene.until_sent(SOLICIT, 10)
        assert scene.sent_at(RENEW, REBIND) == []
    else:
        assert only(outputs.Send, said).message.type is kind


@pytest.mark.req("C3")
@pytest.mark.req("C3", "breaks")
def test_what_is_over_ends_before_anything_else_is_heard() -> None:
    scene = Scene(PD).renewing()
    renewal = scene.sent[-1]
    scene.now += 6000  # nobody has woken us
    said = scene.reply(to=renewal)
    assert isinstance(said[0], outputs.Lost)
    assert only(Dropped, said).reason == "stale"
    scene = Scene(PD).bound()
    scene.now += 6000
    said = scene.feed(Renew())
    assert isinstance(said[0], outputs.Lost)
    assert only(Refused, said)


@pytest.mark.req("C15")
def test_the_same_again_is_only_extended() -> None:
    scene = Scene(NA, PD).renewing()
    said = scene.reply(options=())
    assert [type(output).__name__ for output in said] == ["Extended", "Extended", "Entered"]
    assert {e.by for e in of(outputs.Extended, said)} == {"renew"}
    scene.until_sent(REBIND)
    said = scene.reply(server=OTHER_SERVER)
    assert {e.by for e in of(outputs.Extended, said)} == {"rebind"}
    scene.until_sent(RENEW)
    assert scene.sent[-1].first(2) == OTHER_SERVER


@pytest.mark.req("V6-18")
def test_lifetimes_are_those_of_the_last_reply_even_if_shorter() -> None:
    scene = Scene(PD).renewing()
    asked = scene.now
    scene.reply(ia(PD, preferred=60, valid=90))
    lease = scene.machine.bindings[PD].leases[0]
    assert (lease.preferred_until, lease.valid_until) == (pytest.approx(asked + 60), pytest.approx(asked + 90))


@pytest.mark.req("V6-18", "breaks")
def test_a_server_may_end_an_address_in_a_minute_though_it_had_two_hours_left() -> None:
    scene = Scene(NA).bound(ia(NA, preferred=7200, valid=9000, t1=100))
    scene.until_sent(RENEW)
    scene.reply(ia(NA, preferred=0, valid=60))
    assert scene.until(outputs.Lost, 60).lease.asset == ADDRESS


@pytest.mark.req("V6-15")
@pytest.mark.req("V6-15", "breaks")
def test_lifetimes_that_contradict_each_other_void_that_lease_alone() -> None:
    scene = Scene(PD).requesting()
    scene.reply(ia(PD, Grant(PREFIX, 11, 10), Grant(OTHER_PREFIX, 10, 10)))
    assert scene.held == {PD: [OTHER_PREFIX]}


@pytest.mark.req("V6-15")
def test_preferred_for_nothing_is_deprecated_from_the_start() -> None:
    scene = Scene(PD).requesting()
    said = scene.reply(ia(PD, preferred=0, valid=500))
    assert only(outputs.Bound, said)
    assert only(outputs.Deprecated, said).lease.asset == PREFIX
    scene.run(400)
    assert len(scene.all(outputs.Deprecated)) == 1


@pytest.mark.req("V6-15")
def test_a_lease_without_end() -> None:
    scene = Scene(PD).bound(ia(PD, preferred=INFINITE, valid=INFINITE))
    assert scene.machine.deadline is None
    assert scene.run(1e9) == []


def test_what_nobody_extends_is_deprecated_and_then_lost() -> None:
    scene = Scene(PD).bound(ia(PD, t1=INFINITE, t2=INFINITE, preferred=100, valid=300))
    deprecated = scene.until(outputs.Deprecated)
    assert deprecated.lease.deprecated
    assert scene.held == {PD: [PREFIX]}
    begun = scene.now
    scene.until(outputs.Lost)
    assert scene.now - begun == pytest.approx(200)


@pytest.mark.req("V6-19")
def test_a_lease_that_is_not_spoken_of_stays_as_it_is() -> None:
    both = ia(NA, Grant(ADDRESS, 3000, 5000), Grant(OTHER_ADDRESS, 3000, 5000))
    scene = Scene(NA).renewing(both)
    before = scene.machine.bindings[NA].leases[1]
    scene.reply(ia(NA))
    assert scene.held == {NA: [OTHER_ADDRESS, ADDRESS]}
    assert scene.machine.bindings[NA].leases[0] == before


@pytest.mark.req("V6-19", "breaks")
def test_an_association_that_is_not_spoken_of_is_asked_for_again() -> None:
    scene = Scene(NA, PD).renewing()
    begun, before = scene.now, scene.machine.bindings[PD]
    only(outputs.Extended, scene.reply(ia(NA)))
    assert isinstance(scene.state, states.Renewing)
    assert scene.machine.bindings[PD] == before
    scene.until_sent(RENEW)
    assert 9 <= scene.now - begun <= 11
    scene.until_sent(REBIND)
    assert {a.association for a in scene.asked.associations} == {NA, PD}


def test_a_reply_that_speaks_of_nothing_is_no_answer() -> None:
    scene = Scene(PD).renewing()
    before = scene.state
    assert only(Dropped, scene.silent_reply()).reason == "nothing-granted"
    assert only(Dropped, scene.silent_reply(options=(status_option(5),))).reason == "use-multicast"
    assert only(Dropped, scene.reply(options=(status_option(1),))).reason == "unspec-fail"
    assert scene.state == before


@pytest.mark.req("V6-20")
@pytest.mark.req("V6-20", "breaks")
@pytest.mark.parametrize("phase", [RENEW, REBIND])
def test_no_binding_is_asked_anew_of_that_server_at_once_and_for_that_alone(phase: MessageType) -> None:
    scene = Scene(NA, PD).bound()
    scene.until_sent(phase)
    server = SERVER if phase is RENEW else OTHER_SERVER
    said = scene.reply(ia(NA), ia(PD, status=3), server=server)
    assert only(outputs.Extended, said).binding.association == NA
    assert only(outputs.Refusal, said).association == PD
    request = only(outputs.Send, said).message
    assert (request.type, request.first(2)) == (REQUEST, server)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX]}, "what is held stays until its end"
    said = scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)), server=server)
    assert only(outputs.Changed, said).by == "request"
    assert scene.held == {NA: [ADDRESS], PD: [OTHER_PREFIX]}
    assert isinstance(scene.state, states.Bound)


def test_a_server_that_says_no_binding_and_then_nothing() -> None:
    scene = Scene(PD).renewing()
    scene.reply(ia(PD, status=3))
    failed = scene.until(outputs.Failed, 300)
    assert failed.during == "Requesting"
    assert scene.held == {PD: [PREFIX]}
    assert scene.until_sent(RENEW, 60)


@pytest.mark.req("V6-21")
@pytest.mark.req("V6-21", "breaks")
@pytest.mark.parametrize(
    "answer",
    [
        ia(PD, status=6),
        ia(PD, GONE),
        ia(PD, GONE, status=6),
        ia(PD, GONE, GONE, t1=100, t2=200),
    ],
)
@pytest.mark.parametrize("phase", [RENEW, REBIND])
def test_a_prefix_that_is_taken_away_is_lost_at_once(answer: object, phase: MessageType) -> None:
    scene = Scene(PD, hints={PD: LENGTH}).bound()
    scene.until_sent(phase)
    said = scene.reply(answer)
    lost = only(outputs.Lost, said)
    assert (lost.lease.asset, lost.reason) == (PREFIX, "withdrawn")
    assert scene.held == {}
    assert not of(outputs.Bound, said)
    assert isinstance(scene.state, states.Soliciting)
    scene.until_sent(SOLICIT, 3)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    (former,) = scene.machine.former
    assert (former.lease.asset, former.in_use, former.lease.deprecated) == (PREFIX, False, True)


@pytest.mark.req("V6-21")
def test_with_something_left_everybody_is_asked_once_for_what_was_taken() -> None:
    scene = Scene(NA, PD).renewing()
    said = scene.reply(ia(NA), ia(PD, GONE, status=6))
    assert only(outputs.Lost, said).association == PD
    assert isinstance(scene.state, states.Revalidating)
    assert only(outputs.Send, said).message.type is REBIND
    assert {a.association for a in scene.asked.associations} == {NA, PD}
    scene.reply(ia(NA), ia(PD, status=6), server=OTHER_SERVER)
    assert isinstance(scene.state, states.Bound)
    assert scene.held == {NA: [ADDRESS]}
    scene.until_sent(RENEW)
    assert {a.association for a in scene.asked.associations} == {NA, PD}


def test_another_server_has_what_the_first_took_away() -> None:
    scene = Scene(NA, PD).renewing()
    scene.reply(ia(NA), ia(PD, status=6))
    said = scene.reply(ia(NA), ia(PD, Grant(OTHER_PREFIX, 10, 20)), server=OTHER_SERVER)
    assert only(outputs.Bound, said).binding.server_id == OTHER_SERVER


@pytest.mark.req("V6-22")
@pytest.mark.parametrize("phase", [RENEW, REBIND])
def test_a_new_prefix_without_notice_deprecates_the_old_one(phase: MessageType) -> None:
    scene = Scene(PD).bound(ia(PD, preferred=20000, valid=30000))
    scene.until_sent(phase)
    said = scene.reply(ia(PD, Grant(OTHER_PREFIX, 20000, 30000)))
    kinds = [type(output).__name__ for output in said if isinstance(output, outputs.Deprecated | outputs.Changed)]
    assert kinds == ["Deprecated", "Changed"]
    old = only(outputs.Deprecated, said).lease
    assert old.asset == PREFIX
    assert old.valid_until == pytest.approx(scene.now + 7200)
    assert scene.held == {PD: [OTHER_PREFIX]}
    assert [former.in_use for former in scene.machine.memory.former] == [True]
    begun = scene.now
    assert scene.until(outputs.Lost).lease == old
    assert scene.now - begun == pytest.approx(7200)
    assert scene.machine.former == ()


@pytest.mark.req("V6-22")
def test_less_than_two_hours_are_not_made_two() -> None:
    scene = Scene(PD).bound(ia(PD, t1=100, t2=160, preferred=300, valid=400))
    asked = scene.all(outputs.Bound)[0].binding.obtained_at
    scene.until_sent(RENEW)
    said = scene.reply(ia(PD, Grant(OTHER_PREFIX, 300, 400)))
    assert only(outputs.Deprecated, said).lease.valid_until == pytest.approx(asked + 400)


@pytest.mark.req("V6-22", "breaks")
def test_an_old_prefix_is_lost_once() -> None:
    scene = Scene(PD).renewing()
    scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    scene.until_sent(RENEW)
    scene.silent_reply(options=(status_option(4),))
    scene.run(8000)
    assert [lost.lease.asset for lost in scene.all(outputs.Lost)] == [OTHER_PREFIX, PREFIX]
    assert scene.machine.former == ()


@pytest.mark.req("V6-22", "breaks")
def test_an_old_prefix_may_come_back() -> None:
    scene = Scene(PD).renewing()
    scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    scene.until_sent(RENEW)
    scene.reply(ia(PD))
    assert scene.held == {PD: [PREFIX]}
    assert [former.lease.asset for former in scene.machine.former] == [OTHER_PREFIX]


def test_an_old_prefix_with_notice_and_a_new_one() -> None:
    scene = Scene(PD).renewing()
    said = scene.reply(ia(PD, GONE, Grant(OTHER_PREFIX, 3000, 5000)))
    assert only(outputs.Lost, said).lease.asset == PREFIX
    assert scene.held == {PD: [OTHER_PREFIX]}
    scene.until_sent(RENEW)
    asked = scene.now
    said = scene.reply(ia(PD, Grant(OTHER_PREFIX, 0, 100), Grant(PREFIX, 3000, 5000)))
    assert scene.machine.bindings[PD].t1 == pytest.approx(asked + 1500), "what is given up hurries nobody"
    assert only(outputs.Deprecated, said).lease.asset == OTHER_PREFIX
    assert not of(outputs.Lost, said)
    assert scene.held == {PD: [OTHER_PREFIX, PREFIX]}


@pytest.mark.req("C17")
@pytest.mark.req("C17", "breaks")
def test_a_different_prefix_each_time() -> None:
    scene = Scene(PD).bound(ia(PD, t1=30, t2=4000))
    for number in range(100):
        scene.until_sent(RENEW)
        scene.reply(ia(PD, Grant(IPv6Network((0x2001 << 112 | number << 80, 48)), 3000, 100000), t1=30, t2=4000))
    assert len(scene.held[PD]) == 1
    assert len(scene.machine.former) == 64
    lost = [output.lease.asset for output in scene.all(outputs.Lost)]
    deprecated = [output.lease.asset for output in scene.all(outputs.Deprecated)]
    assert len(deprecated) == 100
    assert lost == deprecated[: len(lost)]


@pytest.mark.req("V6-20")
@pytest.mark.parametrize("phase", [RENEW, REBIND])
def test_not_on_link_takes_everything(phase: MessageType) -> None:
    scene = Scene(NA, PD).bound()
    scene.until_sent(phase)
    said = scene.silent_reply(options=(status_option(4),))
    assert {lost.reason for lost in of(outputs.Lost, said)} == {"not-on-link"}
    assert isinstance(scene.state, states.Soliciting)
    scene.until_sent(SOLICIT)
    assert scene.asked.associations == (empty(NA), ia(PD, Grant(PREFIX)))


@pytest.mark.req("C10")
@pytest.mark.req("C10", "breaks")
def test_a_late_answer_to_the_first_transmission_counts_and_from_when_that_was_sent() -> None:
    scene = Scene(PD).renewing()
    renewal, sent = scene.sent[-1], scene.now
    scene.until_sent(RENEW)
    scene.until_sent(RENEW)
    scene.reply(to=renewal)
    assert scene.machine.bindings[PD].obtained_at == sent
    assert only(Dropped, scene.reply(to=renewal)).reason == "stale"


def test_an_answer_that_was_slept_through_is_not_believed_to_be_fresh() -> None:
    scene = Scene(PD).requesting()
    asked = scene.now
    scene.now += 4000
    scene.reply()
    assert scene.machine.bindings[PD].leases[0].valid_until == pytest.approx(asked + 5000)
    scene = Scene(PD).requesting()
    scene.now += 6000
    assert only(Dropped, scene.reply()).reason == "nothing-granted"


def test_two_servers_are_each_asked_for_their_own() -> None:
    scene = Scene(NA, PD).bound(ia(NA, t1=1000, t2=2000), ia(PD, t1=1000, t2=2000))
    scene.until_sent(REBIND)
    scene.reply(ia(NA, t1=500, t2=4000), server=OTHER_SERVER)
    scene.reply(ia(PD, t1=600, t2=4000), server=SERVER)
    assert isinstance(scene.state, states.Bound)
    scene.until_sent(RENEW)
    assert (scene.sent[-1].first(2), scene.asked.associations) == (OTHER_SERVER, (ia(NA, Grant(ADDRESS)),))
    scene.reply(ia(NA, t1=2000, t2=4000), server=OTHER_SERVER)
    scene.until_sent(RENEW)
    assert (scene.sent[-1].first(2), scene.asked.associations) == (SERVER, (ia(PD, Grant(PREFIX)),))


def test_what_is_empty_and_unasked_changes_nothing() -> None:
    scene = Scene(PD).renewing()
    before = scene.machine.bindings
    assert not of(outputs.Extended, scene.reply(empty(PD), empty(PD2)))
    assert scene.machine.bindings == before
    assert isinstance(scene.state, states.Renewing)


@pytest.mark.parametrize("phase", [RENEW, REBIND])
def test_what_is_told_beside_an_extension_is_known_from_then_on(phase: MessageType) -> None:
    scene = Scene(PD).bound()
    scene.until_sent(phase)
    server = Option(OptionCode.DNS_SERVERS, OTHER_ADDRESS.packed)
    assert only(outputs.Informed, scene.reply(options=(server,))).changed == ("dns_servers",)
    scene.until_sent(RENEW)
    assert not of(outputs.Informed, scene.reply(options=())), "silence about it takes nothing away"
    assert scene.machine.information is not None
    assert scene.machine.information.dns_servers == (OTHER_ADDRESS,)


@pytest.mark.req("V6-8")
@pytest.mark.parametrize("extended", [True, False])
def test_the_server_of_last_time_is_who_extended_it_last(extended: bool) -> None:
    scene = Scene(PD).rebinding()
    if extended:
        scene.reply(server=OTHER_SERVER)
    else:
        scene.reply(empty(PD), server=OTHER_SERVER)
    scene.until(outputs.Lost)
    scene.until_sent(SOLICIT)
    first, last = (SERVER, OTHER_SERVER) if extended else (OTHER_SERVER, SERVER)
    scene.advertise(server=first)
    scene.advertise(server=last)
    assert scene.until_sent(REQUEST).first(2) == last
