"""The states of a DHCPv4 client: those of RFC 2131 figure 5 by their names, and four that the RFC leaves unsaid.

Each holds what it needs and nothing else. `deadline` is when time alone ends it; `send_at` is when its exchange
wants to speak (again). Times are absolute; None: never.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import ClassVar

import attrs

from routerd.protocols import retransmit
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.machine import earliest

REQUEST_TRANSMISSIONS = 4
REBOOT_TRANSMISSIONS = 2
REPLY_LIFETIME = retransmit.CAP
"""An answer is to one of the transmissions of so many seconds; no network keeps a packet for longer."""


@attrs.frozen
class Exchange:
    """One xid and everything said under it (C10). `began` is what `secs` counts from (V4-37)."""

    xid: int
    began: float
    send_at: float
    transmissions: int = 0
    recent: tuple[float, ...] = ()

    def sent(self, now: float, wait: float) -> Exchange:
        """The exchange after one transmission more, the next one due in `wait` seconds."""
        recent = (*(then for then in self.recent if now - then <= REPLY_LIFETIME), now)
        return Exchange(self.xid, self.began, now + wait, self.transmissions + 1, recent)

    def answered(self, now: float) -> float:
        """When the message that is answered now was sent (RFC 2131 §4.4.1). A reply does not say which of several
        it answers: the earliest possible one, so that we never believe in a lease longer than the server does."""
        return next((then for then in self.recent if now - then <= REPLY_LIFETIME), self.recent[-1])

    def secs(self, now: float) -> int:
        """The header field, saturated (V4-37)."""
        return min(int(now - self.began), 0xFFFF)


@attrs.frozen
class Offer:
    """What has to be remembered of a DHCPOFFER."""

    server_id: IPv4Address
    address: IPv4Address


@attrs.frozen
class Stopped:
    """Final until Start: not begun, stopped, or the lease was given back."""

    deadline: ClassVar[None] = None
    send_at: ClassVar[None] = None


@attrs.frozen
class NoLink:
    """Nothing held, and no carrier to acquire anything by. Final until LinkUp."""

    deadline: ClassVar[None] = None
    send_at: ClassVar[None] = None


@attrs.frozen
class Detached:
    """The carrier is gone for longer than a flap, the lease is kept: stale, but ours until it expires (C11)."""

    lease: Lease
    send_at: ClassVar[None] = None

    @property
    def deadline(self) -> float | None:
        return self.lease.expires_at


@attrs.frozen
class Init:
    """INIT: waiting before the first DHCPDISCOVER, so that a street of routers does not speak at once (§4.4.1)."""

    deadline: float
    send_at: ClassVar[None] = None


@attrs.frozen
class Selecting:
    """SELECTING: DHCPDISCOVER sent, collecting DHCPOFFERs until `choose_at`."""

    exchange: Exchange
    broadcast: bool = False
    secs: int = 0
    offers: tuple[Offer, ...] = ()
    choose_at: float | None = None

    @property
    def deadline(self) -> float | None:
        return self.choose_at

    @property
    def send_at(self) -> float | None:
        return self.exchange.send_at if self.choose_at is None else None


@attrs.frozen
class Requesting:
    """REQUESTING: one offer taken up, with the xid, `secs` and flags of the DHCPDISCOVER (§3.1(3))."""

    exchange: Exchange
    offer: Offer
    spare: tuple[Offer, ...]
    broadcast: bool
    secs: int

    @property
    def deadline(self) -> float | None:
        return self.exchange.send_at if self.exchange.transmissions >= REQUEST_TRANSMISSIONS else None

    @property
    def send_at(self) -> float | None:
        return self.exchange.send_at if self.exchange.transmissions < REQUEST_TRANSMISSIONS else None


@attrs.frozen
class Rebooting:
    """REBOOTING (INIT-REBOOT's request is out at once): is the lease that we know still good, here? (§3.2, V4-30)

    `in_use`: its address is installed meanwhile. `reachable`: the gateway has answered (DNAv4).
    """

    lease: Lease
    in_use: bool
    reachable: bool
    exchange: Exchange
    give_up_at: float

    @property
    def deadline(self) -> float | None:
        return earliest(self.give_up_at, self.lease.expires_at) if self.in_use else self.give_up_at

    @property
    def send_at(self) -> float | None:
        return self.exchange.send_at if self.exchange.transmissions < REBOOT_TRANSMISSIONS else None


@attrs.frozen
class Probing:
    """Granted, but the address is not used before nobody else is known to have it (§3.1(5), RFC 5227)."""

    lease: Lease
    send_at: ClassVar[None] = None

    @property
    def deadline(self) -> float | None:
        return self.lease.expires_at


@attrs.frozen
class Bound:
    """BOUND: nothing to say until T1."""

    lease: Lease
    send_at: ClassVar[None] = None

    @property
    def deadline(self) -> float | None:
        return earliest(self.lease.t1, self.lease.t2, self.lease.expires_at)


@attrs.frozen
class Renewing:
    """RENEWING: asking the server of the lease, until T2."""

    lease: Lease
    exchange: Exchange

    @property
    def deadline(self) -> float | None:
        return earliest(self.lease.t2, self.lease.expires_at)

    @property
    def send_at(self) -> float | None:
        return self.exchange.send_at


@attrs.frozen
class Rebinding:
    """REBINDING: asking any server, until the lease expires."""

    lease: Lease
    exchange: Exchange

    @property
    def deadline(self) -> float | None:
        return self.lease.expires_at

    @property
    def send_at(self) -> float | None:
        return self.exchange.send_at


@attrs.frozen
class V6Only:
    """The network would rather have us without IPv4 (RFC 8925): waiting. `xid` is the exchange that said so; its
    server may still take it back by a NAK."""

    deadline: float
    xid: int
    send_at: ClassVar[None] = None


State = (
    Stopped
    | NoLink
    | Detached
    | Init
    | Selecting
    | Requesting
    | Rebooting
    | Probing
    | Bound
    | Renewing
    | Rebinding
    | V6Only
)
