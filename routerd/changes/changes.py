"""What the API asks of the configuration (`routerd.api.change.Changes`): judged, foreseen, changed, and waited for.

Each change runs in a task of its own: who asked for it and goes away does not stop it, and its end is in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import trio

from routerd.api.change import Candidate, NotChanged, Terms
from routerd.api.wire_changes import Generation, GenerationItem, Pending, ResourceResult, Result
from routerd.changes import outcome
from routerd.changes.draft import Make, as_it_was, drafted, without
from routerd.changes.errands import Errands
from routerd.changes.forecast import Foreseen
from routerd.changes.gate import Gate, Passed
from routerd.changes.history import History
from routerd.changes.outcome import Compared
from routerd.changes.stage import Stage
from routerd.changes.told import Telling
from routerd.config import ConfigErrors, Router, summary
from routerd.config.diff import diff
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, ref_of
from routerd.events.writer import Runner
from routerd.resources.kinds import kind_named
from routerd.shapes.instant import Instant

PATIENCE = 10.0
"""Seconds that a change is waited for until it has settled."""


class RouterChanges:
    """See the module. `run` must be running for anything to be changed."""

    def __init__(self, gate: Gate, stage: Stage, log: Log, source: Source, run_sync: Runner) -> None:
        self.gate = gate
        self._stage = stage
        self._log = log
        self._source = source
        self._run_sync = run_sync
        self._errands = Errands()
        self._history = History(gate, stage, run_sync)

    @property
    def pending(self) -> Pending | None:
        """See Changes."""
        return self.gate.commitments.pending

    async def run(self) -> None:
        """Carry out what is asked for, until cancelled."""
        await self._errands.run()

    def see_soon(self) -> None:
        """Have a look at how what has been put in force comes out, if that is not known yet."""
        self._errands.soon(self._see)

    async def _see(self) -> None:
        running = self.gate.running
        record = self.gate.generations.get(running.generation)
        if record is not None and (record.finished_at is None or record.phase == "Committed"):
            await self._settle(running.generation, running.router, Terms(), None)

    # Asking

    async def validate(self, candidate: Candidate | None) -> Sequence[str]:
        """See Changes."""
        if candidate is not None:
            return (await self.gate.draft(drafted(candidate, self.gate.judge), Terms())).warnings
        found = await self.gate.look()
        if found.errors is not None:
            raise found.errors
        if found.router is None:
            raise NotChanged("conflict", found.trouble)
        return ()

    async def plan(self, candidate: Candidate | None) -> Result:
        """See Changes."""
        if candidate is None:
            running = self.gate.running
            return await self._planned(running.router)
        return await self._try(drafted(candidate, self.gate.judge), Terms())

    async def generations(self, limit: int) -> Sequence[GenerationItem]:
        """See Changes."""
        return await self._history.latest(limit)

    async def generation(self, number: int) -> Generation:
        """See Changes."""
        return await self._history.one(number)

    # Changing

    async def apply(self, candidate: Candidate, terms: Terms) -> Result:
        """See Changes."""
        return await self._changed(drafted(candidate, self.gate.judge), terms, None)

    async def delete(self, kind: str, name: str, terms: Terms, *, force: bool = False) -> Result:
        """See Changes."""
        named = kind_named(kind) or kind
        running = self.gate.running.router
        stored = [one.ref for one in self._log.objects.all() if (one.ref.kind, one.ref.name) == (named, name)]
        if force and stored and running.get(named, name) is None:
            return await self._errands.do(partial(self._forget, stored[0], terms))
        telling = Telling(
            "deleted", "ConfigurationDeleted", f"{named}/{name} is deleted", {"target": f"{named}/{name}"}
        )
        return await self._changed(without(named, name, self.gate.judge), terms, telling)

    async def rollback(self, to: int | None, terms: Terms) -> Result:
        """See Changes."""
        number = self._before_latest() if to is None else to
        octets = await self._run_sync(self.gate.generations.text_of, number)
        words = f"back to the configuration of generation {number}"
        telling = Telling("rolled_back", "ConfigurationRolledBack", words, {"to": str(number)}, number)
        return await self._changed(as_it_was(number, octets, self.gate.judge), terms, telling)

    def _before_latest(self) -> int:
        numbers = [record.generation for record in self.gate.generations.all()]
        if len(numbers) < 2:
            raise NotChanged("absent", "there is no generation before this one", field="to")
        return numbers[-2]

    async def _changed(self, make: Make, terms: Terms, telling: Telling | None) -> Result:
        if terms.dry_run:
            return await self._try(make, terms)
        return await self._errands.do(partial(self._change, make, terms, telling))

    async def _change(self, make: Make, terms: Terms, telling: Telling | None) -> Result:
        """One change, to its end."""
        foreseen: list[Compared] = []

        async def foresee(router: Router) -> None:
            foreseen.append(await self._compared(router))

        rejected: ConfigErrors | OSError
        try:
            passed = await self.gate.change(make, terms, telling, foresee)
        except (ConfigErrors, OSError) as error:
            rejected = error
        else:
            if not passed.loaded:
                return self._unloaded(passed)
            return await self._outcome(passed, foreseen[-1], terms)
        await self._tell_rejected(rejected, terms)
        raise rejected

    async def _outcome(self, passed: Passed, compared: Compared, terms: Terms) -> Result:
        phase, warnings = await self._settle(passed.generation, passed.router, terms, passed.event_id)
        objects = self._stage.objects()
        found = outcome.results(compared, objects, done=True)
        return Result(
            generation=passed.generation,
            timestamp=Instant(self._log.now()),
            phase=phase,
            changed=True,
            resources=found or None,
            changes=compared.changes,
            restarts=list(compared.foreseen.daemons) or None,
            orphans=list(outcome.orphans(objects, passed.router)) or None,
            warnings=[*passed.warnings, *warnings] or None,
            pending=passed.pending,
            event_id=passed.event_id,
        )

    def _unloaded(self, passed: Passed) -> Result:
        """Nothing to reconcile: it was so already, or it waits to be loaded."""
        waits = passed.generation != self.gate.running.generation
        before, after = passed.before.router, passed.router
        changes = Compared(before, after, diff(before, after), Foreseen()).changes
        return Result(
            generation=passed.generation,
            timestamp=Instant(self._log.now()),
            phase="Committed" if waits else self._stage.phase(passed.router),
            changed=passed.new,
            resources=None,
            changes=changes or None,
            warnings=list(passed.warnings) or None,
            event_id=passed.event_id,
        )

    async def _settle(self, number: int, router: Router, terms: Terms, cause: int | None) -> tuple[str, list[str]]:
        """Wait, within bounds, until a generation has been taken in; write down how it came out. Returns that, and
        warnings."""
        with trio.move_on_after(PATIENCE) as patience:
            await self._stage.settled()
        late = f"has not settled within {PATIENCE:.0f} s" if patience.cancelled_caught else ""
        phase = self._stage.phase(router)
        if number != self.gate.running.generation:
            return phase, [f"generation {self.gate.running.generation} is in force by now"]
        await self.gate.finish(number, phase)
        wrong = [str(ref) for ref in map(ref_of, router.resources) if self._is_wrong(ref)]
        event = Event(
            "routerd.configuration.settled",
            "info" if phase in ("Healthy", "Drifted") else "warning",
            "ConfigurationSettled",
            f"configuration generation {number} {late or 'has settled'}: {phase}",
            source=self._source,
            attributes={"generation": str(number), "phase": phase} | ({"failed": ",".join(wrong)} if wrong else {}),
            causes=() if cause is None else (cause,),
            actor=terms.actor,
            generation=number,
        )
        await self._log.append(event)
        return phase, [f"it {late}; the events tell how it goes on"] if late else []

    async def _forget(self, ref: Ref, terms: Terms) -> Result:
        """Remove an object that nothing declares from the store."""
        if not terms.dry_run:
            words = f"{ref} is not declared; what was known of it is deleted"
            attributes = {"target": str(ref)}
            event = Event(
                "routerd.configuration.deleted", "info", "ObjectDeleted", words, ref, self._source, attributes
            )
            event = attrs.evolve(event, actor=terms.actor, causes=terms.causes)
            await self._log.append(event, gone=[ref])
        item = f"{ref.api_version}/{ref}"
        running = self.gate.running
        return Result(
            generation=running.generation,
            timestamp=Instant(self._log.now()),
            phase=self._stage.phase(running.router),
            changed=not terms.dry_run,
            resources=[ResourceResult(item, "Drifted", "removed")],
        )

    async def _tell_rejected(self, error: ConfigErrors | OSError, terms: Terms) -> None:
        """A change that was asked for and cannot be made."""
        text = summary(error) if isinstance(error, ConfigErrors) else error.strerror or str(error)
        first, _, others = text.partition("\n")
        reason = "ConfigurationInvalid" if isinstance(error, ConfigErrors) else "ConfigurationUnwritable"
        words = f"nothing is changed: {first}{' (there are more)' if others else ''}"
        event = Event("routerd.configuration.rejected", "warning", reason, words, source=self._source)
        attributes = {"errors": text}
        await self._log.append(attrs.evolve(event, attributes=attributes, actor=terms.actor, causes=terms.causes))

    # Looking ahead

    async def _try(self, make: Make, terms: Terms) -> Result:
        draft = await self.gate.draft(make, terms)
        return await self._planned(draft.router, draft.warnings)

    async def _planned(self, router: Router, warnings: Sequence[str] = ()) -> Result:
        compared = await self._compared(router)
        await trio.lowlevel.checkpoint()
        objects, running = self._stage.objects(), self.gate.running
        found = outcome.results(compared, objects, done=False)
        return Result(
            generation=running.generation,
            timestamp=Instant(self._log.now()),
            phase=self._stage.phase(running.router),
            changed=bool(compared.differences),
            resources=found or None,
            changes=compared.changes,
            restarts=list(compared.foreseen.daemons) or None,
            orphans=list(outcome.orphans(objects, running.router, router)) or None,
            warnings=list(warnings) or None,
        )

    async def _compared(self, router: Router) -> Compared:
        running = self.gate.running.router
        return Compared(running, router, diff(running, router), await self._stage.forecaster.foresee(router))

    def _is_wrong(self, ref: Ref) -> bool:
        stored = self._log.objects.get(ref)
        return stored is not None and outcome.phase_of(stored.status) == "Blocked"
