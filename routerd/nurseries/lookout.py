"""Watches the host: keeps the picture up to date, wakes the controllers, and tells what happened under us."""

from __future__ import annotations

from collections.abc import Callable

import trio

from routerd.controllers.interface import news_of
from routerd.controllers.picture import Picture
from routerd.controllers.view import View
from routerd.events.incidents import SLEEP, Incidents
from routerd.events.log import Log
from routerd.events.types import Event
from routerd.host import Host


async def run_lookout(
    host: Host,
    picture: Picture,
    look: Callable[[], View],
    log: Log,
    ring: Callable[[str], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Watch until cancelled; started when the picture is complete for the first time."""
    async with host.watch() as notices:
        picture.note(await notices.receive())
        task_status.started()
        async for notice in notices:
            view = look()
            news = news_of(view, notice)
            picture.note(notice)
            ring(f"host: {type(notice).__name__}")
            # It does not wait for the disk: who else hears of the notice shall find its event when it asks.
            ids, _ = log.post(*(one.event for one in news))
            for event_id, one in zip(ids, news, strict=True):
                for thing in one.things:
                    view.incidents.happened(thing, event_id)


async def run_clock_watch(host: Host, log: Log, incidents: Incidents, ring: Callable[[str], None]) -> None:
    """Tell of clock steps and of sleep: they explain timestamps that run backwards and leases that ran out. Then look
    again: a clock that was set has other words for the moments in statuses."""
    async with host.clock.steps() as steps:
        async for step in steps:
            if abs(step.suspended) >= 1:
                what, reason, word = f"the host slept for {step.suspended:.0f} s", "Resumed", "resumed"
            else:
                what, reason, word = f"the wall clock was set by {step.wall:+.3f} s", "ClockStep", "step"
            attributes = {"wallSeconds": f"{step.wall:.3f}", "suspendedSeconds": f"{step.suspended:.3f}"}
            event = Event(f"routerd.host.clock.{word}", "warning", reason, what, attributes=attributes)
            [event_id], _ = log.post(event)
            if word == "resumed":
                incidents.happened(SLEEP, event_id)
            ring(f"clock: {reason}")
