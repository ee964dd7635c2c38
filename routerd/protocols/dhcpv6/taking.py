"""What a Reply does to what is held (RFC 9915 §18.2.10.1): leases that come, stay, are deprecated or go.

What happens next, because of it, is the exchange's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Network

import attrs

from routerd.protocols.dhcpv6 import auth, information, outputs
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import Association, IdentityAssociation, Kind
from routerd.protocols.dhcpv6.binding import DEPRECATION, Binding, Lease, Settlement, seconds_left, settle
from routerd.protocols.dhcpv6.memory import Former
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import StatusCode
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.malformed import Malformed


@attrs.frozen
class Taken:
    """What came of the associations of one Reply. `unbound`: the server knows nothing of them; `refused`: it will not
    or cannot give them; `lost`: something that was held is not any more."""

    granted: frozenset[Association]
    unbound: tuple[Association, ...]
    refused: frozenset[Association]
    lost: bool


def take(station: Station, answer: Answer, *, by: outputs.Way, obtained_at: float, now: float) -> Taken:
    """Take in the associations of a Reply, each by itself: the failure of one is no other's (V6-13)."""
    granted, refused, unbound = set[Association](), set[Association](), list[Association]()
    before = {lease.asset for binding in station.bindings.values() for lease in binding.leases}
    for wanted in station.settings.associations:  # an IAID that is not ours is nobody's (V6-31)
        ia = answer.of(wanted)
        if ia is None or answer.server_id is None:
            continue
        if not ia.status.ok:
            station.say(outputs.Refusal(answer.server_id, wanted, ia.status))
            refused.add(wanted)
        if ia.status.code == StatusCode.NO_BINDING:
            unbound.append(wanted)
        elif _take_one(station, ia, answer.server_id, by, obtained_at, now):
            granted.add(wanted)
    after = {lease.asset for binding in station.bindings.values() for lease in binding.leases}
    superseded = {former.lease.asset for former in station.former if former.in_use}
    return Taken(frozenset(granted), tuple(unbound), frozenset(refused), bool(before - after - superseded))


def _take_one(
    station: Station, ia: IdentityAssociation, server_id: bytes, by: outputs.Way, obtained_at: float, now: float
) -> bool:
    """Whether it granted something."""
    held = station.bindings.get(ia.association)
    ours = {lease.asset for b in station.bindings.values() if b != held for lease in b.leases}
    ia = attrs.evolve(ia, grants=tuple(grant for grant in ia.grants if grant.asset not in ours))  # it can be one's only
    settlement = settle(held, ia, server_id, obtained_at=obtained_at, now=now)
    if isinstance(settlement, Malformed):
        return False
    off_link = ia.status.code == StatusCode.NOT_ON_LINK
    if off_link:
        station.last.pop(ia.association, None)
    lose(station, ia.association, settlement.lost, "not-on-link" if off_link else "withdrawn", now)
    for lease in settlement.superseded:
        station.say(outputs.Deprecated(ia.association, lease))
        station.part_with(Former(ia.association, lease, in_use=True))
    _hold(station, ia.association, held, settlement, by, now)
    return settlement.granted


def _hold(
    station: Station,
    association: Association,
    held: Binding | None,
    settlement: Settlement,
    by: outputs.Way,
    now: float,
) -> None:
    binding = settlement.binding
    if binding is None:
        station.bindings.pop(association, None)
        return
    station.bindings[association] = binding
    station.last[association] = tuple(lease.asset for lease in binding.leases)
    station.former = tuple(former for former in station.former if former.lease.asset not in station.last[association])
    fresh = _newly_deprecated(held, binding)
    if held is None:
        station.say(outputs.Bound(binding, by))
    elif held.content != binding.content:
        station.say(outputs.Changed(binding, held, by))
    elif settlement.granted:
        station.say(outputs.Extended(binding, by))
    for lease in fresh:
        station.say(outputs.Deprecated(association, lease))
    _compare_with_wish(station, association, held, binding)
    if held is None and station.bound_at is None:
        station.bound_at = now


def _newly_deprecated(held: Binding | None, binding: Binding) -> list[Lease]:
    known = {lease.asset for lease in held.leases if lease.deprecated} if held else set()
    return [lease for lease in binding.leases if lease.deprecated and lease.asset not in known]


def _compare_with_wish(station: Station, association: Association, held: Binding | None, binding: Binding) -> None:
    """Say so when a prefix is smaller than the operator wants it (V6-24)."""
    hint, known = station.settings.hint(association), {lease.asset for lease in held.leases} if held else set()
    for lease in binding.leases:
        match hint, lease.asset:
            case IPv6Network() as wish, IPv6Network() as came if came not in known and came.prefixlen > wish.prefixlen:
                station.say(outputs.Smaller(association, came, wish.prefixlen))


def lose(
    station: Station, association: Association, leases: Iterable[Lease], reason: outputs.LossReason, now: float
) -> None:
    """These leases must not be used any more. A prefix is remembered as long as hosts may have addresses of it."""
    for lease in leases:
        station.say(outputs.Lost(association, lease, reason))
        if association.kind is Kind.PD:
            until = now + min(seconds_left(lease.valid_until, now) or DEPRECATION, DEPRECATION)
            gone = attrs.evolve(lease, preferred_until=now, valid_until=until, deprecated=True)
            station.part_with(Former(association, gone, in_use=False))


def inform(station: Station, answer: Answer, message: Message, *, always: bool = False) -> None:
    """Take in what a Reply tells beside leases: other configuration, and a key (§20.4).

    A Reply that tells nothing takes nothing away: some servers leave it out of renewals. `always`: say so although
    nothing is new.
    """
    if station.settings.reconfigure and (found := auth.read_key(message)):
        key, replay = found
        known = station.key is None or station.key.server_id == key.server_id
        station.key, station.replay = key, max(replay, station.replay) if known else replay
    old, new = station.information or information.NOTHING, answer.information
    changed = information.differences(old, new) if new != information.NOTHING else ()
    if changed:
        station.information = new
    if (changed or always) and answer.server_id is not None:
        station.information = station.information or new
        station.say(outputs.Informed(station.information, answer.server_id, changed))


def pace(station: Station, sol_max_rt: int | None, inf_max_rt: int | None, *, always: bool = False) -> None:
    """SOL_MAX_RT and INF_MAX_RT: kept until another message says otherwise (V6-28). `always`: say so although nothing
    is new."""
    sol = station.sol_max_rt if sol_max_rt is None else float(sol_max_rt)
    inf = station.inf_max_rt if inf_max_rt is None else float(inf_max_rt)
    if always or (sol, inf) != (station.sol_max_rt, station.inf_max_rt):
        station.sol_max_rt, station.inf_max_rt = sol, inf
        station.say(outputs.Paced(sol, inf))
