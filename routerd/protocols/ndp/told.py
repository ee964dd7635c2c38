"""What hosts of a LAN were told and may still go by: prefixes, name servers, search domains. Those that are announced,
and those that were and are taken back (RFC 7084 L-13, RFC 9096 §3.5, RFC 8106 §5). A value, made to outlive a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

import attrs

from routerd.protocols.ndp.announcement import VALID_LIMIT, Announcement
from routerd.protocols.ndp.identifier import SLAAC_LENGTH
from routerd.protocols.ndp.message import NameServers, Prefix, RouterAdvertisement, SearchDomains

TAKEN_BACK_FOR = 7200.0
"""Seconds for which something that is lost goes on to be told as such, at most (RFC 7084 L-13)."""
MOST_TAKEN_BACK = 16
"""Of a kind: a provider that gives another prefix each minute is not told of for two hours each time."""

Key = TypeVar("Key")


@attrs.frozen
class Told:
    """By each thing: until when hosts may go by it, on the caller's clock; None: it is announced at present."""

    prefixes: Mapping[IPv6Network, float | None] = attrs.field(factory=dict)
    name_servers: Mapping[IPv6Address, float | None] = attrs.field(factory=dict)
    search_domains: Mapping[str, float | None] = attrs.field(factory=dict)

    @property
    def announced(self) -> frozenset[IPv6Network | IPv6Address | str]:
        """What hosts may go by that nobody has taken back."""
        return frozenset((*_present(self.prefixes), *_present(self.name_servers), *_present(self.search_domains)))

    def after(self, before: Announcement | None, announced: Announcement, now: float) -> Told:
        """From `now` on this is announced, after `before` (None: nobody knows what that was): what was told and is not
        any more is taken back. `announced.former` is what others know of an earlier time."""
        last = Announcement() if before is None else before
        return Told(
            _after(self.prefixes, _prefixes(last, now), _prefixes(announced, now), dict(announced.former), now),
            _after(self.name_servers, _servers(last, now), _servers(announced, now), {}, now),
            _after(self.search_domains, _domains(last, now), _domains(announced, now), {}, now),
        )

    def at(self, now: float) -> Told:
        """Without what every host has forgotten."""
        return Told(_still(self.prefixes, now), _still(self.name_servers, now), _still(self.search_domains, now))

    def shifted(self, seconds: float) -> Told:
        """On another clock."""
        return Told(
            _shifted(self.prefixes, seconds),
            _shifted(self.name_servers, seconds),
            _shifted(self.search_domains, seconds),
        )

    def keeping(self, prefixes: frozenset[IPv6Network]) -> Told:
        """Some are not taken back after all: another router of the link goes on to tell of them."""
        kept = {prefix: until for prefix, until in self.prefixes.items() if until is None or prefix not in prefixes}
        return attrs.evolve(self, prefixes=kept)

    def taking_back(self, advertisement: RouterAdvertisement, now: float) -> RouterAdvertisement:
        """An advertisement that also says what is over. A host takes no valid lifetime under two hours for true
        (RFC 4862 §5.5.3), but a preferred lifetime of zero at once; and a name server's or domain's, too."""
        over = [
            Prefix(prefix, max(int(until - now), 0), 0, autonomous=prefix.prefixlen == SLAAC_LENGTH)
            for prefix, until in _ended(self.prefixes).items()
        ]
        servers, domains = tuple(_ended(self.name_servers)), tuple(_ended(self.search_domains))
        return attrs.evolve(
            advertisement,
            prefixes=(*advertisement.prefixes, *over),
            name_servers=(*advertisement.name_servers, *([NameServers(servers, 0)] if servers else [])),
            search_domains=(*advertisement.search_domains, *([SearchDomains(domains, 0)] if domains else [])),
        )


def _after(
    told: Mapping[Key, float | None],
    before: Mapping[Key, float],
    announced: Mapping[Key, float],
    former: Mapping[Key, float],
    now: float,
) -> dict[Key, float | None]:
    """`before` and `announced`: until when hosts go by what was announced, and by what is from now on."""
    known = {key: before.get(key, now + VALID_LIMIT) if until is None else until for key, until in told.items()}
    ends = {key: min(until, now + TAKEN_BACK_FOR) for key, until in {**former, **known}.items()}
    over = [key for key, until in ends.items() if until > now and not announced.get(key, now) > now]
    latest = sorted(over, key=lambda key: -ends[key])[:MOST_TAKEN_BACK]
    present: dict[Key, float | None] = dict.fromkeys(key for key, until in announced.items() if until > now)
    return present | {key: ends[key] for key in over if key in latest}


def _prefixes(announcement: Announcement, now: float) -> dict[IPv6Network, float]:
    told = {one.prefix: one.at(now) for one in announcement.prefixes}
    return {prefix: now + (one.valid if one is not None else 0) for prefix, one in told.items()}


def _servers(announcement: Announcement, now: float) -> dict[IPv6Address, float]:
    return {address: now + one.lifetime for one in announcement.name_servers for address in one.addresses}


def _domains(announcement: Announcement, now: float) -> dict[str, float]:
    return {name: now + one.lifetime for one in announcement.search_domains for name in one.names}


def _ended(told: Mapping[Key, float | None]) -> dict[Key, float]:
    return {key: until for key, until in told.items() if until is not None}


def _present(told: Mapping[Key, float | None]) -> list[Key]:
    return [key for key, until in told.items() if until is None]


def _still(told: Mapping[Key, float | None], now: float) -> dict[Key, float | None]:
    return {key: until for key, until in told.items() if until is None or until > now}


def _shifted(told: Mapping[Key, float | None], seconds: float) -> dict[Key, float | None]:
    return {key: None if until is None else until + seconds for key, until in told.items()}
