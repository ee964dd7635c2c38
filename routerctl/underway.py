"""What routerd or a daemon does while a request to it is under way, told on stderr from its events."""

from __future__ import annotations

import select
import time

from routerctl.client import entries
from routerctl.errors import Failure
from routerctl.resources import BOOKKEEPING
from routerctl.times import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from routerctl.client import Client, Object
    from routerctl.http1 import Exchange, Query
    from routerctl.output import Out

SILENT = (*BOOKKEEPING, "routerd.configuration.rejected")
"""Topics of which the answer tells enough."""
GLANCE = 2.0
"""Seconds that may be spent on finding the end of the log."""
TICK = 1.0
"""Seconds between the counts of a terminal's progress line."""


class Underway:
    """Shows what is done: on a terminal one line, elsewhere a line for each event. If the events cannot be had it shows
    less; that is no failure of the request. `path`: where that socket tells its events; `doing`: what to say first."""

    def __init__(self, client: Client, socket: str, path: str, out: Out, doing: str) -> None:
        self._client = client
        self._socket = socket
        self._path = path
        self._out = out
        self._started = time.monotonic()
        self._doing = doing
        self._cursor = self._end()

    def until(self, request: Exchange) -> None:
        """Return when the answer to the request begins to come, or will not come."""
        poll = self._next()
        while not request.expired:
            self._out.progress(f"waiting: {self._doing}  {self._elapsed}")
            ready, _, _ = select.select([request, poll] if poll else [request], (), (), TICK)
            if request in ready:
                break
            if poll is not None and poll in ready:
                page = self._page(poll)
                poll = None if page is None else self._told(page)
        if poll is not None:
            poll.close()

    def _end(self) -> str:
        """The cursor at the end of the log. The request itself must not wait long for it."""
        usual, self._client.timeout = self._client.timeout, min(self._client.timeout, GLANCE)
        try:
            newest = self._begin([("tail", "1")])
            return "" if newest is None else str((self._page(newest) or {}).get("cursor") or "")
        finally:
            self._client.timeout = usual

    @property
    def _elapsed(self) -> str:
        return span(time.monotonic() - self._started)

    def _begin(self, query: Query, wait: float = 0.0) -> Exchange | None:
        try:
            return self._client.begin(self._socket, "GET", self._path, query, wait=wait)
        except Failure:
            return None

    def _page(self, exchange: Exchange) -> Object | None:
        try:
            return self._client.finish(self._socket, exchange)
        except Failure:
            return None

    def _next(self) -> Exchange | None:
        return self._begin([("since", self._cursor), ("wait", "30000ms")], 30.0) if self._cursor else None

    def _told(self, page: Object) -> Exchange | None:
        """Show the events of a page; the poll for the next."""
        self._cursor = str(page.get("cursor") or "")
        for event in entries(page, "events"):
            if not str(event.get("type")).startswith(SILENT):
                self._doing = str(event.get("message") or event.get("reason") or event.get("type"))
                if not self._out.progresses:
                    self._out.note(f"waiting: {self._doing}  {self._elapsed}")
        return self._next()
