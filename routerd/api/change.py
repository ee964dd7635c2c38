"""How the API has the configuration changed: the seam to `routerd.changes`, the one way by which that is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import attrs

from routerd.api.wire_changes import Generation, GenerationItem, Pending, Result
from routerd.config import ConfigErrors
from routerd.shapes.instant import Instant


@attrs.frozen
class Candidate:
    """A document to merge into the configuration, or (`replace`) to put in its place. Its text may hold secrets."""

    text: str = attrs.field(repr=False)
    replace: bool = False


@attrs.frozen
class Terms:
    """For whom, and on which terms, the configuration is changed.

    `causes`: events that led to it. `generation`: the one that the caller has seen last (If-Match); None: whichever.
    `confirm_within`: seconds after which it goes back by itself unless it is confirmed. `peer`: whoever asks, as
    `access.Client.attributes`; empty for routerd itself. `overrules`: it is done although a commit is pending, because
    it is how that one ends."""

    actor: str = "routerd"
    causes: tuple[int, ...] = ()
    generation: int | None = None
    dry_run: bool = False
    no_reconcile: bool = False
    confirm_within: float | None = None
    peer: Mapping[str, str] = attrs.field(factory=dict)
    overrules: bool = False


class NotChanged(Exception):
    """The configuration was not changed, for a reason that lies in the state of things. `absent`: there is no such
    thing (404); `conflict`: it cannot be now (409); `stale`: the caller has seen another generation (412)."""

    def __init__(
        self,
        why: Literal["absent", "conflict", "stale"],
        message: str,
        hint: str = "",
        field: str | None = None,
        errors: ConfigErrors | None = None,
    ) -> None:
        super().__init__(message)
        self.why = why
        self.message = message
        self.hint = hint
        self.field = field
        self.errors = errors
        """Where it is because a configuration is faulty: what is wrong with it."""


@attrs.frozen
class Confirmation:
    """What became of a commit that was confirmed, or (`confirmed` False) extended until `confirm_by`; and the event
    that tells of it."""

    generation: int
    confirmed: bool
    event_id: int
    confirm_by: Instant | None = None


class Commits(Protocol):
    """The change that goes back by itself unless it is confirmed. Raises NotChanged (conflict: there is none, it is not
    its token, it is too late), OSError (then it is on trial still)."""

    @property
    def pending(self) -> Pending | None:
        """The one that waits, with its token."""

    async def confirm(self, token: str, terms: Terms) -> Confirmation:
        """Keep the change."""

    async def extend(self, token: str, seconds: float, terms: Terms) -> Confirmation:
        """Have so many seconds from now to decide."""


class Changes(Protocol):
    """Raises, wherever something is to be changed or judged: ConfigErrors (the document is faulty), NotChanged, OSError
    (the disk, in its own words). Who asks and goes away does not stop a change."""

    @property
    def pending(self) -> Pending | None:
        """The commit that waits for its confirmation, with its token."""

    async def validate(self, candidate: Candidate | None) -> Sequence[str]:
        """Judge a candidate, or the file on disk. Returns warnings."""

    async def plan(self, candidate: Candidate | None) -> Result:
        """What would be done; nothing is."""

    async def apply(self, candidate: Candidate, terms: Terms) -> Result:
        """Write it, put it in force, wait until that has settled."""

    async def delete(self, kind: str, name: str, terms: Terms, *, force: bool = False) -> Result:
        """The same without this resource; `force`: what the store of objects has of one that is not declared, too."""

    async def rollback(self, to: int | None, terms: Terms) -> Result:
        """The same with the text of an older generation; None: of the one before the latest."""

    async def generations(self, limit: int) -> Sequence[GenerationItem]:
        """The latest, newest first."""

    async def generation(self, number: int) -> Generation:
        """One of them, its text and its differences to the one before it."""
