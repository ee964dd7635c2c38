"""What can happen to a DHCPv4 client, beside Start, Stop and Tick."""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs

from routerd.protocols.arp.packet import ArpPacket
from routerd.protocols.dhcpv4.message import Message


@attrs.frozen
class Received:
    """A well-formed message came. `source` is the IP source, `source_port` should be 67 but need not (V4-27);
    `unicast`: it came to our own address, not to the broadcast address."""

    message: Message
    source: IPv4Address
    source_port: int = 67
    unicast: bool = False


@attrs.frozen
class ReceivedArp:
    """A well-formed ARP packet was seen on the link."""

    packet: ArpPacket


@attrs.frozen
class LinkUp:
    """The link has carrier. A `mac` or `ifindex` other than before is a new link identity (C14).
    `arp` False: NOARP or point-to-point, conflict detection does not apply (ARP-6)."""

    ifindex: int
    mac: bytes
    mtu: int
    arp: bool = True


@attrs.frozen
class LinkDown:
    """Carrier lost, or the interface was set down. Configuration stays for now (C11)."""


@attrs.frozen
class LinkGone:
    """The interface was deleted (V4-39)."""


@attrs.frozen
class SendFailed:
    """The last `Send` did not leave: counts as a transmission; the timer runs on (V4-31, V4-39)."""

    reason: str


@attrs.frozen
class Renew:
    """Operator: extend the lease now, from the server that granted it."""


@attrs.frozen
class Rebind:
    """Operator: extend the lease now, from any server."""


@attrs.frozen
class Release:
    """Operator: give the lease back and stay without one until Start."""


Input = Received | ReceivedArp | LinkUp | LinkDown | LinkGone | SendFailed | Renew | Rebind | Release
