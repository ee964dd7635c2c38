"""What is no answer to us, each rule broken alone against a sound Reply (RFC 9915 §16): nothing changes by it (C8)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import auth, outputs, states, wire
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.machine import Dropped
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv6.scene import (
    DUID,
    KEY,
    NA,
    OTHER_SERVER,
    PD,
    PREFIX,
    ROUTER,
    SERVER,
    Scene,
    ia,
)
from tests.protocols.timeline import of, only, snapshot

M = MessageType
REACHED: dict[str, Callable[[], Scene]] = {
    "Soliciting": lambda: Scene(PD).soliciting(),
    "Requesting": lambda: Scene(PD).requesting(),
    "Bound": lambda: Scene(PD).bound(),
    "Renewing": lambda: Scene(PD).renewing(),
    "Rebinding": lambda: Scene(PD).rebinding(),
}


def refused(scene: Scene, kind: MessageType = M.REPLY, **how: Any) -> str:
    """Why it was dropped; nothing may have changed."""
    before, deadline = snapshot(scene.machine), scene.machine.deadline
    received = scene.message(kind, ia(PD), **how)
    dropped = only(Dropped, scene.feed(received))
    assert (snapshot(scene.machine), scene.machine.deadline) == (before, deadline)
    assert dropped.packet == received.message
    return str(dropped.reason)


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"client": None}, "no-client-id"),
        ({"client": DUID + b"\0"}, "other-client"),
        ({"client": SERVER}, "other-client"),
        ({"server": None}, "no-server-id"),
        ({"xid": 0}, "wrong-xid"),
        ({"unicast": False}, "multicast"),
    ],
)
def test_one_thing_wrong(state: str, how: dict[str, Any], reason: str) -> None:
    scene = REACHED[state]()
    expected = "stale" if state == "Bound" and reason == "wrong-xid" else reason
    kind = M.ADVERTISE if state == "Soliciting" else M.REPLY
    assert refused(scene, kind, **how) == expected


@pytest.mark.req("C8", "breaks")
def test_what_is_dropped_does_not_even_start_what_is_due() -> None:
    scene = Scene(PD).bound()
    scene.now += 1600  # T1 has passed, and nobody has said so yet
    assert refused(scene, client=SERVER) == "other-client"
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("kind", [k for k in MessageType if k not in (M.ADVERTISE, M.REPLY, M.RECONFIGURE)])
def test_what_clients_say_is_nothing_to_a_client(state: str, kind: MessageType) -> None:
    assert refused(REACHED[state](), kind) == "not-a-reply"


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        ("Soliciting", M.REPLY, "unexpected-type"),
        ("Requesting", M.ADVERTISE, "unexpected-type"),
        ("Renewing", M.ADVERTISE, "unexpected-type"),
        ("Rebinding", M.ADVERTISE, "unexpected-type"),
        ("Bound", M.ADVERTISE, "stale"),
        ("Bound", M.REPLY, "stale"),
        ("Bound", M.RECONFIGURE, "reconfigure-refused"),
    ],
)
def test_the_wrong_kind_at_the_wrong_time(state: str, kind: MessageType, reason: str) -> None:
    assert refused(REACHED[state](), kind) == reason


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize("state", ["Requesting", "Renewing"])
def test_another_server_than_the_one_asked(state: str) -> None:
    assert refused(REACHED[state](), server=OTHER_SERVER) == "wrong-server"


@pytest.mark.req("V6-5")
def test_any_server_may_answer_a_rebind() -> None:
    scene = Scene(PD).rebinding()
    assert only(outputs.Extended, scene.reply(server=OTHER_SERVER)).binding.server_id == OTHER_SERVER


def test_before_anything_was_said_nothing_is_an_answer() -> None:
    scene = Scene(PD).started()
    assert refused(scene, M.ADVERTISE) == "stale"


@pytest.mark.req("V6-4")
@pytest.mark.parametrize("source", ["fe80::1", "2001:db8::547", "fd00::1"])
@pytest.mark.parametrize("port", [547, 546, 49153, 1])
def test_any_source_may_answer(source: str, port: int) -> None:
    scene = Scene(PD).soliciting()
    scene.advertise(source=IPv6Address(source), source_port=port)
    scene.until_sent(M.REQUEST)
    scene.reply(source=IPv6Address(source), source_port=port)
    assert scene.held == {PD: [PREFIX]}


@pytest.mark.req("V6-4", "breaks")
def test_a_reply_to_everybody_is_nobodys() -> None:
    assert refused(Scene(PD).requesting(), unicast=False) == "multicast"


@pytest.mark.req("V6-5", "breaks")
@pytest.mark.parametrize("length", range(0, 130, 3))
def test_truncated_anywhere_it_never_raises(length: int) -> None:
    scene = Scene(NA, PD).requesting()
    whole = scene.message(M.REPLY, ia(NA), ia(PD)).message.opaque
    message = wire.decode(whole[:length])
    if isinstance(message, Message):
        received = scene.message(M.REPLY)
        said = scene.feed(type(received)(message, ROUTER))
        assert scene.machine.bindings or only(Dropped, said)


@pytest.mark.req("V6-6", "breaks")
def test_a_reply_with_two_servers_is_no_message() -> None:
    scene = Scene(PD).requesting()
    sound = scene.message(M.REPLY, ia(PD)).message
    assert isinstance(wire.decode(sound.opaque), Message)
    assert wire.decode(sound.opaque + wire.join([Option(2, OTHER_SERVER)])) == Malformed("two-server-ids")


@pytest.mark.req("V6-10")
@pytest.mark.req("V6-10", "breaks")
@pytest.mark.req("V6-43")
@pytest.mark.req("V6-43", "breaks")
@pytest.mark.parametrize(
    "value",
    [
        auth.option_value(1, 1, KEY),
        auth.option_value(1, 2, KEY),
        b"",
        b"\2\1\0" + bytes(8) + b"delayed",
        bytes(200),
    ],
)
def test_authentication_that_nobody_asked_for_is_passed_over(value: bytes) -> None:
    scene = Scene(PD).soliciting()
    scene.advertise(options=(Option(11, value),))
    scene.until_sent(M.REQUEST)
    said = scene.reply(options=(Option(11, value),))
    assert of(outputs.Bound, said)
    assert isinstance(scene.state, states.Bound)
    assert all(message.first(11) is None for message in scene.sent)
    assert scene.machine.memory.replay == -1


@pytest.mark.req("V6-17", "breaks")
def test_a_server_that_wants_unicast_gets_multicast_all_the_same() -> None:
    scene = Scene(PD).requesting()
    scene.reply(options=(Option(12, IPv6Address("2001:db8::547").packed),))
    scene.until_sent(M.RENEW)
    assert not hasattr(scene.all(outputs.Send)[-1], "to"), "there is one place to send to"
