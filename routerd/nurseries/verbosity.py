"""How much the process's log tells: as the command line chose, or for a while as an admin did (`POST /log-level`).

A level that was chosen for a while falls back by itself; none outlives the process. Of each change there is an event,
whatever the level."""

from __future__ import annotations

import logging
from typing import get_args

import trio

from routerd.api.plane import Level
from routerd.events.log import Log
from routerd.events.types import Event, Source

LEVELS: dict[Level, int] = {level: getattr(logging, level.upper()) for level in get_args(Level)}
SOURCE = Source("routerd", "routerd", "logbook")


class Verbosity:
    """The level of the root logger. `until` is when it falls back, ns since 1970; None: not by itself."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._logger = logging.getLogger()
        self._usual = self._logger.level
        self._changed = trio.Event()
        self._falls_at = float("inf")
        self._why: tuple[int, ...] = ()
        self.chosen: Level | None = None
        """None: as the command line chose."""
        self.until: int | None = None

    @property
    def level(self) -> str:
        """The present one."""
        return logging.getLevelName(self._logger.level).lower()

    async def choose(self, level: Level | None, seconds: float | None, actor: str, causes: tuple[int, ...]) -> int:
        """Tell so much from now on, for so long (None: without an end); level None: as the command line chose. Returns
        the id of the event that says so."""
        before = self.level
        until = None if seconds is None else self._log.now() + round(seconds * 1e9)
        self.chosen, self.until = level, until
        self._falls_at = float("inf") if seconds is None else trio.current_time() + seconds
        self._logger.setLevel(self._usual if level is None else LEVELS[level])
        self._changed.set()
        length = "" if seconds is None else f" for {seconds:g} s"
        words = f"the process's log tells {self.level} and above{length}"
        self._why = (await self._tell("LogLevelChanged", words, before, actor, causes),)
        return self._why[0]

    async def run(self) -> None:
        """Fall back when it is time, until cancelled; then, too."""
        try:
            while True:
                self._changed = trio.Event()
                with trio.move_on_at(self._falls_at):
                    await self._changed.wait()
                if trio.current_time() >= self._falls_at:
                    await self._fall_back()
        finally:
            self._logger.setLevel(self._usual)

    async def _fall_back(self) -> None:
        before = self.level
        self.chosen, self.until, self._falls_at = None, None, float("inf")
        self._logger.setLevel(self._usual)
        words = f"the process's log tells {self.level} and above again"
        await self._tell("LogLevelRestored", words, before, "routerd", self._why)

    async def _tell(self, reason: str, words: str, before: str, actor: str, causes: tuple[int, ...]) -> int:
        attributes = {"level": self.level, "previous": before}
        event = Event(
            *("routerd.process.log-level.changed", "info", reason, words),
            source=SOURCE,
            attributes=attributes,
            causes=causes,
            actor=actor,
        )
        return (await self._log.append(event))[0]
