"""The event log by cursor: followed over restarts of routerd, and never silent about rows that are gone.

Long polls rather than SSE: each answer states `epoch`, `lost` and where to go on, and a broken connection loses none.
"""

from __future__ import annotations

import time

from routerctl.client import entries, number
from routerctl.errors import Exit, Failure
from routerctl.times import is_cursor, parse_instant, parse_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from routerctl.client import Client, Object
    from routerctl.http1 import Query

POLL = 25.0
"""Seconds that one long poll may wait."""
PAGE = 1000
"""Events in one answer, at most."""

EVENT_HEADER = ("ID", "TIME", "SEVERITY", "TOPIC", "RESOURCE", "REASON", "MESSAGE")
_PAUSES = (0.2, 0.5, 1.0, 2.0)


class Feed:
    """Events after a cursor, as they come. `query`: filters of `/events`; `note` is told what a reader must know."""

    def __init__(self, client: Client, note: Callable[[str], None], query: Query = ()) -> None:
        self._client = client
        self._note = note
        self._query = tuple(query)
        self._cursor = ""
        self._epoch = ""
        self._failures = 0

    def last(self, count: int) -> Object:
        """The answer with the newest `count` events that match; the feed goes on after them."""
        page = self._ask([("tail", str(max(1, count)))])
        return page if count else {**page, "events": []}

    def after(self, cursor: str, limit: int = PAGE) -> Object:
        """The answer with what follows a cursor; the feed goes on after it. Raises Failure when the cursor is gone."""
        return self._ask([("since", cursor), ("limit", str(limit))])

    def resumed(self, consumer: str, limit: int = PAGE) -> Object:
        """As `after`, from where a durable consumer stands."""
        return self._ask([("consumer", consumer), ("limit", str(limit))])

    def acknowledge(self, consumer: str) -> None:
        """What was answered so far is done with. Raises Failure."""
        self._client.post("/events/ack", {"consumer": consumer, "cursor": self._cursor})

    def rest(self) -> Iterator[list[Object]]:
        """The events up to the end of the log, page by page, without waiting."""
        while events := entries(self.after(self._cursor), "events"):
            yield events

    def wait(self, seconds: float = POLL) -> list[Object]:
        """The next events; none if `seconds` (at most POLL) pass without, or while routerd is away."""
        wait = max(0.0, min(seconds, POLL))
        try:
            page = self._ask([("since", self._cursor), ("limit", str(PAGE)), ("wait", f"{round(wait * 1000)}ms")], wait)
        except Failure as failure:
            if failure.status == 410 and failure.oldest not in ("", self._cursor):
                self._note(f"{failure.message}; going on with the oldest event there is")
                self._cursor = failure.oldest
                return []
            if failure.code is not Exit.UNREACHABLE:
                raise
            return self._away(failure, wait)
        if self._failures:
            self._note("routerd is back")
            self._failures = 0
        return entries(page, "events")

    def _ask(self, query: Query, wait: float = 0.0) -> Object:
        page = self._client.get("/events", [*query, *self._query], wait=wait)
        epoch = str(page.get("epoch") or "")
        if self._epoch not in ("", epoch):
            self._note("the event log was rebuilt: the ids of events begin anew")
        if lost := page.get("lost"):
            self._note(f"{lost} events are lost: they were removed before they were read here")
        self._epoch, self._cursor = epoch, str(page.get("cursor") or 0)
        return page

    def _away(self, failure: Failure, wait: float) -> list[Object]:
        if not self._failures:
            self._note(f"routerd is away ({failure.message}); waiting for it")
        time.sleep(min(wait, _PAUSES[min(self._failures, len(_PAUSES) - 1)]))
        self._failures += 1
        return []


def cursor_at(client: Client, moment: float) -> str:
    """The cursor before the first event stored at or after a moment (seconds since 1970), found by halving the log."""
    page = client.get("/events", [("tail", "1")])
    low, high = number(page, "oldest") - 1, number(page, "newest")
    while low < high:
        middle = (low + high) // 2
        found = entries(client.get("/events", [("since", str(middle)), ("limit", "1")]), "events")
        if found and stored(found[0]) < moment:
            low = max(low + 1, number(found[0], "id"))
        else:
            high = middle
    return str(low)


def moment_of(client: Client, text: str, now: float) -> float:
    """The moment that a `--since` names, be it a time or a place in the log: of what follows there. Raises Failure."""
    if not is_cursor(text):
        return parse_moment(text, now)
    found = entries(client.get("/events", [("since", text), ("limit", "1")]), "events")
    return stored(found[0]) if found else now


def event_row(event: Object, when: str) -> tuple[object, ...]:
    """An event as a row under EVENT_HEADER."""
    kind, name = event.get("resourceKind"), event.get("resourceName")
    about = f"{kind}/{name}" if kind else ""
    topic = event.get("topic") or event.get("type")
    return event.get("id"), when, event.get("severity"), topic, about, event.get("reason"), event.get("message")


def happened(event: Object) -> object:
    """When it happened, or else when it was put on disk."""
    return event.get("time") or event.get("createdAt")


def stored(event: Object) -> float:
    """When it was put on disk, in seconds since 1970: these ascend with the ids, unless the clock was set."""
    return parse_instant(event.get("createdAt")) or 0.0
