"""A router on its LAN: unsolicited and solicited advertisements (RFC 4861 §6.2), and prefixes that are taken back at
once (RFC 7084 L-13, RFC 9096 §3.5).

What is announced comes from outside, at once and whole (`Announce`). A prefix that was announced and is not any more
is withdrawn: told with a preferred lifetime of zero until hosts have forgotten it. What must outlive a crash is told
before hosts are (`Remember`), and handed to the next life.
"""

from __future__ import annotations

import random
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.machine import Dropped, Start, Stop, Tick
from routerd.protocols.ndp.announcement import VALID_LIMIT, WITHDRAWN_FOR, Announcement, Withdrawn
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    NdpPacket,
    RouterAdvertisement,
    RouterSolicitation,
)
from routerd.protocols.retransmit import TokenBucket

INITIAL_COUNT, INITIAL_INTERVAL = 3, 16.0
FINAL_COUNT = 3
MIN_DELAY_BETWEEN = 3.0
MAX_ANSWER_DELAY = 0.5
"""Protocol constants of a router (RFC 4861 §10)."""

MOST_ASKING = 32
"""Hosts that are answered alone; when more ask at once, all are answered together."""
MOST_OTHERS = 32
"""Other routers of the link that are told apart."""


@attrs.frozen
class Announce:
    """This shall be told from now on."""

    announcement: Announcement


@attrs.frozen
class Remember:
    """To be on disk before what follows it is sent: every prefix that a host may still use, and until when (None: it is
    announced)."""

    prefixes: tuple[tuple[IPv6Network, float | None], ...]


@attrs.frozen
class OtherRouter:
    """Somebody else on this LAN says to be a router, for the first time or otherwise than before. `inconsistent` names
    what differs from ours although routers of a link should agree on it (RFC 4861 §6.2.7)."""

    source: IPv6Address
    advertisement: RouterAdvertisement
    inconsistent: tuple[str, ...]


Input = Announce | LinkUp | LinkDown | NdpPacket | Start | Stop | Tick
Output = NdpPacket | Remember | OtherRouter | Dropped[NdpPacket]


@attrs.frozen
class Silent:
    """Nothing is announced: there is no link, nothing to say, or an end to it."""

    deadline: None = None


@attrs.frozen
class Advertising:
    """`to_all` is when the next advertisement goes to all; `initial` of them follow soon (§6.2.4). `asking`: hosts that
    are to be answered alone, and when."""

    link: LinkUp
    to_all: float
    initial: int
    asking: tuple[tuple[float, IPv6Address], ...] = ()

    @property
    def deadline(self) -> float:
        """The earliest of them."""
        return min(self.to_all, *(at for at, _ in self.asking)) if self.asking else self.to_all


@attrs.frozen
class Ceasing:
    """The last advertisements, in which this router is none any more (§6.2.5)."""

    link: LinkUp
    deadline: float
    left: int


State = Silent | Advertising | Ceasing


class Advertiser:
    """Advertises what it is told to, every `max_interval` seconds at most (§6.2.1: 4 to 1800). `remembered` is what the
    life before had told hosts and was not forgotten by its end: prefixes, and until when on this clock."""

    def __init__(
        self,
        rng: random.Random,
        *,
        max_interval: float = 600.0,
        remembered: tuple[tuple[IPv6Network, float | None], ...] = (),
    ) -> None:
        if not 4 <= max_interval <= 1800:
            raise ValueError("MaxRtrAdvInterval is 4 to 1800 seconds")
        self.state: State = Silent()
        self._rng = rng
        self._interval = max_interval
        self._remembered = remembered
        self._announcement: Announcement | None = None
        self._withdrawn: tuple[Withdrawn, ...] = ()
        self._link: LinkUp | None = None
        self._started = False
        self._told_all_at = float("-inf")
        self._bucket = TokenBucket()
        self._others: dict[IPv6Address, RouterAdvertisement] = {}

    @property
    def deadline(self) -> float | None:
        """See Machine."""
        return self.state.deadline

    def handle(self, event: Input, now: float) -> list[Output]:
        """Take one input at time `now`. A packet among the outputs goes to its target on the link."""
        match event:
            case Start():
                self._started = True
                return self._begin(now)
            case Stop(release):
                self._started = False
                return self._cease(now) if release else self._fall_silent()
            case Announce(announcement):
                return self._announce(announcement, now)
            case LinkUp():
                self._link = event
                return self._begin(now)
            case LinkDown():
                self._link = None
                return self._fall_silent()
            case Tick():
                return self._tick(now)
            case NdpPacket():
                return self._heard(event, now)

    # What is announced

    def _announce(self, announcement: Announcement, now: float) -> list[Output]:
        if announcement == self._announcement:
            return []
        known = self._known(now)
        self._announcement = announcement
        kept = {prefix.prefix for prefix in announcement.prefixes if prefix.at(now) is not None}
        self._withdrawn = tuple(
            Withdrawn(prefix, until) for prefix, until in known.items() if prefix not in kept and until > now
        )
        remember = self._remember()
        return [*remember, *self._begin(now)]

    def _known(self, now: float) -> dict[IPv6Network, float]:
        """What hosts may use, and for how long at most if nobody says any more of it: two hours, or what is left."""
        before = () if self._announcement is None else self._announcement.prefixes
        told = {one.prefix: one.at(now) for one in before}
        current = {prefix: now + min(one.valid, WITHDRAWN_FOR) for prefix, one in told.items() if one is not None}
        past = {
            prefix: now + VALID_LIMIT if until is None else min(until, now + WITHDRAWN_FOR)
            for prefix, until in self._remembered
        }
        self._remembered = ()
        return past | {one.prefix: one.until for one in self._withdrawn} | current

    def _remember(self) -> list[Output]:
        current = () if self._announcement is None else self._announcement.prefixes
        withdrawn = ((one.prefix, one.until) for one in self._withdrawn)
        return [Remember((*((one.prefix, None) for one in current), *withdrawn))]

    # Sending

    def _begin(self, now: float) -> list[Output]:
        """Something is new: three advertisements soon, the first at once or as soon as one may be sent again."""
        if not self._started or self._link is None or self._announcement is None:
            return []
        asking = self.state.asking if isinstance(self.state, Advertising) else ()
        self.state = Advertising(self._link, max(now, self._told_all_at + MIN_DELAY_BETWEEN), INITIAL_COUNT, asking)
        return self._tick(now)

    def _fall_silent(self) -> list[Output]:
        self.state = Silent()
        return []

    def _cease(self, now: float) -> list[Output]:
        if not isinstance(self.state, Advertising):
            return self._fall_silent()
        self.state = Ceasing(self.state.link, max(now, self._told_all_at + MIN_DELAY_BETWEEN), FINAL_COUNT)
        return self._tick(now)

    def _tick(self, now: float) -> list[Output]:
        match self.state:
            case Advertising(deadline=deadline) as state if deadline <= now:
                return self._forget(now) + self._advertise(state, now)
            case Ceasing(deadline=deadline) as state if deadline <= now:
                left = state.left - 1
                self.state = attrs.evolve(state, deadline=now + MIN_DELAY_BETWEEN, left=left) if left else Silent()
                return self._tell_all(state.link, now, last=True)
        return []

    def _forget(self, now: float) -> list[Output]:
        """Withdrawn prefixes that every host has forgotten."""
        still = tuple(one for one in self._withdrawn if one.until > now)
        if still == self._withdrawn:
            return []
        self._withdrawn = still
        return self._remember()

    def _advertise(self, state: Advertising, now: float) -> list[Output]:
        if state.to_all <= now:
            initial = max(state.initial - 1, 0)
            self.state = Advertising(state.link, now + self._wait(initial), initial)  # who asks is answered, too
            return self._tell_all(state.link, now)
        due = [host for at, host in state.asking if at <= now]
        self.state = attrs.evolve(state, asking=tuple(one for one in state.asking if one[0] > now))
        return [self._packet(state.link, host, now) for host in due]

    def _wait(self, initial: int) -> float:
        """Seconds to the next one to all: random, so that routers do not fall into step (§6.2.4)."""
        longest = min(self._interval, INITIAL_INTERVAL) if initial else self._interval
        return self._rng.uniform(max(longest / 3, MIN_DELAY_BETWEEN), longest)

    def _tell_all(self, link: LinkUp, now: float, *, last: bool = False) -> list[Output]:
        self._told_all_at = now
        return [self._packet(link, ALL_NODES, now, last=last)]

    def _packet(self, link: LinkUp, target: IPv6Address, now: float, *, last: bool = False) -> NdpPacket:
        assert self._announcement is not None, "advertised before there was anything to say"
        self._bucket = self._bucket.take(now)
        message = self._announcement.advertisement(now, link.link_address, self._withdrawn, last=last)
        return NdpPacket(message, link.source, target)

    # Hearing

    def _heard(self, packet: NdpPacket, now: float) -> list[Output]:
        if packet.hop_limit != 255:  # it comes from beyond the link
            return [Dropped("bad-hop-limit", packet)]
        match packet.message, self.state:
            case RouterSolicitation(link_address), Advertising() as state:
                if packet.source.is_unspecified and link_address is not None:  # §6.1.1
                    return [Dropped("bad-source", packet)]
                return self._asked(state, packet, now)
            case RouterAdvertisement() as advertisement, _:
                return self._other(packet, advertisement)
        return [Dropped("irrelevant", packet)]

    def _asked(self, state: Advertising, packet: NdpPacket, now: float) -> list[Output]:
        """Answer alone who can be: the others may sleep (RFC 7772). When so many ask that it is less, answer all."""
        host = packet.source
        if any(one == host for _, one in state.asking):
            return [Dropped("asked-already", packet)]
        alone = not host.is_unspecified and len(state.asking) < MOST_ASKING
        if alone and self._bucket.ready_at(len(state.asking)) <= now:
            asking = (*state.asking, (now + self._answer_delay(), host))
            self.state = attrs.evolve(state, asking=asking)
            return []
        may_at = max(now, self._told_all_at + MIN_DELAY_BETWEEN)
        if state.to_all <= may_at + MAX_ANSWER_DELAY:
            return [Dropped("answered-soon", packet)]
        self.state = attrs.evolve(state, to_all=may_at + self._answer_delay())
        return []

    def _answer_delay(self) -> float:
        return self._rng.uniform(0, MAX_ANSWER_DELAY)

    def _other(self, packet: NdpPacket, advertisement: RouterAdvertisement) -> list[Output]:
        source = packet.source
        if not source.is_link_local:  # §6.1.2
            return [Dropped("bad-source", packet)]
        told = attrs.evolve(
            advertisement, prefixes=tuple(attrs.evolve(p, valid=0, preferred=0) for p in advertisement.prefixes)
        )
        if self._others.get(source) == told:
            return [Dropped("known-router", packet)]
        if source not in self._others and len(self._others) >= MOST_OTHERS:
            return [Dropped("too-many-routers", packet)]
        self._others[source] = told
        return [OtherRouter(source, advertisement, tuple(self._differences(advertisement)))]

    def _differences(self, other: RouterAdvertisement) -> list[str]:
        """What the routers of a link should agree on and do not. What one of them leaves open is no difference."""
        if self._announcement is None or not other.lifetime:
            return []
        ours = self._announcement
        pairs = {
            "hopLimit": (ours.hop_limit, other.hop_limit),
            "managed": (ours.managed, other.managed),
            "other": (ours.other, other.other),
            "mtu": (ours.mtu or 0, other.mtu or 0),
        }
        flags = ("managed", "other")
        return [name for name, (a, b) in pairs.items() if a != b and (name in flags or (a and b))]
