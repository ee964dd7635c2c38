"""One round of a controller of the host: look, plan, apply, judge, tell.

`plan` and `judge` are pure; only this module touches the host. An effect on the host comes before the event that says
so.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs
import trio

from routerd.controllers.contest import TIMES, Contest
from routerd.controllers.picture import thing_of
from routerd.controllers.planner import Blocked, Judgement, Planner, Step
from routerd.controllers.view import View
from routerd.events.incidents import addresses
from routerd.events.log import Log
from routerd.events.status import differs
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Change, Host, HostRefused, PutAddress, RemoveAddress

GOODBYE = 2.0
"""Seconds for telling what was done in a round that was cut short."""

TOLD_SINGLY = 8
"""Steps alike (of one topic, for one resource) in one round; more are told as one event: a lease may bring sixty
routes, and others each time."""

_PLAIN = {"installed": "install", "removed": "remove", "took": "take", "extended": "extend"}
"""Verbs of the messages of steps; "put" and "set" are their own."""


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
