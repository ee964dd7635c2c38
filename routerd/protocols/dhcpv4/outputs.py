"""What a DHCPv4 client says: what to send, and what is now true."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

import attrs

from routerd.protocols.arp.packet import ArpPacket
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import BROADCAST, Message
from routerd.protocols.machine import Dropped, Refused

LossReason = Literal[
    "expired",
    "nak",
    "released",
    "stopped",
    "conflict",
    "moved",
    "link-changed",
    "link-gone",
    "unconfirmed",
    "v6-only",
]
FailReason = Literal["no-answer", "nak", "conflict"]


@attrs.frozen
class Send:
    """Send this message. `source` None: raw, from 0.0.0.0 (there is no address yet); else by UDP from that
    leased address, on the leased interface (V4-32). `to` is the IP destination."""

    message: Message
    to: IPv4Address = BROADCAST
    source: IPv4Address | None = None


@attrs.frozen
class SendArp:
    """Send this ARP packet to `to` (an Ethernet address; broadcast unless DNAv4 knows the gateway's)."""

    packet: ArpPacket
    to: bytes = b"\xff" * 6


@attrs.frozen
class Offered:
    """A usable offer came (the first, or a better one)."""

    message: Message
    server_id: IPv4Address


@attrs.frozen
class Bound:
    """The address may be used from now on; nothing was held before, or `Lost` was said of it.
    `confirmed_by` says how: a fresh exchange, INIT-REBOOT's ACK, or the gateway's ARP answer (DNAv4)."""

    lease: Lease
    confirmed_by: Literal["request", "reboot", "dna"] = "request"


@attrs.frozen
class Resumed:
    """A remembered, trusted lease is still ours to use while it is being confirmed: keep what is installed."""

    lease: Lease


@attrs.frozen
class Extended:
    """Renewed or rebound with the same content: only the times (and maybe the server) are new (C15)."""

    lease: Lease
    by: Literal["renew", "rebind", "reboot", "dna"]


@attrs.frozen
class Changed:
    """Renewed or rebound, same address, other content. `fields` names the attributes of Lease that differ (V4-14)."""

    lease: Lease
    previous: Lease
    by: Literal["renew", "rebind", "reboot", "dna"]
    fields: tuple[str, ...]


@attrs.frozen
class Lost:
    """The address must not be used any more: remove it and what hangs on it."""

    lease: Lease
    reason: LossReason


@attrs.frozen
class Forget:
    """The remembered lease is void: delete the lease file."""


@attrs.frozen
class GatewayKnown:
    """The gateway's Ethernet address was learnt: keep it beside the lease for DNAv4 (V4-30)."""

    address: IPv4Address
    mac: bytes


@attrs.frozen
class Failed:
    """An exchange came to nothing; another follows in `retry_in` seconds. `detail` is a sentence."""

    during: str
    reason: FailReason
    detail: str
    retry_in: float


@attrs.frozen
class Nak:
    """A NAK was obeyed. `text` is the server's own words, made printable (C13)."""

    server_id: IPv4Address
    text: str


@attrs.frozen
class Conflict:
    """Somebody else uses the address (RFC 5227). `defended`: we answered and keep it."""

    address: IPv4Address
    mac: bytes
    defended: bool


@attrs.frozen
class Entered:
    """The machine went into the RFC 2131 state of this name (`Selecting`, `Bound`, …) and left `previous`."""

    state: str
    previous: str


@attrs.frozen
class Finished:
    """An exchange that a command began has ended; `ok` with success."""

    command: Literal["renew", "rebind", "release"]
    ok: bool
    detail: str


Output = (
    Send
    | SendArp
    | Offered
    | Bound
    | Resumed
    | Extended
    | Changed
    | Lost
    | Forget
    | GatewayKnown
    | Failed
    | Nak
    | Conflict
    | Entered
    | Finished
    | Refused
    | Dropped[Message]
    | Dropped[ArpPacket]
)
