"""An advertisement that one packet cannot hold, as several. Messages of Neighbor Discovery are not fragmented (RFC 6980
§5), and what one of them does not say stays with hosts as another has said it (RFC 4861 §6.2.3, §6.3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from routerd.protocols.ndp.message import RouterAdvertisement, SearchDomains

MOST_OCTETS = 1280 - 40
"""What every link of IPv6 carries, without the header."""
_HEAD = 16 + 8 + 8
"""The fixed part, our address on the link, and the MTU: in each of them."""


def parts(whole: RouterAdvertisement) -> tuple[RouterAdvertisement, ...]:
    """`whole`, or its options spread over as many as it takes."""
    options = list(_options(whole))
    room = MOST_OCTETS - _HEAD
    if sum(octets for _, _, octets in options) <= room:
        return (whole,)
    bare = attrs.evolve(whole, prefixes=(), routes=(), name_servers=(), search_domains=())
    found, left = [bare], room
    for field, option, octets in options:
        if octets > left:
            found.append(bare)
            left = room
        more: dict[str, Any] = {field: (*getattr(found[-1], field), option)}
        found[-1] = attrs.evolve(found[-1], **more)
        left -= octets
    return tuple(found)


def _options(whole: RouterAdvertisement) -> Iterator[tuple[str, object, int]]:
    """Field, value and octets of each; every domain is an option of its own."""
    for prefix in whole.prefixes:
        yield "prefixes", prefix, 32
    for route in whole.routes:
        yield "routes", route, 8 + 8 * ((route.prefix.prefixlen + 63) // 64)
    for servers in whole.name_servers:
        yield "name_servers", servers, 8 + 16 * len(servers.addresses)
    for domains in whole.search_domains:
        for name in domains.names:
            yield "search_domains", SearchDomains((name,), domains.lifetime), (8 + len(name) + 2 + 7) // 8 * 8
