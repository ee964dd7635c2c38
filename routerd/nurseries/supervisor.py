"""Runs something again when it crashes: 1, 2, 4 … 60 s apart; five quiet minutes clear the count.

It never gives up: this is somebody's WAN. Only what may be run again is supervised; root, signals, event log
and accept loops are not: if they fail the process exits and systemd or daemon(8) starts it again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

logger = logging.getLogger("routerd.supervisor")

FIRST_DELAY, LONGEST_DELAY, QUIET = 1.0, 60.0, 300.0


async def supervise(
    name: str,
    run: Callable[[], Awaitable[None]],
    report: Callable[[str, int, float], Awaitable[None]],
) -> None:
    """Await `run()` for ever. A return is an end and is respected; a crash is logged with its traceback, told
    to `report(error, crashes, delay)`, and followed by another run."""
    crashes = 0
    while True:
        began = trio.current_time()
        error = ""
        try:
            await run()
            return
        # A group may hold a crash and a Cancelled: `except*` takes the crash and lets the Cancelled go on.
        except* Exception as group:
            error = _first_line(group)
            logger.exception("%s crashed", name)
        crashes = 1 if trio.current_time() - began >= QUIET else crashes + 1
        delay = min(FIRST_DELAY * 2 ** (crashes - 1), LONGEST_DELAY)
        await report(error, crashes, delay)
        await trio.sleep(delay)


def _first_line(error: BaseException) -> str:
    """The innermost first error of a group as one line for an event."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
