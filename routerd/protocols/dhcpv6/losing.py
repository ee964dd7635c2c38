"""The ways out of a lease: its end, the operator, somebody else who has the address (RFC 9915 §18.2.7, §18.2.8)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address

import attrs

from routerd.protocols import retransmit
from routerd.protocols.dhcpv6 import exchange as schedules
from routerd.protocols.dhcpv6 import outputs, taking
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import Kind
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.states import (
    Bound,
    Confirming,
    Declining,
    Informing,
    NoLink,
    Rebinding,
    Releasing,
    Renewing,
    Revalidating,
    Stopped,
)
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.machine import earliest

SETTLED = 60.0
"""What was held for so long was no passing success (V4-11)."""
CONFLICT_WAIT = 10.0  # V6-26


def next_end(station: Station) -> float | None:
    """When something that is held ends next, or is deprecated."""
    leases = [lease for binding in station.bindings.values() for lease in binding.leases]
    ends = (
        lease.valid_until if lease.deprecated else earliest(lease.preferred_until, lease.valid_until)
        for lease in leases
    )
    return earliest(*ends, *(former.lease.valid_until for former in station.former))


def end_what_is_over(station: Station, now: float) -> None:
    """Leases whose valid or preferred lifetime has ended: before anything else, however late it is (C3)."""
    for binding in tuple(station.bindings.values()):
        over = [lease for lease in binding.leases if _is_past(lease.valid_until, now)]
        drop_leases(station, binding, over, "expired", now)
    for binding in tuple(station.bindings.values()):
        _deprecate(station, binding, now)
    for former in station.former:
        if _is_past(former.lease.valid_until, now) and former.in_use:
            station.say(outputs.Lost(former.association, former.lease, "expired"))
    station.former = tuple(former for former in station.former if not _is_past(former.lease.valid_until, now))


def end_what_was_over(station: Station, now: float) -> None:
    """What ended while nobody was here: as ever, but hosts may believe in it still (V6-41)."""
    for binding in tuple(station.bindings.values()):
        over = [lease for lease in binding.leases if _is_past(lease.valid_until, now)]
        for lease in over:
            taking.lose(station, binding.association, (lease,), "expired", now)
        _keep(station, binding, over)
    end_what_is_over(station, now)


def drop_leases(
    station: Station, binding: Binding, leases: Iterable[Lease], reason: outputs.LossReason, now: float
) -> None:
    """Take leases out of a binding, and say so; the last one takes the binding along."""
    gone = tuple(leases)
    if not gone:
        return
    for lease in gone:
        if reason == "expired":  # hosts cannot have it for longer than we had (V6-23)
            station.say(outputs.Lost(binding.association, lease, reason))
        else:
            taking.lose(station, binding.association, (lease,), reason, now)
    _keep(station, binding, gone)


def _keep(station: Station, binding: Binding, gone: Iterable[Lease]) -> None:
    """The binding without what is gone of it."""
    left = tuple(lease for lease in binding.leases if lease not in tuple(gone))
    if left:
        station.bindings[binding.association] = attrs.evolve(binding, leases=left)
    else:
        station.bindings.pop(binding.association, None)


def _deprecate(station: Station, binding: Binding, now: float) -> None:
    leases = tuple(
        attrs.evolve(lease, deprecated=lease.deprecated or _is_past(lease.preferred_until, now))
        for lease in binding.leases
    )
    station.bindings[binding.association] = attrs.evolve(binding, leases=leases)
    for before, after in zip(binding.leases, leases, strict=True):
        if after != before:
            station.say(outputs.Deprecated(binding.association, after))


def _is_past(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now


def after_the_end(station: Station, now: float) -> None:
    """All that was held is over: begin anew, with what it was as a wish (§18.2.5, V6-17)."""
    if station.bindings:
        return
    match station.state:
        case Bound() | Renewing() | Rebinding() | Confirming() | Revalidating(unconfirmed=()) | Informing():
            if station.settings.wanted:
                fail(station, "expired", "nothing is held any more", now)
        case _:  # others were not about what is held, and NoLink can do nothing
            pass


def lose_all(station: Station, reason: outputs.LossReason, now: float) -> None:
    """Nothing is held from here on. What comes next is the caller's."""
    for binding in tuple(station.bindings.values()):
        drop_leases(station, binding, binding.leases, reason, now)
    for former in station.former:
        if former.in_use:
            station.say(outputs.Lost(former.association, former.lease, reason))
    station.former = tuple(attrs.evolve(former, in_use=False) for former in station.former)
    station.finish(False, f"the leases were lost: {reason}")
    _close_the_account(station, now)


def refused(station: Station, answer: Answer, now: float) -> None:
    """NotOnLink: what we have or want is not of this link. Begin again, without addresses (§18.2.10.1)."""
    if answer.server_id is not None:
        station.say(outputs.Refusal(answer.server_id, None, answer.status))
    lose_all(station, "not-on-link", now)
    station.last = {which: assets for which, assets in station.last.items() if which.kind is Kind.PD}
    fail(station, "not-on-link", "the server says that we are on another link", now)


def fail(station: Station, reason: outputs.FailReason, detail: str, now: float) -> None:
    """An exchange came to nothing. With something held we are silent again; else everybody is asked, ever more slowly
    as long as nothing lasts."""
    during = station.name
    station.finish(False, detail)
    if station.bindings:
        station.rest()
        wake_at = station.wake_at()
        station.say(outputs.Failed(during, reason, detail, 0.0 if wake_at is None else max(wake_at - now, 0.0)))
        return
    _close_the_account(station, now)
    wait = _setback(station)
    station.not_before = max(station.not_before, now + wait)
    if station.carrier:
        station.solicit(now)
    else:
        station.enter(NoLink())
    station.say(outputs.Failed(during, reason, detail, station.not_before - now))


def _close_the_account(station: Station, now: float) -> None:
    """What was held long enough makes good for the failures before it."""
    if station.bound_at is not None and now - station.bound_at >= SETTLED:
        station.setbacks = 0
    station.bound_at = None


def _setback(station: Station) -> float:
    """One more; how long to wait after it."""
    station.setbacks += 1
    jitter = station.rng.uniform(-retransmit.NAK_JITTER, retransmit.NAK_JITTER)
    return retransmit.after_nak(station.setbacks, jitter)


def contested(station: Station, address: IPv6Address, now: float) -> None:
    """Another host has an address of ours: it goes at once, and its server is told (§18.2.8)."""
    for binding in station.bindings.values():
        lease = next((lease for lease in binding.leases if lease.asset == address), None)
        if lease is not None:
            break
    else:
        return  # it is ours no more
    drop_leases(station, binding, (lease,), "conflict", now)
    known = station.last.get(binding.association, ())
    station.last[binding.association] = tuple(asset for asset in known if asset != address)
    station.not_before = station.ask_at = now + CONFLICT_WAIT
    if station.carrier:
        station.finish(False, f"{address} is in use by somebody else")
        station.enter(Declining(station.exchange(schedules.GOODBYE, now, send_at=now), binding, lease))
    elif not station.bindings and not isinstance(station.state, NoLink):
        fail(station, "conflict", f"{address} is in use by somebody else", now)


def declined(station: Station, state: Declining, now: float) -> None:
    """The server knows, or will not listen: go on without the address."""
    fail(station, "conflict", f"{state.lease.asset} is in use by somebody else", now)


def give_back(station: Station, reason: outputs.LossReason, now: float) -> bool:
    """Stop using everything, and then tell the servers (§18.2.7). False: there is nobody to tell; we are stopped."""
    bindings = tuple(station.bindings.values())
    lose_all(station, reason, now)
    station.last.clear()
    station.key = None
    station.say(outputs.Forget())
    if not bindings or not station.carrier:
        station.enter(Stopped())
        return False
    tell_servers(station, bindings, now)
    return True


def tell_servers(station: Station, bindings: tuple[Binding, ...], now: float, told: int = 0) -> None:
    """Release what is in use no more, one server after the other; `told`: how many have heard it."""
    exchange = station.exchange(schedules.GOODBYE, now, send_at=now)
    station.enter(Releasing(exchange, bindings, told))


def cut_short(station: Station) -> None:
    """The servers will not be told any more."""
    station.enter(Stopped())
    station.finish(True, "the leases were dropped; no server has confirmed it")


def released(station: Station, state: Releasing, now: float, *, heard: bool) -> None:
    """One server has answered, or will not: on to the next, or to rest."""
    first = state.bindings[0].server_id
    others = tuple(binding for binding in state.bindings if binding.server_id != first)
    told = state.told + heard
    if others:
        tell_servers(station, others, now, told)
        return
    station.enter(Stopped())
    detail = "the leases were given back" if told else "the leases were dropped; no server has confirmed it"
    station.finish(True, detail)
