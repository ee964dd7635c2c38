"""Carriers come and go, interfaces vanish (C11, C14, V4-30, V4-39)."""

import attrs
import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown, LinkGone, LinkUp
from routerd.protocols.dhcpv4.message import MessageType
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Start, Stop
from tests.protocols.dhcpv4.scene import ADDRESS, CLIENT_ID, LINK, MAC, Scene, gateway_answer
from tests.protocols.timeline import of, only

DISCOVER, REQUEST = MessageType.DISCOVER, MessageType.REQUEST
HELD = ["bound", "renewing", "rebinding"]


@pytest.mark.req("C11")
@pytest.mark.parametrize("state", HELD)
def test_a_flap_withdraws_nothing_and_is_checked(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    lease = scene.machine.lease
    assert scene.feed(LinkDown()) == []
    scene.run(2.9)
    assert scene.machine.lease == lease
    said = scene.feed(LINK)
    assert isinstance(scene.state, states.Rebooting)
    request = only(outputs.Send, said).message
    assert request.options[Option.REQUESTED_ADDRESS] == ADDRESS.packed
    only(outputs.Extended, scene.ack())
    assert not scene.all(outputs.Lost)
    assert len(scene.all(outputs.Bound)) == 1


@pytest.mark.req("C11")
@pytest.mark.parametrize("state", HELD)
def test_without_a_carrier_the_lease_is_stale_but_kept(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    lease = scene.machine.lease
    scene.feed(LinkDown())
    scene.run(3)
    assert isinstance(scene.state, states.Detached)
    assert scene.machine.lease == lease
    assert scene.machine.listens == frozenset()
    scene.run(100)
    scene.feed(LINK)
    assert scene.machine.lease == lease
    only(outputs.Extended, scene.ack())
    assert not scene.all(outputs.Lost)


@pytest.mark.req("C11", "breaks")
def test_without_a_carrier_until_the_lease_ends() -> None:
    scene = Scene().bound()
    scene.feed(LinkDown())
    lost = scene.until(outputs.Lost)
    assert (scene.now, lost.reason) == (lost.lease.expires_at, "expired")
    assert isinstance(scene.state, states.NoLink)
    scene.feed(LINK)
    scene.until(outputs.Send, 1)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("C11", "breaks")
def test_a_new_network_behind_the_same_plug() -> None:
    scene = Scene().bound()
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    assert scene.until(outputs.Lost).reason == "unconfirmed"
    scene.until(outputs.Send, 1)
    assert scene.sent[-1].type is DISCOVER


@pytest.mark.req("C11", "breaks")
def test_a_link_that_flaps_all_the_time_keeps_its_lease_and_the_peace() -> None:
    scene = Scene().bound()
    begun = scene.now
    for _ in range(100):
        scene.feed(LinkDown())
        scene.run(0.05)
        scene.feed(LINK)
        scene.run(0.05)
    packets = scene.all(outputs.Send, begun + 0.01) + scene.all(outputs.SendArp, begun + 0.01)  # type: ignore[operator]
    assert len(packets) <= 10 + (scene.now - begun)
    assert not scene.all(outputs.Lost)


def test_timers_run_on_during_a_flap() -> None:
    scene = Scene().bound()
    lease = scene.machine.lease
    assert lease is not None and lease.t1 is not None
    scene.run(lease.t1 - scene.now - 1)
    scene.feed(LinkDown())
    scene.run(2)
    assert isinstance(scene.state, states.Renewing)


@pytest.mark.parametrize("state", ["selecting", "requesting"])
def test_an_acquisition_ends_with_its_link_and_begins_anew(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    scene.feed(LinkDown())
    assert isinstance(scene.state, states.NoLink)
    assert scene.machine.deadline is None
    scene.feed(LINK)
    scene.until(outputs.Send, 1.5)
    assert scene.sent[-1].type is DISCOVER
    assert scene.sent[-1].xid != scene.sent[0].xid


def test_a_lease_that_was_being_probed_is_asked_for_again() -> None:
    scene = Scene().probing()
    scene.feed(LinkDown())
    scene.run(10)
    scene.feed(LINK)
    assert scene.machine.lease is None
    assert only(outputs.Bound, scene.ack()).confirmed_by == "reboot"


def test_a_flap_while_nothing_is_confirmed() -> None:
    scene = Scene().bound()
    scene.feed(LinkDown())
    scene.run(5)
    scene.feed(LINK)
    scene.run(2)
    scene.feed(LinkDown())
    scene.run(1)
    scene.feed(LINK)
    assert isinstance(scene.state, states.Rebooting)
    assert scene.machine.deadline is not None
    only(outputs.Extended, scene.ack())


@pytest.mark.req("C14")
@pytest.mark.parametrize(
    "link",
    [attrs.evolve(LINK, mac=bytes.fromhex("0200000000aa")), attrs.evolve(LINK, ifindex=9)],
    ids=["mac", "ifindex"],
)
@pytest.mark.parametrize("state", ["selecting", "requesting", "probing", *HELD])
def test_another_identity_of_the_link_begins_anew_as_the_same_client(state: str, link: LinkUp) -> None:
    scene: Scene = getattr(Scene(), state)()
    held = scene.machine.lease
    said = scene.feed(link)
    assert [lost.reason for lost in of(outputs.Lost, said)] == (["link-changed"] if held else [])
    assert scene.machine.lease is None
    scene.until(outputs.Send, 2)
    discover = scene.sent[-1]
    assert (discover.type, discover.chaddr) == (DISCOVER, link.mac)
    assert discover.options[Option.CLIENT_ID] == CLIENT_ID


@pytest.mark.req("C14", "breaks")
def test_answers_to_the_old_identity_are_not_ours() -> None:
    scene = Scene().requesting()
    answer = scene.reply(MessageType.ACK)
    scene.feed(attrs.evolve(LINK, mac=bytes.fromhex("0200000000aa")))
    scene.until(outputs.Send, 2)
    state = scene.state
    scene.feed(answer)
    assert scene.state == state


def test_the_same_link_up_again_is_no_news() -> None:
    for state in ["selecting", "requesting", "probing", *HELD]:
        scene: Scene = getattr(Scene(), state)()
        before = scene.state
        assert scene.feed(LINK) == []
        assert scene.feed(attrs.evolve(LINK, mtu=1492)) == []
        assert scene.state == before


@pytest.mark.req("V4-39")
@pytest.mark.req("V4-39", "breaks")
@pytest.mark.parametrize("state", ["started", "selecting", "requesting", "probing", *HELD])
def test_an_interface_that_is_deleted(state: str) -> None:
    scene: Scene = getattr(Scene(), state)()
    held = scene.machine.lease
    said = scene.feed(LinkGone())
    assert [lost.reason for lost in of(outputs.Lost, said)] == (["link-gone"] if held else [])
    assert isinstance(scene.state, states.NoLink)
    assert scene.machine.deadline is None
    scene.run(1000)
    scene.feed(attrs.evolve(LINK, ifindex=17))
    scene.until(outputs.Send, 2)
    assert scene.sent[-1].type is DISCOVER


def test_links_before_start_and_after_stop() -> None:
    scene = Scene()
    assert scene.feed(LINK) == []
    scene.feed(Start())
    scene.until(outputs.Send, 1)
    scene.feed(Stop())
    for event in (LinkDown(), LINK, LinkDown(), LinkGone(), LINK):
        assert scene.feed(event) == []
    scene.feed(Start())
    scene.until(outputs.Send, 3)


def test_the_gateway_confirms_after_a_flap_and_t1_has_passed() -> None:
    scene = Scene().bound()
    scene.arp(gateway_answer())
    lease = scene.machine.lease
    assert lease is not None and lease.t1 is not None
    scene.feed(LinkDown())
    scene.run(lease.t1 - scene.now + 60)
    scene.feed(LINK)
    scene.arp(gateway_answer())
    scene.run(12)
    assert isinstance(scene.state, states.Renewing)
    assert scene.all(outputs.Send)[-1].source == ADDRESS
    assert scene.sent[-1].chaddr == MAC
