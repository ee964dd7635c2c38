"""One host on one link, as the transitions of the client see it: what it is, what it remembers, how it speaks.

The transitions themselves are next door: `acquiring` (RFC 2131 §4.4.1), `keeping` (§4.4.2, §4.4.5, RFC 4436),
`losing` and `commands`; `client` says when which of them is due.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Literal

import attrs

from routerd.protocols import retransmit
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.auth import Nonce
from routerd.protocols.dhcpv4.inputs import LinkUp
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.neighbours import Neighbours
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import (
    Bound,
    Detached,
    Exchange,
    Rebinding,
    Rebooting,
    Renewing,
    Selecting,
    State,
    Stopped,
)
from routerd.protocols.dhcpv4.transmissions import Asking, transmit
from routerd.protocols.machine import Dropped, Refused

START_DELAY = 1.0  # V4-1; the 1 to 10 s of RFC 2131 §4.4.1 were meant for halls full of diskless machines
MIN_GAP = 1.0  # V4-5
DISCOVERS_PER_FAILURE = 5  # V4-1
GOODBYE_RESERVE = 1
"""Tokens left in the bucket by all else, so that a DHCPDECLINE can be sent, which it MUST be (§3.1(5))."""

NOWHERE = LinkUp(0, bytes(6), 1500, arp=False)
"""No link was seen yet."""


@attrs.frozen
class Command:
    """What the operator waits for, and until when."""

    name: Literal["renew", "rebind"]
    until: float


@attrs.define
class Station:
    """All that a client knows. `carrier_lost_at` is about a lease in use alone (C11)."""

    settings: Settings
    rng: random.Random
    neighbours: Neighbours
    remembered: Remembered | None
    state: State = attrs.field(factory=Stopped)
    link: LinkUp = NOWHERE
    carrier: bool = False
    carrier_lost_at: float | None = None
    bucket: retransmit.TokenBucket = attrs.field(factory=retransmit.TokenBucket)
    last_sent_at: float = float("-inf")
    command: Command | None = None
    last_address: IPv4Address | None = None
    nonce: Nonce | None = None
    bound_at: float | None = None
    setbacks: int = 0
    conflicts: int = 0
    not_before: float = float("-inf")
    out: list[outputs.Output] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """The state's."""
        return type(self.state).__name__

    @property
    def lease(self) -> Lease | None:
        """The lease whose address may be in use."""
        match self.state:
            case Bound(lease) | Renewing(lease) | Rebinding(lease) | Detached(lease) | Rebooting(lease, in_use=True):
                return lease
            case _:
                return None

    @property
    def hint(self) -> IPv4Address | None:
        """The address to ask for: the last one we had, else the operator's."""
        return self.last_address or self.settings.requested

    def enter(self, state: State) -> None:
        """Go into a state. Whatever timer the last one had is gone with it."""
        previous, self.state = self.name, state
        if previous != self.name:
            self.say(outputs.Entered(self.name, previous))

    def say(self, output: outputs.Output) -> None:
        self.out.append(output)

    def drop(self, reason: str, message: Message) -> None:
        self.say(Dropped(reason, message))

    def refuse(self, command: str, reason: str) -> None:
        self.say(Refused(command, reason))

    def finish(self, ok: bool, detail: str) -> None:
        """End the command under way, if there is one."""
        if self.command is not None:
            self.say(outputs.Finished(self.command.name, ok, detail))
            self.command = None

    # What is sent, is sent from here, and no timer is above the bucket (C9).

    def paced(self, due: float | None) -> float | None:
        """When what is due may leave."""
        return None if due is None else max(due, self.bucket.ready_at(GOODBYE_RESERVE))

    def transmit(self, now: float) -> None:
        """One transmission of the present state's exchange."""
        if isinstance(self.state, Selecting):
            self._complain(self.state.exchange.transmissions)
        if isinstance(self.state, Asking):
            self.state, send = transmit(self.state, self.settings, self.link, self.hint, self.rng, now)
            self.send(send, now)

    def _complain(self, unanswered: int) -> None:
        if unanswered and unanswered % DISCOVERS_PER_FAILURE == 0:
            detail = f"{unanswered} DHCPDISCOVERs were not answered"
            self.say(outputs.Failed(self.name, "no-answer", detail, 0.0))

    def send(self, send: outputs.Send, now: float) -> None:
        self.bucket = self.bucket.take(now)
        self.last_sent_at = now
        self.say(send)

    def send_arp(self, packet: outputs.SendArp, now: float) -> None:
        """Send one ARP packet; from an empty bucket it counts as lost."""
        if self.can_send(now):
            self.bucket = self.bucket.take(now)
            self.say(packet)

    def can_send(self, now: float) -> bool:
        return self.bucket.ready_at(GOODBYE_RESERVE) <= now

    def exchange(self, now: float, *, began: float | None = None) -> Exchange:
        """A new exchange. However short a lease, a second lies between its packets (V4-5)."""
        return Exchange(self.xid(), now if began is None else began, max(now, self.last_sent_at + MIN_GAP))

    def xid(self) -> int:
        """A fresh one, not to be guessed (C10)."""
        return self.rng.getrandbits(32)

    def start_delay(self) -> float:
        """Seconds before a first DHCPDISCOVER."""
        return self.rng.uniform(0, START_DELAY)


def is_over(lease: Lease, now: float) -> bool:
    """Whether a lease has expired."""
    return lease.expires_at is not None and lease.expires_at <= now
