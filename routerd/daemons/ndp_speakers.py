"""Who on a link is listened to: anybody there can advertise as much as they like, and under as many names."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from routerd.protocols.ndp.message import NdpPacket, RouterAdvertisement
from routerd.protocols.retransmit import TokenBucket

MOST_HEARD = 64
"""Routers whose advertisements are counted apart."""


class Speakers:
    """Those who were heard, by their addresses; `now` is the clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heard: dict[IPv6Address, TokenBucket] = {}
        self._newcomers = TokenBucket()

    def objection(self, packet: NdpPacket) -> str:
        """Why a packet is not listened to, as a countable word; empty: it is."""
        advertises = isinstance(packet.message, RouterAdvertisement)
        return "too-often" if advertises and not self._may_speak(packet.source) else ""

    def _may_speak(self, router: IPv6Address) -> bool:
        """No router advertises more often (RFC 4861 §6.2.6): one that changes its mind a hundred times a second must
        not do so with our routes, statuses and events. Nor may one that has a new name each time; those that were
        heard before do not suffer from that."""
        now, known = self._now(), self._heard.get(router)
        if known is not None and known.ready_at() > now:
            return False
        if known is None:
            self._heard = {one: bucket for one, bucket in self._heard.items() if self._is_remembered(bucket, now)}
            if self._newcomers.ready_at() > now or len(self._heard) >= MOST_HEARD:
                return False
            self._newcomers = self._newcomers.take(now)
        self._heard[router] = (known or TokenBucket()).take(now)
        return True

    def _is_remembered(self, bucket: TokenBucket, now: float) -> bool:
        """Until there is no room left for others; who has not been heard for long goes first."""
        return len(self._heard) < MOST_HEARD or bucket.full_at > now
