"""How the configuration is read again: one reading at a time, and a faulty one changes nothing but what is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import trio

from routerd.api.plane import Running
from routerd.config import ConfigErrors, Router, load, render, summary
from routerd.events.log import Log
from routerd.events.types import Event, Source
from routerd.events.writer import Runner
from routerd.nurseries.clients import unreachable
from routerd.nurseries.generation import begin_generation
from routerd.nurseries.notify import notify

logger = logging.getLogger("routerd")


@attrs.frozen
class Complaint:
    """Why a configuration is not put in force. `told` is for the process's log, `text` for everybody."""

    told: str
    text: str


@attrs.define(eq=False)
class _Asked:
    ended: trio.Event = attrs.field(factory=trio.Event)
    error: str | None = None


class Configuration:
    """The configuration in force: `running`, and the way to another one. `changed` is called when there is."""

    def __init__(
        self,
        path: Path,
        run_dir: Path,
        running: Running,
        key: bytes,
        source: Source,
        log: Log,
        run_sync: Runner,
        changed: Callable[[], None],
    ) -> None:
        self.running = running
        self._path = path
        self._run_dir = run_dir
        self._key = key
        self._source = source
        self._log = log
        self._run_sync = run_sync
        self._changed = changed
        self._asked: list[_Asked] = []
        self._wanted = trio.Event()
        self._up = False

    def up(self) -> None:
        """The router is up: tell the service manager, and from now on of each reload, too."""
        self._up = True
        self._notify("READY=1")

    async def reload(self) -> str | None:
        """Have the file read once more, and return when it is; what is wrong with it, or None. Who asks and goes away
        does not stop it."""
        asked = self._ask()
        await asked.ended.wait()
        return asked.error

    def reload_soon(self) -> None:
        """Have it read once more, without waiting for that."""
        self._ask()

    def _ask(self) -> _Asked:
        asked = _Asked()
        self._asked.append(asked)
        self._wanted.set()
        return asked

    async def run(self) -> None:
        """Read when asked to, until cancelled. Whoever asks while one reading is under way gets the next."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            asked, self._asked = self._asked, []
            error = await self._reload()
            for one in asked:
                one.error = error
                one.ended.set()

    async def _reload(self) -> str | None:
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            found = await self._run_sync(partial(read, self._path, self._run_dir))
            if isinstance(found, Complaint):
                return await self._reject(found)
            path = str(self._path)
            self.running = await begin_generation(self._log, found, path, self._source, self._key)
            self._changed()
            return None
        finally:
            self._notify("READY=1")

    async def _reject(self, complaint: Complaint) -> str:
        logger.error("the configuration is not in force, the old one stays:\n%s", complaint.told)
        first, _, others = complaint.text.partition("\n")
        brief = f"{first} (there are more)" if others else first
        self.running = attrs.evolve(self.running, pending_error=complaint.text)
        await self._log.append(
            Event(
                "routerd.configuration.rejected",
                "error",
                "ConfigurationInvalid",
                f"generation {self.running.generation} stays in force: {brief}",
                source=self._source,
                attributes={"path": str(self._path), "errors": complaint.text},
            )
        )
        return brief

    def _notify(self, *states: str) -> None:
        if self._up:
            notify(*states, f"STATUS=generation {self.running.generation}")


def read(path: Path, run_dir: Path) -> Router | Complaint:
    """What is in the file, or why it cannot be put in force. Blocks. A fault of ours in judging a file is no reason to
    end the router that runs: it is told with its traceback, and counts against the file."""
    try:
        router = load(path.read_bytes(), str(path))
    except ConfigErrors as errors:
        return Complaint(render(errors), summary(errors))
    except OSError as error:
        text = f"cannot read {path}: {error.strerror}"
        return Complaint(text, text)
    except Exception as fault:
        logger.exception("a fault of routerd in reading %s", path)
        text = f"routerd itself is at fault, its log has more: {type(fault).__name__}"
        return Complaint(text, text)
    complaint = unreachable(router, run_dir)
    return router if complaint is None else Complaint(complaint, complaint)
