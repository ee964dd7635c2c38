"""What each state that waits for an answer says (again), and when next: RFC 2131 §4.1, §4.4 and §4.4.5."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import attrs

from routerd.protocols import retransmit
from routerd.protocols.dhcpv4 import requests
from routerd.protocols.dhcpv4.inputs import LinkUp
from routerd.protocols.dhcpv4.outputs import Send
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import Exchange, Rebinding, Rebooting, Renewing, Requesting, Selecting

Asking = Selecting | Requesting | Rebooting | Renewing | Rebinding


def transmit(
    state: Asking, settings: Settings, link: LinkUp, hint: IPv4Address | None, rng: random.Random, now: float
) -> tuple[Asking, Send]:
    """One transmission: the state after it, and what to send."""
    exchange = state.exchange
    xid, secs = exchange.xid, exchange.secs(now)
    match state:
        case Selecting():
            broadcast = wants_broadcast(settings, exchange.transmissions)
            message = requests.discover(settings, link, xid, secs=secs, broadcast=broadcast, hint=hint)
            state = attrs.evolve(state, exchange=_doubling(exchange, rng, now), secs=secs, broadcast=broadcast)
            return state, Send(message)
        case Requesting(_, offer, _, broadcast, secs):
            message = requests.request_offer(settings, link, xid, offer, secs=secs, broadcast=broadcast)
            return attrs.evolve(state, exchange=_doubling(exchange, rng, now)), Send(message)
        case Rebooting(lease):
            message = requests.request_reboot(settings, link, xid, lease, secs=secs)
            return attrs.evolve(state, exchange=_doubling(exchange, rng, now)), Send(message)
        case Renewing(lease):
            message = requests.request_extension(settings, link, xid, lease, secs=secs)
            wait = retransmit.half_of_remaining(now, lease.t2)
            # By UDP, as and from the leased address, whatever the routing table thinks (V4-32).
            send = Send(message, lease.server_id, lease.address.ip)
            return Renewing(lease, exchange.sent(now, wait)), send
        case Rebinding(lease):
            message = requests.request_extension(settings, link, xid, lease, secs=secs)
            wait = retransmit.half_of_remaining(now, lease.expires_at)
            return Rebinding(lease, exchange.sent(now, wait)), Send(message)  # raw: it needs no route (V4-31)


def wants_broadcast(settings: Settings, unanswered: int) -> bool:
    """The flag of a DHCPDISCOVER after so many. Some servers and relays answer in one way only: try both (V4-8)."""
    if settings.broadcast == "auto":
        return unanswered >= 2 and unanswered % 2 == 0
    return settings.broadcast == "always"


def _doubling(exchange: Exchange, rng: random.Random, now: float) -> Exchange:
    jitter = rng.uniform(-retransmit.JITTER, retransmit.JITTER)
    return exchange.sent(now, retransmit.doubling(exchange.transmissions + 1, jitter))
