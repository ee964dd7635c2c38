"""What a daemon of Neighbor Discovery is for, as the life that all of them have in common (`ndp_daemon.py`) sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from routerd.daemons.ndp_link import Facts
from routerd.daemons.teller import Teller
from routerd.events.types import Event, Status
from routerd.protocols.machine import Machine


@attrs.frozen
class Around:
    """What a part needs to know when it speaks; `now` is on the host's clock."""

    facts: Facts
    generation: int
    now: float
    stopped: bool


class Part(Protocol):
    """What a daemon is for."""

    topic: str
    directory: str
    kind: str
    resource_kind: str

    async def open(self, tell: Teller, around: Around, stored: Status) -> tuple[Machine[Any, Any], Sequence[Event]]:
        """The machine for a run that begins, and what there is to say of earlier ones. `stored` is the status that was
        told last, perhaps by an earlier life."""

    def first(self) -> Sequence[Any]:
        """What the machine is told before it starts."""

    async def keep(self, output: Any) -> Sequence[Event]:
        """Whatever must be on disk before the outputs behind this one have their effect."""

    def said(self, outputs: Sequence[Any], around: Around) -> Sequence[Event]:
        """The events of one step of the machine, or of something else that has happened (then without `outputs`)."""

    def status(self, around: Around) -> Status | None:
        """What is true now; None: nothing that is worth another status."""

    @property
    def quiet(self) -> bool:
        """The machine has nothing more to say after its Stop."""
