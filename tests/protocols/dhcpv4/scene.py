"""A DHCPv4 client on a timeline, and the few words of its servers and neighbours."""

from __future__ import annotations

import random
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import attrs

from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.inputs import LinkUp, Received, ReceivedArp
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.machine import Start
from tests.protocols.timeline import Timeline

MAC = bytes.fromhex("020000000001")
THIEF = bytes.fromhex("0200000000bb")
GATEWAY_MAC = bytes.fromhex("020000000fff")
CLIENT_ID = bytes.fromhex("ff00000001000300010200000000 01")
LINK = LinkUp(2, MAC, 1500)
SERVER = IPv4Address("192.0.2.1")
OTHER_SERVER = IPv4Address("192.0.2.2")
ADDRESS = IPv4Address("192.0.2.10")
OTHER_ADDRESS = IPv4Address("192.0.2.11")
LEASE_TIME = 3600
INFINITE = 0xFFFFFFFF


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


CONTENT: Mapping[int, bytes] = {
    Option.SUBNET_MASK: bytes((255, 255, 255, 0)),
    Option.ROUTER: SERVER.packed,
    Option.DOMAIN_NAME_SERVER: SERVER.packed,
}


class Scene(Timeline):
    """`settings` are those of the client; its network has server 192.0.2.1, which is the gateway too."""

    machine: Client

    def __init__(
        self, seed: int = 1, remembered: Remembered | None = None, now: float = 1000.0, **settings: Any
    ) -> None:
        settings.setdefault("client_id", CLIENT_ID)
        super().__init__(Client(Settings(**settings), random.Random(seed), remembered), now)

    # What the client said

    @property
    def state(self) -> Any:
        return self.machine.state

    @property
    def sent(self) -> list[Message]:
        """All DHCP messages that it sent."""
        return [send.message for send in self.all(outputs.Send)]

    @property
    def arp_sent(self) -> list[ArpPacket]:
        return [send.packet for send in self.all(outputs.SendArp)]

    def sent_at(self, *kinds: MessageType) -> list[float]:
        """When messages of these types left."""
        return self.times(outputs.Send, lambda send: send.message.type in kinds)

    def until_state(self, state: type[Any], within: float = 1e6) -> None:
        """Let time go by until the client is in a state."""
        if not isinstance(self.state, state):
            self.until(outputs.Entered, within, lambda entered: entered.state == state.__name__)

    # What others say

    def reply(
        self,
        kind: MessageType,
        *,
        server: IPv4Address | None = SERVER,
        address: IPv4Address = ADDRESS,
        lease_time: int | None = LEASE_TIME,
        options: Mapping[int, bytes | None] | None = None,
        to: Message | None = None,
        **header: Any,
    ) -> Received:
        """A server's answer to the last message sent, or `to`; options of value None are left out."""
        asked = to or (self.sent[-1] if self.sent else Message(Op.BOOTREQUEST, MessageType.DISCOVER, 1, MAC))
        given: dict[int, bytes] = {}
        if kind in (MessageType.OFFER, MessageType.ACK):
            given |= CONTENT
            header.setdefault("yiaddr", address)
            if lease_time is not None:
                given[Option.LEASE_TIME] = u32(lease_time)
        if server is not None:
            given[Option.SERVER_ID] = server.packed
        for code, value in (options or {}).items():
            if value is None:
                given.pop(code, None)
            else:
                given[code] = value
        header.setdefault("xid", asked.xid)
        header.setdefault("chaddr", MAC)
        header.setdefault("op", Op.BOOTREPLY)
        return Received(Message(type=kind, options=given, **header), server or SERVER)

    def offer(self, **how: Any) -> list[Any]:
        return self.feed(self.reply(MessageType.OFFER, **how))

    def ack(self, **how: Any) -> list[Any]:
        return self.feed(self.reply(MessageType.ACK, **how))

    def nak(self, **how: Any) -> list[Any]:
        return self.feed(self.reply(MessageType.NAK, **how))

    def arp(self, packet: ArpPacket) -> list[Any]:
        return self.feed(ReceivedArp(packet))

    # Where the client may be brought to

    def started(self, link: LinkUp = LINK) -> Scene:
        self.feed(Start())
        self.feed(link)
        return self

    def selecting(self) -> Scene:
        self.started()
        self.until(outputs.Send, 1)
        return self

    def requesting(self, **offer: Any) -> Scene:
        self.selecting()
        self.offer(**offer)
        self.until_state(states.Requesting, 10)
        return self

    def probing(self, **ack: Any) -> Scene:
        self.requesting(**({"address": ack["address"]} if "address" in ack else {}))
        self.ack(**ack)
        assert isinstance(self.state, states.Probing)
        return self

    def bound(self, **ack: Any) -> Scene:
        """In use and announced; nothing more to come before T1."""
        self.requesting()
        self.ack(**ack)
        self.until_state(states.Bound, 10)
        self.run(3)
        assert isinstance(self.state, states.Bound)
        return self

    def renewing(self, **ack: Any) -> Scene:
        self.bound(**ack)
        self.until_state(states.Renewing)
        return self

    def rebinding(self, **ack: Any) -> Scene:
        self.bound(**ack)
        self.until_state(states.Rebinding)
        return self


def claim(address: IPv4Address = ADDRESS, mac: bytes = THIEF) -> ArpPacket:
    """Somebody says that the address is his."""
    return ArpPacket(ArpOp.REPLY, mac, address, MAC, address)


def probe(address: IPv4Address = ADDRESS, mac: bytes = THIEF) -> ArpPacket:
    """Somebody asks whether the address is free."""
    return ArpPacket(ArpOp.REQUEST, mac, IPv4Address("0.0.0.0"), ZERO_MAC, address)


def gateway_answer(mac: bytes = GATEWAY_MAC, address: IPv4Address = SERVER) -> ArpPacket:
    """The gateway answers us."""
    return ArpPacket(ArpOp.REPLY, mac, address, MAC, ADDRESS)


def remembered(
    *, now: float = 1000.0, trusted: bool = True, lease_time: float | None = 3600, age: float = 100.0, **changes: Any
) -> Remembered:
    """A lease of 192.0.2.10 from an earlier life, `age` seconds old."""
    begun = now - age
    lease = Lease(
        IPv4Interface("192.0.2.10/24"),
        SERVER,
        begun,
        None if lease_time is None else begun + lease_time * 0.5,
        None if lease_time is None else begun + lease_time * 0.875,
        None if lease_time is None else begun + lease_time,
        gateway=SERVER,
    )
    return Remembered(attrs.evolve(lease, **changes), trusted, GATEWAY_MAC)
