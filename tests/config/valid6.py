"""Valid resources of IPv6, for `tests.config.valid.documents`: a line that gives a prefix, and LANs that live on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

Resource = tuple[str, str, dict[str, Any]]
"""Kind, name, spec."""

CODES = st.lists(st.integers(1, 65535), max_size=4, unique=True)
IAIDS = st.integers(0, 2**32 - 1)
SUFFIXES = st.integers(1, 2**64 - 1).map(
    lambda n: f"::{n >> 48:x}:{n >> 32 & 65535:x}:{n >> 16 & 65535:x}:{n & 65535:x}"
)
SERVERS = st.lists(st.sampled_from(["2001:db8::53", "fd00::53", "2620:fe::fe"]), max_size=3, unique=True)
DOMAINS = st.lists(st.sampled_from(["home.arpa", "example.net", "x"]), max_size=2, unique=True)
LIFETIMES = st.tuples(st.integers(0, 7200), st.integers(0, 7200)).map(
    lambda pair: {"preferredLifetime": f"{min(pair)}s", "validLifetime": f"{max(pair)}s"}
)
PACES = st.tuples(st.integers(4, 1800), st.integers(0, 9000)).map(
    lambda pair: {"maxInterval": f"{pair[0]}s", "routerLifetime": f"{pair[1] if pair[1] >= pair[0] else 0}s"}
)

DELEGATIONS: dict[str, st.SearchStrategy[Any]] = {
    "client": st.just("one"),
    "profile": st.sampled_from(["default", "ntt-ngn-direct-hikari-denwa", "ntt-hgw-lan-pd"]),
    "prefixLength": st.integers(1, 62),
    "clientDUID": st.sampled_from(["00:03:00:01:02:00:00:00:00:01", "0x0003000102AABBCCDDEE", "00020000ab11ff"]),
    "duidType": st.sampled_from(["ll", "llt", "en", "uuid"]),
    "iaid": IAIDS,
    "rapidCommit": st.booleans(),
    "reconfigureAccept": st.booleans(),
    "followRA": st.booleans(),
    "releaseOnStop": st.booleans(),
    "requestOptions": CODES,
    "required": st.booleans(),
    "dscp": st.integers(0, 63),
    "vlanPriority": st.integers(0, 7),
}
LISTENERS: dict[str, st.SearchStrategy[Any]] = {
    "mode": st.sampled_from(["routerd", "kernel"]),
    "addresses": st.booleans(),
    "useRoutes": st.booleans(),
    "useDNS": st.booleans(),
    "routeMetric": st.integers(200, 299),
}
ANNOUNCEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "rdnss": SERVERS,
    "dnssl": DOMAINS,
    "mFlag": st.booleans(),
    "oFlag": st.booleans(),
    "mtu": st.integers(1280, 65535),
    "prfPreference": st.sampled_from(["low", "medium", "high"]),
}
WAYS = st.sampled_from(
    [
        {"type": "blackhole"},
        {"type": "unreachable"},
        {"gateway": "2001:db8::1"},
        {"gateway": "fe80::1", "device": "eth9"},
        {"device": "eth9", "preferredSource": "2001:db8::2"},
    ]
)


def _drawn(draw: st.DrawFn, optional: dict[str, st.SearchStrategy[Any]], **required: Any) -> dict[str, Any]:
    return {**required, **draw(st.fixed_dictionaries({}, optional=optional))}


def line(draw: st.DrawFn, interface: str) -> Iterator[Resource]:
    """What a line in IPv6 has."""
    yield "DHCPv6PrefixDelegation", interface, _drawn(draw, DELEGATIONS, interface=interface)
    yield "IPv6RAAddress", interface, _drawn(draw, LISTENERS, interface=interface)
    if draw(st.booleans()):
        yield "DHCPv6Address", interface, _drawn(draw, {"iaid": IAIDS, "required": st.booleans()}, interface=interface)
    if draw(st.booleans()):
        needs = {"dependsOn": [{"resource": f"DHCPv6PrefixDelegation/{interface}", "phase": "Bound"}]}
        yield "DHCPv6Information", interface, _drawn(draw, {"request": CODES}, interface=interface, **needs)


def network(draw: st.DrawFn, interface: str, giver: str, number: int) -> Iterator[Resource]:
    """What a LAN has of a delegated prefix, the `number`th of them."""
    own = {"prefixDelegation": giver, "interface": interface, "subnetID": number, "addressSuffix": draw(SUFFIXES)}
    yield "IPv6DelegatedAddress", interface, _drawn(draw, {"sendRA": st.booleans(), "announce": st.booleans()}, **own)
    given = {"prefixFrom": {"resource": f"IPv6DelegatedAddress/{interface}", "field": "prefix"}}
    told = {**draw(LIFETIMES), **draw(PACES), **draw(st.sampled_from([{}, {"prefix": "fd00:1::/64"}, given]))}
    yield "IPv6RouterAdvertisement", interface, _drawn(draw, ANNOUNCEMENTS, interface=interface, **told)
    way = {"destination": f"2001:db8:{number:x}::/48", **draw(WAYS)}
    yield "IPv6StaticRoute", interface, _drawn(draw, {"metric": st.integers(0, 2**32 - 1)}, **way)


def resources(draw: st.DrawFn, interfaces: Sequence[str]) -> Iterator[Resource]:
    """A line on the first of them, LANs on the others."""
    giver, *lans = interfaces
    yield from line(draw, giver)
    for number, interface in enumerate(lans):
        yield from network(draw, interface, giver, number)
