"""The statuses of a DHCPv6 client's resources, as controllers and people read them: phase, conditions, leases; and the
`observed` of its sockets. Pure.

Phases, reasons and fields are docs/contract.md §2.1 and §2.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from routerd.daemons.dhcpv6_port import input_rule
from routerd.daemons.dhcpv6_report import current_of
from routerd.daemons.dhcpv6_settings import Part
from routerd.daemons.wall_offset import instant
from routerd.events.status import condition
from routerd.events.types import Status
from routerd.protocols.dhcpv6 import states
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.information import NOTHING, Information


def phase_of(state: states.State, held: bool, released: bool, obstacle: str) -> tuple[str, str]:
    """Phase and reason of contract §2.1 for a machine's state; `held`: there is something of this resource to use now.
    `obstacle` is why there is no link to speak on."""
    match state:
        case states.Stopped():
            return ("Released", "Released") if released else ("Idle", "Stopped")
        case states.Releasing():
            return "Released" if released else "Idle", "Releasing"
        case states.NoLink():
            return "Bound" if held else "Pending", obstacle or "NoCarrier"
        case states.Bound() | states.Informed():
            return ("Bound", "Bound") if held else ("Acquiring", "NotGranted")
        case states.Renewing(exchange=exchange):
            # The first Renew is the ordinary course of a lease; to have to repeat it is not.
            return _while(held, "Bound" if exchange.transmissions <= 1 else "Refreshing"), "Renewing"
        case states.Rebinding():
            return _while(held, "Rebinding"), "Rebinding"
        case states.Informing():
            return _while(held, "Bound"), "Informing"
    return _while(held, "Refreshing"), type(state).__name__


def word_of(state: states.State) -> str:
    """A machine's state in the contract's words: idle, soliciting, requesting, bound, renewing, rebinding."""
    match state:
        case states.Stopped() | states.NoLink() | states.Releasing():
            return "idle"
        case states.Informed() | states.Informing() | states.Declining():
            return "bound"
        case states.Confirming() | states.Revalidating():
            return "rebinding"
    return type(state).__name__.lower()


def _while(held: bool, phase: str) -> str:
    return phase if held else "Acquiring"


@attrs.frozen
class Circumstances:
    """What a status says beside the machine's own state. `wall_offset` turns the machine's times into instants: it is
    ns since 1970 at its time 0."""

    interface: str
    device: str
    generation: int
    wall_offset: int
    duid: bytes
    released: bool = False
    obstacle: str = ""
    installed: frozenset[Any] = frozenset()
    """Leased addresses that the interface has."""
    offered_lengths: Mapping[Association, int] = attrs.field(factory=dict)
    last_error: str | None = None

    def instant(self, at: float | None) -> str | None:
        return instant(at, self.wall_offset)


def status_of(part: Part, client: Client, around: Circumstances) -> Status:
    """The whole status of one resource: phase, conditions, and what it provides to others."""
    about = part.association
    binding = None if about is None else client.bindings.get(about)
    information = client.information
    held = information is not None if about is None else binding is not None
    phase, reason = phase_of(client.state, held, around.released, around.obstacle)
    ready = "InformationReady" if about is None else "LeaseReady"
    word = "not-granted" if reason == "NotGranted" else word_of(client.state)
    status: dict[str, Any] = {
        "phase": phase,
        "reason": reason,
        "message": around.last_error,
        "state": type(client.state).__name__,
        "interface": around.interface,
        "device": around.device,
        "clientDUID": around.duid.hex(":"),
        "firewall": [input_rule(around.device)],
        "observedGeneration": around.generation,
        "conditions": [condition(ready, held, word, around.generation)],
        "lastError": around.last_error,
        **_information_fields(information or NOTHING),
    }
    if about is None:
        refresh_at = client.state.refresh_at if isinstance(client.state, states.Informed) else None
        status |= {"source": str(part.ref), "refreshAt": around.instant(refresh_at)}
    else:
        status |= _of_association(part, about, client, around)
    return {key: value for key, value in status.items() if value is not None}


def _information_fields(told: Information) -> dict[str, Any]:
    return {
        "dnsServers": list(map(str, told.dns_servers)),
        "sntpServers": list(map(str, told.sntp_servers)),
        "domainSearch": list(told.search),
        "aftrName": told.aftr,
        "notes": list(told.notes) or None,
    }


def _of_association(part: Part, about: Association, client: Client, around: Circumstances) -> dict[str, Any]:
    binding = client.bindings.get(about)
    fields: dict[str, Any] = {"iaid": about.iaid}
    if binding is not None:
        fields |= _lease_fields(binding, around)
    if about.kind is Kind.PD:
        fields["requestedLength"] = part.length
        fields["offeredLength"] = around.offered_lengths.get(about)
        fields["previousPrefixes"] = [_previous(lease, around) for lease in _former(about, binding, client)]
    elif binding is not None:
        there = current_of(binding).asset in around.installed
        word = "OnInterface" if there else "NotYet"
        ready = condition("LeaseReady", True, word_of(client.state), around.generation)
        fields["conditions"] = [ready, condition("AddressInstalled", there, word, around.generation)]
    return fields


def _lease_fields(binding: Binding, around: Circumstances) -> dict[str, Any]:
    lease = current_of(binding)
    if binding.association.kind is Kind.PD:
        excluded = None if lease.excluded is None else str(lease.excluded)
        length = lease.asset.prefixlen  # type: ignore[union-attr]
        fields = {"currentPrefix": str(lease.asset), "boundLength": length, "excludedPrefix": excluded}
    else:
        fields = {"currentAddress": str(lease.asset), "prefixLength": 128}
    return {
        **fields,
        "deprecated": lease.deprecated or None,
        "preferredUntil": around.instant(lease.preferred_until),
        "validUntil": around.instant(lease.valid_until),
        "preferredUntilMonotonic": lease.preferred_until,
        "validUntilMonotonic": lease.valid_until,
        "renewAt": around.instant(binding.t1),
        "rebindAt": around.instant(binding.t2),
        "serverDUID": binding.server_id.hex(":"),
    }


def _former(about: Association, binding: Binding | None, client: Client) -> list[Lease]:
    """Prefixes that hosts may still use, other than the current one."""
    beside = [] if binding is None else [lease for lease in binding.leases if lease is not current_of(binding)]
    return [*(one.lease for one in client.former if one.association == about), *beside]


def _previous(lease: Lease, around: Circumstances) -> dict[str, Any]:
    told = {
        "prefix": str(lease.asset),
        "expiresAt": around.instant(lease.valid_until),
        "expiresAtMonotonic": lease.valid_until,
    }
    return {key: value for key, value in told.items() if value is not None}


def starting_status(part: Part, interface: str, device: str, generation: int, reason: str) -> Status:
    """Before the client has looked at its lease file in this life."""
    ready = "InformationReady" if part.association is None else "LeaseReady"
    return {
        "phase": "Pending",
        "reason": reason,
        "interface": interface,
        "device": device,
        "firewall": [input_rule(device)],
        "observedGeneration": generation,
        "conditions": [condition(ready, None, reason, generation)],
    }


OBSERVED = (
    "currentPrefix",
    "currentAddress",
    "serverDUID",
    "aftrName",
    "dnsServers",
    "sntpServers",
    "domainSearch",
    "firewall",
    "renewAt",
    "rebindAt",
    "lastError",
)


def observed_of(status: Status) -> dict[str, Any]:
    """`observed` of contract §2.4; `interface` is the device's name there."""
    seen = {key: status[key] for key in OBSERVED if key in status} | {"interface": status.get("device", "")}
    if "validUntil" in status:
        seen["expiresAt"] = status["validUntil"]
    return seen
