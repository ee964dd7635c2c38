"""Where the managed daemons live: what each of them is given, what runs around it, and where it is asked.

A daemon has a cancel scope of its own in its fleet, and in it three tasks: the daemon, the journal of its events, and
a socket for each of its faces. Each is run again by itself when it crashes, and none of them takes the others along:
a journal on a full disk ends no lease. When the daemon ends, which is after its goodbye, the other two end with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs
import trio

from routerd.api.plane import Daemon
from routerd.api.serve import serve_daemon
from routerd.api.sockets import LONGEST_PATH
from routerd.daemons.given import Given
from routerd.events.journal import run_journal
from routerd.events.types import Ref, Source
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.life import supervised, tell_crash
from routerd.nurseries.plane import RouterPlane
from routerd.nurseries.supervisor import supervise


class Managed(Protocol):
    """A daemon as its quarters know it."""

    resource: Ref
    source: Source
    directory: str

    @property
    def faces(self) -> Sequence[Daemon]:
        """What is asked at sockets of its own; the first is shown as the daemon itself."""

    async def run(self) -> None:
        """Until cancelled; then the goodbye."""

    def hasten(self) -> None:
        """Let it not take long to end, once it does."""

    async def crashed(self, error: str, cause: int) -> None:
        """Say so in the status; `cause` is the event of it."""


Spec = TypeVar("Spec")
Member = TypeVar("Member", bound=Managed)


@attrs.frozen
class Quarters:
    """See the module. Each of them is `given` the same."""

    nursery: trio.Nursery
    plane: RouterPlane
    run_dir: Path
    given: Given

    def fleet(self, make: Callable[[str, Spec], Member]) -> Fleet[Spec, Member]:
        """A fleet of such daemons, which is shown to the API."""
        fleet = Fleet(self.nursery, make, self._run)
        self.plane.fleets.append(lambda: {name: member.faces[0] for name, member in fleet.members.items()})
        self.nursery.start_soon(_hasten, fleet)
        return fleet

    async def _run(self, daemon: Managed) -> None:
        log, run_sync, name = self.given.log, self.given.run_sync, daemon.source.name

        async def report(error: str, crashes: int, delay: float) -> None:
            crash = await tell_crash(log, name, error, crashes, delay, daemon.resource)
            await daemon.crashed(error, crash)

        async with trio.open_nursery() as around:
            # The journal is a reader of the log: what it misses of the goodbye it writes at the next start.
            path = journal_of(self.given.state_dir, daemon.directory, daemon.source.instance)
            journal = partial(run_journal, log, name, path, run_sync=run_sync)
            around.start_soon(supervised, log, f"journal {path}", journal)
            for face in daemon.faces:
                socket = socket_of(self.run_dir, face.directory, face.source.instance)
                serve = partial(serve_daemon, self.plane, face, str(socket))
                around.start_soon(supervised, log, f"socket {socket}", serve)
            await supervise(name, daemon.run, report)
            around.cancel_scope.cancel()


async def _hasten(fleet: Fleet[Any, Member]) -> None:
    """Who is to go for good takes its time to tell its peers, but not when the whole router ends."""
    try:
        await trio.sleep_forever()
    finally:
        for member in fleet.members.values():
            member.hasten()


def socket_of(run_dir: Path, directory: str, name: str) -> Path:
    """Where the daemon of this name is asked."""
    return run_dir / directory / f"{name}.sock"


def journal_of(state_dir: Path, directory: str, name: str) -> Path:
    """Where its events are kept, beside the log."""
    return state_dir / directory / name / "events.jsonl"


def too_long(path: Path) -> str | None:
    """What is wrong with a socket's path, None if nothing is."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return None
    return f"{path} is too long: a Unix socket's path has at most {LONGEST_PATH} octets on this system"
