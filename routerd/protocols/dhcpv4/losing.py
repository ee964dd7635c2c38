"""The ways out of a lease: expiry, DHCPNAK, a conflict, RFC 8925, the operator (RFC 2131 §3.1(5), §4.4.5, §4.4.6)."""

from __future__ import annotations

from routerd.protocols import retransmit
from routerd.protocols.arp import conflict
from routerd.protocols.dhcpv4 import outputs, replies, requests
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.states import Init, NoLink, Probing, Requesting, V6Only
from routerd.protocols.dhcpv4.station import Station

DECLINE_WAIT = 10.0  # RFC 2131 §3.1(5): at least
SETTLED = 60.0  # V4-11
V6_ONLY_MIN = 300.0  # RFC 8925 §3.4: MIN_V6ONLY_WAIT


def lose(station: Station, reason: outputs.LossReason, now: float) -> None:
    """Nothing is held from here on. What comes next is the caller's."""
    if (lease := station.lease) is not None:
        station.say(outputs.Lost(lease, reason))
    station.finish(False, f"the lease was lost: {reason}")
    station.neighbours.leave()
    if station.bound_at is not None and now - station.bound_at >= SETTLED:
        station.setbacks = station.conflicts = 0
    station.bound_at = None


def restart(station: Station, delay: float, now: float) -> None:
    """INIT, after `delay` seconds that a link which comes and goes does not shorten."""
    station.not_before = now + delay
    station.enter(Init(station.not_before) if station.carrier else NoLink())


def fail(station: Station, reason: outputs.FailReason, detail: str, retry_in: float, now: float) -> None:
    """An exchange came to nothing: INIT, and say so."""
    during = station.name
    restart(station, retry_in, now)
    station.say(outputs.Failed(during, reason, detail, retry_in))


def expired(station: Station, now: float) -> None:
    """The end of the lease: stop using the address at once, then begin anew (§4.4.5). A lease that did not even last
    a minute is a setback: a server that grants seconds must not make the address come and go all day."""
    settled = station.bound_at is None or now - station.bound_at >= SETTLED
    lose(station, "expired", now)
    restart(station, station.start_delay() if settled else _setback(station), now)


def refused(station: Station, message: Message, now: float) -> None:
    """DHCPNAK: remove the address and begin again, ever more slowly (§4.4.5, V4-11)."""
    was_ours = not isinstance(station.state, Requesting | V6Only)
    say_nak(station, message)
    lose(station, "nak", now)
    if was_ours:
        station.say(outputs.Forget())
    station.last_address = None
    fail(station, "nak", "the server refused the address", _setback(station), now)


def _setback(station: Station) -> float:
    """One more; how long to wait after it (V4-11)."""
    station.setbacks += 1
    jitter = station.rng.uniform(-retransmit.NAK_JITTER, retransmit.NAK_JITTER)
    return retransmit.after_nak(station.setbacks, jitter)


def say_nak(station: Station, message: Message) -> None:
    server_id = replies.server_id(message)
    if server_id is not None:
        station.say(outputs.Nak(server_id, replies.nak_text(message)))


def contested(station: Station, mac: bytes, now: float) -> None:
    """Another host has the address: DHCPDECLINE, and a pause before anything else (§3.1(5), ARP-3)."""
    lease = station.state.lease if isinstance(station.state, Probing) else station.lease
    if lease is None:
        return
    address = lease.address.ip
    station.say(outputs.Conflict(address, mac, defended=False))
    lose(station, "conflict", now)
    station.send(outputs.Send(requests.decline(station.settings, station.link, station.xid(), lease)), now)
    station.say(outputs.Forget())
    station.last_address = None
    station.conflicts += 1
    wait = conflict.RATE_LIMIT_INTERVAL if station.conflicts >= conflict.MAX_CONFLICTS else DECLINE_WAIT
    fail(station, "conflict", f"{address} is in use by {mac.hex(':')}", wait + station.start_delay(), now)


def may_go_without(station: Station, lease: Lease) -> bool:
    """Whether the network would rather have us without IPv4, and we had asked (V4-24)."""
    return station.settings.v6_only_preferred and lease.v6_only_wait is not None


def go_without(station: Station, lease: Lease, xid: int, now: float) -> None:
    """No IPv4 for as long as the network asks (RFC 8925 §3.2)."""
    lose(station, "v6-only", now)
    station.enter(V6Only(now + max(lease.v6_only_wait or 0, V6_ONLY_MIN), xid))


def give_back(station: Station, reason: outputs.LossReason, now: float) -> bool:
    """DHCPRELEASE (§4.4.6), and nothing kept. False: the server was not told, for want of a carrier or an address."""
    lease = station.lease
    told = lease is not None and station.carrier
    if lease is not None and station.carrier:
        message = requests.release(station.settings, station.link, station.xid(), lease)
        station.send(outputs.Send(message, lease.server_id, lease.address.ip), now)
    lose(station, reason, now)
    station.say(outputs.Forget())
    return told
