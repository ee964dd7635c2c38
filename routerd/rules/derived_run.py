"""A DerivedEvent in life: it looks at the statuses whenever one changes. What it remembers is its own status."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, StoredObject
from routerd.resources.derived import DerivedEvent
from routerd.resources.kinds import KINDS
from routerd.rules.around import Around, known, observed_status
from routerd.rules.derived import DerivedMachine, DerivedState, Turned, Turning, observed
from routerd.rules.player import FINE
from routerd.shapes.duration import format_duration
from routerd.shapes.instant import format_instant, parse_instant
from routerd.shapes.invalid import Invalid

_NS = 10**9


async def run_derived(log: Log, name: str, spec: DerivedEvent, around: Around) -> None:
    """Run a DerivedEvent until cancelled."""
    await DerivedRun(log, name, spec, around).run()


class DerivedRun:
    """One DerivedEvent, until it is cancelled or crashes. What it remembers is its status."""

    def __init__(self, log: Log, name: str, spec: DerivedEvent, around: Around) -> None:
        self._log, self._spec, self._around = log, spec, around
        self._ref = Ref("DerivedEvent", name)
        self._source = Source(f"routerd-derived-{name}", "routerd-derived", name)
        stored = log.objects.get(self._ref)
        self._status: dict[str, Any] = dict(stored.status) if stored is not None else {}
        if self._status.get("topic") != spec.topic:
            self._status = {}
        self._machine = DerivedMachine(spec, self._remembered())

    async def run(self) -> None:
        """Look whenever a status has changed."""
        while True:
            seen = self._log.objects.version
            await self._look()
            await self._wait(seen)

    async def _look(self) -> None:
        now = self._log.now()
        seen = observed(self._spec, self._object)
        outputs = self._machine.handle(seen, now / _NS)
        for turned in outputs:
            self._status["lastAssertedAt" if turned.asserted else "lastRetractedAt"] = format_instant(now)
        self._tell(now)
        # What is said decides; as long as nothing is, what was looked at last.
        because = None if outputs else {self._ref: known(max((*seen.causes, self._around.configured())))}
        with trio.CancelScope(shield=True):  # As above: the next run shall find it.
            await self._log.append(*map(self._event, outputs), status={self._ref: dict(self._status)}, because=because)

    def _object(self, kind: str, name: str) -> StoredObject | None:
        known = KINDS.get(kind)
        return self._log.objects.get(Ref(kind, name, known.api_version)) if known is not None else None

    def _remembered(self) -> DerivedState:
        status = self._status
        since = status.get("pendingSince")
        causes = observed(self._spec, self._object).causes
        turning = None if since is None else Turning(_seconds(since), causes)
        return DerivedState(status.get("asserted"), "lastAssertedAt" in status, turning)

    def _tell(self, now: int) -> None:
        state = self._machine.state
        pending = "None" if state.turning is None else "Retracting" if state.asserted else "Asserting"
        if state.ever:  # It may have held from the first, without a word.
            self._status.setdefault("lastAssertedAt", format_instant(now))
        self._status |= {
            "phase": self._machine.phase,
            "topic": self._spec.topic,
            "asserted": bool(state.asserted),
            "pendingTransition": pending,
            **observed_status("Asserted", bool(state.asserted), self._machine.phase, self._around.generation()),
        }
        for passing in ("pendingSince", "reason", "message"):
            self._status.pop(passing, None)
        if state.turning is not None:
            word = "retracted" if state.asserted else "asserted"
            self._status |= {
                "pendingSince": format_instant(round(state.turning.since * _NS)),
                "reason": "Hysteresis",
                "message": f"{word} if it is so for {format_duration(self._spec.hysteresis)} without a break",
            }

    async def _wait(self, seen: int) -> None:
        deadline = self._machine.deadline
        if deadline is None:
            await self._log.objects.changed(seen)
            return
        left = deadline + FINE / _NS - self._log.now() / _NS
        await self._around.alarmed(left, partial(self._log.objects.changed, seen))

    def _event(self, turned: Turned) -> Event:
        word = "asserted" if turned.asserted else "retracted"
        return Event(
            f"{self._spec.topic}.{word}",
            reason=f"DerivedEvent{word.title()}",
            message=f"derived event {word}",
            resource=self._ref,
            source=self._source,
            attributes={"asserted": "true" if turned.asserted else "false"},
            causes=turned.causes,
        )


def _seconds(instant: str) -> float:
    try:
        return parse_instant(instant) / _NS
    except Invalid:  # Of another version of routerd: the wait begins again.
        return float("inf")
