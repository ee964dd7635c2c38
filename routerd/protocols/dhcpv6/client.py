"""The DHCPv6 client: RFC 9915 §18.2 as a machine, for any number of addresses and prefixes on one link.

Here is what happens when; what then happens is in `soliciting`, `extending`, `informing` and `losing`, what it can be
in in `states`, what it is told in `inputs`, and what it answers in `outputs`. `link` and `lifetime` are how it begins
and ends.
"""

from __future__ import annotations

import random

from routerd.protocols.dhcpv6 import (
    answer,
    commands,
    extending,
    informing,
    lifetime,
    link,
    losing,
    orders,
    outputs,
    replies,
    soliciting,
    taking,
)
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.inputs import (
    Conflict,
    Flush,
    Input,
    Leave,
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
from routerd.protocols.dhcpv6.memory import Former, Memory
from routerd.protocols.dhcpv6.message import Message, MessageType
from routerd.protocols.dhcpv6.settings import Settings
from routerd.protocols.dhcpv6.states import (
    Bound,
    Confirming,
    Declining,
    Informed,
    Informing,
    Rebinding,
    Releasing,
    Renewing,
    Requesting,
    Revalidating,
    Soliciting,
    State,
)
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.machine import Dropped, Start, Stop, Tick, earliest


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
        return self._station.memory

    @property
    def deadline(self) -> float | None:
        """When a Tick is due. None: stopped, without a link, or bound without end; nothing to wait for then."""
        station = self._station
        return earliest(
            station.state.deadline,
            station.paced(station.state.send_at),
            losing.next_end(station),
            station.revalidate_at,
            link.flap_ends_at(station),
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
                link.up(station, event, now)
            case LinkDown():
                link.down(station, now)
            case LinkGone():
                link.gone(station, now)
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
                lifetime.start(station, now)
            case Leave(given_back):
                lifetime.leave(station, given_back, now)
            case Stop(release):
                lifetime.stop(station, release, now)
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
            orders.obey(station, message, now)
            return
        said = answer.read(message, station.settings.request)
        if message.type is MessageType.REPLY:  # §18.2.10: also of one that says no
            taking.pace(station, said.sol_max_rt, said.inf_max_rt)
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
        elif _is_due(link.flap_ends_at(station), now):
            link.leave(station)
        elif station.command is not None and _is_due(station.command.until, now):
            commands.lose_patience(station, now)
        elif _is_due(station.revalidate_at, now):
            self._look_around(now)
        elif _is_due(station.state.deadline, now):
            self._time_out(now)
        else:
            station.transmit(now)

    def _look_around(self, now: float) -> None:
        """Ask whether what is known holds on the network as it is now (§18.2.12)."""
        station = self._station
        station.revalidated_at, station.revalidate_at = now, None
        match station.state:
            case Bound() | Renewing() | Rebinding():
                station.finish(False, "the network has changed meanwhile")
                extending.revalidate(station, now)
            case Informed():
                informing.ask(station, now)

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


def _is_due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
