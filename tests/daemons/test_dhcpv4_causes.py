"""What led to what in the life of a client, ways out and corners that a whole router seldom meets."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any, get_args

import attrs
import pytest

from routerd.daemons.dhcp_course import ANSWERED, BY_COMMAND, UNANSWERED, Course
from routerd.daemons.dhcpv4_causes import Causes
from routerd.daemons.dhcpv4_report import TOPIC, event_of
from routerd.daemons.scribe import Cause, Said
from routerd.daemons.teller import Teller
from routerd.events import incidents
from routerd.events.incidents import SLEEP, Incidents
from routerd.events.types import Event, Source
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4 import states as dhcpv4_states
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv6 import states as dhcpv6_states
from tests.controllers.scene import CLIENT_REF, lease

LEASE = lease("203.0.113.50/24")
SERVER = IPv4Address("203.0.113.1")
BEGAN, CONFIGURED = 3, 4


def send(kind: MessageType = MessageType.REQUEST) -> outputs.Send:
    return outputs.Send(attrs.evolve(DISCOVER, type=kind))


DISCOVER = Message(Op.BOOTREQUEST, MessageType.DISCOVER, xid=1, chaddr=bytes(6))
OFFER = attrs.evolve(DISCOVER, type=MessageType.OFFER, yiaddr=LEASE.address.ip)
BOUND = outputs.Bound(LEASE)


@attrs.define
class Life:
    """A client's life as it is told: feed it outputs, ask for causes in words."""

    known: Incidents = attrs.field(factory=Incidents)
    commands: dict[str, int] = attrs.field(factory=dict)
    causes: Causes = attrs.field(init=False)
    said: list[Said] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        course = Course("eth0", self.known, lambda: BEGAN, lambda name: self.commands.get(name, 0))
        self.causes = Causes(course)
        for tell in (course.started, course.ready):
            self.write(tell(Event("routerd.daemon.lifecycle.any")))

    def write(self, said: Said) -> None:
        self.said.append(said)
        said.id = 100 + len(self.said)

    def step(self, *told: outputs.Output | str) -> None:
        """One step of the machine; a text is a state that it enters."""
        self.causes.step()
        for output in told:
            if isinstance(output, str):
                self.causes.course.entered(output)
                continue
            event = event_of(output, Teller(TOPIC, CLIENT_REF, Source("client", "client")))
            assert event is not None
            self.write(self.causes.said(output, event))

    def link(self, event_id: int) -> None:
        self.known.happened(incidents.link("eth0"), event_id)

    def words(self, causes: Any) -> list[object]:
        return [_word(cause) for cause in causes]

    def last(self) -> list[object]:
        """The causes of what was said last."""
        return self.words(self.said[-1].because)

    def status(self) -> list[object]:
        return self.words(self.causes.of_step())


def _word(cause: Cause) -> object:
    return cause if isinstance(cause, int) else cause.event.topic.removeprefix("routerd.dhcpv4.client.")


@pytest.fixture
def life() -> Life:
    return Life()


def bound(life: Life) -> None:
    life.step("Selecting", send(MessageType.DISCOVER))
    life.step(outputs.Offered(OFFER, SERVER), "Requesting", send())
    life.step("Bound", BOUND)


def test_a_lease_from_nothing(life: Life) -> None:
    bound(life)
    began, ready, discover, offer, request, told = life.said
    assert [life.words(one.because) for one in life.said] == [
        *([BEGAN], ["routerd.daemon.lifecycle.any"], ["routerd.daemon.lifecycle.any"]),
        *(["discover.sent"], ["offer.received"], ["request.sent"]),
    ]
    assert (ready.because, discover.because) == ((began,), (ready,))
    assert (offer.because, request.because, told.because) == ((discover,), (offer,), (request,))
    assert life.status() == ["lease.bound"]


def test_each_request_in_vain_has_the_same_cause_and_all_of_them_are_named(life: Life) -> None:
    bound(life)
    for _ in range(UNANSWERED + 10):
        life.step(*(() if life.said[-1].event.topic.endswith("renew.sent") else ("Renewing",)), _renewal())
    sent = [one for one in life.said if one.event.topic.endswith("renew.sent")]
    assert {one.because for one in sent} == {()}, "a timer ran out: that is nobody's effect"
    life.step(outputs.Lost(LEASE, "expired"), "Init")
    because = list(life.said[-1].because)
    assert len(because) == UNANSWERED and because == [sent[0], *sent[1 - UNANSWERED :]], "the first, and the last"


def _renewal() -> outputs.Send:
    return outputs.Send(attrs.evolve(DISCOVER, type=MessageType.REQUEST, ciaddr=LEASE.address.ip))


def test_a_lease_that_is_extended_goes_back_to_how_it_was_obtained(life: Life) -> None:
    bound(life)
    life.step("Renewing", _renewal())
    life.step("Bound", outputs.Extended(LEASE, "renew"))
    assert life.last() == ["renew.sent", "lease.bound"]
    life.step("Rebinding", _renewal())
    assert life.last() == [], "what was answered is over"


def test_an_extension_by_command_goes_back_to_the_command(life: Life) -> None:
    bound(life)
    life.commands["renew"] = 50
    life.step("Renewing", _renewal())
    assert life.last() == [50]
    life.step("Bound", outputs.Extended(LEASE, "renew"))
    assert life.last() == ["renew.sent"]


def test_a_lease_that_is_lost(life: Life) -> None:
    def lost(reason: outputs.LossReason, *before: outputs.Output | str) -> list[object]:
        bound(life)
        life.step(*before, outputs.Lost(LEASE, reason), "Init")
        assert life.status() == [_word(life.said[-1])]
        return life.last()

    conflict = outputs.Conflict(LEASE.address.ip, bytes(6), defended=False)
    assert lost("nak", outputs.Nak(SERVER, "no")) == ["lease.nak"]
    assert lost("conflict", conflict) == ["address.conflict"]
    assert lost("moved", "Renewing", _renewal()) == ["renew.sent"]
    assert lost("v6-only", "Renewing", _renewal()) == ["renew.sent"]
    life.commands["release"] = 60
    assert lost("released") == [60]
    life.commands.clear()
    assert lost("stopped") == [BEGAN], "it is not declared any more"
    life.link(70)
    assert lost("link-gone") == [70]


def test_what_follows_a_loss_goes_back_to_it(life: Life) -> None:
    bound(life)
    life.step(
        outputs.Nak(SERVER, "no"), outputs.Lost(LEASE, "nak"), outputs.Failed("Renewing", "nak", "no", 1.0), "Init"
    )
    assert life.last() == ["lease.nak"]
    life.step("Selecting", send(MessageType.DISCOVER))
    assert life.last() == ["lease.lost"]


def test_a_refusal_after_the_cable_was_plugged_in_elsewhere_goes_back_to_the_cable(life: Life) -> None:
    bound(life)
    life.link(40)
    life.step("Detached")
    assert life.status() == [40]
    life.link(41)
    life.step("Rebooting", send())
    assert life.last() == [41]
    life.step(outputs.Nak(SERVER, "wrong network"))
    assert life.last() == [41]


def test_nobody_confirms_the_lease_after_the_cable_came_back(life: Life) -> None:
    bound(life)
    life.link(41)
    life.step("Rebooting", send())
    life.step(send())
    life.step(outputs.Lost(LEASE, "unconfirmed"), outputs.Failed("Rebooting", "no-answer", "nobody", 1.0), "Init")
    lost, failed = life.said[-2:]
    assert life.words(lost.because) == ["request.sent", "request.sent"]
    assert failed.because == (lost,)


def test_a_lease_that_ran_out_without_a_cable_or_in_sleep(life: Life) -> None:
    bound(life)
    life.known.happened(SLEEP, 500)
    life.step(outputs.Lost(LEASE, "expired"), "Init")
    assert life.last() == [500]
    bound(life)
    life.link(600)
    life.step("Detached")
    life.step(outputs.Lost(LEASE, "expired"), "NoLink")
    assert life.last() == [600]
    assert life.status() == ["lease.expired"]


def test_a_sleep_before_the_lease_is_not_why_it_ran_out(life: Life) -> None:
    life.known.happened(SLEEP, 1)
    bound(life)
    life.step(outputs.Lost(LEASE, "expired"), "Init")
    assert 1 not in life.last()


def test_an_acquisition_that_goes_on_for_ever_does_not_grow(life: Life) -> None:
    life.step("Selecting", send(MessageType.DISCOVER))
    first = life.said[-1].because
    for _ in range(300):
        life.step(outputs.Failed("Selecting", "no-answer", "5 of them", 0.0), send(MessageType.DISCOVER))
        assert life.said[-1].because == first
    assert len(life.said[-2].because) == UNANSWERED


def test_the_address_of_the_lease_comes_and_is_taken_away(life: Life) -> None:
    bound(life)
    ip = str(LEASE.address.ip)
    assert life.words(life.causes.of_address(1, ip)) == ["lease.bound"]
    applied = life.causes.applied(Event("routerd.dhcpv4.client.applied"), 1, ip)
    life.write(applied)
    assert life.words(applied.because) == ["lease.bound"]
    life.known.happened(incidents.address(1, ip), 900)
    assert life.causes.of_address(1, ip) == (900,)
    again = life.causes.applied(Event("routerd.dhcpv4.client.applied"), 1, ip)
    assert again.because == (900,)
    again.id = 901
    assert life.words(life.causes.of_address(1, ip)) == ["lease.bound"], "that is over"


def test_every_way_to_lose_a_lease_has_a_cause() -> None:
    for reason in outputs.LossReason.__args__:  # type: ignore[attr-defined]
        life = Life()
        life.link(2)
        bound(life)
        life.step("Renewing", _renewal())
        life.step(outputs.Lost(LEASE, reason), "Init")
        assert life.last(), reason


def test_the_states_that_a_course_names_are_states_of_a_machine() -> None:
    known = {state.__name__ for state in (*get_args(dhcpv4_states.State), *get_args(dhcpv6_states.State))}
    assert BY_COMMAND.keys() | set(ANSWERED) <= known
