"""Writes what one daemon says to disk and to the log, in order, without holding up its machine.

A slow disk must not stop a protocol's timers. What a step needs on disk before anybody may see its effects (the
lease file) is written first, then its events and status are appended together.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import attrs
import trio

from routerd.events.log import Log
from routerd.events.types import Event, Ref, Status
from routerd.events.writer import Runner

logger = logging.getLogger("routerd.daemons")

FileAct = Callable[[], None]
"""Saves or removes a file; runs in a thread, may raise OSError."""


@attrs.frozen
class Entry:
    """What one step of a machine has to say. `begins` starts a new chain of causes; `wrote` gets the ids."""

    events: Sequence[Event]
    status: Status | None = None
    act: FileAct | None = None
    begins: bool = False
    wrote: Callable[[Sequence[int]], None] | None = None


class Scribe:
    """One per daemon. `thread` is the id of the last event said: the cause of the next.

    It does not wait until one step is in the log before it takes up the next, so that an exchange that is over before
    its beginning is on disk costs one sync and not one for each packet. What becomes visible keeps its order.
    """

    def __init__(self, log: Log, resource: Ref, run_sync: Runner) -> None:
        self._log = log
        self._run_sync = run_sync
        self._resource = resource
        self._send, self._receive = trio.open_memory_channel[Entry](math.inf)
        self._thread: int | None = None
        self._on_disk: trio.Event | None = None
        self._refused_act = ""

    def say(self, entry: Entry) -> None:
        """Have it written after all that was said before."""
        self._send.send_nowait(entry)

    async def run(self) -> None:
        """Write until `close` was called and all is written."""
        async for entry in self._receive:
            trouble = await self._do(entry.act) if entry.act is not None else []
            ids = self._post(entry, [*trouble, *entry.events])
            if entry.wrote is not None:
                await self._written()
                entry.wrote(ids)
        await self._written()

    def close(self) -> None:
        """Nothing more will be said."""
        self._send.close()

    def _post(self, entry: Entry, said: Sequence[Event]) -> Sequence[int]:
        """Each event is caused by the one before, the first by the end of the last entry."""
        before = () if self._thread is None or entry.begins else (self._thread,)
        chained = [
            attrs.evolve(event, causes=event.causes or before) if n == 0 else attrs.evolve(event, follows=(1,))
            for n, event in enumerate(said)
        ]
        status = {} if entry.status is None else {self._resource: entry.status}
        ids, on_disk = self._log.post(*chained, status=status)
        self._on_disk = self._on_disk if on_disk is None else on_disk
        if ids:
            self._thread = ids[-1]
        return ids

    async def _written(self) -> None:
        if self._on_disk is not None:
            await self._on_disk.wait()

    async def _do(self, act: FileAct) -> list[Event]:
        """A file that cannot be written is told once, and the lease goes on without it (the disk may be full)."""
        try:
            await self._run_sync(act)
        except OSError as error:
            text = f"{error.strerror or error}: {error.filename}"
            if text == self._refused_act:
                return []
            self._refused_act = text
            message = f"the lease could not be kept for the next start: {text}"
            return [Event("routerd.dhcpv4.client.lease.unsaved", "error", "LeaseNotSaved", message, self._resource)]
        self._refused_act = ""
        return []
