"""The one gate through which the configuration changes: one change at a time is read, made, judged, written, and put in
force. Whatever ends the process in between leaves the old file or the new one, whole, and the next start goes on from
what it finds.

The order: the text of the new generation, the file itself, then the record with its event, then what is in force.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from routerd.api.change import NotChanged, Terms
from routerd.api.plane import Running
from routerd.api.wire_changes import Pending
from routerd.changes.canonical import Busy, Canonical
from routerd.changes.draft import Draft, Found, Judge, Make, find
from routerd.changes.generations import Generations, Record
from routerd.changes.pending import Commit, Commitments
from routerd.changes.told import Teller, Telling
from routerd.config import Router
from routerd.config.diff import diff
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.events.writer import Runner

Phase = Callable[[Router], str]
"""How a configuration in force has come out until now."""


@attrs.frozen
class Passed:
    """A change that went through. `new`: it is a new generation; `loaded`: it is in force, and `before` was."""

    generation: int
    router: Router
    before: Running
    new: bool
    loaded: bool
    pending: Pending | None = None
    event_id: int | None = None
    warnings: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class _Change:
    """A change on its way through the gate. `record`: of its generation, if that is a new one."""

    draft: Draft
    found: Found
    terms: Terms
    telling: Telling | None
    number: int
    record: Record | None

    @property
    def new(self) -> bool:
        return self.record is not None


class Gate:
    """See the module. `running` is what is in force; `changed` is called when that is another."""

    def __init__(
        self,
        canonical: Canonical,
        generations: Generations,
        running: Running,
        log: Log,
        source: Source,
        run_sync: Runner,
        judge: Judge,
        phase: Phase,
        changed: Callable[[], None],
        commitments: Commitments,
    ) -> None:
        self.running = running
        self.generations = generations
        self.commitments = commitments
        self.judge = judge
        self._canonical = canonical
        self._log = log
        self._teller = Teller(log, generations, source, str(canonical.path))
        self._run = run_sync
        self._phase = phase
        self._changed = changed
        self._lock = trio.Lock()
        self._known: Found | None = None

    async def look(self) -> Found:
        """The file as it is now."""
        try:
            octets = await self._run(self._canonical.read)
        except OSError as error:
            path = str(self._canonical.path)
            return Found(path, None, trouble=f"cannot read {path}: {error.strerror}")
        if self._known is None or self._known.octets != octets:
            self._known = await self._run(find, octets, str(self._canonical.path), self.judge)
        return self._known

    async def draft(self, make: Make, terms: Terms) -> Draft:
        """What a change would make of the file; nothing is changed. Raises ConfigErrors, NotChanged."""
        found = await self.look()
        self._check_seen(found, terms)
        return self._warned(found, await self._run(make, found))

    async def change(
        self, make: Make, terms: Terms, telling: Telling | None, foresee: Callable[[Router], Awaitable[None]]
    ) -> Passed:
        """Change the file and put it in force; `foresee` sees the new one before it is. Raises ConfigErrors,
        NotChanged, OSError."""
        async with self._lock:
            self._check_pending(terms)
            async with self._held():
                found = await self.look()
                self._check_seen(found, terms)
                draft = self._warned(found, await self._run(make, found))
                await foresee(draft.router)
                return await self._commit(found, draft, terms, telling)

    async def load(self, terms: Terms) -> Passed | Found:
        """Put in force what the file holds, or return what is wrong with it: then the old one stays."""
        async with self._lock:
            found = await self.look()
            if found.router is None or found.octets is None or found.document is None:
                return found
            change = await self._numbered(Draft(found.octets, found.router, found.document), found, terms)
            if change.new:
                await self._run(self.generations.keep_if_possible, change.number, found.octets)
            return await self._enter(change, None)

    # One step after the other

    async def _commit(self, found: Found, draft: Draft, terms: Terms, telling: Telling | None) -> Passed:
        change = await self._numbered(draft, found, terms, telling)
        if change.new:
            await self._run(self.generations.keep, change.number, draft.octets)
        commit = None if terms.confirm_within is None else await self._begin(change, terms.confirm_within)
        try:
            if draft.octets != found.octets:
                await self._run(self._replace, draft, found)
        except BaseException:
            if commit is not None:
                with trio.CancelScope(shield=True):
                    await self.commitments.abandon(commit)
            raise
        return await (self._write_down(change) if terms.no_reconcile else self._enter(change, commit))

    async def _numbered(self, draft: Draft, found: Found, terms: Terms, telling: Telling | None = None) -> _Change:
        """The same configuration as the latest has its number; another one a new number, and a record."""
        latest = self.generations.latest
        if latest is not None and latest.config_hash == self.generations.hash_of(draft.router):
            return _Change(draft, found, terms, telling, latest.generation, None)
        number = await self._run(self.generations.next_number, draft.octets)
        restores = None if telling is None else telling.restores
        record = self._teller.record(draft.router, number, self._predecessor(found), terms, restores)
        return _Change(draft, found, terms, telling, number, record)

    def _loads(self, change: _Change) -> bool:
        """Whether another configuration will be in force than now."""
        return not change.terms.no_reconcile and change.number != self.running.generation

    async def _begin(self, change: _Change, within: float) -> Commit | None:
        """Have ready what is needed to go back; None when there will be nothing to go back from."""
        running, draft = self.running, change.draft
        if not self._loads(change):
            return None
        before = running.generation, change.found.octets, running.router
        commit = Commit(*before, change.number, draft.octets, draft.router, change.terms)
        await self.commitments.begin(commit, within)
        return commit

    def _replace(self, draft: Draft, found: Found) -> None:
        """Blocks. Raises NotChanged when an editor was faster."""
        try:
            self._canonical.replace(draft.octets, found.octets)
        except Busy as busy:
            raise NotChanged("conflict", str(busy), "look at the file, and try again") from None
        self._known = Found(found.source, draft.octets, draft.router, draft.document)

    async def _write_down(self, change: _Change) -> Passed:
        """It is written and waits to be loaded."""
        before, number = self.running, change.number
        event_id = None
        if change.new:
            event = self._teller.committed(change.draft.router, number, change.terms)
            event_id = await self._append(event, change, {}, [])
            await self._run(self.generations.forget_texts, (number, before.generation))
        waiting = number if number != before.generation else None
        self.running = attrs.evolve(before, waiting=waiting, pending_error=None)
        return Passed(number, change.draft.router, before, change.new, False, None, event_id, change.draft.warnings)

    async def _enter(self, change: _Change, commit: Commit | None) -> Passed:
        """Put it in force."""
        before, number, router = self.running, change.number, change.draft.router
        passed = Passed(number, router, before, change.new, False, warnings=change.draft.warnings)
        if number == before.generation:
            self.running = attrs.evolve(before, pending_error=None, waiting=None)
            await self.commitments.unchanged()
            return passed
        status = self._teller.status(router, number) | self._superseded()
        event = self._teller.applied(router, number, change.terms)
        event_id = await self._append(event, change, status, self._teller.namesakes(router))
        if commit is not None:
            await self.commitments.written(commit)
        self.running = Running(router, number, self._log.now(), before.config_path)
        self._changed()
        if change.terms.overrules:
            await self.commitments.overruled(change.terms)
        await self._run(self.generations.forget_texts, (number,))
        pending = None if commit is None else self.commitments.pending
        return attrs.evolve(passed, loaded=True, event_id=event_id, pending=pending)

    async def _append(self, event: Event, change: _Change, status: Mapping[Ref, Status], gone: Sequence[Ref]) -> int:
        """The event of a change with all that is written down with it; returns its id."""
        record = {} if change.record is None else {change.record.ref: change.record.status}
        surplus = [one.ref for one in self.generations.surplus((change.number, self.running.generation))]
        events = [event, *self._teller.beside(change.telling, change.number, change.terms)]
        ids = await self._log.append(*events, status={**status, **record}, gone=[*gone, *surplus])
        return ids[0]

    def object_to(self, trouble: str) -> None:
        """What the file holds is not in force, for this reason."""
        self.running = attrs.evolve(self.running, pending_error=trouble)

    async def finish(self, number: int, phase: str) -> None:
        """Write down how a generation came out, if it is still in force."""
        record = self.generations.get(number)
        if record is not None and number == self.running.generation:
            finished = attrs.evolve(record, phase=phase, finished_at=self._log.now())
            await self._log.append(status={finished.ref: finished.status})

    # What is written down

    def _predecessor(self, found: Found) -> Router | None:
        """The configuration of the latest generation, as far as it is at hand: in force, or in the file."""
        latest = self.generations.latest
        if latest is None or latest.generation == self.running.generation:
            return self.running.router
        same = found.router is not None and self.generations.hash_of(found.router) == latest.config_hash
        return found.router if same else None

    def _warned(self, found: Found, draft: Draft) -> Draft:
        """With a word on what somebody has changed in the file by hand and nobody has loaded: it was not asked for, and
        comes or goes with the change."""
        latest = self.generations.latest
        if found.router is None or latest is None or self.generations.hash_of(found.router) == latest.config_hash:
            return draft
        known = self.running.router if latest.generation == self.running.generation else None
        differing = [] if known is None else [f"{one.resource} {one.change}" for one in diff(known, found.router)]
        what = f" ({', '.join(differing)})" if differing else ""
        becomes = "is overwritten" if draft.whole else "is part of this change, too"
        words = f"{found.source} was changed by hand since generation {latest.generation}{what}: that {becomes}"
        return attrs.evolve(draft, warnings=(words,))

    def _superseded(self) -> dict[Ref, Status]:
        """The record of what was in force until now, with how it came out in the end."""
        record = self.generations.get(self.running.generation)
        if record is None:
            return {}
        phase = self._phase(self.running.router)
        ended = attrs.evolve(record, phase=phase, finished_at=record.finished_at or self._log.now())
        return {ended.ref: ended.status}

    # Who may not

    def _check_pending(self, terms: Terms) -> None:
        objection = self.commitments.objection(terms)
        if objection is not None:
            raise NotChanged("conflict", objection, "confirm it or roll it back first")

    def _check_seen(self, found: Found, terms: Terms) -> None:
        """If-Match: what the caller has seen last must be what the file holds."""
        if terms.generation is None:
            return
        latest = self.generations.latest
        number = latest.generation if latest is not None else self.running.generation
        if terms.generation != number:
            raise NotChanged("stale", f"the latest generation is {number}, not {terms.generation}", "look again first")
        if found.router is None or latest is None or self.generations.hash_of(found.router) != latest.config_hash:
            words = f"the file has been changed by hand since generation {number}"
            raise NotChanged("stale", words, "load it first (SIGHUP), or leave If-Match away")

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """The lock file: for a second process."""
        held = self._canonical.held()
        try:
            await self._run(held.__enter__)
        except Busy as busy:
            raise NotChanged("conflict", str(busy), "try again when it has ended") from None
        try:
            yield
        finally:
            held.__exit__(None, None, None)
