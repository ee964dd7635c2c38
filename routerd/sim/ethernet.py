"""An Ethernet segment in memory, with seeded faults. It knows addresses of stations, not what they say.

Pure: it draws from the `random.Random` that it is given and books deliveries on a `Timeline`; who turns the
timeline (virtual time in tests, trio in the demo) makes no difference to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

import attrs

from routerd.sim.timeline import Timeline

HEADER = 14
"""Octets of an Ethernet header: destination, source, type."""

BROADCAST_MAC = b"\xff" * 6

Receive = Callable[[bytes, float], None]
"""A station's ear: a frame, and when it came."""


@attrs.frozen
class Faults:
    """What the wire does to frames. Probabilities are per frame and receiver, times in seconds.

    `reordering` holds a frame back by up to `hold` seconds, so that later ones overtake it; `truncation` cuts
    it anywhere, `corruption` flips one bit (as bad memory does behind a good checksum of the cable).
    """

    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    hold: float = 2.0
    truncation: float = 0.0
    corruption: float = 0.0


PERFECT = Faults()


class Port:
    """Where one station is plugged in.

    `up`: there is carrier. `mtu` in octets without the Ethernet header: what is longer neither leaves nor enters.
    `addresses` are IP addresses for which the station answers (see `Segment.resolve`). An `isolated` port hears
    only ports that are not, and is heard only by them: how access networks keep their customers apart.
    """

    def __init__(self, segment: Segment, mac: bytes, receive: Receive, *, isolated: bool = False) -> None:
        self.segment = segment
        self.mac = mac
        self.receive = receive
        self.isolated = isolated
        self.up = True
        self.mtu = 1500
        self.addresses: set[IPv4Address | IPv6Address] = set()

    def send(self, frame: bytes, now: float) -> None:
        """Put a frame on the wire. Nothing tells whether it arrives."""
        self.segment.transmit(self, frame, now)

    def _accepts(self, frame: bytes) -> bool:
        """What a network card lets through: its own address, broadcast and multicast."""
        return self.up and len(frame) <= self.mtu + HEADER and (frame[:6] == self.mac or bool(frame and frame[0] & 1))


class Segment:
    """One broadcast domain: a switch that floods, or a cable when two stations are on it.

    `faults` may be replaced at any time. Same seed, same frames at the same times: same deliveries.
    """

    def __init__(self, timeline: Timeline, rng: random.Random, faults: Faults = PERFECT) -> None:
        self.faults = faults
        self._timeline = timeline
        self._rng = rng
        self._open: list[Port] = []
        self._isolated: list[Port] = []
        self._witnesses: list[Receive] = []

    def attach(
        self,
        mac: bytes,
        receive: Receive,
        *,
        addresses: Iterable[IPv4Address | IPv6Address] = (),
        isolated: bool = False,
    ) -> Port:
        """Plug a station in."""
        port = Port(self, mac, receive, isolated=isolated)
        port.addresses.update(addresses)
        (self._isolated if isolated else self._open).append(port)
        return port

    def detach(self, port: Port) -> None:
        """Unplug it; what is on the way to it is lost."""
        port.up = False
        (self._isolated if port.isolated else self._open).remove(port)

    def witness(self, see: Receive) -> None:
        """Call `see` with every frame as it is sent, before the wire does anything to it."""
        self._witnesses.append(see)

    def resolve(self, address: IPv4Address | IPv6Address) -> bytes | None:
        """The Ethernet address of the station that answers for `address`: what ARP or Neighbor Discovery would
        find, known to the wire."""
        return next(
            (port.mac for port in (*self._open, *self._isolated) if port.up and address in port.addresses), None
        )

    def transmit(self, sender: Port, frame: bytes, now: float) -> None:
        """Carry `frame` from `sender` to everybody who can hear it, as well as `faults` allow."""
        if not sender.up or not HEADER <= len(frame) <= sender.mtu + HEADER:
            return
        for see in self._witnesses:
            see(frame, now)
        to_all, target = bool(frame[0] & 1), frame[:6]
        for port in self._open if sender.isolated else (*self._open, *self._isolated):
            if (to_all or port.mac == target) and port is not sender:
                self._carry(port, frame, now)

    def _carry(self, port: Port, frame: bytes, now: float) -> None:
        faults, rng = self.faults, self._rng
        if faults is PERFECT:
            self._deliver(port, frame, now + faults.delay)
            return
        for _copy in range(2 if rng.random() < faults.duplication else 1):
            if rng.random() < faults.loss:
                continue
            delay = faults.delay + rng.random() * faults.jitter
            if rng.random() < faults.reordering:
                delay += rng.random() * faults.hold
            self._deliver(port, self._damaged(frame), now + delay)

    def _damaged(self, frame: bytes) -> bytes:
        if self._rng.random() < self.faults.truncation:
            frame = frame[: self._rng.randrange(len(frame) + 1)]
        if frame and self._rng.random() < self.faults.corruption:
            bit = self._rng.randrange(len(frame) * 8)
            frame = frame[: bit // 8] + bytes([frame[bit // 8] ^ (1 << bit % 8)]) + frame[bit // 8 + 1 :]
        return frame

    def _deliver(self, port: Port, frame: bytes, when: float) -> None:
        def arrive(now: float) -> None:
            if port._accepts(frame):
                port.receive(frame, now)

        self._timeline.at(when, arrive)
