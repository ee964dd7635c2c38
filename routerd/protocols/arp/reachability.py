"""Detecting network attachment (RFC 4436 §2.1): is the gateway that we knew still here?

It is asked by unicast at its own Ethernet address, so that only the same gateway can answer.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs

from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.machine import Dropped, Start, Stop, Tick


def testable(address: IPv4Address) -> bool:
    """Whether an address may be confirmed so: never a link-local one (§2.3), only one of unicast use (ARP-7)."""
    return not (
        address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_unspecified
    )


@attrs.frozen
class Reachable:
    """The gateway answered: this is the network we knew."""


class ReachabilityTest:
    """Asks `gateway` at `gateway_mac` up to `count` times, `timeout` seconds apart, as `address` and `mac`."""

    def __init__(
        self, address: IPv4Address, mac: bytes, gateway: IPv4Address, gateway_mac: bytes, *, timeout: float, count: int
    ) -> None:
        self.gateway_mac = gateway_mac
        self.deadline: float | None = None
        self._question = ArpPacket(ArpOp.REQUEST, mac, address, gateway_mac, gateway)
        self._timeout = timeout
        self._left = count

    def handle(
        self, event: ArpPacket | Start | Stop | Tick, now: float
    ) -> list[ArpPacket | Reachable | Dropped[ArpPacket]]:
        """Take one input at time `now`. An `ArpPacket` in the outputs goes to `gateway_mac` alone."""
        match event:
            case Start():
                self.deadline = now
            case Tick() if self.deadline is not None and self.deadline <= now:
                return self._ask(now)
            case Stop():
                self._left, self.deadline = 0, None
            case ArpPacket() if self._is_answer(event):
                self._left, self.deadline = 0, None
                return [Reachable()]
            case ArpPacket():
                return [Dropped("irrelevant", event)]
        return []

    def _ask(self, now: float) -> list[ArpPacket | Reachable | Dropped[ArpPacket]]:
        if not self._left:
            self.deadline = None
            return []
        self._left -= 1
        self.deadline = now + self._timeout
        return [self._question]

    def _is_answer(self, packet: ArpPacket) -> bool:
        asked = self._question
        return (
            packet.op is ArpOp.REPLY
            and packet.sender_ip == asked.target_ip
            and packet.sender_mac == self.gateway_mac
            and packet.target_mac == asked.sender_mac
        )
