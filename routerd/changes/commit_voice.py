"""What is told of a change on trial: in events, in the status of the configuration, in the record of its generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from routerd.api.change import NotChanged, Terms
from routerd.changes.commit import Revert
from routerd.changes.commit_file import Kept
from routerd.changes.generations import CONTROL
from routerd.config import ConfigErrors
from routerd.events.log import Log
from routerd.events.objects import RECORD
from routerd.events.types import Event, Filter, Ref, Severity, Source, Status, StoredEvent
from routerd.shapes.duration import format_duration
from routerd.shapes.instant import format_instant

PENDING = "routerd.configuration.pending"
CONFIRMED = "routerd.configuration.confirmed"
REVERTED = "routerd.configuration.reverted"
REVERT_FAILED = "routerd.configuration.revert_failed"
RESIDUE = "routerd.configuration.residue"


class Voice:
    """`source` is who says it."""

    def __init__(self, log: Log, source: Source) -> None:
        self._log = log
        self._source = source
        self._complained = ""

    async def pending(self, kept: Kept, terms: Terms) -> None:
        """It is on trial from now on."""
        message = f"generation {kept.generation} is on trial: unless it is confirmed by {_moment(kept)} it goes back"
        guarded = [*kept.guards.interfaces, *kept.guards.wans]
        caller = {} if kept.guards.caller is None else {"caller": kept.guards.caller.remote}
        attributes = {"guards": ",".join(guarded), **caller}
        await self._tell(PENDING, "info", "Pending", message, kept, terms, attributes)

    async def extended(self, kept: Kept, terms: Terms) -> int:
        """There is more time. Returns the id of the event."""
        message = f"generation {kept.generation} stays on trial until {_moment(kept)}"
        return await self._tell(PENDING, "info", "Extended", message, kept, terms)

    async def warn(self, kept: Kept, left: float) -> None:
        """There is little time left."""
        message = f"generation {kept.generation} goes back in {format_duration(round(left))} unless it is confirmed"
        await self._tell(PENDING, "warning", "ConfirmSoon", message, kept, Terms(causes=await self.event_of(kept)))

    async def confirmed(self, kept: Kept, terms: Terms) -> int:
        """It stays. Returns the id of the event."""
        told = attrs.evolve(terms, causes=(*await self.event_of(kept), *terms.causes))
        message = f"generation {kept.generation} is confirmed"
        return await self._tell(CONFIRMED, "info", "Confirmed", message, kept, told)

    async def abandoned(self, kept: Kept) -> None:
        """It was never in the file."""
        words = f"generation {kept.generation} was never written: routerd ended before; {_stays(kept)}"
        await self._tell(REVERTED, "warning", "NeverWritten", words, kept, Terms())

    async def reverted(self, kept: Kept, revert: Revert, causes: tuple[int, ...]) -> None:
        """It has gone back. The configuration's own status says so until it is changed or loaded again."""
        self._complained = ""
        message = f"generation {kept.generation} was taken back: {revert.message}"
        told = Terms(causes=causes)
        status = self._status("Degraded", "Reverted", message) | self._record(kept, reverted=True)
        await self._tell(REVERTED, "error", revert.reason, f"{message}; {_stays(kept)}", kept, told, {}, status)

    async def calm(self) -> None:
        """Somebody has seen that it has gone back: the configuration's status says no more than that it is in force."""
        loud = [one for one in self._log.objects.of_kind("Router") if one.status.get("reason") == "Reverted"]
        for stored in loud:
            quiet = {name: value for name, value in stored.status.items() if name not in ("reason", "message")}
            await self._log.append(status={stored.ref: {**quiet, "phase": "Applied"}})

    async def rolled_back(self, kept: Kept, terms: Terms) -> None:
        """Somebody went back by hand."""
        message = f"generation {kept.generation} was rolled back before it was confirmed"
        told = attrs.evolve(terms, causes=(*await self.event_of(kept), *terms.causes))
        await self._tell(REVERTED, "info", "RolledBack", message, kept, told, {}, self._record(kept, reverted=True))

    async def revert_failed(self, kept: Kept, revert: Revert, words: str, causes: tuple[int, ...]) -> None:
        """It must go back and cannot. The same words once only, however often it is tried."""
        if words == self._complained:
            return
        self._complained = words
        message = f"generation {kept.generation} must go back ({revert.message}) and cannot: {words}; it is tried again"
        status = self._status("Error", "RevertFailed", message)
        await self._tell(REVERT_FAILED, "error", "RevertFailed", message, kept, Terms(causes=causes), {}, status)

    async def torn(self, path: Path, words: str) -> None:
        """A change was on trial, and nobody knows which: what is in force stays."""
        message = (
            f"a change of the configuration may have been on trial, and cannot be taken back: {path}: {words}; "
            "what is in force stays, see the generations"
        )
        event = Event(REVERT_FAILED, "error", "FileUnusable", message, source=self._source)
        await self._log.append(attrs.evolve(event, attributes={"path": str(path)}))

    async def residue(self, kept: Kept, left: Sequence[str]) -> None:
        """What of it is on the host after all."""
        words = "; ".join(left)
        message = f"of generation {kept.generation}, which was taken back, there is left: {words}"
        record = self._record(kept, warnings=list(left))
        causes = tuple(event.id for event in await self._of(REVERTED, kept))
        await self._tell(RESIDUE, "warning", "Residue", message, kept, Terms(causes=causes), {"left": words}, record)

    async def event_of(self, kept: Kept) -> tuple[int, ...]:
        """The event with which its trial began."""
        return tuple(event.id for event in await self._of(PENDING, kept))

    async def has_told(self, kept: Kept) -> bool:
        """Whether its end was told."""
        return bool(await self._of(REVERTED, kept))

    async def _of(self, topic: str, kept: Kept) -> list[StoredEvent]:
        """The last event of a topic, if it is of this change. A log that cannot be read has none."""
        try:
            page = await self._log.tail(1, Filter(topics=(topic,)))
        except OSError:
            return []
        return [stored for stored in page.events if stored.event.attributes.get("generation") == str(kept.generation)]

    def _record(self, kept: Kept, **fields: Any) -> dict[Ref, Status]:
        """Of its generation, with these fields."""
        ref = Ref(RECORD, str(kept.generation), CONTROL)
        stored = self._log.objects.get(ref)
        return {} if stored is None else {ref: {**stored.status, **fields}}

    def _status(self, phase: str, reason: str, message: str) -> dict[Ref, Status]:
        """Of the configuration itself."""
        return {
            stored.ref: {**stored.status, "phase": phase, "reason": reason, "message": message}
            for stored in self._log.objects.of_kind("Router")
        }

    async def _tell(
        self,
        topic: str,
        severity: Severity,
        reason: str,
        message: str,
        kept: Kept,
        terms: Terms,
        attributes: Mapping[str, str] = {},
        status: Mapping[Ref, Status] = {},
    ) -> int:
        known: dict[str, Any] = {"generation": str(kept.generation), "previous": str(kept.previous)}
        ref = next((stored.ref for stored in self._log.objects.of_kind("Router")), None)
        ids = await self._log.append(
            Event(
                topic,
                severity,
                reason,
                message,
                ref,
                self._source,
                {**known, "confirmBy": _moment(kept), **attributes},
                terms.causes,
                actor=terms.actor,
                generation=kept.generation,
            ),
            status=status,
        )
        return ids[0]


def failure(error: Exception) -> str:
    """Why the gate did not go back, in a sentence."""
    match error:
        case NotChanged():
            return error.message
        case ConfigErrors():
            return "this version of routerd does not take the configuration of before any more"
        case OSError():
            return error.strerror or str(error)
    return str(error)


def _moment(kept: Kept) -> str:
    return format_instant(kept.confirm_by // 10**9 * 10**9)


def _stays(kept: Kept) -> str:
    return f"the configuration of generation {kept.previous} is in force"
