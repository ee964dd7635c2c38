"""SIGTERM and SIGINT end the router, SIGHUP reloads its configuration."""

from __future__ import annotations

import signal
from collections.abc import Callable

import trio


async def run_signals(
    end: Callable[[str], None],
    reload: Callable[[], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen until cancelled. `end` is told the signal's name; a second SIGTERM or SIGINT changes nothing."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP:
                reload()
            else:
                end(signal.Signals(number).name)
