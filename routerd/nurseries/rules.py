"""Which rules run: a task for each declared EventRule and DerivedEvent, begun anew when its declaration changes.

This is the controller `rules`: what it reconciles is the fleet, not the host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import trio

from routerd.config import Router
from routerd.controllers.view import View
from routerd.events.log import Log
from routerd.events.types import Ref
from routerd.host import Clock
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.life import tell_crash
from routerd.nurseries.supervisor import supervise
from routerd.resources.derived import DerivedEvent
from routerd.resources.rules import EventRule
from routerd.rules.around import Alarm, Around
from routerd.rules.derived_run import run_derived
from routerd.rules.rule_run import consumer_of, run_rule

Spec = EventRule | DerivedEvent
Run = tuple[str, Callable[[], Awaitable[None]]]
"""What is said of it when it crashes, and what to run."""

_CONSUMERS = consumer_of("")
CRASHED = "CrashLoop"
"""The reason in the status of a rule that crashed, until it has begun anew."""


class RuleFleet:
    """See the module."""

    name = "rules"
    kinds: tuple[str, ...] = (EventRule.__name__, DerivedEvent.__name__)

    def __init__(self, fleet: Fleet[Spec, Run], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet, and forget those that are gone; nothing is ever refused here."""
        view = self._look()
        desired = desired_rules(view.router)
        await self._fleet.fit(desired)
        gone = [ref for ref in view.objects if ref.kind in self.kinds and str(ref) not in desired]
        kept = {consumer_of(resource.name) for resource in view.router.of(EventRule)}
        known = {consumer.name for consumer in self._log.consumers.all() if consumer.name.startswith(_CONSUMERS)}
        if gone or known - kept:
            await self._log.append(gone=gone, consumed=dict.fromkeys(known - kept))
        return {}


def desired_rules(router: Router) -> dict[str, Spec]:
    """Who shall run, by `Kind/name`."""
    rules: dict[str, Spec] = {str(resource): resource.spec for resource in router.of(EventRule)}
    return rules | {str(resource): resource.spec for resource in router.of(DerivedEvent)}


def rule_run(log: Log, around: Around, label: str, spec: Spec) -> Run:
    """One member of the fleet."""
    name = label.partition("/")[2]
    if isinstance(spec, EventRule):
        return label, partial(run_rule, log, name, spec, around)
    return label, partial(run_derived, log, name, spec, around)


def ref_of(label: str) -> Ref:
    """The resource of a member."""
    kind, _, name = label.partition("/")
    return Ref(kind, name)


def establish(nursery: trio.Nursery, log: Log, look: Callable[[], View], around: Around) -> RuleFleet:
    """Their controller. A rule that crashes reads again from where its memory stands."""

    async def run(rule: Run) -> None:
        label, work = rule

        async def report(error: str, crashes: int, delay: float) -> None:
            crash = await tell_crash(log, label, error, crashes, delay, ref_of(label))
            await _say_crashed(log, label, error, crash)

        await supervise(label, work, report)

    return RuleFleet(Fleet(nursery, partial(rule_run, log, around), run), look, log)


async def _say_crashed(log: Log, label: str, error: str, crash: int) -> None:
    """A member has a defect, of which the event `crash` tells: it says nothing until it has begun anew."""
    ref = ref_of(label)
    stored = log.objects.get(ref)
    status = dict(stored.status) if stored is not None else {}
    # What it had settled before stands there still: of a DerivedEvent that is its memory.
    await log.append(
        status={ref: status | {"phase": "Error", "reason": CRASHED, "message": error}}, because={ref: (crash,)}
    )


def alarm_by(clock: Clock) -> Alarm:
    """An alarm that also rings in time when the host slept."""

    async def alarm(seconds: float) -> None:
        await clock.sleep_until(clock.now() + seconds)

    return alarm
