"""The operator's commands: each is answered once, by Finished or Refused."""

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown, LinkGone, Rebind, Release, Renew
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Refused, Start, Stop
from tests.protocols.dhcpv4.scene import ADDRESS, INFINITE, LINK, OTHER_SERVER, SERVER, Scene, remembered
from tests.protocols.timeline import of, only

RELEASE, REQUEST, DISCOVER = MessageType.RELEASE, MessageType.REQUEST, MessageType.DISCOVER


def test_renew_now() -> None:
    scene = Scene().bound()
    scene.run(100)
    send = only(outputs.Send, scene.feed(Renew()))
    assert (send.to, send.source, send.message.type, send.message.secs) == (SERVER, ADDRESS, REQUEST, 0)
    scene.run(1)
    said = scene.ack()
    assert only(outputs.Extended, said).by == "renew"
    assert only(outputs.Finished, said) == outputs.Finished("renew", True, "192.0.2.1 extended 192.0.2.10")
    assert isinstance(scene.state, states.Bound)


def test_rebind_now() -> None:
    scene = Scene().bound()
    send = only(outputs.Send, scene.feed(Rebind()))
    assert (send.to, send.source, send.message.ciaddr) == (BROADCAST, None, ADDRESS)
    said = scene.ack(server=OTHER_SERVER)
    assert only(outputs.Extended, said).lease.server_id == OTHER_SERVER
    assert only(outputs.Finished, said).ok


@pytest.mark.parametrize("lease_time", [3600, INFINITE])
@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_an_unanswered_command_before_t1_leaves_everything_as_it_was(command: object, lease_time: int) -> None:
    scene = Scene().bound(lease_time=lease_time)
    before, since = scene.state, scene.now
    scene.feed(command)
    finished = scene.until(outputs.Finished)
    assert (finished.ok, scene.now - since) == (False, 9)
    assert scene.state == before
    assert len(scene.sent_at(REQUEST)) == 2


@pytest.mark.parametrize(("state", "command"), [("renewing", Renew()), ("renewing", Rebind()), ("rebinding", Rebind())])
def test_an_unanswered_command_after_t1_leaves_the_asking_on(state: str, command: object) -> None:
    scene: Scene = getattr(Scene(), state)()
    scene.run(5)
    old = scene.sent[-1].xid
    scene.feed(command)
    assert scene.sent[-1].xid != old
    assert not scene.until(outputs.Finished).ok
    scene.until(outputs.Send)
    assert scene.sent[-1].xid == scene.sent[-2].xid
    assert scene.until(outputs.Lost).reason == "expired"


def test_a_command_answered_by_a_refusal_of_the_server() -> None:
    scene = Scene().bound()
    scene.feed(Renew())
    said = scene.nak()
    assert not only(outputs.Finished, said).ok
    assert only(outputs.Lost, said).reason == "nak"


def test_a_second_command_is_refused_while_the_first_runs() -> None:
    scene = Scene().bound()
    scene.feed(Renew())
    for command, name in ((Renew(), "renew"), (Rebind(), "rebind")):
        assert scene.feed(command) == [Refused(name, "a renew is under way")]
    assert only(outputs.Finished, scene.ack()).ok
    assert of(outputs.Send, scene.feed(Rebind())) or scene.until(outputs.Send, 1)


@pytest.mark.parametrize("command", [Renew(), Rebind(), Release()])
@pytest.mark.parametrize("state", ["stopped", "no link", "selecting", "requesting", "unconfirmed"])
def test_without_a_lease_there_is_nothing_to_command(state: str, command: object) -> None:
    scene = Scene(remembered=remembered(trusted=False) if state == "unconfirmed" else None)
    match state:
        case "no link":
            scene.feed(Start())
        case "selecting" | "requesting":
            getattr(scene, state)()
        case "unconfirmed":
            scene.started()
    before = scene.state
    only(Refused, scene.feed(command))
    assert scene.state == before


def test_past_t2_a_renewal_is_refused() -> None:
    only(Refused, Scene().rebinding().feed(Renew()))


@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_a_lease_that_is_being_confirmed_is_not_extended(command: object) -> None:
    scene = Scene(remembered=remembered()).started()
    scene.until_state(states.Rebooting)
    assert "being confirmed" in only(Refused, scene.feed(command)).reason
    assert isinstance(scene.state, states.Rebooting)


@pytest.mark.parametrize("command", [Renew(), Rebind()])
def test_without_a_carrier_an_extension_is_refused(command: object) -> None:
    scene = Scene().bound()
    scene.feed(LinkDown())
    only(Refused, scene.feed(command))
    scene.run(10)
    only(Refused, scene.feed(command))


@pytest.mark.req("V4-33")
@pytest.mark.parametrize("state", ["bound", "renewing", "rebinding"])
def test_release_gives_the_lease_back_and_stays_without(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    said = scene.feed(Release())
    send = only(outputs.Send, said)
    assert (send.message.type, send.to, send.source, send.message.ciaddr) == (RELEASE, SERVER, ADDRESS, ADDRESS)
    assert send.message.options.keys() == {Option.CLIENT_ID, Option.SERVER_ID}
    kinds = [type(output) for output in said]
    assert kinds == [outputs.Send, outputs.Lost, outputs.Forget, outputs.Entered, outputs.Finished]
    assert only(outputs.Lost, said).reason == "released"
    assert only(outputs.Finished, said) == outputs.Finished("release", True, "the lease was given back")
    scene.run(10000)
    scene.feed(LinkDown())
    scene.feed(LINK)
    assert scene.sent[-1].type is RELEASE
    scene.feed(Start())
    scene.until(outputs.Send, 2)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("V4-33", "breaks")
def test_a_restart_gives_nothing_back() -> None:
    scene = Scene().bound()
    scene.feed(Stop())
    scene.feed(LinkDown())
    assert RELEASE not in {message.type for message in scene.sent}


@pytest.mark.req("V4-33")
def test_a_stop_with_release_gives_it_back() -> None:
    scene = Scene().bound()
    said = scene.feed(Stop(release=True))
    assert only(outputs.Send, said).message.type is RELEASE
    assert only(outputs.Lost, said).reason == "stopped"
    assert of(outputs.Forget, said)
    scene.feed(Start())
    assert not scene.all(outputs.Resumed)


def test_a_release_ends_the_command_before_it() -> None:
    scene = Scene().bound()
    scene.feed(Renew())
    finished = of(outputs.Finished, scene.feed(Release()))
    assert [(end.command, end.ok) for end in finished] == [("renew", False), ("release", True)]


@pytest.mark.parametrize("event", [Stop(), Stop(release=True), LinkGone()])
def test_whatever_ends_the_lease_ends_the_command(event: object) -> None:
    scene = Scene().bound()
    scene.feed(Rebind())
    assert not only(outputs.Finished, scene.feed(event)).ok
    scene.run(100)
    assert len(scene.all(outputs.Finished)) == 1


def test_a_release_without_a_carrier_is_honest_about_it() -> None:
    scene = Scene().bound()
    scene.feed(LinkDown())
    said = scene.feed(Release())
    assert not of(outputs.Send, said)
    assert only(outputs.Finished, said) == outputs.Finished(
        "release", True, "the lease was dropped; its server could not be told"
    )


def test_a_release_of_what_is_still_probed() -> None:
    scene = Scene().probing()
    said = scene.feed(Release())
    assert not of(outputs.Lost, said) + of(outputs.Send, said)  # type: ignore[operator]
    assert only(outputs.Finished, said).ok
    assert isinstance(scene.state, states.Stopped)


def test_a_command_survives_a_flap() -> None:
    scene = Scene().bound()
    scene.feed(Renew())
    scene.feed(LinkDown())
    scene.run(1)
    scene.feed(LINK)
    assert scene.sent[-1].ciaddr == ANY
    assert only(outputs.Finished, scene.ack()).ok
