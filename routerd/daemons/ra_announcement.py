"""What a LAN is told: made of the declared IPv6RouterAdvertisement and of what is true around it. Pure.

A delegated prefix is told of for as long as its lease lasts, and never for longer than RFC 9096 §3.4 allows (V6-23).
Without a default route this router is none for its hosts (RFC 7084 G-4): they keep their addresses and talk to each
other, those of other LANs of the same lease among them (L-3), and do not send what nobody would take.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.ndp.announcement import Announcement, LanPrefix, LanRoute
from routerd.protocols.ndp.message import NameServers, Preference, SearchDomains
from routerd.resources.net6 import IPv6RouterAdvertisement

MOST_ROUTER_LIFETIME = 9000
"""Seconds (RFC 4861 §6.2.1)."""
INTERVALS = 3
"""Times the longest interval for which name servers are told (RFC 8106 §5.1)."""
ROUTE_LIFETIME = 1800
"""Seconds for which hosts are told of all of a lease, as they are of a default router."""
AUTONOMOUS_LENGTH = 64
MOST_SERVERS = 8


@attrs.frozen
class Delegated:
    """A subnet out of a lease, of which `whole` is all. Instants are on the host's clock, None: without end."""

    prefix: IPv6Network
    preferred_until: float | None
    valid_until: float | None
    whole: IPv6Network | None = None


@attrs.frozen
class LanFacts:
    """What is true around an IPv6RouterAdvertisement: the subnets of its interface that shall be announced, those that
    were (and until when hosts may use them: that makes no difference to anything else), what its `*From` references
    give, and whether there is a default route."""

    delegated: tuple[Delegated, ...] = ()
    former: tuple[tuple[IPv6Network, float], ...] = attrs.field(default=(), eq=False)
    rdnss: tuple[IPv6Address, ...] = ()
    dnssl: tuple[str, ...] = ()
    default_route: bool = False


def announcement_of(spec: IPv6RouterAdvertisement, facts: LanFacts) -> Announcement:
    """The whole of it."""
    servers = (*spec.rdnss, *(one for one in facts.rdnss if one not in spec.rdnss))[:MOST_SERVERS]
    domains = (*spec.dnssl, *(one for one in facts.dnssl if one not in spec.dnssl))
    lasting = round(INTERVALS * spec.max_interval)
    return Announcement(
        prefixes=tuple(_prefixes(spec, facts)),
        lifetime=min(round(spec.router_lifetime), MOST_ROUTER_LIFETIME) if facts.default_route else 0,
        managed=spec.m_flag,
        other=spec.o_flag,
        preference=Preference[spec.prf_preference.upper()],
        mtu=spec.mtu,
        routes=tuple(_routes(facts)),
        name_servers=(NameServers(servers, lasting),) if servers else (),
        search_domains=(SearchDomains(domains, lasting),) if domains else (),
        former=facts.former,
    )


def _routes(facts: LanFacts) -> Iterator[LanRoute]:
    """To all of each lease; what of it is in no LAN we refuse ourselves."""
    leases = {one.whole: one for one in facts.delegated if one.whole is not None and one.whole != one.prefix}
    for whole, one in leases.items():
        yield LanRoute(whole, ROUTE_LIFETIME, one.valid_until)


def _prefixes(spec: IPv6RouterAdvertisement, facts: LanFacts) -> Iterator[LanPrefix]:
    """One's own, then those of leases; each once."""
    seen = set()
    if spec.prefix is not None:
        seen.add(spec.prefix)
        yield _own(spec, spec.prefix)
    for one in facts.delegated:
        if one.prefix not in seen:
            seen.add(one.prefix)
            autonomous = one.prefix.prefixlen == AUTONOMOUS_LENGTH
            yield LanPrefix(one.prefix, one.preferred_until, one.valid_until, autonomous=autonomous)


def _own(spec: IPv6RouterAdvertisement, prefix: IPv6Network) -> LanPrefix:
    """The lifetimes that are declared are told anew each time; else those that every delegated prefix has at most."""
    told = LanPrefix(prefix, autonomous=prefix.prefixlen == AUTONOMOUS_LENGTH)
    preferred, valid = spec.preferred_lifetime, spec.valid_lifetime
    return attrs.evolve(
        told,
        preferred_limit=told.preferred_limit if preferred is None else round(preferred),
        valid_limit=_valid(told.valid_limit, preferred) if valid is None else round(valid),
    )


def _valid(usual: int | None, preferred: float | None) -> int | None:
    """No address is preferred for longer than it is valid."""
    return usual if usual is None or preferred is None else max(usual, round(preferred))
