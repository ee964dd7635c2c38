"""The event log: appended to by everybody, read by cursor, on disk before anybody sees it.

The objects that events change live beside them, in the same transaction. A log that cannot be written does not stop
its callers: it is `degraded` until it can (`routerd.events.writer`)."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from routerd.events.consumers import Consumers
from routerd.events.database import Contents
from routerd.events.faults import WORLD, LogVersionError, fault
from routerd.events.files import check, new_epoch
from routerd.events.history import History
from routerd.events.intake import Because, Intake
from routerd.events.objects import Objects
from routerd.events.recent import Recent
from routerd.events.retention import DEFAULT, Keeping, Retention, run_retention
from routerd.events.rows import predicate
from routerd.events.tally import Tally
from routerd.events.types import Consumed, Event, Filter, Page, Ref, Status, StoredEvent
from routerd.events.writer import Group, Runner, Writer

__all__ = ["Log", "LogVersionError", "Retention", "StaleCursor", "inline", "open_log"]

RECENT = 4096
"""Events kept in memory for readers that keep up."""
STRETCH = 20_000
"""Ids that one question to the disk looks at: who asks for what is rare does not hold up the others."""
PRUNED_AT_ONCE = 200

EVERYTHING = Filter()
_NOTHING: Mapping[Ref, Status] = {}
_NOBODY: Mapping[str, Consumed | None] = {}


async def inline(
    function: Callable[..., Any],
    *args: Any,
    limiter: trio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> Any:
    """A runner without threads, for simulations on an autojump clock, which takes a thread for idleness and would jump
    over every timeout. The whole run waits for the disk."""
    await trio.lowlevel.checkpoint()
    return function(*args)


class StaleCursor(Exception):
    """The cursor is of another epoch, or of events that are gone. Reading after `oldest` gives all that is left."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the cursor is not of this log or before its horizon; what is left begins after {oldest}")
        self.oldest = oldest


class Log:
    """See `open_log`. The ids of the events on disk are `oldest` … `newest` (`oldest` is one more when there are
    none); `objects` is what they made of the objects, and `consumers` how far durable consumers have read. `tally`
    counts what was stored, `keeping` says for how long it is."""

    def __init__(
        self, path: Path, clock_ns: Callable[[], int], run: Runner, cursor_floor: Callable[[str], int]
    ) -> None:
        self.epoch = new_epoch()
        self.oldest, self.newest = 1, 0
        self.objects, self.consumers = Objects(), Consumers()
        self.tally, self.keeping = Tally(), Keeping()
        self._path, self._clock_ns, self._run = path, clock_ns, run
        self._intake = Intake(cursor_floor)
        self._writer = Writer(
            path,
            self._intake,
            self.objects,
            self.consumers,
            clock_ns=clock_ns,
            run_sync=run,
            opened=self._opened,
            published=self._published,
        )
        self._recent = Recent(RECENT, 0)
        self._history, self._reading = History(path), trio.CapacityLimiter(1)
        self._gaps: list[tuple[int, int]] = []
        self._grown = trio.Event()
        self._found = 0, 0
        self._tending = trio.CancelScope()

    @property
    def degraded(self) -> str | None:
        """Why events cannot be written at the moment, else None."""
        return self._writer.degraded

    @property
    def appended(self) -> int:
        """The id of the last event that was appended, be it on disk yet or not. Who has read up to it has read all that
        was said until now."""
        return self._intake.last_id

    @property
    def unseen(self) -> trio.Event | None:
        """Set when `objects` show all that was appended until now; None: they do."""
        return self._writer.unseen

    @property
    def dropped(self) -> int:
        """How many events were lost for ever because they could not be written, since start."""
        return self._writer.dropped

    async def append(
        self,
        *events: Event,
        status: Mapping[Ref, Status] = _NOTHING,
        gone: Collection[Ref] = (),
        consumed: Mapping[str, Consumed | None] = _NOBODY,
        because: Because | None = None,
    ) -> tuple[int, ...]:
        """Store events, what they make of objects, and how far those who say them have read, all or nothing. Returns
        the ids of `events` when they are on disk; while the log is degraded, at once. Cancelling does not take back
        what was appended.

        Where a status differs, or a condition in it, `routerd.resource.status.changed` follows by itself, caused by all
        of `events`; with `because` by what stands there for the object, or if nothing does by those of `events` that
        are about it. An object that is `gone` is not announced: one of `events` should say so. A durable consumer whose
        `consumed` is None is forgotten. Raises TypeError for values that JSON cannot say (a Secret is one), ValueError
        for a `follows` that points nowhere and a negative cursor, trio.ClosedResourceError."""
        ids, done = self.post(*events, status=status, gone=gone, consumed=consumed, because=because)
        if done is not None:
            await done.wait()
        else:
            await trio.lowlevel.checkpoint()
        return ids

    def post(
        self,
        *events: Event,
        status: Mapping[Ref, Status] = _NOTHING,
        gone: Collection[Ref] = (),
        consumed: Mapping[str, Consumed | None] = _NOBODY,
        because: Because | None = None,
    ) -> tuple[tuple[int, ...], trio.Event | None]:
        """`append` for those who go on meanwhile: the ids, and what is set when all is on disk (None: nothing to wait
        for). Whatever is appended later is on disk later, or at the same time."""
        if self._writer.closing.is_set():
            raise trio.ClosedResourceError("the event log is closed")
        admission = self._intake.admit(events, status, gone, consumed, self._clock_ns(), because)
        return admission.ids, self._writer.put(admission)

    async def read(self, after: int, *, limit: int = 100, where: Filter = EVERYTHING) -> Page:
        """The first `limit` matching events after `after`, ascending. Raises OSError when they are no longer in memory
        and the disk cannot be read at the moment."""
        await trio.lowlevel.checkpoint()
        wanted = None if where == EVERYTHING else predicate(where)
        found: list[StoredEvent] = []
        cursor, lost = max(after, 0), 0
        while len(found) < limit and cursor < self.newest:
            missing = limit - len(found)
            if cursor >= self._recent.floor:
                upto, oldest = self.newest, self.oldest
                events = self._recent.after(cursor, wanted, missing)
            else:
                upto = min(max(cursor, self.oldest - 1) + STRETCH, self._recent.floor)
                stretch = await self._look(self._history.ascending, cursor, upto, where, missing)
                if stretch is None:
                    continue
                events, oldest = stretch.events, stretch.oldest or upto + 1
            if len(events) == missing:
                upto = events[-1].id
            found += events
            lost += self._lost(cursor, upto, oldest)
            cursor = upto
        return Page(self.epoch, tuple(found), cursor, self.oldest, self.newest, lost)

    async def tail(self, n: int, where: Filter = EVERYTHING) -> Page:
        """The newest `n` matching events, ascending; the cursor is the log's end. Raises OSError as `read` does."""
        await trio.lowlevel.checkpoint()
        newest, upto = self.newest, self._recent.floor
        found = self._recent.newest(predicate(where), n)
        while len(found) < n and upto >= self.oldest:
            after = max(upto - STRETCH, self.oldest - 1)
            stretch = await self._look(self._history.descending, after, upto, where, n - len(found))
            if stretch is not None:
                found += stretch.events
                upto = after
        return Page(self.epoch, tuple(reversed(found)), newest, self.oldest, self.newest, 0)

    async def of_ids(self, ids: Collection[int]) -> Mapping[int, StoredEvent]:
        """Those of these events that are left, by id. Raises OSError as `read` does."""
        await trio.lowlevel.checkpoint()
        while True:
            floor = self._recent.floor
            found = {stored.id: stored for stored in self._recent.among(ids)}
            old = [number for number in ids if self.oldest <= number <= floor]
            if not old:
                return found
            stored = await self._look(self._history.of_ids, old)
            if stored is not None:
                return found | {one.id: one for one in stored}

    async def position(self, source: str, source_cursor: int) -> int:
        """The id of the last event that `source` (a name) said at or before its own `source_cursor`, 0 if none is left:
        from there `read` goes on for whoever counts by source. Raises OSError as `read` does."""
        await trio.lowlevel.checkpoint()
        while self.newest:
            number = await self._look(self._history.position, source, source_cursor)
            if number is not None:
                return int(number)
        return 0

    async def wait(self, after: int) -> None:
        """Return when there is an event after `after`."""
        await trio.lowlevel.checkpoint()
        while self.newest <= after:
            await self._grown.wait()

    def format_cursor(self, number: int) -> str:
        """The cursor for the outside: it says the epoch, too."""
        return f"{self.epoch}-{number}"

    def parse_cursor(self, text: str) -> int:
        """The inverse of `format_cursor`; bare digits are an id in this epoch, and `0` the beginning of whatever there
        is. Raises StaleCursor for a cursor that this log cannot continue, ValueError for what is none."""
        epoch, dash, digits = text.rpartition("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or bool(dash) != bool(epoch):
            raise ValueError(f"{text[:80]!r} is not a cursor")
        number = int(digits)
        stale = not self.oldest - 1 <= number <= self.newest and text != "0"
        if stale or (epoch and epoch != self.epoch):
            raise StaleCursor(self.oldest - 1)
        return number

    def now(self) -> int:
        """The wall clock of the log, ns since 1970."""
        return self._clock_ns()

    async def prune(self, before: int, aged: int, max_bytes: int) -> int:
        """One small step of retention (`Database.prune`): how many events it deleted, 0 when there is no more to do."""
        pruned = await self._writer.prune(before, aged, max_bytes, PRUNED_AT_ONCE)
        if pruned is None:
            return 0
        self.oldest = max(self.oldest, pruned.oldest)
        self.tally.deleted += pruned.deleted
        self._recent.forget(self.oldest - 1)
        self._gaps = [gap for gap in self._gaps if gap[1] >= self.oldest]
        return pruned.deleted

    async def open(self) -> None:
        """Take up the file. Raises LogVersionError; whatever else is wrong with it only degrades the log."""
        await self._writer.open()

    async def write(self) -> None:
        """Write until `close`, however much is cancelled around it: goodbyes are written, too."""
        with trio.CancelScope(shield=True):
            await self._writer.serve()
            await self._run(self._history.close, limiter=self._reading)

    async def tend(self) -> None:
        """Prune what is old, and have a look at a file that was not closed in order, until `close`."""
        with self._tending:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_retention, self, *self._found)
                if not self._writer.orderly:
                    nursery.start_soon(self._verify)

    def close(self) -> None:
        """Nothing more is appended; `write` ends when the rest is written."""
        self._tending.cancel()
        self._writer.close()

    def _opened(self, contents: Contents) -> None:
        if contents.epoch == self.epoch:
            return
        self.epoch = contents.epoch
        if contents.newest >= self.newest:
            self.oldest, self.newest, self._gaps = contents.oldest, contents.newest, list(contents.gaps)
            self._found = contents.newest, contents.newest_at
        else:  # A new file, begun while we ran: ids go on, what was before is out of reach.
            self.oldest, self._gaps = self.newest + 1, []
        self._recent = Recent(RECENT, self.newest)

    def _published(self, group: Group) -> None:
        self.tally.committed(group.events)
        self._recent.extend(group.events)
        if group.change.gap is not None:
            self._gaps.append(group.change.gap)
        if group.events:
            self.newest = group.events[-1].id
            self._grown.set()
            self._grown = trio.Event()

    async def _verify(self) -> None:
        """A power cut may tear pages that nobody reads for weeks, and lose events without a word."""
        await trio.lowlevel.checkpoint()
        epoch = self.epoch
        try:
            await self._run(check, self._path, abandon_on_cancel=True)
        except WORLD as error:
            await self._writer.replace(epoch, fault(error))

    async def _look(self, question: Callable[..., Any], *args: Any) -> Any:
        """Ask the disk; None: its file was broken and has been replaced."""
        await trio.lowlevel.checkpoint()
        epoch = self.epoch

        def ask() -> Any:
            try:
                return question(*args)
            finally:
                if self.degraded is not None:
                    # A connection of the time when the disk was read-only would keep the writer's next one so, too.
                    self._history.close()

        try:
            return await self._run(ask, limiter=self._reading)
        except WORLD as error:
            trouble = fault(error)
        if await self._writer.replace(epoch, trouble):
            return None
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)}: {trouble.text}")

    def _lost(self, after: int, upto: int, oldest: int) -> int:
        """How many of the ids in (after, upto] are events that are gone."""
        horizon = max(after, min(oldest - 1, upto))
        return horizon - after + sum(max(0, min(last, upto) - max(first - 1, horizon)) for first, last in self._gaps)


@asynccontextmanager
async def open_log(
    path: str | os.PathLike[str],
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    run_sync: Runner = trio.to_thread.run_sync,
    retention: Retention = DEFAULT,
    cursor_floor: Callable[[str], int] = lambda source: 0,
) -> AsyncIterator[Log]:
    """The log at `path`, made when it is not there, set aside and begun anew when it is broken, in memory as long as
    it cannot be written. Leaving the block writes what was appended until then.

    `clock_ns` is the wall clock (time stamps only: order is by id). `run_sync` runs what blocks: `inline` under an
    autojump clock. `cursor_floor(source name)` is the least that `source_cursor` goes on from, for a log that was lost.
    Raises LogVersionError when a newer routerd wrote the file."""
    log = Log(Path(path), clock_ns, run_sync, cursor_floor)
    log.keeping.keep(retention)
    await log.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.write)
        nursery.start_soon(log.tend)
        try:
            yield log
        finally:
            log.close()
