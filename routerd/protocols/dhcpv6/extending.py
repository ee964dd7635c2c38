"""What is held and shall stay: Renew, Rebind, Confirm, and Rebind in the manner of Confirm (RFC 9915 §18.2.3 to
§18.2.5, §18.2.12)."""

from __future__ import annotations

from routerd.protocols.dhcpv6 import exchange as schedules
from routerd.protocols.dhcpv6 import losing, outputs, soliciting, taking
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import Association, IdentityAssociation, Kind
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import StatusCode
from routerd.protocols.dhcpv6.requests import wish
from routerd.protocols.dhcpv6.states import Advertise, Bound, Confirming, Informed, Rebinding, Renewing, Revalidating
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.dhcpv6.taking import Taken

REVALIDATION_GAP = 10.0  # V6-42

Keeping = Renewing | Rebinding | Revalidating


def wake(station: Station, now: float) -> None:
    """T1 or T2 has come, or something that is missing shall be asked for again."""
    if (t2 := station.t2) is not None and t2 <= now:
        rebind(station, now)
    else:
        renew(station, now)


def renew(station: Station, now: float) -> None:
    """Renew, at the server whose leases are the first to want it."""
    first = min(station.bindings.values(), key=lambda b: (b.t1 is None, b.t1 or 0.0))
    station.renewed_at = now
    exchange = station.exchange(schedules.EXTEND, now, send_at=now)
    station.enter(Renewing(exchange, first.server_id, station.t2))


def rebind(station: Station, now: float) -> None:
    """Rebind, at any server."""
    station.renewed_at = now
    station.enter(Rebinding(station.exchange(schedules.EXTEND, now, send_at=now)))


def revalidate(station: Station, now: float, unconfirmed: tuple[Binding, ...] = ()) -> None:
    """The link is back, or we are: with a prefix, Rebind; with addresses alone, Confirm (V6-40). A Rebind can also ask
    for what is missing, such as what was configured since."""
    station.revalidated_at, station.revalidate_at = now, None
    exchange = station.exchange(schedules.CONFIRM, now)
    if unconfirmed or station.missing or any(held.kind is Kind.PD for held in station.bindings):
        station.enter(Revalidating(exchange, unconfirmed))
    else:
        station.enter(Confirming(exchange))


def network_changed(station: Station, now: float) -> None:
    """Revalidate, but not more often than every ten seconds (V6-42); who has only information asks for it anew
    (§18.2.12)."""
    if isinstance(station.state, Bound | Informed | Renewing | Rebinding) and station.carrier:
        station.revalidate_at = max(now, station.revalidated_at + REVALIDATION_GAP)


def confirmed(station: Station, message: Message, answer: Answer, now: float) -> None:
    """Reply to a Confirm: it says whether the addresses are of this link, and nothing of their lifetimes."""
    if answer.status.code == StatusCode.NOT_ON_LINK:
        losing.refused(station, answer, now)
    elif answer.status.ok:
        taking.inform(station, answer, message)
        station.rest()
    else:
        station.drop(answer.status.word, message)


def unconfirmed(station: Station, state: Confirming | Revalidating, now: float) -> None:
    """Nobody says anything: what is held is ours until its lifetimes end (§18.2.3); what was not in use never is."""
    if station.bindings:
        station.rest()
    else:
        losing.fail(station, "no-answer", "no server confirms what was held before", now)


def replied(station: Station, state: Keeping, message: Message, answer: Answer, now: float) -> None:
    """Reply to a Renew or a Rebind (§18.2.10.1)."""
    if answer.status.code == StatusCode.NOT_ON_LINK:
        losing.refused(station, answer, now)
        return
    if not _is_about_us(station, answer):
        station.drop("nothing-granted" if answer.status.ok else answer.status.word, message)
        return
    held = dict(station.bindings)
    by: outputs.Way = "renew" if isinstance(state, Renewing) else "rebind"
    taken = taking.take(station, answer, by=by, obtained_at=state.exchange.answered(now), now=now)
    taking.inform(station, answer, message)
    if taken.granted:
        station.last_server = answer.server_id
    _go_on(station, state, answer, taken, held, now)
    if taken.granted:
        station.finish(True, f"a server extended {', '.join(map(str, sorted(taken.granted, key=str)))}")


def _is_about_us(station: Station, answer: Answer) -> bool:
    """Whether it says anything of our associations. One with another failure at its top means to be asked again."""
    if answer.status.code in (StatusCode.UNSPEC_FAIL, StatusCode.USE_MULTICAST):
        return False
    return any(answer.of(association) is not None for association in station.settings.associations)


def _go_on(
    station: Station, state: Keeping, answer: Answer, taken: Taken, held: dict[Association, Binding], now: float
) -> None:
    if taken.unbound and answer.server_id is not None:
        # §18.2.10.1: Request, to that server, for those alone; the others stay.
        wanted = tuple(_as_before(station, association, held, state) for association in taken.unbound)
        soliciting.request(station, Advertise(answer.server_id, 0, (), wanted), (), now)
    elif not station.bindings:
        losing.fail(station, "refused", "the server takes back what was held", now)
    elif taken.lost and isinstance(state, Renewing):
        # Perhaps another server has it: one Rebind, at once (V6-21).
        station.enter(Revalidating(station.exchange(schedules.CONFIRM, now, send_at=now)))
    elif not _is_open(station, state):
        station.rest()


def _as_before(
    station: Station, association: Association, held: dict[Association, Binding], state: Keeping
) -> IdentityAssociation:
    known = held.get(association)
    remembered = state.unconfirmed if isinstance(state, Revalidating) else ()
    leases = next((b.leases for b in (known, *remembered) if b is not None and b.association == association), ())
    return wish(association, (lease.asset for lease in leases))


def _is_open(station: Station, state: Keeping) -> bool:
    """Whether something that was asked for was not extended: it is asked for again by the same timers (§18.2.10.1,
    V6-19)."""
    asked = list(station.bindings.values())
    if isinstance(state, Renewing):
        asked = [binding for binding in asked if binding.server_id == state.server_id]
    began = state.exchange.began
    return any(began is not None and binding.obtained_at < began for binding in asked)
