"""Keeps a change on trial: on disk before it is in force, watched while it is, taken back when nobody confirms it.

What is decided is `commit`'s, what is guarded `guard`'s; the configuration itself is changed by the gate alone. A crash
at any step leaves a file from which the next start goes on (`resume`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs
import trio

from routerd.api.change import Candidate, Changes, Confirmation, NotChanged, Terms
from routerd.api.wire_changes import Pending
from routerd.changes import commit_file
from routerd.changes.caller import caller_of
from routerd.changes.canonical import Busy, Canonical
from routerd.changes.commit import (
    LONGEST,
    Confirm,
    Confirmed,
    Extend,
    Extended,
    In,
    Out,
    PendingCommit,
    Restarted,
    Revert,
    Reverted,
    RevertFailed,
    Warn,
    Withdrawn,
    digest_of,
)
from routerd.changes.commit_file import Kept, Torn
from routerd.changes.commit_residue import residue
from routerd.changes.commit_voice import Voice, failure
from routerd.changes.guard import judge, standing
from routerd.changes.pending import Commit
from routerd.config import ConfigErrors, Router, load
from routerd.controllers.reconcile import View
from routerd.events.log import Log
from routerd.events.types import Ref, Source
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.machine import Refused, Start, Tick
from routerd.shapes.duration import format_duration
from routerd.shapes.instant import Instant

logger = logging.getLogger("routerd")

SHORTEST = 1.0
"""Seconds that a change may be on trial, at least."""
SETTLED = 30.0
"""Seconds after going back in which the controllers, and the clients' goodbyes, have done what they can: what of the
change is on the host then is there to stay."""
TOKEN_OCTETS = 18

REFUSED = (NotChanged, ConfigErrors, OSError)
"""What the gate may say to going back."""


@attrs.frozen
class _Trial:
    """The change on trial, in this life."""

    kept: Kept
    machine: PendingCommit
    router: Router | None
    """What is on trial; None when it cannot be read any more."""
    restored: bool = False
    """Whether the file holds the configuration of before already."""


@attrs.frozen
class _Aftermath:
    """Going back is done; at `due` somebody looks what is left."""

    due: float
    kept: Kept
    router: Router


class CommitKeeper:
    """`routerd.changes.pending.Commitments`, and what the API confirms by (`routerd.api.change.Commits`)."""

    _changes: Changes
    _look: Callable[[], View]

    kinds: tuple[str, ...] = ()
    name = "commit"

    def __init__(
        self,
        state_dir: Path,
        canonical: Canonical,
        log: Log,
        clock: Clock,
        source: Source,
        run_sync: Runner,
    ) -> None:
        self._path = commit_file.path_in(state_dir)
        self._canonical = canonical
        self._clock = clock
        self._voice = Voice(log, source)
        self._run_sync = run_sync
        self._trial: _Trial | None = None
        self._aftermath: _Aftermath | None = None
        self._due: list[Out] = []
        self._going_back = False
        self._stirred = trio.Event()
        self._disk = trio.Lock()

    def attach(self, changes: Changes, look: Callable[[], View]) -> None:
        """By what it goes back, and how the router is. Before anything is on trial or runs."""
        self._changes, self._look = changes, look

    # For the gate

    @property
    def pending(self) -> Pending | None:
        """The commit that waits, with its token."""
        trial = self._trial
        if trial is None:
            return None
        kept = trial.kept
        return Pending(kept.generation, kept.previous, self._confirm_by(kept), kept.actor, kept.token)

    def _confirm_by(self, kept: Kept) -> Instant:
        """The wall clock may have been set since, and other reasons to differ are not worth telling."""
        due = self._clock.wall() + round((kept.until - self._clock.now()) * 1e9)
        return kept.confirm_by if abs(due - kept.confirm_by) < 10**9 else Instant(due)

    def objection(self, terms: Terms) -> str | None:
        """Why nothing may be changed now on these terms, None if it may."""
        trial = self._trial
        ends = terms.overrules and terms.confirm_within is None and not terms.no_reconcile
        if trial is None or terms.dry_run or ends:
            return None
        left = format_duration(max(0, round(trial.kept.until - self._clock.now())))
        return f"generation {trial.kept.generation} is on trial for another {left}: confirm it or roll it back first"

    async def begin(self, commit: Commit, within: float) -> Pending:
        """Before anything is written: what is needed to go back is on disk when this returns. Raises OSError."""
        within = min(max(within, SHORTEST), LONGEST)
        pid = commit.terms.peer.get("pid")
        caller = await self._run_sync(caller_of, int(pid)) if pid else None
        token, now = secrets.token_urlsafe(TOKEN_OCTETS), self._clock.now()
        kept = Kept(
            commit.generation,
            commit.previous,
            str(self._canonical.path),
            self._clock.boot_id,
            now + within,
            Instant(self._clock.wall() + round(within * 1e9)),
            commit.terms.actor,
            digest_of(token),
            standing(self._look(), (commit.previous_router, commit.router), caller),
            commit.octets,
            await self._run_sync(self._before, commit),
            token=token,
        )
        await self._on_disk(commit_file.save, self._path, kept)
        self._aftermath = None
        self._trial = _Trial(kept, _machine(kept, now), commit.router)
        pending = self.pending
        assert pending is not None
        return pending

    def _before(self, commit: Commit) -> bytes | None:
        """The file of what is in force: what there is on disk, unless that waits to be loaded. Blocks."""
        octets, router = commit.previous_octets, commit.previous_router
        held = None if octets is None else _read(octets, self._canonical.path)
        return octets if held is not None and held.digest == router.digest else router.text.encode() or octets

    async def written(self, commit: Commit) -> None:
        """It is on disk, and about to be in force."""
        assert self._trial is not None
        self._feed(Start())
        await self._voice.pending(self._trial.kept, commit.terms)

    async def unchanged(self) -> None:
        """Somebody has asked for what is in force already: they know that something went back, if it did."""
        if self._trial is None:
            await self._voice.calm()

    async def abandon(self, commit: Commit) -> None:
        """It could not be written: nothing has changed, and nothing is pending any more."""
        self._trial = None
        await self._forget()

    async def overruled(self, terms: Terms) -> None:
        """Another configuration is in force, on terms that overrule: by our own doing, or somebody has gone back."""
        trial = self._trial
        if trial is None or self._going_back:
            return
        self._feed(Withdrawn())
        self._trial = None
        self._expect_residue(trial)
        await self._forget()
        await self._voice.rolled_back(trial.kept, terms)

    async def _forget(self) -> None:
        """The file is not needed any more. If it stays the next start finds that nothing is to be done."""
        try:
            await self._on_disk(commit_file.remove, self._path)
        except OSError as error:
            logger.warning("%s stays: %s", self._path, error.strerror)

    async def _on_disk(self, function: Callable[..., None], *arguments: object) -> None:
        """One after the other, in the order of asking. Raises OSError."""
        async with self._disk:
            await self._run_sync(function, *arguments)

    # For the API

    async def confirm(self, token: str, terms: Terms) -> Confirmation:
        """Keep the change. Raises NotChanged (conflict), OSError (it is on trial still)."""
        return await self._ask(Confirm(token), terms)

    async def extend(self, token: str, seconds: float, terms: Terms) -> Confirmation:
        """Have so many seconds from now. Raises as `confirm`."""
        return await self._ask(Extend(token, seconds), terms)

    async def _ask(self, event: Confirm | Extend, terms: Terms) -> Confirmation:
        trial = self._trial
        if trial is None:
            raise NotChanged("conflict", "no change waits for a confirmation")
        before = trial.machine.state
        answer, *more = trial.machine.handle(event, self._clock.now())
        self._stir(*more)
        try:
            # Who asks and goes away does not leave it half done.
            with trio.CancelScope(shield=True):
                made = await self._answer(trial, answer, terms)
        except OSError:
            trial.machine.state = before
            self._stir()
            raise
        return made

    async def _answer(self, trial: _Trial, answer: Out, terms: Terms) -> Confirmation:
        match answer:
            case Confirmed():
                await self._on_disk(commit_file.remove, self._path)
                self._trial = None
                told = await self._voice.confirmed(trial.kept, terms)
                return Confirmation(trial.kept.generation, True, told)
            case Extended(until):
                left = until - self._clock.now()
                by = Instant(self._clock.wall() + round(left * 1e9))
                kept = attrs.evolve(trial.kept, until=until, confirm_by=by)
                await self._on_disk(self._extend, trial, kept)
                if self._trial is not trial:
                    raise NotChanged("conflict", f"generation {kept.generation} is on trial no more")
                self._trial = attrs.evolve(trial, kept=kept)
                return Confirmation(kept.generation, False, await self._voice.extended(kept, terms), by)
            case Refused(_, reason):
                message = f"generation {trial.kept.generation} is not confirmed: {reason}"
                raise NotChanged("conflict", message, field="token" if "token" in reason else None)
        raise AssertionError(f"{answer} is no answer to an operator")

    def _extend(self, trial: _Trial, kept: Kept) -> None:
        """Blocks. What has ended meanwhile, or is going back, keeps its file as it is."""
        if self._trial is trial:
            commit_file.save(self._path, kept)

    # At start, before anything runs

    async def resume(self) -> Router | None:
        """Go on where an earlier life ended. Returns the router to run in the place of the one that was read, when the
        change on trial has to go back at once."""
        try:
            kept = await self._run_sync(commit_file.load, self._path)
            octets = await self._run_sync(self._canonical.read) if kept is not None else None
        except Torn as torn:
            await self._run_sync(self._set_aside)
            await self._voice.torn(self._path, str(torn))
            return None
        except OSError as error:
            await self._voice.torn(self._path, error.strerror or str(error))
            return None
        if kept is None:
            return None
        if kept.path != str(self._canonical.path):
            await self._run_sync(self._set_aside)
            await self._voice.torn(self._path, f"it is of {kept.path}, and the configuration is another file now")
            return None
        if octets == kept.previous_octets:
            await self._is_over(kept)
            return None
        now = self._clock.now()
        self._trial = _Trial(kept, _machine(kept, now), _read(kept.octets, self._canonical.path))
        self._due = self._trial.machine.handle(Restarted(self._clock.boot_id), now)
        at_once = any(isinstance(output, Revert) for output in self._due)
        return await self._put_back(self._trial, octets) if at_once else None

    def _set_aside(self) -> None:
        try:
            commit_file.set_aside(self._path)
        except OSError as error:
            logger.warning("%s stays: %s", self._path, error.strerror)

    async def _is_over(self, kept: Kept) -> None:
        """It was never written, or has gone back already: routerd ended before it could say so. That it went back is
        told once the router runs, for its status to stay."""
        if kept.going_back is None or await self._voice.has_told(kept):
            if kept.going_back is None:
                await self._voice.abandoned(kept)
            await self._forget()
            return
        now, router = self._clock.now(), _read(kept.octets, self._canonical.path)
        self._trial = _Trial(kept, _machine(kept, now), router, restored=True)
        self._due = self._trial.machine.handle(Start(), now)

    async def _put_back(self, trial: _Trial, octets: bytes | None) -> Router | None:
        """The file as it was before. If that cannot be had, the router begins with what there is, and tries again."""
        previous = trial.kept.previous_octets
        router = None if previous is None else _read(previous, self._canonical.path)
        if previous is None or router is None:
            return None
        try:
            await self._run_sync(partial(self._canonical.replace, previous, octets))
        except (OSError, Busy) as error:
            logger.warning("%s cannot be put back yet: %s", self._canonical.path, error)
            return None
        self._trial = attrs.evolve(trial, restored=True)
        return router

    # While the router runs

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Look at what is guarded. As a controller, because everything that wakes one may concern a guard."""
        await trio.lowlevel.checkpoint()
        if self._trial is not None:
            for verdict in judge(self._trial.kept.guards, self._look()):
                self._feed(verdict)
        return {}

    async def run(self) -> None:
        """Keep deadlines and go back when it is time, until cancelled."""
        while True:
            await self._wait()
            due, self._due = self._due, []
            for output in due:
                await self._perform(output)
            if self._aftermath is not None and self._aftermath.due <= self._clock.now():
                await self._tell_residue(self._aftermath)

    async def _wait(self) -> None:
        """Until something is due."""
        while not self._due:
            deadline = self._deadline()
            if deadline is not None and deadline <= self._clock.now():
                self._feed(Tick())
                return
            await self._sleep(self._stirred, deadline)

    async def _sleep(self, stirred: trio.Event, deadline: float | None) -> None:
        """Until then, or until something has happened."""
        async with trio.open_nursery() as nursery:

            async def alarm(deadline: float) -> None:
                await self._clock.sleep_until(deadline)
                nursery.cancel_scope.cancel()

            if deadline is not None:
                nursery.start_soon(alarm, deadline)
            await stirred.wait()
            nursery.cancel_scope.cancel()

    def _deadline(self) -> float | None:
        deadlines = [
            *([self._trial.machine.deadline] if self._trial is not None else []),
            *([self._aftermath.due] if self._aftermath is not None else []),
        ]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _feed(self, event: In | Start | Tick) -> None:
        """What follows from it is done by `run`."""
        if self._trial is not None:
            self._stir(*self._trial.machine.handle(event, self._clock.now()))

    def _stir(self, *outputs: Out) -> None:
        self._due += outputs
        self._stirred.set()
        self._stirred = trio.Event()

    async def _perform(self, output: Out) -> None:
        trial = self._trial
        if trial is None:
            return
        match output:
            case Warn(left):
                await self._voice.warn(trial.kept, left)
            case Revert():
                self._going_back = True
                try:
                    await self._go_back(trial, output)
                finally:
                    self._going_back = False

    async def _go_back(self, trial: _Trial, revert: Revert) -> None:
        kept = attrs.evolve(trial.kept, going_back=revert)
        pending = await self._voice.event_of(kept)
        terms = Terms(causes=pending, overrules=True)
        try:
            if trial.kept.going_back is None:
                trial = self._trial = attrs.evolve(trial, kept=kept)
                await self._on_disk(commit_file.save, self._path, kept)
            event = () if trial.restored else await self._restore(kept, terms)
        except REFUSED as error:
            words = failure(error)
            self._feed(RevertFailed(words))
            await self._voice.revert_failed(kept, revert, words, pending)
            return
        await self._voice.reverted(kept, revert, (*pending, *event))
        await self._forget()
        self._feed(Reverted())
        self._trial = None
        self._expect_residue(trial)

    async def _restore(self, kept: Kept, terms: Terms) -> tuple[int, ...]:
        """Have the configuration of before in force: as the generations have it, or else as it is kept here."""
        try:
            result = await self._changes.rollback(kept.previous, terms)
        except REFUSED:
            if kept.previous_octets is None:
                raise
            text = kept.previous_octets.decode(errors="surrogateescape")
            result = await self._changes.apply(Candidate(text, replace=True), terms)
        return () if result.event_id is None else (result.event_id,)

    def _expect_residue(self, trial: _Trial) -> None:
        if trial.router is not None:
            self._aftermath = _Aftermath(self._clock.now() + SETTLED, trial.kept, trial.router)
            self._stir()

    async def _tell_residue(self, aftermath: _Aftermath) -> None:
        self._aftermath = None
        left = residue(aftermath.router, self._look())
        if left:
            await self._voice.residue(aftermath.kept, left)


def _machine(kept: Kept, now: float) -> PendingCommit:
    return PendingCommit(
        now=now,
        until=kept.until,
        boot_id=kept.boot_id,
        token_digest=kept.token_digest,
        going_back=kept.going_back,
    )


def _read(octets: bytes, path: Path) -> Router | None:
    """A configuration that was good once, None if this version of routerd does not take it."""
    try:
        return load(octets, str(path))
    except ConfigErrors:
        return None
