"""The loop of every controller: wake, look, plan, apply, tell; then sleep until something changed.

Controllers are level-triggered: a wake only means "look again". `plan` and `judge` are pure; only this module
touches the host. An effect on the host comes before the event that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from routerd.config import Router
from routerd.controllers.meter import Meter
from routerd.controllers.picture import Picture
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Change, Host, HostRefused

logger = logging.getLogger("routerd.controllers")

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0


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
class Judgement:
    """What is now true of the resources of a controller."""

    statuses: Mapping[Ref, Status] = attrs.field(factory=dict)
    gone: Collection[Ref] = ()


class Planner(Protocol):
    """A controller that changes the host: two pure functions."""

    name: str
    kinds: tuple[str, ...]

    def plan(self, view: View) -> Sequence[Step]:
        """What to do, in order."""

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """What to say of each resource after the plan was applied; `refused` has the system's words."""


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
        delay = min(delay * 2, LONGEST_RETRY) if refused else FIRST_RETRY
        retry_at = trio.current_time() + delay if refused else float("inf")


class HostReconciler:
    """Binds a planner to the host and to the log."""

    def __init__(self, planner: Planner, look: Callable[[], View], host: Host, log: Log) -> None:
        self._planner = planner
        self._look = look
        self._host = host
        self._log = log
        self._source = Source(f"routerd-controller-{planner.name}", "routerd-controller", planner.name)

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """One round. Returns what the system refused, by resource, in its own words."""
        view = self._look()
        events: list[Event] = []
        refused: dict[Ref, str] = {}
        for step in self._planner.plan(view):
            try:
                with view.picture.applying(step.change):
                    await self._host.apply(step.change)
            except HostRefused as no:
                refused[step.resource] = no.reason
                events += self._refusal(step, no)
                continue
            view.picture.applied(step.change)
            if step.topic:
                events.append(self._event(step))
        judgement = self._planner.judge(view, refused)
        changed = {ref: s for ref, s in judgement.statuses.items() if differs(view.objects.get(ref), s)}
        gone = [ref for ref in judgement.gone if ref in view.objects]
        if events or changed or gone:
            await self._log.append(*events, status=changed, gone=gone)
        return refused

    def _event(self, step: Step) -> Event:
        return Event(
            topic=step.topic,
            reason=step.reason,
            message=step.message,
            resource=step.resource,
            source=self._source,
            attributes=step.attributes,
        )

    def _refusal(self, step: Step, no: HostRefused) -> list[Event]:
        """Tell of a refusal once, not at each retry: the status keeps it in sight."""
        known = self._status_message(step.resource)
        if known is not None and no.reason in known:
            return []
        return [
            Event(
                topic=f"routerd.controller.{self._planner.name}.refused",
                severity="warning",
                reason="HostRefused",
                message=f"{step.message}: {no.reason}",
                resource=step.resource,
                source=self._source,
                attributes=step.attributes,
            )
        ]

    def _status_message(self, ref: Ref) -> str | None:
        stored = self._log.objects.get(ref)
        message = stored.status.get("message") if stored else None
        return str(message) if message is not None else None


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
