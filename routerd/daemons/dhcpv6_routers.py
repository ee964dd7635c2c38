"""What a DHCPv6 client needs to know of the routers on its link, as IPv6RAAddress resources tell it: whether they say
that DHCPv6 is to be used at all, and whether this may be another network than before (V6-42). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from routerd.events.types import Status


class Routers:
    """Of one interface; `interface` is its resource's name."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._known: frozenset[str] = frozenset()
        self.ask_for_dhcp = False
        """Whether one of them has set the M or the O flag, ever."""

    def look(self, statuses: Iterable[Status]) -> bool:
        """Take in what IPv6RAAddress resources say now. Whether none of the routers and prefixes is left that we knew
        before, and others are there."""
        mine = [status for status in statuses if status.get("interface") == self._interface]
        self.ask_for_dhcp = self.ask_for_dhcp or any(one.get("managed") or one.get("other") for one in mine)
        now = frozenset(str(name) for status in mine for name in _names(status))
        if not now:
            return False
        before, self._known = self._known, now
        return bool(before) and before.isdisjoint(now)


def _names(status: Status) -> Iterable[object]:
    yield from (router.get("address") for router in status.get("routers", ()))
    yield from (prefix.get("prefix") for prefix in status.get("prefixes", ()))
