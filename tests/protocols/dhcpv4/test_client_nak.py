"""DHCPNAK: who may say it, and how slowly we come back (V4-10, V4-11)."""

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown
from routerd.protocols.dhcpv4.message import MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped
from tests.protocols.dhcpv4.scene import LINK, OTHER_SERVER, SERVER, Scene
from tests.protocols.timeline import of, only

DISCOVER = MessageType.DISCOVER


@pytest.mark.req("V4-10")
@pytest.mark.parametrize(
    ("state", "server"),
    [("requesting", SERVER), ("renewing", SERVER), ("rebinding", SERVER), ("rebinding", OTHER_SERVER)],
)
def test_a_nak_from_who_may_say_it_is_obeyed(state: str, server: object) -> None:
    scene: Scene = getattr(Scene(), state)()
    held = scene.machine.lease
    said = scene.nak(server=server, options={Option.MESSAGE: b"not\x07here"})
    nak = only(outputs.Nak, said)
    assert (nak.server_id, nak.text) == (server, r"not\x07here")
    assert [lost.lease for lost in of(outputs.Lost, said)] == ([held] if held else [])
    assert bool(of(outputs.Forget, said)) == (held is not None)
    assert isinstance(scene.state, states.Init)


@pytest.mark.req("V4-10", "breaks")
@pytest.mark.parametrize("state", ["requesting", "renewing"])
def test_a_nak_from_another_server_is_ignored(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    before, deadline = scene.state, scene.machine.deadline
    assert only(Dropped, scene.nak(server=OTHER_SERVER)).reason == "wrong-server"
    assert (scene.state, scene.machine.deadline) == (before, deadline)


@pytest.mark.req("V4-10", "breaks")
@pytest.mark.parametrize("state", ["requesting", "renewing", "rebinding"])
def test_a_nak_from_nobody_is_ignored(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    assert only(Dropped, scene.nak(server=None)).reason == "no-server-id"


def nakked(scene: Scene) -> None:
    """One more round of DISCOVER, OFFER, REQUEST, NAK."""
    scene.until(outputs.Send, where=lambda send: send.message.type is DISCOVER)
    scene.offer()
    scene.nak()


@pytest.mark.req("V4-11")
def test_the_pause_doubles_up_to_five_minutes() -> None:
    scene = Scene().requesting()
    scene.nak()
    for _ in range(12):
        nakked(scene)
    pauses = [failed.retry_in for failed in scene.all(outputs.Failed)]
    for pause, nominal in zip(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300], strict=True):
        assert 0.9 * nominal <= pause <= 1.1 * nominal
    assert {failed.reason for failed in scene.all(outputs.Failed)} == {"nak"}


@pytest.mark.req("V4-11", "breaks")
def test_a_hundred_naks_in_a_row() -> None:
    for seed in range(10):
        scene = Scene(seed).requesting()
        scene.nak()
        while scene.now < 1000 + 1200:
            nakked(scene)
        assert len([at for at in scene.sent_at(DISCOVER) if at <= 2200]) <= 12


def after_binding_for(seconds: float) -> float:
    """The pause after five NAKs, a lease held for so long, and a sixth NAK."""
    scene = Scene(conflict_detection="skip").requesting()
    scene.nak()
    for _ in range(4):
        nakked(scene)
    scene.until(outputs.Send, where=lambda send: send.message.type is DISCOVER)
    scene.offer()
    scene.ack(lease_time=2 * round(seconds))
    scene.until_state(states.Renewing)
    return only(outputs.Failed, scene.nak()).retry_in


@pytest.mark.req("V4-11")
def test_a_minute_of_peace_forgets_the_naks() -> None:
    assert after_binding_for(64) < 1.2


@pytest.mark.req("V4-11", "breaks")
def test_a_short_peace_does_not() -> None:
    assert after_binding_for(40) > 28


@pytest.mark.req("V4-5", "breaks")
def test_leases_that_end_within_a_minute_are_setbacks_too() -> None:
    """A server that grants one second makes the address come and go: ever more slowly, and not twice a minute."""
    scene = Scene(conflict_detection="skip").requesting()
    while scene.now < 1000 + 1200:
        scene.ack(lease_time=1)
        scene.until(outputs.Lost)
        scene.until(outputs.Send, where=lambda send: send.message.type is DISCOVER)
        scene.offer()
    assert len([at for at in scene.sent_at(DISCOVER) if at <= 2200]) <= 12


@pytest.mark.req("V4-11", "breaks")
def test_a_link_that_comes_and_goes_does_not_shorten_the_pause() -> None:
    scene = Scene().requesting()
    scene.nak()
    for _ in range(7):
        nakked(scene)
    pause = scene.all(outputs.Failed)[-1].retry_in
    since = scene.now
    for _ in range(20):
        scene.feed(LinkDown())
        scene.run(1)
        scene.feed(LINK)
        scene.run(1)
    scene.until(outputs.Send)
    assert scene.now - since >= pause
