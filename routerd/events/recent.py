"""The newest events in memory, so that whoever keeps up with the log never waits for a thread or the disk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from routerd.events.types import StoredEvent


class Recent:
    """Holds every event on disk with an id above `floor`: at least the last `keep`, at most twice as many."""

    def __init__(self, keep: int, floor: int) -> None:
        self.floor = floor
        self._keep = keep
        self._events: list[StoredEvent] = []

    def extend(self, events: Iterable[StoredEvent]) -> None:
        """These are on disk now."""
        self._events += events
        if len(self._events) > 2 * self._keep:
            self.forget(self._events[-self._keep - 1].id)

    def forget(self, upto: int) -> None:
        """The events up to this id are of no interest any more."""
        if upto > self.floor:
            del self._events[: self._index(upto)]
            self.floor = upto

    def after(self, cursor: int, wanted: Callable[[StoredEvent], bool] | None, limit: int) -> list[StoredEvent]:
        """At most `limit` of the events after `cursor` (which is not below the floor), ascending."""
        events = self._events
        found: list[StoredEvent] = []
        for index in range(self._index(cursor), len(events)):
            if wanted is None or wanted(events[index]):
                found.append(events[index])
                if len(found) == limit:
                    break
        return found

    def newest(self, wanted: Callable[[StoredEvent], bool], limit: int) -> list[StoredEvent]:
        """At most `limit` events, descending."""
        found: list[StoredEvent] = []
        for stored in reversed(self._events):
            if len(found) == limit:
                break
            if wanted(stored):
                found.append(stored)
        return found

    def among(self, ids: Iterable[int]) -> list[StoredEvent]:
        """Those of these events that are here."""
        places = [(number, self._index(number - 1)) for number in ids if number > self.floor]
        events = self._events
        return [events[place] for number, place in places if place < len(events) and events[place].id == number]

    def _index(self, cursor: int) -> int:
        # Most readers are at the end.
        if not self._events or cursor >= self._events[-1].id:
            return len(self._events)
        return bisect_right(self._events, cursor, key=lambda stored: stored.id)
