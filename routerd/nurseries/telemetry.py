"""The controller `telemetry`: one exporter for each declared Telemetry, started anew when its declaration changes.

opentelemetry is loaded here, by the first exporter, in its thread; where it is not installed the status says so."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

import trio

from routerd.api.plane import Plane
from routerd.controllers.view import View
from routerd.events.log import Log
from routerd.events.status import condition, differs
from routerd.events.types import Ref, Status
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.life import supervised
from routerd.nurseries.plane import RouterPlane
from routerd.resources.observability import Telemetry
from routerd.telemetry.exporter import Exporter, Sender, consumer_of


class TelemetryFleet:
    """See the module."""

    name = "telemetry"
    kinds: tuple[str, ...] = ("Telemetry",)

    def __init__(self, fleet: Fleet[Telemetry, Exporter], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet, and say how each does; nothing is ever refused here."""
        view = self._look()
        declared = {resource.name: resource.spec for resource in view.router.of(Telemetry)}
        await self._fleet.fit(declared)
        gone = [ref for ref in view.objects if ref.kind in self.kinds and ref.name not in declared]
        statuses = {
            Ref("Telemetry", name, "observability.routerd.net/v1alpha1"): _status(one, declared[name], view.generation)
            for name, one in self._fleet.members.items()
        }
        changed = {ref: status for ref, status in statuses.items() if differs(view.objects.get(ref), status)}
        if changed or gone:
            because = dict.fromkeys(changed, view.newest((view.configuration,)))
            forgotten = dict.fromkeys(consumer_of(ref.name) for ref in gone)
            await self._log.append(status=changed, gone=gone, consumed=forgotten, because=because)
        return {}


def _status(exporter: Exporter, spec: Telemetry, generation: int) -> Status:
    state, sent = exporter.state, exporter.sent
    holds = {"Healthy": True, "Pending": None}.get(state.phase, False)
    return {
        "phase": state.phase,
        "reason": state.reason,
        **({"message": state.message} if state.message else {}),
        "endpoint": spec.endpoint,
        "signals": list(spec.signals),
        "sentEvents": sent.events,
        "rejectedEvents": sent.rejected,
        "droppedEvents": sent.dropped,
        "sentReports": sent.reports,
        "failedRequests": sent.failures,
        "observedGeneration": generation,
        "conditions": [condition("Exporting", holds, state.reason, generation, state.message)],
    }


def establish(
    nursery: trio.Nursery, plane: RouterPlane, look: Callable[[], View], ring: Callable[[str, str], None]
) -> TelemetryFleet:
    """Their controller; an exporter rings it when there is something new to say of it."""
    opening, log = opener(plane), plane.log

    def make(name: str, spec: Telemetry) -> Exporter:
        return Exporter(name, spec, plane, opening, lambda: ring(TelemetryFleet.name, "exporter"))

    async def run(exporter: Exporter) -> None:
        await supervised(log, f"telemetry {exporter.name}", exporter.run)

    fleet = Fleet(nursery, make, run)
    plane.exporters = lambda: fleet.members
    return TelemetryFleet(fleet, look, log)


def opener(plane: Plane) -> Callable[[Telemetry], Sender]:
    """What makes the way to a collector, in a thread. Raises ImportError, OSError."""

    def open_sender(spec: Telemetry) -> Sender:
        from routerd.telemetry import otlp

        return otlp.Sender(spec, platform.node(), plane.running.router.name, plane.started_at)

    return open_sender
