"""One Telemetry at work: reads the event log as a durable consumer, measures, and has a thread send both.

The collector can hold up nothing: a send that hangs is left to its thread, events wait in the log, and of more than
`queueSize` the oldest are passed over and counted. Each event comes at least once; one may come twice after a crash."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal, Protocol

import attrs
import trio

from routerd.api.figures import read, read_process
from routerd.api.metric import Reading
from routerd.api.plane import Exports, Plane
from routerd.events.types import Consumed, Filter, StoredEvent
from routerd.resources.observability import Telemetry
from routerd.telemetry.delivery import Delivery

BATCH = 500
LINGER = 1.0
"""Seconds in which events come together before they are sent: a flood of one event each would be as many requests."""
RETRY = (1.0, 60.0)
"""Seconds between attempts: the first, and what they are doubled up to."""
SLACK = 5.0
"""Seconds beyond its timeout that a send may take before it is given up and its thread left alone."""

Phase = Literal["Pending", "Healthy", "Degraded", "Error"]


class Sender(Protocol):
    """What an exporter sends by (`routerd.telemetry.otlp`). Blocks."""

    def send_events(self, epoch: str, events: Any) -> Delivery: ...
    def send_metrics(self, readings: list[Reading], at: int) -> Delivery: ...
    def close(self) -> None: ...


@attrs.frozen
class State:
    """How it goes."""

    phase: Phase
    reason: str
    message: str = ""


STARTING = State("Pending", "Starting", "nothing was sent yet")
HEALTHY = State("Healthy", "Exporting")


class Exporter:
    """See the module. `changed` is called whenever `state` is another."""

    def __init__(
        self, name: str, spec: Telemetry, plane: Plane, make: Callable[[Telemetry], Sender], changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.consumer = consumer_of(name)
        self.sent = Exports()
        self._spec = spec
        self._plane = plane
        self._make = make
        self._changed = changed
        self._failing: dict[str, str] = {}
        """Signals whose last send failed, and why."""
        self._succeeded = False
        self._unmet: State | None = None

    @property
    def state(self) -> State:
        """The present one."""
        if self._unmet is not None:
            return self._unmet
        if self._failing:
            words = "; ".join(f"{signal}: {why}" for signal, why in sorted(self._failing.items()))
            return State("Degraded", "ExportFailed", words)
        return HEALTHY if self._succeeded else STARTING

    async def run(self) -> None:
        """Send until cancelled."""
        sender = await self._opened()
        try:
            async with trio.open_nursery() as nursery:
                if "events" in self._spec.signals:
                    nursery.start_soon(self._send_events, sender)
                if "metrics" in self._spec.signals:
                    nursery.start_soon(self._send_metrics, sender)
        finally:
            sender.close()

    async def _opened(self) -> Sender:
        """The way to the collector; tried again while a package or a file is missing: somebody may put it there."""
        while True:
            try:
                sender: Sender = await trio.to_thread.run_sync(self._make, self._spec, abandon_on_cancel=True)
            except ImportError as error:
                words = f"{error.name or error} is missing: install routerd[otlp] (pip install 'routerd[otlp]')"
                unmet = State("Error", "DependencyUnmet", words)
            except OSError as error:
                unmet = State("Error", "FileUnreadable", f"{error.filename}: {error.strerror}")
            else:
                self._become(None)
                return sender
            self._become(unmet)
            await trio.sleep(RETRY[1])

    def _become(self, unmet: State | None) -> None:
        before = self.state
        self._unmet = unmet
        if self.state != before:
            self._changed()

    async def _send_events(self, sender: Sender) -> None:
        log, where = self._plane.log, Filter(severity=self._spec.severity)
        known = log.consumers.get(self.consumer)
        cursor, retry, limiter = known.cursor if known else log.newest, _Retry(), trio.CapacityLimiter(1)
        if known is None:
            await log.append(consumed={self.consumer: Consumed(cursor)})
        while True:
            await log.wait(cursor)
            await trio.sleep(LINGER)
            over = log.newest - self._spec.queue_size
            if over > cursor:
                self.sent.dropped += over - cursor
                cursor = over
            try:
                page = await log.read(cursor, limit=BATCH, where=where)
            except OSError:
                await retry.pause()
                continue
            if page.events and not await self._delivered(sender, page.epoch, page.events, limiter):
                await retry.pause()
                continue
            retry.reset()
            cursor = page.cursor
            self.sent.dropped += page.lost
            if page.events or page.lost:
                await log.append(consumed={self.consumer: Consumed(cursor)})

    async def _delivered(
        self, sender: Sender, epoch: str, events: tuple[StoredEvent, ...], limiter: trio.CapacityLimiter
    ) -> bool:
        """Whether these events are done with."""
        delivery = await self._deliver("events", lambda: sender.send_events(epoch, events), limiter)
        if delivery.ok:
            self.sent.events += len(events)
        elif delivery.final:
            self.sent.rejected += len(events)
        return delivery.ok or delivery.final

    async def _send_metrics(self, sender: Sender) -> None:
        plane, limiter = self._plane, trio.CapacityLimiter(1)
        while True:
            due = trio.current_time() + self._spec.interval
            readings, now = read(plane), plane.log.now()

            def send(readings: list[Reading] = readings, now: int = now) -> Delivery:
                return sender.send_metrics([*readings, *read_process(plane)], now)

            if (await self._deliver("metrics", send, limiter)).ok:
                self.sent.reports += 1
            await trio.sleep_until(due)

    async def _deliver(self, signal: str, send: Callable[[], Delivery], limiter: trio.CapacityLimiter) -> Delivery:
        """Have a thread send. One that does not come back is left alone, and nothing more is sent until it does."""
        delivery = Delivery(False, f"no answer within {self._spec.timeout + SLACK:g} s")
        with trio.move_on_after(self._spec.timeout + SLACK):
            delivery = await trio.to_thread.run_sync(send, limiter=limiter, abandon_on_cancel=True)
        before = self.state
        if delivery.ok:
            self._succeeded = True
            self._failing.pop(signal, None)
        else:
            self.sent.failures += 1
            self._failing[signal] = delivery.reason
        if self.state != before:
            self._changed()
        return delivery


def consumer_of(name: str) -> str:
    """What the durable consumer of a Telemetry is called."""
    return f"telemetry/{name}"


@attrs.define
class _Retry:
    """Pauses that grow, and differ from router to router."""

    _doublings: int = 0

    async def pause(self) -> None:
        first, longest = RETRY
        await trio.sleep(min(first * 2**self._doublings, longest) * random.uniform(0.8, 1.2))
        self._doublings = min(self._doublings + 1, 10)

    def reset(self) -> None:
        self._doublings = 0
