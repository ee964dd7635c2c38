"""The DHCPv4 client: RFC 2131 figure 5 as a machine, with RFC 5227 and RFC 4436 composed into it.

Here is what happens when; what then happens is in `acquiring`, `keeping` and `losing`, what it can be in in `states`,
what it is told in `inputs`, and what it answers in `outputs`.
"""

from __future__ import annotations

import random

from routerd.protocols.arp import conflict
from routerd.protocols.arp.reachability import Reachable
from routerd.protocols.dhcpv4 import acquiring, auth, commands, keeping, losing, outputs, replies
from routerd.protocols.dhcpv4.inputs import (
    Input,
    LinkDown,
    LinkGone,
    LinkUp,
    Rebind,
    Received,
    ReceivedArp,
    Release,
    Renew,
    SendFailed,
)
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import Message, MessageType
from routerd.protocols.dhcpv4.neighbours import Heard, Neighbours
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import (
    Bound,
    Detached,
    Init,
    NoLink,
    Probing,
    Rebinding,
    Rebooting,
    Renewing,
    Requesting,
    Selecting,
    State,
    Stopped,
    V6Only,
)
from routerd.protocols.dhcpv4.station import NOWHERE, Station, is_over
from routerd.protocols.machine import FLAP, Dropped, Start, Stop, Tick, earliest


class Client:
    """One client on one link; `routerd.protocols.machine` has the contract.

    `rng` is its only randomness. `remembered` is a lease from an earlier life of the router.
    """

    def __init__(self, settings: Settings, rng: random.Random, remembered: Remembered | None = None) -> None:
        self._station = Station(settings, rng, Neighbours(settings, rng), remembered)
        if remembered is not None:
            self._recall(remembered)

    def _recall(self, remembered: Remembered) -> None:
        lease, station = remembered.lease, self._station
        station.last_address = lease.address.ip
        if lease.reply is not None:
            station.nonce = auth.read_nonce(lease.reply)
        if lease.gateway is not None and remembered.gateway_mac is not None:
            station.neighbours.gateway = outputs.GatewayKnown(lease.gateway, remembered.gateway_mac)

    @property
    def state(self) -> State:
        """The present state; its class has the RFC's name."""
        return self._station.state

    @property
    def lease(self) -> Lease | None:
        """The lease whose address may be in use now."""
        return self._station.lease

    @property
    def listens(self) -> frozenset[str]:
        """The raw taps that the present state needs; to be opened before the outputs are carried out (V4-38).

        `dhcpv4` wherever an answer may come to an address that is not ours (yet): also in REBINDING, whose servers
        may broadcast. In BOUND and RENEWING the UDP socket hears all there is. `arp` as long as an address is
        probed or held, for its defence (ARP-4).
        """
        waiting = isinstance(self.state, Selecting | Requesting | Rebooting | Rebinding | V6Only)
        return frozenset((["dhcpv4"] if waiting else []) + (["arp"] if self._station.neighbours.listening else []))

    @property
    def deadline(self) -> float | None:
        """When a Tick is due. None: stopped, without a link, or bound without end; nothing to wait for then."""
        station = self._station
        return earliest(
            station.state.deadline,
            station.paced(station.state.send_at),
            station.paced(station.neighbours.deadline),
            self._flap_ends_at,
            None if station.command is None else station.command.until,
        )

    def handle(self, event: Input | Start | Stop | Tick, now: float) -> list[outputs.Output]:
        """Take one input at time `now`; return everything that follows from it, in order."""
        station = self._station
        said = station.out = list[outputs.Output]()
        if self._has_expired(now):  # before anything else, however late the Tick is (C3)
            losing.expired(station, now)
        match event:
            case Tick():
                pass
            case Received(message, unicast=unicast):
                self._receive(message, unicast, now)
            case ReceivedArp(packet):
                self._hear(station.neighbours.handle(packet, now), now)
            case SendFailed():
                pass  # it was counted as a transmission when it was said; its timer runs on (V4-31, V4-39)
            case LinkUp():
                self._link_up(event, now)
            case LinkDown():
                self._link_down(now)
            case LinkGone():
                self._link_gone(now)
            case Renew() | Rebind():
                commands.extend(station, event, now)
            case Release():
                commands.release(station, now)
            case Start():
                self._start(now)
            case Stop(release):
                self._stop(release, now)
        if not said or not isinstance(said[-1], Dropped):  # what is ignored starts nothing, not even what is due (C8)
            self._tick(now)
        return said

    # What is heard

    def _receive(self, message: Message, unicast: bool, now: float) -> None:
        station, state = self._station, self.state
        reason = replies.mismatch(message, state, station.link, station.settings.client_id)
        if reason is not None:
            station.drop(reason, message)
            return
        sender = replies.server_id(message)
        match state, message.type:
            case Selecting(), MessageType.OFFER:
                acquiring.offered(station, state, message, now)
            case Selecting(exchange), MessageType.ACK if acquiring.is_rapid(station, message):
                acquiring.granted(station, message, exchange, now)
            case Requesting(exchange, offer), MessageType.ACK if sender == offer.server_id:
                acquiring.granted(station, message, exchange, now)
            case Requesting(_, offer), MessageType.NAK if sender == offer.server_id:
                acquiring.withdrawn(station, state, message, now)
            case Rebooting(), MessageType.ACK:
                keeping.confirmed(station, state, message, now)
            case ((Renewing() | Rebinding()), MessageType.ACK):
                keeping.extended(station, state, message, now)
            case Renewing(lease), MessageType.NAK if sender == lease.server_id:
                losing.refused(station, message, now)
            case ((Rebooting() | Rebinding() | V6Only()), MessageType.NAK):
                losing.refused(station, message, now)
            case Bound(lease), MessageType.FORCERENEW:
                keeping.forced(station, lease, message, unicast, now)
            case ((Requesting() | Renewing()), (MessageType.ACK | MessageType.NAK)):
                station.drop("wrong-server", message)
            case _:
                station.drop("unexpected-type", message)

    def _hear(self, heard: list[Heard], now: float) -> None:
        station = self._station
        for what in heard:
            match what, station.state:
                case outputs.SendArp(), _:
                    station.send_arp(what, now)
                case conflict.Clear(), Probing(lease):
                    acquiring.bind(station, lease, now)
                case conflict.Contested(mac), _:
                    losing.contested(station, mac, now)
                case conflict.Defended(address, mac), _:
                    station.say(outputs.Conflict(address, mac, defended=station.can_send(now)))
                case Reachable(), _:
                    keeping.reached(station, now)
                case ((outputs.GatewayKnown() | Dropped()), _):
                    station.say(what)

    # What time does

    def _tick(self, now: float) -> None:
        while (deadline := self.deadline) is not None and deadline <= now:
            self._due(now)

    def _due(self, now: float) -> None:
        """Do the most pressing of what is due: ends first, speaking last."""
        station = self._station
        if _is_due(self._flap_ends_at, now):
            self._detach()
        elif station.command is not None and station.command.until <= now:
            commands.lose_patience(station, now)
        elif _is_due(station.state.deadline, now):
            self._time_out(now)
        elif _is_due(station.paced(station.state.send_at), now):
            station.transmit(now)
        else:
            self._hear(station.neighbours.handle(Tick(), now), now)

    def _time_out(self, now: float) -> None:
        station = self._station
        match station.state:
            case Init() | V6Only():
                station.enter(Selecting(station.exchange(now)))
            case Selecting() as state:
                acquiring.choose(station, state, now)
            case Requesting() as state:
                acquiring.unanswered(station, state, now)
            case Rebooting() as state:
                keeping.unconfirmed(station, state, now)
            case Bound(lease) if _is_due(lease.t2, now):
                keeping.rebind(station, lease, now)
            case Bound(lease):
                keeping.renew(station, lease, now)
            case Renewing(lease, exchange):
                keeping.rebind(station, lease, now, began=exchange.began)
            case _:  # Rebinding, Probing and Detached end with their lease
                losing.expired(station, now)

    def _has_expired(self, now: float) -> bool:
        lease = self.state.lease if isinstance(self.state, Probing) else self.lease
        return lease is not None and is_over(lease, now)

    # What the link does

    def _link_up(self, link: LinkUp, now: float) -> None:
        station = self._station
        before, had_carrier = station.link, station.carrier
        station.link, station.carrier, station.carrier_lost_at = link, True, None
        if isinstance(station.state, Stopped):
            return
        if before is not NOWHERE and (before.ifindex, before.mac) != (link.ifindex, link.mac):
            # Another link identity (C14): what was granted to the old one is not ours here. Who we are stays.
            losing.lose(station, "link-changed", now)
            station.remembered = None
            self._acquire(now)
        elif not had_carrier and (lease := station.lease) is not None:
            keeping.reboot(station, lease, now, in_use=True)
        elif not had_carrier:
            self._acquire(now)

    def _link_down(self, now: float) -> None:
        station = self._station
        if not station.carrier:
            return
        station.carrier = False
        if station.lease is not None:
            station.carrier_lost_at = now  # and wait whether it is a flap
        elif not isinstance(station.state, Stopped):
            self._remember()
            station.neighbours.leave()
            station.enter(NoLink())

    def _link_gone(self, now: float) -> None:
        station = self._station
        station.link, station.carrier, station.carrier_lost_at = NOWHERE, False, None
        if not isinstance(station.state, Stopped):
            station.remembered = None
            losing.lose(station, "link-gone", now)
            station.enter(NoLink())

    @property
    def _flap_ends_at(self) -> float | None:
        since = self._station.carrier_lost_at
        if since is None or self.lease is None or isinstance(self.state, Detached):
            return None
        return since + FLAP

    def _detach(self) -> None:
        if (lease := self.lease) is not None:
            self._station.neighbours.leave()
            self._station.enter(Detached(lease))

    # Beginning and end

    def _start(self, now: float) -> None:
        station = self._station
        if not isinstance(station.state, Stopped):
            return
        match station.remembered:
            case Remembered(lease, trusted=True) if not is_over(lease, now):
                self._resume(lease, now)
            case Remembered(trusted=True):
                station.remembered = None  # expired: its address is a wish, no more
                self._acquire(now)
            case _:
                self._acquire(now)

    def _resume(self, lease: Lease, now: float) -> None:
        station = self._station
        station.remembered = None
        station.bound_at = now
        station.say(outputs.Resumed(lease))
        if station.carrier:
            keeping.reboot(station, lease, now, in_use=True)
        else:
            station.enter(Detached(lease))

    def _acquire(self, now: float) -> None:
        """Begin as the link and our memory allow: not at all, in INIT-REBOOT, or in INIT."""
        station = self._station
        if not station.carrier:
            station.enter(NoLink())
        elif station.remembered is not None:
            lease, station.remembered = station.remembered.lease, None
            keeping.reboot(station, lease, now, in_use=False)
        else:
            acquiring.initialize(station, now)

    def _stop(self, release: bool, now: float) -> None:
        station = self._station
        if isinstance(station.state, Stopped):
            return
        if release:
            losing.give_back(station, "stopped", now)
        else:
            self._remember()
        station.finish(False, "the client was stopped")
        station.neighbours.leave()
        station.enter(Stopped())

    def _remember(self) -> None:
        """Keep what is held for the next beginning: a restart is not a loss (V4-33)."""
        station = self._station
        match station.state:
            case Probing(lease) | Rebooting(lease, in_use=False):
                station.remembered = Remembered(lease, trusted=False)
            case _ if (held := station.lease) is not None:
                station.remembered = Remembered(held, trusted=True)


def _is_due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
