"""The DHCPv6 client: RFC 9915 §18.2 as a machine, for any number of addresses and prefixes on one link.

Here is what happens when; what then happens is in `soliciting`, `extending`, `informing` and `losing`, what it can be
in in `states`, what it is told in `inputs`, and what it answers in `outputs`.
"""

from __future__ import annotations

import random

from routerd.protocols.dhcpv6 import (
    answer,
    auth,
    commands,
    extending,
    informing,
    losing,
    outputs,
    replies,
    soliciting,
)
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.inputs import (
    Conflict,
    Flush,
    Input,
    LinkDown,
    LinkGone,
    LinkUp,
    NetworkChanged,
    Rebind,
    Received,
    Release,
    Renew,
    RequestInformation,
    SendFailed,
)
from routerd.protocols.dhcpv6.memory import DEFAULT_MAX_RT, Former, Memory
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.dhcpv6.settings import Settings
from routerd.protocols.dhcpv6.states import (
    Bound,
    Confirming,
    Declining,
    Informed,
    Informing,
    NoLink,
    Rebinding,
    Releasing,
    Renewing,
    Requesting,
    Revalidating,
    Soliciting,
    State,
    Stopped,
    earliest,
)
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.machine import Dropped, Start, Stop, Tick
from routerd.protocols.malformed import Malformed

FLAP = 3.0
"""A carrier that was away for no longer than this was never away (C11)."""


class Client:
    """One client on one link; `routerd.protocols.machine` has the contract.

    `rng` is its only randomness. `remembered` is what an earlier life of the router knew.
    """

    def __init__(self, settings: Settings, rng: random.Random, remembered: Memory | None = None) -> None:
        self._station = Station(settings, rng, remembered)

    @property
    def state(self) -> State:
        """The present state: the exchange under way, or silence."""
        return self._station.state

    @property
    def bindings(self) -> dict[Association, Binding]:
        """What is held now, by association."""
        return dict(self._station.bindings)

    @property
    def former(self) -> tuple[Former, ...]:
        """Prefixes in no binding any more, of which the LAN must go on hearing (V6-22)."""
        return self._station.former

    @property
    def information(self) -> Information | None:
        """Other configuration as last told."""
        return self._station.information

    @property
    def memory(self) -> Memory:
        """What must be written down, that the next life may go on from here."""
        station = self._station
        if station.remembered is not None:
            return station.remembered
        bindings = tuple(station.bindings.values())
        trusted = True
        match station.state:
            case Revalidating(unconfirmed=(_, *_) as unsure) if not bindings:
                bindings, trusted = unsure, False
        return Memory(
            bindings,
            station.former,
            dict(station.last),
            station.information,
            station.sol_max_rt,
            station.inf_max_rt,
            station.replay,
            trusted,
        )

    @property
    def deadline(self) -> float | None:
        """When a Tick is due. None: stopped, without a link, or bound without end; nothing to wait for then."""
        station = self._station
        return earliest(
            station.state.deadline,
            station.paced(station.state.send_at),
            losing.next_end(station),
            station.revalidate_at,
            self._flap_ends_at,
            None if station.command is None else station.command.until,
        )

    def handle(self, event: Input | Start | Stop | Tick, now: float) -> list[outputs.Output]:
        """Take one input at time `now`; return everything that follows from it, in order."""
        station = self._station
        said = station.out = list[outputs.Output]()
        self._end_what_is_over(now)  # before anything else, however late the Tick is (C3)
        match event:
            case Tick():
                pass
            case Received(message, unicast=unicast):
                self._receive(message, unicast, now)
            case SendFailed():
                pass  # it was counted as a transmission when it was said; its timer runs on
            case LinkUp():
                self._link_up(event, now)
            case LinkDown():
                self._link_down(now)
            case LinkGone():
                self._link_gone(now)
            case Conflict(address):
                losing.contested(station, address, now)
            case NetworkChanged():
                extending.network_changed(station, now)
            case Renew() | Rebind():
                commands.extend(station, event, now)
            case RequestInformation():
                commands.request_information(station, now)
            case Release():
                commands.release(station, now)
            case Flush():
                commands.flush(station, now)
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
        reason = replies.mismatch(message, state, station.settings, unicast=unicast)
        if reason is not None:
            station.drop(reason, message)
            return
        if message.type is MessageType.RECONFIGURE:
            self._reconfigure(message, now)
            return
        said = answer.read(message, station.settings.request)
        match state, message.type:
            case Soliciting(), MessageType.ADVERTISE:
                soliciting.advertised(station, state, message, said, now)
            case ((Soliciting() | Requesting()), _):
                soliciting.replied(station, state, message, said, now)
            case ((Renewing() | Rebinding() | Revalidating()), _):
                extending.replied(station, state, message, said, now)
            case Confirming(), _:
                extending.confirmed(station, message, said, now)
            case Informing(), _:
                informing.replied(station, message, said, now)
            case Declining(), _:
                losing.declined(station, state, now)
            case Releasing(), _:
                losing.released(station, state, now, heard=True)

    def _reconfigure(self, message: Message, now: float) -> None:
        """The server wants us to speak: obeyed only from who knows our key, and between exchanges (§18.2.11)."""
        station = self._station
        if not station.settings.reconfigure:
            station.drop("reconfigure-refused", message)
            return
        replay = auth.verify(message, station.key, station.replay)
        server_id, order = message.first(OptionCode.SERVER_ID), message.first(OptionCode.RECONFIGURE_MESSAGE)
        if isinstance(replay, Malformed) or server_id is None:
            station.drop(replay.reason if isinstance(replay, Malformed) else "unauthenticated", message)
            return
        match order, self.state:
            case b"\5", Bound():
                self._obey(outputs.Reconfigured(server_id, "renew"), replay)
                extending.renew(station, now)
            case b"\6", Bound():
                self._obey(outputs.Reconfigured(server_id, "rebind"), replay)
                extending.rebind(station, now)
            case b"\x0b", (Bound() | Informed()):
                self._obey(outputs.Reconfigured(server_id, "info-request"), replay)
                informing.ask(station, now)
            case ((b"\5" | b"\6" | b"\x0b"), _):
                station.drop("busy", message)
            case _:
                station.drop("bad-order", message)

    def _obey(self, order: outputs.Reconfigured, replay: int) -> None:
        self._station.replay = replay
        self._station.say(order)

    # What time does

    def _end_what_is_over(self, now: float) -> None:
        station = self._station
        end = losing.next_end(station)
        if _is_due(end, now):
            losing.end_what_is_over(station, now)
            losing.after_the_end(station, now)

    def _tick(self, now: float) -> None:
        while (deadline := self.deadline) is not None and deadline <= now:
            self._due(now)

    def _due(self, now: float) -> None:
        """Do the most pressing of what is due: ends first, speaking last."""
        station = self._station
        if _is_due(losing.next_end(station), now):
            self._end_what_is_over(now)
        elif _is_due(self._flap_ends_at, now):
            self._leave_the_link()
        elif station.command is not None and _is_due(station.command.until, now):
            commands.lose_patience(station, now)
        elif _is_due(station.revalidate_at, now):
            station.revalidate_at = None
            if isinstance(station.state, Bound | Renewing | Rebinding):
                station.finish(False, "the network has changed meanwhile")
                extending.revalidate(station, now)
        elif _is_due(station.state.deadline, now):
            self._time_out(now)
        else:
            station.transmit(now)

    def _time_out(self, now: float) -> None:
        station = self._station
        match station.state:
            case Bound():
                extending.wake(station, now)
            case Informed():
                informing.ask(station, now)
            case Soliciting() as state:
                soliciting.choose(station, state, now)
            case Requesting() as state:
                detail = f"server {state.chosen.server_id.hex(':')} does not answer the Request for what it offered"
                soliciting.next_server(station, state, "no-answer", detail, now)
            case Renewing():
                extending.rebind(station, now)
            case Confirming() | Revalidating() as state:
                extending.unconfirmed(station, state, now)
            case Informing():
                station.finish(False, "the leases want to be renewed first")
                station.rest()
            case Declining() as state:
                losing.declined(station, state, now)
            case Releasing() as state:
                losing.released(station, state, now, heard=False)

    # What the link does

    def _link_up(self, link: LinkUp, now: float) -> None:
        station = self._station
        before, had_carrier = station.link, station.carrier
        station.link, station.carrier, station.carrier_lost_at = link, True, None
        if isinstance(station.state, Stopped | Releasing):
            return
        if before is not None and _is_another(before, link):
            # Another link identity (C14): what was granted to the old one is not ours here. Who we are stays.
            losing.lose_all(station, "link-changed", now)
            self._forget_the_link()
            self._acquire(now)
        elif not had_carrier or before is None or before.ifindex != link.ifindex:
            self._acquire(now)

    def _link_down(self, now: float) -> None:
        station = self._station
        if not station.carrier:
            return
        station.carrier = False
        if isinstance(station.state, Stopped | Releasing):
            return
        if station.bindings:
            station.carrier_lost_at = now  # and wait whether it is a flap
        else:
            self._leave_the_link()

    def _link_gone(self, now: float) -> None:
        station = self._station
        link, station.link, station.carrier, station.carrier_lost_at = station.link, None, False, None
        match station.state:
            case Stopped():
                return
            case Releasing():
                self._cut_short()
                return
        if link is None or link.mac:
            losing.lose_all(station, "link-gone", now)
            self._forget_the_link()
        self._leave_the_link()

    def _leave_the_link(self) -> None:
        """Nothing can be said any more. What is held stays, what was being confirmed is so later."""
        station = self._station
        station.carrier_lost_at = station.revalidate_at = None
        station.finish(False, "the link is down")
        self._keep_unconfirmed()
        station.enter(NoLink())

    def _keep_unconfirmed(self) -> None:
        match self.state:
            case Revalidating(unconfirmed=(_, *_)):
                self._station.remembered = self.memory

    def _forget_the_link(self) -> None:
        """What was told by and about a link that is another one now (V6-28)."""
        station = self._station
        station.sol_max_rt = station.inf_max_rt = DEFAULT_MAX_RT
        station.information = station.key = station.last_server = station.remembered = None

    @property
    def _flap_ends_at(self) -> float | None:
        since = self._station.carrier_lost_at
        return None if since is None else since + FLAP

    # Beginning and end

    def _start(self, now: float) -> None:
        station = self._station
        if isinstance(station.state, Releasing):
            self._cut_short()
        if not isinstance(station.state, Stopped):
            return
        if station.remembered is not None:
            self._recall(station.remembered, now)
        self._acquire(now)

    def _recall(self, memory: Memory, now: float) -> None:
        """Take up what an earlier life knew: use what is surely still ours, confirm it, ask for the rest again (C4)."""
        station = self._station
        station.former, station.last, station.replay = memory.former, dict(memory.last), memory.replay
        station.sol_max_rt, station.inf_max_rt = memory.sol_max_rt, memory.inf_max_rt
        station.information = memory.information
        if not memory.trusted:
            return
        station.remembered = None
        wanted = frozenset(station.settings.associations)
        for binding in memory.bindings:
            if binding.association in wanted:
                station.bindings[binding.association] = binding
        losing.end_what_was_over(station, now)
        for binding in station.bindings.values():
            station.say(outputs.Resumed(binding))
        station.bound_at = now if station.bindings else None
        if station.information is not None:
            station.say(outputs.Informed(station.information, None, ()))

    def _acquire(self, now: float) -> None:
        """Begin as the link, the settings and our memory allow."""
        station = self._station
        station.finish(False, "the link has changed")
        unsure, wanted = station.remembered, station.settings.associations
        if not station.carrier:
            station.enter(NoLink())
        elif not wanted:
            informing.ask(station, now)
        elif station.bindings:
            extending.revalidate(station, now)
        elif unsure is not None and (known := tuple(b for b in unsure.bindings if b.association in wanted)):
            station.remembered = None
            extending.revalidate(station, now, known)
        else:
            station.remembered = None
            station.solicit(now)

    def _stop(self, release: bool, now: float) -> None:
        station = self._station
        match station.state:
            case Stopped():
                return
            case Releasing():
                self._cut_short()
                return
        station.finish(False, "the client was stopped")
        station.carrier_lost_at = station.revalidate_at = None
        if release:
            station.remembered = None
            losing.give_back(station, "stopped", now)
            return
        station.remembered = self.memory  # a restart is not a loss (V6-27)
        station.bindings.clear()
        station.former = ()
        station.enter(Stopped())

    def _cut_short(self) -> None:
        """The servers will not be told any more."""
        self._station.enter(Stopped())
        self._station.finish(True, "the leases were dropped; no server has confirmed it")


def _is_another(before: LinkUp, link: LinkUp) -> bool:
    """Whether it is another link than before (C14). A point-to-point interface that comes again is not (V6-31)."""
    return before.mac != link.mac or (bool(link.mac) and before.ifindex != link.ifindex)


def _is_due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
