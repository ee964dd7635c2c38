"""What the outputs of a DHCPv6 client mean as events; its statuses are `routerd.daemons.dhcpv6_status`. Pure.

Topics and reasons are docs/contract.md §2.4; what this module adds is in docs/events.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from routerd.daemons.teller import Teller
from routerd.events.types import Event, Ref, Severity
from routerd.protocols.dhcpv6 import association, outputs
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.shapes.duration import format_duration

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
            return tell.of(about)("prefix.smaller", "PrefixSmaller", words, "warning", prefix=prefix, wanted=wanted)
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
            return tell.of(about)("reply.refused", "Refused", words, "warning", **facts)
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
    server = message.first(OptionCode.SERVER_ID)
    words = f"{message.type.name.replace('_', '-')} to {'all servers' if server is None else server.hex(':')}"
    about = None if message.type is MessageType.INFORMATION_REQUEST else _only(tell.owners)
    return tell.of(about)(topic, reason, words, severity, xid=f"{message.xid:06x}")


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
    return tell.of(about)(f"{what}.{word}", reason, f"{lease.asset} {words}", **facts)


def _one(
    about: Association, lease: Lease, word: str, words: str, severity: Severity, tell: Teller, **more: Any
) -> Event:
    what = WORDS[about.kind]
    facts = {what: lease.asset, "iaid": about.iaid, **more}
    reason = f"{what.capitalize()}{word.capitalize()}"
    return tell.of(about)(f"{what}.{word}", reason, f"{lease.asset} {words}", severity, **facts)


def _informed(information: Information, server_id: bytes | None, changed: tuple[str, ...], tell: Teller) -> Event:
    facts: dict[str, Any] = {
        "aftrName": information.aftr,
        "dnsServers": ",".join(map(str, information.dns_servers)),
        "sntpServers": ",".join(map(str, information.sntp_servers)),
        "domainSearch": ",".join(information.search),
    }
    if server_id is None:
        return tell.of(None)("info.resumed", "InfoResumed", "what was told before stands", **facts)
    words = "other configuration: " + (", ".join(changed) + " changed" if changed else "nothing is different")
    return tell.of(None)("info.reply", "InfoReplyReceived", words, serverDUID=server_id.hex(":"), **facts)


def _term(binding: Binding) -> str:
    until = current_of(binding).valid_until
    return "for ever" if until is None else f"for {format_duration(round(until - binding.obtained_at))}"


def current_of(binding: Binding) -> Lease:
    """The lease that is meant by "the" prefix or address of a binding: the first that is not deprecated."""
    return next((lease for lease in binding.leases if not lease.deprecated), binding.leases[0])
