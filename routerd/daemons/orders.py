"""What an operator may order a daemon to do, and what becomes of it: start, stop, reload, and what its protocol has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio

from routerd.api.plane import CommandEnd, UnknownCommand
from routerd.daemons.commands import Asked, Commands
from routerd.daemons.lifetime import Standing
from routerd.daemons.scribe import Entry


@attrs.frozen(kw_only=True)
class Orders:
    """Of one run. `inputs` are the commands that the machine understands, which is told of them by `put`; `has_ended`
    says whether it is stopped. `reload` has the configuration read again. `who` is obeyed: the client, the daemon."""

    who: str
    standing: Standing
    commands: Commands
    inputs: Mapping[str, Any]
    put: Callable[[Any], None]
    has_ended: Callable[[], bool]
    say: Callable[[Entry], None]
    reload: Callable[[str, int], Awaitable[str | None]]

    async def take(self, name: str, actor: str, wait: float, cause: int, working: trio.Nursery | None) -> CommandEnd:
        """Carry it out, in `working` if it takes long, and wait for its end for so many seconds. Raises
        UnknownCommand."""
        if name != "reload" and name not in self.inputs:
            raise UnknownCommand(name, ("reload", *self.inputs))
        asked = await self.commands.receive(name, actor, cause)
        objection = self._objection(name)
        if objection:
            return await self.commands.reject(asked, objection)
        self.commands.begin(asked)
        if name == "reload":
            assert working is not None  # it runs
            working.start_soon(self._read_configuration, asked)
        else:
            self.put(self.inputs[name])
        return await self.commands.outcome(asked, wait)

    def _objection(self, name: str) -> str:
        """Why a command cannot be, as far as it is not for the machine to say."""
        if self.standing.phase != "Running":
            return f"the {self.who} is {self.standing.phase.lower()}"
        if self.commands.is_under_way(name):
            return f"{name} is under way already"
        if name in ("start", "stop") and (name == "stop") is self.has_ended():
            return f"the {self.who} is {'stopped' if self.has_ended() else 'running'} already"
        return ""

    async def _read_configuration(self, asked: Asked) -> None:
        error = await self.reload(asked.actor, asked.began)
        self.commands.end("reload", error is None, error or "the configuration was read again", self.say)
