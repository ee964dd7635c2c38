"""What RFC 9915 says of a client, written down from its text without a look at the machine: timelines of peers that
keep to it, and one deviation at a time."""

from __future__ import annotations

import itertools
from ipaddress import IPv6Address
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import outputs, states, wire
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.inputs import Conflict, LinkDown, Received
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.machine import Dropped
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    CONTENT,
    INFINITE,
    LINK,
    NA,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PD2,
    PREFIX,
    PREFIX2,
    ROUTER,
    SERVER,
    Scene,
    empty,
    ia,
    status_option,
    u32_option,
)
from tests.protocols.timeline import gaps, of

M = MessageType
DAY = 86400


def codes(message: Message) -> list[int]:
    return [option.code for option in message.options]


def elapsed(message: Message) -> int:
    return int.from_bytes(message.first(OptionCode.ELAPSED_TIME) or b"", "big")


# §15, §18.2.1: silence


@pytest.mark.parametrize("seed", range(20))
def test_a_day_of_silence(seed: int) -> None:
    """§15: MRT 3600 and no end (MRC and MRD 0); §16.1 one xid; §21.9 the elapsed time saturates."""
    scene = Scene(NA, PD, seed=seed).started()
    began = scene.now
    scene.run(DAY)
    times = scene.sent_at(M.SOLICIT)
    assert began <= times[0] <= began + 1
    waits = gaps(times)
    assert 1 < waits[0] <= 1.1
    for before, after in itertools.pairwise(waits):
        assert 1.9 * before - 1e-6 <= after <= 2.1 * before + 1e-6 or 3240 <= after <= 3960
    assert len({message.xid for message in scene.sent}) == 1
    assert elapsed(scene.sent[0]) == 0
    for message, at in zip(scene.sent, times, strict=True):
        assert elapsed(message) == pytest.approx(min(0xFFFF, (at - times[0]) * 100), abs=1)


def test_requests_end_after_ten_and_at_their_pace() -> None:
    """§7.6: IRT 1, MRT 30, MRC 10; REQ_MAX_RC exhausted: the exchange ends, and §18.2.2 begins another."""
    scene = Scene(PD).requesting()
    scene.run(400)
    times = scene.sent_at(M.REQUEST)
    assert len(times) == 10
    for before, after in zip(gaps(times), gaps(times)[1:], strict=False):
        assert 1.9 * before - 1e-6 <= after <= 2.1 * before + 1e-6 or 27 <= after <= 33
    assert scene.sent_at(M.SOLICIT)[-1] > times[-1], "and it goes on"


def test_a_renewal_ends_with_t2_and_a_rebind_with_the_lease() -> None:
    scene = Scene(PD).requesting()
    asked = scene.now
    scene.reply(ia(PD, t1=1000, t2=1600, preferred=1800, valid=2000))
    lost = scene.until(outputs.Lost)
    assert lost.lease.asset == PREFIX
    assert scene.now == pytest.approx(asked + 2000)
    assert all(asked + 1000 <= t < asked + 1600 + 1e-6 for t in scene.sent_at(M.RENEW))
    assert all(asked + 1600 - 1e-6 <= t < asked + 2000 for t in scene.sent_at(M.REBIND))
    before = len(scene.said)
    scene.run(5)
    assert next(s.output.message.type for s in scene.said[before:] if isinstance(s.output, outputs.Send)) is M.SOLICIT


# §16: what is not for us changes nothing, truncated at every octet


def whole_reply(scene: Scene) -> bytes:
    said = Message(
        M.REPLY,
        scene.sent[-1].xid,
        scene.message(
            M.REPLY,
            ia(NA, Grant(ADDRESS, 3000, 5000)),
            ia(PD, Grant(PREFIX, 3000, 5000)),
        ).message.options,
    )
    return wire.encode(said)


def test_a_reply_truncated_at_every_octet() -> None:
    """§16: what a truncated Reply grants was in it whole, and never more than that."""
    length = len(whole_reply(Scene(NA, PD).requesting()))
    for cut in range(length):
        scene = Scene(NA, PD).requesting()
        decoded = wire.decode(whole_reply(scene)[:cut])
        if isinstance(decoded, Message):
            scene.feed(Received(decoded, ROUTER))
        for which, assets in scene.held.items():
            assert assets == [{NA: ADDRESS, PD: PREFIX}[which]], cut
        assert scene.machine.deadline is not None
        for held in scene.machine.bindings.values():
            assert all(lease.valid_until and lease.valid_until <= scene.now + 5000 for lease in held.leases)


@pytest.mark.parametrize(
    "how",
    [
        {"client": OTHER_SERVER},
        {"client": None},
        {"server": None},
        {"server": OTHER_SERVER},
        {"xid": 0},
        {"unicast": False},
    ],
)
@pytest.mark.parametrize("phase", ["requesting", "renewing"])
def test_one_thing_wrong_with_a_reply(phase: str, how: dict[str, Any]) -> None:
    """§16.10, and its SOL_MAX_RT is not heard, either: the message is discarded."""
    scene = getattr(Scene(PD), phase)()
    before = scene.machine.bindings, scene.machine.deadline, scene.machine.memory
    out = scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)), options=(u32_option(82, 60),), **how)
    assert [type(one) for one in out] == [Dropped]
    assert (scene.machine.bindings, scene.machine.deadline, scene.machine.memory) == before


@pytest.mark.parametrize("kind", [k for k in M if k is not M.REPLY])
@pytest.mark.parametrize("phase", ["requesting", "renewing", "rebinding"])
def test_other_messages_are_no_answers(phase: str, kind: MessageType) -> None:
    scene = getattr(Scene(PD), phase)()
    before = scene.machine.bindings, scene.machine.deadline
    out = scene.feed(scene.message(kind, ia(PD, Grant(OTHER_PREFIX, 3000, 5000))))
    assert [type(one) for one in out] == [Dropped]
    assert (scene.machine.bindings, scene.machine.deadline) == before


@pytest.mark.parametrize("source", ["fe80::1", "2001:db8::1", "fd00::1"])
@pytest.mark.parametrize("port", [547, 546, 49153, 1, 65535])
def test_who_answers_from_where_is_no_matter(source: str, port: int) -> None:
    """§7.2 names the ports that are listened on, not those that are sent from."""
    scene = Scene(PD).soliciting()
    scene.advertise(source=IPv6Address(source), source_port=port)
    scene.until_sent(M.REQUEST, 2)
    scene.reply(source=IPv6Address(source), source_port=port)
    assert scene.held == {PD: [PREFIX]}


def test_a_duplicate_and_an_old_answer_come_too_late() -> None:
    """A Reply that the network doubled, and an Advertise after the Request, are of no exchange any more."""
    scene = Scene(PD).soliciting()
    offer = scene.message(M.ADVERTISE, ia(PD))
    scene.feed(offer)
    scene.until_sent(M.REQUEST, 2)
    reply = scene.message(M.REPLY, ia(PD))
    scene.feed(reply)
    before = scene.machine.bindings, scene.machine.deadline
    scene.run(100)
    for late in (reply, offer, reply):
        assert [type(one) for one in scene.feed(late)] == [Dropped]
    assert (scene.machine.bindings, scene.machine.deadline) == before


def test_answers_in_the_wrong_order() -> None:
    """Of two Renews (§15: one xid) both answers come, the later one first: the second is of no exchange any more."""
    scene = Scene(PD).renewing()
    scene.run(30)
    first, second = (scene.message(M.REPLY, ia(PD, valid=v, preferred=v)) for v in (4000, 6000))
    scene.feed(second)
    ends = scene.machine.bindings[PD].leases[0].valid_until
    scene.feed(first)
    assert scene.machine.bindings[PD].leases[0].valid_until == ends


# §18.2.9: Advertise


@pytest.mark.parametrize("value", [0, 59, 86401, INFINITE])
def test_a_pace_out_of_range_is_ignored(value: int) -> None:
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, status=6), options=(u32_option(82, value), u32_option(83, value)))
    assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (3600, 3600)


@pytest.mark.parametrize("offer", ["none", "empty", "status", "dead", "contradiction", "unasked", "top"])
def test_the_pace_in_an_advertise_of_no_use(offer: str) -> None:
    """§18.2.9: the client MUST process SOL_MAX_RT and INF_MAX_RT even where it ignores the rest."""
    ias, options = {
        "none": ([], ()),
        "empty": ([empty(PD)], ()),
        "status": ([ia(PD, status=6)], ()),
        "dead": ([ia(PD, preferred=0, valid=0)], ()),
        "contradiction": ([ia(PD, preferred=6000, valid=5000)], ()),
        "unasked": ([ia(PD2)], ()),
        "top": ([], (status_option(6, b"nothing for you"),)),
    }[offer]
    scene = Scene(PD).soliciting()
    scene.feed(scene.message(M.ADVERTISE, *ias, options=(*options, u32_option(82, 60), u32_option(83, 120))))
    assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (60, 120)
    scene.run(DAY)
    assert scene.sent_at(M.REQUEST) == []
    waits = gaps(scene.sent_at(M.SOLICIT))
    assert 54 <= max(waits) <= 66
    assert len(waits) >= DAY / 66


@pytest.mark.parametrize("rogue", [86400, 60])
def test_servers_that_contradict_each_other_about_the_pace(rogue: int) -> None:
    """§18.2.9: the values SHOULD be taken only if all Advertises that have them say the same; else the default."""
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, status=6), options=(u32_option(82, 120), u32_option(83, 120)))
    assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (120, 120)
    scene.advertise(ia(PD, status=6), server=OTHER_SERVER, options=(u32_option(82, rogue),))
    assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (3600, 120)
    scene.advertise(ia(PD, status=6), server=OTHER_SERVER, options=(u32_option(82, 120),))
    assert scene.machine.memory.sol_max_rt == 120, "who takes it back is at one with the others again"
    for number in range(100):
        scene.advertise(ia(PD, status=6), server=bytes((9, number)), options=(u32_option(82, 60 + number),))
    assert scene.machine.memory.sol_max_rt == 3600
    assert len(scene.state.paces) <= 16


def test_of_equal_preference_one_is_taken_and_the_others_are_kept() -> None:
    """§18.2.9; and §18.2.2: when it does not answer, the next."""
    scene = Scene(PD).soliciting()
    servers = [bytes.fromhex("00030001") + bytes((2, 0, 0, 0, 0, n)) for n in range(1, 6)]
    for server in servers:
        scene.advertise(ia(PD), server=server, preference=7)
    asked = []
    for _ in servers:
        scene.until(outputs.Send, 200, lambda s: s.message.type is M.REQUEST and s.message.first(2) not in asked)
        asked.append(scene.sent[-1].first(2))
    assert set(asked) == set(servers)


def test_preference_absent_is_zero() -> None:
    """§21.8 and §18.2.9."""
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, Grant(PREFIX, 3000, 5000)))
    scene.advertise(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)), server=OTHER_SERVER, preference=1)
    assert scene.until_sent(M.REQUEST, 2).first(2) == OTHER_SERVER


def test_a_preference_of_two_octets_is_none() -> None:
    """§21.8: the option has one octet; another length is no Preference option that we can read."""
    scene = Scene(PD).soliciting()
    out = scene.advertise(ia(PD), options=(*CONTENT, Option(7, b"\xff\xff")))
    assert not of(outputs.Send, out)


# §18.2.10: Reply


def test_a_reply_without_rapid_commit_to_a_solicit() -> None:
    scene = Scene(PD, rapid_commit=True).soliciting()
    assert 14 in codes(scene.sent[-1])
    assert [type(one) for one in scene.reply(ia(PD))] == [Dropped]
    scene.reply(ia(PD), options=(*CONTENT, Option(14, b"")))
    assert scene.held == {PD: [PREFIX]}


def test_use_multicast_is_ignored() -> None:
    """RFC 9915 has no unicast; the exchange goes on with the same message."""
    for phase in ("requesting", "renewing"):
        scene = getattr(Scene(PD), phase)()
        xid = scene.sent[-1].xid
        held = scene.held
        scene.reply(empty(PD), options=(status_option(5),))
        assert scene.held == held
        scene.run(700)
        assert scene.sent[-1].xid == xid or phase == "requesting"


@pytest.mark.parametrize("phase", ["requesting", "renewing", "rebinding"])
def test_unspec_fail_at_the_top_is_asked_again_slowly(phase: str) -> None:
    """§18.2.10: the client MUST limit the rate of retransmissions; the message is the same."""
    scene = getattr(Scene(PD), phase)()
    kind, held, at = scene.sent[-1].type, scene.held, scene.now
    for _ in range(30):
        scene.silent_reply(options=(status_option(1, b"later"),))
    assert scene.held == held
    scene.run(60)
    again = [t for t in scene.sent_at(kind) if t > at]
    assert 1 <= len(again) <= 12


def test_no_binding_for_one_is_requested_and_the_others_stay() -> None:
    """§18.2.10.1: Request for the IAs with NoBinding, to the server that said so."""
    scene = Scene(NA, PD, PD2).renewing()
    scene.reply(ia(NA), ia(PD, status=3), ia(PD2))
    assert scene.sent[-1].type is M.REQUEST
    assert scene.sent[-1].first(2) == SERVER
    assert [one.association for one in scene.asked.associations] == [PD]
    assert set(scene.held) == {NA, PD, PD2}, "not lost by that: it is still valid"
    scene.reply(ia(PD, Grant(PREFIX, 3000, 5000)))
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX], PD2: [PREFIX2]}


def test_no_binding_for_ever_is_bounded() -> None:
    """A server that says NoBinding to every Renew and to every Request."""
    scene = Scene(PD).renewing()
    began = scene.now
    while scene.now < began + 3000:
        scene.reply(ia(PD, status=3))
        if scene.machine.deadline is None:
            break
        scene.run(max(scene.machine.deadline - scene.now, 0.01))
    times = [at for at in scene.times(outputs.Send) if at > began]
    assert all(later - earlier > 9 for earlier, later in zip(times, times[3:], strict=False)), "no storm"
    assert scene.machine.deadline is not None
    assert scene.until(outputs.Lost, 600).lease.asset == PREFIX, "and no longer than it was granted"


@pytest.mark.parametrize("status", [2, 3, 4, 6, 1, 999])
@pytest.mark.parametrize("phase", ["requesting", "renewing", "rebinding"])
def test_a_prefix_with_a_failure_of_its_own(phase: str, status: int) -> None:
    """§21.13: a status inside the prefix is about that prefix alone: it is not granted by it."""
    scene = getattr(Scene(PD), phase)()
    scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000, status=Grant(PREFIX).status.__class__(status))))
    assert OTHER_PREFIX not in scene.held.get(PD, [])


def test_two_prefixes_of_which_one_ends() -> None:
    scene = Scene(PD).bound(ia(PD, Grant(PREFIX, 200, 300), Grant(OTHER_PREFIX, 3000, 5000), t1=1000, t2=1600))
    lost = scene.until(outputs.Lost, 400)
    assert lost.lease.asset == PREFIX
    assert scene.held == {PD: [OTHER_PREFIX]}
    assert isinstance(scene.state, states.Bound | states.Renewing | states.Rebinding)
    scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    scene.until_sent(M.RENEW)
    assert [g.asset for one in scene.asked.associations for g in one.grants] == [OTHER_PREFIX]


def test_two_prefixes_of_which_one_is_taken_back() -> None:
    """V6-15, §18.2.10.1: valid 0 ends that one now; the other is extended by the same Reply."""
    scene = Scene(PD).renewing(ia(PD, Grant(PREFIX, 3000, 5000), Grant(OTHER_PREFIX, 3000, 5000)))
    out = scene.reply(ia(PD, Grant(PREFIX, 0, 0), Grant(OTHER_PREFIX, 3000, 5000)))
    assert [one.lease.asset for one in of(outputs.Lost, out)] == [PREFIX]
    assert scene.held == {PD: [OTHER_PREFIX]}


@pytest.mark.parametrize("phase", ["renewing", "rebinding"])
def test_good_and_bad_in_one_reply(phase: str) -> None:
    """NoPrefixAvail for one delegation, the other one and the address extended; nothing of that is lost."""
    scene = getattr(Scene(NA, PD, PD2), phase)()
    out = scene.reply(ia(NA), ia(PD, status=6), ia(PD2))
    assert {one.lease.asset for one in of(outputs.Lost, out)} == {PREFIX}
    assert scene.held == {NA: [ADDRESS], PD2: [PREFIX2]}
    again = of(outputs.Send, out) or [scene.until(outputs.Send, 3000)]
    assert again[0].message.type is (M.REBIND if phase == "renewing" else M.RENEW)
    assert {one.association for one in scene.asked.associations} == {NA, PD, PD2}


def test_rebind_answered_by_another_server_with_another_prefix() -> None:
    scene = Scene(PD).rebinding()
    ends = scene.machine.bindings[PD].leases[0].valid_until
    out = scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)), server=OTHER_SERVER)
    assert scene.held == {PD: [OTHER_PREFIX]}
    assert [one.lease.asset for one in of(outputs.Deprecated, out)] == [PREFIX]
    [former] = scene.machine.former
    assert former.lease.asset == PREFIX
    assert ends is not None
    assert former.lease.valid_until == min(ends, scene.now + 7200)
    assert scene.until_sent(M.RENEW).first(2) == OTHER_SERVER, "who granted it is who is asked"


def test_renumbered_twice_within_the_valid_lifetime_and_back() -> None:
    scene = Scene(PD).bound()
    for fresh in (OTHER_PREFIX, PREFIX2, PREFIX):
        scene.until_sent(M.RENEW)
        scene.reply(ia(PD, Grant(fresh, 3000, 5000)))
        assert scene.held == {PD: [fresh]}
        assert fresh not in [one.lease.asset for one in scene.machine.former]
    assert {one.lease.asset for one in scene.machine.former} == {OTHER_PREFIX, PREFIX2}
    lost = scene.all(outputs.Lost)
    assert PREFIX not in [one.lease.asset for one in lost], "it came back before its end"
    scene.until_sent(M.RENEW)
    scene.reply(ia(PD, Grant(PREFIX, 9000, 9000)))
    scene.run(7200)
    assert scene.machine.former == ()
    assert {one.lease.asset for one in scene.all(outputs.Lost)} >= {OTHER_PREFIX, PREFIX2}


def test_an_infinite_prefix_and_then_nothing() -> None:
    scene = Scene(PD).bound(ia(PD, t1=1000, t2=2000, preferred=INFINITE, valid=INFINITE))
    scene.until_sent(M.RENEW)
    out = scene.reply(ia(PD, Grant(PREFIX, 0, 0)))
    assert [one.lease.asset for one in of(outputs.Lost, out)] == [PREFIX]
    assert scene.held == {}
    [former] = scene.machine.former
    assert former.lease.valid_until == scene.now + 7200, "the LAN hears of it for two hours (RFC 7084 L-13)"
    assert scene.until(outputs.Send, 2).message.type in (M.REBIND, M.SOLICIT)


def test_an_infinite_prefix_replaced() -> None:
    scene = Scene(PD).bound(ia(PD, t1=1000, t2=2000, preferred=INFINITE, valid=INFINITE))
    scene.until_sent(M.RENEW)
    scene.reply(ia(PD, Grant(OTHER_PREFIX, 3000, 5000)))
    [former] = scene.machine.former
    assert former.lease.valid_until == scene.now + 7200


def test_shorter_and_shorter_lifetimes_replace_what_was() -> None:
    """V6-18: §18.2.10.1, the lifetimes of the Reply are those of the lease."""
    scene = Scene(PD).bound(ia(PD, valid=INFINITE, preferred=INFINITE, t1=100, t2=200))
    for valid in (100_000, 9000, 300, 60):
        scene.until_sent(M.RENEW)
        asked = scene.now
        scene.reply(ia(PD, Grant(PREFIX, valid, valid)))
        assert scene.machine.bindings[PD].leases[0].valid_until == pytest.approx(asked + valid)
    assert scene.until(outputs.Lost, 61).lease.asset == PREFIX


@pytest.mark.parametrize("phase", ["requesting", "renewing", "rebinding"])
@pytest.mark.parametrize("level", [1, 2, 3, 4, 5, 6, None])
@pytest.mark.parametrize("says", ["failure", "nothing"])
def test_the_pace_in_a_reply_of_no_use(phase: str, level: int | None, says: str) -> None:
    """§18.2.10: the client MUST process SOL_MAX_RT and INF_MAX_RT even if the Reply says that it failed."""
    scene = getattr(Scene(PD), phase)()
    ias = [ia(PD, status=level)] if says == "failure" and level is not None else []
    status = [status_option(level)] if says == "nothing" and level is not None else []
    scene.feed(scene.message(M.REPLY, *ias, options=(*status, u32_option(82, 60), u32_option(83, 120))))
    assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (60, 120)


def test_the_pace_in_an_answer_that_grants_nothing_anyway() -> None:
    """Information and Confirm, with a failure."""
    asking, confirming = Scene().started(), Scene(NA).bound()
    asking.until_sent(M.INFORMATION_REQUEST)
    confirming.feed(LinkDown())
    confirming.run(60)
    confirming.feed(LINK)
    confirming.until_sent(M.CONFIRM, 2)
    for scene in (asking, confirming):
        scene.silent_reply(options=(status_option(1), u32_option(82, 60), u32_option(83, 120)))
        assert (scene.machine.memory.sol_max_rt, scene.machine.memory.inf_max_rt) == (60, 120)


# §18.2.3, §18.2.12: Confirm


def test_confirm_in_time_and_then_as_before() -> None:
    """CNF_TIMEOUT 1, CNF_MAX_RT 4, CNF_MAX_RD 10; no answer: the addresses SHOULD go on to be used."""
    scene = Scene(NA).bound()
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    again = scene.now
    scene.run(60)
    times = scene.sent_at(M.CONFIRM)
    assert again <= times[0] <= again + 1
    assert times[-1] <= times[0] + 10 + 1e-6
    assert 3 <= len(times) <= 6
    assert scene.held == {NA: [ADDRESS]}
    confirm = next(m for m in scene.sent if m.type is M.CONFIRM)
    assert 2 not in codes(confirm), "§16.5: no server is named"
    scene.until_sent(M.RENEW)


def test_confirm_asks_with_no_times() -> None:
    """§18.2.3: T1, T2 and the lifetimes SHOULD be 0."""
    scene = Scene(NA).bound()
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    scene.until_sent(M.CONFIRM, 2)
    [one] = scene.asked.associations
    assert (one.t1, one.t2, [(g.asset, g.preferred, g.valid) for g in one.grants]) == (0, 0, [(ADDRESS, 0, 0)])


def test_another_link_says_a_server() -> None:
    scene = Scene(NA).bound()
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    scene.until_sent(M.CONFIRM, 2)
    scene.silent_reply(options=(status_option(4),), server=OTHER_SERVER)
    assert scene.held == {}
    scene.until_sent(M.SOLICIT, 10)


def test_a_rebind_as_confirm_has_the_manner_of_one() -> None:
    """§18.2.12: with CNF's times; and after it the lease's own timers go on."""
    scene = Scene(NA, PD).bound()
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    again = scene.now
    scene.run(30)
    times = scene.sent_at(M.REBIND)
    assert again <= times[0] <= again + 1
    assert times[-1] <= times[0] + 10 + 1e-6
    assert scene.sent_at(M.CONFIRM) == []
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX]}
    scene.until_sent(M.RENEW)


# §18.2.7, §18.2.8


def test_a_declined_address_is_not_used_and_not_asked_for_again() -> None:
    scene = Scene(NA).bound()
    out = scene.feed(Conflict(ADDRESS))
    assert [one.lease.asset for one in of(outputs.Lost, out)] == [ADDRESS]
    assert scene.sent[-1].type is M.DECLINE
    assert scene.sent[-1].first(2) == SERVER
    scene.silent_reply(options=(status_option(0),))
    began = scene.now
    scene.until_sent(M.SOLICIT, 100)
    assert scene.now >= began + 10
    assert ADDRESS not in [g.asset for one in scene.asked.associations for g in one.grants]


def test_four_declines_at_their_pace() -> None:
    scene = Scene(NA).bound()
    scene.feed(Conflict(ADDRESS))
    scene.run(60)
    times = scene.sent_at(M.DECLINE)
    assert len(times) == 4
    assert len({m.xid for m in scene.sent if m.type is M.DECLINE}) == 1


# §18.2.6


def test_a_day_of_silence_for_information() -> None:
    scene = Scene().started()
    scene.run(DAY)
    times = scene.sent_at(M.INFORMATION_REQUEST)
    assert 0.9 <= gaps(times)[0] <= 1.1
    assert max(gaps(times)) <= 3960
    assert times[-1] > scene.now - 3960


def test_what_must_be_in_which_message() -> None:
    """§18.2.*, Appendix B: Client Identifier and Elapsed Time always; ORO wherever options are asked; SOL_MAX_RT (82)
    in it always (§18.2.1 to 18.2.5: MUST); no Server Identifier in Solicit, Confirm and Rebind."""
    scene = Scene(NA, PD).rebinding()
    scene.run(5000)
    for message in scene.sent:
        assert message.first(1)
        assert message.first(8) is not None
        assert (message.first(2) is not None) is (message.type in (M.REQUEST, M.RENEW))
        oro = message.first(OptionCode.OPTION_REQUEST) or b""
        asked = [int.from_bytes(oro[i : i + 2], "big") for i in range(0, len(oro), 2)]
        assert 82 in asked
        assert len(set(asked)) == len(asked)
        assert not {1, 2, 3, 5, 6, 7, 8, 13, 25, 26} & set(asked), "§21.7 names what must not be asked for"
