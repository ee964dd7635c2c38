"""Watches over a change on trial while the router runs: its deadlines, what must not be lost, and the way back.

What is decided is `commit`'s, what is guarded `guard`'s; the configuration itself is changed by the gate alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import trio

from routerd.api.change import Candidate, Changes, NotChanged, Terms
from routerd.changes.commit import Out, Revert, Reverted, RevertFailed, Warn
from routerd.changes.commit_file import Kept
from routerd.changes.commit_residue import residue
from routerd.changes.commit_trial import Aftermath, Trial, Trials
from routerd.changes.commit_voice import Voice, failure
from routerd.changes.guard import judge
from routerd.config import ConfigErrors
from routerd.controllers.view import View
from routerd.events.types import Ref

REFUSED = (NotChanged, ConfigErrors, OSError)
"""What the gate may say to going back."""


class CommitWatch:
    """See the module. `run` does what is due; as a controller it is rung with all others, because everything that wakes
    one may concern a guard."""

    kinds: tuple[str, ...] = ()
    name = "commit"

    def __init__(self, trials: Trials, changes: Changes, voice: Voice, look: Callable[[], View]) -> None:
        self._trials = trials
        self._changes = changes
        self._voice = voice
        self._look = look

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Look at what is guarded."""
        await trio.lowlevel.checkpoint()
        trial = self._trials.current
        if trial is not None:
            for verdict in judge(trial.kept.guards, self._look()):
                self._trials.feed(verdict)
        return {}

    async def run(self) -> None:
        """Keep deadlines and go back when it is time, until cancelled."""
        while True:
            for output in await self._trials.due():
                await self._perform(output)
            aftermath = self._trials.aftermath
            if aftermath is not None and aftermath.due <= self._trials.clock.now():
                await self._tell_residue(aftermath)

    async def _perform(self, output: Out) -> None:
        trial = self._trials.current
        if trial is None:
            return
        match output:
            case Warn(left):
                await self._voice.warn(trial.kept, left)
            case Revert():
                self._trials.going_back = True
                try:
                    await self._go_back(trial, output)
                finally:
                    self._trials.going_back = False

    async def _go_back(self, trial: Trial, revert: Revert) -> None:
        kept = attrs.evolve(trial.kept, going_back=revert)
        pending = await self._voice.event_of(kept)
        terms = Terms(causes=pending, overrules=True)
        try:
            if trial.kept.going_back is None:
                trial = self._trials.current = attrs.evolve(trial, kept=kept)
                await self._trials.save(kept)
            event = () if trial.restored else await self._restore(kept, terms)
        except REFUSED as error:
            words = failure(error)
            self._trials.feed(RevertFailed(words))
            await self._voice.revert_failed(kept, revert, words, pending)
            return
        await self._voice.reverted(kept, revert, (*pending, *event))
        await self._trials.forget()
        self._trials.went_back(trial, Reverted())

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

    async def _tell_residue(self, aftermath: Aftermath) -> None:
        self._trials.aftermath = None
        left = residue(aftermath.router, self._look())
        if left:
            await self._voice.residue(aftermath.kept, left)
