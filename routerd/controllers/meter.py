"""What a controller measures of itself: every runtime field of contract §1.4, nothing made up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from routerd.api.plane import ControllerReport, ReconcileError
from routerd.events.types import Ref

HISTORY = 20


@attrs.define
class Measured:
    """One reconcile while it runs."""

    errors: Mapping[Ref, str] = attrs.field(factory=dict)

    def refused(self, errors: Mapping[Ref, str]) -> None:
        """The reconcile ended, and this was refused by the system."""
        self.errors = errors


class Meter:
    """Counts, durations, errors of one controller. Wall clock for instants, monotonic for durations."""

    def __init__(
        self,
        name: str,
        kinds: tuple[str, ...],
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._history: deque[ReconcileError] = deque(maxlen=HISTORY)
        self.report = ControllerReport(name=name, resource_kinds=kinds)
        self.crashed = False
        """Whether the last look ended in a crash: that is our own fault, while a refusal is the system's word."""
        self.begun = self.ended = 0
        """How many looks, those that were cut short counted too."""
        self._moved = trio.Event()

    def note(self, **fields: Any) -> None:
        """Set fields of the report: last_reload, last_restart, last_change_reason."""
        self.report = attrs.evolve(self.report, **fields)

    async def ended_after(self, begun: int) -> None:
        """Return when a look has ended that came after so many had begun."""
        await trio.lowlevel.checkpoint()
        while self.ended <= begun:
            await self._moved.wait()

    def next_look(self, delay: float | None) -> None:
        """It will look again in `delay` seconds; None: when it is rung."""
        self.note(next_reconcile=None if delay is None else self._wall() + round(delay * 1e9))

    @contextmanager
    def measuring(self, trigger: str) -> Iterator[Measured]:
        """Measure one reconcile. A crash is counted as an error and goes on to the supervisor; one that is cancelled
        does not count."""
        measured = Measured()
        began, started = self._wall(), self._monotonic()
        self.begun += 1
        try:
            yield measured
        except Exception as crash:
            self.crashed = True
            self._end(trigger, began, self._monotonic() - started, {}, f"{type(crash).__name__}: {crash}")
            raise
        finally:
            self.ended = self.begun
            self._moved.set()
            self._moved = trio.Event()
        self.crashed = False
        self._end(trigger, began, self._monotonic() - started, measured.errors, None)

    def _end(self, trigger: str, began: int, duration: float, refused: Mapping[Ref, str], crash: str | None) -> None:
        now = self._wall()
        before = self.report
        slowest = before.max_duration is None or duration > before.max_duration
        report = attrs.evolve(
            before,
            last_trigger=trigger,
            last_reconcile=now,
            reconciles=before.reconciles + 1,
            last_duration=duration,
            total_duration=before.total_duration + duration,
            max_duration=duration if slowest else before.max_duration,
            max_duration_at=now if slowest else before.max_duration_at,
        )
        ref, error = next(iter(refused.items()), (None, crash))
        if error is None:
            self.report = attrs.evolve(
                report,
                last_success=now,
                consecutive_errors=0,
                last_error_cleared_at=now if before.consecutive_errors else before.last_error_cleared_at,
            )
            return
        self._history.append(
            ReconcileError(began, now, duration, error, trigger, ref.kind if ref else None, ref.name if ref else None)
        )
        self.report = attrs.evolve(
            report,
            errors=before.errors + 1,
            consecutive_errors=before.consecutive_errors + 1,
            last_error=error,
            last_error_at=now,
            history=tuple(self._history),
        )
