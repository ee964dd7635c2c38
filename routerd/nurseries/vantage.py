"""Where everybody looks from: all that a controller may see (`View`), gathered at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from routerd.api.plane import Running
from routerd.controllers.picture import Picture
from routerd.controllers.view import View
from routerd.events.incidents import Incidents
from routerd.events.log import Log
from routerd.host import Clock
from routerd.nurseries.gatekeeper import Gatekeeper


class Vantage:
    """See the module. `judged` are the kinds of whose resources controllers say what is true: what the log has of them
    when this life begins is what an earlier one said."""

    def __init__(self, log: Log, clock: Clock, running: Callable[[], Running], judged: Iterable[str]) -> None:
        self._log = log
        self._clock = clock
        self._running = running
        self.picture = Picture()
        self.incidents = Incidents()
        kinds = frozenset(judged)
        self.gatekeeper = Gatekeeper(clock, (one.ref for one in log.objects.all() if one.ref.kind in kinds))

    def look(self) -> View:
        """What there is to see now."""
        stored, running = self._log.objects.all(), self._running()
        objects = {one.ref: one.status for one in stored}
        admission = self.gatekeeper.look(running.router, objects, self._log.objects.version)
        return View(
            admission.router,
            running.generation,
            objects,
            self.picture,
            self._clock.now(),
            {one.ref: one.version for one in stored},
            self.incidents,
            admission,
            running.router,
        )
