"""Where a configuration is brought about, as far as its changes must know: what would be done, whether it is done, and
how it has come out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs

from routerd.changes.forecast import Forecaster
from routerd.changes.outcome import overall
from routerd.config import Router
from routerd.events.log import Log
from routerd.events.types import Ref, Status


@attrs.frozen
class Stage:
    """`settled` returns when all that has changed is taken in; `crashed`: whether a controller has failed by a fault of
    ours."""

    forecaster: Forecaster
    settled: Callable[[], Awaitable[None]]
    crashed: Callable[[], bool]
    log: Log

    def objects(self) -> Mapping[Ref, Status]:
        """What is said of each resource now."""
        return {stored.ref: stored.status for stored in self.log.objects.all()}

    def phase(self, router: Router) -> str:
        """How a configuration in force has come out until now."""
        return overall(router, self.objects(), self.crashed())
