"""Leases from nothing: Solicit, the choice among Advertises, Request (RFC 9915 §18.2.1, §18.2.2, §18.2.9, §18.2.10)."""

from __future__ import annotations

from ipaddress import IPv6Network

import attrs

from routerd.protocols.dhcpv6 import exchange as schedules
from routerd.protocols.dhcpv6 import losing, outputs, taking
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import IdentityAssociation
from routerd.protocols.dhcpv6.binding import is_usable
from routerd.protocols.dhcpv6.memory import DEFAULT_MAX_RT
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import StatusCode
from routerd.protocols.dhcpv6.states import Advertise, Requesting, Soliciting
from routerd.protocols.dhcpv6.station import Station

MAX_OFFERS = 16  # C17
SURE = 255
"""The preference that says: take me, at once (§18.2.1)."""
_FATAL = frozenset((StatusCode.UNSPEC_FAIL, StatusCode.USE_MULTICAST))


def advertised(station: Station, state: Soliciting, message: Message, answer: Answer, now: float) -> None:
    """Advertise: the first usable one, or one of those that come while the first Solicit is young (V6-8)."""
    state = _paced(station, state, answer)
    if answer.status.code in _FATAL:
        station.drop(answer.status.word, message)
        return
    offered = map(_usable, answer.associations)
    usable = tuple(ia for ia in offered if ia.grants and ia.association in station.missing)
    if answer.server_id is None or not usable:
        station.drop("nothing-offered", message)
        return
    offer = Advertise(answer.server_id, answer.preference, _rank(station, answer, usable), usable)
    _collect(station, state, message, offer, now)


def _paced(station: Station, state: Soliciting, answer: Answer) -> Soliciting:
    """How slowly to ask, also by one that is of no use. Of servers that contradict each other none is heard (§18.2.9):
    a stranger alone does not silence us for a day."""
    said = (answer.sol_max_rt, answer.inf_max_rt)
    known = {**state.paces, answer.server_id or b"": said}
    if said == (None, None) or said == state.paces.get(answer.server_id or b"") or len(known) > MAX_OFFERS:
        return state
    state = attrs.evolve(state, paces=known)
    station.enter(state)
    sol, inf = (_agreed([one[which] for one in known.values()]) for which in (0, 1))
    taking.pace(station, sol, inf, always=True)
    return state


def _agreed(said: list[int | None]) -> int | None:
    values = set(said) - {None}
    return values.pop() if len(values) == 1 else int(DEFAULT_MAX_RT) if values else None


def _collect(station: Station, state: Soliciting, message: Message, offer: Advertise, now: float) -> None:
    """Keep an offer, if it is not one too many; take it, if there is nothing to wait for."""
    offers = list(state.offers)
    worst = min(offers, key=lambda known: known.rank, default=offer)
    if any(known.server_id == offer.server_id for known in offers):
        station.drop("duplicate", message)
        return
    if len(offers) >= MAX_OFFERS:
        if worst.rank >= offer.rank:
            station.drop("too-many-offers", message)
            return
        offers.remove(worst)
    if all(known.rank < offer.rank for known in offers):
        station.say(outputs.Advertised(message, offer.server_id))
    state = attrs.evolve(state, offers=(*offers, offer))
    station.enter(state)
    if offer.preference == SURE or state.exchange.transmissions > 1:
        choose(station, state, now)


def _usable(ia: IdentityAssociation) -> IdentityAssociation:
    """The association without what cannot be used of it; without anything if its times contradict each other."""
    sound = ia.status.ok and not 0 < ia.t2 < ia.t1
    return attrs.evolve(ia, grants=tuple(filter(is_usable, ia.grants)) if sound else ())


def _rank(station: Station, answer: Answer, usable: tuple[IdentityAssociation, ...]) -> tuple[int, ...]:
    """Preference; how much of what is wanted; prefixes of the wanted length; the server of last time (§18.2.9)."""
    fitting = sum(_fits(station, ia) for ia in usable)
    return answer.preference, len(usable), fitting, int(answer.server_id == station.last_server)


def _fits(station: Station, ia: IdentityAssociation) -> bool:
    hint = station.settings.hint(ia.association)
    if not isinstance(hint, IPv6Network):
        return False
    return any(isinstance(g.asset, IPv6Network) and g.asset.prefixlen == hint.prefixlen for g in ia.grants)


def choose(station: Station, state: Soliciting, now: float) -> None:
    """Request what the best one offers; of equals, the first that came."""
    first, *spare = sorted(state.offers, key=lambda offer: offer.rank, reverse=True)
    request(station, first, tuple(spare), now)


def request(station: Station, chosen: Advertise, spare: tuple[Advertise, ...], now: float) -> None:
    """Request, at once."""
    exchange = station.exchange(schedules.REQUEST, now, send_at=now)
    station.enter(Requesting(exchange, chosen, spare))


def replied(station: Station, state: Soliciting | Requesting, message: Message, answer: Answer, now: float) -> None:
    """Reply to a Request, or to a Solicit with rapid commit."""
    if answer.status.code == StatusCode.NOT_ON_LINK:
        losing.refused(station, answer, now)
        return
    if not answer.status.ok and not _says_what_is_left(answer):
        station.drop(answer.status.word, message)  # and ask again, as ever (V6-20)
        return
    sent_at = state.exchange.answered(now)
    by: outputs.Way = "solicit" if isinstance(state, Soliciting) else "request"
    taken = taking.take(station, answer, by=by, obtained_at=sent_at, now=now)
    if taken.granted:
        taking.inform(station, answer, message)
        station.last_server = answer.server_id
        station.rest()
        station.finish(True, "the server granted anew what it had forgotten")
    elif isinstance(state, Requesting) and (taken.refused or not answer.status.ok):
        if not answer.status.ok and answer.server_id is not None:
            station.say(outputs.Refusal(answer.server_id, None, answer.status))
        next_server(station, state, "refused", "the server will not grant what it has offered", now)
    else:
        station.drop("nothing-granted", message)


def _says_what_is_left(answer: Answer) -> bool:
    """Whether the status is one that old servers put at the top although it is about an association (RFC 3315)."""
    return answer.status.code in (StatusCode.NO_ADDRS_AVAIL, StatusCode.NO_PREFIX_AVAIL, StatusCode.NO_BINDING)


def next_server(station: Station, state: Requesting, reason: outputs.FailReason, detail: str, now: float) -> None:
    """The chosen server is silent or unwilling: the next one, else everybody again (§18.2.2, V6-11)."""
    if state.spare:
        first, *spare = state.spare
        request(station, first, tuple(spare), now)
    else:
        losing.fail(station, reason, detail, now)
