"""The change that is on trial, if there is one: what it is in this life, what is due for it, and its file.

Begun, kept and withdrawn by `commit_keeper`, taken up again by `commit_resume`, watched and taken back by
`commit_watch`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from routerd.changes import commit_file
from routerd.changes.commit import In, Out, PendingCommit, Reverted, Withdrawn
from routerd.changes.commit_file import Kept
from routerd.config import ConfigErrors, Router, load
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.machine import Start, Tick, earliest

logger = logging.getLogger("routerd")

SETTLED = 30.0
"""Seconds after going back in which the controllers, and the clients' goodbyes, have done what they can: what of the
change is on the host then is there to stay."""


@attrs.frozen
class Trial:
    """The change on trial, in this life."""

    kept: Kept
    machine: PendingCommit
    router: Router | None
    """What is on trial; None when it cannot be read any more."""
    restored: bool = False
    """Whether the file holds the configuration of before already."""


@attrs.frozen
class Aftermath:
    """Going back is done; at `due` somebody looks what is left."""

    due: float
    kept: Kept
    router: Router


class Trials:
    """See the module. `going_back`: the configuration of before is being put in force, by our own doing."""

    def __init__(self, state_dir: Path, clock: Clock, run_sync: Runner) -> None:
        self.path = commit_file.path_in(state_dir)
        self.clock = clock
        self.current: Trial | None = None
        self.aftermath: Aftermath | None = None
        self.going_back = False
        self._run_sync = run_sync
        self._due: list[Out] = []
        self._stirred = trio.Event()
        self._disk = trio.Lock()

    def begin(self, kept: Kept, router: Router | None, *, restored: bool = False) -> Trial:
        """It is on trial, and nothing is due yet."""
        machine = PendingCommit(
            now=self.clock.now(),
            until=kept.until,
            boot_id=kept.boot_id,
            token_digest=kept.token_digest,
            going_back=kept.going_back,
        )
        self.current = Trial(kept, machine, router, restored)
        return self.current

    def went_back(self, trial: Trial, event: Reverted | Withdrawn) -> None:
        """It is on trial no more; a while later somebody looks what of it is left."""
        self.feed(event)
        self.current = None
        if trial.router is not None:
            self.aftermath = Aftermath(self.clock.now() + SETTLED, trial.kept, trial.router)
            self.stir()

    # What is due

    def feed(self, event: In | Start | Tick) -> list[Out]:
        """Tell the machine. Returns what follows; it is due, too."""
        if self.current is None:
            return []
        outputs = self.current.machine.handle(event, self.clock.now())
        self.stir(*outputs)
        return outputs

    def stir(self, *outputs: Out) -> None:
        """These are due; or there is another deadline."""
        self._due += outputs
        self._stirred.set()
        self._stirred = trio.Event()

    async def due(self) -> list[Out]:
        """Wait for what is to be done; nothing of the machine's may mean that it is time for the aftermath."""
        while not self._due:
            deadline = self._deadline()
            if deadline is not None and deadline <= self.clock.now():
                self.feed(Tick())
                break
            await self._sleep(self._stirred, deadline)
        due, self._due = self._due, []
        return due

    def _deadline(self) -> float | None:
        return earliest(
            None if self.current is None else self.current.machine.deadline,
            None if self.aftermath is None else self.aftermath.due,
        )

    async def _sleep(self, stirred: trio.Event, deadline: float | None) -> None:
        """Until then, or until something has happened."""
        async with trio.open_nursery() as nursery:

            async def alarm(deadline: float) -> None:
                await self.clock.sleep_until(deadline)
                nursery.cancel_scope.cancel()

            if deadline is not None:
                nursery.start_soon(alarm, deadline)
            await stirred.wait()
            nursery.cancel_scope.cancel()

    # Its file

    async def on_disk(self, function: Callable[..., object], *arguments: object) -> None:
        """Do something with the file: one after the other, in the order of asking. Raises OSError."""
        async with self._disk:
            await self._run_sync(function, *arguments)

    async def save(self, kept: Kept) -> None:
        """Have it on disk. Raises OSError."""
        await self.on_disk(commit_file.save, self.path, kept)

    async def remove(self) -> None:
        """Nothing is on trial any more. Raises OSError."""
        await self.on_disk(commit_file.remove, self.path)

    async def forget(self) -> None:
        """The file is not needed any more. If it stays the next start finds that nothing is to be done."""
        await self._if_possible(commit_file.remove)

    async def set_aside(self) -> None:
        """The file cannot be used: it is kept for people."""
        await self._if_possible(commit_file.set_aside)

    async def _if_possible(self, act: Callable[[Path], object]) -> None:
        try:
            await self.on_disk(act, self.path)
        except OSError as error:
            logger.warning("%s stays: %s", self.path, error.strerror)


def read(octets: bytes, path: Path) -> Router | None:
    """A configuration that was good once, None if this version of routerd does not take it. Blocks."""
    try:
        return load(octets, str(path))
    except ConfigErrors:
        return None
