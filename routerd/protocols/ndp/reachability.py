"""Whether the routers that hosts go by still answer (RFC 4861 §7.3, §6.3.6): one that does not is passed over as long
as another one is there.

The kernel finds that out for itself and for one router at a time, only while it sends, and nobody hears of it. A router
sends all the time: we ask.
"""

from __future__ import annotations

import random
from ipaddress import IPv6Address

import attrs

from routerd.protocols.ndp.learned import Router

REACHABLE_TIME, LEAST_FACTOR, MOST_FACTOR = 30.0, 0.5, 1.5
"""Seconds for which an answer counts, times a random factor (§10, §6.3.2)."""
RETRANSMIT, QUESTIONS = 1.0, 3
"""Seconds for an answer, and how many questions in vain mean that there is nobody (§10: MAX_UNICAST_SOLICIT)."""
MOST_WATCHED = 4
"""Routers that are asked: the one in use, and some of those that did not answer, for they may be back."""


@attrs.frozen
class Round:
    """Questions to one router: the next one at `again_at`; `left` of them before it counts as gone."""

    again_at: float
    left: int = QUESTIONS


class Reachability:
    """Who is asked next, and when."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._rounds: dict[IPv6Address, Round] = {}

    @property
    def deadline(self) -> float | None:
        """When the next question is due, or the last one was in vain."""
        return min((one.again_at for one in self._rounds.values()), default=None)

    def waits_for(self, router: IPv6Address) -> bool:
        """Whether it was asked and has not answered."""
        return router in self._rounds and self._rounds[router].left < QUESTIONS

    def follow(self, routers: tuple[Router, ...], now: float) -> None:
        """These are the default routers now, the one in use first. Who takes the place of one that is silent is asked
        at once."""
        silent = [one.address for one in routers if not one.reachable]
        watched = [*(one.address for one in routers[:1]), *(one for one in silent if one != routers[0].address)]
        self._rounds = {
            address: self._rounds.get(address) or Round(now if silent else self._later(now))
            for address in watched[:MOST_WATCHED]
        }

    def forget(self) -> None:
        """There is no link."""
        self._rounds = {}

    def answered(self, router: IPv6Address, now: float) -> None:
        """It is there."""
        self._rounds[router] = Round(self._later(now))

    def given_up(self, now: float) -> list[IPv6Address]:
        """Who has not answered any of the questions of a round. The next one begins later: they may be back."""
        silent = [address for address, one in self._rounds.items() if one.again_at <= now and not one.left]
        self._rounds |= {address: Round(self._later(now)) for address in silent}
        return silent

    def questions(self, now: float) -> list[IPv6Address]:
        """Whom to ask now."""
        due = {address: one for address, one in self._rounds.items() if one.again_at <= now}
        self._rounds |= {address: Round(now + RETRANSMIT, one.left - 1) for address, one in due.items()}
        return list(due)

    def _later(self, now: float) -> float:
        return now + REACHABLE_TIME * self._rng.uniform(LEAST_FACTOR, MOST_FACTOR)
