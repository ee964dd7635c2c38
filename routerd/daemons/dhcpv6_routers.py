"""What a DHCPv6 client needs to know of the routers on its link, as IPv6RAAddress resources tell it: whether they say
that DHCPv6 is to be used at all, that there is something new to ask for (V6-29), or that this may be another network
than before (V6-42). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from routerd.events.types import Status
from routerd.protocols.dhcpv6.inputs import NetworkChanged, RequestInformation


class Routers:
    """Of one interface; `interface` is its resource's name."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._known: frozenset[Any] = frozenset()
        self._other = False
        self.ask_for_dhcp = False
        """Whether one of them has set the M or the O flag, ever."""

    def look(self, statuses: Iterable[Status]) -> list[NetworkChanged | RequestInformation]:
        """Take in what IPv6RAAddress resources say now; what of it is news for the client's machine. Where nobody has
        spoken yet, or nobody does any more, nothing is."""
        mine = [status for status in statuses if status.get("interface") == self._interface]
        self.ask_for_dhcp = self.ask_for_dhcp or any(one.get("managed") or one.get("other") for one in mine)
        now = frozenset(name for status in mine for name in _names(status))
        if not now:
            return []
        news: list[NetworkChanged | RequestInformation] = []
        before, self._known = self._known, now
        if before and before.isdisjoint(now):
            news.append(NetworkChanged())
        told_other, self._other = self._other, any(status.get("other") for status in mine)
        if before and self._other and not told_other:
            news.append(RequestInformation())
        return news


def _names(status: Status) -> Iterable[Any]:
    yield from (router.get("address") for router in status.get("routers", ()))
    yield from (prefix.get("prefix") for prefix in status.get("prefixes", ()))
