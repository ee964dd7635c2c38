"""What the operator may ask of a client. Each command is answered exactly once, by `Finished` or `Refused`.

One extension at a time: a second one is refused. Release ends whatever is under way, and then itself.
"""

from __future__ import annotations

from typing import Literal

from routerd.protocols.dhcpv4 import keeping, losing, outputs
from routerd.protocols.dhcpv4.inputs import Rebind, Renew
from routerd.protocols.dhcpv4.states import Bound, Probing, Rebinding, Rebooting, Renewing, Stopped
from routerd.protocols.dhcpv4.station import Command, Station
from routerd.protocols.machine import PATIENCE


def extend(station: Station, event: Renew | Rebind, now: float) -> None:
    """Extend the lease now: a new exchange, whatever the present one was."""
    name: Literal["renew", "rebind"] = "renew" if isinstance(event, Renew) else "rebind"
    if station.command is not None:
        station.refuse(name, f"a {station.command.name} is under way")
        return
    if not station.carrier:
        station.refuse(name, "the link is down")
        return
    match station.state, event:
        case ((Bound(lease) | Renewing(lease)), Renew()):
            station.command = Command(name, now + PATIENCE)
            keeping.renew(station, lease, now)
        case ((Bound(lease) | Renewing(lease) | Rebinding(lease)), Rebind()):
            station.command = Command(name, now + PATIENCE)
            keeping.rebind(station, lease, now)
        case Rebinding(), Renew():
            station.refuse(name, "past T2 every server is asked already: rebind instead")
        case Rebooting(), _:
            station.refuse(name, "the lease of before is being confirmed at this moment")
        case _:
            station.refuse(name, f"there is no lease to extend in {station.name}")


def lose_patience(station: Station, now: float) -> None:
    """Nobody answered in time. Before T1 the matter rests; after it, it goes on by its own timers."""
    station.finish(False, f"no answer within {PATIENCE:.0f} seconds")
    match station.state:
        case Renewing(lease) | Rebinding(lease) if lease.t1 is None or now < lease.t1:
            station.enter(Bound(lease))


def release(station: Station, now: float) -> None:
    """Give the lease back, and stay without one until Start."""
    if station.lease is None and not isinstance(station.state, Probing):
        station.refuse("release", f"there is no lease to give back in {station.name}")
        return
    told = losing.give_back(station, "released", now)
    station.enter(Stopped())
    detail = "the lease was given back" if told else "the lease was dropped; its server could not be told"
    station.say(outputs.Finished("release", True, detail))
