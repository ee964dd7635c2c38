"""Work that nobody can take away: it runs in a task of its own, and who asked for it and goes away does not stop it."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
import trio

from routerd.api.change import NotChanged
from routerd.config import ConfigErrors

logger = logging.getLogger("routerd")

T = TypeVar("T")


@attrs.define(eq=False)
class _Errand:
    """One that is under way."""

    ended: trio.Event = attrs.field(factory=trio.Event)
    result: Any = None
    error: Exception | None = None
    heard: bool = True
    """Somebody waits for it."""


class Errands:
    """`run` must be running for any to be done."""

    def __init__(self) -> None:
        self._send, self._waiting = trio.open_memory_channel[Callable[[], Awaitable[None]]](math.inf)

    async def run(self) -> None:
        """Carry out what is asked for, until cancelled."""
        async with trio.open_nursery() as nursery:
            async for errand in self._waiting:
                nursery.start_soon(errand)

    def soon(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done, without waiting for that."""
        self._send.send_nowait(work)

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have it done, and wait for it. Raises what it raises."""
        errand = _Errand()

        async def run() -> None:
            try:
                errand.result = await work()
            except Exception as error:
                errand.error = error
                if not errand.heard and not isinstance(error, ConfigErrors | NotChanged | OSError):
                    logger.exception("a change failed that nobody waits for any more; this is a defect of routerd")
            errand.ended.set()  # cancelled: it never ends, and the API tells those who wait that routerd stops

        self._send.send_nowait(run)
        try:
            await errand.ended.wait()
        except trio.Cancelled:
            errand.heard = False
            raise
        if errand.error is not None:
            raise errand.error
        return errand.result  # type: ignore[no-any-return]
