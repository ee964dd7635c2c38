"""How long events are kept. Pruning is many small transactions between those of the writer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from routerd.events.types import Event
from routerd.events.writer import LOG

if TYPE_CHECKING:
    from routerd.events.log import Log

_NS = 10**9
_CLOCK_TOLERANCE = 600 * _NS


@attrs.frozen
class Retention:
    """Keep events for `max_age` seconds and the file below `max_bytes`, whichever ends first. Looked at every
    `interval` seconds, and after every `interval_events` events, so that a flood cannot fill the disk."""

    max_age: float = 30 * 86400.0
    max_bytes: int = 200 * 2**20
    interval: float = 3600.0
    interval_events: int = 20_000


DEFAULT = Retention()


class Keeping:
    """What is kept. `terms` may be changed at any time, and are looked at right then. `looks` counts the looks since
    start, `looked_at` is when the last one was (ns)."""

    def __init__(self, terms: Retention = DEFAULT) -> None:
        self.terms = terms
        self.looks, self.looked_at = 0, 0
        self._changed, self._looked = trio.Event(), trio.Event()

    def keep(self, terms: Retention) -> None:
        """From now on these terms hold."""
        if terms != self.terms:
            self.terms = terms
            self._changed.set()

    async def looked(self, seen: int) -> int:
        """Return how many looks there were, once these are not `seen` any more."""
        await trio.lowlevel.checkpoint()
        while self.looks == seen:
            await self._looked.wait()
        return self.looks

    def begin(self) -> Retention:
        """For `run_retention` alone: the terms on which it looks now."""
        self._changed = trio.Event()
        return self.terms

    def end(self, now: int) -> None:
        """For `run_retention` alone: it has looked."""
        self.looks, self.looked_at = self.looks + 1, now
        self._looked.set()
        self._looked = trio.Event()

    async def due(self, log: Log) -> None:
        """Return when it is time to look again: the interval is over, a flood came, or the terms are others."""
        with trio.move_on_after(self.terms.interval):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._first, self._changed.wait, nursery)
                nursery.start_soon(self._first, partial(log.wait, log.newest + self.terms.interval_events), nursery)

    async def _first(self, wait: Callable[[], Awaitable[None]], nursery: trio.Nursery) -> None:
        await wait()
        nursery.cancel_scope.cancel()


async def run_retention(log: Log, found: int, found_at: int) -> None:
    """Prune at once and then again and again, on the terms of `log.keeping`; say what was deleted. `found` is the
    newest id that this run found in the log, stored at `found_at` (ns)."""
    keeping, began = log.keeping, trio.current_time()
    wall, steady = found_at, None
    while True:
        terms, now, uptime = keeping.begin(), log.now(), trio.current_time() - began
        # What this run wrote is no older than this run, whatever its time stamps say: routers boot in 1970.
        aged = log.newest if uptime >= terms.max_age else found
        if not _believable(now - wall, None if steady is None else uptime - steady, terms):
            aged = 0
        await _prune(log, now - int(terms.max_age * _NS), aged, terms.max_bytes)
        keeping.end(now)
        wall, steady = now, uptime
        await keeping.due(log)


def _believable(walked: int, elapsed: float | None, retention: Retention) -> bool:
    """Whether the wall clock may decide what is old. A clock that was set a minute ago must not delete the history of
    a month: it is believed when it went as far as the steady clock, at first when it is within `max_age` of the log."""
    if elapsed is None:
        return -_CLOCK_TOLERANCE <= walked <= retention.max_age * _NS
    return abs(walked - elapsed * _NS) <= _CLOCK_TOLERANCE


async def _prune(log: Log, before: int, aged: int, max_bytes: int) -> None:
    deleted = 0
    while step := await log.prune(before, aged, max_bytes):
        deleted += step
    if deleted:
        await log.append(
            Event(
                "routerd.log.retention.applied",
                reason="RetentionApplied",
                message=f"{deleted} events deleted, the oldest left is {log.oldest}",
                source=LOG,
                attributes={"deleted": str(deleted), "oldest": str(log.oldest)},
            )
        )
