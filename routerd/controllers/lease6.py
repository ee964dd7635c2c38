"""What the controllers read from the statuses of DHCPv6 resources: prefixes and addresses in use, and prefixes that
were lost and that hosts may still use."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Interface, IPv6Network

import attrs

from routerd.controllers.lease import link_of, undecided
from routerd.controllers.view import View
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Link, Route
from routerd.resources.net6 import DHCPv6Address, DHCPv6PrefixDelegation

LAST_RESORT = 2**31 - 1
"""Metric of what keeps a delegated prefix from going back to the provider: any other route to the same comes before."""


@attrs.frozen
class Former:
    """A prefix that is ours no more, and until when hosts may still send from it (V6-22)."""

    prefix: IPv6Network
    valid_until: float


@attrs.frozen
class Delegation:
    """What a client says of the prefix that it was delegated. `prefix` None: it has none now. Times are on the host's
    clock; None: for ever."""

    client: Ref
    prefix: IPv6Network | None = None
    excluded: IPv6Network | None = None
    preferred_until: float | None = None
    valid_until: float | None = None
    former: tuple[Former, ...] = ()

    @property
    def aggregates(self) -> Iterator[IPv6Network]:
        """Every prefix that is routed to us, or was."""
        yield from () if self.prefix is None else (self.prefix,)
        yield from (former.prefix for former in self.former)


@attrs.frozen
class AddressInUse:
    """An address that a server granted to an interface itself."""

    client: Ref
    link: Link
    address: IPv6Interface
    preferred_until: float | None
    valid_until: float | None


def delegation(view: View, name: str) -> Delegation | None:
    """Of the DHCPv6PrefixDelegation of this name; None as long as nobody knows what it holds."""
    resource = view.router.get(DHCPv6PrefixDelegation, name)
    if resource is None or undecided(view, ref_of(resource)):
        return None
    ref = ref_of(resource)
    status = view.objects.get(ref, {})
    known = Delegation(ref, former=tuple(_former(status, view.now)))
    if "currentPrefix" not in status or is_over(status.get("validUntilMonotonic"), view.now):
        return known
    excluded = status.get("excludedPrefix")
    return attrs.evolve(
        known,
        prefix=IPv6Network(status["currentPrefix"]),
        excluded=None if excluded is None else IPv6Network(excluded),
        preferred_until=status.get("preferredUntilMonotonic"),
        valid_until=status.get("validUntilMonotonic"),
    )


def delegations(view: View) -> Iterator[Delegation]:
    """Of every client that has spoken."""
    for resource in view.router.of(DHCPv6PrefixDelegation):
        known = delegation(view, resource.name)
        if known is not None:
            yield known


def aggregate_of(prefix: IPv6Network) -> Route:
    """What of a delegated prefix is no subnet of ours would go round between the provider and us (RFC 7084 WPD-5)."""
    return Route(prefix, None, metric=LAST_RESORT, kind="unreachable")


def unspoken_delegations(view: View) -> frozenset[str]:
    """Names of those of whom nobody knows yet what they hold, those among them that the gate has not decided on."""
    return frozenset(one.name for one in view.declared.of(DHCPv6PrefixDelegation) if undecided(view, ref_of(one)))


def held_addresses(view: View) -> Iterator[AddressInUse]:
    """Every address that may be in use now."""
    for resource in view.router.of(DHCPv6Address):
        ref, link = ref_of(resource), link_of(view, resource.spec.interface)
        status = view.objects.get(ref, {})
        if link is None or "currentAddress" not in status or undecided(view, ref):
            continue
        valid_until = status.get("validUntilMonotonic")
        if not is_over(valid_until, view.now):
            address = IPv6Interface(f"{status['currentAddress'].partition('/')[0]}/128")
            yield AddressInUse(ref, link, address, status.get("preferredUntilMonotonic"), valid_until)


def is_over(until: float | None, now: float) -> bool:
    """Whether a lifetime has ended; None is for ever."""
    return until is not None and until <= now


def _former(status: Status, now: float) -> Iterator[Former]:
    for one in status.get("previousPrefixes", ()):
        until = one.get("expiresAtMonotonic")
        if until is not None and until > now:
            yield Former(IPv6Network(one["prefix"]), until)
