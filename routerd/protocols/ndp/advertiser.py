"""A router on its LAN: unsolicited and solicited advertisements (RFC 4861 §6.2), and prefixes that are taken back at
once (RFC 7084 L-13, RFC 9096 §3.5).

What is announced comes from outside, at once and whole (`Announce`). What was announced and is not any more is taken
back: told with lifetimes of zero until hosts have forgotten it (`told.py`). What must outlive a crash is told before
hosts are (`Remember`), and handed to the next life.
"""

from __future__ import annotations

import random
from ipaddress import IPv6Address

import attrs

from routerd.protocols.machine import Dropped, Start, Stop, Tick
from routerd.protocols.ndp.announcement import Announcement
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import ALL_NODES, NdpPacket, RouterAdvertisement, RouterSolicitation
from routerd.protocols.ndp.others import OtherRouter, OtherRouters
from routerd.protocols.ndp.parts import parts
from routerd.protocols.ndp.told import Told
from routerd.protocols.retransmit import TokenBucket

INITIAL_COUNT, INITIAL_INTERVAL = 3, 16.0
FINAL_COUNT = 3
MIN_DELAY_BETWEEN = 3.0
MAX_ANSWER_DELAY = 0.5
"""Protocol constants of a router (RFC 4861 §10)."""

PATIENCE = 1.5
"""Seconds for which a new life does not repeat to all what the life before has told. In them it learns whether that is
true still (a client confirms its leases within one, V6-40), and can say so at once: not MIN_DELAY_BETWEEN later."""

MOST_ASKING = 32
"""Hosts that are answered alone; when more ask at once, all are answered together."""


@attrs.frozen
class Announce:
    """This shall be told from now on."""

    announcement: Announcement


@attrs.frozen
class Remember:
    """To be on disk before what follows it is sent: all that a host may go by."""

    told: Told


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
    life before had told hosts, on this clock; None: hosts go by nothing that was told before."""

    def __init__(self, rng: random.Random, *, max_interval: float = 600.0, remembered: Told | None = None) -> None:
        if not 4 <= max_interval <= 1800:
            raise ValueError("MaxRtrAdvInterval is 4 to 1800 seconds")
        self.state: State = Silent()
        self._rng = rng
        self._interval = max_interval
        self._told = Told() if remembered is None else remembered
        self._has_spoken = remembered is not None
        self._kept = False  # where the life before had it from is not for us to know
        self._wanted: Announcement | None = None
        self._in_force: Announcement | None = None
        self._link: LinkUp | None = None
        self._started = False
        self._told_all_at = float("-inf")
        self._inherited = self._told.announced
        self._patient_until: float | None = None
        self._bucket = TokenBucket()
        self._others = OtherRouters()

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
            case Announce(announcement) if announcement != self._wanted:
                self._wanted = announcement
                return self._begin(now)
            case Announce():
                return []
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

    def _put_in_force(self, announcement: Announcement, now: float) -> list[Output]:
        """What is not in it any more is taken back from now on."""
        told = self._told.after(self._in_force, announcement, now)
        self._in_force = announcement
        return self._keep(told)

    def _keep(self, told: Told) -> list[Output]:
        if told == self._told and self._kept:
            return []
        self._told, self._kept = told, True
        return [Remember(told)]

    # Sending

    def _begin(self, now: float) -> list[Output]:
        """Something is new: three advertisements soon, the first at once or as soon as one may be sent again."""
        if self._wanted is None:
            return []
        remember = self._put_in_force(self._wanted, now)
        if not self._started or self._link is None or self._has_nothing_to_say(self._wanted):
            return remember
        asking = self.state.asking if isinstance(self.state, Advertising) else ()
        self.state = Advertising(self._link, self._due(now), INITIAL_COUNT, asking)
        return [*remember, *self._tick(now)]

    def _due(self, now: float) -> float:
        """When all are told what is new. In a life that begins that is soon enough when it is known by which way hosts
        go out: to be told of none would cost them the one that they have."""
        news = self._told.announced != self._inherited and self._wanted is not None and self._wanted.lifetime > 0
        if self._told_all_at > float("-inf") or not self._inherited or news:
            return max(now, self._told_all_at + MIN_DELAY_BETWEEN)
        if self._patient_until is None:
            self._patient_until = now + PATIENCE
        return max(now, self._patient_until)

    def _has_nothing_to_say(self, wanted: Announcement) -> bool:
        """And never had. An advertisement that no host can go by would only make the first that counts, a second later,
        wait for MIN_DELAY_BETWEEN."""
        tells = wanted != wanted.farewell or wanted.managed or wanted.other
        return not (tells or self._has_spoken)

    def _fall_silent(self) -> list[Output]:
        self.state = Silent()
        return []

    def _cease(self, now: float) -> list[Output]:
        """Hosts shall go by nothing of this router any more, but for what others of the link tell them, too."""
        if not isinstance(self.state, Advertising) or self._wanted is None:
            return self._fall_silent()
        told = self._told.after(self._in_force, self._wanted.farewell, now).keeping(self._others.prefer(now))
        self._in_force = self._wanted.farewell
        self.state = Ceasing(self.state.link, max(now, self._told_all_at + MIN_DELAY_BETWEEN), FINAL_COUNT)
        return [*self._keep(told), *self._tick(now)]

    def _tick(self, now: float) -> list[Output]:
        match self.state:
            case Advertising(deadline=deadline) as state if deadline <= now:
                return [*self._keep(self._told.at(now)), *self._advertise(state, now)]
            case Ceasing(deadline=deadline) as state if deadline <= now:
                left = state.left - 1
                self.state = attrs.evolve(state, deadline=now + MIN_DELAY_BETWEEN, left=left) if left else Silent()
                return [*self._keep(self._told.at(now)), *self._tell_all(state.link, now)]
        return []

    def _advertise(self, state: Advertising, now: float) -> list[Output]:
        if state.to_all <= now:
            initial = max(state.initial - 1, 0)
            self.state = Advertising(state.link, now + self._wait(initial), initial)  # who asks is answered, too
            return self._tell_all(state.link, now)
        due = [host for at, host in state.asking if at <= now]
        self.state = attrs.evolve(state, asking=tuple(one for one in state.asking if one[0] > now))
        return [packet for host in due for packet in self._packets(state.link, host, now)]

    def _wait(self, initial: int) -> float:
        """Seconds to the next one to all: random, so that routers do not fall into step (§6.2.4)."""
        longest = min(self._interval, INITIAL_INTERVAL) if initial else self._interval
        return self._rng.uniform(max(longest / 3, MIN_DELAY_BETWEEN), longest)

    def _tell_all(self, link: LinkUp, now: float) -> list[Output]:
        self._told_all_at, self._has_spoken = now, True
        return [*self._packets(link, ALL_NODES, now)]

    def _packets(self, link: LinkUp, target: IPv6Address, now: float) -> list[NdpPacket]:
        assert self._in_force is not None, "advertised before there was anything to say"
        whole = self._told.taking_back(self._in_force.advertisement(now, link.link_address), now)
        messages = parts(whole)
        for _ in messages:
            self._bucket = self._bucket.take(now)
        return [NdpPacket(message, link.source, target) for message in messages]

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
                return self._other(packet, advertisement, now)
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

    def _other(self, packet: NdpPacket, advertisement: RouterAdvertisement, now: float) -> list[Output]:
        if not packet.source.is_link_local:  # §6.1.2
            return [Dropped("bad-source", packet)]
        word = self._others.heard(packet.source, advertisement, self._in_force, now)
        return [word] if isinstance(word, OtherRouter) else [Dropped(word, packet)]
