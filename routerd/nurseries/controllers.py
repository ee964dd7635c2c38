"""How controllers run: each is a supervised task with a bell that wakes it and a meter of what it does.

One that crashes takes nobody along: it begins anew, looks at everything again, and so loses nothing. All of them are
rung together, for each knows best whether what has changed concerns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

import trio

from routerd.controllers.bell import Bell, run_controller
from routerd.controllers.meter import Meter
from routerd.controllers.rounds import Rounds
from routerd.events.log import Log
from routerd.events.types import Ref
from routerd.host import Clock
from routerd.nurseries.life import tell_crash
from routerd.nurseries.supervisor import supervise


class Controller(Protocol):
    """What is rung: it brings about what is declared of its `kinds`."""

    name: str
    kinds: tuple[str, ...]

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Do it; what was refused, by resource."""


class Controllers:
    """See the module."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._rounds = Rounds()
        self._bells: dict[str, Bell] = {}
        self.meters: list[Meter] = []

    def start(self, nursery: trio.Nursery, controller: Controller) -> None:
        """Run one more in `nursery`."""
        bell, meter = Bell(), Meter(controller.name, controller.kinds, self._clock.wall)
        self.listens(controller.name, bell)
        self._rounds.add(bell, meter)
        self.meters.append(meter)
        who = f"controller {controller.name}"

        async def report(error: str, crashes: int, delay: float) -> None:
            meter.note(last_restart=self._clock.wall())
            await tell_crash(self._log, who, error, crashes, delay)
            bell.ring("restart")

        nursery.start_soon(supervise, who, partial(run_controller, bell, meter, controller), report)

    def listens(self, name: str, bell: Bell) -> None:
        """One more bell that is rung with the others."""
        self._bells[name] = bell

    def ring(self, why: str) -> None:
        """Have all of them look again, because of `why`."""
        for bell in self._bells.values():
            bell.ring(why)

    def ring_one(self, name: str, why: str) -> None:
        """Have this one look again."""
        self._bells[name].ring(why)

    def reconfigured(self) -> None:
        """Another configuration is in force: have all of them take it in."""
        self._rounds.changed()
        for meter in self.meters:
            meter.note(last_reload=self._clock.wall(), last_change_reason="configuration reloaded")
        self.ring("configuration")

    async def settled(self) -> None:
        """Return when all have taken in what has changed."""
        await self._rounds.settled()
        await self.quiet()

    async def quiet(self) -> None:
        """Return when none has anything to do, nor will have because of what is on its way to the disk."""
        await self._rounds.quiet()
        while (unseen := self._log.unseen) is not None:
            await unseen.wait()
            await self._rounds.quiet()

    @property
    def crashed(self) -> bool:
        """Whether one has failed by a fault of ours and has not done its work since."""
        return any(meter.crashed for meter in self.meters)

    async def run_object_watch(self) -> None:
        """Ring when the status of any object has changed, until cancelled."""
        seen = self._log.objects.version
        while True:
            seen = await self._log.objects.changed(seen)
            self.ring("objects")
