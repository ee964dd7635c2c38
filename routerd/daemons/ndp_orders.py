"""What an operator may order a daemon of Neighbor Discovery to do, and what becomes of it: start, stop, reload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from routerd.api.plane import CommandEnd, DaemonPhase, UnknownCommand
from routerd.daemons.commands import Commands
from routerd.daemons.scribe import Entry
from routerd.protocols.machine import Start, Stop

ORDERS = ("start", "stop", "reload")


class Orders:
    """`put` tells the machine, `say` the scribe; `reload` has the configuration read again."""

    def __init__(
        self,
        commands: Commands,
        put: Callable[[Any], None],
        say: Callable[[Entry], None],
        reload: Callable[[str, int], Awaitable[str | None]],
    ) -> None:
        self.stopped = False
        self._commands = commands
        self._put = put
        self._say = say
        self._reload = reload

    async def take(
        self, name: str, actor: str, wait: float, cause: int, phase: DaemonPhase, working: trio.Nursery | None
    ) -> CommandEnd:
        """Carry it out, in `working` if it takes long, and wait for its end for so many seconds. Raises
        UnknownCommand."""
        if name not in ORDERS:
            raise UnknownCommand(name)
        asked = await self._commands.receive(name, actor, cause)
        objection = self._objection(name, phase)
        if objection:
            return await self._commands.reject(asked, objection)
        self._commands.begin(asked)
        if name == "reload":
            assert working is not None  # it runs
            working.start_soon(self._read_configuration, actor, asked.began)
        else:
            self.stopped = name == "stop"
            self._put(Stop(release=True) if self.stopped else Start())
        return await self._commands.outcome(asked, wait)

    def _objection(self, name: str, phase: DaemonPhase) -> str:
        """Why a command cannot be."""
        if phase != "Running":
            return f"the daemon is {phase.lower()}"
        if self._commands.is_under_way(name):
            return f"{name} is under way already"
        if name in ("start", "stop") and (name == "stop") is self.stopped:
            return f"the daemon is {'stopped' if self.stopped else 'running'} already"
        return ""

    async def _read_configuration(self, actor: str, cause: int) -> None:
        error = await self._reload(actor, cause)
        self._commands.end("reload", error is None, error or "the configuration was read again", self._say)

    def settle(self, quiet: bool) -> None:
        """After a step of the machine, which is `quiet` or not: what has come to its end."""
        if not self.stopped:
            self._commands.end("start", True, "started", self._say)
        elif quiet:
            self._commands.end("stop", True, "stopped", self._say)
