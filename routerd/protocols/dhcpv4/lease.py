"""What a server granted, as values: the lease, its routes, and what is kept of it over a restart."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import attrs

from routerd.protocols.dhcpv4.message import Message


@attrs.frozen
class LeaseRoute:
    """A route that came with the lease. `gateway` None: on-link (RFC 3442: router 0.0.0.0)."""

    destination: IPv4Network
    gateway: IPv4Address | None


@attrs.frozen
class Lease:
    """A granted address with everything that came with it.

    Times are seconds on the machine's clock; `obtained_at` is when the REQUEST that was answered was *sent*
    (RFC 2131 §4.4.1), `t1`, `t2`, `expires_at` are absolute; None: never (infinite lease, RFC 2131 §3.3).
    `routes` is what shall be installed, in order: option 121, else 249, else 33 and 3 (RFC 3442); the default
    route is among them. `gateway` is the router of the default route, for people and for DNAv4.
    """

    address: IPv4Interface
    server_id: IPv4Address
    obtained_at: float
    t1: float | None
    t2: float | None
    expires_at: float | None
    routes: tuple[LeaseRoute, ...] = ()
    gateway: IPv4Address | None = None
    dns_servers: tuple[IPv4Address, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()
    domain: str | None = None
    search: tuple[str, ...] = ()
    hostname: str | None = None
    broadcast: IPv4Address | None = None
    mtu: int | None = None
    v6_only_wait: int | None = None
    notes: tuple[str, ...] = ()
    """Sentences on what was ignored or cut in the server's answer (V4-17, V4-19, V4-20, V4-35)."""
    reply: Message | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def duration(self) -> float | None:
        """Granted lease time in seconds; None: infinite."""
        return None if self.expires_at is None else self.expires_at - self.obtained_at


@attrs.frozen
class Remembered:
    """A lease from an earlier life, handed to a new machine. `lease` is already on the present clock.

    `trusted` False: its age is unknown (no RTC, wall clock behind; C4): it is a hint for INIT-REBOOT only and
    must not be installed before a server or the gateway confirms it.
    """

    lease: Lease
    trusted: bool
    gateway_mac: bytes | None = None
