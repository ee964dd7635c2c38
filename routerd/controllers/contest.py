"""When somebody keeps undoing what we do, we do not answer at the speed of the machine: the host, the log and the
operator would drown. What had to be done five times within a minute rests for the remainder of it, and that is told."""

from __future__ import annotations

from collections import deque

import attrs

from routerd.host import Change, PutAddress, PutRoute, RemoveAddress, RemoveRoute, SetForwarding6, SetHostSide6, SetLink

TIMES, WITHIN = 5, 60.0


@attrs.frozen
class _Done:
    change: Change
    times: deque[float] = attrs.field(factory=lambda: deque(maxlen=TIMES))


class Contest:
    """What was done lately to each thing, and when; the times are on the host's clock. A thing to which we do
    something else each time is nobody's but ours: that is no contest."""

    def __init__(self) -> None:
        self._done: dict[object, _Done] = {}
        self._tidied = 0.0

    def may(self, change: Change, now: float) -> bool:
        """Whether this may be done (again)."""
        done = self._done.get(_thing(change))
        return done is None or done.change != change or len(done.times) < TIMES or now - done.times[0] >= WITHIN

    def done(self, change: Change, now: float) -> None:
        """It has just been done."""
        if now != self._tidied:
            self._done = {thing: done for thing, done in self._done.items() if now - done.times[-1] < WITHIN}
            self._tidied = now
        thing = _thing(change)
        if thing not in self._done or self._done[thing].change != change:
            self._done[thing] = _Done(change)
        self._done[thing].times.append(now)


def _thing(change: Change) -> object:
    """What is changed: a place for an address, a place for a route, one property of a link."""
    match change:
        case PutAddress(address) | RemoveAddress(address):
            return address.link, address.address
        case PutRoute(route) | RemoveRoute(route):
            return route.destination, route.metric
        case SetLink():
            return change.index, change.mtu is None
        case SetHostSide6():
            return change.index, "ipv6"
        case SetForwarding6():
            return "forwarding"
