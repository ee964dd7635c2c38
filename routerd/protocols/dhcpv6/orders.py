"""What a server may order: Reconfigure (RFC 9915 §18.2.11), from who knows our key, and between exchanges."""

from __future__ import annotations

from routerd.protocols.dhcpv6 import auth, extending, informing, outputs
from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.dhcpv6.states import Bound, Informed
from routerd.protocols.dhcpv6.station import Station
from routerd.protocols.malformed import Malformed


def obey(station: Station, message: Message, now: float) -> None:
    """Do what a Reconfigure says, or drop it."""
    if not station.settings.reconfigure:
        station.drop("reconfigure-refused", message)
        return
    replay = auth.verify(message, station.key, station.replay)
    server_id, order = message.first(OptionCode.SERVER_ID), message.first(OptionCode.RECONFIGURE_MESSAGE)
    if isinstance(replay, Malformed) or server_id is None:
        station.drop(replay.reason if isinstance(replay, Malformed) else "unauthenticated", message)
        return
    match order, station.state:
        case b"\5", Bound():
            _accept(station, outputs.Reconfigured(server_id, "renew"), replay)
            extending.renew(station, now)
        case b"\6", Bound():
            _accept(station, outputs.Reconfigured(server_id, "rebind"), replay)
            extending.rebind(station, now)
        case b"\x0b", (Bound() | Informed()):
            _accept(station, outputs.Reconfigured(server_id, "info-request"), replay)
            informing.ask(station, now)
        case ((b"\5" | b"\6" | b"\x0b"), _):
            station.drop("busy", message)
        case _:
            station.drop("bad-order", message)


def _accept(station: Station, order: outputs.Reconfigured, replay: int) -> None:
    station.replay = replay
    station.say(order)
