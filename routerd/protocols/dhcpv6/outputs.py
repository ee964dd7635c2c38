"""What a DHCPv6 client says: what to send, and what is now true."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Literal

import attrs

from routerd.protocols.dhcpv6.association import Association, Status
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.machine import Dropped, Refused

Way = Literal["solicit", "request", "renew", "rebind"]
"""By which message a lease came or was extended; `solicit` is rapid commit."""
LossReason = Literal[
    "expired",
    "withdrawn",
    "not-on-link",
    "conflict",
    "released",
    "stopped",
    "flushed",
    "unwanted",
    "link-changed",
    "link-gone",
]
FailReason = Literal["no-answer", "refused", "not-on-link", "conflict", "expired"]
CommandName = Literal["renew", "rebind", "release", "info-request", "flush"]


@attrs.frozen
class Send:
    """Send this message from port 546 of `source` to port 547 of ff02::1:2, on the client's link (V6-3)."""

    message: Message
    source: IPv6Address


@attrs.frozen
class Advertised:
    """A usable offer came (the first, or a better one)."""

    message: Message
    server_id: bytes


@attrs.frozen
class Bound:
    """These leases may be used from now on; nothing was held in the association before, or `Lost` was said of it."""

    binding: Binding
    by: Way


@attrs.frozen
class Resumed:
    """A remembered binding is still ours to use while it is being confirmed: keep what is installed."""

    binding: Binding


@attrs.frozen
class Extended:
    """The same leases: only times (and maybe the server) are new (C15)."""

    binding: Binding
    by: Way


@attrs.frozen
class Changed:
    """Other leases than before in an association that keeps some. What went was `Lost` or `Deprecated` before this."""

    binding: Binding
    previous: Binding
    by: Way


@attrs.frozen
class Deprecated:
    """Nothing new should use this lease; what uses it may go on until its valid lifetime ends, when it is `Lost`."""

    association: Association
    lease: Lease


@attrs.frozen
class Lost:
    """This address or prefix must not be used any more. Of a prefix, the LAN must hear at once (V6-21)."""

    association: Association
    lease: Lease
    reason: LossReason


@attrs.frozen
class Refusal:
    """A server's answer says no, as a whole (`association` None) or for one association."""

    server_id: bytes
    association: Association | None
    status: Status


@attrs.frozen
class Smaller:
    """A prefix longer than was asked for came: fewer networks than wanted (V6-24)."""

    association: Association
    prefix: IPv6Network
    wanted: int


@attrs.frozen
class Informed:
    """Other configuration, from now on. `changed` names the attributes of Information that are new (C15);
    `server_id` None: nobody said so, it is remembered."""

    information: Information
    server_id: bytes | None
    changed: tuple[str, ...]


@attrs.frozen
class Paced:
    """A server has set how slowly we must repeat ourselves when nobody answers, in seconds (§21.24, §21.25)."""

    sol_max_rt: float
    inf_max_rt: float


@attrs.frozen
class Reconfigured:
    """The server ordered us, by an authenticated Reconfigure, to do this."""

    server_id: bytes
    order: Literal["renew", "rebind", "info-request"]


@attrs.frozen
class Forget:
    """Nothing of what was remembered is ours any more: delete the lease file."""


@attrs.frozen
class Failed:
    """An exchange came to nothing; another follows in `retry_in` seconds. `detail` is a sentence."""

    during: str
    reason: FailReason
    detail: str
    retry_in: float


@attrs.frozen
class Entered:
    """The machine went into the state of this name (`Soliciting`, `Bound`, …) and left `previous`."""

    state: str
    previous: str


@attrs.frozen
class Finished:
    """What a command began has ended; `ok` with success."""

    command: CommandName
    ok: bool
    detail: str


Output = (
    Send
    | Advertised
    | Bound
    | Resumed
    | Extended
    | Changed
    | Deprecated
    | Lost
    | Refusal
    | Smaller
    | Informed
    | Paced
    | Reconfigured
    | Forget
    | Failed
    | Entered
    | Finished
    | Refused
    | Dropped[Message]
)
