"""A scene as text that a person can read and a diff can show: seconds from the start, then

    <  what the client is told        >  a packet it sends        !  what is now true

xids and random waits come from the seed, so the text is the same every time.
"""

from __future__ import annotations

from typing import Any

from routerd.protocols.dhcpv6 import answer, inputs, outputs
from routerd.protocols.dhcpv6.association import IdentityAssociation
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.machine import Dropped, Refused, Tick
from tests.protocols.dhcpv6.scene import DUID, OTHER_SERVER, SERVER, Scene

NAMES = {DUID: "client", SERVER: "server", OTHER_SERVER: "other-server"}


def render(scene: Scene) -> str:
    """The whole scene, line by line."""
    begun, said, lines = scene.told[0].at, iter(scene.said), []
    for told in scene.told:
        at = f"{told.at - begun:10.3f}"
        if not isinstance(told.event, Tick):
            lines.append(f"{at} < {_told(told.event)}")
        lines += [f"{at} {_said(next(said).output)}" for _ in range(told.answers)]
    return "\n".join(lines) + "\n"


def _told(event: Any) -> str:
    match event:
        case inputs.Received(message, source):
            return f"{_message(message)} from {source}"
        case inputs.LinkUp(ifindex, mac, link_local):
            return f"LinkUp {ifindex} {mac.hex(':')} {link_local}"
        case inputs.Conflict(address):
            return f"Conflict {address}"
        case _:
            return type(event).__name__


def _said(output: Any) -> str:
    match output:
        case outputs.Send(message, source):
            return f"> {_message(message)} as {source}"
        case outputs.Entered(state, previous):
            return f"! {previous} -> {state}"
        case outputs.Advertised(_, server):
            return f"! offered by {NAMES[server]}"
        case outputs.Bound(binding, by):
            return f"! bound by {by}: {_binding(binding)}"
        case outputs.Resumed(binding):
            return f"! resumed {_binding(binding)}"
        case outputs.Extended(binding, by):
            return f"! extended by {by}: {_binding(binding)}"
        case outputs.Changed(binding, _, by):
            return f"! changed by {by}: {_binding(binding)}"
        case outputs.Deprecated(_, lease):
            return f"! deprecated {lease.asset}"
        case outputs.Lost(_, lease, reason):
            return f"! lost {lease.asset}: {reason}"
        case outputs.Refusal(server, which, status):
            return f"! {NAMES[server]} says {status.word}{'' if which is None else f' of {which}'}"
        case outputs.Informed(information, _, changed):
            told = ", ".join(map(str, information.dns_servers))
            return f"! informed of {', '.join(changed) or 'nothing new'}: dns {told}"
        case outputs.Failed(during, reason, detail, retry_in):
            return f"! failed in {during}, {reason}: {detail}; again in {retry_in:.3f} s"
        case outputs.Finished(command, ok, detail):
            return f"! {command} {'done' if ok else 'failed'}: {detail}"
        case Refused(command, reason):
            return f"! {command} refused: {reason}"
        case Dropped(reason):
            return f"! dropped: {reason}"
        case _:
            return f"! {type(output).__name__.lower()}"


def _message(message: Message) -> str:
    words = [message.type.name, f"xid={message.xid:06x}"]
    for code, value in message.options:
        match code:
            case OptionCode.CLIENT_ID | OptionCode.SERVER_ID:
                words.append(f"{code:d}={NAMES[value]}")
            case OptionCode.ELAPSED_TIME | OptionCode.STATUS:
                words.append(f"{code:d}={int.from_bytes(value[:2])}")
            case OptionCode.OPTION_REQUEST:
                asked = (value[at : at + 2] for at in range(0, len(value), 2))
                words.append(f"{code:d}={','.join(str(int.from_bytes(each)) for each in asked)}")
            case OptionCode.IA_NA | OptionCode.IA_PD:
                pass
            case _:
                words.append(f"{code:d}={value.hex()}")
    return " ".join([*words, *map(_association, answer.read(message).associations)])


def _association(ia: IdentityAssociation) -> str:
    grants = [f"{g.asset} {g.preferred}/{g.valid}" if g.preferred or g.valid else str(g.asset) for g in ia.grants]
    status = [] if ia.status.ok else [ia.status.word]
    return f"{ia.association}[{', '.join(grants + status)}]"


def _binding(binding: Binding) -> str:
    leases = ", ".join(f"{lease.asset} {_until(lease, binding)}" for lease in binding.leases)
    return f"{binding.association} {leases} from {NAMES[binding.server_id]}"


def _until(lease: Lease, binding: Binding) -> str:
    ends = "for ever" if lease.valid_until is None else f"for {lease.valid_until - binding.obtained_at:.0f} s"
    return f"{ends}, deprecated" if lease.deprecated else ends
