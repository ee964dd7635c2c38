"""One host on one link, as the transitions of the client see it: what it is, what it holds, how it speaks.

The transitions themselves are next door: `soliciting` (RFC 9915 §18.2.1, §18.2.2), `extending` (§18.2.3 to §18.2.5,
§18.2.12), `informing` (§18.2.6), `losing` (§18.2.7, §18.2.8) and `commands`; `taking` is what a Reply does to what is
held; `client` says when which of them is due.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Asset, Association, IdentityAssociation
from routerd.protocols.dhcpv6.auth import Key
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.exchange import RAND, SOLICIT, Exchange, Schedule
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.inputs import LinkUp
from routerd.protocols.dhcpv6.memory import DEFAULT_MAX_RT, Former, Memory
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.requests import held, wish
from routerd.protocols.dhcpv6.settings import Settings
from routerd.protocols.dhcpv6.states import Asking, Bound, Informing, Revalidating, Soliciting, State, Stopped
from routerd.protocols.dhcpv6.transmissions import message
from routerd.protocols.machine import Dropped, Refused, earliest
from routerd.protocols.retransmit import TokenBucket

MIN_RENEWAL_GAP = 30.0  # V6-16
MISSING_RETRY = 3600.0
"""How often to ask for an association that was not granted when those that were want no renewal (C7)."""
SOLICITS_PER_FAILURE = 5
MAX_FORMER = 64  # C17


@attrs.frozen
class Command:
    """What the operator waits for, and until when; None: until the exchange itself ends."""

    name: outputs.CommandName
    until: float | None


@attrs.define
class Station:
    """All that a client knows. `carrier_lost_at` is about leases in use alone (C11)."""

    settings: Settings
    rng: random.Random
    remembered: Memory | None
    state: State = attrs.field(factory=Stopped)
    link: LinkUp | None = None
    carrier: bool = False
    carrier_lost_at: float | None = None
    bindings: dict[Association, Binding] = attrs.field(factory=dict)
    former: tuple[Former, ...] = ()
    last: dict[Association, tuple[Asset, ...]] = attrs.field(factory=dict)
    information: Information | None = None
    sol_max_rt: float = DEFAULT_MAX_RT
    inf_max_rt: float = DEFAULT_MAX_RT
    key: Key | None = None
    replay: int = -1
    last_server: bytes | None = None
    bucket: TokenBucket = attrs.field(factory=TokenBucket)
    command: Command | None = None
    bound_at: float | None = None
    renewed_at: float = float("-inf")
    ask_at: float | None = None
    revalidated_at: float = float("-inf")
    revalidate_at: float | None = None
    setbacks: int = 0
    not_before: float = float("-inf")
    out: list[outputs.Output] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """The state's."""
        return type(self.state).__name__

    def enter(self, state: State) -> None:
        """Go into a state. Whatever timer the last one had is gone with it."""
        previous, self.state = self.name, state
        if previous != self.name:
            self.say(outputs.Entered(self.name, previous))

    def say(self, output: outputs.Output) -> None:
        self.out.append(output)

    def drop(self, reason: str, message: Message) -> None:
        self.say(Dropped(reason, message))

    def refuse(self, command: str, reason: str) -> None:
        self.say(Refused(command, reason))

    def finish(self, ok: bool, detail: str) -> None:
        """End the command under way, if there is one."""
        if self.command is not None:
            self.say(outputs.Finished(self.command.name, ok, detail))
            self.command = None

    # What is held, and what is missing of what is wanted

    @property
    def memory(self) -> Memory:
        """What must be written down, that the next life may go on from here."""
        if self.remembered is not None:
            return self.remembered
        bindings, trusted = tuple(self.bindings.values()), True
        match self.state:
            case Revalidating(unconfirmed=(_, *_) as unsure) if not bindings:
                bindings, trusted = unsure, False
        return Memory(
            bindings,
            self.former,
            dict(self.last),
            self.information,
            self.sol_max_rt,
            self.inf_max_rt,
            self.replay,
            self.key,
            trusted,
        )

    @property
    def missing(self) -> list[Association]:
        """What is wanted and not held."""
        return [association for association in self.settings.associations if association not in self.bindings]

    def wishes(self) -> Iterator[IdentityAssociation]:
        """What is missing, with what was held in it last, else with what the operator would like (V6-24). Nothing while
        an address that was declined is not to be replaced yet (V6-26)."""
        wanted = self.missing if self.ask_at is None else []
        return (wish(association, self._hints(association)) for association in wanted)

    def _hints(self, association: Association) -> tuple[Asset, ...]:
        hint = self.settings.hint(association)
        return self.last.get(association) or (() if hint is None else (hint,))

    def holdings(self, server_id: bytes | None = None) -> Iterator[IdentityAssociation]:
        """What is held, of one server or of all."""
        return (held(b) for b in self.bindings.values() if server_id in (None, b.server_id))

    def rest(self) -> None:
        """Silence until what is held wants something."""
        self.enter(Bound(self.wake_at()))

    def solicit(self, now: float) -> None:
        """Ask everybody, after a random moment or as long as the last failure demands (§18.2.1)."""
        begin = max(now + self.rng.uniform(0, SOLICIT.delay), self.not_before)
        self.enter(Soliciting(self.exchange(SOLICIT, now, send_at=begin)))

    @property
    def t1(self) -> float | None:
        """When to renew: the first T1 of all, as one message then asks for everything (V6-14)."""
        return self._not_too_often(earliest(*(binding.t1 for binding in self.bindings.values())))

    @property
    def t2(self) -> float | None:
        """When to rebind: the first T2 of all."""
        return self._not_too_often(earliest(*(binding.t2 for binding in self.bindings.values())))

    def _not_too_often(self, due: float | None) -> float | None:
        """V6-16, whatever the server says."""
        return None if due is None else max(due, self.renewed_at + MIN_RENEWAL_GAP)

    def wake_at(self) -> float | None:
        """When what is held wants to be renewed or rebound, or what is missing asked for; None: never."""
        due = earliest(self.t1, self.t2)
        if not self.missing:
            return due
        asked = max(self.renewed_at, self.bound_at or self.renewed_at)
        return earliest(due, self._not_too_often(self.ask_at), asked + MISSING_RETRY if due is None else None)

    def part_with(self, former: Former) -> None:
        """Keep in mind what was held. Of more than anybody needs the oldest are let go (C17)."""
        kept = [known for known in self.former if known.lease.asset != former.lease.asset]
        for known in kept[: max(0, len(kept) + 1 - MAX_FORMER)]:
            if known.in_use:
                self.say(outputs.Lost(known.association, known.lease, "withdrawn"))
            kept.remove(known)
        self.former = (*kept, former)

    # What is sent, is sent from here, and no timer is above the bucket (C9).

    def paced(self, due: float | None) -> float | None:
        """When what is due may leave."""
        return None if due is None else max(due, self.bucket.ready_at())

    def transmit(self, now: float) -> None:
        """One transmission of the present state's exchange."""
        state = self.state
        if self.link is None or not isinstance(state, Asking):
            return
        if self.ask_at is not None and self.ask_at <= now:
            self.ask_at = None
        if isinstance(state, Soliciting):
            self._complain(state.exchange.transmissions)
        said = message(self, state, now)
        self.state = attrs.evolve(state, exchange=self._paced_exchange(state).sent(now, self._rand(state)))
        self.bucket = self.bucket.take(now)
        self.say(outputs.Send(said, self.link.link_local))

    def _paced_exchange(self, state: Asking) -> Exchange:
        """The exchange, as slow in the end as servers have it by now (§21.24, §21.25)."""
        match state:
            case Soliciting(exchange):
                slowest = self.sol_max_rt
            case Informing(exchange):
                slowest = self.inf_max_rt
            case _:
                return state.exchange
        return attrs.evolve(exchange, schedule=attrs.evolve(exchange.schedule, mrt=slowest))

    def _rand(self, state: State) -> float:
        """§15; after the very first Solicit strictly above 0, so that its time is up after any Advertise (§18.2.1)."""
        if isinstance(state, Soliciting) and not state.exchange.transmissions:
            return RAND * (1 - self.rng.random())
        return self.rng.uniform(-RAND, RAND)

    def _complain(self, unanswered: int) -> None:
        if unanswered and unanswered % SOLICITS_PER_FAILURE == 0:
            self.say(outputs.Failed(self.name, "no-answer", f"{unanswered} Solicits were not answered", 0.0))

    def exchange(self, schedule: Schedule, now: float, *, send_at: float | None = None) -> Exchange:
        """A new exchange; `send_at`: when to begin it, else at once or after the random delay that it demands."""
        begin = now + self.rng.uniform(0, schedule.delay) if send_at is None else send_at
        return Exchange(self.rng.getrandbits(24), schedule, begin)
