"""What is held: leases and the bindings they belong to, on the machine's clock; and what a server's answer makes of a
binding (RFC 9915 §14.2, §18.2.10.1, §21.4, §21.21)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.dhcpv6.association import INFINITE, Asset, Association, Grant, IdentityAssociation, Kind
from routerd.protocols.dhcpv6.options import StatusCode
from routerd.protocols.malformed import Malformed

DEPRECATION = 7200.0
"""Seconds for which a prefix that was replaced without notice is kept at most (RFC 9096 §3.5, V6-22)."""

_NONE_LEFT = {Kind.NA: StatusCode.NO_ADDRS_AVAIL, Kind.PD: StatusCode.NO_PREFIX_AVAIL}


LEAST_LENGTH = 20
"""Of a prefix that a server delegates. A shorter one is more than most providers themselves have: the route that keeps
the whole of it unreachable (RFC 7084 WPD-5) would cut us off from much of the internet."""


@attrs.frozen
class Lease:
    """One address or prefix. Until when it is preferred and valid, absolute; None: without end. `deprecated`: its
    preferred lifetime is over, nothing new should use it."""

    asset: Asset
    preferred_until: float | None
    valid_until: float | None
    excluded: IPv6Network | None = None
    deprecated: bool = False

    @property
    def content(self) -> tuple[object, ...]:
        """All but the times (C15)."""
        return self.asset, self.excluded, self.deprecated


@attrs.frozen
class Binding:
    """An association with what a server granted in it: at least one lease. `t1`, `t2` absolute; None: never."""

    association: Association
    server_id: bytes
    obtained_at: float
    t1: float | None
    t2: float | None
    leases: tuple[Lease, ...]

    @property
    def content(self) -> tuple[object, ...]:
        """All but the times and whom it is from (C15)."""
        return tuple(lease.content for lease in self.leases)


@attrs.frozen
class Settlement:
    """What an answer makes of an association. `binding` None: nothing is held in it from now on.

    `lost` must not be used any more; `superseded` are prefixes for which others came, without notice: they are out
    of the binding and end as `Lease`s of their own, deprecated (V6-22). `granted`: the answer gave or extended a lease.
    """

    binding: Binding | None
    granted: bool
    lost: tuple[Lease, ...] = ()
    superseded: tuple[Lease, ...] = ()


def settle(
    held: Binding | None, ia: IdentityAssociation, server_id: bytes, *, obtained_at: float, now: float
) -> Settlement | Malformed:
    """What the association of a Reply makes of what was held in it before.

    A lease that is not mentioned stays as it is (§18.2.10.1, V6-19), unless nothing is left to give, or a new prefix
    came in the place of an old one. `Malformed`: the whole association is to be ignored (V6-14).
    """
    if 0 < ia.t2 < ia.t1:
        return Malformed("t1-after-t2")
    before = {lease.asset: lease for lease in held.leases} if held else {}
    granted = {
        lease.asset: lease
        for lease in (_lease(grant, obtained_at, now) for grant in ia.grants if is_usable(grant))
        if lease
    }
    gone = {grant.asset for grant in ia.grants if _is_withdrawn(grant)} - granted.keys()
    kept = {asset: lease for asset, lease in before.items() if asset not in gone and asset not in granted}
    if ia.status.code in (_NONE_LEFT[ia.association.kind], StatusCode.NOT_ON_LINK):
        gone, kept = gone | kept.keys(), {}
    lost = tuple(lease for asset, lease in before.items() if asset in gone)
    superseded: tuple[Lease, ...] = ()
    if ia.association.kind is Kind.PD and granted.keys() - before.keys():
        superseded, kept = tuple(_superseded(lease, now) for lease in kept.values()), {}
    leases = (*kept.values(), *granted.values())
    if not leases:
        return Settlement(None, False, lost, superseded)
    if not granted and held:
        return Settlement(attrs.evolve(held, leases=leases), False, lost, superseded)
    t1, t2 = times(ia.t1, ia.t2, [grant for grant in ia.grants if grant.asset in granted])
    binding = Binding(
        ia.association, server_id, obtained_at, _moment(obtained_at, t1), _moment(obtained_at, t2), leases
    )
    return Settlement(binding, True, lost, superseded)


def is_usable(grant: Grant) -> bool:
    """Whether it can be used at all: granted, alive, of coherent lifetimes (V6-15), and what a host or a router can
    have."""
    if not grant.status.ok or not grant.valid or grant.preferred > grant.valid:
        return False
    if isinstance(grant.asset, IPv6Network) and grant.asset.prefixlen < LEAST_LENGTH:
        return False
    first = grant.asset if isinstance(grant.asset, IPv6Address) else grant.asset.network_address
    return not (first.is_multicast or first.is_link_local or first.is_unspecified or first.is_loopback)


def times(t1: int, t2: int, grants: Iterable[Grant]) -> tuple[float, float]:
    """T1 and T2 in seconds from the grant; inf: never. 0 leaves the choice to us: 0.5 and 0.8 of the shortest
    preferred lifetime (§21.4); what lies beyond the end of a lease is as good as 0 (V6-14, V6-16). What is given up,
    preferred for 0, counts only if there is nothing else."""
    granted = list(grants)
    wanted = [grant for grant in granted if grant.preferred] or granted
    valid = min(_seconds(grant.valid) for grant in wanted)
    basis = min(_seconds(grant.preferred) for grant in wanted) or valid
    first = _seconds(t1) if t1 else 0.5 * basis
    second = _seconds(t2) if t2 else 0.8 * basis
    if valid < first < math.inf:
        first = 0.5 * valid
    if valid < second < math.inf:
        second = 0.8 * valid
    if not t1:
        first = min(first, second)
    return first, second if t2 and t1 else max(first, second)


def seconds_left(until: float | None, now: float) -> float:
    """inf: without end."""
    return math.inf if until is None else max(until - now, 0.0)


def _lease(grant: Grant, obtained_at: float, now: float) -> Lease | None:
    """None: it was under way for longer than it lasts."""
    preferred, valid = (_moment(obtained_at, _seconds(n)) for n in (grant.preferred, grant.valid))
    if valid is not None and valid <= now:
        return None
    return Lease(grant.asset, preferred, valid, grant.excluded, preferred is not None and preferred <= now)


def _is_withdrawn(grant: Grant) -> bool:
    return grant.valid == 0 or not grant.status.ok


def _superseded(lease: Lease, now: float) -> Lease:
    until = now + min(seconds_left(lease.valid_until, now), DEPRECATION)
    return attrs.evolve(lease, preferred_until=now, valid_until=until, deprecated=True)


def _seconds(number: int) -> float:
    return math.inf if number == INFINITE else float(number)


def _moment(since: float, seconds: float) -> float | None:
    return None if seconds == math.inf else since + seconds
