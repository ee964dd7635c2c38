"""A scene as text that a person can read and a diff can show: seconds from the start, then

    <  what the client is told        >  a packet it sends        !  what is now true

xids and random waits come from the seed, so the text is the same every time.
"""

from __future__ import annotations

from typing import Any

from routerd.protocols.arp.packet import ArpPacket
from routerd.protocols.dhcpv4 import inputs, outputs
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.machine import Dropped, Refused, Tick
from tests.protocols.dhcpv4.scene import Scene

BROADCAST_MAC = b"\xff" * 6


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
        case inputs.ReceivedArp(packet):
            return _arp(packet)
        case inputs.LinkUp(ifindex, mac):
            return f"LinkUp {ifindex} {mac.hex(':')}"
        case _:
            return type(event).__name__


def _said(output: Any) -> str:
    match output:
        case outputs.Send(message, to, source):
            return f"> {_message(message)} to {_to(to, source)}"
        case outputs.SendArp(packet, to):
            return f"> {_arp(packet)}{'' if to == BROADCAST_MAC else ' to ' + to.hex(':')}"
        case outputs.Entered(state, previous):
            return f"! {previous} -> {state}"
        case outputs.Offered(_, server):
            return f"! offered by {server}"
        case outputs.Bound(lease, by):
            return f"! bound to {_lease(lease)}, confirmed by {by}"
        case outputs.Resumed(lease):
            return f"! resumed {_lease(lease)}"
        case outputs.Extended(lease, by):
            return f"! extended by {by}: {_lease(lease)}"
        case outputs.Changed(lease, _, by, fields):
            return f"! changed by {by} in {', '.join(fields)}: {_lease(lease)}"
        case outputs.Lost(lease, reason):
            return f"! lost {lease.address}: {reason}"
        case outputs.GatewayKnown(address, mac):
            return f"! gateway {address} is at {mac.hex(':')}"
        case outputs.Failed(during, reason, detail, retry_in):
            return f"! failed in {during}, {reason}: {detail}; again in {retry_in:.3f} s"
        case outputs.Nak(server, text):
            return f"! refused by {server}: {text}"
        case outputs.Conflict(address, mac, defended):
            return f"! {'defended' if defended else 'conflict:'} {address} against {mac.hex(':')}"
        case outputs.Finished(command, ok, detail):
            return f"! {command} {'done' if ok else 'failed'}: {detail}"
        case Refused(command, reason):
            return f"! {command} refused: {reason}"
        case Dropped(reason):
            return f"! dropped: {reason}"
        case _:
            return f"! {type(output).__name__.lower()}"


def _message(message: Message) -> str:
    words = [message.type.name, f"xid={message.xid:08x}", f"secs={message.secs}"]
    words += ["B=1"] if message.broadcast else []
    words += [f"{name}={value}" for name in ("ciaddr", "yiaddr") if (value := getattr(message, name)) != ANY]
    words += [f"{code:d}={_value(code, value)}" for code, value in sorted(message.options.items())]
    return " ".join(words)


def _value(code: int, value: bytes) -> str:
    if code in (Option.REQUESTED_ADDRESS, Option.SERVER_ID, Option.ROUTER, Option.DOMAIN_NAME_SERVER):
        return ".".join(map(str, value))
    if code in (Option.LEASE_TIME, Option.MAX_MESSAGE_SIZE):
        return str(int.from_bytes(value))
    if code == Option.PARAMETER_REQUEST_LIST:
        return ",".join(map(str, value))
    return repr(value.decode()) if code == Option.MESSAGE else value.hex()


def _to(to: Any, source: Any) -> str:
    where = "everybody" if to == BROADCAST else str(to)
    return where if source is None else f"{where} as {source}"


def _arp(packet: ArpPacket) -> str:
    if packet.sender_ip == ANY:
        return f"ARP probe for {packet.target_ip}"
    if packet.sender_ip == packet.target_ip:
        return f"ARP announcement of {packet.sender_ip} at {packet.sender_mac.hex(':')}"
    if packet.op == 1:
        return f"ARP who has {packet.target_ip}? tell {packet.sender_ip}"
    return f"ARP {packet.sender_ip} is at {packet.sender_mac.hex(':')}"


def _lease(lease: Lease) -> str:
    ends = "for ever" if lease.duration is None else f"for {lease.duration:.0f} s"
    return f"{lease.address} from {lease.server_id} {ends}"
