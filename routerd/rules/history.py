"""What a rule would have said: stored events played through the same machine that runs in life, page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from routerd.events.log import Log
from routerd.events.types import StoredEvent
from routerd.protocols.machine import Dropped
from routerd.resources.rules import EventRule
from routerd.rules.machine import Fired, Forgotten, Output, Suppressed
from routerd.rules.player import Player, wanted

PAGE = 256
"""Events that are played before others have their turn."""


@attrs.frozen
class Hit:
    """When the rule would have fired, by the wall clock (ns)."""

    at: int
    fired: Fired

    @property
    def event_id(self) -> int:
        """The last of the events that it followed from."""
        return self.fired.inputs[-1]


@attrs.frozen
class History:
    """What came of `events` events, stored from `began` to `ended` (ns, wall clock). `complete` False: there was more
    than one wanted to know. `lost`: events that were gone before they could be read."""

    began: int
    ended: int
    events: int
    hits: tuple[Hit, ...]
    complete: bool = True
    uncorrelated: int = 0
    suppressed: int = 0
    forgotten: int = 0
    lost: int = 0


async def played(log: Log, name: str, rule: EventRule, since: int, most: int) -> History:
    """Begin with nothing seen at `since` (ns, wall clock), end now or when it has fired `most` times. Raises OSError
    when the log cannot be read at the moment."""
    ended, newest = log.now(), log.newest
    cursor = await _before(log, since, newest)
    player, where = Player(name, rule), wanted(rule)
    hits: list[Hit] = []
    seen: Counter[str] = Counter()
    while cursor < newest and len(hits) < most:
        page = await log.read(cursor, limit=PAGE, where=where)
        for stored in page.events:
            if stored.id <= newest:
                seen["events"] += 1
                hits += _hits(player, player.play(stored), seen)
        cursor, seen["lost"] = page.cursor, seen["lost"] + page.lost
    if len(hits) < most:
        hits += _hits(player, player.tick(ended), seen)
    complete = cursor >= newest and len(hits) <= most
    return History(since, ended, hits=tuple(hits[:most]), complete=complete, **_counts(seen))


def _hits(player: Player, outputs: list[Output], seen: Counter[str]) -> Iterator[Hit]:
    for output in outputs:
        match output:
            case Fired():
                yield Hit(player.clock.wall(output.at), output)
            case Dropped(reason="no-correlation"):
                seen["uncorrelated"] += 1
            case Suppressed():
                seen["suppressed"] += 1
            case Forgotten():
                seen["forgotten"] += 1


def _counts(seen: Counter[str]) -> dict[str, Any]:
    return {name: seen[name] for name in ("events", "uncorrelated", "suppressed", "forgotten", "lost")}


async def _before(log: Log, since: int, newest: int) -> int:
    """The id before the first event that was stored at or after `since`. A clock that was set back makes it a guess."""
    low, high = log.oldest - 1, newest
    while low < high:
        middle = (low + high) // 2
        following: tuple[StoredEvent, ...] = (await log.read(middle, limit=1)).events
        if following and following[0].created_at < since:
            low = max(following[0].id, middle + 1)
        else:
            high = middle
    return min(low, newest)
