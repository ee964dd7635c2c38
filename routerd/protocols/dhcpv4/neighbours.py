"""What a DHCPv4 client wants of ARP: is the address free (RFC 5227), is the gateway still the one we knew
(RFC 4436), and at which Ethernet address can it be asked next time.

Sends nothing by itself and decides nothing about the lease.
"""

from __future__ import annotations

import random

from routerd.protocols.arp import conflict
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.arp.reachability import ReachabilityTest, Reachable, testable
from routerd.protocols.dhcpv4.inputs import LinkUp
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.outputs import GatewayKnown, SendArp
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.machine import Dropped, Start, Tick

Heard = (
    SendArp | GatewayKnown | Reachable | conflict.Clear | conflict.Contested | conflict.Defended | Dropped[ArpPacket]
)


class Neighbours:
    """The link's other hosts, as far as one lease is concerned. `gateway` outlives the lease it was learnt with."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self.gateway: GatewayKnown | None = None
        self._settings = settings
        self._rng = rng
        self._detector: conflict.Detector | None = None
        self._test: ReachabilityTest | None = None
        self._mac = b""
        self._lease: Lease | None = None
        self._may_learn = False

    @property
    def deadline(self) -> float | None:
        """When a Tick is due."""
        watched = None if self._detector is None else self._detector.deadline
        tested = None if self._test is None else self._test.deadline
        return watched if tested is None else tested

    @property
    def listening(self) -> bool:
        """Whether ARP packets are wanted."""
        return self._detector is not None or self._test is not None

    def knows_gateway(self, lease: Lease) -> bool:
        """Whether the gateway of this lease could be asked by unicast."""
        return self.gateway is not None and self.gateway.address == lease.gateway

    def watch(self, link: LinkUp, lease: Lease, now: float, *, probe: bool) -> None:
        """Look after the lease's address from now on; `probe` False: announce it at once."""
        self.leave()
        if not link.arp:  # ARP-6
            return
        address = lease.address.ip
        self._mac = link.mac
        self.follow(lease)
        self._detector = conflict.Detector(address, link.mac, self._rng, probe=probe, policy=self._settings.defend)
        self._detector.handle(Start(), now)

    def test(self, link: LinkUp, lease: Lease, now: float) -> None:
        """Ask the lease's gateway whether it is the one we knew (V4-30), if that can be asked."""
        gateway = self.gateway
        if not link.arp or gateway is None or gateway.address != lease.gateway or not testable(lease.address.ip):
            return
        self._test = ReachabilityTest(
            lease.address.ip,
            link.mac,
            gateway.address,
            gateway.mac,
            timeout=self._settings.dna_timeout,
            count=self._settings.dna_probes,
        )
        self._test.handle(Start(), now)

    def follow(self, lease: Lease) -> None:
        """The lease under watch is new, or was extended; its gateway may be another one now."""
        self._lease, self._may_learn = lease, True

    def leave(self) -> None:
        """No address is ours any more."""
        self._detector = self._test = self._lease = None

    def handle(self, event: ArpPacket | Tick, now: float) -> list[Heard]:
        """Take one packet, or the time."""
        if self._test is not None:
            answers = self._test.handle(event, now)
            return [SendArp(a, self._test.gateway_mac) if isinstance(a, ArpPacket) else a for a in answers]
        if isinstance(event, ArpPacket) and self._is_gateway(event):
            return self._learn(event)
        if self._detector is not None:
            return self._told(self._detector, event, now)
        return [Dropped("irrelevant", event)] if isinstance(event, ArpPacket) else []

    def _told(self, detector: conflict.Detector, event: ArpPacket | Tick, now: float) -> list[Heard]:
        said = detector.handle(event, now)
        heard: list[Heard] = [SendArp(what) if isinstance(what, ArpPacket) else what for what in said]
        announced = said and isinstance(event, Tick) and not isinstance(detector.state, conflict.Probing)
        return heard + self._ask() if announced else heard

    def _ask(self) -> list[Heard]:
        """The gateway's Ethernet address is asked for beside each announcement, until it is known."""
        lease = self._lease
        if lease is None or lease.gateway is None or self.knows_gateway(lease):
            return []
        return [SendArp(ArpPacket(ArpOp.REQUEST, self._mac, lease.address.ip, ZERO_MAC, lease.gateway))]

    def _is_gateway(self, packet: ArpPacket) -> bool:
        lease = self._lease
        return (
            lease is not None
            and packet.op is ArpOp.REPLY
            and packet.sender_ip == lease.gateway
            and packet.target_mac == self._mac
            and packet.sender_ip != lease.address.ip
        )

    def _learn(self, packet: ArpPacket) -> list[Heard]:
        """One lesson for each grant: whoever floods us with answers does not fill the event log and wear the disk."""
        known = GatewayKnown(packet.sender_ip, packet.sender_mac)
        if known == self.gateway:
            return []
        if not self._may_learn:
            return [Dropped("gateway-known", packet)]
        self.gateway, self._may_learn = known, False
        return [known]
