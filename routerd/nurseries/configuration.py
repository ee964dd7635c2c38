"""How the configuration is read again: one reading at a time, and a faulty one changes nothing but what is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import attrs
import trio

from routerd.api.change import Terms
from routerd.api.plane import Running
from routerd.changes.draft import Found
from routerd.changes.gate import Gate
from routerd.config import render, summary
from routerd.events.log import Log
from routerd.events.types import Event, Source
from routerd.nurseries.notify import notify

logger = logging.getLogger("routerd")


@attrs.frozen
class Complaint:
    """Why a configuration is not put in force. `told` is for the process's log, `text` for everybody."""

    told: str
    text: str


@attrs.define(eq=False)
class _Asked:
    terms: Terms
    ended: trio.Event = attrs.field(factory=trio.Event)
    error: str | None = None


class Configuration:
    """Has the file put in force when asked to; `loaded` is called when there is another configuration."""

    def __init__(self, gate: Gate, source: Source, log: Log, path: str, loaded: Callable[[], None]) -> None:
        self._gate = gate
        self._source = source
        self._log = log
        self._path = path
        self._loaded = loaded
        self._asked: list[_Asked] = []
        self._wanted = trio.Event()
        self._up = False

    @property
    def running(self) -> Running:
        """What is in force."""
        return self._gate.running

    def up(self) -> None:
        """The router is up: tell the service manager, and from now on of each reload, too."""
        self._up = True
        self._notify("READY=1")

    async def reload(self, actor: str, cause: int) -> str | None:
        """Have the file read once more, and return when it is; what is wrong with it, or None. `cause` is the event of
        the request. Who asks and goes away does not stop it."""
        asked = self._ask(Terms(actor, (cause,)))
        await asked.ended.wait()
        return asked.error

    def reload_soon(self) -> None:
        """Have it read once more, without waiting for that."""
        self._ask(Terms())

    def _ask(self, terms: Terms) -> _Asked:
        asked = _Asked(terms)
        self._asked.append(asked)
        self._wanted.set()
        return asked

    async def run(self) -> None:
        """Read when asked to, until cancelled. Whoever asks while one reading is under way gets the next."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            asked, self._asked = self._asked, []
            causes = {cause: None for one in asked for cause in one.terms.causes}
            error = await self._reload(attrs.evolve(asked[-1].terms, causes=tuple(causes)))
            for one in asked:
                one.error = error
                one.ended.set()

    async def _reload(self, terms: Terms) -> str | None:
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            complaint = await self._load(terms)
            return None if complaint is None else await self._reject(complaint, terms)
        finally:
            self._notify("READY=1")

    async def _load(self, terms: Terms) -> Complaint | None:
        """A fault of ours in judging a file is no reason to end the router that runs: it is told with its traceback,
        and counts against the file."""
        try:
            passed = await self._gate.load(terms)
        except Exception as fault:
            logger.exception("a fault of routerd in reading %s", self._path)
            text = f"routerd itself is at fault, its log has more: {type(fault).__name__}"
            return Complaint(text, text)
        if isinstance(passed, Found):
            errors = passed.errors
            return (
                Complaint(passed.trouble, passed.trouble)
                if errors is None
                else Complaint(render(errors), summary(errors))
            )
        if passed.loaded:
            self._loaded()
        return None

    async def _reject(self, complaint: Complaint, terms: Terms) -> str:
        logger.error("the configuration is not in force, the old one stays:\n%s", complaint.told)
        first, _, others = complaint.text.partition("\n")
        brief = f"{first} (there are more)" if others else first
        await self._log.append(
            Event(
                "routerd.configuration.rejected",
                "error",
                "ConfigurationInvalid",
                f"generation {self.running.generation} stays in force: {brief}",
                source=self._source,
                attributes={"path": self._path, "errors": complaint.text},
                causes=terms.causes,
                actor=terms.actor,
            )
        )
        self._gate.object_to(complaint.text)
        return brief

    def _notify(self, *states: str) -> None:
        if self._up:
            notify(*states, f"STATUS=generation {self.running.generation}")
