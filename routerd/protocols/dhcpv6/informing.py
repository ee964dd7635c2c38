"""Other configuration by itself: Information-request (RFC 9915 §18.2.6, §21.23)."""

from __future__ import annotations

from routerd.protocols.dhcpv6 import exchange as schedules
from routerd.protocols.dhcpv6 import taking
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.states import Informed, Informing
from routerd.protocols.dhcpv6.station import Station


def ask(station: Station, now: float, *, at_once: bool = False) -> None:
    """Ask everybody. A random moment lies before it unless somebody waits."""
    exchange = station.exchange(schedules.INFORMATION, now, send_at=now if at_once else None)
    station.enter(Informing(exchange, station.wake_at()))


def replied(station: Station, message: Message, answer: Answer, now: float) -> None:
    """Reply: the first one counts."""
    if not answer.status.ok:
        station.drop(answer.status.word, message)
        return
    taking.inform(station, answer, message, always=True)
    if station.bindings:
        station.rest()
    else:
        station.enter(Informed(None if answer.refresh_after is None else now + answer.refresh_after))
    station.finish(True, "a server has answered")
