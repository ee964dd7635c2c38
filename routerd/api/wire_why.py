"""The shape of the answer to `GET /why`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from routerd.api.wire import CONTROL, ControlVersion
from routerd.api.wire_resources import StoredEvent
from routerd.shapes.instant import Instant


@attrs.frozen
class WhyCause:
    """An event and what led to it, the deepest first."""

    event: StoredEvent
    root: bool
    """The deepest cause that is known. One in the whole tree is."""
    causes: Sequence[WhyCause]
    times: int | None = None
    """As how many this one is told: events of one kind and of the same causes. Then also:"""
    first_id: int | None = attrs.field(default=None, metadata={"name": "firstId"})
    last_id: int | None = attrs.field(default=None, metadata={"name": "lastId"})
    from_: Instant | None = attrs.field(default=None, metadata={"name": "from"})
    to: Instant | None = None
    missing: int | None = None
    """So many causes are not in the log any more: they were before its horizon."""
    again: bool | None = None
    """What led to it is told at another place of the tree."""


@attrs.frozen(kw_only=True)
class Why:
    """The present phase of a resource, and the causes of it down to the first."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Why"] = "Why"
    target: str
    phase: str
    since: Instant | None = None
    """Since when it is in this phase."""
    reason: str | None = None
    message: str | None = None
    chain: WhyCause | None = None
    """None: the log has no event (any more) that tells of the phase."""
    suppressed: Sequence[str]
    """Other resources that are in trouble for the same root, and alarms that were raised for it, as `Kind/name`; those
    that the chain tells of are not repeated."""
    next: str | None = None
    """What there is to do about it, in a sentence."""
    oldest: int
    """The oldest event of the log: its horizon."""
