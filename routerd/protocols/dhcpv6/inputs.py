"""What can happen to a DHCPv6 client, beside Start, Stop and Tick."""

from __future__ import annotations

from ipaddress import IPv6Address

import attrs

from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.message import SERVER_PORT, Message


@attrs.frozen
class Received:
    """A well-formed message came. Source address and port may be any (V6-4); `unicast`: it came to our own address,
    not to a group."""

    message: Message
    source: IPv6Address
    source_port: int = SERVER_PORT
    unicast: bool = True


@attrs.frozen
class LinkUp:
    """The link has carrier, and a link-local address that nobody else has: duplicate address detection is over, or
    IPv6CP has agreed on it (V6-3). A `mac` or `ifindex` other than before is a new link identity (C14), but on
    point-to-point links, which have no `mac` and whose interfaces come and go (V6-31)."""

    ifindex: int
    mac: bytes
    link_local: IPv6Address


@attrs.frozen
class LinkDown:
    """Carrier lost, or the interface was set down. Configuration stays for now (C11)."""


@attrs.frozen
class LinkGone:
    """The interface was deleted."""


@attrs.frozen
class SendFailed:
    """The last `Send` did not leave: counts as a transmission; the timer runs on."""

    reason: str


@attrs.frozen
class Conflict:
    """Duplicate address detection found that somebody else has this address of ours (RFC 4862 §5.4)."""

    address: IPv6Address


@attrs.frozen
class NetworkChanged:
    """Router advertisements say that this may be another network than before (RFC 6059, V6-42)."""


@attrs.frozen
class Renew:
    """Operator: extend the leases now, at the server that granted them."""


@attrs.frozen
class Rebind:
    """Operator: extend the leases now, at any server."""


@attrs.frozen
class Release:
    """Operator: give the leases back and stay without until Start."""


@attrs.frozen
class RequestInformation:
    """Operator, or a router that sets the O flag: ask for other configuration now."""


@attrs.frozen
class Flush:
    """Operator: forget every lease without telling anybody, and begin anew."""


@attrs.frozen
class Leave:
    """End, as by Stop; but these are not wanted any more, and are given back first. The others are remembered."""

    given_back: frozenset[Association]


Command = Renew | Rebind | Release | RequestInformation | Flush
Input = Received | LinkUp | LinkDown | LinkGone | SendFailed | Conflict | NetworkChanged | Leave | Command
