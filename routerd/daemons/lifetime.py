"""One run of a managed daemon: it works until it is cancelled, says goodbye, and ends within bounds.

Cancelled is not crashed, and not at once the end: its work goes on behind a shield until it has said what a peer, the
disk and the log shall know, and whatever holds it up, a peer or a disk, holds up nobody for longer than it may take.
A crash is the end of the run as well: what was said before it is written, and the error goes on to the supervisor.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from routerd.api.plane import DaemonPhase
from routerd.daemons.scribe import Scribe
from routerd.host import Clock

GOODBYE = 2.0
"""Seconds for a daemon that ends to say its goodbye, and as many to have it written."""
FAREWELL = 10.0
"""The same for one that gives up for good what it had, and has to say so several times: that it is no router any more
(RFC 4861 §6.2.5), that leases are given back (RFC 9915 §18.2.7)."""


class Standing:
    """Where a daemon stands: in which `phase`, and `since` when (wall-clock ns). It outlives the runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.phase: DaemonPhase = "Starting"
        self.since = clock.wall()

    def become(self, phase: DaemonPhase) -> None:
        """It is in this phase from now on, if it was not before."""
        if phase != self.phase:
            self.phase, self.since = phase, self._clock.wall()


class Lifetime:
    """See the module. `scribe` writes what the run has to say. The work itself says when it is Running."""

    def __init__(self, scribe: Scribe, standing: Standing) -> None:
        self._scribe = scribe
        self._standing = standing
        self._latest = math.inf  # when a farewell is over at the latest, in trio's time
        self._parting: trio.CancelScope | None = None

    async def run(self, work: Callable[[], Awaitable[None]], end: Callable[[], float]) -> None:
        """Do `work`. When this is cancelled, `end` is called, which is to bring `work` to its end within the seconds
        that it returns; after them it is cancelled, too. Raises what `work` does."""
        self._standing.become("Starting")
        try:
            await self._run(work, end)
        finally:
            self._standing.become("Stopped" if self._standing.phase == "Draining" else "Blocked")

    async def _run(self, work: Callable[[], Awaitable[None]], end: Callable[[], float]) -> None:
        async with trio.open_nursery() as nursery:
            life, ended = trio.CancelScope(shield=True), trio.Event()
            nursery.start_soon(self._live, work, life, ended)
            try:
                await ended.wait()
            finally:
                if not ended.is_set():
                    self._standing.become("Draining")
                    self._bound(end())
                    with trio.CancelScope(shield=True, deadline=self._latest) as self._parting:
                        await ended.wait()
                    life.cancel()

    def hasten(self) -> None:
        """The whole router ends, now or in the midst of a farewell: there is no more time than for a goodbye."""
        self._bound(GOODBYE)

    def _bound(self, seconds: float) -> None:
        self._latest = min(self._latest, trio.current_time() + seconds)
        if self._parting is not None:
            self._parting.deadline = self._latest

    async def _live(self, work: Callable[[], Awaitable[None]], life: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with life:
                async with trio.open_nursery() as writing:
                    writing.start_soon(self._scribe.run)
                    try:
                        await work()
                    finally:
                        # What was said before the end, or before a crash, is written: no lease is forgotten.
                        self._scribe.close()
                        with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE):
                            await self._scribe.finished.wait()
        finally:
            ended.set()
