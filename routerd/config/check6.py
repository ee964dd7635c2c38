"""What needs two resources of IPv6 to be seen: subnets that overlap, clients and routers that would be in each other's
way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from routerd.config.declared import Declared, Finding, at, of, twice
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6DelegatedAddress,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
)
from routerd.shapes.invalid import Problem

CLIENTS = (DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information)
PLAIN = DHCPv6PrefixDelegation("plain")
WHOLE = {
    "rapidCommit": "rapid_commit",
    "reconfigureAccept": "reconfigure_accept",
    "followRA": "follow_ra",
    "duidType": "duid_type",
    "dscp": "dscp",
    "vlanPriority": "vlan_priority",
}
"""Fields of a prefix that are about its client as a whole."""


def check6(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Everything that is wrong between the resources of IPv6 of a file."""
    yield from _subnets(declared)
    yield from _upstream(declared)
    yield from _one_to_an_interface(declared)
    yield from _metrics(declared)
    yield from _iaids(declared)
    yield from _duids(declared)
    yield from _sockets(declared)
    yield from _as_a_whole(declared)
    yield from _too_many(declared)
    yield from _following(declared)


def _subnets(declared: Sequence[Declared]) -> Iterator[Finding]:
    """A part of a prefix is on one link. Which parts they are does not depend on the prefix."""
    before: list[tuple[int, int, Declared]] = []
    for one in of(declared, IPv6DelegatedAddress):
        bits = 128 - one.spec.prefix_length
        first, last = one.spec.subnet_id << bits, ((one.spec.subnet_id + 1) << bits) - 1
        for begin, end, other in before:
            if one.spec.prefix_delegation == other.spec.prefix_delegation and first <= end and begin <= last:
                yield from _overlap(one, other, same=(first, last) == (begin, end))
        before.append((first, last, one))


def _overlap(one: Declared, other: Declared, same: bool) -> Iterator[Finding]:
    mine, theirs = one.spec, other.spec
    if same and mine.interface == theirs.interface:
        if mine.address_suffix == theirs.address_suffix:
            message = f"{other.label} puts the same address there already"
            yield (
                one,
                Problem(("spec", "addressSuffix"), "duplicate.address", message, "expected another one", at(other)),
            )
        return
    what = "is" if same else "overlaps"
    message = f"subnet {mine.subnet_id} (/{mine.prefix_length}) {what} that of {other.label}"
    yield one, Problem(("spec", "subnetID"), "overlap.subnet", message, "expected another subnet", at(other))


def _upstream(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Where a prefix comes from nothing of it goes, and this router is no router there (RFC 7084 W-1, WPD-5)."""
    givers = {one.name: one for one in of(declared, DHCPv6PrefixDelegation)}
    for one in of(declared, IPv6DelegatedAddress):
        giver = givers.get(one.spec.prefix_delegation)
        if giver is not None and giver.spec.interface == one.spec.interface:
            message = f"{one.spec.interface} is where {giver.label} has the prefix from"
            yield one, Problem(("spec", "interface"), "value.upstream", message, "expected a LAN", at(giver))
    listening = {one.spec.interface: one for one in of(declared, IPv6RAAddress)}
    upstream = {**listening, **{one.spec.interface: one for one in givers.values()}}
    routed = ((one, upstream) for one in of(declared, IPv6RouterAdvertisement))
    addressed = ((one, listening) for one in of(declared, IPv6DelegatedAddress))
    for one, taken in (*routed, *addressed):
        other = taken.get(one.spec.interface)
        if other is not None:
            message = f"{one.spec.interface} is where the provider's router is: {other.label}"
            yield one, Problem(("spec", "interface"), "value.upstream", message, "expected a LAN", at(other))


def _one_to_an_interface(declared: Sequence[Declared]) -> Iterator[Finding]:
    for kind in (IPv6RAAddress, IPv6RouterAdvertisement):
        for one, other in twice((one.spec.interface, one) for one in of(declared, kind)):
            message = f"{other.label} does this on {one.spec.interface} already"
            yield one, Problem(("spec", "interface"), "duplicate.client", message, "one to an interface", at(other))


def _metrics(declared: Sequence[Declared]) -> Iterator[Finding]:
    routed = [one for one in of(declared, IPv6RAAddress) if one.spec.use_routes and one.spec.route_metric is not None]
    for one, other in twice((one.spec.route_metric, one) for one in routed):
        message = f"{other.label} has the metric {one.spec.route_metric} too"
        hint = f"one default route would replace the other; {at(other)}"
        yield one, Problem(("spec", "routeMetric"), "duplicate.metric", message, "expected another metric", hint)


def _iaids(declared: Sequence[Declared]) -> Iterator[Finding]:
    """An IAID names one association of its type (RFC 9915 §12)."""
    for kind in (DHCPv6PrefixDelegation, DHCPv6Address):
        given = [one for one in of(declared, kind) if one.spec.iaid is not None]
        for one, other in twice(((one.spec.interface, one.spec.iaid), one) for one in given):
            message = f"{other.label} has the IAID {one.spec.iaid} on {one.spec.interface} too"
            yield one, Problem(("spec", "iaid"), "duplicate.iaid", message, "expected another one", at(other))


def _duids(declared: Sequence[Declared]) -> Iterator[Finding]:
    """An interface has one client, and that one DUID."""
    first: dict[str, Declared] = {}
    for one in _with_duid(of(declared, DHCPv6PrefixDelegation)):
        other = first.setdefault(one.spec.interface, one)
        if _octets(one) != _octets(other):
            message = f"{other.label} has another one, and {one.spec.interface} has one client"
            yield one, Problem(("spec", "clientDUID"), "value.exclusive", message, "expected the same", at(other))


def _with_duid(delegations: Iterable[Declared]) -> Iterator[Declared]:
    return (one for one in delegations if one.spec.client_duid is not None)


def _octets(one: Declared) -> str:
    text: str = one.spec.client_duid
    return text.removeprefix("0x").replace(":", "").lower()


def _sockets(declared: Sequence[Declared]) -> Iterator[Finding]:
    """A client's resources have a socket each, by name alone: two clients cannot share one."""
    first: dict[str, Declared] = {}
    for one in (one for kind in CLIENTS for one in of(declared, kind)):
        other = first.setdefault(one.name, one)
        if one.spec.interface != other.spec.interface:
            message = f"{other.label} has this name on another interface, and would have the same socket"
            yield one, Problem(("metadata", "name"), "duplicate.socket", message, "expected another name", at(other))


def _as_a_whole(declared: Sequence[Declared]) -> Iterator[Finding]:
    """What is about all of a client is said by the first prefix of its interface; nobody hears the others."""
    first: dict[str, Declared] = {}
    for one in of(declared, DHCPv6PrefixDelegation):
        other = first.setdefault(one.spec.interface, one)
        for wire, name in WHOLE.items():
            mine, theirs = getattr(one.spec, name), getattr(other.spec, name)
            if mine != theirs and mine != getattr(PLAIN, name):
                message = f"is said for all of {one.spec.interface} by {other.label}, which says otherwise"
                yield one, Problem(("spec", wire), "value.exclusive", message, f"expected it there; {at(other)}")


def _too_many(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Subnets that the prefix has not even if it is as long as it is asked for."""
    givers = {one.name: one for one in of(declared, DHCPv6PrefixDelegation)}
    for one in of(declared, IPv6DelegatedAddress):
        giver = givers.get(one.spec.prefix_delegation)
        if giver is None or giver.spec.prefix_length is None:
            continue
        asked, length = giver.spec.prefix_length, one.spec.prefix_length
        hint = f"ask for a shorter prefix, or for none of a certain length: {at(giver)}"
        if asked > length:
            message = f"a /{length} is more than the /{asked} that {giver.label} asks for"
            expected = f"expected {asked} or more"
            yield one, Problem(("spec", "prefixLength"), "value.subnet", message, expected, hint)
        elif one.spec.subnet_id >> (length - asked):
            most = 2 ** (length - asked) - 1
            message = f"there is no subnet {one.spec.subnet_id} in the /{asked} that {giver.label} asks for"
            yield one, Problem(("spec", "subnetID"), "value.subnet", message, f"expected 0 to {most}", hint)


def _following(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Who waits for a router's word needs somebody that listens."""
    heard = {one.spec.interface for one in of(declared, IPv6RAAddress)}
    for one in of(declared, DHCPv6PrefixDelegation):
        if one.spec.follow_ra and one.spec.interface not in heard:
            message = f"nobody listens for routers on {one.spec.interface}: it would never begin"
            hint = f"declare an IPv6RAAddress with interface: {one.spec.interface}"
            yield (
                one,
                Problem(("spec", "followRA"), "value.required", message, "expected an IPv6RAAddress beside it", hint),
            )
