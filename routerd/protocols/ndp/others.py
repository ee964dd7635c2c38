"""Who else says to be a router of our LAN, and in what they contradict us (RFC 4861 §6.2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.ndp.announcement import Announcement
from routerd.protocols.ndp.message import Prefix, RouterAdvertisement

MOST_OTHERS = 32
"""Other routers of the link that are told apart."""
FORGOTTEN_AFTER = 9000.0
"""Seconds of silence: no router lasts longer (RFC 4861 §6.2.1)."""
MOST_WORDS, PERIOD = 3, 600.0
"""About one router within so many seconds: who cannot make up its mind is not worth an event each time."""
TOLERANCE = 60
"""Seconds by which lifetimes of a prefix may differ: those of some run down, those of others do not."""


@attrs.frozen
class OtherRouter:
    """Somebody else on this LAN says to be a router, for the first time or otherwise than before. `inconsistent` names
    what differs from ours although routers of a link should agree on it."""

    source: IPv6Address
    advertisement: RouterAdvertisement
    inconsistent: tuple[str, ...]


@attrs.frozen
class _Known:
    advertisement: RouterAdvertisement
    heard_at: float
    word: tuple[object, ...]
    since: float
    words: int


class OtherRouters:
    """Those that were heard of late."""

    def __init__(self) -> None:
        self._known: dict[IPv6Address, _Known] = {}

    def heard(
        self, source: IPv6Address, advertisement: RouterAdvertisement, ours: Announcement | None, now: float
    ) -> OtherRouter | str:
        """What is to be said of it; or why nothing is."""
        known = self._known.get(source)
        if known is None and not self._has_room(now):
            return "too-many-routers"
        differing = () if ours is None else tuple(_differences(ours, advertisement, now))
        word = (bool(advertisement.lifetime), *_word(advertisement), differing)
        if known is None or known.since + PERIOD <= now:
            known = _Known(advertisement, now, () if known is None else known.word, now, 0)
        if known.word == word or known.words >= MOST_WORDS:
            self._known[source] = attrs.evolve(known, advertisement=advertisement, heard_at=now)
            return "known-router"
        self._known[source] = _Known(advertisement, now, word, known.since, known.words + 1)
        return OtherRouter(source, advertisement, differing)

    def prefer(self, now: float) -> frozenset[IPv6Network]:
        """The prefixes that one of them tells of, as such that hosts may use."""
        live = [one.advertisement.prefixes for one in self._known.values() if one.heard_at + FORGOTTEN_AFTER > now]
        return frozenset(told.prefix for prefixes in live for told in prefixes if told.preferred)

    def _has_room(self, now: float) -> bool:
        if len(self._known) >= MOST_OTHERS:
            self._known = {key: one for key, one in self._known.items() if one.heard_at + FORGOTTEN_AFTER > now}
        return len(self._known) < MOST_OTHERS


def _word(advertisement: RouterAdvertisement) -> tuple[object, ...]:
    """What it says, without what runs down by itself."""
    prefixes = frozenset((told.prefix, bool(told.preferred)) for told in advertisement.prefixes)
    return advertisement.managed, advertisement.other, advertisement.mtu, prefixes


def _differences(ours: Announcement, other: RouterAdvertisement, now: float) -> Iterator[str]:
    """What the routers of a link should agree on and do not. What one of them leaves open is no difference."""
    if not other.lifetime:
        return
    pairs = {
        "hopLimit": (ours.hop_limit or other.hop_limit, other.hop_limit or ours.hop_limit),
        "managed": (ours.managed, other.managed),
        "other": (ours.other, other.other),
        "mtu": (ours.mtu or other.mtu, other.mtu or ours.mtu),
    }
    yield from (name for name, (here, there) in pairs.items() if here != there)
    told = {one.prefix: one for one in other.prefixes}
    for prefix in ours.prefixes:
        here, there = prefix.at(now), told.get(prefix.prefix)
        if here is not None and there is not None and not _agree(here, there):
            yield f"prefix {prefix.prefix}"


def _agree(here: Prefix, there: Prefix) -> bool:
    lifetimes = (here.valid - there.valid, here.preferred - there.preferred)
    flags = (here.on_link, here.autonomous) == (there.on_link, there.autonomous)
    return flags and all(abs(difference) <= TOLERANCE for difference in lifetimes)
