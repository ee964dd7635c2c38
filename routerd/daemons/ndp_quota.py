"""How much is told of what others on a link say: they may say as much as they like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from routerd.daemons.teller import Teller
from routerd.events.types import Event

MOST, PERIOD = 100, 600.0
"""Events within so many seconds. A renumbering of every prefix that can be learned is less."""


class Quota:
    """Lets so many events through. What it keeps back is told of in one, when there is room again."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._told = 0
        self._kept_back = 0

    def of(self, events: Iterable[Event], now: float, tell: Teller) -> Iterator[Event]:
        """Those of them that are to be told."""
        if self._since + PERIOD <= now:
            kept_back, self._since, self._told, self._kept_back = self._kept_back, now, 0, 0
            if kept_back:
                words = f"{kept_back} more things of the routers of this link were not told: there were too many"
                yield tell("news.omitted", "NewsOmitted", words, "warning", count=kept_back)
        for event in events:
            if self._told < MOST:
                self._told += 1
                yield event
            else:
                self._kept_back += 1
