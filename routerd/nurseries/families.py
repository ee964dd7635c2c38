"""All families of managed daemons. A family is a module that knows what its kinds of resources want of a daemon, and
has it run; a new protocol is a new module and its name here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from routerd.api.plane import Running
from routerd.config import Router
from routerd.controllers.gate import HELD
from routerd.controllers.view import View
from routerd.events.journal import last_cursor
from routerd.events.log import Log
from routerd.events.types import Ref, Status
from routerd.nurseries import clients, clients6, ra
from routerd.nurseries.controllers import Controller
from routerd.nurseries.quarters import Quarters, journal_of
from routerd.resources.kinds import KINDS


class Family(Protocol):
    """What such a module has. `DAEMONS` are its daemons: whose word their events are, and the folder of their files.
    `OWN` are the kinds of its resources, `FORGOTTEN` those of them of which nothing is left to clear away when one was
    removed while routerd was down."""

    @property
    def DAEMONS(self) -> Mapping[str, str]: ...  # noqa: N802  (a module's constant)
    @property
    def OWN(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def FORGOTTEN(self) -> tuple[str, ...]: ...  # noqa: N802

    def daemons_of(self, router: Router) -> Mapping[Ref, tuple[str, object]]:
        """For which resource of a router which daemon runs (`directory/name`), and with what."""

    def unusable(self, router: Router, run_dir: Path) -> str | None:
        """Why a router's daemons could not run or not be asked; None: they can."""

    def starting(self, running: Running, stored: Mapping[Ref, Status]) -> Mapping[Ref, Status]:
        """What is true of its resources until their daemon has spoken in this life; `stored` is of an earlier one."""

    def establish(self, quarters: Quarters, look: Callable[[], View]) -> Sequence[Controller]:
        """The controllers that fit its fleets to the configuration."""


FAMILIES: tuple[Family, ...] = (clients, clients6, ra)

OWN_KINDS = frozenset(kind for family in FAMILIES for kind in family.OWN)
"""Of whose resources daemons say what is true, and nobody else."""


def daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what."""
    return {ref: daemon for family in FAMILIES for ref, daemon in family.daemons_of(router).items()}


def unusable(router: Router, run_dir: Path) -> str | None:
    """Why a router's daemons could not run or not be asked; None: they can."""
    complaints = (family.unusable(router, run_dir) for family in FAMILIES)
    return next((complaint for complaint in complaints if complaint is not None), None)


def journal_cursor(state_dir: Path, source: str) -> int:
    """The last cursor that a daemon's journal has, 0 if it cannot be read (whoever writes it complains): when the log
    was lost, its count goes on from there."""
    for kind, directory in (daemon for family in FAMILIES for daemon in family.DAEMONS.items()):
        before, dash, instance = source.rpartition(f"{kind}-")
        if before or not dash:
            continue
        try:
            return last_cursor(journal_of(state_dir, directory, instance))
        except OSError:
            return 0
    return 0


async def forget_the_past(log: Log, running: Running, started: int) -> None:
    """Before anything is served or acted on: what the store says of the daemons' resources is from an earlier life, and
    perhaps of another boot. Until each has looked at what it kept, or has heard somebody, nobody may act on it, neither
    install nor remove (X-4); those that were held had nothing. What it says of kinds that this version does not have is
    nobody's business any more."""
    stored = {one.ref: one.status for one in log.objects.all()}
    starting: dict[Ref, Status] = {}
    for family in FAMILIES:
        starting.update(family.starting(running, stored))
    fresh = {ref: status for ref, status in starting.items() if stored.get(ref, {}).get("reason") not in HELD}
    forgotten = {kind for family in FAMILIES for kind in family.FORGOTTEN}
    gone = [ref for ref in stored if ref.kind in forgotten and ref not in starting]
    foreign = [ref for ref in stored if ref.kind not in KINDS and ref.kind != "Router"]
    await log.append(status=fresh, gone=(*gone, *foreign), because=dict.fromkeys(fresh, (started,)))
