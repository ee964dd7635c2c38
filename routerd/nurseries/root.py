"""The root of the tree: who runs, and who outlives whom, which is indentation.

    event log                                  first in, last out
    └─ outer     signals, configuration, changes, logbook, gauge
       └─ sockets     the control API
          └─ inner     lookout, daemons, controllers

A signal ends it from the inside out: the daemons say goodbye to their peers while the API still answers and the log
still writes; then comes the last event; then the API hangs up; then the log is closed. Nothing of the host is taken
down: a restart of routerd is not a link loss (X-4).

A daemon or a controller that crashes is run again where it is. A crash of anything else cancels its own nursery and so
goes outwards: everything ends in the same order, but for the last event, and systemd or daemon(8) starts it again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from routerd.api.serve import serve_api
from routerd.api.sockets import check_free
from routerd.api.unfinished import tell_unfinished
from routerd.config import Router
from routerd.events.log import Log, open_log
from routerd.nurseries.families import forget_the_past, journal_cursor
from routerd.nurseries.house import House, open_house
from routerd.nurseries.inner import start_inner
from routerd.nurseries.logbook import run_logbook
from routerd.nurseries.notify import notify
from routerd.nurseries.options import Options
from routerd.nurseries.signals import run_signals
from routerd.nurseries.system import System


async def run_router(
    options: Options,
    router: Router,
    system: System,
    *,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the router until a signal ends it or the task is cancelled. `ready` is called once the API answers and
    every controller has been started. Raises OSError (a socket's path is in use), LogVersionError."""
    for path in options.sockets:
        check_free(path)  # They are taken when there is something to answer; one that is in use ends it before a word.
    async with open_log_of(options, system) as log, trio.open_nursery() as outer:
        for companion in system.companions:
            outer.start_soon(companion)
        newest = log.newest
        house = await open_house(options, router, system, log)
        await start_outer(outer, house)
        async with trio.open_nursery() as sockets:
            started = await house.life.hello(newest)
            await forget_the_past(log, house.plane.running, started)
            await sockets.start(serve, house)
            async with trio.open_nursery() as inner:
                await start_inner(inner, house)
                house.configuration.up()
                ready()
                await house.life.ending.wait()
                notify("STOPPING=1")
                inner.cancel_scope.cancel()
            await house.life.goodbye()
            sockets.cancel_scope.cancel()
        outer.cancel_scope.cancel()


def open_log_of(options: Options, system: System) -> AbstractAsyncContextManager[Log]:
    """The event log. It is closed when all that was said is on disk."""
    return open_log(
        options.state_dir / "routerd.db",
        clock_ns=system.host.clock.wall,
        run_sync=system.run_sync,
        cursor_floor=partial(journal_cursor, options.state_dir),
    )


async def start_outer(nursery: trio.Nursery, house: House) -> None:
    """What is there as long as there is a log, before anything else speaks and until after the last word."""
    log = house.log
    nursery.start_soon(house.configuration.run)
    nursery.start_soon(house.changes.run)
    await nursery.start(run_signals, house.life.end, house.configuration.reload_soon)
    nursery.start_soon(run_logbook, log)
    nursery.start_soon(house.plane.verbosity.run)
    nursery.start_soon(tell_unfinished, log, log.newest)
    nursery.start_soon(house.plane.run_gauge, house.options.gauge_interval)


async def serve(house: House, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """The main and the status socket. What was asked when the sockets are cancelled still has its answer sent."""
    main, status = house.options.sockets
    group = house.options.group
    await serve_api(house.plane, main_path=main, status_path=status, group=group, task_status=task_status)
