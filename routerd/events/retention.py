"""How long events are kept. Pruning is many small transactions between those of the writer."""

from __future__ import annotations

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


async def run_retention(log: Log, retention: Retention, found: int, found_at: int) -> None:
    """Prune at once and then again and again; say what was deleted. `found` is the newest id that this run found in the
    log, stored at `found_at` (ns)."""
    began = trio.current_time()
    wall, steady = found_at, None
    while True:
        now, uptime = log.now(), trio.current_time() - began
        # What this run wrote is no older than this run, whatever its time stamps say: routers boot in 1970.
        aged = log.newest if uptime >= retention.max_age else found
        if not _believable(now - wall, None if steady is None else uptime - steady, retention):
            aged = 0
        await _prune(log, now - int(retention.max_age * _NS), aged, retention.max_bytes)
        wall, steady = now, uptime
        with trio.move_on_after(retention.interval):
            await log.wait(log.newest + retention.interval_events)


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
