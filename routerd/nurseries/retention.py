"""The controller `log-retention`: how long the event log keeps what, as a LogRetention says. What it reconciles is the
log's terms, not the host; the log itself does the work (`routerd.events.retention`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from routerd.controllers.view import View
from routerd.events.log import Log
from routerd.events.retention import DEFAULT, Retention
from routerd.events.status import condition, differs
from routerd.events.types import Ref, Status, ref_of
from routerd.resources.system import LogRetention
from routerd.shapes.instant import format_instant


class RetentionController:
    """See the module."""

    name = "log-retention"
    kinds: tuple[str, ...] = ("LogRetention",)

    def __init__(self, look: Callable[[], View], log: Log) -> None:
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Hand the terms to the log, and say what came of them; nothing is ever refused here."""
        view = self._look()
        declared = {ref_of(resource): resource.spec for resource in view.router.of(LogRetention)}
        self._log.keeping.keep(next(map(terms, declared.values()), DEFAULT))
        statuses = {ref: self._status(spec, view.generation) for ref, spec in declared.items()}
        changed = {ref: status for ref, status in statuses.items() if differs(view.objects.get(ref), status)}
        gone = [ref for ref in view.objects if ref.kind in self.kinds and ref not in declared]
        if changed or gone:
            because = dict.fromkeys(changed, view.newest((view.configuration,)))
            await self._log.append(status=changed, gone=gone, because=because)
        return {}

    async def watch(self, ring: Callable[[str], None]) -> None:
        """Ring whenever the log has looked for what is old, until cancelled."""
        seen = 0
        while True:
            seen = await self._log.keeping.looked(seen)
            ring("the log was looked through")

    def _status(self, spec: LogRetention, generation: int) -> Status:
        status: dict[str, object] = {
            "phase": "Applied",
            "targets": list(spec.signals),
            "deleted": self._log.tally.deleted,
            "observedGeneration": generation,
            "conditions": [condition("Applied", True, "Applied", generation)],
        }
        looked_at = self._log.keeping.looked_at
        return status | (dict.fromkeys(("lastRunAt", "updatedAt"), format_instant(looked_at)) if looked_at else {})


def terms(spec: LogRetention) -> Retention:
    """What the log is asked to keep."""
    return Retention(max_age=spec.retention, max_bytes=spec.max_octets, interval=spec.interval)
