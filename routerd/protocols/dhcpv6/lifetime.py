"""The beginning and the end of a client, and what it takes along from one to the next (C4, V6-27, V6-40, V6-41)."""

from __future__ import annotations

from routerd.protocols.dhcpv6 import link, losing, outputs
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.dhcpv6.states import Releasing, Stopped
from routerd.protocols.dhcpv6.station import Station


def start(station: Station, now: float) -> None:
    """Begin, with what is remembered; a goodbye that is under way is cut short."""
    if isinstance(station.state, Releasing):
        losing.cut_short(station)
    if not isinstance(station.state, Stopped):
        return
    if station.remembered is not None:
        _recall(station, station.remembered, now)
    link.acquire(station, now)


def _recall(station: Station, known: Memory, now: float) -> None:
    """Take up what an earlier life knew: use what is surely still ours, and leave the rest to be confirmed (C4)."""
    station.former, station.last = known.former, dict(known.last)
    station.key, station.replay = known.key, known.replay
    station.sol_max_rt, station.inf_max_rt = known.sol_max_rt, known.inf_max_rt
    station.information = known.information
    if not known.trusted:
        return
    station.remembered = None
    wanted = frozenset(station.settings.associations)
    station.bindings = {binding.association: binding for binding in known.bindings}
    losing.end_what_was_over(station, now)
    for binding in tuple(station.bindings.values()):
        if binding.association not in wanted:
            losing.drop_leases(station, binding, binding.leases, "unwanted", now)
    for binding in station.bindings.values():
        station.say(outputs.Resumed(binding))
    station.bound_at = now if station.bindings else None
    if station.information is not None:
        station.say(outputs.Informed(station.information, None, ()))


def stop(station: Station, release: bool, now: float) -> None:
    """End. Without `release` nothing is lost: a restart is none of the servers' business (V6-27)."""
    match station.state:
        case Stopped():
            return
        case Releasing():
            losing.cut_short(station)
            return
    station.finish(False, "the client was stopped")
    station.carrier_lost_at = station.revalidate_at = None
    if release:
        station.remembered = None
        losing.give_back(station, "stopped", now)
        return
    _put_aside(station)
    station.enter(Stopped())


def leave(station: Station, given_back: frozenset[Association], now: float) -> None:
    """End, without these from now on: their servers are told, and nobody else (§18.2.7)."""
    if isinstance(station.state, Stopped | Releasing) or given_back.issuperset(station.settings.associations):
        stop(station, True, now)
        return
    station.finish(False, "the client was stopped")
    station.carrier_lost_at = station.revalidate_at = None
    going = tuple(binding for which, binding in station.bindings.items() if which in given_back)
    for binding in going:
        losing.drop_leases(station, binding, binding.leases, "stopped", now)
    station.last = {which: assets for which, assets in station.last.items() if which not in given_back}
    _put_aside(station)
    if going and station.carrier:
        losing.tell_servers(station, going, now)
    else:
        station.enter(Stopped())


def _put_aside(station: Station) -> None:
    """What is held stays ours, but is nothing to use before the next Start."""
    station.remembered = station.memory
    station.bindings.clear()
    station.former = ()
