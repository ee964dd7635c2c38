"""Writes what one daemon says to disk and to the log, in order, without holding up its machine.

A slow disk must not stop a protocol's timers. What a step needs on disk before anybody may see its effects (the
lease file) is written first, then its events and status are appended together. A disk that does not answer at all
costs the lease file and, when it goes on like that, events; never a status, and never memory without end (C17).
A file that could not be written is tried again, by the minute and at the end: the next start may be before the next
renewal.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from routerd.daemons.disk import Disk, FileAct
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Status
from routerd.events.writer import Runner

QUEUE = 1000
"""Entries that wait to be written; of what comes beyond only the last status and the last act are kept."""

AGAIN = 60.0
"""Seconds after which what a disk has refused is tried again."""


@attrs.define(eq=False)
class Said:
    """An event to be written, and what led to it. It has its `id` once it is in the log; 0: not yet, or never. What led
    to it is forgotten then: else a life of years would hang on its last event."""

    event: Event
    because: Sequence[Cause] = ()
    id: int = 0


Cause = Said | int
"""Something that was said before, or the id of an event (0: none)."""


@attrs.frozen
class Told:
    """A status, and what made it what it is."""

    status: Status
    because: Sequence[Cause] = ()


@attrs.frozen
class Entry:
    """What one step of a machine has to say; `because` is what made the status what it is, beside what is said here.
    `wrote` gets the ids. `others` are statuses of further resources, of a daemon that has several."""

    said: Sequence[Said]
    status: Status | None = None
    act: FileAct | None = None
    because: Sequence[Cause] = ()
    wrote: Callable[[Sequence[int]], None] | None = None
    others: Mapping[Ref, Told] = attrs.field(factory=dict)


class Scribe:
    """One per daemon. It does not wait until one step is in the log before it takes up the next, so that an exchange
    that is over before its beginning is on disk costs one sync and not one for each packet. What becomes visible keeps
    its order.
    """

    def __init__(self, log: Log, resource: Ref, run_sync: Runner, protocol: str = "dhcpv4") -> None:
        self._log = log
        self._unsaved = f"routerd.{protocol}.client.lease.unsaved"
        self._resource = resource
        self._queue: deque[Entry] = deque()
        self._work = trio.Event()
        self._closed = False
        self._on_disk: trio.Event | None = None
        self._disk = Disk(run_sync)
        self._refused_act = ""
        self._owed: FileAct | None = None
        """What the disk has refused."""
        self._unsaid = 0
        self.dropped = 0
        """Events that were not written, because the disk did not keep up."""
        self.finished = trio.Event()
        """`run` has ended."""

    def say(self, entry: Entry) -> None:
        """Have it written after all that was said before; after `close`, not at all."""
        if self._closed:
            return
        if len(self._queue) < QUEUE or entry.wrote is not None:
            self._queue.append(entry)
        else:
            self._merge(entry)
        self._work.set()

    def _merge(self, entry: Entry) -> None:
        """There is no room for more events; what they made true is told with the last one that has some."""
        last = self._queue[-1]
        self._unsaid += len(entry.said)
        self.dropped += len(entry.said)
        for one in entry.said:
            one.because = ()
        because = last.because if entry.status is None else entry.because
        status, act = entry.status or last.status, entry.act or last.act
        others = {**last.others, **entry.others}
        self._queue[-1] = attrs.evolve(last, status=status, act=act, because=because, others=others)

    async def run(self) -> None:
        """Write until `close` was called and all is written."""
        try:
            while self._queue or not self._closed:
                if self._queue:
                    await self._take(self._queue.popleft())
                    continue
                self._work = trio.Event()
                with trio.move_on_after(math.inf if self._owed is None else AGAIN):
                    await self._work.wait()
                    continue
                await self._take(Entry((), act=self._owed))
            if self._owed is not None:
                await self._take(Entry((), act=self._owed))
            await self._written()
        finally:
            self.finished.set()

    def close(self) -> None:
        """Nothing more will be said."""
        self._closed = True
        self._work.set()

    async def _take(self, entry: Entry) -> None:
        await trio.lowlevel.checkpoint()
        trouble = await self._do(entry.act) if entry.act is not None else []
        ids = self._post(entry, [*trouble, *self._confess(), *entry.said])
        if entry.wrote is not None:
            await self._written()
            entry.wrote(ids)

    def _confess(self) -> list[Said]:
        """How many events were dropped, as soon as there is room to tell it."""
        if not self._unsaid or len(self._queue) > QUEUE // 2:
            return []
        lost, self._unsaid = str(self._unsaid), 0
        message = f"{lost} events could not be kept: the disk did not keep up"
        topic, attributes = "routerd.daemon.events.dropped", {"count": lost}
        return [Said(Event(topic, "warning", "EventsDropped", message, self._resource, attributes=attributes))]

    def _post(self, entry: Entry, said: Sequence[Said]) -> Sequence[int]:
        events = [_with_causes(one, said[:place]) for place, one in enumerate(said)]
        told = {} if entry.status is None else {self._resource: Told(entry.status, entry.because)}
        told |= entry.others
        status = {ref: one.status for ref, one in told.items()}
        because = {ref: _causes(one.because, said) for ref, one in told.items() if one.because}
        ids, on_disk = self._log.post(*events, status=status, because=because)
        self._on_disk = self._on_disk if on_disk is None else on_disk
        for one, event_id in zip(said, ids, strict=True):
            one.id, one.because = event_id, ()
        return ids

    async def _written(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._on_disk is not None:
            await self._on_disk.wait()

    async def _do(self, act: FileAct) -> list[Said]:
        """A file that cannot be written is told once, and the lease goes on without it (the disk may be full)."""
        text = await self._disk.attempt(act)
        self._owed = act if text else None
        if text in ("", self._refused_act):
            self._refused_act = text
            return []
        self._refused_act = text
        message = f"the lease could not be kept for the next start: {text}"
        return [Said(Event(self._unsaved, "error", "LeaseNotSaved", message, self._resource))]


def _with_causes(one: Said, before: Sequence[Said]) -> Event:
    """The event with its causes: those that are written with it stand so many places before it."""
    places = {id(other): len(before) - place for place, other in enumerate(before)}
    follows = tuple(places[id(cause)] for cause in one.because if id(cause) in places)
    known = tuple(cause for cause in map(_id_of, one.because) if cause)
    return attrs.evolve(one.event, causes=(*one.event.causes, *known), follows=follows)


def _causes(because: Sequence[Cause], said: Sequence[Said]) -> tuple[int, ...]:
    """The same of a status: the last that is written with it is -1."""
    places = {id(one): place - len(said) for place, one in enumerate(said)}
    return tuple(number for cause in because if (number := places.get(id(cause), 0) or _id_of(cause)))


def _id_of(cause: Cause) -> int:
    return cause if isinstance(cause, int) else cause.id
