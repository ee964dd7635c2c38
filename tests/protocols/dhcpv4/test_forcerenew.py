"""FORCERENEW (RFC 3203) is obeyed from who knows the nonce of the lease (RFC 6704), and from nobody else (V4-23)."""

import hmac
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv4 import outputs, states, wire
from routerd.protocols.dhcpv4.inputs import Received
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped, Start, Stop
from tests.protocols.dhcpv4.scene import LINK, MAC, SERVER, Scene, remembered
from tests.protocols.timeline import only, snapshot

NONCE = bytes(range(16))


def authentication(kind: int, value: bytes, replay: int) -> bytes:
    return bytes((3, 1, 0)) + replay.to_bytes(8, "big") + bytes((kind,)) + value


NONCE_GIVEN = {Option.AUTHENTICATION: authentication(1, NONCE, 7)}


def forcerenew(replay: int = 8, key: bytes = NONCE, *, unicast: bool = True, **header: Any) -> Received:
    """As it comes from the wire: signed with HMAC-MD5 over itself, the digest's place zeroed."""

    def sealed(digest: bytes) -> Message:
        options = {Option.SERVER_ID: SERVER.packed, Option.AUTHENTICATION: authentication(2, digest, replay)}
        fields = {"op": Op.BOOTREPLY, "xid": 99, "chaddr": MAC} | header
        return Message(type=MessageType.FORCERENEW, options=options, **fields)

    digest = hmac.digest(key, wire.encode(sealed(bytes(16))), "md5")
    message = wire.decode(wire.encode(sealed(digest)))
    assert isinstance(message, Message)
    return Received(message, SERVER, unicast=unicast)


def bound(**settings: Any) -> Scene:
    return Scene(forcerenew=True, **settings).bound(options=NONCE_GIVEN)


@pytest.mark.req("V4-23")
def test_the_client_says_that_it_can() -> None:
    assert Scene(forcerenew=True).selecting().sent[0].options[Option.FORCERENEW_NONCE_CAPABLE] == b"\1"
    assert Option.FORCERENEW_NONCE_CAPABLE not in Scene().selecting().sent[0].options


@pytest.mark.req("V4-23")
def test_a_signed_forcerenew_renews() -> None:
    scene = bound()
    send = only(outputs.Send, scene.feed(forcerenew()))
    assert (send.to, send.message.type) == (SERVER, MessageType.REQUEST)
    assert isinstance(scene.state, states.Renewing)
    only(outputs.Extended, scene.ack())
    scene.run(1)
    only(outputs.Send, scene.feed(forcerenew(replay=9)))


@pytest.mark.req("V4-23")
def test_the_nonce_survives_a_renewal_without_one_and_a_restart() -> None:
    scene = bound()
    scene.until_state(states.Renewing)
    scene.ack()
    reply = scene.reply(MessageType.ACK, options=NONCE_GIVEN).message
    scene.run(1)
    only(outputs.Send, scene.feed(forcerenew()))
    kept = remembered()
    later = Scene(forcerenew=True, remembered=attrs.evolve(kept, lease=attrs.evolve(kept.lease, reply=reply)))
    later.feed(Start())
    later.feed(LINK)
    later.ack()
    later.run(5)
    only(outputs.Send, later.feed(forcerenew()))


@pytest.mark.req("V4-23", "breaks")
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (forcerenew(key=bytes(16)), "unauthenticated"),
        (forcerenew(replay=7), "replayed"),
        (forcerenew(replay=0), "replayed"),
        (forcerenew(unicast=False), "forcerenew-refused"),
        (forcerenew(chaddr=bytes(6)), "wrong-chaddr"),
        (forcerenew(op=Op.BOOTREQUEST), "not-a-reply"),
    ],
    ids=["another key", "the same counter", "an older counter", "broadcast", "another client", "a request"],
)
def test_what_is_not_obeyed(event: Received, reason: str) -> None:
    scene = bound()
    before = snapshot(scene.machine)
    assert only(Dropped, scene.feed(event)).reason == reason
    assert snapshot(scene.machine) == before


@pytest.mark.req("V4-23", "breaks")
def test_once_is_enough() -> None:
    scene = bound()
    scene.feed(forcerenew())
    scene.ack()
    assert only(Dropped, scene.feed(forcerenew())).reason == "replayed"


@pytest.mark.req("V4-23", "breaks")
@pytest.mark.parametrize(
    "value", [None, b"", bytes(28), authentication(1, NONCE, 9), authentication(2, NONCE, 9), authentication(2, b"", 9)]
)
def test_rubbish_for_a_signature(value: bytes | None) -> None:
    event = forcerenew()
    options = {Option.SERVER_ID: SERVER.packed} | ({} if value is None else {Option.AUTHENTICATION: value})
    spoilt = attrs.evolve(event, message=attrs.evolve(event.message, options=options))
    assert only(Dropped, bound().feed(spoilt)).reason == "unauthenticated"


@pytest.mark.req("V4-23", "breaks")
def test_every_bit_is_signed() -> None:
    octets = forcerenew().message.opaque
    scene = bound()
    for at in range(len(octets)):
        if at == 3 or 24 <= at < 28:
            continue  # hops and giaddr are the relays' (RFC 3118 §5.2)
        spoilt = wire.decode(octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :])
        if isinstance(spoilt, Message):
            only(Dropped, scene.feed(Received(spoilt, SERVER, unicast=True)))
    assert isinstance(scene.state, states.Bound)


@pytest.mark.req("V4-23", "breaks")
def test_it_is_off_unless_asked_for() -> None:
    scene = Scene().bound(options=NONCE_GIVEN)
    assert only(Dropped, scene.feed(forcerenew())).reason == "forcerenew-refused"


@pytest.mark.req("V4-23", "breaks")
def test_without_a_nonce_nobody_is_believed() -> None:
    scene = Scene(forcerenew=True).bound()
    assert only(Dropped, scene.feed(forcerenew(key=b""))).reason == "unauthenticated"


@pytest.mark.req("C16")
def test_the_nonce_is_never_shown() -> None:
    scene = bound()
    scene.feed(forcerenew())
    shown = repr((scene.machine._station, scene.said, scene.told))
    assert repr(NONCE)[2:-1] not in shown
    assert NONCE.hex() not in shown


@pytest.mark.req("C16", "breaks")
def test_credentials_in_what_others_send_are_not_shown_either() -> None:
    scene = Scene().selecting()
    (dropped,) = scene.offer(xid=0, options=NONCE_GIVEN)
    assert "***" in repr(dropped)
    assert repr(NONCE)[2:-1] not in repr(dropped)


def test_stopped_it_is_nobody() -> None:
    scene = bound()
    scene.feed(Stop())
    assert only(Dropped, scene.feed(forcerenew())).reason == "unexpected-type"


@pytest.mark.req("V4-23", "breaks")
def test_all_eight_octets_of_the_counter_count() -> None:
    for counter in (1 << 8, 1 << 56, 1 << 63):
        given = {Option.AUTHENTICATION: authentication(1, NONCE, counter)}
        scene = Scene(forcerenew=True).bound(options=given)
        for older in (counter, counter - 1, counter >> 8):
            assert only(Dropped, scene.feed(forcerenew(replay=older))).reason == "replayed"
        only(outputs.Send, scene.feed(forcerenew(replay=counter + 1)))
