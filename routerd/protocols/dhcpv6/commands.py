"""What the operator may ask of a client. Each command is answered exactly once, by `Finished` or `Refused`.

One at a time: a second one is refused. Release and Flush end whatever is under way.
"""

from __future__ import annotations

from routerd.protocols.dhcpv6 import extending, informing, losing, outputs
from routerd.protocols.dhcpv6.inputs import Rebind, Renew
from routerd.protocols.dhcpv6.states import (
    Bound,
    Confirming,
    Informed,
    Informing,
    NoLink,
    Rebinding,
    Releasing,
    Renewing,
    Revalidating,
    Stopped,
)
from routerd.protocols.dhcpv6.station import Command, Station
from routerd.protocols.machine import PATIENCE


def extend(station: Station, event: Renew | Rebind, now: float) -> None:
    """Extend the leases now: a new exchange, whatever the present one was."""
    name: outputs.CommandName = "renew" if isinstance(event, Renew) else "rebind"
    if not _may(station, name):
        return
    match station.state, event:
        case ((Bound() | Renewing()), Renew()):
            station.command = Command(name, now + PATIENCE)
            extending.renew(station, now)
        case ((Bound() | Renewing() | Rebinding()), Rebind()):
            station.command = Command(name, now + PATIENCE)
            extending.rebind(station, now)
        case Rebinding(), Renew():
            station.refuse(name, "past T2 every server is asked already: rebind instead")
        case ((Confirming() | Revalidating()), _):
            station.refuse(name, "the leases of before are being confirmed at this moment")
        case _:
            station.refuse(name, f"there is no lease to extend in {station.name}")


def request_information(station: Station, now: float) -> None:
    """Ask for other configuration now."""
    if not _may(station, "info-request"):
        return
    match station.state:
        case Bound() | Informed() | Informing():
            station.command = Command("info-request", now + PATIENCE)
            informing.ask(station, now, at_once=True)
        case _:
            station.refuse("info-request", f"another exchange is under way in {station.name}")


def lose_patience(station: Station, now: float) -> None:
    """Nobody answered in time. What is due goes on by its own timers, anything else rests."""
    name = station.command.name if station.command else None
    station.finish(False, f"no answer within {PATIENCE:.0f} seconds")
    match station.state:
        case Renewing() if all(held.t1 is None or now < held.t1 for held in station.bindings.values()):
            station.rest()
        case Rebinding() if all(held.t2 is None or now < held.t2 for held in station.bindings.values()):
            station.rest()
        case Informing() if name == "info-request" and station.bindings:
            station.rest()


def release(station: Station, now: float) -> None:
    """Give everything back, and stay without until Start."""
    if not station.bindings or isinstance(station.state, Releasing):
        station.refuse("release", f"there is no lease to give back in {station.name}")
        return
    station.finish(False, "the leases are being given back")
    if losing.give_back(station, "released", now):
        station.command = Command("release", None)
    else:
        detail = "the leases were dropped; no server could be told"
        station.say(outputs.Finished("release", True, detail))


def flush(station: Station, now: float) -> None:
    """Forget every lease, and begin anew as if there never was one."""
    if isinstance(station.state, Stopped | Releasing):
        station.refuse("flush", f"the client is {station.name.lower()}")
        return
    losing.lose_all(station, "flushed", now)
    station.finish(False, "the leases were flushed")
    station.last.clear()
    station.key = station.remembered = None
    station.say(outputs.Forget())
    if not station.carrier:
        station.enter(NoLink())
    elif station.settings.wanted:
        station.solicit(now)
    else:
        informing.ask(station, now)
    station.say(outputs.Finished("flush", True, "everything was forgotten"))


def _may(station: Station, name: outputs.CommandName) -> bool:
    """Whether there is a link, and nothing else is waited for; said if not."""
    if station.command is not None:
        station.refuse(name, f"a {station.command.name} is under way")
        return False
    if not station.carrier:
        station.refuse(name, "the link is down")
        return False
    return True
