"""From nothing to leases: Solicit, Advertise, Request, Reply (RFC 9915 §18.2.1, §18.2.2, §18.2.9, §18.2.10)."""

from ipaddress import IPv6Network

import attrs
import pytest

from routerd.protocols.dhcpv6 import outputs, states
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.message import MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.machine import Dropped, Start
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    INFINITE,
    LENGTH,
    LINK,
    LINK_LOCAL,
    NA,
    OTHER_MAC,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PD2,
    PREFIX,
    PREFIX2,
    SERVER,
    Scene,
    empty,
    ia,
    status_option,
    u32_option,
)
from tests.protocols.timeline import gaps, of, only

SOLICIT, REQUEST = MessageType.SOLICIT, MessageType.REQUEST
RAPID = Option(OptionCode.RAPID_COMMIT, b"")
SMALL = IPv6Network("2001:db8:500::/60")


def elapsed(scene: Scene) -> list[int]:
    values = [message.first(OptionCode.ELAPSED_TIME) for message in scene.sent]
    assert None not in values
    return [int.from_bytes(value or b"", "big") for value in values]


@pytest.mark.req("V6-3")
@pytest.mark.req("V6-32")
def test_the_first_solicit_waits_for_a_link_local_address_and_a_random_moment() -> None:
    delays = []
    for seed in range(30):
        scene = Scene(PD, seed=seed)
        scene.feed(Start())
        assert scene.run(100) == []
        scene.feed(LINK)
        begun = scene.now
        scene.until(outputs.Send)
        delays.append(scene.now - begun)
    assert 0 <= min(delays) < 0.2
    assert 0.8 < max(delays) <= 1
    assert scene.all(outputs.Send)[0].source == LINK_LOCAL


@pytest.mark.req("V6-1")
@pytest.mark.req("V6-2")
@pytest.mark.req("C10")
def test_nobody_answers() -> None:
    scene = Scene(PD).soliciting()
    scene.run(20000)
    times = scene.sent_at(SOLICIT)
    assert 1 < gaps(times)[0] <= 1.1
    for before, after in zip(gaps(times)[:11], gaps(times)[1:11], strict=False):
        assert 1.9 * before <= after <= 2.1 * before
    assert all(3240 <= gap <= 3960 for gap in gaps(times)[12:])
    assert len({message.xid for message in scene.sent}) == 1
    assert elapsed(scene)[0] == 0
    assert elapsed(scene)[1] == int((times[1] - times[0]) * 100)
    assert elapsed(scene)[-1] == 0xFFFF
    assert scene.all(outputs.Failed)


@pytest.mark.req("V6-1", "breaks")
def test_the_first_wait_is_always_longer_than_a_second() -> None:
    for seed in range(50):
        scene = Scene(PD, seed=seed).soliciting()
        scene.run(1.2)
        assert gaps(scene.sent_at(SOLICIT))[0] > 1


@pytest.mark.req("V6-7")
def test_what_a_solicit_says() -> None:
    scene = Scene(NA, PD, hints={PD: LENGTH}, request=(31,)).soliciting()
    (message,) = scene.sent
    assert [code for code, _ in message.options] == [1, 8, 6, 3, 25]
    assert message.first(6) == b"".join(code.to_bytes(2, "big") for code in (23, 24, 56, 64, 82, 67, 31))
    assert scene.asked.associations == (empty(NA), ia(PD, Grant(LENGTH)))


@pytest.mark.req("V6-7", "breaks")
def test_who_wants_no_prefix_does_not_ask_what_is_excluded_of_it() -> None:
    scene = Scene(NA, rapid_commit=True, reconfigure=True).soliciting()
    assert scene.sent[0].first(6) == b"".join(code.to_bytes(2, "big") for code in (23, 24, 56, 64, 82))
    assert [code for code, _ in scene.sent[0].options] == [1, 8, 6, 20, 14, 3]


@pytest.mark.req("V6-8")
def test_advertises_are_collected_until_the_first_retransmission_would_be_due() -> None:
    scene = Scene(PD).soliciting()
    first = scene.now
    assert only(outputs.Advertised, scene.advertise()).server_id == SERVER
    scene.run(0.5)
    scene.advertise(ia(PD, Grant(OTHER_PREFIX, 1, 2)), server=OTHER_SERVER, preference=10)
    request = scene.until_sent(REQUEST, 2)
    assert 1 < scene.now - first <= 1.1
    assert request.first(2) == OTHER_SERVER
    assert scene.asked.associations == (ia(PD, Grant(OTHER_PREFIX)),)
    assert request.xid != scene.sent[0].xid
    assert elapsed(scene)[-1] == 0


@pytest.mark.req("V6-8")
def test_preference_255_is_taken_at_once() -> None:
    scene = Scene(PD).soliciting()
    scene.advertise()
    said = scene.advertise(server=OTHER_SERVER, preference=255)
    assert only(outputs.Send, said).message.first(2) == OTHER_SERVER


@pytest.mark.req("V6-8")
def test_after_the_first_wait_the_first_one_is_taken_at_once() -> None:
    scene = Scene(PD).soliciting()
    scene.until_sent(SOLICIT)
    assert only(outputs.Send, scene.advertise()).message.type is REQUEST


@pytest.mark.req("V6-8")
@pytest.mark.parametrize(
    ("better", "preference"),
    [
        ((ia(NA), ia(PD)), 0),
        ((ia(PD),), 1),
        ((ia(PD), ia(NA, status=2)), 1),
    ],
)
def test_ranking(better: tuple[object, ...], preference: int) -> None:
    for order in (0, 1):
        scene = Scene(NA, PD).soliciting()
        for turn in (order, 1 - order):
            if turn:
                scene.advertise(*better, server=OTHER_SERVER, preference=preference)
            else:
                scene.advertise(ia(PD))
        assert scene.until_sent(REQUEST).first(2) == OTHER_SERVER


@pytest.mark.req("V6-8")
def test_of_equals_the_wanted_length_and_then_the_first() -> None:
    scene = Scene(PD, hints={PD: LENGTH}).soliciting()
    scene.advertise(ia(PD, Grant(SMALL, 1, 2)))
    scene.advertise(server=OTHER_SERVER)
    assert scene.until_sent(REQUEST).first(2) == OTHER_SERVER
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, Grant(SMALL, 1, 2)))
    scene.advertise(server=OTHER_SERVER)
    assert scene.until_sent(REQUEST).first(2) == SERVER


@pytest.mark.req("V6-8")
def test_of_equals_the_server_of_last_time() -> None:
    scene = Scene(PD).bound(server=SERVER)
    scene.until(outputs.Lost)
    scene.until_sent(SOLICIT)
    scene.advertise(server=OTHER_SERVER)
    scene.advertise(server=SERVER)
    assert scene.until_sent(REQUEST).first(2) == SERVER


@pytest.mark.req("V6-8", "breaks")
def test_a_server_that_repeats_itself_is_heard_once() -> None:
    scene = Scene(PD).soliciting()
    scene.advertise()
    assert only(Dropped, scene.advertise()).reason == "duplicate"


@pytest.mark.req("C17")
@pytest.mark.req("C17", "breaks")
def test_sixteen_offers_are_kept_and_a_better_one_displaces_the_worst() -> None:
    scene = Scene(PD).soliciting()
    for number in range(16):
        scene.advertise(server=SERVER + bytes((number,)))
    assert only(Dropped, scene.advertise(server=OTHER_SERVER)).reason == "too-many-offers"
    assert only(outputs.Advertised, scene.advertise(server=OTHER_SERVER, preference=1))
    assert len(scene.state.offers) == 16
    assert scene.until_sent(REQUEST).first(2) == OTHER_SERVER


@pytest.mark.req("V6-9")
@pytest.mark.req("V6-9", "breaks")
@pytest.mark.parametrize(
    ("offer", "options", "reason"),
    [
        (ia(PD, status=6), (), "nothing-offered"),
        (empty(PD), (), "nothing-offered"),
        (ia(PD2), (), "nothing-offered"),
        (ia(PD, preferred=10, valid=9), (), "nothing-offered"),
        (ia(PD, preferred=0, valid=0), (), "nothing-offered"),
        (ia(PD, t1=9, t2=8), (), "nothing-offered"),
        (ia(PD), (status_option(1),), "unspec-fail"),
        (ia(PD, Grant(IPv6Network("ff00::/56"), 1, 2)), (), "nothing-offered"),
        (ia(PD, Grant(IPv6Network("fe80::/56"), 1, 2)), (), "nothing-offered"),
        (ia(PD, Grant(IPv6Network("::1/128"), 1, 2)), (), "nothing-offered"),
        (ia(PD, Grant(IPv6Network("::/56"), 1, 2)), (), "nothing-offered"),
        (ia(PD, Grant(IPv6Network("2000::/3"), 1, 2)), (), "nothing-offered"),
        (ia(PD, Grant(IPv6Network("2001::/19"), 1, 2)), (), "nothing-offered"),
    ],
)
def test_an_advertise_of_no_use_still_says_how_slowly_to_ask(
    offer: object, options: tuple[Option, ...], reason: str
) -> None:
    scene = Scene(PD).soliciting()
    said = scene.advertise(offer, options=(*options, u32_option(82, 120)))
    assert only(outputs.Paced, said).sol_max_rt == 120
    assert only(Dropped, said).reason == reason
    before = scene.state
    assert len(scene.advertise(offer, options=options)) == 1
    assert scene.state == before


@pytest.mark.req("V6-28")
def test_the_slowest_pace_is_the_servers_and_lasts() -> None:
    scene = Scene(PD).soliciting()
    scene.advertise(ia(PD, status=6), options=(u32_option(82, 100),))
    scene.advertise(ia(PD, status=6))
    scene.run(5000)
    times = scene.sent_at(SOLICIT)
    assert max(gaps(times)) <= 110
    assert min(gaps(times)[8:]) >= 90
    assert scene.machine.memory.sol_max_rt == 100
    scene.feed(attrs.evolve(LINK, mac=OTHER_MAC))  # another link has another pace
    assert scene.machine.memory.sol_max_rt == 3600


@pytest.mark.req("V6-11")
def test_the_request_has_what_was_offered_and_no_more() -> None:
    scene = Scene(NA, PD, PD2).requesting(
        ia(NA), ia(PD, Grant(PREFIX, 1, 2), Grant(OTHER_PREFIX, 3, 2)), ia(PD2, status=6)
    )
    assert scene.sent[-1].first(2) == SERVER
    assert scene.asked.associations == (ia(NA, Grant(ADDRESS)), ia(PD, Grant(PREFIX)))


@pytest.mark.req("V6-1")
@pytest.mark.req("V6-11")
def test_ten_requests_then_the_next_server_then_everybody_again() -> None:
    scene = Scene(PD).soliciting()
    scene.advertise()
    scene.advertise(server=OTHER_SERVER)
    scene.until(outputs.Failed, 1000)
    requests = [message for message in scene.sent if message.type is REQUEST]
    assert [message.first(2) for message in requests] == [SERVER] * 10 + [OTHER_SERVER] * 10
    first = scene.sent_at(REQUEST)[:10]
    assert 0.9 <= gaps(first)[0] <= 1.1
    assert max(gaps(first)) <= 33
    assert isinstance(scene.state, states.Soliciting)
    scene.until_sent(SOLICIT, 10)
    assert scene.asked.associations == (empty(PD),)


@pytest.mark.req("V6-11", "breaks")
@pytest.mark.req("V6-20")
def test_a_server_that_takes_its_offer_back() -> None:
    scene = Scene(PD).soliciting()
    scene.advertise()
    scene.advertise(server=OTHER_SERVER)
    scene.until_sent(REQUEST)
    said = scene.reply(ia(PD, status=6))
    assert only(outputs.Refusal, said).status.word == "no-prefix-avail"
    assert only(outputs.Send, said).message.first(2) == OTHER_SERVER
    said = scene.reply(ia(PD, status=6), server=OTHER_SERVER)
    failed = only(outputs.Failed, said)
    assert (failed.reason, failed.during) == ("refused", "Requesting")
    assert isinstance(scene.state, states.Soliciting)


def test_a_server_that_always_takes_it_back_is_asked_ever_more_slowly() -> None:
    scene = Scene(PD).started()
    for _ in range(8):
        scene.until_sent(SOLICIT, 400)
        scene.advertise(preference=255)
        scene.reply(ia(PD, status=6))
    waits = [failed.retry_in for failed in scene.all(outputs.Failed)]
    assert waits == sorted(waits)
    assert 0.9 <= waits[0] <= 1.1
    assert waits[-1] > 100


@pytest.mark.req("V6-13")
def test_everything_in_one_exchange() -> None:
    scene = Scene(NA, PD, PD2).requesting()
    said = scene.reply(ia(NA, t1=100, t2=160), ia(PD, t1=90, t2=170), ia(PD2))
    bound = of(outputs.Bound, said)
    assert [b.binding.association for b in bound] == [NA, PD, PD2]
    assert {b.by for b in bound} == {"request"}
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX], PD2: [PREFIX2]}
    assert only(outputs.Informed, said).changed == ("dns_servers",)
    answered = scene.sent_at(REQUEST)[-1]
    scene.until_sent(MessageType.RENEW)
    assert scene.now == pytest.approx(answered + 90)
    assert {a.association for a in scene.asked.associations} == {NA, PD, PD2}


@pytest.mark.req("V6-13", "breaks")
@pytest.mark.parametrize("missing", [(ia(PD, status=6),), (ia(PD, preferred=9, valid=8),), (ia(PD, t1=9, t2=8),), ()])
def test_a_part_that_is_not_granted_costs_nothing_else(missing: tuple[object, ...]) -> None:
    scene = Scene(NA, PD).requesting()
    said = scene.reply(ia(NA), *missing)
    assert only(outputs.Bound, said).binding.association == NA
    assert only(outputs.Informed, said)
    scene.until_sent(MessageType.RENEW)
    assert [a.association for a in scene.asked.associations] == [NA, PD]
    only(outputs.Bound, scene.reply())
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX]}


@pytest.mark.req("C7")
def test_a_missing_part_is_asked_for_though_the_rest_lasts_for_ever() -> None:
    scene = Scene(NA, PD).bound(ia(NA, t1=INFINITE, t2=INFINITE, preferred=INFINITE, valid=INFINITE))
    begun = scene.now
    scene.until_sent(MessageType.RENEW)
    assert scene.now - begun == pytest.approx(3600)


@pytest.mark.req("V6-12")
def test_rapid_commit() -> None:
    scene = Scene(PD, rapid_commit=True).soliciting()
    assert scene.sent[0].first(14) == b""
    said = scene.reply(options=(RAPID,))
    assert only(outputs.Bound, said).by == "solicit"
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("V6-12", "breaks")
@pytest.mark.parametrize(("asked", "options"), [(False, (RAPID,)), (True, ()), (False, ())])
def test_a_rapid_commit_that_one_side_does_not_mean(asked: bool, options: tuple[Option, ...]) -> None:
    scene = Scene(PD, rapid_commit=asked).soliciting()
    assert (scene.sent[0].first(14) == b"") is asked
    assert only(Dropped, scene.reply(options=options)).reason == "unexpected-type"
    assert scene.held == {}


def test_rapid_commit_of_nothing_leaves_the_offers() -> None:
    scene = Scene(PD, rapid_commit=True).soliciting()
    scene.advertise()
    assert only(Dropped, scene.reply(empty(PD), options=(RAPID,))).reason == "nothing-granted"
    assert scene.until_sent(REQUEST)


@pytest.mark.req("V6-20")
def test_not_on_link_begins_again_without_addresses() -> None:
    scene = Scene(NA, hints={NA: ADDRESS}).requesting()
    said = scene.silent_reply(options=(status_option(4),))
    assert only(outputs.Refusal, said).association is None
    assert only(outputs.Failed, said).reason == "not-on-link"
    assert isinstance(scene.state, states.Soliciting)


@pytest.mark.req("V6-20", "breaks")
@pytest.mark.parametrize(("code", "word"), [(1, "unspec-fail"), (5, "use-multicast"), (99, "status-99")])
def test_a_failure_that_nothing_follows_from_is_asked_again_at_the_same_pace(code: int, word: str) -> None:
    scene = Scene(PD).requesting()
    before = scene.state
    assert only(Dropped, scene.reply(options=(status_option(code),))).reason == word
    assert scene.state == before
    scene.run(5)
    assert len(scene.sent_at(REQUEST)) == 3


@pytest.mark.req("V6-20")
def test_an_old_server_says_at_the_top_what_concerns_one_part() -> None:
    scene = Scene(NA, PD).requesting()
    assert only(outputs.Bound, scene.reply(ia(PD), options=(status_option(2),))).binding.association == PD
    scene = Scene(NA).requesting()
    assert only(outputs.Failed, scene.silent_reply(options=(status_option(2),))).reason == "refused"


@pytest.mark.req("V6-24")
def test_a_length_as_a_hint_and_what_comes_of_it() -> None:
    scene = Scene(PD, hints={PD: LENGTH}).requesting(ia(PD, Grant(SMALL, 100, 200)))
    said = scene.reply(ia(PD, Grant(SMALL, 100, 200)))
    smaller = only(outputs.Smaller, said)
    assert (smaller.prefix, smaller.wanted) == (SMALL, 56)
    assert scene.held == {PD: [SMALL]}
    large = IPv6Network("2001:db8::/48")
    scene = Scene(PD, hints={PD: LENGTH}).bound(ia(PD, Grant(large, 100, 200)))
    assert scene.held == {PD: [large]}
    assert scene.all(outputs.Smaller) == []


@pytest.mark.req("V6-24")
def test_the_last_prefix_is_what_to_ask_for_again() -> None:
    scene = Scene(PD, hints={PD: LENGTH}).bound()
    scene.until(outputs.Lost)
    scene.until_sent(SOLICIT)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)


@pytest.mark.req("V6-25")
def test_the_excluded_prefix_goes_with_the_lease() -> None:
    hole = IPv6Network("2001:db8:100:ff::/64")
    scene = Scene(PD).bound(ia(PD, Grant(PREFIX, 100, 200, hole)))
    assert scene.machine.bindings[PD].leases[0].excluded == hole


@pytest.mark.req("V6-13", "breaks")
def test_one_prefix_is_not_given_twice() -> None:
    scene = Scene(PD, PD2).requesting()
    scene.reply(ia(PD), ia(PD2, Grant(PREFIX, 100, 200)))
    assert scene.held == {PD: [PREFIX]}


@pytest.mark.req("V6-31", "breaks")
def test_a_number_that_is_not_ours_means_nothing() -> None:
    scene = Scene(PD).requesting()
    assert only(Dropped, scene.reply(ia(PD2))).reason == "nothing-granted"
    assert only(outputs.Bound, scene.reply(ia(PD2), ia(PD)))
    assert scene.held == {PD: [PREFIX]}
