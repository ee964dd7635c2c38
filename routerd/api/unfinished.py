"""What was asked for in an earlier life of routerd and never ended: whether it was done nobody knows.

It is told once, at the next start, beside the work of the router.
"""

from __future__ import annotations

import logging

import attrs

from routerd.api.access import API, ENDED, REQUESTED
from routerd.events.log import Log
from routerd.events.types import Event, Filter, StoredEvent

logger = logging.getLogger(__name__)

LIVES = 8
"""How many lives of routerd are looked at: each of them may have ended before it had told of the one before."""
AT_ONCE = 1000

_STARTS = Filter(topics=("routerd.daemon.lifecycle.started",), source=API.name)
_ACTS = Filter(topics=(REQUESTED, ENDED), source=API.name)


async def tell_unfinished(log: Log, upto: int) -> None:
    """Tell of what was begun and not ended among the events up to `upto`, the last of the life before."""
    try:
        begun = await _unfinished(log, upto)
    except OSError as error:
        logger.warning("what was under way when routerd ended is not told: %s", error.strerror or error)
        return
    if begun:
        await log.append(*map(_unknown, begun))


async def _unfinished(log: Log, upto: int) -> list[StoredEvent]:
    """Raises OSError."""
    starts = await log.tail(LIVES, _STARTS)
    cursor = min((start.id for start in starts.events), default=0)
    begun: dict[int, StoredEvent] = {}
    while cursor < upto:
        page = await log.read(cursor, limit=AT_ONCE, where=_ACTS)
        for stored in page.events:
            if stored.event.topic == ENDED:
                begun.pop(stored.event.causes[0] if stored.event.causes else 0, None)
            elif stored.id <= upto:
                begun[stored.id] = stored
        cursor = page.cursor
    return list(begun.values())


def _unknown(begun: StoredEvent) -> Event:
    before = begun.event
    act = before.attributes.get("act", "")
    return attrs.evolve(
        before,
        topic=ENDED,
        severity="warning",
        reason="CommandEnded",
        message=f"{act}: unknown, routerd ended before it did",
        attributes={**before.attributes, "outcome": "unknown"},
        causes=(begun.id,),
        time=0,
    )
