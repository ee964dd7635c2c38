"""How much the log has taken since start, by the beginning of the topic and by severity: for the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from routerd.events.types import Severity, StoredEvent

SEGMENTS = 2
"""Segments of a topic that are told apart: `routerd.dhcpv4` of `routerd.dhcpv4.client.lease.bound`."""
MOST = 64
"""Beginnings that are told apart; a rule of the operator's may emit any topic."""
OTHERS = "other"


class Tally:
    """`events` by (beginning of the topic, severity), `commits` to the disk, `deleted` events of old."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, Severity]] = Counter()
        self.commits = 0
        self.deleted = 0
        self._beginnings: set[str] = set()

    def committed(self, events: Iterable[StoredEvent]) -> None:
        """These are on disk, by one transaction."""
        self.commits += 1
        for stored in events:
            self.events[self._known(beginning(stored.event.topic)), stored.event.severity] += 1

    def _known(self, word: str) -> str:
        if word not in self._beginnings:
            if len(self._beginnings) == MOST:
                return OTHERS
            self._beginnings.add(word)
        return word


@lru_cache(maxsize=4096)
def beginning(topic: str) -> str:
    """Its first segments."""
    return ".".join(topic.split(".", SEGMENTS)[:SEGMENTS])
