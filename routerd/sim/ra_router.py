"""A router on a simulated segment that advertises itself: what the provider's end of the line says beside DHCPv6
(RFC 4861 §6.2). It says what it is told to; hosts are not its business."""

from __future__ import annotations

from ipaddress import IPv6Address

import attrs

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import (
    ALL_NODES,
    NdpMessage,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)
from routerd.sim.ethernet import Segment
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack, unpack
from routerd.sim.timeline import Timeline


class RaRouter:
    """It advertises every `interval` seconds from `open` on, and to who asks.

    `advertisement` may be replaced at any time; what is new is told with `advertise`, or when it is due. None: silent,
    as one that has crashed; its neighbours are not answered, either.
    """

    def __init__(
        self,
        timeline: Timeline,
        segment: Segment,
        mac: bytes,
        address: IPv6Address,
        advertisement: RouterAdvertisement | None,
        *,
        interval: float = 200.0,
    ) -> None:
        self.advertisement = advertisement
        self.address = address
        self.asked = 0
        """Solicitations that it has heard."""
        self.port = segment.attach(mac, self._receive, addresses=[address])
        self._timeline = timeline
        self._interval = interval

    def open(self, now: float) -> None:
        """Begin to advertise."""

        def due(now: float) -> None:
            self.advertise(now)
            self._timeline.at(now + self._interval, due)

        due(now)

    def advertise(self, now: float) -> None:
        """Tell everybody, now."""
        if self.advertisement is not None:
            self._send(self._complete(self.advertisement), ALL_NODES, multicast_mac(ALL_NODES), now)

    def cease(self, now: float) -> None:
        """Be a router no more, and say so (RFC 4861 §6.2.5)."""
        if self.advertisement is not None:
            last = attrs.evolve(self._complete(self.advertisement), lifetime=0)
            self._send(last, ALL_NODES, multicast_mac(ALL_NODES), now)
            self.advertisement = None

    def _complete(self, advertisement: RouterAdvertisement) -> RouterAdvertisement:
        return attrs.evolve(advertisement, link_address=self.port.mac)

    def _receive(self, frame: bytes, now: float) -> None:
        packet = unpack(frame)
        if isinstance(packet, Malformed) or packet.next_header != ICMPV6 or packet.hop_limit != 255:
            return
        message, asker = wire.decode(packet.payload), frame[6:12]
        if isinstance(message, RouterSolicitation):
            self.asked += 1
        if self.advertisement is None:
            return
        match message:
            case RouterSolicitation() if packet.source.is_unspecified:
                self.advertise(now)
            case RouterSolicitation():
                self._send(self._complete(self.advertisement), packet.source, asker, now)
            case NeighborSolicitation(target=target) if target == self.address:
                here = NeighborAdvertisement(
                    target, router=True, solicited=True, override=True, link_address=self.port.mac
                )
                self._send(here, packet.source, asker, now)

    def _send(self, message: NdpMessage, target: IPv6Address, mac: bytes, now: float) -> None:
        packet = Packet6(self.address, target, ICMPV6, wire.encode(message))
        self.port.send(pack(packet, source_mac=self.port.mac, target_mac=mac), now)
