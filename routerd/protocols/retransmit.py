"""When to say it again: the schedules of RFC 2131, and the bucket that caps all of them (C9).

Pure arithmetic. Randomness comes in as a number (`rand`), so that the same vectors test every implementation
(`tests/vectors/dhcpv4/schedule.json`).
"""

from __future__ import annotations

import attrs

FIRST = 4.0
CAP = 64.0
JITTER = 1.0
MIN_RENEWAL_WAIT = 60.0
NAK_CAP = 300.0
NAK_JITTER = 0.1
BURST = 10
RATE = 1.0


def doubling(transmission: int, rand: float) -> float:
    """Seconds to wait after transmission number `transmission` (the first is 1): 4, 8, 16, 32, 64, 64 … plus
    `rand`, uniform in ±JITTER (RFC 2131 §4.1)."""
    return min(FIRST * 2.0 ** min(transmission - 1, 8), CAP) + rand


def half_of_remaining(now: float, until: float | None) -> float:
    """Seconds to wait in RENEWING (`until` T2) and REBINDING (`until` expiry): half of what is left, at least a
    minute (RFC 2131 §4.4.5). None: a lease without end, renewed because somebody asked."""
    return MIN_RENEWAL_WAIT if until is None else max((until - now) / 2, MIN_RENEWAL_WAIT)


def after_nak(naks: int, rand: float) -> float:
    """Seconds to wait after NAK number `naks` in a row: 1, 2, 4 … 300, times 1 + `rand`, uniform in ±NAK_JITTER
    (V4-11)."""
    return min(2.0 ** min(naks - 1, 16), NAK_CAP) * (1 + rand)


@attrs.frozen
class TokenBucket:
    """Ten packets at once, then one a second (C9), kept as one number: when the bucket is full again."""

    full_at: float = float("-inf")

    def ready_at(self, reserve: int = 0) -> float:
        """When a packet may leave with `reserve` tokens left behind for others."""
        return self.full_at - (BURST - 1 - reserve) / RATE

    def take(self, now: float) -> TokenBucket:
        """The bucket after one packet more."""
        return TokenBucket(max(self.full_at, now) + 1 / RATE)
