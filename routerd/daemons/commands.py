"""What was asked of a daemon, and how it ended: two events each, and an answer to whoever waits (contract rule 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from routerd.api.plane import CommandEnd
from routerd.daemons.scribe import Entry, Said
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source


@attrs.define(eq=False)
class Asked:
    """A command; `actor` asked for it, `began` is the id of the event that says so."""

    name: str
    actor: str
    began: int
    ended: trio.Event = attrs.field(factory=trio.Event)
    end: CommandEnd | None = None


class Commands:
    """The commands of one daemon. At most one of each name is under way."""

    def __init__(self, log: Log, resource: Ref, source: Source) -> None:
        self._log = log
        self._resource = resource
        self._source = source
        self._under_way: dict[str, Asked] = {}

    def is_under_way(self, name: str) -> bool:
        """Whether one of this name has not ended yet."""
        return name in self._under_way

    def began(self, name: str) -> int:
        """The id of the event that began the one of this name that is under way; 0: there is none."""
        asked = self._under_way.get(name)
        return asked.began if asked is not None else 0

    async def receive(self, name: str, actor: str, cause: int) -> Asked:
        """Write down who asked for what; `cause` is the event of the request (0: none)."""
        [began] = await self._log.append(
            self._event(name, "received", "CommandReceived", f"{name} was asked for", actor, cause)
        )
        return Asked(name, actor, began)

    async def reject(self, asked: Asked, reason: str) -> CommandEnd:
        """It cannot be, in the present state: say so at once."""
        [event_id] = await self._log.append(self._end(asked, accepted=False, ok=False, message=reason))
        return CommandEnd(False, reason, event_id)

    def begin(self, asked: Asked) -> None:
        """It is under way from now on, until `end` or `abandon`."""
        self._under_way[asked.name] = asked

    async def outcome(self, asked: Asked, wait: float) -> CommandEnd:
        """How it ended, if it does within `wait` seconds."""
        with trio.move_on_after(wait):
            await asked.ended.wait()
        return asked.end or CommandEnd(True, f"{asked.name} goes on", asked.began, pending=True)

    def end(
        self,
        name: str,
        ok: bool,
        message: str,
        say: Callable[[Entry], None],
        *,
        accepted: bool = True,
        hint: str = "",
    ) -> None:
        """It has ended: have that written (`say`), then let its caller go with the id of the event that says so. `hint`
        is what the caller could do instead."""
        asked = self._under_way.pop(name, None)
        if asked is None:
            return

        def wrote(ids: Sequence[int]) -> None:
            _answer(asked, accepted, ok, message, ids[-1], hint)

        say(Entry([Said(self._end(asked, accepted, ok, message))], wrote=wrote))

    async def abandon(self, reason: str) -> None:
        """None of them will come to its end."""
        await trio.lowlevel.checkpoint()
        left, self._under_way = list(self._under_way.values()), {}
        if left:
            ids = await self._log.append(*(self._end(asked, accepted=True, ok=False, message=reason) for asked in left))
            for asked, event_id in zip(left, ids, strict=True):
                _answer(asked, accepted=True, ok=False, message=reason, event_id=event_id)

    def _end(self, asked: Asked, accepted: bool, ok: bool, message: str) -> Event:
        word, reason = ("executed", "CommandExecuted") if accepted else ("rejected", "CommandRejected")
        return self._event(asked.name, word, reason, message, asked.actor, asked.began, ok)

    def _event(
        self, name: str, word: str, reason: str, message: str, actor: str, cause: int = 0, ok: bool = True
    ) -> Event:
        return Event(
            f"routerd.daemon.command.{word}",
            "info" if ok else "warning",
            reason,
            message,
            self._resource,
            self._source,
            {"command": name},
            causes=(cause,) if cause else (),
            actor=actor,
        )


def _answer(asked: Asked, accepted: bool, ok: bool, message: str, event_id: int, hint: str = "") -> None:
    asked.end = CommandEnd(accepted, message, event_id, succeeded=ok if accepted else None, hint=hint)
    asked.ended.set()
