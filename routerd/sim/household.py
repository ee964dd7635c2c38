"""A host of the demo's household: it believes its router, and tells what has become of its addresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from ipaddress import IPv6Address

import attrs
import trio

from routerd.sim.ethernet import Segment
from routerd.sim.slaac_host import SlaacHost
from routerd.sim.timeline import Appointment, Timeline
from routerd.sim.world import World

Narrate = Callable[[str], None]
"""Takes a sentence on how the host is now."""

MAC = bytes.fromhex("02005e6100aa")


@attrs.frozen
class Standing:
    """What the host has: addresses for what is new, addresses only for what there is, and its routers."""

    preferred: tuple[IPv6Address, ...] = ()
    deprecated: tuple[IPv6Address, ...] = ()
    routers: tuple[IPv6Address, ...] = ()

    def __str__(self) -> str:
        begins = f"begins with {_list(self.preferred)}" if self.preferred else "has no address to begin with"
        goes_on = f", goes on with {_list(self.deprecated)}" if self.deprecated else ""
        way = f"by {_list(self.routers)}" if self.routers else "without a router"
        return f"the host {begins}{goes_on}, {way}"


class Household:
    """One host on `segment`. Pure as the segment is: what it tells it tells when it has heard its router, and when
    something of what it was told ends."""

    def __init__(self, timeline: Timeline, segment: Segment, narrate: Narrate) -> None:
        self.host = SlaacHost(segment, MAC, believed=self._look)
        self._timeline = timeline
        self._narrate = narrate
        self._next: Appointment | None = None
        self._told = Standing()

    def open(self, now: float) -> None:
        """Be switched on."""
        self.host.ask(now)

    def _look(self, now: float) -> None:
        standing = self._standing(now)
        if standing != self._told:
            self._told = standing
            self._narrate(str(standing))
        if self._next is not None:
            self._next.cancel()
        ends = [end for one in self.host.addresses.values() for end in (one.preferred_until, one.valid_until)]
        later = [end for end in (*ends, *self.host.routers.values()) if now < end < math.inf]
        self._next = self._timeline.at(min(later), self._look) if later else None

    def _standing(self, now: float) -> Standing:
        preferred = self.host.preferred(now)
        deprecated = [address for address in self.host.usable(now) if address not in preferred]
        return Standing(tuple(preferred), tuple(deprecated), tuple(self.host.default_routers(now)))


def _list(addresses: tuple[IPv6Address, ...]) -> str:
    return " and ".join(map(str, addresses))


async def run_household(world: World, segment: str, narrate: Narrate) -> None:
    """Be a host on `segment` of `world`, whose `run` somebody must be running; `narrate` hears how it is."""
    Household(world.timeline, world.segment(segment), narrate).open(world.now())
    await trio.sleep_forever()
