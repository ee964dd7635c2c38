"""Restarts, links that come and go, and what is confirmed then (RFC 9915 §18.2.3, §18.2.12)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv6 import outputs, states
from routerd.protocols.dhcpv6.association import Association, Grant, Kind
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.inputs import LinkDown, LinkGone, LinkUp, NetworkChanged, Rebind, Renew, SendFailed
from routerd.protocols.dhcpv6.memory import Former
from routerd.protocols.dhcpv6.message import MessageType
from routerd.protocols.machine import Dropped, Refused, Start, Stop
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    DNS,
    LINK,
    NA,
    OTHER_ADDRESS,
    OTHER_MAC,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PREFIX,
    Scene,
    binding,
    ia,
    memory,
    status_option,
    u32_option,
)
from tests.protocols.timeline import gaps, of, only

M = MessageType
PPP = LinkUp(7, b"", IPv6Address("fe80::7"))


def restarted(*wanted: Association, start: bool = True, link: LinkUp = LINK, **known: Any) -> Scene:
    """A client that remembers what it wants, on a link that is up."""
    held = known.pop("held", tuple(binding(which) for which in wanted))
    scene = Scene(*wanted, remembered=memory(*held, **known))
    return scene.started(link) if start else scene


@pytest.mark.req("V6-40")
@pytest.mark.req("V6-1")
def test_with_a_prefix_a_rebind_in_the_manner_of_confirm() -> None:
    scene = restarted(NA, PD)
    assert [r.binding.association for r in scene.all(outputs.Resumed)] == [NA, PD]
    scene.until_sent(M.REBIND, 1)
    begun = scene.now
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), ia(PD, Grant(PREFIX)))
    scene.until_state(states.Bound)
    assert scene.now - begun == pytest.approx(10)
    times = scene.sent_at(M.REBIND)
    assert 0.9 <= gaps(times)[0] <= 1.1
    assert max(gaps(times)) <= 4.4


@pytest.mark.parametrize("wanted", [(NA,), (NA, PD)])
@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_what_is_being_confirmed_is_not_extended(wanted: tuple[Association, ...], command: Any) -> None:
    scene = restarted(*wanted)
    scene.until_state(states.Revalidating if PD in wanted else states.Confirming, 1)
    assert "being confirmed" in only(Refused, scene.feed(command)).reason


@pytest.mark.req("V6-40")
def test_with_addresses_alone_a_confirm() -> None:
    scene = restarted(NA)
    message = scene.until_sent(M.CONFIRM, 1)
    assert [code for code, _ in message.options] == [1, 8, 3]
    assert message.first(2) is None
    said = scene.silent_reply(server=OTHER_SERVER)
    assert isinstance(scene.state, states.Bound)
    assert not of(outputs.Lost, said)
    assert only(outputs.Informed, said).information.dns_servers == (DNS,), "what is told beside it counts"
    assert scene.held == {NA: [ADDRESS]}


@pytest.mark.req("V6-40", "breaks")
@pytest.mark.parametrize("wanted", [(NA,), (PD,), (NA, PD)])
def test_nobody_confirms_and_all_stays_until_its_end(wanted: tuple[Association, ...]) -> None:
    scene = restarted(*wanted)
    scene.until_state(states.Bound, 12)
    assert set(scene.held) == set(wanted)
    assert scene.all(outputs.Failed) == [], "that is no failure (§18.2.3)"
    scene.until_sent(M.RENEW)
    assert scene.all(outputs.Lost) == []


@pytest.mark.req("V6-40")
@pytest.mark.req("V6-20")
def test_another_link_says_the_server() -> None:
    scene = restarted(NA)
    scene.until_sent(M.CONFIRM)
    said = scene.silent_reply(options=(status_option(4),))
    assert only(outputs.Lost, said).reason == "not-on-link"
    scene.until_sent(M.SOLICIT, 3)
    assert scene.asked.associations == (attrs.evolve(ia(NA), grants=()),)


@pytest.mark.req("V6-20", "breaks")
def test_a_confirm_that_fails_otherwise_is_repeated() -> None:
    scene = restarted(NA)
    scene.until_sent(M.CONFIRM)
    assert only(Dropped, scene.silent_reply(options=(status_option(1),))).reason == "unspec-fail"
    scene.run(1.2)
    assert len(scene.sent_at(M.CONFIRM)) == 2


@pytest.mark.req("V6-40")
def test_confirmed_by_a_rebind() -> None:
    scene = restarted(NA, PD)
    scene.until_sent(M.REBIND)
    said = scene.reply(ia(NA), ia(PD))
    assert {e.by for e in of(outputs.Extended, said)} == {"rebind"}
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("V6-21")
def test_what_is_not_ours_any_more_is_said_by_the_rebind() -> None:
    scene = restarted(PD)
    scene.until_sent(M.REBIND)
    said = scene.reply(ia(PD, Grant(PREFIX, 0, 0), Grant(OTHER_PREFIX, 100, 200)))
    assert only(outputs.Lost, said).lease.asset == PREFIX
    assert only(outputs.Changed, said).binding.leases[0].asset == OTHER_PREFIX


@pytest.mark.req("V6-20")
def test_no_binding_at_a_restart_is_requested_at_once() -> None:
    scene = restarted(PD)
    scene.until_sent(M.REBIND)
    request = only(outputs.Send, scene.reply(ia(PD, status=3), server=OTHER_SERVER)).message
    assert (request.type, request.first(2)) == (M.REQUEST, OTHER_SERVER)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)


@pytest.mark.req("V6-27")
@pytest.mark.req("V6-27", "breaks")
def test_a_restart_is_no_loss_and_no_release() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(Stop())
    assert [type(output).__name__ for output in said] == ["Entered"]
    assert scene.machine.deadline is None
    again = Scene(NA, PD, remembered=scene.machine.memory, now=scene.now + 5).started()
    assert len(again.all(outputs.Resumed)) == 2
    assert again.all(outputs.Informed)[0].information.dns_servers == (DNS,)
    said = scene.feed(Start())
    assert len(of(outputs.Resumed, said)) == 2
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX]}


@pytest.mark.req("C4")
@pytest.mark.req("C4", "breaks")
def test_of_unknown_age_nothing_is_used_before_a_server_has_confirmed_it() -> None:
    scene = restarted(NA, trusted=False)
    assert scene.all(outputs.Resumed) == []
    assert scene.held == {}
    scene.until_sent(M.REBIND, 1)
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)),)
    assert scene.machine.memory.trusted is False
    assert scene.machine.memory.bindings
    assert only(outputs.Bound, scene.reply()).by == "rebind"
    assert scene.machine.memory.trusted


@pytest.mark.req("C4", "breaks")
def test_of_unknown_age_and_never_confirmed_is_what_to_ask_for() -> None:
    scene = restarted(PD, trusted=False)
    scene.until_sent(M.SOLICIT)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    assert scene.all(outputs.Lost) == []


def test_what_is_unconfirmed_stays_so_over_a_link_that_goes() -> None:
    scene = restarted(PD, trusted=False)
    scene.until_sent(M.REBIND)
    scene.feed(LinkDown())
    scene.run(100)
    assert scene.machine.memory.bindings
    scene.feed(LINK)
    assert scene.until_sent(M.REBIND, 1)


@pytest.mark.req("V6-41")
def test_what_ended_meanwhile_is_lost_and_the_lan_hears_of_it_for_two_hours() -> None:
    scene = restarted(PD, held=(binding(PD, age=6000),))
    lost = only(outputs.Lost, [said.output for said in scene.said])
    assert (lost.lease.asset, lost.reason) == (PREFIX, "expired")
    (former,) = scene.machine.former
    assert former.lease.valid_until == pytest.approx(scene.now + 7200)
    scene.until_sent(M.SOLICIT, 3)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)
    assert scene.sent_at(M.REBIND, M.CONFIRM) == []
    scene.run(7300)
    assert scene.machine.former == ()


@pytest.mark.req("V6-41", "breaks")
def test_one_of_two_has_ended_and_the_other_is_confirmed() -> None:
    scene = restarted(NA, PD, held=(binding(NA, age=6000), binding(PD)))
    assert [r.binding.association for r in scene.all(outputs.Resumed)] == [PD]
    scene.until_sent(M.REBIND)
    assert {a.association for a in scene.asked.associations} == {NA, PD}


@pytest.mark.req("V6-22")
def test_an_old_prefix_is_remembered_over_a_restart_until_its_end() -> None:
    before = Scene(PD).renewing()
    before.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    before.feed(Stop())
    scene = Scene(PD, remembered=before.machine.memory, now=before.now + 1).started()
    (former,) = scene.machine.former
    assert (former.lease.asset, former.in_use) == (PREFIX, True)
    assert isinstance(former, Former)
    lost = scene.until(outputs.Lost, where=lambda output: output.lease.asset == PREFIX)
    assert lost.reason == "expired"


def test_what_is_not_wanted_any_more_is_lost_and_not_resumed() -> None:
    scene = restarted(NA, held=(binding(NA), binding(PD)))
    assert [r.binding.association for r in scene.all(outputs.Resumed)] == [NA]
    assert [(lost.association, lost.reason) for lost in scene.all(outputs.Lost)] == [(PD, "unwanted")]
    assert [former.lease.asset for former in scene.machine.former] == [PREFIX]


@pytest.mark.req("V6-13")
def test_what_is_wanted_since_is_asked_for_at_once() -> None:
    scene = restarted(NA, PD, held=(binding(NA),))
    scene.until_sent(M.REBIND, 1)
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), attrs.evolve(ia(PD), grants=()))
    scene.reply()
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX]}


@pytest.mark.req("C11")
def test_a_flap_is_nothing_but_a_reason_to_ask() -> None:
    scene = Scene(PD).bound()
    assert scene.feed(LinkDown()) == []
    assert scene.run(2.9) == []
    scene.feed(LINK)
    assert isinstance(scene.state, states.Revalidating)
    assert scene.held == {PD: [PREFIX]}
    scene.until_sent(M.REBIND, 1)


@pytest.mark.req("C11", "breaks")
def test_a_link_that_stays_away_and_a_lease_that_ends_meanwhile() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    sent = len(scene.sent)
    assert scene.until(outputs.Entered).state == "NoLink"
    assert scene.held == {PD: [PREFIX]}
    assert scene.until(outputs.Lost).reason == "expired"
    assert isinstance(scene.state, states.NoLink)
    assert len(scene.sent) == sent
    scene.feed(LINK)
    scene.until_sent(M.SOLICIT, 3)


@pytest.mark.req("C14")
@pytest.mark.req("C14", "breaks")
@pytest.mark.parametrize("change", [{"mac": OTHER_MAC}, {"ifindex": 9}])
def test_another_card_or_interface_is_another_link(change: dict[str, Any]) -> None:
    scene = Scene(NA, PD).bound(options=(u32_option(82, 100),))
    said = scene.feed(attrs.evolve(LINK, **change))
    assert {lost.reason for lost in of(outputs.Lost, said)} == {"link-changed"}
    assert scene.machine.memory.sol_max_rt == 3600
    assert scene.machine.information is None
    before = scene.sent[0].first(1)
    scene.until_sent(M.SOLICIT, 3)
    assert scene.sent[-1].first(1) == before
    assert {a.association for a in scene.asked.associations} == {NA, PD}


@pytest.mark.req("V6-28")
def test_the_pace_of_another_link_is_another() -> None:
    scene = Scene(PD).bound(options=(u32_option(82, 100), u32_option(83, 200)))
    assert only(outputs.Paced, [said.output for said in scene.said]) == outputs.Paced(100.0, 200.0)
    scene.feed(LinkGone())
    assert scene.machine.memory.sol_max_rt == 3600


@pytest.mark.req("V6-31")
@pytest.mark.req("V6-3")
def test_a_point_to_point_interface_that_comes_again_has_the_same_prefix() -> None:
    scene = Scene(PD).started(PPP)
    scene.until_sent(M.SOLICIT)
    assert scene.all(outputs.Send)[0].source == PPP.link_local
    scene.advertise(preference=255)
    scene.reply()
    assert scene.feed(LinkGone()) == [outputs.Entered("NoLink", "Bound")]
    assert scene.held == {PD: [PREFIX]}
    scene.feed(LinkUp(8, b"", IPv6Address("fe80::8")))
    scene.until_sent(M.REBIND, 1)
    assert scene.all(outputs.Send)[-1].source == IPv6Address("fe80::8")


def test_an_interface_that_is_gone_takes_its_leases_along() -> None:
    scene = Scene(NA, PD).bound()
    said = scene.feed(LinkGone())
    assert {lost.reason for lost in of(outputs.Lost, said)} == {"link-gone"}
    assert scene.machine.deadline is not None, "the LAN must go on hearing of the prefix"
    scene.run(8000)
    assert scene.machine.deadline is None


@pytest.mark.req("V6-42")
@pytest.mark.req("V6-42", "breaks")
def test_another_router_is_a_reason_to_ask_at_most_every_ten_seconds() -> None:
    scene = Scene(PD).bound()
    scene.feed(NetworkChanged())
    scene.until_sent(M.REBIND, 1)
    begun = scene.now
    scene.reply()
    for _ in range(20):
        scene.feed(NetworkChanged())
        scene.run(0.01)
    scene.until_sent(M.REBIND, 12)
    assert scene.now - begun >= 9
    scene.reply()
    assert len({m.xid for m in scene.sent if m.type is M.REBIND}) == 2


@pytest.mark.req("V6-42")
@pytest.mark.req("V6-42", "breaks")
def test_another_network_has_other_information_and_is_asked_for_it_at_most_every_ten_seconds() -> None:
    """§18.2.12: who has only information MUST ask for it anew."""
    scene = Scene().started()
    scene.until_sent(M.INFORMATION_REQUEST, 1)
    scene.silent_reply()
    for asked in (2, 3):
        begun = scene.now
        for _ in range(20):
            scene.feed(NetworkChanged())
            scene.run(0.01)
        scene.until_sent(M.INFORMATION_REQUEST, 12)
        scene.silent_reply()
        assert len({m.xid for m in scene.sent}) == asked
    assert scene.now - begun >= 9


def test_nothing_is_asked_of_another_network_while_the_carrier_is_away() -> None:
    scene = Scene(PD).bound()
    scene.feed(LinkDown())
    assert scene.feed(NetworkChanged()) == []
    scene.run(2)
    assert scene.sent_at(M.REBIND) == []


def test_what_could_not_be_sent_is_a_packet_lost() -> None:
    scene = Scene(PD).soliciting()
    deadline = scene.machine.deadline
    assert scene.feed(SendFailed("Network is down")) == []
    assert scene.machine.deadline == deadline


@pytest.mark.req("V6-30")
@pytest.mark.req("V6-30", "breaks")
@pytest.mark.req("V6-31")
def test_the_identity_is_that_of_the_settings_whatever_happens() -> None:
    scene = Scene(NA, PD).bound()
    for link in (attrs.evolve(LINK, mac=OTHER_MAC), attrs.evolve(LINK, ifindex=5)):
        scene.feed(link)
        scene.until_sent(M.SOLICIT, 3)
        scene.advertise(preference=255)
        scene.reply()
    scene.feed(Stop())
    scene.feed(Start())
    scene.run(20000)
    assert {message.first(1) for message in scene.sent} == {scene.sent[0].first(1)}


def test_a_restart_keeps_the_information_and_the_hints() -> None:
    scene = restarted(
        NA, held=(), information=Information((DNS,)), last={NA: (OTHER_ADDRESS,), Association(Kind.NA, 9): ()}
    )
    assert scene.all(outputs.Informed) == [outputs.Informed(Information((DNS,)), None, ())]
    scene.until_sent(M.SOLICIT)
    assert scene.asked.associations == (ia(NA, Grant(OTHER_ADDRESS)),)


@pytest.mark.req("V6-3", "breaks")
def test_a_link_local_address_that_changes_is_the_new_source_and_nothing_else() -> None:
    scene = Scene(PD).bound()
    moved = attrs.evolve(LINK, link_local=IPv6Address("fe80::99"))
    assert scene.feed(moved) == []
    scene.until_sent(M.RENEW)
    assert scene.all(outputs.Send)[-1].source == moved.link_local


@pytest.mark.req("V6-32", "breaks")
def test_nothing_about_routers_keeps_a_client_from_asking() -> None:
    scene = Scene(PD).started()
    for _ in range(3):
        scene.feed(NetworkChanged())
    scene.until_sent(M.SOLICIT, 1)
    scene.feed(NetworkChanged())
    assert isinstance(scene.state, states.Soliciting)
