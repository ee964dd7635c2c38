"""What comes in for a machine of Neighbor Discovery, and who is let in: anybody on the link can send as much as they
like, and under as many names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

import trio

from routerd.protocols.ndp.message import NdpPacket, RouterAdvertisement
from routerd.protocols.retransmit import TokenBucket

MOST_WAITING = 256
"""Packets that wait for the machine; what comes beyond is dropped (C17), as a socket's buffer does it."""
MOST_HEARD = 64
"""Routers whose advertisements are counted apart."""


class Inbox:
    """The machine's inputs, in order. What is not let in is counted by its reason, over all runs of the daemon."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.received = 0
        self.dropped: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """Empty it for another run."""
        self._send, self.inputs = trio.open_memory_channel[Any](math.inf)
        self._heard: dict[IPv6Address, TokenBucket] = {}
        self._newcomers = TokenBucket()

    def put(self, event: Any) -> None:
        """What happened to us: always let in."""
        self._send.send_nowait(event)

    def close(self) -> None:
        """Nothing more will come."""
        self._send.close()

    def deliver(self, packet: NdpPacket) -> None:
        """What somebody on the link has sent."""
        self.received += 1
        if self._send.statistics().current_buffer_used >= MOST_WAITING:
            self.drop("inbox-full")
        elif isinstance(packet.message, RouterAdvertisement) and not self._may_speak(packet.source):
            self.drop("too-often")
        else:
            self.put(packet)

    def drop(self, reason: str) -> None:
        """Count what is ignored."""
        self.dropped[reason] += 1

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
