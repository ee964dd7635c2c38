"""Release, Decline, and what an operator may ask for (RFC 9915 §18.2.7, §18.2.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import inputs, outputs, states
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.inputs import Conflict, Flush, Leave, LinkDown, Rebind, Release, Renew, RequestInformation
from routerd.protocols.dhcpv6.message import MessageType
from routerd.protocols.machine import Refused, Start, Stop
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    INFINITE,
    LINK,
    NA,
    OTHER_ADDRESS,
    OTHER_SERVER,
    PD,
    PREFIX,
    SERVER,
    Scene,
    empty,
    ia,
    status_option,
)
from tests.protocols.timeline import gaps, of, only

M = MessageType


@pytest.mark.req("V6-27")
def test_a_release_stops_using_everything_before_it_says_so() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(Release())
    kinds = [type(output).__name__ for output in said]
    assert kinds == ["Lost", "Lost", "Forget", "Entered", "Send"]
    assert {lost.reason for lost in of(outputs.Lost, said)} == {"released"}
    message = scene.sent[-1]
    assert (message.type, message.first(2)) == (M.RELEASE, SERVER)
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), ia(PD, Grant(PREFIX)))
    said = scene.silent_reply()
    finished = only(outputs.Finished, said)
    assert (finished.command, finished.ok) == ("release", True)
    assert isinstance(scene.state, states.Stopped)


@pytest.mark.req("V6-27", "breaks")
@pytest.mark.req("V6-1")
def test_a_release_that_nobody_hears_is_said_four_times() -> None:
    scene = Scene(PD).bound()
    scene.feed(Release())
    finished = scene.until(outputs.Finished, 20)
    assert "no server has confirmed" in finished.detail
    times = scene.sent_at(M.RELEASE)
    assert len(times) == 4
    assert 0.9 <= gaps(times)[0] <= 1.1
    assert isinstance(scene.state, states.Stopped)
    scene.run(7300)
    assert scene.machine.deadline is None
    scene.feed(Start())
    scene.until_sent(M.SOLICIT, 1)
    assert scene.asked.associations == (empty(PD),), "what was given back is not asked for"


@pytest.mark.parametrize("code", [1, 3, 99])
def test_any_answer_ends_a_release(code: int) -> None:
    scene = Scene(PD).bound()
    scene.feed(Release())
    scene.silent_reply(options=(status_option(code),))
    assert isinstance(scene.state, states.Stopped)


def test_each_server_is_told_of_its_own() -> None:
    scene = Scene(NA, PD).rebinding()
    scene.reply(ia(NA), server=OTHER_SERVER)
    scene.feed(Release())
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)),)
    said = scene.silent_reply(server=OTHER_SERVER)
    assert only(outputs.Send, said).message.first(2) == SERVER
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    assert only(outputs.Finished, scene.silent_reply()).detail == "the leases were given back"


def test_stop_with_release_says_goodbye_and_stop_again_cuts_it_short() -> None:
    scene = Scene(PD).bound()
    said = scene.feed(Stop(release=True))
    assert only(outputs.Lost, said).reason == "stopped"
    assert only(outputs.Send, said).message.type is M.RELEASE
    scene.feed(Stop())
    assert isinstance(scene.state, states.Stopped)
    assert scene.held == {}


@pytest.mark.req("V6-27")
def test_one_association_is_given_back_alone() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(Leave(frozenset({PD})))
    assert [(lost.association, lost.reason) for lost in of(outputs.Lost, said)] == [(PD, "stopped")]
    assert of(outputs.Forget, said) == [], "the file holds the rest"
    message = only(outputs.Send, said).message
    assert (message.type, message.first(2)) == (M.RELEASE, SERVER)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    left = scene.machine.memory
    assert ([binding.association for binding in left.bindings], set(left.last)) == ([NA], {NA}), "before any answer"
    assert scene.held == {}, "it has ended"
    scene.silent_reply()
    assert isinstance(scene.state, states.Stopped)
    again = Scene(NA, remembered=scene.machine.memory, now=scene.now).started()
    again.until_sent(M.CONFIRM, 2)
    assert set(again.held) == {NA}


@pytest.mark.req("V6-27", "breaks")
def test_one_association_of_which_nobody_hears_is_given_back_four_times() -> None:
    scene = Scene(NA, PD).bound()
    scene.feed(Leave(frozenset({NA})))
    scene.run(30)
    assert len(scene.sent_at(M.RELEASE)) == 4
    assert isinstance(scene.state, states.Stopped)
    assert [binding.association for binding in scene.machine.memory.bindings] == [PD]


def test_who_leaves_with_nothing_to_give_back_just_ends() -> None:
    scene = Scene(NA, PD).bound(ia(NA))
    scene.feed(Leave(frozenset({PD})))
    assert (scene.sent_at(M.RELEASE), isinstance(scene.state, states.Stopped)) == ([], True)
    scene = Scene(NA, PD).bound()
    scene.feed(LinkDown())
    assert [lost.association for lost in of(outputs.Lost, scene.feed(Leave(frozenset({PD}))))] == [PD]
    assert (scene.sent_at(M.RELEASE), isinstance(scene.state, states.Stopped)) == ([], True)


def test_who_leaves_altogether_gives_everything_back() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(Leave(frozenset({NA, PD})))
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), ia(PD, Grant(PREFIX)))
    assert of(outputs.Forget, said)


def test_start_while_saying_goodbye_begins_anew() -> None:
    scene = Scene(PD).bound()
    scene.feed(Release())
    assert only(outputs.Finished, scene.feed(Start())).command == "release"
    scene.until_sent(M.SOLICIT, 2)


def test_without_a_link_nobody_can_be_told() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    scene.run(10)
    finished = only(outputs.Finished, scene.feed(Release()))
    assert "no server could be told" in finished.detail
    assert isinstance(scene.state, states.Stopped)


@pytest.mark.req("V6-26")
@pytest.mark.req("V6-1")
def test_an_address_of_somebody_else_is_declined_and_others_asked_for_later() -> None:
    scene = Scene(NA).bound()
    begun = scene.now
    said = scene.feed(Conflict(ADDRESS))
    assert [type(output).__name__ for output in said] == ["Lost", "Entered", "Send"]
    assert only(outputs.Lost, said).reason == "conflict"
    message = scene.sent[-1]
    assert (message.type, message.first(2)) == (M.DECLINE, SERVER)
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)),)
    scene.silent_reply()
    assert isinstance(scene.state, states.Soliciting)
    scene.until_sent(M.SOLICIT)
    assert scene.now - begun >= 10
    assert scene.asked.associations == (empty(NA),), "not that address again"


@pytest.mark.req("V6-26", "breaks")
def test_a_decline_that_nobody_hears_is_said_four_times() -> None:
    scene = Scene(NA).bound()
    scene.feed(Conflict(ADDRESS))
    scene.until(outputs.Failed, 20)
    assert len(scene.sent_at(M.DECLINE)) == 4


@pytest.mark.req("V6-26", "breaks")
@pytest.mark.req("V6-13")
def test_the_prefix_stays_when_the_address_is_declined() -> None:
    scene = Scene(NA, PD).bound()
    begun = scene.now
    scene.feed(Conflict(ADDRESS))
    scene.silent_reply()
    assert scene.held == {PD: [PREFIX]}
    assert isinstance(scene.state, states.Bound)
    scene.until_sent(M.RENEW)
    assert 10 <= scene.now - begun <= 40
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)), empty(NA))
    scene.reply(ia(PD), ia(NA, Grant(OTHER_ADDRESS, 100, 200)))
    assert scene.held == {PD: [PREFIX], NA: [OTHER_ADDRESS]}


@pytest.mark.req("V6-26", "breaks")
def test_a_renewal_within_ten_seconds_does_not_ask_for_another_address() -> None:
    scene = Scene(NA, PD).bound(ia(NA), ia(PD, t1=100))
    scene.run(95)
    begun = scene.now
    scene.feed(Conflict(ADDRESS))
    scene.silent_reply()
    scene.until_sent(M.RENEW)
    assert scene.now - begun == pytest.approx(5)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    scene.reply(ia(PD, t1=100))
    scene.until_sent(M.RENEW)
    assert 30 <= scene.now - begun <= 40
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)), empty(NA))


def test_a_conflict_about_what_is_not_ours_is_nothing() -> None:
    scene = Scene(NA).bound()
    assert scene.feed(Conflict(OTHER_ADDRESS)) == []
    assert scene.held == {NA: [ADDRESS]}


# Commands


@pytest.mark.parametrize(("command", "kind"), [(Renew(), M.RENEW), (Rebind(), M.REBIND)])
def test_renew_and_rebind_now(command: Any, kind: MessageType) -> None:
    scene = Scene(PD).bound()
    assert only(outputs.Send, scene.feed(command)).message.type is kind
    assert only(Refused, scene.feed(command)).reason.endswith("is under way")
    finished = only(outputs.Finished, scene.reply())
    assert finished.ok
    assert "IA_PD 0x00000001" in finished.detail


@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_an_answer_that_extends_nothing_is_no_success(command: Any) -> None:
    scene = Scene(PD).bound()
    scene.feed(command)
    assert not of(outputs.Finished, scene.reply(empty(PD)))
    assert not scene.until(outputs.Finished).ok


@pytest.mark.req("C9")
@pytest.mark.req("C9", "breaks")
def test_whatever_is_commanded_ten_packets_leave_at_once_and_then_one_a_second() -> None:
    scene = Scene(PD).bound()
    scene.run(60)
    begun = scene.now
    for _ in range(30):
        scene.feed(Renew())
        scene.reply()
    assert len(scene.sent_at(M.RENEW)) == 10
    for _ in range(200):
        scene.feed(Renew())
        scene.reply()
        scene.run(0.1)
    assert 28 <= len([at for at in scene.sent_at(M.RENEW) if at >= begun]) <= 31


@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_nobody_answers_a_command(command: Any) -> None:
    scene = Scene(PD).bound()
    scene.feed(command)
    begun = scene.now
    finished = scene.until(outputs.Finished)
    assert (finished.ok, scene.now - begun) == (False, pytest.approx(9))
    assert isinstance(scene.state, states.Bound)


@pytest.mark.parametrize(
    ("due", "command", "state"),
    [(Scene.renewing, Renew(), states.Renewing), (Scene.rebinding, Rebind(), states.Rebinding)],
)
def test_nobody_answers_a_command_for_what_is_due_anyway(
    due: Callable[[Scene], Scene], command: Any, state: type[states.State]
) -> None:
    scene = due(Scene(PD))
    scene.feed(command)
    assert not scene.until(outputs.Finished).ok
    assert isinstance(scene.state, state), "it goes on: nobody has extended anything"


def test_a_lease_without_end_can_be_renewed_by_hand() -> None:
    scene = Scene(PD).bound(ia(PD, preferred=INFINITE, valid=INFINITE))
    scene.feed(Renew())
    scene.until(outputs.Finished)
    assert isinstance(scene.state, states.Bound)


@pytest.mark.parametrize("command", [Renew(), Rebind(), Release(), RequestInformation(), Flush()])
def test_what_a_stopped_client_cannot_do(command: Any) -> None:
    only(Refused, Scene(PD).feed(command))


@pytest.mark.parametrize("command", [Renew(), Rebind(), Release(), RequestInformation()])
def test_what_a_client_without_leases_cannot_do(command: Any) -> None:
    scene = Scene(PD).soliciting()
    before = scene.state
    only(Refused, scene.feed(command))
    assert scene.state == before


def test_past_t2_renew_is_refused() -> None:
    scene = Scene(PD).rebinding()
    assert "rebind instead" in only(Refused, scene.feed(Renew())).reason
    assert only(outputs.Send, scene.feed(Rebind())).message.type is M.REBIND


def test_a_command_ends_with_its_leases() -> None:
    scene = Scene(PD).bound()
    scene.feed(Renew())
    finished = only(outputs.Finished, scene.reply(ia(PD, status=6)))
    assert (finished.command, finished.ok) == ("renew", False)
    scene = Scene(PD).bound()
    scene.feed(Renew())
    scene.feed(LinkDown())
    assert not scene.until(outputs.Finished, 5).ok


def test_flush_forgets_everything_and_begins_anew() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(Flush())
    assert {lost.reason for lost in of(outputs.Lost, said)} == {"flushed"}
    assert of(outputs.Forget, said)
    assert only(outputs.Finished, said).ok
    scene.until_sent(M.SOLICIT, 2)
    assert scene.asked.associations == (empty(NA), empty(PD))
    assert scene.sent_at(M.RELEASE) == []


@pytest.mark.parametrize("wanted", [(), (PD,)])
def test_information_by_hand(wanted: Any) -> None:
    scene = Scene(*wanted)
    if wanted:
        scene.bound()
    else:
        scene.started()
        scene.until_sent(M.INFORMATION_REQUEST)
    said = scene.feed(inputs.RequestInformation())
    assert only(outputs.Send, said).message.type is M.INFORMATION_REQUEST
    said = scene.silent_reply() if wanted == () else scene.feed(scene.message(M.REPLY))
    assert only(outputs.Finished, said).ok
    assert only(outputs.Informed, said)
    assert type(scene.state) is (states.Bound if wanted else states.Informed)


def test_information_by_hand_that_nobody_has() -> None:
    scene = Scene(PD).bound()
    scene.feed(RequestInformation())
    assert not scene.until(outputs.Finished).ok
    assert isinstance(scene.state, states.Bound)
    scene = Scene(PD).bound(ia(PD, t1=5, t2=200))
    scene.feed(RequestInformation())
    scene.run(1)
    scene.feed(LINK)
    scene.until_sent(M.RENEW, 40)
