"""The states of a DHCPv6 client: what it is saying, or that it is silent. RFC 9915 names the exchanges, not the
states. What is held is not here: leases outlive every exchange (`binding`).

Each holds what it needs and nothing else. `deadline` is when time alone ends it; `send_at` is when its exchange
wants to speak (again). Times are absolute; None: never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

from routerd.protocols.dhcpv6.association import IdentityAssociation
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.exchange import Exchange


@attrs.frozen
class Advertise:
    """What has to be remembered of an offer: from whom, how good (a greater rank is a better one), of what."""

    server_id: bytes
    preference: int
    rank: tuple[int, ...]
    associations: tuple[IdentityAssociation, ...]


@attrs.frozen
class Stopped:
    """Final until Start: not begun, stopped, or all was given back."""

    deadline: ClassVar[None] = None
    send_at: ClassVar[None] = None


@attrs.frozen
class NoLink:
    """No link to speak on. What is held is stale, but ours until it expires (C11). Final until LinkUp."""

    deadline: ClassVar[None] = None
    send_at: ClassVar[None] = None


@attrs.frozen
class Bound:
    """Silent, with something held: nothing to say until `wake_at`."""

    wake_at: float | None
    send_at: ClassVar[None] = None

    @property
    def deadline(self) -> float | None:
        return self.wake_at


@attrs.frozen
class Informed:
    """Silent, with nothing wanted but other configuration, which is known until `refresh_at`."""

    refresh_at: float | None
    send_at: ClassVar[None] = None

    @property
    def deadline(self) -> float | None:
        return self.refresh_at


@attrs.frozen
class Soliciting:
    """Solicit: who gives what? With an offer in hand the others' are waited for until the first retransmission would
    be due (§18.2.1). `paces`: SOL_MAX_RT and INF_MAX_RT as each server has said them."""

    exchange: Exchange
    offers: tuple[Advertise, ...] = ()
    paces: Mapping[bytes, tuple[int | None, int | None]] = attrs.field(factory=dict)

    @property
    def deadline(self) -> float | None:
        return self.exchange.send_at if self.offers else None

    @property
    def send_at(self) -> float | None:
        return None if self.offers else self.exchange.send_at


@attrs.frozen
class Exchanging:
    """What all the following are: one exchange, which ends as §15 says unless something else ends it."""

    exchange: Exchange

    @property
    def deadline(self) -> float | None:
        return self.exchange.ends_at

    @property
    def send_at(self) -> float | None:
        return self.exchange.next_at


@attrs.frozen
class Requesting(Exchanging):
    """Request: one offer taken up, or, where a server has no binding for what is held, asked for anew (§18.2.2,
    §18.2.10.1). `spare`: the other offers, the best one first."""

    chosen: Advertise
    spare: tuple[Advertise, ...] = ()


@attrs.frozen
class Renewing(Exchanging):
    """Renew: the server of the leases is asked to extend them, `until` T2 (§18.2.4)."""

    server_id: bytes
    until: float | None

    @property
    def deadline(self) -> float | None:
        return self.until


@attrs.frozen
class Rebinding(Exchanging):
    """Rebind: any server may extend the leases; the end of the last one ends it (§18.2.5)."""


@attrs.frozen
class Confirming(Exchanging):
    """Confirm: are our addresses right for this link? (§18.2.3)"""


@attrs.frozen
class Revalidating(Exchanging):
    """Rebind in the manner of Confirm: is what we have still ours, here? (§18.2.12, V6-40) Or one more try for what a
    server took away (V6-21). `unconfirmed` is remembered, of unknown age, and not in use (C4)."""

    unconfirmed: tuple[Binding, ...] = ()


@attrs.frozen
class Informing(Exchanging):
    """Information-request; `until`: when the leases want to be renewed, which is more important (§18.2.6)."""

    until: float | None = None

    @property
    def deadline(self) -> float | None:
        return self.until


@attrs.frozen
class Declining(Exchanging):
    """Decline: an address is somebody else's (§18.2.8)."""

    binding: Binding
    lease: Lease


@attrs.frozen
class Releasing(Exchanging):
    """Release, one server after the other: all of this was ours, and is given back (§18.2.7)."""

    bindings: tuple[Binding, ...]
    told: int = 0


State = (
    Stopped
    | NoLink
    | Bound
    | Informed
    | Soliciting
    | Requesting
    | Renewing
    | Rebinding
    | Confirming
    | Revalidating
    | Informing
    | Declining
    | Releasing
)
Asking = Soliciting | Requesting | Renewing | Rebinding | Confirming | Revalidating | Informing | Declining | Releasing
"""Those that wait for an answer."""
