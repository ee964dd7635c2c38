"""How a change on trial goes on after a start, before anything runs: from the file that an end at any step has left."""

from __future__ import annotations

import logging
from functools import partial

import attrs

from routerd.changes import commit_file
from routerd.changes.canonical import Busy, Canonical
from routerd.changes.commit import Restarted, Revert
from routerd.changes.commit_file import Kept, Torn
from routerd.changes.commit_trial import Trial, Trials, read
from routerd.changes.commit_voice import Voice
from routerd.config import Router
from routerd.events.writer import Runner
from routerd.protocols.machine import Start

logger = logging.getLogger("routerd")


async def resume(trials: Trials, canonical: Canonical, voice: Voice, run_sync: Runner) -> Router | None:
    """Go on where an earlier life ended. Returns the router to run in the place of the one that was read, when the
    change on trial has to go back at once."""
    try:
        kept = await run_sync(commit_file.load, trials.path)
        octets = await run_sync(canonical.read) if kept is not None else None
    except Torn as torn:
        await trials.set_aside()
        await voice.torn(trials.path, str(torn))
        return None
    except OSError as error:
        await voice.torn(trials.path, error.strerror or str(error))
        return None
    if kept is None:
        return None
    if kept.path != str(canonical.path):
        await trials.set_aside()
        await voice.torn(trials.path, f"it is of {kept.path}, and the configuration is another file now")
        return None
    if octets == kept.previous_octets:
        await _finish(trials, kept, canonical, voice)
        return None
    trial = trials.begin(kept, read(kept.octets, canonical.path))
    outputs = trials.feed(Restarted(trials.clock.boot_id))
    at_once = any(isinstance(output, Revert) for output in outputs)
    return await _put_back(trials, trial, canonical, octets, run_sync) if at_once else None


async def _finish(trials: Trials, kept: Kept, canonical: Canonical, voice: Voice) -> None:
    """It was never written, or has gone back already: routerd ended before it could say so. That it went back is told
    once the router runs, for its status to stay."""
    if kept.going_back is None or await voice.has_told(kept):
        if kept.going_back is None:
            await voice.abandoned(kept)
        await trials.forget()
        return
    trials.begin(kept, read(kept.octets, canonical.path), restored=True)
    trials.feed(Start())


async def _put_back(
    trials: Trials, trial: Trial, canonical: Canonical, octets: bytes | None, run_sync: Runner
) -> Router | None:
    """The file as it was before. If that cannot be had, the router begins with what there is, and tries again."""
    previous = trial.kept.previous_octets
    router = None if previous is None else read(previous, canonical.path)
    if previous is None or router is None:
        return None
    try:
        await run_sync(partial(canonical.replace, previous, octets))
    except (OSError, Busy) as error:
        logger.warning("%s cannot be put back yet: %s", canonical.path, error)
        return None
    trials.current = attrs.evolve(trial, restored=True)
    return router
