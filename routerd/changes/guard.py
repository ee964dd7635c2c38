"""What must not be lost while a change is on trial: the ways by which operators come in, the WANs, and the connection
of whoever asked for the change. Pure questions to a View.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import attrs

from routerd.changes.commit import GuardFailed, GuardHolds
from routerd.changes.wans import are_undecided, is_awaited, is_usable, leads_everywhere, wans_up
from routerd.config import Router
from routerd.controllers.lease import ifname_of
from routerd.controllers.management import shut
from routerd.controllers.picture import Picture
from routerd.controllers.view import View
from routerd.host import Address, Route
from routerd.resources.management import ManagementAccess

PATIENCE: Final = 10.0
"""Seconds that a way in may be shut: addresses move, links come up anew."""
WAN_PATIENCE: Final = 30.0
"""Seconds that what comes from a provider may be missing: a client that begins anew has to find a server or a router,
and to probe its address."""

Verdict = GuardFailed | GuardHolds


@attrs.frozen
class Caller:
    """The connection by which an operator sits at this host: its address here, and theirs."""

    local: str
    remote: str


@attrs.frozen
class Guards:
    """What is guarded: interfaces by the system's name, ways out by the resource of which they come (`Kind/name`)."""

    interfaces: tuple[str, ...] = ()
    wans: tuple[str, ...] = ()
    caller: Caller | None = None


def standing(view: View, routers: Iterable[Router], caller: Caller | None) -> Guards:
    """What can be guarded now, before a change from one of `routers` to another: only what is there can be lost."""
    ifnames = dict.fromkeys(ifname for router in routers for ifname in _management(router))
    return Guards(
        tuple(ifname for ifname in ifnames if shut(view.picture, ifname) is None),
        tuple(wans_up(view)),
        caller if caller is not None and _cut(view.picture, caller) is None else None,
    )


def judge(guards: Guards, view: View) -> Iterator[Verdict]:
    """Which of them hold, and which are lost. Of what is not known yet nothing is said."""
    for ifname in guards.interfaces:
        there = view.picture.link_named(ifname) is not None
        patience = _patience(view, ifname) if there else 0.0
        yield _verdict(f"interface {ifname}", shut(view.picture, ifname), patience)
    if guards.wans:
        yield from _wans(guards.wans, view)
    if guards.caller is not None:
        yield _verdict("caller", _cut(view.picture, guards.caller), _patience(view, None))


def _verdict(guard: str, why: str | None, patience: float) -> Verdict:
    return GuardHolds(guard) if why is None else GuardFailed(guard, why, patience)


def _patience(view: View, ifname: str | None) -> float:
    """Longer while a client (of this interface) that is to have something has nothing: what is missing may come with
    it."""
    return WAN_PATIENCE if is_awaited(view, ifname) else PATIENCE


def _management(router: Router) -> Iterator[str]:
    for access in router.of(ManagementAccess):
        for name in access.spec.interfaces:
            ifname = ifname_of(router, name)
            if ifname is not None:
                yield ifname


def _wans(wans: tuple[str, ...], view: View) -> Iterator[Verdict]:
    """All of them are down when none of the clients has anything any more, and no other way leads to everywhere."""
    if not set(wans).isdisjoint(wans_up(view)) or leads_everywhere(view.picture):
        yield GuardHolds("wan")
    elif not are_undecided(view, wans):
        yield GuardFailed("wan", f"no WAN is left: {', '.join(wans)} had one and lost it", WAN_PATIENCE)


def _cut(picture: Picture, caller: Caller) -> str | None:
    """Why the caller's connection cannot live, None if it can."""
    local, remote = _address(caller.local), _address(caller.remote)
    here = [known for known in picture.addresses.values() if known.address.ip == local and _can_be_sent_to(known)]
    if local.is_link_local or remote.is_link_local:
        return _cut_on_link(picture, caller, here)
    if not here:
        return f"the address {local}, to which the caller is connected, is gone"
    found = _route_to(picture, remote)
    return None if found is not None and is_usable(picture, found) else f"there is no route to the caller at {remote}"


def _cut_on_link(picture: Picture, caller: Caller, here: Iterable[Address]) -> str | None:
    """A connection between two hosts of one link: `fe80::1%eth0` names it. It needs no route but that link."""
    _, _, ifname = caller.local.partition("%")
    found = (picture.links.get(known.link) for known in here)
    links = [link for link in found if link is not None and ifname in ("", link.name)]
    if not links:
        return f"the address {caller.local}, to which the caller is connected, is gone"
    if any(link.admin_up and link.carrier for link in links):
        return None
    return f"{links[0].name}, by which the caller is connected, has no carrier"


def _can_be_sent_to(known: Address) -> bool:
    """Whether others reach this host by it: one that another host has is not ours."""
    return known.standing != "duplicate"


def _address(text: str) -> IPv4Address | IPv6Address:
    """Of `fe80::1%eth0` too. And IPv4 told as IPv6 is IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _route_to(picture: Picture, address: IPv4Address | IPv6Address) -> Route | None:
    """The route by which the host sends to an address: the longest prefix, then the lowest metric."""
    leading = (route for route in picture.routes.values() if address in route.destination)
    return min(leading, key=lambda route: (-route.destination.prefixlen, route.metric), default=None)
