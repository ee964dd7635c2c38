"""The one task that writes the log. Whatever came while one transaction was being synced is the next one.

When a write fails nobody is held up: callers go on without the disk, what they say is kept in memory (within bounds,
the rest is counted), and the file is opened anew until it can be written. A broken file is set aside. Ids of events
that had not reached the disk when the process ended are given again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.events.consumers import Consumers
from routerd.events.database import Contents, Database, Pruned, Transaction
from routerd.events.faults import WORLD, Fault, fault
from routerd.events.files import Doubt, Opened, new_epoch, open_or_replace, survey
from routerd.events.intake import Admission, Intake
from routerd.events.objects import Objects
from routerd.events.types import Consumer, Event, Ref, Source, StoredEvent, StoredObject

GROUP = 500
"""Rows in one transaction, at most (but one append is never divided)."""
PENDING = 10_000
"""Events kept in memory while they cannot be written."""
PATIENCE = 5.0
"""Seconds after which a disk that does not answer counts as broken."""
PAUSES = (0.1, 30.0)
"""Seconds before the first attempt to write again, and what they are doubled up to."""
QUIET = 60.0
"""Seconds without trouble after which the pauses are short again."""
LOG = Source("routerd", "routerd", "log")

Runner = Callable[..., Awaitable[Any]]
"""Has the signature of `trio.to_thread.run_sync`."""

logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class Group:
    """A transaction in the making, and who waits for it. `applied`: its objects and consumers are seen
    already."""

    change: Transaction = attrs.field(factory=Transaction)
    events: list[StoredEvent] = attrs.field(factory=list)
    done: trio.Event = attrs.field(factory=trio.Event)
    sealed: bool = False
    applied: bool = False

    def add(self, admission: Admission) -> None:
        """Write this, too."""
        self.events += admission.events
        self.change.rows += admission.rows
        self.change.objects.update(admission.objects)
        self.change.consumers.update(admission.consumers)


class Writer:
    """Turns admissions into transactions. `opened` is told of every file that is begun or taken up, `published` of
    every group that is on disk; both are plain calls from the task that writes."""

    def __init__(
        self,
        path: Path,
        intake: Intake,
        objects: Objects,
        consumers: Consumers,
        *,
        clock_ns: Callable[[], int],
        run_sync: Runner,
        opened: Callable[[Contents], None],
        published: Callable[[Group], None],
    ) -> None:
        self.degraded: str | None = None
        self.dropped = 0
        self.orderly = True
        """Whether the file that is open had been closed before."""
        self._path, self._clock_ns, self._run = path, clock_ns, run_sync
        self._intake, self._objects, self._consumers = intake, objects, consumers
        self._opened, self._published = opened, published
        self._thread = trio.CapacityLimiter(1)
        self._database: Database | None = None
        self._epoch, self._newest = "", 0
        self._queue: deque[Group] = deque()
        self._pending = 0
        self._gap_first: int | None = None
        self._owed: dict[Ref, StoredObject | None] = {}
        self._owed_consumers: dict[str, Consumer | None] = {}
        self._suspect: str | None = None
        self._doubtful = False
        self._work, self._attempted, self.closing = trio.Event(), trio.Event(), trio.Event()
        self._pause, self._trouble_at = PAUSES[0], -QUIET

    def put(self, admission: Admission) -> trio.Event | None:
        """Queue it. The event says when it is on disk; None: there is nothing to wait for."""
        if self.degraded is not None:
            self._objects.apply(admission.objects)
            self._consumers.apply(admission.consumers)
            if self._gap_first is not None or self._pending + len(admission.events) > PENDING:
                self._drop(admission)
                return None
        if not (admission.events or admission.objects or admission.consumers):
            return None
        if not self._queue or self._queue[-1].sealed or len(self._queue[-1].events) >= GROUP:
            self._queue.append(Group(applied=self.degraded is not None))
        self._queue[-1].add(admission)
        self._pending += len(admission.events)
        self._work.set()
        return self._queue[-1].done if self.degraded is None else None

    @property
    def unseen(self) -> trio.Event | None:
        """Set when the objects show all that was put until now; None: they do."""
        return next((group.done for group in reversed(self._queue) if group.change.objects and not group.applied), None)

    async def open(self) -> None:
        """Open the file, or be degraded. Raises LogVersionError."""
        trouble = await self._reopen()
        if trouble is not None:
            self._degrade(trouble.text)
            contents: Contents | None = await self._run(survey, self._path, limiter=self._thread)
            if contents is not None:
                self._take_up(contents)

    def close(self) -> None:
        """Take nothing more; `serve` ends when the rest is written."""
        self.closing.set()
        self._work.set()

    async def serve(self) -> None:
        """Write what is queued, until `closing` and all is on disk (or the last attempt has failed)."""
        await trio.lowlevel.checkpoint()
        try:
            await self._serve()
        finally:
            with trio.move_on_after(PATIENCE, shield=True):
                await self._release()

    async def replace(self, epoch: str, trouble: Fault) -> bool:
        """Somebody had trouble with the file of this epoch. Returns whether there is another one now: because this one
        is broken, or because it was just being replaced."""
        await trio.lowlevel.checkpoint()
        if epoch != self._epoch:
            return True
        if trouble.corrupt and self.degraded is None:
            self._suspect = trouble.text
            self._work.set()
        if self._suspect is not None:
            with trio.move_on_after(PATIENCE):
                await self._attempted.wait()
                return self._suspect is None
        return False

    async def prune(self, before: int, aged: int, max_bytes: int, limit: int) -> Pruned | None:
        """`Database.prune` between two transactions; None when the file is out of reach."""

        def between() -> Pruned | None:
            return None if self._database is None else self._database.prune(before, aged, max_bytes, limit)

        await trio.lowlevel.checkpoint()
        epoch = self._epoch
        try:
            pruned: Pruned | None = await self._run(between, limiter=self._thread)
        except WORLD as error:
            await self.replace(epoch, fault(error))
            return None
        return pruned

    async def _serve(self) -> None:
        """Do the one thing that is due, again and again."""
        await trio.lowlevel.checkpoint()
        given_up = False
        while not given_up and (self._queue or self.degraded is not None or not self.closing.is_set()):
            trouble: Fault | None = None
            if self._suspect is not None:
                await self._release()
            if self._database is None:
                trouble = await self._reopen()
            elif self._queue:
                trouble = await self._commit(self._database, self._queue[0])
            elif self.degraded is not None:
                self._recover(self.degraded)
                await trio.lowlevel.checkpoint()
            else:
                self._work = trio.Event()
                await self._work.wait()
            if trouble is not None:
                given_up = self.closing.is_set() and self.degraded is not None
                await self._mend(trouble)
        if given_up:
            logger.error("%s: %d events were never written: %s", self._path, self._pending, self.degraded)

    async def _commit(self, database: Database, group: Group) -> Fault | None:
        group.sealed = True
        outcome: list[Fault | None] = []

        def write() -> None:
            try:
                database.write(group.change)
            except WORLD as error:
                outcome.append(fault(error))
            else:
                outcome.append(None)

        with trio.move_on_after(PATIENCE) as patience:
            await self._run(write, limiter=self._thread, abandon_on_cancel=True)
        if patience.cancelled_caught:
            self._degrade(f"the disk has not answered for {PATIENCE:.0f} s")
            async with self._thread:  # The thread gives its token back when the disk answers after all.
                pass
        trouble = outcome.pop()
        if trouble is None:
            self._queue.popleft()
            self._pending -= len(group.events)
            self._newest = group.events[-1].id if group.events else self._newest
            self._published(group)
            self._show(group)
            group.done.set()
        return trouble

    async def _mend(self, trouble: Fault) -> None:
        """Give up the file for a while. Nobody waits for it meanwhile."""
        if trouble.corrupt:
            self._suspect = trouble.text
        self._doubtful = self._doubtful or self.degraded is None
        self._degrade(trouble.text)
        await self._release()
        if trio.current_time() - self._trouble_at >= QUIET:
            self._pause = PAUSES[0]
        with trio.move_on_after(self._pause):
            await self.closing.wait()
        self._pause = min(self._pause * 2, PAUSES[1])
        self._trouble_at = trio.current_time()

    def _degrade(self, reason: str) -> None:
        if self.degraded is None:
            logger.error("%s: %s; going on without it", self._path, reason)
            for group in self._queue:
                self._show(group)
                group.done.set()
        self.degraded = reason

    def _show(self, group: Group) -> None:
        if not group.applied:
            self._objects.apply(group.change.objects)
            self._consumers.apply(group.change.consumers)
            group.applied = True

    def _drop(self, admission: Admission) -> None:
        """Keep what became of the objects and consumers; of the events only their number."""
        if self._gap_first is None:
            self._gap_first = self._intake.last_id - len(admission.events) + 1
        self._owed.update(admission.objects)
        self._owed_consumers.update(admission.consumers)
        self.dropped += len(admission.events)

    def _recover(self, reason: str) -> None:
        """All that was kept is on disk. Write what was not kept: what became of the objects and consumers, and how
        much was lost."""
        logger.warning("%s: it can be written again", self._path)
        self.degraded = None
        group = Group()
        lost = 0
        if self._gap_first is not None:
            group.change.gap = (self._gap_first, self._intake.last_id)
            group.change.objects, self._owed = self._owed, {}
            group.change.consumers, self._owed_consumers = self._owed_consumers, {}
            group.change.cursors.update(self._intake.cursors)
            lost = self._intake.last_id - self._gap_first + 1
            self._gap_first = None
        self._queue.append(group)
        self._say("recovered", f"the event log was out of reach: {reason}", {"dropped": str(lost), "reason": reason})

    def _say(self, what: str, message: str, attributes: Mapping[str, str]) -> None:
        reason = "Log" + what.title().replace("-", "")
        event = Event(f"routerd.log.{what}", "warning", reason, message, source=LOG, attributes=attributes)
        self.put(self._intake.admit([event], {}, (), {}, self._clock_ns()))

    async def _reopen(self) -> Fault | None:
        """Take up the file, or begin a new one with all that is known."""
        await trio.lowlevel.checkpoint()
        fresh = Contents(
            new_epoch(),
            objects=tuple(self._objects.everything()),
            cursors=dict(self._intake.cursors),
            consumers=tuple(self._consumers.all()),
        )
        known = Contents(self._epoch, newest=self._newest) if self._epoch or self._intake.last_id else None
        doubt = Doubt(self._suspect, known, self._doubtful)
        try:
            opened: Opened = await self._run(
                open_or_replace, self._path, fresh, doubt, self._clock_ns(), limiter=self._thread
            )
        except WORLD as error:
            trouble: Fault | None = fault(error)
        else:
            trouble = None
            self._adopt(opened)
        self._attempted.set()
        self._attempted = trio.Event()
        return trouble

    def _adopt(self, opened: Opened) -> None:
        self._database, self._suspect, self._doubtful = opened.database, None, False
        self._take_up(opened.contents)
        self.orderly = opened.orderly
        if opened.aside is not None:
            message = f"the event log was broken: {opened.reason}; it is kept as {opened.aside.name}"
            self._say("set-aside", message, {"path": str(opened.aside), "reason": opened.reason})

    def _take_up(self, contents: Contents) -> None:
        if not self._epoch and self._intake.last_id == 0:
            self._intake.resume(contents)
            self._objects.apply({stored.ref: stored for stored in contents.objects})
            self._consumers.apply({consumer.name: consumer for consumer in contents.consumers})
        self._epoch, self._newest = contents.epoch, contents.newest
        self._opened(contents)

    async def _release(self) -> None:
        await trio.lowlevel.checkpoint()
        database, self._database = self._database, None
        if database is not None:
            await self._run(database.close, limiter=self._thread)
