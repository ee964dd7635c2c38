"""The running router as the API sees it (`routerd.api.plane.Plane`): figures and references, no acts of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import trio

from routerd.api.change import Changes, Commits
from routerd.api.plane import Check, ControllerReport, Daemon, Exports, Running
from routerd.api.traffic import Traffic
from routerd.controllers.meter import Meter
from routerd.events.log import Log
from routerd.events.types import Status
from routerd.nurseries.configuration import Configuration
from routerd.nurseries.verbosity import Verbosity
from routerd.telemetry.exporter import Exporter

LAG_LIMIT = 5.0
"""Seconds by which the event loop may be late before /livez fails: systemd's watchdog would act on no less."""


class RouterPlane:
    """Root fills it in as the router comes up; the API reads it."""

    def __init__(
        self,
        log: Log,
        configuration: Configuration,
        changes: Changes,
        commits: Commits,
        meters: Sequence[Meter],
        run_dir: Path,
        state_dir: Path,
        host_name: str,
    ) -> None:
        self.log = log
        self.changes = changes
        self.commits = commits
        self.traffic = Traffic()
        self.verbosity = Verbosity(log)
        self._configuration = configuration
        self.run_dir = str(run_dir)
        self.state_dir = str(state_dir)
        self.host_name = host_name
        self.started_at = time.time_ns()
        self._meters = meters
        self.fleets: list[Callable[[], Mapping[str, Daemon]]] = []
        self.exporters: Callable[[], Mapping[str, Exporter]] = dict
        self._lag = 0.0

    @property
    def running(self) -> Running:
        """The configuration in force."""
        return self._configuration.running

    @property
    def controllers(self) -> Sequence[ControllerReport]:
        """By name."""
        return sorted((meter.report for meter in self._meters), key=lambda report: report.name)

    @property
    def exports(self) -> Mapping[str, Exports]:
        """By name of the Telemetry."""
        return {name: exporter.sent for name, exporter in self.exporters().items()}

    @property
    def daemons(self) -> Mapping[str, Daemon]:
        """By `directory/instance`."""
        return {f"{d.directory}/{d.source.instance}": d for members in self.fleets for d in members().values()}

    def live(self) -> Sequence[Check]:
        """See Plane."""
        late = self._lag > LAG_LIMIT
        return (
            Check("event-loop", not late, f"late by {self._lag * 1000:.1f} ms"),
            Check("event-log", self.log.degraded is None, self.log.degraded or "writing"),
        )

    def ready(self) -> Sequence[Check]:
        """See Plane."""
        error = self.running.pending_error
        return (
            *self.live(),
            Check("configuration", error is None, error or f"generation {self.running.generation}"),
            *(_controller(meter) for meter in sorted(self._meters, key=lambda meter: meter.report.name)),
            *(
                Check(f"daemon {key}", daemon.phase == "Running", daemon.detail)
                for key, daemon in sorted(self.daemons.items())
            ),
        )

    def runtime(self) -> Status:
        """See Plane."""
        return {
            "loopLagMillis": round(self._lag * 1000, 3),
            "logLevel": self.verbosity.level,
            "logLevelUntil": self.verbosity.until,
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "sockets": 2 + len(self.daemons),
        }

    async def run_gauge(self, interval: float) -> None:
        """Measure the event loop's lateness every `interval` seconds, for ever."""
        while True:
            due = trio.current_time() + interval
            await trio.sleep_until(due)
            self._lag = trio.current_time() - due


def _controller(meter: Meter) -> Check:
    """A controller does its job when it looks and does not crash. What the system refuses is told by the resources."""
    report = meter.report
    looked = report.reconciles > 0
    words = "" if looked else "has not looked yet"
    return Check(f"controller {report.name}", looked and not meter.crashed, report.last_error or words)
