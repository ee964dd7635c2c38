"""What a simulated kernel does in IPv6: whom it obeys on its links, whether it forwards, which address a link has."""

from __future__ import annotations

from ipaddress import IPv6Interface

import attrs

from routerd.host import HostSide6, Link, SetHostSide6

DEFAULT_SIDE = HostSide6(accept_ra=True, autoconf=True)
"""What a kernel begins with."""


class Kernel6:
    """Its switches. `forwarding`: it is a router, on all links. Nobody is told of a change, as of a sysctl."""

    def __init__(self) -> None:
        self.forwarding = False
        self._sides: dict[int, HostSide6] = {}
        self._obeying: set[int] = set()
        """Links on which routers are obeyed although the host is one itself."""

    def set_side(self, change: SetHostSide6) -> None:
        """Change what is not None."""
        wanted = {name: value for name, value in attrs.asdict(change).items() if name != "index" and value is not None}
        self._sides[change.index] = attrs.evolve(self._sides.get(change.index, DEFAULT_SIDE), **wanted)
        if change.accept_ra:
            self._obeying.add(change.index)

    def seen(self, link: Link) -> Link:
        """The link as it is to be seen: with its switches."""
        side = self._sides.get(link.index, DEFAULT_SIDE)
        obeys = side.accept_ra and (link.index in self._obeying or not self.forwarding)
        return attrs.evolve(link, ipv6=attrs.evolve(side, accept_ra=obeys, forwarding=self.forwarding))


def link_local(mac: bytes) -> IPv6Interface:
    """The link-local address that a station makes of its Ethernet address (RFC 4291, appendix A)."""
    identifier = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    return IPv6Interface((b"\xfe\x80".ljust(8, b"\0") + identifier, 64))
