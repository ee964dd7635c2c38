"""What a host has learned of its link from advertisements, and how one more changes it (RFC 4861 §6.3.4, RFC 4862
§5.5.3, RFC 4191, RFC 8106). A value; instants are on the caller's clock, None: without end.

All of it has a bound: anybody on the link can say to be a thousand routers.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

import attrs

from routerd.protocols.ndp.message import INFINITE, MoreSpecificRoute, Preference, Prefix, RouterAdvertisement

MOST_ROUTERS, MOST_PREFIXES, MOST_ROUTES, MOST_SERVERS, MOST_DOMAINS = 16, 32, 32, 8, 16
LEAST_MTU = 1280
TWO_HOURS = 7200.0
MOST_SILENCE = 9000.0
"""Seconds for which the word of a router counts that is no default router: its flags and its MTU have no lifetime of
their own. The longest that one may be silent and is a default router all the same (RFC 4861 §6.2.1)."""

K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen
class Router:
    """A router of the link, by its link-local address. `until`: how long it is a default router; in the past: it is
    none, but what it says of the link holds until `known_until` (RFC 4861 §4.2). `confirmed`: it was heard since the
    link came up. `reachable`: it answers, as far as anybody knows."""

    address: IPv6Address
    until: float
    known_until: float
    preference: Preference
    managed: bool
    other: bool
    hop_limit: int
    mtu: int | None
    link_address: bytes | None
    confirmed: bool = True
    reachable: bool = True


@attrs.frozen
class LearnedPrefix:
    """A prefix of the link. `on_link_until`: neighbours are reached without a router; `valid_until` and
    `preferred_until`: of the address that SLAAC makes of it. An instant in the past: it is not so, or no more."""

    prefix: IPv6Network
    router: IPv6Address
    on_link_until: float | None
    valid_until: float | None
    preferred_until: float | None


@attrs.frozen
class LearnedRoute:
    """A route by a router alone."""

    prefix: IPv6Network
    router: IPv6Address
    preference: Preference
    until: float | None


@attrs.frozen
class Learned:
    """All of it. Of `name_servers` and `search_domains` the value is until when they may be used."""

    routers: Mapping[IPv6Address, Router] = attrs.field(factory=dict)
    prefixes: Mapping[IPv6Network, LearnedPrefix] = attrs.field(factory=dict)
    routes: Mapping[tuple[IPv6Network, IPv6Address], LearnedRoute] = attrs.field(factory=dict)
    name_servers: Mapping[IPv6Address, float | None] = attrs.field(factory=dict)
    search_domains: Mapping[str, float | None] = attrs.field(factory=dict)

    def default_routers(self, now: float) -> tuple[Router, ...]:
        """The best one first (RFC 4861 §6.3.6, RFC 4191 §3.2)."""
        present = (router for router in self.routers.values() if router.until > now)
        return tuple(sorted(present, key=lambda router: (_rank(router, now), router.address)))

    def ends(self, now: float) -> float | None:
        """The next instant at which something of it is over."""
        instants = (
            *(end for router in self.routers.values() for end in (router.until, router.known_until)),
            *(end for p in self.prefixes.values() for end in (p.on_link_until, p.valid_until, p.preferred_until)),
            *(route.until for route in self.routes.values()),
            *self.name_servers.values(),
            *self.search_domains.values(),
        )
        return min((end for end in instants if end is not None and end > now), default=None)

    def at(self, now: float) -> Learned:
        """Without what is over at `now`."""
        return Learned(
            {key: one for key, one in self.routers.items() if one.known_until > now},
            {key: one for key, one in self.prefixes.items() if _stays(one, now)},
            {key: one for key, one in self.routes.items() if _lasts(one.until, now)},
            {key: until for key, until in self.name_servers.items() if _lasts(until, now)},
            {key: until for key, until in self.search_domains.items() if _lasts(until, now)},
        )

    def unconfirmed(self) -> Learned:
        """As it is after the link was down: it may be another one."""
        routers = {key: attrs.evolve(one, confirmed=False, reachable=True) for key, one in self.routers.items()}
        return attrs.evolve(self, routers=routers)

    def answered(self, address: IPv6Address) -> Learned:
        """A router that was asked is there."""
        here = attrs.evolve(self.routers[address], confirmed=True, reachable=True)
        return attrs.evolve(self, routers={**self.routers, address: here})

    def silent(self, addresses: list[IPv6Address]) -> Learned:
        """Routers that were asked did not answer."""
        gone = {one: attrs.evolve(self.routers[one], reachable=False) for one in addresses if one in self.routers}
        return attrs.evolve(self, routers={**self.routers, **gone})

    def without_default_router(self, address: IPv6Address, now: float) -> Learned:
        """One is no default router any more; all else that it said holds."""
        return attrs.evolve(self, routers={**self.routers, address: attrs.evolve(self.routers[address], until=now)})

    def with_room_for(self, advertisement: RouterAdvertisement, source: IPv6Address, now: float) -> Learned | None:
        """As it is; or without the router that is used last, if there are too many and who comes would be used before
        it; None if not."""
        if source in self.routers or len(self.routers) < MOST_ROUTERS:
            return self
        last = max(self.routers.values(), key=lambda router: _rank(router, now))
        if _rank(last, now) <= _rank(_router(None, advertisement, source, now), now):
            return None
        return attrs.evolve(self, routers={key: one for key, one in self.routers.items() if one is not last})

    def without(self, gone: frozenset[IPv6Address]) -> Learned:
        """Without some routers and what only they said."""
        return attrs.evolve(
            self,
            routers={key: one for key, one in self.routers.items() if key not in gone},
            prefixes={key: one for key, one in self.prefixes.items() if one.router not in gone},
            routes={key: one for key, one in self.routes.items() if one.router not in gone},
        )

    def heard(self, advertisement: RouterAdvertisement, source: IPv6Address, now: float) -> Learned:
        """After one advertisement more, of a router for which there is room. What is too much of it is passed over."""
        return attrs.evolve(
            self,
            routers={**self.routers, source: _router(self.routers.get(source), advertisement, source, now)},
            prefixes=_bounded(
                self.prefixes,
                {p.prefix: _prefix(self.prefixes.get(p.prefix), p, source, now) for p in advertisement.prefixes},
                MOST_PREFIXES,
            ),
            routes=_bounded(
                self.routes,
                {(r.prefix, source): _route(r, source, now) for r in advertisement.routes},
                MOST_ROUTES,
            ),
            name_servers=_bounded(
                self.name_servers,
                {a: _until(one.lifetime, now) for one in advertisement.name_servers for a in one.addresses},
                MOST_SERVERS,
            ),
            search_domains=_bounded(
                self.search_domains,
                {name: _until(one.lifetime, now) for one in advertisement.search_domains for name in one.names},
                MOST_DOMAINS,
            ),
        ).at(now)


def _rank(router: Router, now: float) -> tuple[bool, bool, bool, int]:
    """Which one is used: the least. Default routers before others, those that were heard on this link before those that
    were not yet, and those that answer before those that do not."""
    return router.until <= now, not router.confirmed, not router.reachable, -router.preference


def _router(before: Router | None, told: RouterAdvertisement, source: IPv6Address, now: float) -> Router:
    """What it does not say, or not in this message, stays as it was (RFC 4861 §6.3.4): a router may say part of it each
    time (§6.2.3)."""
    mtu = told.mtu
    return Router(
        address=source,
        until=now + told.lifetime,
        known_until=now + max(told.lifetime, MOST_SILENCE),
        preference=told.preference,
        managed=told.managed,
        other=told.other,
        hop_limit=told.hop_limit or (before.hop_limit if before is not None else 0),
        mtu=mtu if mtu is not None and mtu >= LEAST_MTU else (before.mtu if before is not None else None),
        link_address=told.link_address or (before.link_address if before is not None else None),
        reachable=before is None or before.reachable,  # we hear it: it need not hear us (RFC 4861 §7.3.1)
    )


def _bounded(known: Mapping[K, V], fresh: Mapping[K, V], most: int) -> Mapping[K, V]:
    """`known` brought up to date, with as much that is new as there is room for."""
    room = most - len(known)
    new = [key for key in fresh if key not in known][: max(room, 0)]
    return {**known, **{key: value for key, value in fresh.items() if key in known or key in new}}


def _prefix(known: LearnedPrefix | None, told: Prefix, router: IPv6Address, now: float) -> LearnedPrefix:
    """What a flag does not speak for stays as it is (RFC 4861 §6.3.4, RFC 4862 §5.5.3 a)."""
    before = known if known is not None else LearnedPrefix(told.prefix, router, now, now, now)
    return LearnedPrefix(
        told.prefix,
        router,
        _until(told.valid, now) if told.on_link else before.on_link_until,
        _address_until(before.valid_until, told.valid, now) if told.autonomous else before.valid_until,
        _until(told.preferred, now) if told.autonomous else before.preferred_until,
    )


def _address_until(before: float | None, valid: int, now: float) -> float | None:
    """Anybody can send an advertisement, so that none may end an address within two hours (RFC 4862 §5.5.3 e)."""
    left = float("inf") if before is None else before - now
    if left <= 0 or valid > TWO_HOURS or valid > left:
        return _until(valid, now)
    return before if left <= TWO_HOURS else now + TWO_HOURS


def _route(told: MoreSpecificRoute, router: IPv6Address, now: float) -> LearnedRoute:
    return LearnedRoute(told.prefix, router, told.preference, _until(told.lifetime, now))


def _until(lifetime: int, now: float) -> float | None:
    return None if lifetime == INFINITE else now + lifetime


def _lasts(until: float | None, now: float) -> bool:
    return until is None or until > now


def _stays(one: LearnedPrefix, now: float) -> bool:
    return _lasts(one.on_link_until, now) or _lasts(one.valid_until, now)
