"""Watching a journal being written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import trio

from routerd.events.journal import last_cursor


class Pen:
    """A runner for journals that tells when it has done something."""

    def __init__(self) -> None:
        self._lifted = trio.Event()
        self.faults: list[OSError] = []

    async def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return await trio.to_thread.run_sync(function, *args, **options)
        except OSError as error:
            self.faults.append(error)
            raise
        finally:
            self._lifted.set()
            self._lifted = trio.Event()

    async def written(self, path: Path, cursor: int) -> None:
        """Return when the journal has got as far as this."""
        await trio.lowlevel.checkpoint()
        while last_cursor(path) < cursor:
            await self._lifted.wait()

    async def failed(self) -> None:
        """Return when it could not write."""
        await trio.lowlevel.checkpoint()
        while not self.faults:
            await self._lifted.wait()


def cursors(path: Path) -> list[int]:
    """Of all whole lines, the rotated ones first."""
    rotated = path.with_name(f"{path.name}.1")
    octets = b"".join(file.read_bytes() for file in (rotated, path) if file.exists())
    return [int(orjson.loads(line)["cursor"]) for line in octets.splitlines(keepends=True) if line.endswith(b"\n")]
