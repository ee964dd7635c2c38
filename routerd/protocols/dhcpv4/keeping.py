"""A lease that is ours: RENEWING and REBINDING (RFC 2131 §4.4.5), and INIT-REBOOT when the link comes back
(§3.2, §4.4.2), beside which the gateway is asked as well (RFC 4436)."""

from __future__ import annotations

from typing import Literal

import attrs

from routerd.protocols.dhcpv4 import acquiring, auth, losing, outputs, replies
from routerd.protocols.dhcpv4.grant import differences
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.states import Bound, Exchange, Rebinding, Rebooting, Renewing
from routerd.protocols.dhcpv4.station import Station, is_over
from routerd.protocols.malformed import Malformed

REBOOT_PATIENCE = 12.0  # V4-30

Way = Literal["renew", "rebind", "reboot", "dna"]


def renew(station: Station, lease: Lease, now: float) -> None:
    """RENEWING: at T1, or because somebody who may wants it."""
    station.enter(Renewing(lease, station.exchange(now)))


def rebind(station: Station, lease: Lease, now: float, *, began: float | None = None) -> None:
    """REBINDING: at T2, or because the operator wants it. `began`: when RENEWING did."""
    station.enter(Rebinding(lease, station.exchange(now, began=began)))


def extended(station: Station, state: Renewing | Rebinding, message: Message, now: float) -> None:
    """DHCPACK for a lease that is in use."""
    old = state.lease
    if message.yiaddr != old.address.ip and replies.server_id(message) != old.server_id:
        station.drop("wrong-server", message)  # V4-10
        return
    lease = _renewed(station, state.exchange, old, message, now)
    if lease is not None:
        station.enter(Bound(lease))
        _say_extended(station, old, lease, "renew" if isinstance(state, Renewing) else "rebind")
        station.finish(True, f"{lease.server_id} extended {lease.address.ip}")


def forced(station: Station, lease: Lease, message: Message, unicast: bool, now: float) -> None:
    """FORCERENEW: obeyed only from who knows the nonce of the lease (RFC 6704, V4-23)."""
    if not station.settings.forcerenew or not unicast:
        station.drop("forcerenew-refused", message)
        return
    nonce = auth.verify(message, station.nonce)
    if isinstance(nonce, Malformed):
        station.drop(nonce.reason, message)
        return
    station.nonce = nonce
    renew(station, lease, now)


def reboot(station: Station, lease: Lease, now: float, *, in_use: bool) -> None:
    """INIT-REBOOT: ask every server and the gateway at once whether the lease still holds here (V4-30)."""
    exchange = attrs.evolve(station.exchange(now), send_at=now)
    station.enter(Rebooting(lease, in_use, False, exchange, now + REBOOT_PATIENCE))
    station.neighbours.leave()
    if not is_over(lease, now):  # RFC 4436 §2: reachability proves nothing about a lease that has ended
        station.neighbours.test(station.link, lease, now)


def confirmed(station: Station, state: Rebooting, message: Message, now: float) -> None:
    """DHCPACK in REBOOTING."""
    old = state.lease
    if message.yiaddr != old.address.ip and replies.server_id(message) != old.server_id:
        station.drop("wrong-address", message)
        return
    lease = _renewed(station, state.exchange, old, message, now)
    if lease is not None:
        station.enter(Bound(lease))
        _confirm(station, state, lease, "reboot", now)
        station.finish(True, f"{lease.server_id} confirmed {lease.address.ip}")


def reached(station: Station, now: float) -> None:
    """The gateway is here: the address may be used at once, whatever the server says later (V4-30)."""
    match station.state:
        case Rebooting(lease, reachable=False) as state if not is_over(lease, now):
            station.enter(attrs.evolve(state, in_use=True, reachable=True))
            _confirm(station, state, lease, "dna", now)


def unconfirmed(station: Station, state: Rebooting, now: float) -> None:
    """No server answers. The gateway's word is enough to go on with the lease; without it, we begin anew."""
    if state.reachable:
        station.enter(Bound(state.lease))
        return
    losing.lose(station, "unconfirmed", now)
    detail = f"neither a server nor the gateway confirms {state.lease.address}"
    losing.fail(station, "no-answer", detail, station.start_delay(), now)


def _confirm(station: Station, state: Rebooting, lease: Lease, by: Literal["reboot", "dna"], now: float) -> None:
    if state.in_use:
        _say_extended(station, state.lease, lease, by)
    else:
        acquiring.use(station, lease, by, now)
    if not state.reachable:  # else it is watched already
        station.neighbours.watch(station.link, lease, now, probe=station.settings.conflict_detection != "skip")


def _renewed(station: Station, exchange: Exchange, old: Lease, message: Message, now: float) -> Lease | None:
    """What a DHCPACK makes of a lease; None if that is no longer the same address, and all is said."""
    lease = acquiring.read(station, message, exchange.answered(now), now)
    if isinstance(lease, Malformed):
        station.drop(lease.reason, message)
    elif losing.may_go_without(station, lease):
        losing.go_without(station, lease, exchange.xid, now)
    elif lease.address.ip != old.address.ip:  # MUST stop using the old one (§4.4.5, V4-13)
        losing.lose(station, "moved", now)
        acquiring.install(station, lease, now)
    else:
        station.nonce = auth.read_nonce(message) or station.nonce
        station.neighbours.follow(lease)
        return lease
    return None


def _say_extended(station: Station, old: Lease, new: Lease, by: Way) -> None:
    fields = differences(old, new)
    station.say(outputs.Changed(new, old, by, fields) if fields else outputs.Extended(new, by))
