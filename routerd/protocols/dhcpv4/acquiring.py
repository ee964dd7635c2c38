"""A lease from nothing: INIT, SELECTING, REQUESTING (RFC 2131 §3.1, §4.4.1), and conflict detection before its use."""

from __future__ import annotations

from typing import Literal

import attrs

from routerd.protocols.arp import conflict
from routerd.protocols.dhcpv4 import auth, losing, outputs, replies
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.states import Bound, Exchange, Init, Offer, Probing, Requesting, Selecting
from routerd.protocols.dhcpv4.station import Station
from routerd.protocols.malformed import Malformed

MAX_OFFERS = 16  # C17


def initialize(station: Station, now: float) -> None:
    """INIT: wait a random moment, or for as long as the last failure demands."""
    station.enter(Init(max(now + station.start_delay(), station.not_before)))


def offered(station: Station, state: Selecting, message: Message, now: float) -> None:
    """DHCPOFFER: the first valid one, or one of those of the window (V4-9)."""
    wished = message.yiaddr == station.hint
    if (message.yiaddr, replies.server_id(message)) in [(known.address, known.server_id) for known in state.offers]:
        station.drop("duplicate", message)
        return
    if len(state.offers) >= MAX_OFFERS and not wished:
        station.drop("too-many-offers", message)
        return
    lease = read(station, message, now, now)
    if isinstance(lease, Malformed):
        station.drop(lease.reason, message)
    elif losing.may_go_without(station, lease):
        losing.go_without(station, lease, state.exchange.xid, now)
    else:
        if not state.offers or wished:
            station.say(outputs.Offered(message, lease.server_id))
        _collect(station, state, Offer(lease.server_id, lease.address.ip), wished, now)


def _collect(station: Station, state: Selecting, offer: Offer, wished: bool, now: float) -> None:
    offers = (offer, *state.offers) if wished else (*state.offers, offer)
    choose_at = now + station.settings.offer_window if state.choose_at is None else state.choose_at
    state = attrs.evolve(state, offers=offers[:MAX_OFFERS], choose_at=choose_at)
    station.enter(state)
    if choose_at <= now:
        choose(station, state, now)


def choose(station: Station, state: Selecting, now: float) -> None:
    """DHCPREQUEST for the best offer: the address we had last, else the first that came."""
    chosen, *spare = state.offers
    exchange = Exchange(state.exchange.xid, state.exchange.began, now)
    station.enter(Requesting(exchange, chosen, tuple(spare), state.broadcast, state.secs))


def withdrawn(station: Station, state: Requesting, message: Message, now: float) -> None:
    """DHCPNAK for the offer we took up: the next one, if the window brought more than one (V4-9)."""
    if not state.spare:
        losing.refused(station, message, now)
        return
    losing.say_nak(station, message)
    chosen, *spare = state.spare
    exchange = Exchange(state.exchange.xid, state.exchange.began, now)
    station.enter(attrs.evolve(state, exchange=exchange, offer=chosen, spare=tuple(spare)))


def unanswered(station: Station, state: Requesting, now: float) -> None:
    """The server that offered is silent: INIT (§3.1(5))."""
    detail = f"{state.offer.server_id} offered {state.offer.address} and does not answer the request for it"
    losing.fail(station, "no-answer", detail, station.start_delay(), now)


def is_rapid(station: Station, message: Message) -> bool:
    """Whether a DHCPACK may answer a DHCPDISCOVER (RFC 4039 §3.2)."""
    return station.settings.rapid_commit and Option.RAPID_COMMIT in message.options


def granted(station: Station, message: Message, exchange: Exchange, now: float) -> None:
    """DHCPACK for an address that is new to us."""
    lease = read(station, message, exchange.answered(now), now)
    if isinstance(lease, Malformed):
        station.drop(lease.reason, message)
    elif losing.may_go_without(station, lease):
        losing.go_without(station, lease, exchange.xid, now)
    else:
        station.nonce = auth.read_nonce(message)
        install(station, lease, now)


def install(station: Station, lease: Lease, now: float) -> None:
    """Use a fresh address when conflict detection allows it (ARP-5). A lease that wants renewal before its address
    is probed for would never be of use: its address is used meanwhile."""
    mode = station.settings.conflict_detection
    in_time = lease.t1 is None or now + conflict.LONGEST_PROBING < lease.t1
    if mode == "probe" and in_time and station.link.arp:
        station.enter(Probing(lease))
    else:
        bind(station, lease, now)
    station.neighbours.watch(station.link, lease, now, probe=mode != "skip")


def bind(station: Station, lease: Lease, now: float) -> None:
    """BOUND to an address that was not held before."""
    station.enter(Bound(lease))
    use(station, lease, "request", now)


def use(station: Station, lease: Lease, confirmed_by: Literal["request", "reboot", "dna"], now: float) -> None:
    """Let the address be used from now on."""
    station.bound_at = now
    station.last_address = lease.address.ip
    station.say(outputs.Bound(lease, confirmed_by))


def read(station: Station, message: Message, sent_at: float, now: float) -> Lease | Malformed:
    """What a message grants, to what was asked at `sent_at`."""
    return replies.lease(
        message, sent_at=sent_at, now=now, settings=station.settings, link=station.link, rng=station.rng
    )
