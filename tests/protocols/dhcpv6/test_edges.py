"""The edges of the rules: each of these fails when one condition of one rule is gone (A3, RFC 9915)."""

from __future__ import annotations

import itertools
from ipaddress import IPv6Network
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import auth, outputs, states
from routerd.protocols.dhcpv6.association import Association, Grant
from routerd.protocols.dhcpv6.information import NOTHING
from routerd.protocols.dhcpv6.inputs import (
    Conflict,
    Flush,
    Input,
    Leave,
    LinkDown,
    LinkGone,
    Rebind,
    Release,
    Renew,
    RequestInformation,
)
from routerd.protocols.dhcpv6.message import MessageType, Option
from routerd.protocols.machine import Dropped, Refused, Start, Stop
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    CONTENT,
    INFINITE,
    KEY,
    LENGTH,
    LINK,
    NA,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PD2,
    PREFIX,
    SERVER,
    Scene,
    binding,
    empty,
    ia,
    memory,
    status_option,
)
from tests.protocols.timeline import gaps, of, only

M = MessageType
SEEDS = range(30)

# §15


@pytest.mark.req("V6-1")
@pytest.mark.parametrize(
    ("phase", "kind", "irt"), [("requesting", M.REQUEST, 1), ("renewing", M.RENEW, 10), ("rebinding", M.REBIND, 10)]
)
def test_waits_are_random_to_both_sides(phase: str, kind: MessageType, irt: int) -> None:
    """RAND is uniform in ±0.1, but after the first Solicit."""
    waits = []
    for seed in SEEDS:
        scene = getattr(Scene(PD, seed=seed), phase)()
        scene.run(40)
        waits.append(gaps(scene.sent_at(kind))[0] / irt)
    assert 0.9 <= min(waits) < 0.93
    assert 1.07 < max(waits) <= 1.1


@pytest.mark.req("V6-1")
def test_only_the_first_wait_of_a_solicit_is_longer_in_any_case() -> None:
    factors = []
    for seed in SEEDS:
        scene = Scene(PD, seed=seed).soliciting()
        scene.run(5)
        first, second = gaps(scene.sent_at(M.SOLICIT))[:2]
        factors.append(second / first)
    assert 1.9 <= min(factors) < 1.95
    assert 2.05 < max(factors) <= 2.1


@pytest.mark.req("V6-3")
@pytest.mark.req("V6-40")
@pytest.mark.parametrize(("wanted", "kind"), [((NA,), M.CONFIRM), ((PD,), M.REBIND), ((), M.INFORMATION_REQUEST)])
def test_a_street_that_has_power_again_does_not_speak_all_at_once(
    wanted: tuple[Association, ...], kind: MessageType
) -> None:
    """CNF_MAX_DELAY and INF_MAX_DELAY (§7.6)."""
    delays = []
    for seed in SEEDS:
        held = memory(*map(binding, wanted)) if wanted else None
        scene = Scene(*wanted, seed=seed, remembered=held).started()
        begun = scene.now
        scene.until_sent(kind, 1)
        delays.append(scene.now - begun)
    assert 0 <= min(delays) < 0.2
    assert 0.8 < max(delays) <= 1


def test_every_fifth_solicit_in_vain_is_told() -> None:
    scene = Scene(PD).soliciting()
    scene.run(5000)
    said = scene.all(outputs.Failed)
    assert [failed.detail for failed in said] == ["5 Solicits were not answered", "10 Solicits were not answered"]
    assert {failed.retry_in for failed in said} == {0.0}


# §16


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize(("goodbye", "kind"), [(Conflict(ADDRESS), M.DECLINE), (Release(), M.RELEASE)])
def test_another_server_does_not_answer_a_goodbye(goodbye: Input, kind: MessageType) -> None:
    scene = Scene(NA).bound()
    scene.feed(goodbye)
    assert scene.sent[-1].type is kind
    assert only(Dropped, scene.silent_reply(server=OTHER_SERVER)).reason == "wrong-server"
    assert not of(Dropped, scene.silent_reply())


# What is held, lost and remembered


@pytest.mark.req("V6-20")
@pytest.mark.parametrize("phase", ["requesting", "renewing", "rebinding"])
def test_one_address_that_is_not_of_this_link(phase: str) -> None:
    """NotOnLink inside one association is about that one, and what was there is not asked for again."""
    scene = getattr(Scene(NA, PD), phase)()
    said = scene.reply(ia(NA, status=4), ia(PD))
    assert {lost.reason for lost in of(outputs.Lost, said)} == ({"not-on-link"} if phase != "requesting" else set())
    assert scene.held == {PD: [PREFIX]}
    scene.until(outputs.Send)
    assert [one.grants for one in scene.asked.associations if one.association == NA] == [()]


@pytest.mark.req("V6-21")
def test_the_lan_hears_of_a_lost_prefix_as_long_as_it_would_have_lasted() -> None:
    scene = Scene(NA, PD).renewing()
    ends = scene.machine.bindings[PD].leases[0].valid_until
    scene.reply(ia(NA, Grant(ADDRESS, 0, 0)), ia(PD, Grant(PREFIX, 0, 0)))
    assert [(former.lease.asset, former.lease.valid_until) for former in scene.machine.former] == [(PREFIX, ends)]


@pytest.mark.req("V6-23", "breaks")
def test_of_a_prefix_that_has_run_out_the_lan_hears_nothing_more() -> None:
    scene = Scene(PD).bound()
    assert scene.until(outputs.Lost).reason == "expired"
    assert scene.machine.former == ()


@pytest.mark.req("V6-22")
@pytest.mark.req("C17", "breaks")
def test_of_too_many_prefixes_of_old_the_oldest_goes() -> None:
    scene, given = Scene(PD), [IPv6Network((0x20010DB8 << 96 | n << 72, 56)) for n in range(70)]
    scene.requesting()
    for prefix in given:
        scene.reply(ia(PD, Grant(prefix, 9000, 9000), t1=30, t2=8000))
        scene.until_sent(M.RENEW)
    assert [former.lease.asset for former in scene.machine.former] == given[5:69]
    assert [(lost.lease.asset, lost.reason) for lost in scene.all(outputs.Lost)] == [
        (prefix, "withdrawn") for prefix in given[:5]
    ]


@pytest.mark.req("V6-15")
def test_that_a_lease_is_not_preferred_is_told_once() -> None:
    scene = Scene(PD).renewing(ia(PD, preferred=0))
    assert not of(outputs.Deprecated, scene.reply(ia(PD, preferred=0)))
    assert len(scene.all(outputs.Deprecated)) == 1


@pytest.mark.req("V6-24", "breaks")
def test_what_is_as_large_as_was_asked_for_is_not_smaller() -> None:
    assert Scene(PD, hints={PD: LENGTH}).bound().all(outputs.Smaller) == []


@pytest.mark.req("V6-13", "breaks")
def test_what_was_not_granted_is_asked_for_with_the_rest_and_not_before() -> None:
    long = ia(PD, Grant(PREFIX, 20000, 30000), t1=10000, t2=16000)
    scene = Scene(PD, PD2).requesting()
    asked = scene.now
    scene.reply(long, ia(PD2, status=6))
    scene.until_sent(M.RENEW)
    assert scene.now == pytest.approx(asked + 10000)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)), empty(PD2))


def test_information_that_says_nothing_is_information() -> None:
    scene = Scene().started()
    scene.until_sent(M.INFORMATION_REQUEST)
    assert only(outputs.Informed, scene.silent_reply(options=())).information == NOTHING


# Of unknown age (C4)


@pytest.mark.req("C4")
@pytest.mark.req("V6-40")
def test_an_address_of_unknown_age_is_asked_for_by_rebind() -> None:
    """A Confirm would say that it is of this link, and not whether it is still ours."""
    scene = Scene(NA, remembered=memory(binding(NA), trusted=False, last={})).started()
    scene.until(outputs.Send)
    assert scene.sent[-1].type is M.REBIND
    assert len(scene.sent[-1].every(3)) == 1
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)),)
    scene.reply(ia(NA, status=3))
    assert scene.sent[-1].type is M.REQUEST
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)),)


# Failures and patience


@pytest.mark.parametrize(("valid", "growing"), [(30, True), (100, False)])
def test_only_what_has_lasted_a_minute_makes_good_for_failures_before(valid: int, growing: bool) -> None:
    scene = Scene(PD).soliciting()
    for _ in range(5):
        scene.advertise(ia(PD, preferred=valid, valid=valid, t1=valid, t2=valid), preference=255)
        scene.reply(ia(PD, preferred=valid, valid=valid, t1=valid, t2=valid))
        scene.until(outputs.Lost)
        scene.until_sent(M.SOLICIT)
    waits = [failed.retry_in for failed in scene.all(outputs.Failed) if failed.reason == "expired"]
    assert len(waits) == 5
    if growing:
        assert all(after > 1.5 * before for before, after in itertools.pairwise(waits))
    else:
        assert max(waits) < 2


def test_what_ends_while_the_carrier_is_away_is_asked_for_when_it_is_back() -> None:
    scene = Scene(PD).bound()
    before = len(scene.sent_at(M.SOLICIT))
    ends = scene.machine.bindings[PD].leases[0].valid_until
    assert ends is not None
    scene.run(ends - scene.now - 1)
    scene.feed(LinkDown())
    scene.run(100)
    assert scene.all(outputs.Lost)
    assert isinstance(scene.state, states.NoLink)
    assert len(scene.sent_at(M.SOLICIT)) == before
    scene.feed(LINK)
    scene.until_sent(M.SOLICIT, 3)


@pytest.mark.req("V6-17")
@pytest.mark.parametrize(("which", "kind"), [(NA, M.CONFIRM), (PD, M.REBIND)])
def test_what_ends_while_it_is_being_confirmed_is_asked_for_anew(which: Association, kind: MessageType) -> None:
    scene = Scene(which).bound(ia(which, t1=INFINITE, t2=INFINITE))
    ends = scene.machine.bindings[which].leases[0].valid_until
    assert ends is not None
    scene.run(ends - scene.now - 20)
    scene.feed(LinkDown())
    scene.run(15)
    scene.feed(LINK)
    scene.until_sent(kind, 1)
    assert scene.until(outputs.Lost, 6).reason == "expired"
    scene.until_sent(M.SOLICIT, 3)


@pytest.mark.req("V6-17")
def test_what_ends_while_information_is_asked_for_is_asked_for_anew() -> None:
    scene = Scene(PD).bound(ia(PD, t1=INFINITE, t2=INFINITE))
    ends = scene.machine.bindings[PD].leases[0].valid_until
    assert ends is not None
    scene.run(ends - scene.now - 2)
    scene.feed(RequestInformation())
    assert scene.until(outputs.Lost, 3).reason == "expired"
    scene.until_sent(M.SOLICIT, 3)


@pytest.mark.req("V6-26", "breaks")
@pytest.mark.parametrize("wanted", [(NA,), (NA, PD)])
def test_without_a_carrier_nobody_is_told_of_a_conflict(wanted: tuple[Association, ...]) -> None:
    scene = Scene(*wanted).bound()
    sent = len(scene.sent)
    scene.feed(LinkDown())
    assert only(outputs.Lost, scene.feed(Conflict(ADDRESS))).reason == "conflict"
    scene.run(100)
    assert len(scene.sent) == sent
    assert isinstance(scene.state, states.NoLink)


def test_a_conflict_and_another_link_end_a_command() -> None:
    for happens in (lambda scene: scene.feed(Conflict(ADDRESS)), not_on_link):
        scene = Scene(NA).bound()
        scene.feed(Renew())
        assert not only(outputs.Finished, happens(scene)).ok


def not_on_link(scene: Scene) -> list[Any]:
    return scene.silent_reply(options=(status_option(4),))


def test_who_has_nothing_gives_nothing_back() -> None:
    scene = Scene(PD).soliciting()
    said = scene.feed(Stop(release=True))
    assert of(outputs.Forget, said)
    assert isinstance(scene.state, states.Stopped)
    assert scene.sent_at(M.RELEASE) == []


@pytest.mark.req("V6-27", "breaks")
def test_a_release_that_is_cut_short_is_answered() -> None:
    scene = Scene(PD).bound()
    scene.feed(Release())
    finished = only(outputs.Finished, scene.feed(Stop()))
    assert finished.ok
    assert "no server has confirmed" in finished.detail


def test_one_of_two_servers_has_heard_that_all_is_given_back() -> None:
    scene = Scene(NA, PD).rebinding(ia(NA, t1=1000, t2=2000), ia(PD, t1=1000, t2=2000))
    scene.reply(ia(NA), server=OTHER_SERVER)
    scene.reply(ia(PD), server=SERVER)
    scene.feed(Release())
    scene.silent_reply(server=scene.sent[-1].first(2))
    assert scene.until(outputs.Finished, 60).detail == "the leases were given back"


@pytest.mark.req("V6-33")
def test_the_counter_of_one_server_is_not_that_of_another() -> None:
    scene = Scene(PD, reconfigure=True).bound(options=(*CONTENT, Option(11, auth.option_value(9, 1, KEY))))
    scene.until_sent(M.REBIND)
    scene.reply(
        ia(PD, Grant(OTHER_PREFIX, 3000, 5000)),
        server=OTHER_SERVER,
        options=(Option(11, auth.option_value(1, 1, KEY)),),
    )
    assert of(outputs.Reconfigured, scene.reconfigure(replay=2, server=OTHER_SERVER))


# What is said


@pytest.mark.req("V6-12", "breaks")
def test_rapid_commit_is_a_word_of_the_solicit_alone() -> None:
    """§21.14."""
    scene = Scene(PD, rapid_commit=True).rebinding()
    assert {message.type for message in scene.sent if message.first(14) is not None} == {M.SOLICIT}


def test_options_of_the_operator_are_in_every_message() -> None:
    scene = Scene(PD, options=(Option(16, b"a vendor"),)).rebinding()
    scene.feed(Release())
    assert {message.first(16) for message in scene.sent} == {b"a vendor"}
    assert {message.type for message in scene.sent} == {M.SOLICIT, M.REQUEST, M.RENEW, M.REBIND, M.RELEASE}


# Offers and refusals


@pytest.mark.req("V6-9", "breaks")
@pytest.mark.req("V6-14", "breaks")
@pytest.mark.parametrize(
    ("t1", "t2", "status", "usable"), [(9, 9, 0, True), (9, 0, 0, True), (9, 8, 0, False), (0, 0, 6, False)]
)
def test_an_offer_that_contradicts_itself_is_none(t1: int, t2: int, status: int, usable: bool) -> None:
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, Grant(PREFIX, 3000, 5000), t1=t1, t2=t2, status=status))
    assert bool(scene.state.offers) is usable


@pytest.mark.req("V6-20")
@pytest.mark.parametrize("code", [2, 3, 6])
def test_a_server_that_says_no_at_the_top_has_said_no(code: int) -> None:
    """As servers of RFC 3315 do; another one is asked, and why is told."""
    scene = Scene(PD).soliciting()
    scene.advertise(preference=1)
    scene.advertise(server=OTHER_SERVER)
    scene.until_sent(M.REQUEST)
    said = scene.silent_reply(options=(status_option(code),))
    assert [(one.association, one.status.code) for one in of(outputs.Refusal, said)] == [(None, code)]
    assert scene.sent[-1].first(2) == OTHER_SERVER


def test_a_renewal_that_becomes_a_request_is_a_success_in_the_end() -> None:
    scene = Scene(PD).bound()
    scene.feed(Renew())
    assert not of(outputs.Finished, scene.reply(ia(PD, status=3)))
    assert only(outputs.Finished, scene.reply()).ok


# Link and life


@pytest.mark.req("C11")
def test_a_flap_lasts_three_seconds_however_often_it_is_told() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    scene.run(2)
    scene.feed(LinkDown())
    scene.run(1.1)
    assert isinstance(scene.state, states.NoLink)


def test_who_has_nothing_to_lose_does_not_wait_for_the_end_of_a_flap() -> None:
    scene = Scene(PD).soliciting()
    scene.feed(LinkDown())
    assert isinstance(scene.state, states.NoLink)


@pytest.mark.parametrize("happens", [LinkDown(), LinkGone(), LINK, Stop()])
def test_nothing_of_the_link_wakes_who_is_stopped(happens: Input | Stop) -> None:
    scene = Scene(PD).bound()
    scene.feed(Stop())
    for _ in range(2):
        assert scene.feed(happens) == []
        assert isinstance(scene.state, states.Stopped)
    assert scene.machine.deadline is None


def test_a_link_that_flaps_does_not_end_a_release_and_one_that_is_gone_does() -> None:
    scene = Scene(PD).bound()
    scene.feed(Release())
    for flaps in (LinkDown(), LINK):
        assert scene.feed(flaps) == []
    assert isinstance(scene.state, states.Releasing)
    assert only(outputs.Finished, scene.feed(LinkGone())).ok
    assert isinstance(scene.state, states.Stopped)


def test_a_start_of_who_runs_is_nothing() -> None:
    scene = Scene(PD).bound()
    assert scene.feed(Start()) == []
    assert isinstance(scene.state, states.Bound)


@pytest.mark.parametrize("end", [Stop(), Leave(frozenset((NA,)))])
def test_an_end_answers_a_command_and_is_one_of_everything(end: Input | Stop) -> None:
    scene = Scene(NA, PD).renewing()
    scene.reply(ia(NA), ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    assert scene.machine.former
    scene.feed(Renew())
    scene.feed(LinkDown())
    assert not only(outputs.Finished, scene.feed(end)).ok
    assert scene.machine.former == ()
    lost = len(scene.all(outputs.Lost))
    scene.run(10000)
    assert isinstance(scene.state, states.Stopped)
    assert len(scene.all(outputs.Lost)) == lost


@pytest.mark.req("C4", "breaks")
def test_what_nobody_wants_any_more_is_not_asked_for() -> None:
    scene = Scene(PD, remembered=memory(binding(NA), binding(PD), trusted=False)).started()
    scene.until_sent(M.REBIND)
    assert [one.association for one in scene.asked.associations] == [PD]


@pytest.mark.req("V6-13")
def test_what_was_not_granted_is_asked_for_in_a_rebind_too() -> None:
    scene = Scene(PD, PD2).requesting()
    scene.reply(ia(PD), ia(PD2, status=6))
    scene.until_sent(M.REBIND)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)), empty(PD2))


@pytest.mark.req("C17")
def test_a_day_of_silence_is_not_remembered_packet_by_packet() -> None:
    scene = Scene(PD).soliciting()
    scene.run(86400)
    assert len(scene.state.exchange.recent) <= 2


# Commands in each other's way


@pytest.mark.parametrize("ends", [Release(), Flush()])
def test_what_takes_the_lease_away_answers_who_waits_for_it(ends: Input) -> None:
    scene = Scene(PD).bound()
    scene.feed(Renew())
    finished = of(outputs.Finished, scene.feed(ends))
    assert (finished[0].command, finished[0].ok) == ("renew", False)


def test_a_flush_without_a_carrier_asks_when_it_is_back() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    sent = len(scene.sent)
    assert only(outputs.Finished, scene.feed(Flush())).ok
    assert isinstance(scene.state, states.NoLink)
    scene.run(60)
    assert len(scene.sent) == sent
    scene.feed(LINK)
    scene.until_sent(M.SOLICIT, 1)


def test_a_flush_of_information_asks_for_it_anew() -> None:
    scene = Scene().started()
    scene.until_sent(M.INFORMATION_REQUEST)
    scene.silent_reply()
    assert only(outputs.Finished, scene.feed(Flush())).ok
    scene.until_sent(M.INFORMATION_REQUEST, 1)


def test_nobody_answers_who_has_only_information_and_it_goes_on() -> None:
    scene = Scene().started()
    scene.until_sent(M.INFORMATION_REQUEST)
    scene.silent_reply()
    scene.feed(RequestInformation())
    assert not scene.until(outputs.Finished).ok
    assert isinstance(scene.state, states.Informing)


@pytest.mark.parametrize("command", [Renew(), Rebind(), RequestInformation()])
def test_nothing_is_asked_by_command_without_a_carrier_or_beside_another_command(command: Input) -> None:
    scene = Scene(PD).bound()
    scene.feed(Renew())
    assert only(Refused, scene.feed(command)).reason == "a renew is under way"
    scene.reply()
    scene.feed(LinkDown())
    assert only(Refused, scene.feed(command)).reason == "the link is down"


def test_what_is_given_back_without_a_carrier_is_dropped() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    finished = only(outputs.Finished, scene.feed(Release()))
    assert finished.ok
    assert "no server could be told" in finished.detail
    assert scene.held == {}


@pytest.mark.parametrize(("command", "name"), [(Renew(), "renew"), (Rebind(), "rebind")])
def test_each_command_is_answered_by_its_name(command: Input, name: str) -> None:
    scene = Scene(PD).renewing()
    scene.feed(command)
    assert only(outputs.Finished, scene.reply()).command == name
