"""The disk as a daemon meets it: full, broken, or silent. Nobody waits for it for long, and nothing on it is so bad
that there would be no daemon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import trio

from routerd.daemons import lease_file
from routerd.events.writer import Runner
from routerd.protocols.malformed import Malformed

BUILD_DATE = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
"""Seconds since 1970 before which no wall clock that runs this code can be right (C4)."""

PATIENCE = 5.0
"""Seconds after which a disk that does not answer counts as broken."""

FileAct = Callable[[], None]
"""Saves or removes a file; runs in a thread, may raise OSError."""

T = TypeVar("T")


async def read(path: Path, load: Callable[[bytes], T | Malformed], run_sync: Runner) -> T | Malformed | None:
    """What is in a file of ours; None: there is none."""
    try:
        data = await run_sync(lease_file.read, path)
    except OSError as error:
        return Malformed(error.strerror or str(error))
    return None if data is None else load(data)


class Disk:
    """Carries out one act at a time."""

    def __init__(self, run_sync: Runner) -> None:
        self._run_sync = run_sync
        self._busy = trio.CapacityLimiter(1)

    async def attempt(self, act: FileAct) -> str:
        """What is in the way of it; empty: it is done. An act that hangs is let go; until it ends after all, no other
        is begun."""
        await trio.lowlevel.checkpoint()
        silent = f"the disk has not answered for {PATIENCE:.0f} s"
        if self._busy.borrowed_tokens:
            return silent
        try:
            with trio.move_on_after(PATIENCE) as patience:
                await self._run_sync(act, limiter=self._busy, abandon_on_cancel=True)
        except OSError as error:
            return ": ".join(filter(None, (error.strerror or str(error), error.filename)))
        return silent if patience.cancelled_caught else ""
