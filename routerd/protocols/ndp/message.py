"""The messages of Neighbor Discovery that we speak, as values. Lifetimes are seconds; `INFINITE` never ends."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv6Address, IPv6Network

import attrs

INFINITE = 0xFFFFFFFF
ALL_NODES = IPv6Address("ff02::1")
ALL_ROUTERS = IPv6Address("ff02::2")


class Preference(IntEnum):
    """How much a router, or a route by it, is to be preferred (RFC 4191 §2.1). As two bits, signed."""

    LOW = -1
    MEDIUM = 0
    HIGH = 1


@attrs.frozen
class Prefix:
    """A prefix of the link (RFC 4861 §4.6.2). `autonomous`: hosts make addresses of it (SLAAC)."""

    prefix: IPv6Network
    valid: int
    preferred: int
    on_link: bool = True
    autonomous: bool = True


@attrs.frozen
class MoreSpecificRoute:
    """A route by this router alone (RFC 4191 §2.3)."""

    prefix: IPv6Network
    lifetime: int
    preference: Preference = Preference.MEDIUM


@attrs.frozen
class NameServers:
    """Recursive DNS servers (RFC 8106 §5.1)."""

    addresses: tuple[IPv6Address, ...]
    lifetime: int


@attrs.frozen
class SearchDomains:
    """Domains in which hosts look for short names (RFC 8106 §5.2), without a dot at the end."""

    names: tuple[str, ...]
    lifetime: int


@attrs.frozen
class RouterSolicitation:
    """Somebody asks for routers (RFC 4861 §4.1). `link_address` is the sender's."""

    link_address: bytes | None = None


@attrs.frozen
class RouterAdvertisement:
    """A router tells of itself and of its link (RFC 4861 §4.2). `lifetime` 0: it is no default router. `hop_limit`,
    `reachable` and `retransmit` (milliseconds) 0: it does not say."""

    lifetime: int = 0
    managed: bool = False
    other: bool = False
    preference: Preference = Preference.MEDIUM
    hop_limit: int = 0
    reachable: int = 0
    retransmit: int = 0
    link_address: bytes | None = None
    mtu: int | None = None
    prefixes: tuple[Prefix, ...] = ()
    routes: tuple[MoreSpecificRoute, ...] = ()
    name_servers: tuple[NameServers, ...] = ()
    search_domains: tuple[SearchDomains, ...] = ()


@attrs.frozen
class NeighborSolicitation:
    """Who has `target`, and is it still there (RFC 4861 §4.3)?"""

    target: IPv6Address
    link_address: bytes | None = None


@attrs.frozen
class NeighborAdvertisement:
    """`target` is here (RFC 4861 §4.4)."""

    target: IPv6Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    link_address: bytes | None = None


NdpMessage = RouterSolicitation | RouterAdvertisement | NeighborSolicitation | NeighborAdvertisement


@attrs.frozen
class NdpPacket:
    """A message with what the IPv6 header says of it. Sent: `hop_limit` is 255."""

    message: NdpMessage
    source: IPv6Address
    target: IPv6Address
    hop_limit: int = 255
