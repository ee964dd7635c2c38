"""What the outputs of a DHCPv6 client mean to people and controllers: events, statuses, `observed`. Pure.

Topics, reasons and fields are docs/contract.md §2.4; what this module adds is in docs/events.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from routerd.daemons.dhcpv6_settings import Part
from routerd.events.types import Event, Ref, Severity, Source, Status
from routerd.protocols.dhcpv6 import association, outputs, states
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.information import NOTHING, Information
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.shapes.duration import format_duration
from routerd.shapes.instant import format_instant

TOPIC = "routerd.dhcpv6.client"

SENT: Mapping[MessageType, tuple[str, str, Severity]] = {
    MessageType.SOLICIT: ("solicit.sent", "SolicitSent", "info"),
    MessageType.REQUEST: ("request.sent", "RequestSent", "info"),
    MessageType.CONFIRM: ("confirm.sent", "ConfirmSent", "info"),
    MessageType.RENEW: ("renew.sent", "RenewSent", "info"),
    MessageType.REBIND: ("rebind.sent", "RebindSent", "info"),
    MessageType.RELEASE: ("release.sent", "ReleaseSent", "info"),
    MessageType.DECLINE: ("decline.sent", "DeclineSent", "warning"),
    MessageType.INFORMATION_REQUEST: ("info-request.sent", "InfoRequestSent", "info"),
}

LOST: Mapping[str, tuple[str, Severity]] = {
    "expired": ("expired", "warning"),
    "released": ("released", "info"),
    "stopped": ("released", "info"),
}

EXTENDED = {"rebind": "rebound"}

RENEWAL = ("Renewing", "Rebinding", "Confirming", "Revalidating")

WORDS = {Kind.PD: "prefix", Kind.NA: "address"}
"""What an association is about, as topics have it."""


@attrs.frozen
class Teller:
    """Who speaks, of what: of `resource`, unless an event is about the resource of one association (`owners`)."""

    resource: Ref
    source: Source
    owners: Mapping[Association | None, Ref] = attrs.field(factory=dict)
    """None: other configuration."""

    def __call__(
        self,
        topic: str,
        reason: str,
        message: str,
        severity: Severity = "info",
        **attributes: Any,
    ) -> Event:
        """An event of this client; `topic` without its prefix, attributes that are None are left out."""
        return self._event(self.resource, topic, reason, message, severity, attributes)

    def of(
        self, about: Association | None, topic: str, reason: str, message: str, severity: Severity = "info", **more: Any
    ) -> Event:
        """The same of the resource that asks for this."""
        return self._event(self.owners.get(about, self.resource), topic, reason, message, severity, more)

    def _event(
        self, about: Ref, topic: str, reason: str, message: str, severity: Severity, attributes: Mapping[str, Any]
    ) -> Event:
        facts = {key: str(value) for key, value in attributes.items() if value is not None}
        return Event(f"{TOPIC}.{topic}", severity, reason, message, about, self.source, facts)


def event_of(output: outputs.Output, tell: Teller) -> Event | None:
    """The event that an output is worth, or None: what is dropped is counted, what changes state is in the status."""
    match output:
        case outputs.Send(message):
            return _sent(message, tell)
        case outputs.Advertised(message, server_id):
            return _advertised(message, server_id, tell)
        case outputs.Bound(binding, by):
            return _told(binding, "bound", f"granted, {_term(binding)}", tell, by=by)
        case outputs.Resumed(binding):
            return _told(binding, "resumed", "still ours from before, to be confirmed", tell)
        case outputs.Extended(binding, by):
            return _told(binding, EXTENDED.get(by, "renewed"), f"extended, {_term(binding)}", tell, by=by)
        case outputs.Changed(binding, previous, by):
            before = ", ".join(str(lease.asset) for lease in previous.leases)
            return _told(binding, "changed", f"instead of {before}, {_term(binding)}", tell, by=by, previous=before)
        case outputs.Deprecated(about, lease):
            words = "nothing new should use it any more"
            return _one(about, lease, "deprecated", words, "warning", tell)
        case outputs.Lost(about, lease, reason):
            word, severity = LOST.get(reason, ("lost", "warning"))
            return _one(about, lease, word, f"must not be used any more: {reason}", severity, tell, cause=reason)
        case outputs.Smaller(about, prefix, wanted):
            words = f"{prefix} came where a /{wanted} was asked for"
            return tell.of(about, "prefix.smaller", "PrefixSmaller", words, "warning", prefix=prefix, wanted=wanted)
        case outputs.Informed(information, server_id, changed):
            return _informed(information, server_id, changed, tell)
    return _of_exchange(output, tell)


def _of_exchange(output: outputs.Output, tell: Teller) -> Event | None:
    match output:
        case outputs.Refusal(server_id, about, status):
            words = f"{server_id.hex(':')} refuses {about or 'all of it'}: {status.word}" + (
                f" ({status.text})" if status.text else ""
            )
            facts = {"serverDUID": server_id.hex(":"), "status": status.word}
            return tell.of(about, "reply.refused", "Refused", words, "warning", **facts)
        case outputs.Paced(sol_max_rt, inf_max_rt):
            words = f"unanswered we repeat ourselves every {sol_max_rt:.0f} s, for information every {inf_max_rt:.0f} s"
            return tell("server.paced", "Paced", words, "debug")
        case outputs.Reconfigured(server_id, order):
            words = f"the server orders a {order}"
            return tell(
                "reconfigure.received", "ReconfigureReceived", words, serverDUID=server_id.hex(":"), order=order
            )
        case outputs.Failed(during, reason, detail, retry_in):
            topic, word = ("renew.failed", "RenewFailed") if during in RENEWAL else ("acquire.failed", "AcquireFailed")
            return tell(topic, word, detail, "warning", during=during, cause=reason, retryIn=f"{retry_in:.0f}s")
    return None


def reply_of(said: Iterable[outputs.Output], tell: Teller) -> Event | None:
    """The event of the Reply that a step was about, if it was."""
    for output in said:
        match output:
            case outputs.Bound(binding) | outputs.Extended(binding) | outputs.Changed(binding):
                server = binding.server_id
            case outputs.Refusal(server_id=server):
                pass
            case outputs.Informed(server_id=bytes() as server):
                pass
            case _:
                continue
        words = f"Reply of {server.hex(':')}"
        return tell("reply.received", "ReplyReceived", words, serverDUID=server.hex(":"))
    return None


def _sent(message: Message, tell: Teller) -> Event | None:
    topic, reason, severity = SENT[message.type]
    words = f"{message.type.name.replace('_', '-')} to all servers"
    about = None if message.type is MessageType.INFORMATION_REQUEST else _only(tell.owners)
    return tell.of(about, topic, reason, words, severity, xid=f"{message.xid:06x}")


def _only(owners: Mapping[Association | None, Ref]) -> Association | None:
    """What a message is about, that asks for everything: what comes first."""
    return next((about for about in owners if about is not None), None)


def _advertised(message: Message, server_id: bytes, tell: Teller) -> Event:
    assets = ", ".join(str(grant.asset) for ia in offered(message) for grant in ia.grants)
    words = f"{server_id.hex(':')} offers {assets or 'nothing'}"
    return tell("advertise.received", "AdvertiseReceived", words, serverDUID=server_id.hex(":"), offered=assets)


def offered(message: Message) -> list[association.IdentityAssociation]:
    """The associations of a message."""
    options = [option for option in message.options if option.code in (Kind.NA.value, Kind.PD.value)]
    found = [association.decode(option) for option in options]
    return [ia for ia in found if isinstance(ia, association.IdentityAssociation)]


def _told(binding: Binding, word: str, words: str, tell: Teller, **more: Any) -> Event:
    about, lease = binding.association, current_of(binding)
    what = WORDS[about.kind]
    facts = {what: lease.asset, "iaid": about.iaid, "serverDUID": binding.server_id.hex(":"), **more}
    reason = f"{what.capitalize()}{word.capitalize()}"
    return tell.of(about, f"{what}.{word}", reason, f"{lease.asset} {words}", **facts)


def _one(
    about: Association, lease: Lease, word: str, words: str, severity: Severity, tell: Teller, **more: Any
) -> Event:
    what = WORDS[about.kind]
    facts = {what: lease.asset, "iaid": about.iaid, **more}
    reason = f"{what.capitalize()}{word.capitalize()}"
    return tell.of(about, f"{what}.{word}", reason, f"{lease.asset} {words}", severity, **facts)


def _informed(information: Information, server_id: bytes | None, changed: tuple[str, ...], tell: Teller) -> Event:
    facts: dict[str, Any] = {
        "aftrName": information.aftr,
        "dnsServers": ",".join(map(str, information.dns_servers)),
        "sntpServers": ",".join(map(str, information.sntp_servers)),
        "domainSearch": ",".join(information.search),
    }
    if server_id is None:
        return tell.of(None, "info.resumed", "InfoResumed", "what was told before stands", **facts)
    words = "other configuration: " + (", ".join(changed) + " changed" if changed else "nothing is different")
    return tell.of(None, "info.reply", "InfoReplyReceived", words, serverDUID=server_id.hex(":"), **facts)


def _term(binding: Binding) -> str:
    until = current_of(binding).valid_until
    return "for ever" if until is None else f"for {format_duration(round(until - binding.obtained_at))}"


def current_of(binding: Binding) -> Lease:
    """The lease that is meant by "the" prefix or address of a binding: the first that is not deprecated."""
    return next((lease for lease in binding.leases if not lease.deprecated), binding.leases[0])


def phase_of(state: states.State, held: bool, released: bool, obstacle: str) -> tuple[str, str]:
    """Phase and reason of contract §2.1 for a machine's state; `held`: there is something of this resource to use now.
    `obstacle` is why there is no link to speak on."""
    match state:
        case states.Stopped():
            return ("Released", "Released") if released else ("Idle", "Stopped")
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
        return None if at is None else format_instant(self.wall_offset + round(at * 1e3) * 10**6)


def status_of(part: Part, client: Client, around: Circumstances) -> Status:
    """The whole status of one resource: phase, conditions, and what it provides to others."""
    about = part.association
    binding = None if about is None else client.bindings.get(about)
    information = client.information
    held = information is not None if about is None else binding is not None
    phase, reason = phase_of(client.state, held, around.released, around.obstacle)
    ready = "InformationReady" if about is None else "LeaseReady"
    status: dict[str, Any] = {
        "phase": phase,
        "reason": reason,
        "message": around.last_error,
        "state": type(client.state).__name__,
        "interface": around.interface,
        "device": around.device,
        "clientDUID": around.duid.hex(":"),
        "observedGeneration": around.generation,
        "conditions": [condition(ready, held, word_of(client.state), around.generation)],
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
        "observedGeneration": generation,
        "conditions": [condition(ready, None, reason, generation)],
    }


def crashed_status(status: Status, error: str, generation: int) -> Status:
    """The last status with the crash on top: the lease's fields stay, because the lease does."""
    crash = [
        condition(one["type"], None, "CrashLoop", generation) if one["type"].endswith("Ready") else one
        for one in status.get("conditions", ())
    ]
    words = {"phase": "Error", "reason": "CrashLoop", "lastError": error, "observedGeneration": generation}
    return {**status, **words, "conditions": crash}


def condition(kind: str, holds: bool | None, reason: str, generation: int) -> dict[str, Any]:
    """One condition of a status; None: not known."""
    value = "Unknown" if holds is None else str(holds)
    return {"type": kind, "status": value, "reason": reason, "observedGeneration": generation}


OBSERVED = (
    "currentPrefix",
    "currentAddress",
    "serverDUID",
    "aftrName",
    "dnsServers",
    "sntpServers",
    "domainSearch",
    "renewAt",
    "rebindAt",
    "lastError",
)


def observed_of(status: Status, dropped: Mapping[str, int]) -> dict[str, str]:
    """`observed` of contract §2.4: text only, lists as JSON text; `interface` is the device's name there."""
    seen = {key: status[key] for key in OBSERVED if key in status} | {"interface": status.get("device", "")}
    if "validUntil" in status:
        seen["expiresAt"] = status["validUntil"]
    text = {key: json.dumps(v) if isinstance(v, list) else str(v) for key, v in seen.items()}
    if dropped:
        text["dropped"] = json.dumps(dict(sorted(dropped.items())))
    return text
