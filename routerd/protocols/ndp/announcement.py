"""What a router tells its LAN, with lifetimes as instants; and how they become the seconds of one advertisement."""

from __future__ import annotations

from ipaddress import IPv6Network

import attrs

from routerd.protocols.ndp.message import (
    INFINITE,
    MoreSpecificRoute,
    NameServers,
    Preference,
    Prefix,
    RouterAdvertisement,
    SearchDomains,
)

PREFERRED_LIMIT, VALID_LIMIT = 2700, 5400
"""Seconds: what a host may take for granted of a delegated prefix, however long the lease (RFC 9096 §3.4)."""


@attrs.frozen
class LanPrefix:
    """A prefix of the LAN. `preferred_until` and `valid_until` are on the caller's clock, None: without end. Hosts are
    never told more than `preferred_limit` and `valid_limit` seconds (None: no limit): the defaults are for one that is
    somebody else's, who may take it back."""

    prefix: IPv6Network
    preferred_until: float | None = None
    valid_until: float | None = None
    on_link: bool = True
    autonomous: bool = True
    preferred_limit: int | None = PREFERRED_LIMIT
    valid_limit: int | None = VALID_LIMIT

    def at(self, now: float) -> Prefix | None:
        """As hosts are told at `now`; None once it is over."""
        valid = _left(self.valid_until, now, self.valid_limit)
        preferred = min(_left(self.preferred_until, now, self.preferred_limit), valid)
        return Prefix(self.prefix, valid, preferred, self.on_link, self.autonomous) if valid else None


@attrs.frozen
class LanRoute:
    """What is reached by this router whether or not it is a default router (RFC 7084 L-3), told for `limit` seconds at
    most, and not for longer than until `valid_until` on the caller's clock; None: without end."""

    prefix: IPv6Network
    limit: int
    valid_until: float | None = None

    def at(self, now: float) -> MoreSpecificRoute:
        """As hosts are told at `now`."""
        return MoreSpecificRoute(self.prefix, _left(self.valid_until, now, self.limit))


@attrs.frozen
class Announcement:
    """What shall be told. `lifetime` (seconds) of this router as a default router, 0: it is none. `mtu` None: as the
    link has it. `former`: prefixes that are known to have been the LAN's, and until when hosts may use them: no part of
    what is told as such, and so no difference."""

    prefixes: tuple[LanPrefix, ...] = ()
    lifetime: int = 1800
    managed: bool = False
    other: bool = False
    preference: Preference = Preference.MEDIUM
    hop_limit: int = 64
    mtu: int | None = None
    routes: tuple[LanRoute, ...] = ()
    name_servers: tuple[NameServers, ...] = ()
    search_domains: tuple[SearchDomains, ...] = ()
    former: tuple[tuple[IPv6Network, float], ...] = attrs.field(default=(), eq=False)

    @property
    def farewell(self) -> Announcement:
        """What is told at the end: no router, and nothing to go by any more (RFC 4861 §6.2.5)."""
        over = tuple(attrs.evolve(one, limit=0) for one in self.routes)
        return attrs.evolve(self, lifetime=0, prefixes=(), routes=over, name_servers=(), search_domains=())

    def advertisement(self, now: float, link_address: bytes) -> RouterAdvertisement:
        """The message at `now`."""
        return RouterAdvertisement(
            lifetime=self.lifetime,
            managed=self.managed,
            other=self.other,
            preference=self.preference,
            hop_limit=self.hop_limit,
            link_address=link_address,
            mtu=self.mtu,
            prefixes=tuple(told for one in self.prefixes if (told := one.at(now)) is not None),
            routes=tuple(one.at(now) for one in self.routes),
            name_servers=self.name_servers,
            search_domains=self.search_domains,
        )


def _left(until: float | None, now: float, limit: int | None) -> int:
    """Whole seconds until an instant, never more than there are."""
    left = INFINITE if until is None else max(0, min(int(until - now), INFINITE - 1))
    return left if limit is None else min(left, limit)
