"""Other configuration by itself (RFC 9915 §18.2.6), and orders of the server (§18.2.11, §20.4)."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import auth, outputs, states, wire
from routerd.protocols.dhcpv6.auth import Key
from routerd.protocols.dhcpv6.inputs import Flush, Input, LinkDown, LinkGone, Received, Release
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.machine import Dropped, Stop
from tests.protocols.dhcpv6.octets import message, option
from tests.protocols.dhcpv6.scene import (
    CONTENT,
    DNS,
    DUID,
    INFINITE,
    KEY,
    LINK,
    NA,
    OTHER_SERVER,
    PD,
    ROUTER,
    SERVER,
    Scene,
    ia,
    status_option,
    u32_option,
)
from tests.protocols.timeline import gaps, of, only, snapshot

M = MessageType
INFORMATION_REQUEST = M.INFORMATION_REQUEST


def with_key(replay: int = 1, key: bytes = KEY) -> tuple[Option, ...]:
    return (*CONTENT, Option(11, auth.option_value(replay, 1, key)))


def asking(**settings: Any) -> Scene:
    scene = Scene(**settings).started()
    scene.until_sent(INFORMATION_REQUEST, 1)
    return scene


@pytest.mark.req("V6-7")
@pytest.mark.req("V6-29")
def test_what_an_information_request_says() -> None:
    (message,) = asking(request=(31,)).sent
    assert [code for code, _ in message.options] == [1, 8, 6]
    assert message.first(6) == b"".join(code.to_bytes(2, "big") for code in (23, 24, 56, 64, 82, 32, 83, 31))


@pytest.mark.req("V6-1")
def test_nobody_has_information() -> None:
    scene = asking()
    scene.run(20000)
    times = scene.sent_at(INFORMATION_REQUEST)
    assert 0.9 <= gaps(times)[0] <= 1.1
    assert max(gaps(times)) <= 3960
    assert scene.machine.deadline is not None


@pytest.mark.req("V6-29")
@pytest.mark.parametrize(
    ("options", "wait"), [((), 86400), ((u32_option(32, 100),), 600), ((u32_option(32, 5000),), 5000)]
)
def test_information_is_asked_for_again_in_time(options: tuple[Option, ...], wait: int) -> None:
    scene = asking()
    said = scene.silent_reply(options=(*CONTENT, *options))
    informed = only(outputs.Informed, said)
    assert (informed.information.dns_servers, informed.server_id) == ((DNS,), SERVER)
    begun = scene.now
    scene.until_sent(INFORMATION_REQUEST)
    assert wait <= scene.now - begun <= wait + 1
    assert only(outputs.Informed, scene.silent_reply(options=CONTENT)).changed == ()


@pytest.mark.req("V6-29")
def test_information_without_end_is_asked_for_when_the_link_comes_back() -> None:
    scene = asking()
    scene.silent_reply(options=(*CONTENT, u32_option(32, INFINITE)))
    assert scene.machine.deadline is None
    scene.feed(LinkDown())
    scene.feed(LINK)
    scene.until_sent(INFORMATION_REQUEST, 1)


@pytest.mark.req("V6-29", "breaks")
def test_what_is_known_stays_when_nobody_answers_or_somebody_says_nothing() -> None:
    scene = asking()
    scene.silent_reply()
    scene.run(100000)
    assert scene.machine.information is not None
    scene.silent_reply(options=())
    assert scene.machine.information.dns_servers == (DNS,)


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize("what", [ia(NA), ia(PD)])
def test_information_with_an_association_in_it_is_dropped(what: Any) -> None:
    assert only(Dropped, asking().reply(what)).reason == "association-in-information"


def test_a_server_that_fails_is_asked_again() -> None:
    scene = asking()
    assert only(Dropped, scene.silent_reply(options=(status_option(1),))).reason == "unspec-fail"
    assert isinstance(scene.state, states.Informing)


@pytest.mark.req("V6-28")
def test_the_pace_of_information_requests() -> None:
    scene = asking()
    scene.silent_reply(options=(u32_option(83, 60), u32_option(32, 600)))
    scene.until_sent(INFORMATION_REQUEST)
    begun = scene.now
    scene.run(3000)
    assert max(gaps([at for at in scene.sent_at(INFORMATION_REQUEST) if at >= begun])) <= 66


# Reconfigure


def ordered(**how: Any) -> Scene:
    """Bound, by a server that gave a key."""
    return Scene(PD, reconfigure=True).bound(options=with_key(), **how)


@pytest.mark.req("V6-33")
@pytest.mark.parametrize(
    ("order", "kind", "word"),
    [(5, M.RENEW, "renew"), (6, M.REBIND, "rebind"), (11, INFORMATION_REQUEST, "info-request")],
)
def test_an_order_is_obeyed(order: int, kind: MessageType, word: str) -> None:
    scene = ordered()
    assert scene.sent[0].first(20) == b""
    assert only(outputs.Reconfigured, scene.reconfigure(order)) == outputs.Reconfigured(SERVER, word)
    scene.run(1)
    assert scene.sent[-1].type is kind
    assert scene.machine.memory.replay == 2


@pytest.mark.req("V6-33", "breaks")
@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"key": bytes(16)}, "unauthenticated"),
        ({"server": OTHER_SERVER}, "unauthenticated"),
        ({"replay": 1}, "replayed"),
        ({"replay": 0}, "replayed"),
        ({"order": 7}, "bad-order"),
        ({"order": None}, "bad-order"),
        ({"unicast": False}, "multicast"),
    ],
)
def test_an_order_with_one_thing_wrong(how: dict[str, Any], reason: str) -> None:
    scene = ordered()
    before = snapshot(scene.machine)
    assert only(Dropped, scene.reconfigure(**how)).reason == reason
    assert snapshot(scene.machine) == before


OURS, OTHERS = auth.option_value(1, 1, KEY), bytes((1, 1, 0)) + bytes(25)
"""What a server shares its key with; and an option 11 of another protocol."""


@pytest.mark.req("V6-33", "breaks")
@pytest.mark.req("V6-43", "breaks")
@pytest.mark.parametrize(
    "value",
    [
        OTHERS,
        b"\4" + OURS[1:],
        OURS[:1] + b"\2" + OURS[2:],
        OURS[:2] + b"\1" + OURS[3:],
        OURS[:11] + b"\2" + OURS[12:],
        OURS + b"\0",
        OURS[:-1],
    ],
)
def test_what_is_no_key_of_ours_is_none(value: bytes) -> None:
    """§20.4: protocol 3, algorithm 1, RDM 0, and of the type that carries a key."""
    scene = Scene(PD, reconfigure=True).bound(options=(*CONTENT, Option(11, value)))
    assert scene.machine.memory.key is None


def test_the_key_may_stand_behind_other_authentication() -> None:
    scene = Scene(PD, reconfigure=True).bound(options=(Option(11, OTHERS), Option(11, OURS)))
    assert scene.machine.memory.key == Key(SERVER, KEY)


def signed(value: bytes, *, before: bytes = b"", behind: bytes = b"") -> Received:
    """A Reconfigure with an option 11 of which the last 16 octets are the digest (§20.4.2), by hand."""
    head = option(1, DUID) + option(2, SERVER) + option(19, b"\5") + before
    octets = message(10, head, option(11, value[:-16] + bytes(16)), behind, xid=0)
    at = len(message(10, head, xid=0)) + 4 + len(value) - 16
    octets = octets[:at] + hmac.digest(KEY, octets, "md5") + octets[at + 16 :]
    found = wire.decode(octets)
    assert isinstance(found, Message)
    return Received(found, ROUTER)


ORDER = auth.option_value(2**56 + 3, 2, bytes(16))


@pytest.mark.req("V6-33")
@pytest.mark.req("V6-10", "breaks")
def test_an_order_with_something_before_and_behind_its_signature() -> None:
    scene = ordered()
    said = scene.feed(signed(ORDER, before=option(11, OTHERS), behind=option(23, DNS.packed)))
    assert of(outputs.Reconfigured, said)
    assert scene.machine.memory.replay == 2**56 + 3


@pytest.mark.req("V6-33", "breaks")
@pytest.mark.parametrize("at", [0, 1, 2, 11])
def test_an_order_that_is_signed_in_another_manner(at: int) -> None:
    """§20.4.2: another protocol, algorithm, RDM or type, however good the digest."""
    changed = bytearray(ORDER)
    changed[at] = 9 if at != 11 else 1
    scene = ordered()
    before = snapshot(scene.machine)
    for value in (bytes(changed), ORDER + bytes(1)):
        assert only(Dropped, scene.feed(signed(value))).reason == "unauthenticated"
    assert snapshot(scene.machine) == before


@pytest.mark.req("V6-33", "breaks")
def test_orders_are_not_for_those_who_did_not_accept_them_or_are_busy() -> None:
    scene = Scene(PD).bound(options=with_key())
    assert only(Dropped, scene.reconfigure()).reason == "reconfigure-refused"
    assert scene.machine.memory.replay == -1
    scene = Scene(PD, reconfigure=True).bound()
    assert only(Dropped, scene.reconfigure()).reason == "unauthenticated"
    scene = ordered()
    scene.until_sent(M.RENEW)
    assert only(Dropped, scene.reconfigure()).reason == "busy"
    scene.reply()
    assert of(outputs.Reconfigured, scene.reconfigure()), "the busy one was not counted"


@pytest.mark.req("V6-33")
@pytest.mark.parametrize("silent_about_it", [False, True])
def test_an_order_is_obeyed_once_and_key_and_counter_outlive_us(silent_about_it: bool) -> None:
    scene = ordered()
    scene.reconfigure(replay=7)
    scene.reply()
    assert only(Dropped, scene.reconfigure(replay=7)).reason == "replayed"
    scene.feed(Stop())
    again = Scene(PD, reconfigure=True, remembered=scene.machine.memory, now=scene.now).started()
    again.until_sent(M.REBIND)
    again.reply(options=() if silent_about_it else with_key(3))
    assert only(Dropped, again.reconfigure(replay=7)).reason == "replayed"
    assert of(outputs.Reconfigured, again.reconfigure(replay=8))


@pytest.mark.req("V6-33", "breaks")
@pytest.mark.parametrize("leave", [Release(), Flush(), LinkGone()])
def test_a_key_does_not_outlive_what_it_came_with(leave: Input) -> None:
    scene = ordered()
    assert scene.machine.memory.key is not None
    scene.feed(leave)
    assert scene.machine.memory.key is None


def test_an_order_for_information_alone() -> None:
    scene = Scene(reconfigure=True).started()
    scene.until_sent(INFORMATION_REQUEST)
    scene.silent_reply(options=with_key())
    assert only(Dropped, scene.reconfigure(5)).reason == "busy"
    scene.reconfigure(11)
    scene.until_sent(INFORMATION_REQUEST, 1)


@pytest.mark.req("C16")
def test_a_key_is_never_shown() -> None:
    scene = ordered()
    for shown in (Key(SERVER, KEY), scene.said, scene.told, scene.machine.memory, scene.machine._station):
        assert "secret" not in repr(shown)


def test_a_signature_over_what_never_was_octets_is_none() -> None:
    scene = ordered()
    sound = scene.message(M.RECONFIGURE, options=(Option(11, auth.option_value(9, 2, KEY)),)).message
    assert auth.verify(sound, None, 0) == auth.verify(sound, Key(SERVER, KEY), 0)
