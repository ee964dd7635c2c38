"""What clients of IPv6 say, made by hand, and addresses and routes of that family, for the views of `scene`."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Any

from routerd.controllers.lease6 import aggregate_of
from routerd.events.types import Ref, Status
from routerd.host import Address, Link, Route
from tests.controllers.scene import NOW, resource

PD = resource("DHCPv6PrefixDelegation", "wan-pd", interface="wan")
NA = resource("DHCPv6Address", "wan", interface="wan")
PD_REF, NA_REF = Ref("DHCPv6PrefixDelegation", "wan-pd"), Ref("DHCPv6Address", "wan")
SUBNET_REF = Ref("IPv6DelegatedAddress", "lan")
PREFIX, OTHER = "2001:db8:40::/56", "2001:db8:77::/56"


def subnet(name: str = "lan", **spec: Any) -> dict[str, Any]:
    """An IPv6DelegatedAddress on the LAN."""
    basis = {"prefixDelegation": "wan-pd", "interface": "lan", "subnetID": 1, "addressSuffix": "::1"}
    return resource("IPv6DelegatedAddress", name, **{**basis, **spec})


SUBNET = subnet()
AGGREGATES = [aggregate_of(IPv6Network(one)) for one in (PREFIX, OTHER)]
"""What keeps them from going back to the provider."""


def address6(on: Link, text: str, preferred: float | None = NOW + 1800, valid: float | None = NOW + 3600) -> Address:
    """An address of ours."""
    return Address(on.index, IPv6Interface(text), valid_until=valid, preferred_until=preferred)


def route6(to: str, by: Link | None, via: str | None = None, **changes: Any) -> Route:
    """A route of ours."""
    changes.setdefault("metric", 1024)
    return Route(IPv6Network(to), by.index if by else None, IPv6Address(via) if via else None, **changes)


def delegated(prefix: str = PREFIX, *former: tuple[str, float], **more: Any) -> Status:
    """What a client says that was delegated this for an hour; `former` with the seconds until each ends."""
    previous = [{"prefix": one, "expiresAtMonotonic": NOW + left} for one, left in former]
    return {
        **speaking("Bound"),
        "currentPrefix": prefix,
        "preferredUntilMonotonic": NOW + 1800,
        "validUntilMonotonic": NOW + 3600,
        "previousPrefixes": previous,
        **more,
    }


def granted(own: str = "2001:db8:1::50", **more: Any) -> Status:
    """What a client says that has this address for an hour."""
    times = {"preferredUntilMonotonic": NOW + 1800, "validUntilMonotonic": NOW + 3600}
    return {**speaking("Bound"), "currentAddress": own, **times, **more}


def speaking(phase: str = "Acquiring") -> Status:
    """What a client says that has spoken and has nothing."""
    return {"phase": phase, "reason": phase, "state": phase, "interface": "wan", "device": "eth0"}


def without_prefix(*former: tuple[str, float]) -> Status:
    """What a client says that has lost its prefix."""
    return {**speaking(), "previousPrefixes": delegated(PREFIX, *former)["previousPrefixes"]}


def silent() -> Status:
    """What is said of a client that has not spoken in this life."""
    return {"phase": "Pending", "reason": "Starting", "interface": "wan", "device": "eth0"}
