"""The loop of every controller: wake, look, plan, apply, tell; then sleep until something changed.

Controllers are level-triggered: a wake only means "look again". `plan` and `judge` are pure; only this module
touches the host. An effect on the host comes before the event that says so.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from routerd.config import Router
from routerd.controllers.contest import TIMES, Contest
from routerd.controllers.gate import Admission
from routerd.controllers.meter import Meter
from routerd.controllers.picture import Picture, thing_of
from routerd.events.incidents import Incidents, addresses
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Change, Host, HostRefused, PutAddress, RemoveAddress

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
GOODBYE = 2.0
"""Seconds for telling what was done in a round that was cut short."""

TOLD_SINGLY = 8
"""Steps alike (of one topic, for one resource) in one round; more are told as one event: a lease may bring sixty
routes, and others each time."""

_PLAIN = {"installed": "install", "removed": "remove", "took": "take", "extended": "extend"}
"""Verbs of the messages of steps; "put" and "set" are their own."""


@attrs.frozen
class View:
    """Everything a controller may look at, at one moment. `now` is on the host's clock; `versions` has the id of the
    event that last changed an object. `router` has what is let in by the gate, `declared` all there is."""

    router: Router
    generation: int
    objects: Mapping[Ref, Status]
    picture: Picture
    now: float
    versions: Mapping[Ref, int] = attrs.field(factory=dict)
    incidents: Incidents = attrs.field(factory=Incidents)
    admission: Admission = attrs.field(default=attrs.Factory(lambda self: Admission(self.router), takes_self=True))
    declared: Router = attrs.field(default=attrs.Factory(lambda self: self.router, takes_self=True))

    @property
    def configuration(self) -> Ref:
        """The object of the configuration itself: it changes with each generation."""
        return Ref("Router", self.router.name, "routerd.net/v1alpha1")

    def waiting(self, kind: type[Any]) -> dict[Ref, Status]:
        """What is to be said of the resources of a kind that are not let in."""
        waiting = {**self.admission.held, **self.admission.undecided}
        return {ref: one.status(self.generation) for ref, one in waiting.items() if ref.kind == kind.__name__}

    def grounds(self, ref: Ref) -> tuple[Ref, ...]:
        """On whom the gate's decision about a resource hangs."""
        return self.admission.grounds.get(ref, ())

    def newest(self, inputs: Iterable[Input]) -> tuple[int, ...]:
        """The event that decided: of all that a controller looks at, what changed last is why it now says other than
        before."""
        known = [self.versions.get(one, 0) if isinstance(one, Ref) else one for one in inputs]
        newest = max(known, default=0)
        return (newest,) if newest else ()


Input = Ref | int
"""Something that a controller looks at and that decides what it says: an object, or an event by its id (0: none)."""


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


class Bell:
    """Wakes one controller. Rings while it is busy are kept, as one, and the first reason is remembered."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._rung = trio.Event()
        self.rings = 0

    def ring(self, why: str) -> None:
        """Look again, because of `why`."""
        self.rings += 1
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

    view: View
    done: list[Step] = attrs.field(factory=list)
    warnings: list[Event] = attrs.field(factory=list)
    refused: dict[Change | Blocked, str] = attrs.field(factory=dict)
    by_resource: dict[Ref, str] = attrs.field(factory=dict)


class HostReconciler:
    """Binds a planner to the host and to the log. `judged` hears of whom it has said what is true."""

    def __init__(
        self,
        planner: Planner,
        look: Callable[[], View],
        host: Host,
        log: Log,
        judged: Callable[[Collection[Ref]], None] = lambda refs: None,
    ) -> None:
        self.name, self.kinds = planner.name, planner.kinds
        self._planner = planner
        self._look = look
        self._judged = judged
        self._host = host
        self._log = log
        self._source = Source(f"routerd-controller-{planner.name}", "routerd-controller", planner.name)
        self._contest = Contest()
        self._told: Mapping[Change | Blocked, str] = {}

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """One round. Returns what was refused, by resource, in the words of who refused."""
        view = self._look()
        now = _Round(view)
        whole = False
        try:
            await self._take(now)
            whole = True
        finally:
            if not whole:
                # Cancelled or crashed half-way: what was done is done, so it is told.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE):
                    await self._log.append(*self._events(now))
        self._told = now.refused
        judgement = self._planner.judge(view, now.by_resource)
        await self._tell(now, judgement)
        self._judged((*judgement.statuses, *judgement.gone))
        return now.by_resource

    async def _tell(self, now: _Round, judgement: Judgement) -> None:
        """A status is decided by what was done for it in this round; if that was nothing, by what it hangs on."""
        await trio.lowlevel.checkpoint()
        view = now.view
        said = (attrs.evolve(one, source=self._source, generation=view.generation) for one in judgement.told)
        events = [*self._events(now), *said]
        changed = {ref: s for ref, s in judgement.statuses.items() if differs(view.objects.get(ref), s)}
        gone = [ref for ref in judgement.gone if ref in view.objects]
        if not (events or changed or gone):
            return
        because = {
            ref: _acts(events, ref, status) or view.newest(judgement.because.get(ref, ()))
            for ref, status in changed.items()
        }
        ids, on_disk = self._log.post(*events, status=changed, gone=gone, because=because)
        for step in now.done:
            if isinstance(step.change, PutAddress | RemoveAddress) and ids:
                view.incidents.happened(addresses(step.change.address.link), ids[-1])
        if on_disk is not None:
            await on_disk.wait()

    async def _take(self, now: _Round) -> None:
        """Every step that can be taken. One that is refused does not stop the others: what depends on it is refused
        by the system itself, and all of it is tried again."""
        await trio.lowlevel.checkpoint()
        for step in self._planner.plan(now.view):
            if isinstance(step, Blocked):
                self._refuse(now, step, step, step.message, step.message)
                continue
            try:
                await self._apply(now.view, step)
            except HostRefused as no:
                self._refuse(now, step.change, step, no.reason, f"could not {_wish(step)}: {no.reason}")
                continue
            now.done.append(step)

    async def _apply(self, view: View, step: Step) -> None:
        """Raises HostRefused, also for what somebody keeps undoing."""
        if not self._contest.may(step.change, view.now):
            raise HostRefused(step.change, errno.EBUSY, f"somebody keeps undoing it, {TIMES} times within a minute")
        thing = thing_of(step.change)
        known = view.incidents.last(thing)
        with view.picture.applying(step.change):
            await self._host.apply(step.change)
        view.picture.applied(step.change)
        view.incidents.settle(thing, known)
        if step.topic:  # else it was there already, and stays: nothing was undone
            self._contest.done(step.change, view.now)

    def _refuse(self, now: _Round, what: Change | Blocked, step: Step | Blocked, reason: str, message: str) -> None:
        """A refusal is told once, not at each retry: the status keeps it in sight. It comes from outside, whatever we
        wanted to do and why; unless it was to put back what somebody keeps taking away."""
        now.refused[what] = reason
        now.by_resource[step.resource] = reason
        if self._told.get(what) != reason:
            topic, source = f"routerd.controller.{self._planner.name}.refused", self._source
            taken = now.view.incidents.open(thing_of(step.change)) if isinstance(step, Step) else 0
            causes, facts = now.view.newest((taken,)), step.attributes
            now.warnings.append(Event(topic, "warning", "HostRefused", message, step.resource, source, facts, causes))

    def _events(self, now: _Round) -> list[Event]:
        """What was done, in order; then what was refused."""
        alike: dict[tuple[str, Ref], list[Step]] = {}
        for step in now.done:
            if step.topic:
                alike.setdefault((step.topic, step.resource), []).append(step)
        events = [event for steps in alike.values() for event in self._told_of(now, steps)] + now.warnings
        return [attrs.evolve(event, generation=now.view.generation) for event in events]

    def _told_of(self, now: _Round, steps: Sequence[Step]) -> list[Event]:
        """Events of steps that are alike; of many, one."""
        first = steps[0]
        if len(steps) > TOLD_SINGLY:
            words = f"{first.message}, and {len(steps) - 1} more like it"
            return [self._event(now, attrs.evolve(first, message=words, attributes={"count": str(len(steps))}))]
        return [self._event(now, step) for step in steps]

    def _event(self, now: _Round, step: Step) -> Event:
        causes = now.view.newest(step.because)
        return Event(
            step.topic, "info", step.reason, step.message, step.resource, self._source, step.attributes, causes
        )


def _wish(step: Step) -> str:
    """What a step was to do: its message tells of it as done."""
    verb, _, rest = step.message.partition(" ")
    return f"{_PLAIN.get(verb, verb)} {rest}"


def _acts(events: Sequence[Event], ref: Ref, status: Status) -> tuple[int, ...]:
    """Which of the events of a round decided a status, counted from the last, -1. A refusal did if it is what the
    status says; there may be a better reason."""
    refused = status.get("reason") == "HostRefused"
    return tuple(
        place - len(events)
        for place, event in enumerate(events)
        if event.resource == ref and (refused or event.severity != "warning")
    )


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
