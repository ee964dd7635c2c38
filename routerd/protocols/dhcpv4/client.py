"""The DHCPv4 client: RFC 2131 §4.4 as a machine, with RFC 5227 and RFC 4436 composed into it.

It acquires a lease, keeps it, and gives it up. It opens nothing and installs nothing: see `inputs` for what it is
told, `outputs` for what it answers, `states` for what it can be in, `requests` for what it sends.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Literal

import attrs

from routerd.protocols import retransmit
from routerd.protocols.arp import conflict
from routerd.protocols.arp.reachability import Reachable
from routerd.protocols.dhcpv4 import auth, outputs, requests, values
from routerd.protocols.dhcpv4.grant import differences, read_grant
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
from routerd.protocols.dhcpv4.message import BROADCAST, Message, MessageType, Op
from routerd.protocols.dhcpv4.neighbours import Heard, Neighbours
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import (
    Bound,
    Detached,
    Exchange,
    Init,
    NoLink,
    Offer,
    Probing,
    Rebinding,
    Rebooting,
    Renewing,
    Requesting,
    Selecting,
    State,
    Stopped,
    V6Only,
    earliest,
)
from routerd.protocols.machine import Dropped, Refused, Start, Stop, Tick
from routerd.protocols.malformed import Malformed

START_DELAY = 1.0  # V4-1; the 1 to 10 s of RFC 2131 §4.4.1 were meant for halls full of diskless machines
REBOOT_PATIENCE = 12.0  # V4-30
DECLINE_WAIT = 10.0  # RFC 2131 §3.1(5)
FLAP = 3.0  # C11
SETTLED = 60.0  # V4-11
V6_ONLY_MIN = 300.0  # RFC 8925 §3.4
MIN_GAP = 1.0  # V4-5
MAX_OFFERS = 16  # C17
DISCOVERS_PER_FAILURE = 5  # V4-1
COMMAND_PATIENCE = 10.0
GOODBYE_RESERVE = 1
"""Tokens left in the bucket by all else, so that a DHCPDECLINE can be sent, which it MUST be (§3.1(5))."""

NOWHERE = LinkUp(0, bytes(6), 1500, arp=False)


@attrs.frozen
class Command:
    """What the operator waits for, and until when."""

    name: Literal["renew", "rebind"]
    until: float


class Client:
    """One client on one link; `routerd.protocols.machine` has the contract.

    `rng` is its only randomness. `remembered` is a lease from an earlier life of the router.
    """

    def __init__(self, settings: Settings, rng: random.Random, remembered: Remembered | None = None) -> None:
        self._settings = settings
        self._rng = rng
        self._state: State = Stopped()
        self._link = NOWHERE
        self._carrier = False
        self._carrier_lost_at: float | None = None
        self._neighbours = Neighbours(settings, rng)
        self._bucket = retransmit.TokenBucket()
        self._last_sent_at = float("-inf")
        self._command: Command | None = None
        self._remembered = remembered
        self._last_address: IPv4Address | None = None
        self._nonce: auth.Nonce | None = None
        self._bound_at: float | None = None
        self._naks = 0
        self._conflicts = 0
        self._not_before = float("-inf")
        self._out: list[outputs.Output] = []
        if remembered is not None:
            self._recall(remembered)

    # -- what can be seen of it ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The present state; its class has the RFC's name."""
        return self._state

    @property
    def lease(self) -> Lease | None:
        """The lease whose address may be in use now."""
        match self._state:
            case Bound(lease) | Renewing(lease) | Rebinding(lease) | Detached(lease) | Rebooting(lease, in_use=True):
                return lease
            case _:
                return None

    @property
    def listens(self) -> frozenset[str]:
        """The raw taps that the present state needs open, before its outputs are carried out (V4-38).

        `dhcpv4` wherever an answer may come to an address that is not ours (yet): also in REBINDING, whose servers
        may broadcast. In BOUND and RENEWING the UDP socket hears all there is. `arp` as long as an address is
        probed or held, for its defence (ARP-4).
        """
        waiting = isinstance(self._state, Selecting | Requesting | Rebooting | Rebinding | V6Only)
        return frozenset((["dhcpv4"] if waiting else []) + (["arp"] if self._neighbours.listening else []))

    @property
    def deadline(self) -> float | None:
        """When a Tick is due. None: stopped, without a link, or bound without end; nothing to wait for then."""
        return earliest(
            self._state.deadline,
            self._paced(self._state.send_at),
            self._paced(self._neighbours.deadline),
            self._flap_ends_at,
            None if self._command is None else self._command.until,
        )

    def handle(self, event: Input | Start | Stop | Tick, now: float) -> list[outputs.Output]:
        """Take one input at time `now`; return everything that follows from it, in order."""
        self._out = said = []
        if self._has_expired(now):  # before anything else, however late the Tick is (C3)
            self._expire(now)
        match event:
            case Tick():
                self._tick(now)
            case Received(message, unicast=unicast):
                self._receive(message, unicast, now)
            case ReceivedArp(packet):
                self._hear(self._neighbours.handle(packet, now), now)
            case SendFailed():
                pass  # it was counted as a transmission when it was said; its timer runs on (V4-31, V4-39)
            case LinkUp():
                self._link_up(event, now)
            case LinkDown():
                self._link_down(now)
            case LinkGone():
                self._link_gone(now)
            case Renew() | Rebind():
                self._extend_now(event, now)
            case Release():
                self._release(now)
            case Start():
                self._start(now)
            case Stop(release):
                self._stop(release, now)
        return said

    # -- beginning and end ---------------------------------------------------------------------------------------

    def _recall(self, remembered: Remembered) -> None:
        lease = remembered.lease
        self._last_address = lease.address.ip
        if lease.reply is not None:
            self._nonce = auth.read_nonce(lease.reply)
        if lease.gateway is not None and remembered.gateway_mac is not None:
            self._neighbours.gateway = outputs.GatewayKnown(lease.gateway, remembered.gateway_mac)

    def _start(self, now: float) -> None:
        if not isinstance(self._state, Stopped):
            return
        match self._remembered:
            case Remembered(lease, trusted=True) if lease.expires_at is None or now < lease.expires_at:
                self._remembered = None
                self._say(outputs.Resumed(lease))
                self._bound_at = now
                if self._carrier:
                    self._reboot(lease, True, now)
                else:
                    self._enter(Detached(lease))
            case Remembered(trusted=True):
                self._remembered = None  # expired: its address is a wish, no more
                self._acquire(now)
            case _:
                self._acquire(now)

    def _acquire(self, now: float) -> None:
        """Begin as the link and our memory allow: not at all, in INIT-REBOOT, or in INIT."""
        if not self._carrier:
            self._enter(NoLink())
        elif self._remembered is not None:
            lease, self._remembered = self._remembered.lease, None
            self._reboot(lease, False, now)
        else:
            delay = self._rng.uniform(0, START_DELAY)
            self._enter(Init(max(now + delay, self._not_before)))

    def _stop(self, release: bool, now: float) -> None:
        if isinstance(self._state, Stopped):
            return
        if release:
            self._give_back("stopped", now)
        else:
            self._remember()
        self._finish(False, "the client was stopped")
        self._neighbours.leave()
        self._enter(Stopped())

    def _remember(self) -> None:
        """Keep what is held for the next beginning: no restart is a loss (V4-33)."""
        match self._state:
            case Probing(lease) | Rebooting(lease, in_use=False):
                self._remembered = Remembered(lease, trusted=False)
            case _ if self.lease is not None:
                self._remembered = Remembered(self.lease, trusted=True)

    def _release(self, now: float) -> None:
        if self.lease is None and not isinstance(self._state, Probing):
            self._say(Refused("release", f"there is no lease to give back in {self._name}"))
            return
        told = self._give_back("released", now)
        self._enter(Stopped())
        detail = "the lease was given back" if told else "the lease was dropped; its server could not be told"
        self._say(outputs.Finished("release", True, detail))

    def _give_back(self, reason: Literal["released", "stopped"], now: float) -> bool:
        """DHCPRELEASE, and nothing kept. False: the server was not told, for want of a carrier or an address."""
        lease = self.lease
        tellable = lease is not None and self._carrier
        if lease is not None and self._carrier:
            message = requests.release(self._settings, self._link, self._new_xid(), lease)
            self._send(message, now, to=lease.server_id, source=lease.address.ip)
        self._lose(reason, now)
        self._say(outputs.Forget())
        return tellable

    # -- the link ------------------------------------------------------------------------------------------------

    def _link_up(self, link: LinkUp, now: float) -> None:
        before, had_carrier = self._link, self._carrier
        self._link, self._carrier, self._carrier_lost_at = link, True, None
        if isinstance(self._state, Stopped):
            return
        if before is not NOWHERE and (before.ifindex, before.mac) != (link.ifindex, link.mac):
            self._move(now)
        elif not had_carrier and (lease := self.lease) is not None:
            self._reboot(lease, True, now)
        elif not had_carrier:
            self._acquire(now)

    def _move(self, now: float) -> None:
        """Another link identity (C14): what was granted to the old one is not ours here; who we are stays."""
        self._lose("link-changed", now)
        self._remembered = None
        self._acquire(now)

    def _link_down(self, now: float) -> None:
        if not self._carrier:
            return
        self._carrier = False
        if self.lease is not None:
            self._carrier_lost_at = now  # and wait whether it is a flap (C11)
        elif not isinstance(self._state, Stopped):
            self._remember()
            self._neighbours.leave()
            self._enter(NoLink())

    def _link_gone(self, now: float) -> None:
        self._link, self._carrier, self._carrier_lost_at = NOWHERE, False, None
        if not isinstance(self._state, Stopped):
            self._remembered = None
            self._lose("link-gone", now)
            self._enter(NoLink())

    @property
    def _flap_ends_at(self) -> float | None:
        if self._carrier_lost_at is None or self.lease is None or isinstance(self._state, Detached):
            return None
        return self._carrier_lost_at + FLAP

    def _detach(self, lease: Lease) -> None:
        self._neighbours.leave()
        self._enter(Detached(lease))

    # -- time ----------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        while (deadline := self.deadline) is not None and deadline <= now:
            self._due(now)

    def _due(self, now: float) -> None:
        """Do the most pressing of what is due: ends first, speaking last."""
        if (ends_at := self._flap_ends_at) is not None and ends_at <= now and (lease := self.lease) is not None:
            self._detach(lease)
        elif self._command is not None and self._command.until <= now:
            self._lose_patience(now)
        elif (ends_at := self._state.deadline) is not None and ends_at <= now:
            self._time_out(now)
        elif (due := self._paced(self._neighbours.deadline)) is not None and due <= now:
            self._hear(self._neighbours.handle(Tick(), now), now)
        else:
            self._transmit(now)

    def _time_out(self, now: float) -> None:
        match self._state:
            case Init() | V6Only():
                self._enter(Selecting(self._exchange(now)))
            case Selecting() as state:
                self._choose(state, now)
            case Requesting(offer=offer):
                detail = f"{offer.server_id} offered {offer.address} and does not answer the request for it"
                self._fail("no-answer", detail, self._rng.uniform(0, START_DELAY), now)
            case Rebooting() as state:
                self._reboot_unanswered(state, now)
            case Bound(lease) if lease.t2 is not None and lease.t2 <= now:
                self._rebind(lease, now)
            case Bound(lease):
                self._renew(lease, now)
            case Renewing(lease, exchange):
                self._rebind(lease, now, began=exchange.began)
            case _:
                self._expire(now)

    def _has_expired(self, now: float) -> bool:
        match self._state:
            case Probing(lease):
                pass
            case _ if self.lease is None:
                return False
            case _:
                lease = self.lease
        return lease.expires_at is not None and lease.expires_at <= now

    def _expire(self, now: float) -> None:
        self._lose("expired", now)
        self._restart(self._rng.uniform(0, START_DELAY), now)

    # -- speaking ------------------------------------------------------------------------------------------------

    def _paced(self, due: float | None) -> float | None:
        """When what is due may be sent: no timer is above the bucket (C9)."""
        return None if due is None else max(due, self._bucket.ready_at(GOODBYE_RESERVE))

    def _speak(self, now: float) -> None:
        """Send at once what the new state begins with; from an empty bucket, at its next Tick."""
        due = self._paced(self._state.send_at)
        if due is not None and due <= now:
            self._transmit(now)

    def _transmit(self, now: float) -> None:
        """One transmission of the present state's exchange."""
        match self._state:
            case Selecting() as state:
                self._discover(state, now)
            case Requesting(exchange, offer, broadcast=broadcast, secs=secs) as state:
                self._state = attrs.evolve(state, exchange=self._sent(exchange, now))
                self._send(
                    requests.request_offer(
                        self._settings, self._link, exchange.xid, offer, secs=secs, broadcast=broadcast
                    ),
                    now,
                )
            case Rebooting(lease, exchange=exchange) as state:
                self._state = attrs.evolve(state, exchange=self._sent(exchange, now))
                secs = exchange.secs(now)
                self._send(requests.request_reboot(self._settings, self._link, exchange.xid, lease, secs=secs), now)
            case Renewing(lease, exchange) as state:
                wait = retransmit.half_of_remaining(now, lease.t2)
                self._state = attrs.evolve(state, exchange=exchange.sent(now, wait))
                self._send(self._extension(lease, exchange, now), now, to=lease.server_id, source=lease.address.ip)
            case Rebinding(lease, exchange) as state:
                wait = retransmit.half_of_remaining(now, lease.expires_at)
                self._state = attrs.evolve(state, exchange=exchange.sent(now, wait))
                self._send(self._extension(lease, exchange, now), now)  # raw: it needs no route (V4-31)

    def _discover(self, state: Selecting, now: float) -> None:
        exchange, unanswered = state.exchange, state.exchange.transmissions
        if unanswered and unanswered % DISCOVERS_PER_FAILURE == 0:
            detail = f"{unanswered} DHCPDISCOVERs were not answered"
            self._say(outputs.Failed(self._name, "no-answer", detail, 0.0))
        secs, broadcast = exchange.secs(now), self._wants_broadcast(unanswered)
        self._state = attrs.evolve(state, exchange=self._sent(exchange, now), secs=secs, broadcast=broadcast)
        message = requests.discover(
            self._settings, self._link, exchange.xid, secs=secs, broadcast=broadcast, hint=self._hint
        )
        self._send(message, now)

    def _wants_broadcast(self, unanswered: int) -> bool:
        """Some servers answer only by broadcast, some relays only by unicast: try both in turn (V4-8)."""
        if self._settings.broadcast == "auto":
            return unanswered >= 2 and unanswered % 2 == 0
        return self._settings.broadcast == "always"

    def _extension(self, lease: Lease, exchange: Exchange, now: float) -> Message:
        secs = exchange.secs(now)
        return requests.request_extension(self._settings, self._link, exchange.xid, lease, secs=secs)

    def _sent(self, exchange: Exchange, now: float) -> Exchange:
        jitter = self._rng.uniform(-retransmit.JITTER, retransmit.JITTER)
        return exchange.sent(now, retransmit.doubling(exchange.transmissions + 1, jitter))

    def _send(
        self, message: Message, now: float, to: IPv4Address = BROADCAST, source: IPv4Address | None = None
    ) -> None:
        self._bucket = self._bucket.take(now)
        self._last_sent_at = now
        self._say(outputs.Send(message, to, source))

    def _exchange(self, now: float, began: float | None = None, send_at: float | None = None) -> Exchange:
        return Exchange(self._new_xid(), now if began is None else began, now if send_at is None else send_at)

    def _new_xid(self) -> int:
        return self._rng.getrandbits(32)

    # -- hearing -------------------------------------------------------------------------------------------------

    def _receive(self, message: Message, unicast: bool, now: float) -> None:
        reason = self._mismatch(message)
        if reason is not None:
            self._drop(reason, message)
            return
        match self._state, message.type:
            case Selecting() as state, MessageType.OFFER:
                self._offered(state, message, now)
            case Selecting(exchange), MessageType.ACK if self._is_rapid(message):
                self._granted(message, exchange, now)
            case Requesting(exchange, offer), MessageType.ACK if _server_id(message) == offer.server_id:
                self._granted(message, exchange, now)
            case Requesting(offer=offer) as state, MessageType.NAK if _server_id(message) == offer.server_id:
                self._offer_withdrawn(state, message, now)
            case Rebooting() as state, MessageType.ACK:
                self._reboot_answered(state, message, now)
            case Rebooting(), MessageType.NAK:
                self._refused(message, now)
            case (Renewing() | Rebinding()) as state, MessageType.ACK:
                self._extended(state, message, now)
            case Renewing(lease), MessageType.NAK if _server_id(message) == lease.server_id:
                self._refused(message, now)
            case Rebinding(), MessageType.NAK:
                self._refused(message, now)
            case V6Only(), MessageType.NAK:
                self._refused(message, now)
            case Bound(lease), MessageType.FORCERENEW:
                self._forced(lease, message, unicast, now)
            case (Requesting(), MessageType.ACK | MessageType.NAK) | (Renewing(), MessageType.NAK):
                self._drop("wrong-server", message)
            case _:
                self._drop("unexpected-type", message)

    def _mismatch(self, message: Message) -> str | None:
        """Why a message cannot be an answer to what we said; None: it can (V4-12, V4-22, V4-28)."""
        if message.op is not Op.BOOTREPLY:
            return "not-a-reply"
        if message.chaddr != self._link.mac:
            return "wrong-chaddr"
        if message.options.get(Option.CLIENT_ID, self._settings.client_id) != self._settings.client_id:
            return "client-id-mismatch"
        if message.type is MessageType.FORCERENEW:
            return None  # begins an exchange of the server's own
        awaited = self._awaited_xid
        if awaited is None:
            return "stale"
        if message.xid != awaited:
            return "wrong-xid"
        if message.type is MessageType.NAK and _server_id(message) is None:
            return "no-server-id"
        return None

    @property
    def _awaited_xid(self) -> int | None:
        """The xid of the answer that may come; None: nothing was asked."""
        match self._state:
            case Selecting(exchange) | Requesting(exchange) | Rebooting(exchange=exchange):
                return exchange.xid if exchange.transmissions else None
            case Renewing(exchange=exchange) | Rebinding(exchange=exchange):
                return exchange.xid if exchange.transmissions else None
            case V6Only(xid=xid):
                return xid
            case _:
                return None

    def _is_rapid(self, message: Message) -> bool:
        return self._settings.rapid_commit and Option.RAPID_COMMIT in message.options

    def _read(self, message: Message, sent_at: float, now: float) -> Lease | Malformed:
        duration = values.u32(message.options.get(Option.LEASE_TIME, b""))
        if isinstance(duration, int) and 0 < duration <= now - sent_at:
            return Malformed("stale")  # the answer was under way for longer than the lease lasts
        return read_grant(
            message,
            sent_at=sent_at,
            rng=self._rng,
            floor_mtu=self._settings.min_mtu,
            link_mtu=self._link.mtu,
        )

    def _drop(self, reason: str, message: Message) -> None:
        self._say(Dropped(reason, message))

    # -- acquiring -----------------------------------------------------------------------------------------------

    @property
    def _hint(self) -> IPv4Address | None:
        return self._last_address or self._settings.requested

    def _offered(self, state: Selecting, message: Message, now: float) -> None:
        lease = self._read(message, now, now)
        if isinstance(lease, Malformed):
            self._drop(lease.reason, message)
            return
        offer = Offer(lease.server_id, lease.address.ip)
        wished = offer.address == self._hint
        if offer in state.offers:
            self._drop("duplicate", message)
            return
        if len(state.offers) >= MAX_OFFERS and not wished:
            self._drop("too-many-offers", message)
            return
        if self._may_go_without(lease):
            self._go_without(lease, state.exchange.xid, now)
            return
        if not state.offers or wished:
            self._say(outputs.Offered(message, offer.server_id))
        offers = (offer, *state.offers) if wished else (*state.offers, offer)
        choose_at = now + self._settings.offer_window if state.choose_at is None else state.choose_at
        self._state = attrs.evolve(state, offers=offers[:MAX_OFFERS], choose_at=choose_at)
        if choose_at <= now:
            self._choose(self._state, now)

    def _choose(self, state: Selecting, now: float) -> None:
        chosen, *spare = state.offers
        exchange = Exchange(state.exchange.xid, state.exchange.began, now)
        self._enter(Requesting(exchange, chosen, tuple(spare), state.broadcast, state.secs))
        self._speak(now)

    def _offer_withdrawn(self, state: Requesting, message: Message, now: float) -> None:
        if not state.spare:
            self._refused(message, now)
            return
        self._say_nak(message)
        chosen, *spare = state.spare
        exchange = Exchange(state.exchange.xid, state.exchange.began, now)
        self._enter(attrs.evolve(state, exchange=exchange, offer=chosen, spare=tuple(spare)))
        self._speak(now)

    def _granted(self, message: Message, exchange: Exchange, now: float) -> None:
        """DHCPACK for an address that is new to us."""
        lease = self._read(message, exchange.answered(now), now)
        if isinstance(lease, Malformed):
            self._drop(lease.reason, message)
        elif self._may_go_without(lease):
            self._go_without(lease, exchange.xid, now)
        else:
            self._nonce = auth.read_nonce(message)
            self._install(lease, now)

    def _install(self, lease: Lease, now: float) -> None:
        """A fresh address: used when conflict detection allows it (ARP-5). A lease that ends, or should be renewed,
        while its address is still probed for would never be of use: it is used meanwhile."""
        mode = self._settings.conflict_detection
        in_time = lease.t1 is None or now + conflict.LONGEST_PROBING < lease.t1
        if mode == "probe" and in_time and self._link.arp:
            self._enter(Probing(lease))
        else:
            self._bind(lease, now)
        self._watch(lease, mode != "skip", now)

    def _bind(self, lease: Lease, now: float) -> None:
        self._enter(Bound(lease))
        self._use(lease, "request", now)

    def _use(self, lease: Lease, confirmed_by: Literal["request", "reboot", "dna"], now: float) -> None:
        self._bound_at = now
        self._last_address = lease.address.ip
        self._say(outputs.Bound(lease, confirmed_by))

    # -- a lease that we know ------------------------------------------------------------------------------------

    def _reboot(self, lease: Lease, in_use: bool, now: float) -> None:
        exchange = self._exchange(now)
        self._enter(Rebooting(lease, in_use, False, exchange, now + REBOOT_PATIENCE))
        self._speak(now)
        self._hear(self._neighbours.test(self._link, lease, now), now)

    def _reboot_answered(self, state: Rebooting, message: Message, now: float) -> None:
        if message.yiaddr != state.lease.address.ip and _server_id(message) != state.lease.server_id:
            self._drop("wrong-address", message)
            return
        lease = self._read(message, state.exchange.answered(now), now)
        if isinstance(lease, Malformed):
            self._drop(lease.reason, message)
        elif self._may_go_without(lease):
            self._go_without(lease, state.exchange.xid, now)
        elif lease.address.ip != state.lease.address.ip:
            self._replace(lease, now)
        else:
            self._nonce = auth.read_nonce(message) or self._nonce
            self._enter(Bound(lease))
            self._confirm(state, lease, "reboot", now)

    def _confirm(self, state: Rebooting, lease: Lease, by: Literal["reboot", "dna"], now: float) -> None:
        if state.in_use:
            self._say_extended(state.lease, lease, by)
        else:
            self._use(lease, by, now)
        if not state.reachable:
            self._watch(lease, self._settings.conflict_detection != "skip", now)

    def _reboot_unanswered(self, state: Rebooting, now: float) -> None:
        if state.reachable:  # the gateway has confirmed it, and the server is away: the lease holds (V4-30)
            self._enter(Bound(state.lease))
            return
        self._lose("unconfirmed", now)
        detail = f"neither a server nor the gateway confirms {state.lease.address}"
        self._fail("no-answer", detail, self._rng.uniform(0, START_DELAY), now)

    # -- keeping it ----------------------------------------------------------------------------------------------

    def _renew(self, lease: Lease, now: float) -> None:
        self._enter(Renewing(lease, self._exchange(now, send_at=self._gap(now))))
        self._speak(now)

    def _rebind(self, lease: Lease, now: float, began: float | None = None) -> None:
        self._enter(Rebinding(lease, self._exchange(now, began, self._gap(now))))
        self._speak(now)

    def _gap(self, now: float) -> float:
        """However short a lease, a second lies between its packets (V4-5)."""
        return max(now, self._last_sent_at + MIN_GAP)

    def _extended(self, state: Renewing | Rebinding, message: Message, now: float) -> None:
        old = state.lease
        if message.yiaddr != old.address.ip and _server_id(message) != old.server_id:
            self._drop("wrong-server", message)  # V4-10
            return
        lease = self._read(message, state.exchange.answered(now), now)
        if isinstance(lease, Malformed):
            self._drop(lease.reason, message)
        elif self._may_go_without(lease):
            self._go_without(lease, state.exchange.xid, now)
        elif lease.address.ip != old.address.ip:
            self._replace(lease, now)
        else:
            self._nonce = auth.read_nonce(message) or self._nonce
            self._enter(Bound(lease))
            self._say_extended(old, lease, "renew" if isinstance(state, Renewing) else "rebind")

    def _say_extended(self, old: Lease, new: Lease, by: Literal["renew", "rebind", "reboot", "dna"]) -> None:
        fields = differences(old, new)
        if fields:
            self._say(outputs.Changed(new, old, by, fields))
        else:
            self._say(outputs.Extended(new, by))
        self._finish(True, f"{new.address} was confirmed by {new.server_id}")

    def _replace(self, lease: Lease, now: float) -> None:
        """The server gave another address: the old one MUST NOT be used any more (§4.4.5, V4-13)."""
        self._lose("moved", now)
        self._install(lease, now)

    def _forced(self, lease: Lease, message: Message, unicast: bool, now: float) -> None:
        if not self._settings.forcerenew or not unicast:
            self._drop("forcerenew-refused", message)
            return
        nonce = auth.verify(message, self._nonce)
        if isinstance(nonce, Malformed):
            self._drop(nonce.reason, message)
            return
        self._nonce = nonce
        self._renew(lease, now)

    # -- losing it -----------------------------------------------------------------------------------------------

    def _lose(self, reason: outputs.LossReason, now: float) -> None:
        """Nothing is held from here on."""
        if (lease := self.lease) is not None:
            self._say(outputs.Lost(lease, reason))
        self._finish(False, f"the lease was lost: {reason}")
        self._neighbours.leave()
        if self._bound_at is not None and now - self._bound_at >= SETTLED:
            self._naks = self._conflicts = 0
        self._bound_at = None

    def _refused(self, message: Message, now: float) -> None:
        """DHCPNAK: remove the address and begin again, ever more slowly (§4.4.5, V4-11)."""
        known = not isinstance(self._state, Requesting | V6Only)
        self._say_nak(message)
        self._lose("nak", now)
        if known:
            self._say(outputs.Forget())
        self._last_address = None
        self._naks += 1
        jitter = self._rng.uniform(-retransmit.NAK_JITTER, retransmit.NAK_JITTER)
        self._fail("nak", "the server refused the address", retransmit.after_nak(self._naks, jitter), now)

    def _say_nak(self, message: Message) -> None:
        server_id = _server_id(message)
        if server_id is not None:
            self._say(outputs.Nak(server_id, values.text(message.options.get(Option.MESSAGE, b""))))

    def _contested(self, mac: bytes, now: float) -> None:
        """Somebody else has the address: DHCPDECLINE, and a pause before anything else (§3.1(5), ARP-3)."""
        lease = self.lease if not isinstance(self._state, Probing) else self._state.lease
        if lease is None:
            return
        self._say(outputs.Conflict(lease.address.ip, mac, defended=False))
        self._lose("conflict", now)
        self._send(requests.decline(self._settings, self._link, self._new_xid(), lease), now)
        self._say(outputs.Forget())
        self._last_address = None
        self._conflicts += 1
        wait = conflict.RATE_LIMIT_INTERVAL if self._conflicts >= conflict.MAX_CONFLICTS else DECLINE_WAIT
        detail = f"{lease.address.ip} is in use by {mac.hex(':')}"
        self._fail("conflict", detail, wait + self._rng.uniform(0, START_DELAY), now)

    def _may_go_without(self, lease: Lease) -> bool:
        return self._settings.v6_only_preferred and lease.v6_only_wait is not None

    def _go_without(self, lease: Lease, xid: int, now: float) -> None:
        """No IPv4 for as long as the network asks (RFC 8925 §3.2)."""
        self._lose("v6-only", now)
        self._enter(V6Only(now + max(lease.v6_only_wait or 0, V6_ONLY_MIN), xid))

    def _fail(self, reason: outputs.FailReason, detail: str, retry_in: float, now: float) -> None:
        during = self._name
        self._restart(retry_in, now)
        self._say(outputs.Failed(during, reason, detail, retry_in))

    def _restart(self, delay: float, now: float) -> None:
        """INIT after `delay` seconds, which a link that comes and goes does not shorten."""
        self._not_before = now + delay
        self._enter(Init(self._not_before) if self._carrier else NoLink())

    # -- the operator --------------------------------------------------------------------------------------------

    def _extend_now(self, event: Renew | Rebind, now: float) -> None:
        name: Literal["renew", "rebind"] = "renew" if isinstance(event, Renew) else "rebind"
        if self._command is not None:
            self._say(Refused(name, f"a {self._command.name} is under way"))
            return
        if not self._carrier:
            self._say(Refused(name, "the link is down"))
            return
        match self._state, event:
            case ((Bound(lease) | Renewing(lease)), Renew()):
                self._command = Command(name, now + COMMAND_PATIENCE)
                self._renew(lease, now)
            case ((Bound(lease) | Renewing(lease) | Rebinding(lease)), Rebind()):
                self._command = Command(name, now + COMMAND_PATIENCE)
                self._rebind(lease, now)
            case Rebinding(), Renew():
                self._say(Refused(name, "past T2 every server is asked already: rebind instead"))
            case _:
                self._say(Refused(name, f"there is no lease to extend in {self._name}"))

    def _lose_patience(self, now: float) -> None:
        """The operator has waited long enough. Before T1 the matter rests; after it, it goes on as it would have."""
        self._finish(False, f"no answer within {COMMAND_PATIENCE:.0f} seconds")
        match self._state:
            case Renewing(lease) | Rebinding(lease) if lease.t1 is None or now < lease.t1:
                self._enter(Bound(lease))

    def _finish(self, ok: bool, detail: str) -> None:
        if self._command is not None:
            self._say(outputs.Finished(self._command.name, ok, detail))
            self._command = None

    # -- ARP -----------------------------------------------------------------------------------------------------

    def _watch(self, lease: Lease, probe: bool, now: float) -> None:
        self._hear(self._neighbours.watch(self._link, lease, now, probe=probe), now)

    def _hear(self, heard: list[Heard], now: float) -> None:
        for what in heard:
            match what:
                case outputs.SendArp():
                    self._send_arp(what, now)
                case conflict.Clear() if isinstance(self._state, Probing):
                    self._bind(self._state.lease, now)
                case conflict.Clear():
                    pass  # in use already
                case conflict.Contested(mac):
                    self._contested(mac, now)
                case conflict.Defended(mac) if (lease := self.lease) is not None:
                    defended = self._bucket.ready_at(GOODBYE_RESERVE) <= now
                    self._say(outputs.Conflict(lease.address.ip, mac, defended))
                case conflict.Defended():
                    pass
                case Reachable():
                    self._reached(now)
                case outputs.GatewayKnown() | Dropped():
                    self._say(what)

    def _send_arp(self, what: outputs.SendArp, now: float) -> None:
        """One ARP packet; from an empty bucket it counts as lost."""
        if self._bucket.ready_at(GOODBYE_RESERVE) <= now:
            self._bucket = self._bucket.take(now)
            self._say(what)

    def _reached(self, now: float) -> None:
        """The gateway of the lease is here: its address may be used at once, whatever the server says later (V4-30)."""
        match self._state:
            case Rebooting(lease, reachable=False) as state:
                self._enter(attrs.evolve(state, in_use=True, reachable=True))
                self._confirm(state, lease, "dna", now)

    # -- saying --------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return type(self._state).__name__

    def _enter(self, state: State) -> None:
        previous, self._state = self._name, state
        if previous != self._name:
            self._say(outputs.Entered(self._name, previous))

    def _say(self, output: outputs.Output) -> None:
        self._out.append(output)


def _server_id(message: Message) -> IPv4Address | None:
    """Option 54; None: absent."""
    value = values.address(message.options.get(Option.SERVER_ID, b""))
    return None if isinstance(value, Malformed) else value
