"""Who keeps the gate (`routerd.controllers.gate`) in life: remembers its last look, whose word is still of an earlier
life of routerd, and wakes when time alone may change what is let in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import trio

from routerd.config import Router
from routerd.controllers.bell import Bell
from routerd.controllers.gate import Admission, Past, admit
from routerd.events.types import Ref, Status
from routerd.host import Clock


class Gatekeeper:
    """See the module. `unheard` are those of whom nobody has yet said in this life what is true."""

    def __init__(self, clock: Clock, unheard: Iterable[Ref]) -> None:
        self._clock = clock
        self._unheard = set(unheard)
        self._past = Past()
        self._basis: tuple[int, int, int] | None = None
        self._router: Router | None = None
        self.bell = Bell()

    def look(self, router: Router, objects: Mapping[Ref, Status], version: int) -> Admission:
        """Whom to let in now; `version` is another one when `objects` are. All controllers look when one thing has
        changed, and need not find out anew what the first has found."""
        before, now = self._past.admission, self._clock.now()
        basis = version, len(self._unheard), round(self._wall_offset(now) / 1e9)
        due = before is not None and before.deadline is not None and before.deadline <= now
        if before is None or due or basis != self._basis or router is not self._router:
            before, self._past = self._admit(router, objects)
            self._basis, self._router = basis, router
        return before

    def preview(self, candidate: Router, objects: Mapping[Ref, Status]) -> Admission:
        """Whom it would let in if `candidate` were in force. Nothing comes of it."""
        return self._admit(candidate, objects)[0]

    def hear(self, refs: Collection[Ref]) -> bool:
        """What is said of these is true now. Whether that is news."""
        news = not self._unheard.isdisjoint(refs)
        self._unheard.difference_update(refs)
        return news

    async def run(self, look: Callable[[], Admission], ring: Callable[[str], None]) -> None:
        """Ring when time has changed something, until cancelled. `ring` rings our bell too, and so does whatever else
        may have changed the deadline."""
        while True:
            deadline = look().deadline
            async with trio.open_nursery() as nursery:
                if deadline is not None:
                    nursery.start_soon(self._alarm, deadline, ring)
                await self.bell.heard()
                nursery.cancel_scope.cancel()

    async def _alarm(self, deadline: float, ring: Callable[[str], None]) -> None:
        await self._clock.sleep_until(deadline)
        ring("conditions")

    def _admit(self, router: Router, objects: Mapping[Ref, Status]) -> tuple[Admission, Past]:
        now = self._clock.now()
        return admit(router, objects, now, self._past, self._unheard, self._wall_offset(now))

    def _wall_offset(self, now: float) -> int:
        return self._clock.wall() - round(now * 1e9)
