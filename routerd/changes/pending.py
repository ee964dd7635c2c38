"""Where a change that reverts itself unless it is confirmed hooks into the gate."""

from __future__ import annotations

from typing import Protocol

import attrs

from routerd.api.change import Terms
from routerd.api.wire_changes import Pending
from routerd.config import Router


@attrs.frozen
class Commit:
    """A change about to be written: from a generation (and the octets of its file, None if there was none) to the next.
    The octets may hold secrets."""

    previous: int
    previous_octets: bytes | None = attrs.field(repr=False)
    previous_router: Router
    generation: int
    octets: bytes = attrs.field(repr=False)
    router: Router
    terms: Terms


class Commitments(Protocol):
    """Asked by the gate, under its lock. To go back it calls `Changes.rollback(commit.previous, terms)` with
    `terms.overrules`, or before anything runs `Canonical.replace`."""

    @property
    def pending(self) -> Pending | None:
        """The commit that waits, with its token."""

    def objection(self, terms: Terms) -> str | None:
        """Why nothing may be changed now on these terms, None if it may."""

    async def begin(self, commit: Commit, within: float) -> Pending:
        """Before anything is written: what is needed to go back is on disk when this returns. Raises OSError."""

    async def written(self, commit: Commit) -> None:
        """The file is written and its generation recorded; it is about to be in force."""

    async def overruled(self, terms: Terms) -> None:
        """Another configuration is in force, on terms that overrule."""

    async def unchanged(self) -> None:
        """Somebody has asked for what is in force already: they know of it."""

    async def abandon(self, commit: Commit) -> None:
        """It could not be written: nothing has changed, and nothing is pending any more."""
