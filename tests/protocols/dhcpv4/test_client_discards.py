"""Every discard rule alone: a message that would be obeyed, with one thing wrong, does nothing at all (C8, D5)."""

from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.inputs import Received
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv4.scene import CLIENT_ID, LINK, OTHER_SERVER, THIEF, IPv4Address, Scene, u32
from tests.protocols.timeline import only, snapshot

OFFER, ACK, NAK = MessageType.OFFER, MessageType.ACK, MessageType.NAK

WAITING = {"selecting": (OFFER,), "requesting": (ACK, NAK), "renewing": (ACK, NAK), "rebinding": (ACK, NAK)}
OBEYED = [(state, kind) for state, kinds in WAITING.items() for kind in kinds]
GRANTS = [(state, kind) for state, kind in OBEYED if kind is not NAK]


def scene_in(state: str) -> tuple[Scene, Message]:
    scene: Scene = getattr(Scene(), state)()
    return scene, scene.sent[-1]


def obeyed(state: str, kind: MessageType) -> tuple[Scene, Received]:
    """A scene, and a message that it would obey."""
    scene, _ = scene_in(state)
    return scene, scene.reply(kind)


def ignored(scene: Scene, event: Received) -> str:
    """The message does nothing but to be dropped; why."""
    before, deadline = snapshot(scene.machine), scene.machine.deadline
    (dropped,) = scene.feed(event)
    assert isinstance(dropped, Dropped)
    assert dropped.packet == event.message
    assert snapshot(scene.machine) == before
    assert scene.machine.deadline == deadline
    return dropped.reason


def changed(event: Received, **how: Any) -> Received:
    return attrs.evolve(event, message=attrs.evolve(event.message, **how))


def without(event: Received, code: int) -> Received:
    return changed(event, options={key: value for key, value in event.message.options.items() if key != code})


def with_option(event: Received, code: int, value: bytes) -> Received:
    return changed(event, options={**event.message.options, code: value})


@pytest.mark.req("C8")
@pytest.mark.parametrize(("state", "kind"), OBEYED)
def test_the_baseline_is_obeyed(state: str, kind: MessageType) -> None:
    scene, event = obeyed(state, kind)
    before = scene.state
    assert not any(isinstance(output, Dropped) for output in scene.feed(event))
    assert scene.state != before


@pytest.mark.req("V4-26")
@pytest.mark.req("V4-26", "breaks")
def test_a_bootp_reply_never_becomes_a_message() -> None:
    scene, event = obeyed("selecting", OFFER)
    octets = wire.encode(event.message)
    sound = wire.decode(octets)
    assert isinstance(sound, Message)
    assert wire.decode(octets.replace(bytes((53, 1, 2)), bytes(3))) == Malformed("no-message-type")
    scene.feed(attrs.evolve(event, message=sound))
    assert scene.sent[-1].type is MessageType.REQUEST


@pytest.mark.req("V4-28", "breaks")
@pytest.mark.req("C8", "breaks")
@pytest.mark.parametrize(("state", "kind"), OBEYED)
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"op": Op.BOOTREQUEST}, "not-a-reply"),
        ({"chaddr": THIEF}, "wrong-chaddr"),
        ({"xid": 0}, "wrong-xid"),
        ({"type": MessageType.DISCOVER}, "unexpected-type"),
        ({"type": MessageType.REQUEST}, "unexpected-type"),
        ({"type": MessageType.DECLINE}, "unexpected-type"),
        ({"type": MessageType.RELEASE}, "unexpected-type"),
        ({"type": MessageType.INFORM}, "unexpected-type"),
    ],
    ids=lambda value: str(value),
)
def test_one_wrong_field(state: str, kind: MessageType, wrong: dict[str, Any], reason: str) -> None:
    scene, event = obeyed(state, kind)
    assert ignored(scene, changed(event, **wrong)) == reason


@pytest.mark.req("V4-28")
@pytest.mark.parametrize("difference", [1, 1 << 31])
def test_every_bit_of_the_xid_counts(difference: int) -> None:
    scene, event = obeyed("requesting", ACK)
    assert ignored(scene, changed(event, xid=event.message.xid ^ difference)) == "wrong-xid"


@pytest.mark.req("V4-22", "breaks")
@pytest.mark.parametrize(("state", "kind"), OBEYED)
def test_another_client_identifier(state: str, kind: MessageType) -> None:
    scene, event = obeyed(state, kind)
    assert ignored(scene, with_option(event, Option.CLIENT_ID, CLIENT_ID + b"x")) == "client-id-mismatch"


@pytest.mark.req("V4-22")
@pytest.mark.parametrize(("state", "kind"), OBEYED)
def test_our_client_identifier_said_back(state: str, kind: MessageType) -> None:
    scene, event = obeyed(state, kind)
    assert not any(
        isinstance(output, Dropped) for output in scene.feed(with_option(event, Option.CLIENT_ID, CLIENT_ID))
    )


@pytest.mark.req("V4-5", "breaks")
@pytest.mark.parametrize(("state", "kind"), GRANTS)
@pytest.mark.parametrize("value", [None, u32(0), b"\1"], ids=["missing", "zero", "short"])
def test_no_lease_time(state: str, kind: MessageType, value: bytes | None) -> None:
    scene, event = obeyed(state, kind)
    spoilt = without(event, Option.LEASE_TIME) if value is None else with_option(event, Option.LEASE_TIME, value)
    assert ignored(scene, spoilt) == "no-lease-time"


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize(("state", "kind"), [("selecting", OFFER), ("requesting", ACK)])
@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.0", "192.0.2.255"],
)
def test_an_address_that_no_host_can_have(state: str, kind: MessageType, address: str) -> None:
    scene, event = obeyed(state, kind)
    assert ignored(scene, changed(event, yiaddr=IPv4Address(address))) == "bad-address"


@pytest.mark.req("V4-29")
@pytest.mark.parametrize("address", ["1.0.0.1", "126.255.255.254", "128.0.0.1", "223.255.255.254"])
def test_an_address_at_the_edge(address: str) -> None:
    scene, event = obeyed("requesting", ACK)
    scene.feed(changed(event, yiaddr=IPv4Address(address)))
    assert scene.state.lease.address.ip == IPv4Address(address)


@pytest.mark.req("V4-29", "breaks")
@pytest.mark.parametrize("server", [ANY, BROADCAST, IPv4Address("224.0.0.1")])
@pytest.mark.parametrize("state", ["selecting"])
def test_a_server_that_no_host_can_be(state: str, server: IPv4Address) -> None:
    scene, event = obeyed(state, OFFER)
    assert ignored(scene, with_option(event, Option.SERVER_ID, server.packed)) == "bad-server-id"


@pytest.mark.req("V4-10", "breaks")
@pytest.mark.parametrize(("state", "kind"), [("requesting", ACK), ("requesting", NAK), ("renewing", NAK)])
@pytest.mark.parametrize("server", [OTHER_SERVER, None])
def test_another_server_or_none(state: str, kind: MessageType, server: IPv4Address | None) -> None:
    scene, event = obeyed(state, kind)
    spoilt = without(event, Option.SERVER_ID)
    if server is not None:
        spoilt = with_option(event, Option.SERVER_ID, server.packed)
    assert ignored(scene, spoilt) in ("wrong-server", "no-server-id")


@pytest.mark.parametrize("state", ["selecting", "renewing", "rebinding"])
def test_a_grant_without_a_server(state: str) -> None:
    scene, event = obeyed(state, WAITING[state][0])
    assert ignored(scene, without(event, Option.SERVER_ID)) in ("no-server-id", "bad-server-id")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("selecting", ACK), ("selecting", NAK), ("requesting", OFFER), ("renewing", OFFER), ("rebinding", OFFER)],
)
def test_a_right_message_at_the_wrong_time(state: str, kind: MessageType) -> None:
    scene, _ = scene_in(state)
    assert ignored(scene, scene.reply(kind)) == "unexpected-type"


@pytest.mark.req("V4-12", "breaks")
@pytest.mark.parametrize("state", ["started", "probing", "bound"])
@pytest.mark.parametrize("kind", [OFFER, ACK, NAK])
def test_an_answer_to_nothing(state: str, kind: MessageType) -> None:
    scene: Scene = getattr(Scene(), state)()
    assert ignored(scene, scene.reply(kind)) == "stale"


def test_an_answer_before_the_question_left() -> None:
    """The bucket is empty, so the exchange has begun without a packet."""
    scene = Scene().bound()
    for _ in range(20):
        scene.machine._station.bucket = scene.machine._station.bucket.take(scene.now)
    scene.feed(attrs.evolve(LINK, ifindex=9))
    while not hasattr(scene.state, "exchange"):
        scene.run(0.1)
    assert not scene.state.exchange.transmissions
    assert ignored(scene, scene.reply(OFFER, xid=scene.state.exchange.xid)) == "stale"


@pytest.mark.req("C8", "breaks")
def test_a_flood_of_rubbish_delays_nothing() -> None:
    quiet, noisy = Scene().selecting(), Scene().selecting()
    rubbish = [noisy.reply(OFFER, xid=0), noisy.reply(OFFER, chaddr=THIEF), noisy.reply(NAK)]
    for _ in range(6):
        for _ in range(100):
            for event in rubbish:
                only(Dropped, noisy.feed(event))
            noisy.now += 0.001
        for scene in (quiet, noisy):
            scene.run(1000)
    assert quiet.sent == noisy.sent
