"""What a DHCPv6 client needs to know of the routers on its link, as IPv6RAAddress resources tell it: whether they say
that DHCPv6 is to be used at all, that there is something new to ask for (V6-29), or that this may be another network
than before, or the same one with other prefixes (V6-42). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from routerd.events.types import Status
from routerd.protocols.dhcpv6.inputs import NetworkChanged, RequestInformation


class Routers:
    """Of one interface; `interface` is its resource's name."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._known: frozenset[Any] = frozenset()
        self._prefixes: dict[str, bool] = {}
        self._other = False
        self.ask_for_dhcp = False
        """Whether one of them has set the M or the O flag, ever."""

    def look(self, statuses: Iterable[Status]) -> list[NetworkChanged | RequestInformation]:
        """Take in what IPv6RAAddress resources say now; what of it is news for the client's machine. Where nobody has
        spoken yet, or nobody does any more, nothing is."""
        mine = [status for status in statuses if status.get("interface") == self._interface]
        self.ask_for_dhcp = self.ask_for_dhcp or any(one.get("managed") or one.get("other") for one in mine)
        prefixes = {one["prefix"]: bool(one.get("preferred")) for status in mine for one in status.get("prefixes", ())}
        routers = frozenset(router["address"] for status in mine for router in status.get("routers", ()))
        if not (now := routers | prefixes.keys()):
            return []
        news: list[NetworkChanged | RequestInformation] = []
        before, self._known = self._known, now
        others, self._prefixes = _differ(self._prefixes, prefixes), prefixes
        if before and (before.isdisjoint(now) or others):
            news.append(NetworkChanged())
        told_other, self._other = self._other, any(status.get("other") for status in mine)
        if before and self._other and not told_other:
            news.append(RequestInformation())
        return news


def _differ(before: Mapping[str, bool], now: Mapping[str, bool]) -> bool:
    """Whether a prefix was added or deprecated (RFC 9915 §18.2.12). That one is not told of any more means nothing."""
    return any(preferred != before.get(prefix, False) for prefix, preferred in now.items())
