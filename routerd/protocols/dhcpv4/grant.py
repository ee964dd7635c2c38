"""What a server's OFFER or ACK grants: the message read as a `Lease`, and two leases compared.

Strict where a mistake would break the WAN (address, server, lease time), forgiving elsewhere: what is wrong
with an option costs that option alone, and a sentence in `Lease.notes`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TypeVar

import attrs

from routerd.protocols import words
from routerd.protocols.dhcpv4 import values
from routerd.protocols.dhcpv4.lease import Lease, LeaseRoute
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.malformed import Malformed

MAX_ROUTES = 64
MAX_SERVERS = 32
MAX_FUZZ = 1.0
DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")

_T = TypeVar("_T")
_NOT_CONTENT = frozenset(("server_id", "obtained_at", "t1", "t2", "expires_at", "notes", "reply"))
_CONTENT = tuple(field.name for field in attrs.fields(Lease) if field.name not in _NOT_CONTENT)


def read_grant(
    message: Message, *, sent_at: float, rng: random.Random, floor_mtu: int = 576, link_mtu: int | None
) -> Lease | Malformed:
    """The lease that an OFFER or ACK grants, or why it grants none (V4-5, V4-29).

    `sent_at` is when the answered message was sent: lease time counts from there (RFC 2131 §4.4.1). An option
    26 outside `floor_mtu`..`link_mtu` is ignored (V4-20); `link_mtu` None: the link sets no bound.
    """
    reading = _Reading(message.options)
    server_id = reading.value(Option.SERVER_ID, values.address)
    if server_id is None:
        return Malformed("no-server-id")
    if server_id in (ANY, BROADCAST) or server_id.is_multicast:
        return Malformed("bad-server-id")
    duration = reading.value(Option.LEASE_TIME, values.u32)
    if not duration:
        return Malformed("no-lease-time")
    own = _interface(message.yiaddr, reading)
    if isinstance(own, Malformed):
        return own
    t1, t2, expires_at = _times(duration, sent_at, rng, reading)
    routes = _routes(own, reading)
    return Lease(
        address=own,
        server_id=server_id,
        obtained_at=sent_at,
        t1=t1,
        t2=t2,
        expires_at=expires_at,
        routes=routes,
        gateway=next((route.gateway for route in routes if route.destination == DEFAULT_ROUTE), None),
        dns_servers=_servers(Option.DOMAIN_NAME_SERVER, reading),
        ntp_servers=_servers(Option.NTP_SERVERS, reading),
        domain=reading.value(Option.DOMAIN_NAME, values.domain_name),
        search=_search(reading),
        hostname=reading.value(Option.HOST_NAME, values.domain_name),
        broadcast=_broadcast(own, reading),
        mtu=_mtu(floor_mtu, link_mtu, reading),
        v6_only_wait=reading.value(Option.IPV6_ONLY_PREFERRED, values.u32),
        notes=tuple(reading.notes),
        reply=message,
    )


def differences(old: Lease, new: Lease) -> tuple[str, ...]:
    """Names of the attributes in which two leases differ as configuration: neither times nor server (V4-14, C15)."""
    return tuple(name for name in _CONTENT if getattr(old, name) != getattr(new, name))


class _Reading:
    """The options of one message while they are read, and what there is to say about them."""

    def __init__(self, options: Mapping[int, bytes]) -> None:
        self.options = options
        self.notes: list[str] = []

    def value(self, code: Option, decode: Callable[[bytes], _T | Malformed]) -> _T | None:
        """The option's value; None if it is absent, or void, which is noted."""
        raw = self.options.get(code)
        if raw is None:
            return None
        value = decode(raw)
        if isinstance(value, Malformed):
            self.note(f"option {code:d} is ignored: {value.reason}")
            return None
        return value

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def _is_host(address: IPv4Address) -> bool:
    """Whether the address can be one machine's: neither 0/8, 127/8, class D nor E (V4-29)."""
    first = int(address) >> 24
    return 0 < first < 224 and first != 127


def _interface(address: IPv4Address, reading: _Reading) -> IPv4Interface | Malformed:
    width = reading.value(Option.SUBNET_MASK, values.prefix_length)
    if width is None:
        reading.note("there is no subnet mask: the address stands alone, as /32")
    own = IPv4Interface((address, 32 if width is None else width))
    network = own.network
    if not _is_host(address):
        return Malformed("bad-address")
    if network.prefixlen < 31 and address in (network.network_address, network.broadcast_address):
        return Malformed("bad-address")
    return own


def _times(
    duration: int, sent_at: float, rng: random.Random, reading: _Reading
) -> tuple[float, float, float] | tuple[None, None, None]:
    """T1, T2 and expiry, absolute. T1 and T2 get some fuzz (RFC 2131 §4.4.5): up to a second either way, but no
    more than half of what lies between them and their neighbours, so that their order stays in any lease."""
    if duration == values.INFINITE:
        return None, None, None
    given = [reading.value(option, values.u32) for option in (Option.RENEWAL_TIME, Option.REBINDING_TIME)]
    match given:
        case [int(first), int(second)] if 0 < first < second < duration:
            t1, t2 = float(first), float(second)
        case _:
            t1, t2 = 0.5 * duration, 0.875 * duration
            if given != [None, None]:
                reading.note("options 58 and 59 are ignored: not 0 < T1 < T2 < lease time")
    fuzz = min(MAX_FUZZ, t1 / 2, (t2 - t1) / 2, (duration - t2) / 2)
    t1, t2 = t1 + rng.uniform(-fuzz, fuzz), t2 + rng.uniform(-fuzz, fuzz)
    return sent_at + t1, sent_at + t2, sent_at + duration


def _routes(own: IPv4Interface, reading: _Reading) -> tuple[LeaseRoute, ...]:
    """What shall be installed: option 121, else 249, else 33 and 3 (V4-17); on-link ones first, because a
    gateway may be reached through them (V4-18)."""
    granted = reading.value(Option.CLASSLESS_ROUTE, values.classless_routes)
    if Option.CLASSLESS_ROUTE not in reading.options:
        granted = reading.value(Option.MS_CLASSLESS_ROUTE, values.classless_routes)
    if granted is None:
        granted = (reading.value(Option.STATIC_ROUTE, values.static_routes) or ()) + _default(reading)
    elif all(route.destination != DEFAULT_ROUTE for route in granted):
        reading.note("the classless routes have no default route, so there is none (RFC 3442)")
    routes = _distinct(granted, own, reading)
    on_link = [route for route in routes if route.gateway is None]
    reached = [own.network, *(route.destination for route in on_link)]
    outside = dict.fromkeys(
        route.gateway
        for route in routes
        if route.gateway is not None and not any(route.gateway in network for network in reached)
    )
    to_gateways = [LeaseRoute(IPv4Network(gateway), None) for gateway in outside]
    return (*to_gateways, *on_link, *(route for route in routes if route.gateway is not None))


def _default(reading: _Reading) -> tuple[LeaseRoute, ...]:
    routers = reading.value(Option.ROUTER, values.addresses) or ()
    usable = tuple(LeaseRoute(DEFAULT_ROUTE, router) for router in routers if _is_host(router))
    if routers and not usable:
        reading.note(f"option {Option.ROUTER:d} is ignored: it names no address that a router can have")
    return usable[:1]


def _distinct(granted: Iterable[LeaseRoute], own: IPv4Interface, reading: _Reading) -> list[LeaseRoute]:
    """The first usable route to each destination, at most 64 (C17, V4-35). A gateway that is our own address
    means that the neighbours answer ARP for everybody: on-link."""
    routes: dict[IPv4Network, LeaseRoute] = {}
    unusable = surplus = 0
    for route in granted:
        if route.gateway is not None and not _is_host(route.gateway):
            unusable += 1
        elif route.destination in routes or len(routes) == MAX_ROUTES:
            surplus += 1
        else:
            routes[route.destination] = LeaseRoute(route.destination, None) if route.gateway == own.ip else route
    if unusable:
        reading.note(f"{unusable} routes are ignored: their gateway can be no machine's address")
    if surplus:
        reading.note(f"{surplus} routes are ignored: the first {MAX_ROUTES} to different destinations are kept")
    return list(routes.values())


def _servers(code: Option, reading: _Reading) -> tuple[IPv4Address, ...]:
    distinct = dict.fromkeys(reading.value(code, values.addresses) or ())
    usable = tuple(filter(_is_host, distinct))
    if len(usable) < len(distinct):
        reading.note(f"option {code:d} names {len(distinct) - len(usable)} addresses that no server can have")
    if len(usable) > MAX_SERVERS:
        reading.note(f"option {code:d} names {len(usable)} servers: the first {MAX_SERVERS} are kept")
    return usable[:MAX_SERVERS]


def _search(reading: _Reading) -> tuple[str, ...]:
    names = reading.value(Option.DOMAIN_SEARCH, lambda raw: words.domain_names(raw, MAX_SERVERS + 1)) or ()
    if len(names) > MAX_SERVERS:
        reading.note(f"option {Option.DOMAIN_SEARCH:d} is cut after {MAX_SERVERS} names")
    return names[:MAX_SERVERS]


def _broadcast(own: IPv4Interface, reading: _Reading) -> IPv4Address | None:
    """Option 28, if it is the subnet's all ones, or all zeros as of old: the kernel would broadcast what goes to
    the address, so it must not be anybody's."""
    found = reading.value(Option.BROADCAST_ADDRESS, values.address)
    network = own.network
    if found is None or (network.prefixlen < 31 and found in (network.network_address, network.broadcast_address)):
        return found
    reading.note(f"option {Option.BROADCAST_ADDRESS:d} is ignored: {found} is no broadcast address of {network}")
    return None


def _mtu(floor: int, ceiling: int | None, reading: _Reading) -> int | None:
    mtu = reading.value(Option.INTERFACE_MTU, values.u16)
    highest = 0xFFFF if ceiling is None else ceiling
    if mtu is not None and not floor <= mtu <= highest:
        reading.note(f"option {Option.INTERFACE_MTU:d} is ignored: {mtu} is not within {floor}..{highest}")
        return None
    return mtu
