"""What the link does to a client: it comes, flaps, goes, or is another one (C11, C14, V6-31, V6-40)."""

from __future__ import annotations

from routerd.protocols.dhcpv6 import extending, informing, losing
from routerd.protocols.dhcpv6.inputs import LinkUp
from routerd.protocols.dhcpv6.memory import DEFAULT_MAX_RT
from routerd.protocols.dhcpv6.states import NoLink, Releasing, Revalidating, Stopped
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.machine import FLAP


def up(station: Station, link: LinkUp, now: float) -> None:
    """There is a link to speak on: the one that was here before, or another."""
    before, had_carrier = station.link, station.carrier
    station.link, station.carrier, station.carrier_lost_at = link, True, None
    if isinstance(station.state, Stopped | Releasing):
        return
    if before is not None and _is_another(before, link):
        # Another link identity (C14): what was granted to the old one is not ours here. Who we are stays.
        losing.lose_all(station, "link-changed", now)
        _forget(station)
        acquire(station, now)
    elif not had_carrier or before is None or before.ifindex != link.ifindex:
        acquire(station, now)


def down(station: Station, now: float) -> None:
    """The carrier is gone. With something held we wait whether it is a flap."""
    if not station.carrier:
        return
    station.carrier = False
    if isinstance(station.state, Stopped | Releasing):
        return
    if station.bindings:
        station.carrier_lost_at = now
    else:
        leave(station)


def gone(station: Station, now: float) -> None:
    """The interface is gone. A point-to-point one may come again as another, and be the same link (V6-31)."""
    link, station.link, station.carrier, station.carrier_lost_at = station.link, None, False, None
    match station.state:
        case Stopped():
            return
        case Releasing():
            losing.cut_short(station)
            return
    if link is None or link.mac:
        losing.lose_all(station, "link-gone", now)
        _forget(station)
    leave(station)


def leave(station: Station) -> None:
    """Nothing can be said any more. What is held stays, what was being confirmed is so later."""
    station.carrier_lost_at = station.revalidate_at = None
    station.finish(False, "the link is down")
    if isinstance(station.state, Revalidating) and station.state.unconfirmed:
        station.remembered = station.memory
    station.enter(NoLink())


def flap_ends_at(station: Station) -> float | None:
    """When a carrier that is away is away for good; None: it is not away."""
    return None if station.carrier_lost_at is None else station.carrier_lost_at + FLAP


def acquire(station: Station, now: float) -> None:
    """Begin as the link, the settings and our memory allow."""
    station.finish(False, "the link has changed")
    wanted = station.settings.associations
    unsure = () if station.remembered is None else station.remembered.bindings
    unconfirmed = tuple(binding for binding in unsure if binding.association in wanted)
    if not station.carrier:
        station.enter(NoLink())
        return
    station.remembered = None
    if not wanted:
        informing.ask(station, now)
    elif station.bindings or unconfirmed:
        extending.revalidate(station, now, unconfirmed)
    else:
        station.solicit(now)


def _is_another(before: LinkUp, link: LinkUp) -> bool:
    return before.mac != link.mac or (bool(link.mac) and before.ifindex != link.ifindex)


def _forget(station: Station) -> None:
    """What was told by and about a link that is another one now (V6-28)."""
    station.sol_max_rt = station.inf_max_rt = DEFAULT_MAX_RT
    station.information = station.key = station.last_server = station.remembered = None
