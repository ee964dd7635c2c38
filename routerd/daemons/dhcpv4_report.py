"""What the outputs of a DHCPv4 client mean to people and controllers: events, status, `observed`. Pure.

Topics, reasons and fields are docs/contract.md §2.3; what this module adds is in docs/events.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from routerd.daemons.teller import Teller
from routerd.daemons.wall_offset import instant
from routerd.events.status import condition
from routerd.events.types import Event, Severity, Status
from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import MessageType
from routerd.shapes.duration import format_duration

TOPIC = "routerd.dhcpv4.client"

SENT = {
    MessageType.DISCOVER: ("discover.sent", "DiscoverSent"),
    MessageType.REQUEST: ("request.sent", "RequestSent"),
    MessageType.DECLINE: ("lease.declined", "LeaseDeclined"),
}

LOST: Mapping[str, tuple[str, str, Severity]] = {
    "expired": ("lease.expired", "LeaseExpired", "error"),
    "released": ("lease.released", "LeaseReleased", "info"),
    "stopped": ("lease.released", "Stopped", "info"),
}

EXTENDED = {"renew": "renewed", "rebind": "rebound", "reboot": "renewed", "dna": "renewed"}


def event_of(output: outputs.Output, tell: Teller) -> Event | None:
    """The event that an output is worth, or None: what is dropped is counted, what changes state is in the status."""
    match output:
        case outputs.Send(message, to):
            return _sent(message.type, message.ciaddr.packed != b"\0\0\0\0", str(to), f"{message.xid:08x}", tell)
        case outputs.Offered(message, server_id):
            words = f"{server_id} offers {message.yiaddr}"
            return tell("offer.received", "OfferReceived", words, address=message.yiaddr, serverID=server_id)
        case outputs.Bound(lease, confirmed_by):
            words = f"{lease.address} from {lease.server_id}, {_term(lease)}"
            return tell("lease.bound", "LeaseBound", words, confirmedBy=confirmed_by, **_facts(lease))
        case outputs.Resumed(lease):
            words = f"{lease.address} is still ours from before, to be confirmed"
            return tell("lease.resumed", "LeaseResumed", words, **_facts(lease))
        case outputs.Extended(lease, by):
            word = EXTENDED[by]
            words = f"{lease.address} extended, {_term(lease)}"
            return tell(f"lease.{word}", f"Lease{word.capitalize()}", words, by=by, **_facts(lease))
        case outputs.Changed(lease, previous, by, fields):
            differences = ", ".join(
                f"{f}: {_plain(getattr(previous, f))} -> {_plain(getattr(lease, f))}" for f in fields
            )
            words = f"{lease.address} extended, and it brought changes: {differences}"
            return tell("lease.changed", "LeaseChanged", words, by=by, fields=",".join(fields), **_facts(lease))
        case outputs.Lost(lease, reason):
            topic, word, severity = LOST.get(reason, ("lease.lost", "LeaseLost", "warning"))
            return tell(topic, word, _ending(lease, reason), severity, cause=reason)
        case outputs.Failed(during, reason, detail, retry_in):
            renewing = during in ("Renewing", "Rebinding")
            topic, word = ("renew.failed", "RenewFailed") if renewing else ("acquire.failed", "AcquireFailed")
            return tell(topic, word, detail, "warning", during=during, cause=reason, retryIn=f"{retry_in:.0f}s")
        case outputs.Nak(server_id, text):
            words = f"{server_id} refuses" + (f": {text}" if text else "")
            return tell("lease.nak", "Nak", words, "warning", serverID=server_id)
        case outputs.Conflict(address, mac, defended):
            end = "we defend it" if defended else "we give it up"
            words = f"{mac.hex(':')} uses {address} too; {end}"
            return tell("address.conflict", "Conflict", words, "warning", address=address, mac=mac.hex(":"))
    return None


def _sent(kind: MessageType, holding: bool, to: str, xid: str, tell: Teller) -> Event | None:
    if kind not in SENT:
        return None
    topic, reason = ("renew.sent", "RenewSent") if kind is MessageType.REQUEST and holding else SENT[kind]
    severity: Severity = "warning" if kind is MessageType.DECLINE else "info"
    return tell(topic, reason, f"{kind.name} to {to}", severity, xid=xid)


def _facts(lease: Lease) -> dict[str, Any]:
    return {"address": lease.address.ip, "gateway": lease.gateway, "serverID": lease.server_id}


def _term(lease: Lease) -> str:
    return "for ever" if lease.duration is None else f"for {format_duration(round(lease.duration))}"


def _ending(lease: Lease, reason: outputs.LossReason) -> str:
    if reason == "expired" and lease.duration is not None:
        ran_out = f"nobody has extended it for {format_duration(round(lease.duration))}"
        return f"{lease.address} must not be used any more: {ran_out}"
    return f"{lease.address} must not be used any more: {reason}"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + " ".join(_plain(item) for item in value) + "]"
    if attrs.has(type(value)):
        return " via ".join(str(item) for item in attrs.astuple(value, recurse=False) if item is not None)  # type: ignore[arg-type]
    return "none" if value is None else str(value)


def phase_of(state: states.State, lease: Lease | None, released: bool) -> tuple[str, str]:
    """Phase and reason of contract §2.1 for a machine's state; `lease` is what may be used now."""
    match state:
        case states.Stopped():
            return ("Released", "Released") if released else ("Idle", "Stopped")
        case states.NoLink():
            return "Pending", "NoCarrier"
        case states.Detached():
            return "Bound", "NoCarrier"
        case states.V6Only():
            return "Idle", "V6OnlyPreferred"
        case states.Bound():
            return "Bound", "Bound"
        case states.Renewing(exchange=exchange):
            # The first request is the ordinary course of a lease; to have to repeat it is not.
            return "Bound" if exchange.transmissions <= 1 else "Refreshing", "Renewing"
        case states.Rebinding():
            return "Rebinding", "Rebinding"
    return "Refreshing" if lease is not None else "Acquiring", type(state).__name__


@attrs.frozen
class Circumstances:
    """What the status says beside the machine's own state. `wall` turns the machine's times into instants."""

    interface: str
    device: str | None
    generation: int
    wall_offset: int
    """ns since 1970 at the machine's time 0."""
    use_dns: bool
    installed: bool | None = None
    """Whether the host has the leased address; None: there is none."""
    last_error: str | None = None


def status_of(state: states.State, lease: Lease | None, released: bool, around: Circumstances) -> Status:
    """The whole status of the DHCPv4Client: phase, conditions, and what it provides to others."""
    phase, reason = phase_of(state, lease, released)
    ready = lease is not None
    conditions = [condition("LeaseReady", ready, reason, around.generation)]
    if ready:
        word = "OnInterface" if around.installed else "NotYet"
        conditions.append(condition("AddressInstalled", bool(around.installed), word, around.generation))
    status: dict[str, Any] = {
        "phase": phase,
        "reason": reason,
        "state": type(state).__name__,
        "interface": around.interface,
        "device": around.device,
        "observedGeneration": around.generation,
        "conditions": conditions,
        "lastError": around.last_error,
        **(_lease_fields(lease, around) if lease is not None else {}),
    }
    return {key: value for key, value in status.items() if value is not None}


def starting_status(interface: str, device: str, generation: int, reason: str) -> Status:
    """Before the client has looked at its lease file in this life."""
    return {
        "phase": "Pending",
        "reason": reason,
        "interface": interface,
        "device": device,
        "observedGeneration": generation,
        "conditions": [condition("LeaseReady", None, reason, generation)],
    }


def _lease_fields(lease: Lease, around: Circumstances) -> dict[str, Any]:
    offset = around.wall_offset
    gateway = None if lease.gateway is None else str(lease.gateway)
    return {
        "currentAddress": str(lease.address.ip),
        "prefixLength": lease.address.network.prefixlen,
        "gateway": gateway,
        "defaultGateway": gateway,
        "dnsServers": [str(server) for server in lease.dns_servers] if around.use_dns else [],
        "ntpServers": [str(server) for server in lease.ntp_servers],
        "domain": lease.domain,
        "searchDomains": list(lease.search),
        "mtu": lease.mtu,
        "serverID": str(lease.server_id),
        "leaseTime": None if lease.duration is None else format_duration(round(lease.duration)),
        "renewAt": instant(lease.t1, offset),
        "rebindAt": instant(lease.t2, offset),
        "expiresAt": instant(lease.expires_at, offset),
        "expiresAtMonotonic": lease.expires_at,
        "routes": [_route(r.destination, r.gateway) for r in lease.routes],
        "notes": list(lease.notes),
    }


def _route(destination: object, gateway: object | None) -> dict[str, str]:
    return {"destination": str(destination), **({} if gateway is None else {"gateway": str(gateway)})}


OBSERVED = (
    "interface",
    "currentAddress",
    "prefixLength",
    "defaultGateway",
    "dnsServers",
    "ntpServers",
    "domain",
    "mtu",
    "serverID",
    "leaseTime",
    "renewAt",
    "rebindAt",
    "expiresAt",
    "lastError",
)


def observed_of(status: Status) -> dict[str, Any]:
    """`observed` of contract §2.3; `interface` is the device's name there."""
    return {key: status[key] for key in OBSERVED if key in status} | {"interface": status.get("device", "")}
