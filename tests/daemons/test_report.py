"""What the outputs of a client mean to people: an event for each that is worth one, a status, `observed` (§2.3)."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, get_args

import attrs
import pytest

from routerd.daemons.dhcp_daemon import crashed_status
from routerd.daemons.dhcpv4_report import (
    OBSERVED,
    Circumstances,
    event_of,
    observed_of,
    phase_of,
    starting_status,
    status_of,
)
from routerd.daemons.face import texts_of
from routerd.events.types import Event
from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.machine import Dropped, Refused
from tests.daemons.scene import DNS, GATEWAY, NOON, OWN, SOURCE, TELL, WAN, granted

LEASE = granted(0.0)
OTHER = attrs.evolve(LEASE, gateway=IPv4Address("203.0.113.2"), dns_servers=(DNS, GATEWAY))
MAC = bytes.fromhex("02005e711301")


def message(kind: MessageType, **changes: Any) -> Message:
    return Message(Op.BOOTREQUEST, kind, 0xBEEF, MAC, **changes)


Expected = tuple[str, str, str] | None
CASES: list[tuple[outputs.Output, Expected]] = [
    (outputs.Send(message(MessageType.DISCOVER)), ("discover.sent", "DiscoverSent", "info")),
    (outputs.Send(message(MessageType.REQUEST)), ("request.sent", "RequestSent", "info")),
    (outputs.Send(message(MessageType.REQUEST, ciaddr=OWN), GATEWAY, OWN), ("renew.sent", "RenewSent", "info")),
    (outputs.Send(message(MessageType.DECLINE)), ("lease.declined", "LeaseDeclined", "warning")),
    (outputs.Send(message(MessageType.RELEASE, ciaddr=OWN), GATEWAY, OWN), None),
    (outputs.Offered(message(MessageType.OFFER, yiaddr=OWN), GATEWAY), ("offer.received", "OfferReceived", "info")),
    (outputs.Bound(LEASE), ("lease.bound", "LeaseBound", "info")),
    (outputs.Resumed(LEASE), ("lease.resumed", "LeaseResumed", "info")),
    (outputs.Extended(LEASE, "renew"), ("lease.renewed", "LeaseRenewed", "info")),
    (outputs.Extended(LEASE, "rebind"), ("lease.rebound", "LeaseRebound", "info")),
    (outputs.Extended(LEASE, "reboot"), ("lease.renewed", "LeaseRenewed", "info")),
    (outputs.Extended(LEASE, "dna"), ("lease.renewed", "LeaseRenewed", "info")),
    (outputs.Changed(OTHER, LEASE, "renew", ("gateway",)), ("lease.changed", "LeaseChanged", "info")),
    (outputs.Lost(LEASE, "expired"), ("lease.expired", "LeaseExpired", "error")),
    (outputs.Lost(LEASE, "released"), ("lease.released", "LeaseReleased", "info")),
    (outputs.Lost(LEASE, "stopped"), ("lease.released", "Stopped", "info")),
    (outputs.Lost(LEASE, "nak"), ("lease.lost", "LeaseLost", "warning")),
    (outputs.Lost(LEASE, "moved"), ("lease.lost", "LeaseLost", "warning")),
    (outputs.Failed("Selecting", "no-answer", "nobody", 4.0), ("acquire.failed", "AcquireFailed", "warning")),
    (outputs.Failed("Renewing", "no-answer", "nobody", 4.0), ("renew.failed", "RenewFailed", "warning")),
    (outputs.Failed("Rebinding", "no-answer", "nobody", 4.0), ("renew.failed", "RenewFailed", "warning")),
    (outputs.Nak(GATEWAY, "go away"), ("lease.nak", "Nak", "warning")),
    (outputs.Conflict(OWN, MAC, True), ("address.conflict", "Conflict", "warning")),
    (outputs.Forget(), None),
    (outputs.GatewayKnown(GATEWAY, MAC), None),
    (outputs.Entered("Bound", "Requesting"), None),
    (outputs.Finished("renew", True, "done"), None),
    (Refused("renew", "no"), None),
    (Dropped("wrong-xid", message(MessageType.ACK)), None),
]


@pytest.mark.parametrize(
    ("output", "expected"), CASES, ids=[f"{n}-{type(o).__name__}" for n, (o, _) in enumerate(CASES)]
)
def test_each_output_and_its_event(output: outputs.Output, expected: Expected) -> None:
    event = event_of(output, TELL)
    if expected is None:
        assert event is None
        return
    assert event is not None
    assert (event.topic.removeprefix("routerd.dhcpv4.client."), event.reason, event.severity) == expected
    assert (event.resource, event.source) == (WAN, SOURCE)
    assert event.message
    assert all(isinstance(value, str) and value != "None" for value in event.attributes.values())


def test_no_output_is_forgotten() -> None:
    shown = {type(output) for output, _ in CASES} | {outputs.SendArp}
    union = {getattr(kind, "__origin__", kind) for kind in get_args(outputs.Output)}
    assert union == shown


def test_every_reason_of_a_loss_is_told() -> None:
    for reason in get_args(outputs.LossReason):
        event = event_of(outputs.Lost(LEASE, reason), TELL)
        assert event is not None
        assert event.attributes["cause"] == reason
    for reason in get_args(outputs.FailReason):
        assert event_of(outputs.Failed("Selecting", reason, "so", 1), TELL) is not None


def said(output: outputs.Output) -> Event:
    event = event_of(output, TELL)
    assert event is not None
    return event


def test_what_is_told_of_a_lease() -> None:
    event = said(outputs.Bound(LEASE, "reboot"))
    assert event.message == "203.0.113.50/24 from 203.0.113.1, for 1h0m0s"
    expected = {"address": "203.0.113.50", "gateway": "203.0.113.1", "serverID": "203.0.113.1", "confirmedBy": "reboot"}
    assert event.attributes == expected
    forever = attrs.evolve(LEASE, expires_at=None, gateway=None)
    event = said(outputs.Bound(forever))
    assert event.message.endswith("for ever")
    assert "gateway" not in event.attributes


@pytest.mark.req("V4-14")
def test_what_is_told_of_a_change() -> None:
    event = said(outputs.Changed(OTHER, LEASE, "renew", ("gateway", "dns_servers", "routes")))
    assert "gateway: 203.0.113.1 -> 203.0.113.2" in event.message
    assert "dns_servers: [203.0.113.53] -> [203.0.113.53 203.0.113.1]" in event.message
    assert event.attributes["fields"] == "gateway,dns_servers,routes"


def test_of_routes_and_of_nothing_a_person_reads_words() -> None:
    without = attrs.evolve(LEASE, routes=(), domain=None)
    event = said(outputs.Changed(without, LEASE, "renew", ("routes", "domain")))
    assert "routes: [0.0.0.0/0 via 203.0.113.1] -> []" in event.message
    assert "domain: isp.example -> none" in event.message


# Secrets


@pytest.mark.req("C16")
def test_what_a_server_is_told_or_tells_in_secret_is_in_no_event_and_no_status() -> None:
    secret = b"the secret of the line"
    sent = message(MessageType.REQUEST, options={90: secret, 82: secret})
    for output, _ in [*CASES, (outputs.Send(sent), None), (outputs.Offered(sent, GATEWAY), None)]:
        event = event_of(output, TELL)
        assert secret.decode() not in repr(event)
        assert secret.hex() not in repr(event)
    status = repr(status_of(states.Bound(LEASE), LEASE, False, AROUND))
    assert secret.decode() not in status
    assert secret.hex() not in status


# Status


AROUND = Circumstances("wan", "eth0", 3, round(NOON * 1e9), True, installed=True)
EXCHANGE = states.Exchange(1, 0.0, 0.0)
OFFER = states.Offer(GATEWAY, OWN)


@pytest.mark.parametrize(
    ("state", "lease", "released", "phase", "reason"),
    [
        (states.Stopped(), None, False, "Idle", "Stopped"),
        (states.Stopped(), None, True, "Released", "Released"),
        (states.NoLink(), None, False, "Pending", "NoCarrier"),
        (states.Detached(LEASE), LEASE, False, "Bound", "NoCarrier"),
        (states.Init(1.0), None, False, "Acquiring", "Init"),
        (states.Selecting(EXCHANGE), None, False, "Acquiring", "Selecting"),
        (states.Requesting(EXCHANGE, OFFER, (), False, 0), None, False, "Acquiring", "Requesting"),
        (states.Rebooting(LEASE, False, False, EXCHANGE, 12.0), None, False, "Acquiring", "Rebooting"),
        (states.Rebooting(LEASE, True, False, EXCHANGE, 12.0), LEASE, False, "Refreshing", "Rebooting"),
        (states.Probing(LEASE), None, False, "Acquiring", "Probing"),
        (states.Bound(LEASE), LEASE, False, "Bound", "Bound"),
        (states.Renewing(LEASE, EXCHANGE.sent(1.0, 60.0)), LEASE, False, "Bound", "Renewing"),
        (states.Renewing(LEASE, EXCHANGE.sent(1.0, 60.0).sent(61.0, 60.0)), LEASE, False, "Refreshing", "Renewing"),
        (states.Rebinding(LEASE, EXCHANGE), LEASE, False, "Rebinding", "Rebinding"),
        (states.V6Only(300.0, 1), None, False, "Idle", "V6OnlyPreferred"),
    ],
)
def test_phases(state: states.State, lease: Lease | None, released: bool, phase: str, reason: str) -> None:
    assert phase_of(state, lease, released) == (phase, reason)
    status = status_of(state, lease, released, AROUND)
    assert (status["phase"], status["reason"]) == (phase, reason)
    assert ("currentAddress" in status) is (lease is not None)
    assert status["state"] == type(state).__name__, "by which a client that has spoken is known"
    [ready, *_] = status["conditions"]
    assert ready == {
        "type": "LeaseReady",
        "status": str(lease is not None),
        "reason": reason,
        "observedGeneration": 3,
    }


def test_every_state_has_a_phase() -> None:
    for state in get_args(states.State):
        assert state.__name__ in {case[0].__class__.__name__ for case in _phases()}


def _phases() -> list[tuple[Any, ...]]:
    [mark] = [m for m in test_phases.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    return list(mark.args[1])


def test_a_whole_status() -> None:
    status = status_of(states.Bound(LEASE), LEASE, False, AROUND)
    assert status["currentAddress"] == "203.0.113.50"
    assert status["prefixLength"] == 24
    assert status["gateway"] == status["defaultGateway"] == "203.0.113.1"
    assert status["dnsServers"] == ["203.0.113.53"]
    assert status["domain"] == "isp.example"
    assert status["leaseTime"] == "1h0m0s"
    assert status["routes"] == [{"destination": "0.0.0.0/0", "gateway": "203.0.113.1"}]
    assert status["expiresAt"] == "2027-01-15T09:00:00Z"
    assert status["expiresAtMonotonic"] == 3600
    assert status["observedGeneration"] == 3
    assert (status["interface"], status["device"]) == ("wan", "eth0")
    assert [c["status"] for c in status["conditions"]] == ["True", "True"]
    json.dumps(status)


@pytest.mark.parametrize("installed", [False, None])
def test_a_lease_whose_address_is_not_there_yet(installed: bool | None) -> None:
    status = status_of(states.Bound(LEASE), LEASE, False, attrs.evolve(AROUND, installed=installed))
    assert status["conditions"][1]["status"] == "False"
    assert status["conditions"][1]["reason"] == "NotYet"


def test_a_lease_without_end_and_without_extras() -> None:
    bare = Lease(IPv4Interface("203.0.113.50/32"), GATEWAY, 0.0, None, None, None)
    status = status_of(states.Bound(bare), bare, False, AROUND)
    for absent in ("expiresAt", "expiresAtMonotonic", "renewAt", "gateway", "domain", "mtu", "leaseTime", "lastError"):
        assert absent not in status
    assert status["routes"] == status["dnsServers"] == []


def test_use_dns_false_lets_nobody_use_the_name_servers() -> None:
    status = status_of(states.Bound(LEASE), LEASE, False, attrs.evolve(AROUND, use_dns=False))
    assert status["dnsServers"] == []
    assert status["ntpServers"] == []
    assert status["domain"] == "isp.example"


def test_before_it_has_spoken() -> None:
    status = starting_status("wan", "eth0", 3, "Starting")
    assert (status["phase"], status["reason"]) == ("Pending", "Starting")
    assert status["conditions"][0]["status"] == "Unknown"
    assert "state" not in status


def test_after_a_crash_the_lease_is_still_in_use() -> None:
    before = status_of(states.Bound(LEASE), LEASE, False, AROUND)
    after = crashed_status(before, "ValueError: oh", 5)
    assert (after["phase"], after["reason"], after["lastError"]) == ("Error", "CrashLoop", "ValueError: oh")
    assert after["currentAddress"] == "203.0.113.50"
    assert after["routes"] == before["routes"]
    assert after["observedGeneration"] == 5
    ready, installed = after["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("LeaseReady", "Unknown", "CrashLoop")
    assert installed["type"] == "AddressInstalled"
    assert crashed_status(after, "again", 5)["conditions"][0] == ready, "one of each type"
    assert len(crashed_status(after, "again", 5)["conditions"]) == 2


# observed


def test_observed_is_text() -> None:
    status = status_of(states.Bound(LEASE), LEASE, False, attrs.evolve(AROUND, last_error="once"))
    seen = texts_of(observed_of(status), {"wrong-xid": 2, "bad-magic": 1})
    assert all(isinstance(value, str) for value in seen.values())
    assert seen["interface"] == "eth0"
    assert seen["currentAddress"] == "203.0.113.50"
    assert seen["dnsServers"] == '["203.0.113.53"]'
    assert seen["prefixLength"] == "24"
    assert seen["lastError"] == "once"
    assert json.loads(seen["dropped"]) == {"bad-magic": 1, "wrong-xid": 2}
    assert seen.keys() <= {*OBSERVED, "dropped"}


def test_observed_of_nothing() -> None:
    assert observed_of({}) == {"interface": ""}
    assert observed_of(starting_status("wan", "eth0", 1, "Starting")) == {"interface": "eth0"}
