"""Address conflict detection (RFC 5227) for one address on one link: probe, announce, defend.

A machine like every other; it knows no DHCP. What it wants broadcast is an `ArpPacket` in its outputs. What a
conflict means for the address is its owner's question.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import ClassVar, Literal

import attrs

from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.machine import Dropped, Start, Stop, Tick

# RFC 5227 §1.1
PROBE_WAIT = 1.0
PROBE_NUM = 3
PROBE_MIN = 1.0
PROBE_MAX = 2.0
ANNOUNCE_WAIT = 2.0
ANNOUNCE_NUM = 2
ANNOUNCE_INTERVAL = 2.0
MAX_CONFLICTS = 10
RATE_LIMIT_INTERVAL = 60.0
DEFEND_INTERVAL = 10.0

LONGEST_PROBING = PROBE_WAIT + (PROBE_NUM - 1) * PROBE_MAX + ANNOUNCE_WAIT
"""Seconds from Start to `Clear`, at most."""

UNSPECIFIED = IPv4Address("0.0.0.0")


@attrs.frozen
class Idle:
    """Not begun, or over."""

    deadline: ClassVar[None] = None


@attrs.frozen
class Probing:
    """Asking whether anybody has the address (§2.1.1); after the last probe, listening on."""

    deadline: float
    sent: int = 0


@attrs.frozen
class Announcing:
    """The address is ours: saying so (§2.3), and defending it already."""

    deadline: float
    sent: int = 0
    defended_at: float = float("-inf")


@attrs.frozen
class Defending:
    """Watching for as long as the address is held (§2.4)."""

    defended_at: float = float("-inf")
    deadline: ClassVar[None] = None


@attrs.frozen
class Clear:
    """Nobody has the address: it may be used."""


@attrs.frozen
class Contested:
    """`mac` has the address too, and we must not use it (any longer)."""

    mac: bytes


@attrs.frozen
class Defended:
    """`mac` claimed our `address`; the announcement that answers it follows in the outputs."""

    address: IPv4Address
    mac: bytes


State = Idle | Probing | Announcing | Defending
Output = ArpPacket | Clear | Contested | Defended | Dropped[ArpPacket]


class Detector:
    """RFC 5227 for `address` as held by `mac`. `probe` False begins with the announcement (ARP-5)."""

    def __init__(
        self,
        address: IPv4Address,
        mac: bytes,
        rng: random.Random,
        *,
        probe: bool = True,
        policy: Literal["defend", "release"] = "defend",
    ) -> None:
        self.address = address
        self.state: State = Idle()
        self._mac = mac
        self._rng = rng
        self._probe_first = probe
        self._policy = policy

    @property
    def deadline(self) -> float | None:
        """When a Tick is due; None while only watching."""
        return self.state.deadline

    def handle(self, event: ArpPacket | Start | Stop | Tick, now: float) -> list[Output]:
        """Take one input at time `now`; return everything that follows from it, in order."""
        match self.state, event:
            case Idle(), Start():
                wait = self._rng.uniform(0, PROBE_WAIT)
                self.state = Probing(now + wait) if self._probe_first else Announcing(now)
                return []
            case _, Stop():
                self.state = Idle()
                return []
            case Probing(deadline, sent), Tick() if deadline <= now:
                return self._probe(sent, now)
            case Announcing(deadline, sent, defended_at), Tick() if deadline <= now:
                return self._announce(sent, defended_at, now)
            case Probing(), ArpPacket() as packet if self._is_claim(packet) or self._is_probe(packet):
                return self._yield(packet)
            case Announcing() | Defending() as state, ArpPacket() as packet if self._is_claim(packet):
                return self._defend(state, packet, now)
            case _, ArpPacket() as packet:
                return [Dropped("irrelevant", packet)]
            case _:
                return []

    def _probe(self, sent: int, now: float) -> list[Output]:
        if sent == PROBE_NUM:
            return [Clear(), *self._announce(0, float("-inf"), now)]
        last = sent + 1 == PROBE_NUM
        wait = ANNOUNCE_WAIT if last else self._rng.uniform(PROBE_MIN, PROBE_MAX)
        self.state = Probing(now + wait, sent + 1)
        return [ArpPacket(ArpOp.REQUEST, self._mac, UNSPECIFIED, ZERO_MAC, self.address)]

    def _announce(self, sent: int, defended_at: float, now: float) -> list[Output]:
        if sent + 1 == ANNOUNCE_NUM:
            self.state = Defending(defended_at)
        else:
            self.state = Announcing(now + ANNOUNCE_INTERVAL, sent + 1, defended_at)
        return [self._announcement()]

    def _defend(self, state: Announcing | Defending, packet: ArpPacket, now: float) -> list[Output]:
        if now - state.defended_at >= DEFEND_INTERVAL:
            self.state = attrs.evolve(state, defended_at=now)
            return [Defended(self.address, packet.sender_mac), self._announcement()]
        if self._policy == "release":  # §2.4(b)
            return self._yield(packet)
        return [Dropped("defended-just-now", packet)]  # §2.4(c): two hosts must not shout each other down

    def _yield(self, packet: ArpPacket) -> list[Output]:
        self.state = Idle()
        return [Contested(packet.sender_mac)]

    def _announcement(self) -> ArpPacket:
        return ArpPacket(ArpOp.REQUEST, self._mac, self.address, ZERO_MAC, self.address)

    def _is_claim(self, packet: ArpPacket) -> bool:
        return packet.sender_ip == self.address and packet.sender_mac != self._mac

    def _is_probe(self, packet: ArpPacket) -> bool:
        # Another host is about to take the same address (§2.1.1); our own probe, looped back, is not another's (ARP-3).
        return (
            packet.op is ArpOp.REQUEST
            and packet.sender_ip == UNSPECIFIED
            and packet.target_ip == self.address
            and packet.sender_mac != self._mac
        )
