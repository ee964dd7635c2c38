"""One life of routerd, from its first event to its last, and what of it crashed between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from routerd.api.plane import Running
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, ref_of
from routerd.nurseries.supervisor import supervise

ROUTERD = Source("routerd", "routerd", "routerd")
"""Who says what the whole program says."""


class Life:
    """See the module. `ending` is set when it is to end."""

    def __init__(self, log: Log, host_name: str, running: Callable[[], Running]) -> None:
        self._log = log
        self._host_name = host_name
        self._running = running
        self._started = 0
        self._why = "cancelled"
        self.ending = trio.Event()

    async def hello(self, newest: int) -> int:
        """Its first event, whose id is given. The configuration has another generation if that came after `newest`."""
        configured, generation = self.configured(), self._running().generation
        message = f"routerd started on {self._host_name}, configuration generation {generation}"
        causes = (configured,) if configured > newest else ()
        self._started = await self._tell("started", message, causes)
        return self._started

    def configured(self) -> int:
        """The event with which the configuration in force began."""
        router = self._running().router
        stored = self._log.objects.get(ref_of(router))
        return stored.version if stored is not None else 0

    def began(self) -> int:
        """Why a daemon that nothing else has started is there: this life, or the configuration if that is newer."""
        return max(self._started, self.configured())

    def end(self, why: str) -> None:
        """Let it end: `why` is for the log."""
        self._why = why
        self.ending.set()

    async def goodbye(self) -> None:
        """Its last event."""
        await self._tell("stopped", f"routerd stops ({self._why}); addresses, routes and leases stay")

    async def _tell(self, word: str, message: str, causes: tuple[int, ...] = ()) -> int:
        topic = f"routerd.daemon.lifecycle.{word}"
        event = Event(topic, reason=word.capitalize(), message=message, source=ROUTERD, causes=causes)
        [event_id] = await self._log.append(event)
        return event_id


async def supervised(log: Log, who: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run it, and again when it crashes; each crash is told, and that is all there is to say of it."""

    async def report(error: str, crashes: int, delay: float) -> None:
        await tell_crash(log, who, error, crashes, delay)

    await supervise(who, run, report)


async def tell_crash(log: Log, who: str, error: str, crashes: int, delay: float, resource: Ref | None = None) -> int:
    """Something of ours has a defect. The id of the event."""
    message = f"{who} crashed ({error}); crash {crashes} in a row, again in {delay:.0f} s"
    attributes = {"component": who, "error": error, "crashes": str(crashes)}
    topic = "routerd.daemon.lifecycle.crashed"
    [event_id] = await log.append(Event(topic, "error", "CrashLoop", message, resource, ROUTERD, attributes))
    return event_id
