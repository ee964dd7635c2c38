"""What a controller of the host is: a plan and a judgement, both pure functions of a View."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import attrs

from routerd.controllers.view import Input, View
from routerd.events.types import Event, Ref, Status
from routerd.host import Change


@attrs.frozen
class Step:
    """One change to the host, for whom, and how to tell of it once it is done. `topic` empty: nothing to tell."""

    change: Change
    resource: Ref
    topic: str
    reason: str
    message: str
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    because: tuple[Input, ...] = ()


@attrs.frozen
class Blocked:
    """A step that must not be taken now: `message` says why. Told and tried again as if the system had refused it."""

    resource: Ref
    message: str
    attributes: Mapping[str, str] = attrs.field(factory=dict, eq=False)


@attrs.frozen
class Judgement:
    """What is now true of the resources of a controller, and what each status was decided by (beside what was done
    for it in the same round). `told`: events beside those."""

    statuses: Mapping[Ref, Status] = attrs.field(factory=dict)
    gone: Collection[Ref] = ()
    because: Mapping[Ref, tuple[Input, ...]] = attrs.field(factory=dict)
    told: Sequence[Event] = ()


class Planner(Protocol):
    """A controller that changes the host: two pure functions."""

    name: str
    kinds: tuple[str, ...]

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        """What to do, in order."""

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """What to say of each resource after the plan was applied; `refused` has the words of who refused."""
