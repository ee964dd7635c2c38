"""The one gate through which the configuration changes: one change at a time is read, made, judged, written, and put in
force. Whatever ends the process in between leaves the old file or the new one, whole, and the next start goes on from
what it finds.

The order: the text of the new generation, the file itself, then the record with its event, then what is in force.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

from routerd.api.change import NotChanged, Terms
from routerd.api.plane import Running
from routerd.api.wire_changes import Pending
from routerd.changes.canonical import Busy, Canonical
from routerd.changes.draft import Draft, Found, Judge, Make, find
from routerd.changes.generations import Generations, Record
from routerd.changes.pending import Commit, Commitments
from routerd.config import Router
from routerd.config.diff import diff
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.events.writer import Runner

logger = logging.getLogger("routerd")

Phase = Callable[[Router], str]
"""How a configuration in force has come out until now."""


@attrs.frozen
class Telling:
    """An event beside those that every change has: what kind of change it was."""

    topic: str
    reason: str
    message: str
    attributes: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Passed:
    """A change that went through. `loaded`: another configuration is in force than before (`before`, `before_number`);
    `new`: it is a new generation."""

    generation: int
    router: Router
    before: Router
    before_number: int
    new: bool
    loaded: bool
    pending: Pending | None = None
    event_id: int | None = None


class Gate:
    """See the module. `running` is what is in force; `changed` is called when that is another. `commitments` may be set
    before anything changes."""

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
    ) -> None:
        self.running = running
        self.generations = generations
        self.commitments: Commitments | None = None
        self.judge = judge
        self._canonical = canonical
        self._log = log
        self._source = source
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
            return Found(None, trouble=f"cannot read {self._canonical.path}: {error.strerror}")
        if self._known is None or self._known.octets != octets:
            self._known = await self._run(find, octets, str(self._canonical.path), self.judge)
        return self._known

    async def draft(self, make: Make, terms: Terms) -> Draft:
        """What a change would make of the file; nothing is changed. Raises ConfigErrors, NotChanged."""
        found = await self.look()
        self._check_seen(found, terms)
        return await self._run(make, found)  # type: ignore[no-any-return]

    async def change(
        self, make: Make, terms: Terms, telling: Telling | None, foresee: Callable[[Router], None]
    ) -> Passed:
        """Change the file and put it in force; `foresee` sees the new one before it is. Raises ConfigErrors,
        NotChanged, OSError."""
        async with self._lock:
            self._check_pending(terms)
            async with self._held():
                found = await self.look()
                self._check_seen(found, terms)
                draft: Draft = await self._run(make, found)
                foresee(draft.router)
                return await self._commit(found, draft, terms, telling)

    async def load(self, terms: Terms) -> Passed | Found:
        """Put in force what the file holds, or return what is wrong with it: then the old one stays."""
        async with self._lock:
            found = await self.look()
            if found.router is None or found.octets is None or found.document is None:
                return found
            draft = Draft(found.octets, found.router, found.document)
            number, new = await self._number(draft)
            if new:
                await self._keep(number, draft.octets, terms)
            return await self._enter(draft, number, new, terms, None, None)

    # One step after the other

    async def _commit(self, found: Found, draft: Draft, terms: Terms, telling: Telling | None) -> Passed:
        number, new = await self._number(draft)
        loads = not terms.no_reconcile and (new or number != self.running.generation)
        commit = Commit(
            self.running.generation, found.octets, self.running.router, number, draft.octets, draft.router, terms
        )
        if new:
            await self._run(self.generations.keep, number, draft.octets)
        pending = await self._begin(commit) if loads and terms.confirm_within is not None else None
        try:
            if draft.octets != found.octets:
                await self._run(self._replace, draft, found)
        except BaseException:
            if pending is not None and self.commitments is not None:
                with trio.CancelScope(shield=True):
                    await self.commitments.abandon(commit)
            raise
        if terms.no_reconcile:
            return await self._write_down(draft, number, new, terms, telling)
        return await self._enter(draft, number, new, terms, telling, commit if pending is not None else None)

    async def _number(self, draft: Draft) -> tuple[int, bool]:
        """The number of a configuration, and whether it is a new one."""
        latest = self.generations.latest
        if latest is not None and latest.config_hash == self.generations.hash_of(draft.router):
            return latest.generation, False
        return await self._run(self.generations.next_number, draft.octets), True

    async def _keep(self, number: int, octets: bytes, terms: Terms) -> None:
        """The text of what is in the file already. It is in force whether there is room for a copy or not."""
        try:
            await self._run(self.generations.keep, number, octets)
        except OSError as error:
            logger.warning("the text of generation %d is not kept: %s", number, error.strerror)

    async def _begin(self, commit: Commit) -> Pending:
        within = commit.terms.confirm_within
        if self.commitments is None or within is None:
            raise NotChanged("beyond", "this version of routerd does not have changes that go back by themselves")
        return await self.commitments.begin(commit, within)

    def _replace(self, draft: Draft, found: Found) -> None:
        """Blocks. Raises NotChanged when an editor was faster."""
        try:
            self._canonical.replace(draft.octets, found.octets)
        except Busy as busy:
            raise NotChanged("conflict", str(busy), "look at the file, and try again") from None
        self._known = Found(draft.octets, draft.router, draft.document)

    async def _write_down(self, draft: Draft, number: int, new: bool, terms: Terms, telling: Telling | None) -> Passed:
        """It is written and waits to be loaded."""
        before, event_id = self.running, None
        if new:
            words = f"configuration generation {number} is written; it waits to be loaded"
            event = self._event("committed", "ConfigurationCommitted", words, number, terms, draft.router)
            record = self._record(draft.router, number, terms)
            events = [event, *self._told(telling, number, terms)]
            ids = await self._log.append(*events, status={record.ref: record.status}, gone=self._surplus(number))
            event_id = ids[0]
            await self._run(self.generations.forget_texts, (number, before.generation))
        waiting = number if number != before.generation else None
        self.running = attrs.evolve(self.running, waiting=waiting, pending_error=None)
        return Passed(number, draft.router, before.router, before.generation, new, False, None, event_id)

    async def _enter(
        self, draft: Draft, number: int, new: bool, terms: Terms, telling: Telling | None, commit: Commit | None
    ) -> Passed:
        """Put it in force."""
        before, path = self.running, str(self._canonical.path)
        passed = Passed(number, draft.router, before.router, before.generation, new, False)
        if number == before.generation:
            self.running = attrs.evolve(before, pending_error=None, waiting=None)
            if self.commitments is not None:
                await self.commitments.unchanged()
            return passed
        event, status, gone = applied(self.generations, self._log, draft.router, number, path, self._source, terms)
        record = self._record(draft.router, number, terms) if new else None
        records = [one for one in (record, self._superseded()) if one is not None]
        events = [event, *self._told(telling, number, terms)]
        ids = await self._log.append(
            *events,
            status={**status, **{one.ref: one.status for one in records}},
            gone=[*gone, *self._surplus(number)],
        )
        if commit is not None and self.commitments is not None:
            await self.commitments.written(commit)
        self.running = Running(draft.router, number, self._log.now(), path)
        self._changed()
        if terms.overrules and self.commitments is not None:
            await self.commitments.overruled(terms)
        await self._run(self.generations.forget_texts, (number,))
        pending = self.commitments.pending if commit is not None and self.commitments is not None else None
        return attrs.evolve(passed, loaded=True, event_id=ids[0], pending=pending)

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

    def _record(self, router: Router, number: int, terms: Terms) -> Record:
        return recorded(self.generations, router, number, self._predecessor(), terms, self._log.now())

    def _predecessor(self) -> Router | None:
        """The configuration of the latest generation, as far as it is at hand."""
        latest = self.generations.latest
        if latest is None or latest.generation == self.running.generation:
            return self.running.router
        known = self._known.router if self._known is not None else None
        return known if known is not None and self.generations.hash_of(known) == latest.config_hash else None

    def _superseded(self) -> Record | None:
        """The record of what was in force until now, with how it came out in the end."""
        record = self.generations.get(self.running.generation)
        if record is None:
            return None
        phase = self._phase(self.running.router)
        return attrs.evolve(record, phase=phase, finished_at=record.finished_at or self._log.now())

    def _surplus(self, number: int) -> list[Ref]:
        return [one.ref for one in self.generations.surplus((number, self.running.generation))]

    def _event(self, word: str, reason: str, message: str, number: int, terms: Terms, router: Router) -> Event:
        return Event(
            f"routerd.configuration.{word}",
            reason=reason,
            message=message,
            resource=ref_of(router),
            source=self._source,
            generation=number,
            actor=terms.actor,
            causes=terms.causes,
            attributes={
                "generation": str(number),
                "digest": self.generations.hash_of(router),
                "path": str(self._canonical.path),
            },
        )

    def _told(self, telling: Telling | None, number: int, terms: Terms) -> list[Event]:
        if telling is None:
            return []
        topic, attributes = f"routerd.configuration.{telling.topic}", {"generation": str(number), **telling.attributes}
        return [
            Event(
                topic,
                reason=telling.reason,
                message=telling.message,
                source=self._source,
                generation=number,
                actor=terms.actor,
                causes=terms.causes,
                follows=(1,),
                attributes=attributes,
            )
        ]

    # Who may not

    def _check_pending(self, terms: Terms) -> None:
        objection = None if self.commitments is None else self.commitments.objection(terms)
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


def ref_of(router: Router) -> Ref:
    """The object of the configuration itself."""
    return Ref("Router", router.name, "routerd.net/v1alpha1")


def recorded(
    generations: Generations, router: Router, number: int, predecessor: Router | None, terms: Terms, now: int
) -> Record:
    """The record of a new generation."""
    found = [] if predecessor is None else [one.change for one in diff(predecessor, router)]
    counts: dict[str, Any] = {word: found.count(word) for word in ("added", "changed", "removed")}
    counts = {} if predecessor is None else counts
    done = now if terms.no_reconcile else None
    return Record(
        number, now, "Committed", generations.hash_of(router), terms.actor, len(router.resources), done, **counts
    )


def applied(
    generations: Generations, log: Log, router: Router, number: int, path: str, source: Source, terms: Terms
) -> tuple[Event, dict[Ref, Status], list[Ref]]:
    """The event of a generation that comes into force, the status of the configuration itself, and the objects of
    routers of another name: they are not there any more."""
    ref, digest = ref_of(router), generations.hash_of(router)
    status = {
        "phase": "Applied",
        "generation": number,
        "observedGeneration": number,
        "digest": digest,
        "resourceCount": len(router.resources),
    }
    message = f"configuration generation {number} is in force: {len(router.resources)} resources from {path}"
    event = Event(
        "routerd.configuration.applied",
        reason="ConfigurationApplied",
        message=message,
        resource=ref,
        source=source,
        generation=number,
        actor=terms.actor,
        causes=terms.causes,
        attributes={"generation": str(number), "digest": digest, "path": path},
    )
    gone = [one.ref for one in log.objects.of_kind("Router") if one.ref != ref]
    return event, {ref: status}, gone


async def first(
    log: Log, generations: Generations, router: Router, path: str, source: Source, run_sync: Runner
) -> Running:
    """Put in force what the process was started with: the same configuration keeps its number over a restart, and there
    is no event for a no-op."""
    octets = router.text.encode()
    latest, digest, terms = generations.latest, generations.hash_of(router), Terms()
    new = latest is None or latest.config_hash != digest
    in_force = max((one.status.get("generation", 0) for one in log.objects.of_kind("Router")), default=0)
    number = await run_sync(generations.next_number, octets) if new or latest is None else latest.generation
    if number == in_force and not new:
        return Running(router, number, log.now(), path)
    event, status, gone = applied(generations, log, router, number, path, source, terms)
    if new:
        await run_sync(partial(_keep_first, generations, number, octets))
        before = await run_sync(_text_as_router, generations, latest)
        record = recorded(generations, router, number, before, terms, log.now())
        status[record.ref] = record.status
    gone += [one.ref for one in generations.surplus((number,))]
    await log.append(event, status=status, gone=gone)
    return Running(router, number, log.now(), path)


def _keep_first(generations: Generations, number: int, octets: bytes) -> None:
    try:
        generations.keep(number, octets)
    except OSError as error:
        logger.warning("the text of generation %d is not kept: %s", number, error.strerror)


def _text_as_router(generations: Generations, latest: Record | None) -> Router | None:
    """What was in force before, if it can still be read."""
    octets = None if latest is None else generations.text_of(latest.generation)
    return None if latest is None else find(octets, f"generation {latest.generation}", lambda router: None).router
