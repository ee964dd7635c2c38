"""A host on a link: it asks for routers until one answers (RFC 4861 §6.3.7, RFC 7559), keeps what they tell, finds out
after a flap whether it is the same link as before (RFC 6059), and notices a router that is not there any more."""

from __future__ import annotations

import random
from ipaddress import IPv6Address

import attrs

from routerd.protocols.machine import Dropped, Start, Stop, Tick, earliest
from routerd.protocols.ndp.learned import Learned
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_ROUTERS,
    NdpPacket,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)
from routerd.protocols.ndp.reachability import Reachability
from routerd.protocols.retransmit import TokenBucket

MAX_DELAY = 1.0
"""Seconds before the first solicitation, at most: not every host of a street after a power cut at once (§10)."""
FIRST_WAIT, LONGEST_WAIT, JITTER = 4.0, 3600.0, 0.1
"""IRT, MRT and RAND of RFC 7559 §2."""
PROBE_WAIT, PROBES = 1.0, 2
"""Of the question to a known router whether it is still here: unicast, so that only it answers (RFC 6059 §5)."""
MOST_PROBED = 3
"""Known routers that are asked."""


@attrs.frozen
class Heard:
    """What is known of the link now, after somebody spoke or something was over."""

    learned: Learned


@attrs.frozen
class Attached:
    """After the link came up: it is the one that was known before (`same`), or another."""

    same: bool


Input = LinkUp | LinkDown | NdpPacket | Start | Stop | Tick
Output = NdpPacket | Heard | Attached | Dropped[NdpPacket]


@attrs.frozen
class Silent:
    """No link, or not started: nothing is asked. What was learned goes on to run down."""


@attrs.frozen
class Soliciting:
    """Asking for a router: again at `again_at`, then after `wait` seconds, doubling."""

    link: LinkUp
    again_at: float
    wait: float | None = None


@attrs.frozen
class Listening:
    """There is a default router; it advertises by itself."""

    link: LinkUp


State = Silent | Soliciting | Listening


@attrs.frozen
class Probing:
    """Is it the link that was known before? Its routers are asked again at `again_at`, `left` times."""

    again_at: float
    left: int


class Discovery:
    """The host side of Neighbor Discovery's router discovery."""

    def __init__(self, rng: random.Random) -> None:
        self.state: State = Silent()
        self.learned = Learned()
        self._rng = rng
        self._probing: Probing | None = None
        self._returning: frozenset[IPv6Address] = frozenset()
        self._reachability = Reachability(rng)
        self._bucket = TokenBucket()
        self._link: LinkUp | None = None
        self._started = False
        self._looked_at = float("-inf")

    @property
    def deadline(self) -> float | None:
        """See Machine."""
        asking = self.state.again_at if isinstance(self.state, Soliciting) else None
        probing = self._probing.again_at if self._probing is not None else None
        return earliest(asking, probing, self._reachability.deadline, self.learned.ends(self._looked_at))

    def handle(self, event: Input, now: float) -> list[Output]:
        """Take one input at time `now`. A packet among the outputs goes to its target on the link."""
        match event:
            case Start():
                self._started = True
                return self._begin(now)
            case Stop():
                self._started = False
                return self._fall_silent()
            case LinkUp():
                self._link = event
                return self._begin(now)
            case LinkDown():
                self._link = None
                return self._fall_silent()
            case Tick():
                return [*self._expire(now), *self._probe(now), *self._check(now), *self._solicit(now)]
            case NdpPacket():
                return self._heard(event, now)

    def _fall_silent(self) -> list[Output]:
        self._probing, self.state = None, Silent()
        self._reachability.forget()
        return []

    # Asking

    def _begin(self, now: float) -> list[Output]:
        if not self._started or self._link is None:
            return []
        self.state = Soliciting(self._link, now + self._rng.uniform(0, MAX_DELAY))
        self._learn(self.learned.at(now).unconfirmed(), now)
        self._returning = frozenset(self.learned.routers)
        self._probing = Probing(now, PROBES) if self._returning else None
        return self._probe(now)

    def _solicit(self, now: float) -> list[Output]:
        match self.state:
            case Soliciting(link, again_at, wait) if again_at <= now:
                wait = self._next_wait(wait)
                self.state = Soliciting(link, now + wait, wait)
                return self._send([NdpPacket(RouterSolicitation(link.link_address), link.source, ALL_ROUTERS)], now)
        return []

    def _next_wait(self, wait: float | None) -> float:
        """RFC 7559 §2, which has its arithmetic from DHCPv6."""
        jitter = self._rng.uniform(-JITTER, JITTER)
        if wait is None:
            return FIRST_WAIT * (1 + jitter)
        longer = wait * (2 + jitter)
        return longer if longer <= LONGEST_WAIT else LONGEST_WAIT * (1 + jitter)

    def _probe(self, now: float) -> list[Output]:
        """Ask the routers that were known whether they are still here."""
        match self.state, self._probing:
            case ((Soliciting(link) | Listening(link)), Probing(again_at, left)) if again_at <= now:
                self._probing = Probing(now + PROBE_WAIT, left - 1) if left else None
                return self._ask_known(link, now) if left else self._judge(now)
        return []

    def _ask_known(self, link: LinkUp, now: float) -> list[Output]:
        silent = [router.address for router in self.learned.default_routers(now) if not router.confirmed]
        return self._send(_questions(link, silent[:MOST_PROBED]), now)

    def _check(self, now: float) -> list[Output]:
        """Ask the router in use whether it is still there. Of one that is not another one takes the place, if there is
        one, and is looked for, if there is none."""
        due = self._reachability.deadline
        if isinstance(self.state, Silent) or due is None or due > now:
            return []
        before = self.learned
        self._learn(before.silent(self._reachability.given_up(now)), now)
        self._ask_again(now)
        questions = _questions(self.state.link, self._reachability.questions(now))
        return [*self._send(questions, now), *([Heard(self.learned)] if self.learned != before else [])]

    def _send(self, packets: list[NdpPacket], now: float) -> list[Output]:
        """As far as may be sent (C9): a link that flaps a hundred times a second is no reason to ask as often."""
        sent: list[Output] = []
        for packet in packets:
            if self._bucket.ready_at() <= now:
                self._bucket = self._bucket.take(now)
                sent.append(packet)
        return sent

    def _judge(self, now: float) -> list[Output]:
        """Is it the link that was known before? One known router that was heard says yes. Others were heard and none of
        those, after they were asked: no, and what they had told is of another link. As long as nobody is heard at all
        nothing is known, and what was learned stays until it is over."""
        heard = {address for address, router in self.learned.routers.items() if router.confirmed}
        if not self._returning or not heard:
            return []
        if heard & self._returning:
            self._returning, self._probing = frozenset(), None
            return [Attached(True)]
        if self._probing is not None:
            return []
        self._learn(self.learned.without(self._returning), now)
        self._returning = frozenset()
        return [Attached(False), Heard(self.learned)]

    # Hearing

    def _heard(self, packet: NdpPacket, now: float) -> list[Output]:
        if isinstance(self.state, Silent):
            return [Dropped("not-listening", packet)]
        if packet.hop_limit != 255:  # it comes from beyond the link
            return [Dropped("bad-hop-limit", packet)]
        match packet.message:
            case RouterAdvertisement() as advertisement:
                return self._advertised(packet, advertisement, now)
            case NeighborAdvertisement(router=False, target=target) as said if target in self.learned.routers:
                return self._no_router(packet, said, now)
            case NeighborAdvertisement(solicited=True, target=target, link_address=link_address):
                return self._answered(packet, target, link_address, now)
        return [Dropped("irrelevant", packet)]

    def _advertised(self, packet: NdpPacket, advertisement: RouterAdvertisement, now: float) -> list[Output]:
        if not packet.source.is_link_local:  # §6.1.2
            return [Dropped("bad-source", packet)]
        known = self.learned.with_room_for(advertisement, packet.source, now)
        if known is None:
            return [Dropped("too-many-routers", packet)]
        self._learn(known.heard(advertisement, packet.source, now), now)
        if advertisement.lifetime and isinstance(self.state, Soliciting):
            self.state = Listening(self.state.link)
        self._ask_again(now)
        return [Heard(self.learned), *self._judge(now)]

    def _answered(self, packet: NdpPacket, target: IPv6Address, link_address: bytes | None, now: float) -> list[Output]:
        """A known router is still here: the same one, if it has the same address on the link, too."""
        router = self.learned.routers.get(target)
        if router is None or (router.confirmed and not self._reachability.waits_for(target)):
            return [Dropped("not-asked", packet)]
        other = None not in (link_address, router.link_address) and link_address != router.link_address
        if other and not router.confirmed:
            return [Dropped("other-link-address", packet)]
        self._reachability.answered(target, now)
        self._learn(self.learned.answered(target), now)
        if isinstance(self.state, Soliciting) and router.until > now:
            self.state = Listening(self.state.link)
        return [*self._judge(now), *([] if router.reachable else [Heard(self.learned)])]

    def _no_router(self, packet: NdpPacket, said: NeighborAdvertisement, now: float) -> list[Output]:
        """A known router forwards nothing any more, as the flag says (§7.2.5); what it told of the link stays."""
        router = self.learned.routers[said.target]
        known = router.link_address
        if not said.override and None not in (said.link_address, known) and said.link_address != known:
            return [Dropped("other-link-address", packet)]
        if router.until <= now:
            return [Dropped("irrelevant", packet)]
        self._learn(self.learned.without_default_router(said.target, now), now)
        self._ask_again(now)
        return [Heard(self.learned)]

    # Time

    def _expire(self, now: float) -> list[Output]:
        end = self.learned.ends(self._looked_at)
        if end is None or end > now:
            return []
        self._learn(self.learned.at(now), now)
        self._ask_again(now)
        return [Heard(self.learned)]

    def _ask_again(self, now: float) -> None:
        """When the last default router is gone, or none of them answers."""
        if isinstance(self.state, Listening) and not any(one.reachable for one in self.learned.default_routers(now)):
            self.state = Soliciting(self.state.link, now + self._rng.uniform(0, MAX_DELAY))

    def _learn(self, learned: Learned, now: float) -> None:
        self.learned, self._looked_at = learned, now
        if not isinstance(self.state, Silent):
            self._reachability.follow(learned.default_routers(now), now)


def _questions(link: LinkUp, routers: list[IPv6Address]) -> list[NdpPacket]:
    """Unicast: only they answer."""
    messages = (NeighborSolicitation(address, link.link_address) for address in routers)
    return [NdpPacket(message, link.source, message.target) for message in messages]
