"""What we ask of the system, and nothing about which system it is.

`Host` is the seam: `linux/` speaks netlink, `simulated` keeps it all in memory; both pass
`tests/host/suite.py`. The choice is made once, in `routerd.nurseries.system`. Interface names are how operators speak,
indices how kernels do: a `Link` has both, everything else refers to the index.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final, Literal, Protocol

import attrs
import trio

LIFETIME_GRACE: Final = 10.0
"""Seconds after `Address.valid_until` at which the system removes the address by itself, where it can: our own
orderly removal comes first, and yet no address outlives its lease by more than this when routerd is dead."""


@attrs.frozen
class HostSide6:
    """What the kernel itself does of IPv6 on a link: whether it obeys advertisements of routers (`accept_ra`), and
    makes addresses of their prefixes (`autoconf`); and whether it is a router there (`forwarding`), which goes for all
    links as a rule."""

    accept_ra: bool
    autoconf: bool
    forwarding: bool = False


ETHERNET_ADDRESS = 6
"""Octets of a MAC: links of which it is another number, or none, are no Ethernet."""


@attrs.frozen
class Link:
    """A network interface. `mtu`, `max_mtu` in octets; `carrier`: it can carry frames now (lower layer up);
    `arp` False for point-to-point and NOARP links; `max_mtu` 0: unknown. `ipv6` None: the kernel does no IPv6 there;
    what others change of it is told with the next change of the link. `permanent_mac` is what the card was made with,
    whatever it was given since; empty: not known."""

    index: int
    name: str
    mac: bytes
    mtu: int
    max_mtu: int = 0
    admin_up: bool = False
    carrier: bool = False
    arp: bool = True
    ipv6: HostSide6 | None = attrs.field(default=None, eq=False)
    permanent_mac: bytes = b""

    @property
    def card(self) -> bytes:
        """The MAC that says which card it is."""
        return self.permanent_mac or self.mac


@attrs.frozen
class Address:
    """An address on a link. `ours`: routerd put it there (written on the address itself where the kernel can:
    IFA_PROTO on Linux), so it is known over a crash. `valid_until` and `preferred_until` are on `Clock.now`; None: for
    ever. `standing` is what duplicate address detection has found of an IPv6 address so far (RFC 4862 §5.4): only a
    `ready` one can be sent from."""

    link: int
    address: IPv4Interface | IPv6Interface
    ours: bool = True
    valid_until: float | None = attrs.field(default=None, eq=False)
    preferred_until: float | None = attrs.field(default=None, eq=False)
    standing: Literal["ready", "tentative", "duplicate"] = attrs.field(default="ready", eq=False)


@attrs.frozen
class Route:
    """A route in the main table. `gateway` None and `link` set: on-link. `onlink`: do not ask whether the
    gateway is reachable (V4-18). `ours` as for Address (rtm_protocol on Linux). `mtu` 0: the link's."""

    destination: IPv4Network | IPv6Network
    link: int | None
    gateway: IPv4Address | IPv6Address | None = None
    metric: int = 0
    source: IPv4Address | IPv6Address | None = None
    mtu: int = 0
    onlink: bool = False
    kind: Literal["unicast", "blackhole", "unreachable"] = "unicast"
    ours: bool = True


@attrs.frozen
class Snapshot:
    """All of it at one moment."""

    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    def link(self, name: str) -> Link | None:
        """The link of this name, if there is one."""
        return next((link for link in self.links if link.name == name), None)


# What we ask for. Each is idempotent: done already is done.


@attrs.frozen
class SetLink:
    """Change what is not None: administrative state, MTU."""

    index: int
    admin_up: bool | None = None
    mtu: int | None = None


@attrs.frozen
class SetHostSide6:
    """Change what is not None of `Link.ipv6`."""

    index: int
    accept_ra: bool | None = None
    autoconf: bool | None = None


@attrs.frozen
class SetForwarding6:
    """Let the host forward IPv6, or not, on all links. Where it forwards it goes on obeying routers only on links on
    which it was told to by `SetHostSide6`."""

    on: bool


@attrs.frozen
class PutAddress:
    """Add the address, or renew its lifetime when it is there; never takes it away in between."""

    address: Address


@attrs.frozen
class RemoveAddress:
    """Remove it."""

    address: Address


@attrs.frozen
class PutRoute:
    """Add or replace the route with the same destination and metric."""

    route: Route


@attrs.frozen
class RemoveRoute:
    """Remove exactly this route."""

    route: Route


Change = SetLink | SetHostSide6 | SetForwarding6 | PutAddress | RemoveAddress | PutRoute | RemoveRoute


class HostRefused(Exception):
    """The system said no to a change: `reason` is its own words, `errno` its number (never compare numbers
    between systems; use the `errno` module)."""

    def __init__(self, change: Change, errno: int, reason: str) -> None:
        super().__init__(f"{type(change).__name__}: {reason}")
        self.change = change
        self.errno = errno
        self.reason = reason


# What happens under us, in the order in which it happened.


@attrs.frozen
class LinkChanged:
    """A link is new (`before` None), gone (`after` None), or different."""

    before: Link | None
    after: Link | None


@attrs.frozen
class AddressChanged:
    """An address came (`present`) or went."""

    address: Address
    present: bool


@attrs.frozen
class RouteChanged:
    """A route came (`present`) or went."""

    route: Route
    present: bool


@attrs.frozen
class Resynced:
    """Notices were lost (or this is the first): look at everything again. `snapshot` is the state now."""

    snapshot: Snapshot


Notice = LinkChanged | AddressChanged | RouteChanged | Resynced


@attrs.frozen
class ClockStep:
    """Wall time and elapsed time went apart: `wall` seconds by which the wall clock was set, `suspended`
    seconds that the host slept just before."""

    wall: float
    suspended: float


class Clock(Protocol):
    """Time as routerd needs it."""

    boot_id: str
    """The same as long as `now` counts from the same origin."""

    def now(self) -> float:
        """Seconds on a clock that counts suspend and that nobody can set (CLOCK_BOOTTIME on Linux)."""

    def wall(self) -> int:
        """Wall clock, ns since 1970; may jump, for display and for the lease file only."""

    async def sleep_until(self, deadline: float) -> None:
        """Return when `now()` has reached `deadline`, in time also when the host slept in between."""

    def steps(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[ClockStep]]:
        """Clock steps and wake-ups from now on."""


class Host(Protocol):
    """The system underneath."""

    name: str
    """`linux`, `freebsd` or `simulated`: for people and for status, never to decide by."""

    clock: Clock

    async def observe(self) -> Snapshot:
        """What is there now, read afresh."""

    async def apply(self, change: Change) -> None:
        """Make it so. Raises HostRefused."""

    def watch(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Notice]]:
        """Notices from now on. The first is `Resynced`; one follows whenever notices were lost or a reader
        was too slow: a slow reader never holds up another."""
