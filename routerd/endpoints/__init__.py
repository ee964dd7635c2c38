"""Sockets and frames only: where bytes enter and leave. No protocol is understood here.

`Endpoints` is the seam: `packet_linux` and `udp` on Linux, a BPF twin on FreeBSD, `simulated` in memory.
Every open_x is an async context manager that owns its socket. A send that fails with ENETDOWN, ENOBUFS,
EHOSTUNREACH, … raises OSError: the daemon tells its machine, and that is all.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Protocol

import attrs

Tap = Literal["dhcpv4", "arp"]
"""What a packet endpoint sees: `dhcpv4` = IPv4 UDP to port 68, unfragmented or first fragments; `arp` = ethertype
0x0806."""


@attrs.frozen
class Marking:
    """How control packets are marked (C12): DSCP 0..63 for the IP header, PCP 0..7 for the VLAN tag."""

    dscp: int = 0
    pcp: int = 0


@attrs.frozen
class Frame:
    """One Ethernet frame as received, header included. `checksum_valid` None: the kernel does not vouch for
    it, verify; False never occurs; True: verified, or not yet filled in by the sending kernel
    (TP_STATUS_CSUMNOTREADY), so do not verify. `ours`: our own frame looped back by the kernel."""

    data: bytes
    checksum_valid: Literal[True] | None = None
    ours: bool = False


@attrs.frozen
class Datagram:
    """One UDP datagram as received on a bound socket."""

    payload: bytes
    source: IPv4Address
    source_port: int
    destination: IPv4Address


@attrs.frozen
class Datagram6:
    """One UDP datagram over IPv6 as received on a bound socket. `destination` is told because a server's answer must
    have come to us alone (V6-4)."""

    payload: bytes
    source: IPv6Address
    source_port: int
    destination: IPv6Address


@attrs.frozen
class Icmpv6:
    """One ICMPv6 message from its type on, its checksum checked by the kernel. `hop_limit` 255: it comes from this link
    and no further (RFC 4861 §6.1)."""

    payload: bytes
    source: IPv6Address
    target: IPv6Address
    hop_limit: int


class PacketEndpoint(Protocol):
    """Raw Ethernet on one link."""

    async def send(self, frame: bytes) -> None:
        """Send one complete frame. Raises OSError."""

    async def receive(self) -> Frame:
        """The next frame that the tap lets through. A link that goes down is not an error; the device's
        deletion raises OSError(ENODEV) at once or never: the host's notices tell it."""


class DatagramEndpoint(Protocol):
    """UDP port 68 on one link; stays bound while routerd runs, so that the kernel sends no ICMP port-unreachable
    (V4-38)."""

    async def send(self, payload: bytes, source: IPv4Address, destination: IPv4Address, port: int) -> None:
        """Send from `source` by this link, whatever the routing table says (V4-32). Raises OSError."""

    async def receive(self) -> Datagram:
        """The next datagram."""


class Datagram6Endpoint(Protocol):
    """UDP port 546 on one link (RFC 9915 §7.2)."""

    async def send(self, payload: bytes, source: IPv6Address, destination: IPv6Address, port: int) -> None:
        """Send from `source`, which is an address of this link, by this link. Raises OSError."""

    async def receive(self) -> Datagram6:
        """The next datagram, from whatever port and address."""


class NdpEndpoint(Protocol):
    """Neighbor Discovery on one link: solicitations and advertisements of routers and neighbours. The kernel goes on to
    speak for itself beside us."""

    async def send(self, payload: bytes, source: IPv6Address, target: IPv6Address) -> None:
        """Send one message with hop limit 255; its checksum is filled in. Raises OSError."""

    async def receive(self) -> Icmpv6:
        """The next message that another station sent."""


class Endpoints(Protocol):
    """Opens endpoints on links; `index` and `name` as in `routerd.host.Link`."""

    def open_packet(
        self, index: int, name: str, tap: Tap, marking: Marking
    ) -> AbstractAsyncContextManager[PacketEndpoint]:
        """A raw tap. Raises OSError (no such device, not permitted)."""

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[DatagramEndpoint]:
        """The UDP socket of a DHCPv4 client. Raises OSError (port in use, not permitted)."""

    def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[Datagram6Endpoint]:
        """The UDP socket of a DHCPv6 client. Raises OSError (port in use, not permitted)."""

    def open_ndp(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[NdpEndpoint]:
        """Neighbor Discovery. Raises OSError (no such device, not permitted)."""
