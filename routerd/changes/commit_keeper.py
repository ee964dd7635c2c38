"""Keeps a change on trial: on disk before it is in force, until somebody confirms it or nothing is left to confirm.

What is decided is `commit`'s. How it is watched and taken back is `commit_watch`'s, how it survives a crash
`commit_resume`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import attrs
import trio

from routerd.api.change import Confirmation, NotChanged, Terms
from routerd.api.wire_changes import Pending
from routerd.changes import commit_file
from routerd.changes.caller import caller_of
from routerd.changes.canonical import Canonical
from routerd.changes.commit import LONGEST, Confirm, Confirmed, Extend, Extended, Out, Withdrawn, digest_of
from routerd.changes.commit_file import Kept
from routerd.changes.commit_trial import Trial, Trials, read
from routerd.changes.commit_voice import Voice
from routerd.changes.guard import standing
from routerd.changes.pending import Commit
from routerd.controllers.view import View
from routerd.events.writer import Runner
from routerd.protocols.machine import Refused, Start
from routerd.shapes.duration import format_duration
from routerd.shapes.instant import Instant

SHORTEST = 1.0
"""Seconds that a change may be on trial, at least."""
TOKEN_OCTETS = 18


class CommitKeeper:
    """`routerd.changes.pending.Commitments`, and what the API confirms by (`routerd.api.change.Commits`)."""

    def __init__(
        self, trials: Trials, canonical: Canonical, voice: Voice, look: Callable[[], View], run_sync: Runner
    ) -> None:
        self._trials = trials
        self._clock = trials.clock
        self._canonical = canonical
        self._voice = voice
        self._look = look
        self._run_sync = run_sync

    # For the gate

    @property
    def pending(self) -> Pending | None:
        """The commit that waits, with its token."""
        trial = self._trials.current
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
        trial = self._trials.current
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
        await self._trials.save(kept)
        self._trials.aftermath = None
        self._trials.begin(kept, commit.router)
        pending = self.pending
        assert pending is not None
        return pending

    def _before(self, commit: Commit) -> bytes | None:
        """The file of what is in force: what there is on disk, unless that waits to be loaded. Blocks."""
        octets, router = commit.previous_octets, commit.previous_router
        held = None if octets is None else read(octets, self._canonical.path)
        return octets if held is not None and held.digest == router.digest else router.text.encode() or octets

    async def written(self, commit: Commit) -> None:
        """It is on disk, and about to be in force."""
        trial = self._trials.current
        assert trial is not None
        self._trials.feed(Start())
        await self._voice.pending(trial.kept, commit.terms)

    async def unchanged(self) -> None:
        """Somebody has asked for what is in force already: they know that something went back, if it did."""
        if self._trials.current is None:
            await self._voice.calm()

    async def abandon(self, commit: Commit) -> None:
        """It could not be written: nothing has changed, and nothing is pending any more."""
        self._trials.current = None
        await self._trials.forget()

    async def overruled(self, terms: Terms) -> None:
        """Another configuration is in force, on terms that overrule: by our own doing, or somebody has gone back."""
        trial = self._trials.current
        if trial is None or self._trials.going_back:
            return
        self._trials.went_back(trial, Withdrawn())
        await self._trials.forget()
        await self._voice.rolled_back(trial.kept, terms)

    # For the API

    async def confirm(self, token: str, terms: Terms) -> Confirmation:
        """Keep the change. Raises NotChanged (conflict), OSError (it is on trial still)."""
        return await self._ask(Confirm(token), terms)

    async def extend(self, token: str, seconds: float, terms: Terms) -> Confirmation:
        """Have so many seconds from now. Raises as `confirm`."""
        return await self._ask(Extend(token, seconds), terms)

    async def _ask(self, event: Confirm | Extend, terms: Terms) -> Confirmation:
        trial = self._trials.current
        if trial is None:
            raise NotChanged("conflict", "no change waits for a confirmation")
        before = trial.machine.state
        answer, *more = trial.machine.handle(event, self._clock.now())
        self._trials.stir(*more)
        try:
            # Who asks and goes away does not leave it half done.
            with trio.CancelScope(shield=True):
                made = await self._answer(trial, answer, terms)
        except OSError:
            trial.machine.state = before
            self._trials.stir()
            raise
        return made

    async def _answer(self, trial: Trial, answer: Out, terms: Terms) -> Confirmation:
        match answer:
            case Confirmed():
                await self._trials.remove()
                self._trials.current = None
                told = await self._voice.confirmed(trial.kept, terms)
                return Confirmation(trial.kept.generation, True, told)
            case Extended(until):
                return await self._extended(trial, until, terms)
            case Refused(_, reason):
                message = f"generation {trial.kept.generation} is not confirmed: {reason}"
                raise NotChanged("conflict", message, field="token" if "token" in reason else None)
        raise AssertionError(f"{answer} is no answer to an operator")

    async def _extended(self, trial: Trial, until: float, terms: Terms) -> Confirmation:
        by = Instant(self._clock.wall() + round((until - self._clock.now()) * 1e9))
        kept = attrs.evolve(trial.kept, until=until, confirm_by=by)
        await self._trials.on_disk(self._extend, trial, kept)
        if self._trials.current is not trial:
            raise NotChanged("conflict", f"generation {kept.generation} is on trial no more")
        self._trials.current = attrs.evolve(trial, kept=kept)
        return Confirmation(kept.generation, False, await self._voice.extended(kept, terms), by)

    def _extend(self, trial: Trial, kept: Kept) -> None:
        """Blocks. What has ended meanwhile, or is going back, keeps its file as it is."""
        if self._trials.current is trial:
            commit_file.save(self._trials.path, kept)
