"""`get?subject=prefixes`: each delegated prefix with its lengths and times, where its subnets are, and what it
replaced; put together of what the resources say of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from routerd.api.wire_prefixes import DelegatedPrefix, FormerPrefix, PrefixesAnswer, Subnet
from routerd.events.types import Status, StoredObject


def prefixes(objects: Sequence[StoredObject]) -> PrefixesAnswer:
    """Of all objects, what is about delegated prefixes."""
    found = sorted((one for one in objects if one.ref.kind == "DHCPv6PrefixDelegation"), key=lambda one: one.ref.name)
    return PrefixesAnswer(items=[_prefix(one, objects) for one in found])


def _prefix(one: StoredObject, objects: Sequence[StoredObject]) -> DelegatedPrefix:
    status = one.status
    return DelegatedPrefix(
        name=one.ref.name,
        phase=status.get("phase", ""),
        reason=status.get("reason"),
        interface=status.get("interface"),
        device=status.get("device"),
        prefix=status.get("currentPrefix"),
        excluded_prefix=status.get("excludedPrefix"),
        requested_length=status.get("requestedLength"),
        offered_length=status.get("offeredLength"),
        bound_length=status.get("boundLength"),
        renew_at=status.get("renewAt"),
        rebind_at=status.get("rebindAt"),
        preferred_until=status.get("preferredUntil"),
        valid_until=status.get("validUntil"),
        server_duid=status.get("serverDUID"),
        client_duid=status.get("clientDUID"),
        iaid=status.get("iaid"),
        subnets=list(_subnets(str(one.ref), objects)),
        previous=list(_former(status)),
    )


def _subnets(source: str, objects: Sequence[StoredObject]) -> Iterator[Subnet]:
    for one in sorted(objects, key=lambda one: str(one.ref)):
        status = one.status
        if one.ref.kind == "IPv6DelegatedAddress" and status.get("prefixSource") == source:
            yield Subnet(
                resource=str(one.ref),
                phase=status.get("phase", ""),
                reason=status.get("reason"),
                interface=status.get("interface"),
                ifname=status.get("ifname"),
                prefix=status.get("prefix"),
                address=status.get("address"),
            )


def _former(status: Status) -> Iterator[FormerPrefix]:
    for one in status.get("previousPrefixes", ()):
        yield FormerPrefix(
            prefix=one["prefix"], expires_at=one.get("expiresAt"), replaced_by=status.get("currentPrefix")
        )
