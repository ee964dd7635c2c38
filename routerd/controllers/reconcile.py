"""The loop of every controller: wake, look, plan, apply, tell; then sleep until something changed.

Controllers are level-triggered: a wake only means "look again". `plan` and `judge` are pure; only this module
touches the host. An effect on the host comes before the event that says so.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from routerd.config import Router
from routerd.controllers.contest import TIMES, Contest
from routerd.controllers.meter import Meter
from routerd.controllers.picture import Picture
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Change, Host, HostRefused

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
GOODBYE = 2.0
"""Seconds for telling what was done in a round that was cut short."""

TOLD_SINGLY = 8
"""Steps alike (of one topic, for one resource) in one round; more are told as one event: a lease may bring sixty
routes, and others each time."""


@attrs.frozen
class View:
    """Everything a controller may look at, at one moment. `now` is on the host's clock."""

    router: Router
    generation: int
    objects: Mapping[Ref, Status]
    picture: Picture
    now: float


@attrs.frozen
class Step:
    """One change to the host, for whom, and how to tell of it once it is done. `topic` empty: nothing to tell."""

    change: Change
    resource: Ref
    topic: str
    reason: str
    message: str
    attributes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Blocked:
    """A step that must not be taken now: `message` says why. Told and tried again as if the system had refused it."""

    resource: Ref
    message: str
    attributes: Mapping[str, str] = attrs.field(factory=dict, eq=False)


@attrs.frozen
class Judgement:
    """What is now true of the resources of a controller."""

    statuses: Mapping[Ref, Status] = attrs.field(factory=dict)
    gone: Collection[Ref] = ()


class Planner(Protocol):
    """A controller that changes the host: two pure functions."""

    name: str
    kinds: tuple[str, ...]

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        """What to do, in order."""

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """What to say of each resource after the plan was applied; `refused` has the words of who refused."""


class Bell:
    """Wakes one controller. Rings while it is busy are kept, as one, and the first reason is remembered."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._rung = trio.Event()

    def ring(self, why: str) -> None:
        """Look again, because of `why`."""
        if self._why is None:
            self._why = why
            self._rung.set()

    async def heard(self) -> str:
        """Wait for a ring, take it."""
        await self._rung.wait()
        why, self._why, self._rung = self._why, None, trio.Event()
        assert why is not None
        return why


Reconcile = Callable[[str], Awaitable[Mapping[Ref, str]]]


async def run_controller(bell: Bell, meter: Meter, reconcile: Reconcile) -> None:
    """Reconcile at each ring, until cancelled. What was refused is tried again after 1, 2, 4 … 60 s, or at the
    next ring."""
    delay = FIRST_RETRY
    retry_at = float("inf")
    while True:
        why = "retry"
        with trio.move_on_at(retry_at):
            why = await bell.heard()
        with meter.measuring(why) as measured:
            refused = await reconcile(why)
            measured.refused(refused)
        if not refused:
            delay, retry_at = FIRST_RETRY, float("inf")
            meter.next_look(None)
            continue
        retry_at = trio.current_time() + delay
        meter.next_look(delay)
        delay = min(delay * 2, LONGEST_RETRY)


@attrs.define
class _Round:
    """What one round of a reconciler has come to. `refused` has each refusal by what was refused, `warnings` those
    that are new."""

    done: list[Step] = attrs.field(factory=list)
    warnings: list[Event] = attrs.field(factory=list)
    refused: dict[Change | Blocked, str] = attrs.field(factory=dict)
    by_resource: dict[Ref, str] = attrs.field(factory=dict)


class HostReconciler:
    """Binds a planner to the host and to the log."""

    def __init__(self, planner: Planner, look: Callable[[], View], host: Host, log: Log) -> None:
        self._planner = planner
        self._look = look
        self._host = host
        self._log = log
        self._source = Source(f"routerd-controller-{planner.name}", "routerd-controller", planner.name)
        self._contest = Contest()
        self._told: Mapping[Change | Blocked, str] = {}

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """One round. Returns what was refused, by resource, in the words of who refused."""
        view, now = self._look(), _Round()
        whole = False
        try:
            await self._take(view, now)
            whole = True
        finally:
            if not whole:
                # Cancelled or crashed half-way: what was done is done, so it is told.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE):
                    await self._log.append(*self._events(now))
        self._told = now.refused
        judgement = self._planner.judge(view, now.by_resource)
        changed = {ref: s for ref, s in judgement.statuses.items() if differs(view.objects.get(ref), s)}
        gone = [ref for ref in judgement.gone if ref in view.objects]
        events = self._events(now)
        if events or changed or gone:
            await self._log.append(*events, status=changed, gone=gone)
        return now.by_resource

    async def _take(self, view: View, now: _Round) -> None:
        """Every step that can be taken. One that is refused does not stop the others: what depends on it is refused
        by the system itself, and all of it is tried again."""
        await trio.lowlevel.checkpoint()
        for step in self._planner.plan(view):
            if isinstance(step, Blocked):
                self._refuse(now, step, step.resource, step.message, step.message, step.attributes)
                continue
            try:
                await self._apply(view, step)
            except HostRefused as no:
                told = f"{step.message}: {no.reason}"
                self._refuse(now, step.change, step.resource, no.reason, told, step.attributes)
                continue
            now.done.append(step)

    async def _apply(self, view: View, step: Step) -> None:
        """Raises HostRefused, also for what somebody keeps undoing."""
        if not self._contest.may(step.change, view.now):
            raise HostRefused(step.change, errno.EBUSY, f"somebody keeps undoing it, {TIMES} times within a minute")
        with view.picture.applying(step.change):
            await self._host.apply(step.change)
        view.picture.applied(step.change)
        if step.topic:  # else it was there already, and stays: nothing was undone
            self._contest.done(step.change, view.now)

    def _refuse(
        self,
        now: _Round,
        what: Change | Blocked,
        resource: Ref,
        reason: str,
        message: str,
        attributes: Mapping[str, str],
    ) -> None:
        """A refusal is told once, not at each retry: the status keeps it in sight."""
        now.refused[what] = reason
        now.by_resource[resource] = reason
        if self._told.get(what) != reason:
            topic = f"routerd.controller.{self._planner.name}.refused"
            source = self._source
            now.warnings.append(Event(topic, "warning", "HostRefused", message, resource, source, attributes))

    def _events(self, now: _Round) -> list[Event]:
        """What was done, in order; then what was refused."""
        alike: dict[tuple[str, Ref], list[Step]] = {}
        for step in now.done:
            if step.topic:
                alike.setdefault((step.topic, step.resource), []).append(step)
        return [event for steps in alike.values() for event in self._told_of(steps)] + now.warnings

    def _told_of(self, steps: Sequence[Step]) -> list[Event]:
        """Events of steps that are alike; of many, one."""
        first, source = steps[0], self._source
        if len(steps) > TOLD_SINGLY:
            words = f"{first.message}, and {len(steps) - 1} more like it"
            count = {"count": str(len(steps))}
            return [Event(first.topic, "info", first.reason, words, first.resource, source, count)]
        return [Event(s.topic, "info", s.reason, s.message, s.resource, source, s.attributes) for s in steps]


def differs(stored: Status | None, status: Status) -> bool:
    """Would storing `status` change anything? (The store adds lastTransitionTime to conditions by itself.)"""
    return stored is None or _bare(stored) != _bare(status)


def _bare(status: Status) -> dict[str, Any]:
    conditions = [
        {key: value for key, value in condition.items() if key != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {**status, "conditions": conditions}


def condition(kind: str, holds: bool | None, reason: str, generation: int, message: str = "") -> dict[str, Any]:
    """A condition as contract §2.1 has it; `holds` None: Unknown."""
    value: dict[str, Any] = {
        "type": kind,
        "status": "Unknown" if holds is None else str(holds),
        "reason": reason,
        "observedGeneration": generation,
    }
    return {**value, "message": message} if message else value
