"""A host on a simulated LAN that believes what routers advertise: addresses by SLAAC, default routers, DNS servers.

Written from the RFCs (4861 §6.3.4, 4862 §5.5.3, 8106) for a host that judges its router: it keeps what it has used and
since when. It has no duplicate addresses, and asks for routers once, when it is switched on.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import ALL_ROUTERS, INFINITE, Prefix, RouterAdvertisement, RouterSolicitation
from routerd.sim.ethernet import Segment
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack, unpack

TWO_HOURS = 7200.0
_FOREVER = float("inf")


@attrs.frozen
class Owned:
    """An address of the host, until when connections may begin with it and until when it may be used at all."""

    address: IPv6Address
    preferred_until: float
    valid_until: float


class SlaacHost:
    """`addresses` by the prefix they are of, `routers` by until when. `heard`: every advertisement with its time.
    `believed` is called after each of them, with the time."""

    def __init__(self, segment: Segment, mac: bytes, *, believed: Callable[[float], None] = lambda _: None) -> None:
        self._believed = believed
        self.addresses: dict[IPv6Network, Owned] = {}
        self.routers: dict[IPv6Address, float] = {}
        self.name_servers: dict[IPv6Address, float] = {}
        self.mtu: int | None = None
        self.heard: list[tuple[float, RouterAdvertisement]] = []
        self.address = IPv6Address(b"\xfe\x80" + bytes(6) + _interface_id(mac))
        self.port = segment.attach(mac, self._receive, addresses=[self.address])

    def ask(self, now: float) -> None:
        """Ask for routers."""
        payload = wire.encode(RouterSolicitation(self.port.mac))
        packet = Packet6(self.address, ALL_ROUTERS, ICMPV6, payload)
        self.port.send(pack(packet, source_mac=self.port.mac, target_mac=multicast_mac(ALL_ROUTERS)), now)

    def preferred(self, now: float) -> list[IPv6Address]:
        """The addresses that a new connection may begin with."""
        return [one.address for one in self.addresses.values() if one.preferred_until > now and one.valid_until > now]

    def usable(self, now: float) -> list[IPv6Address]:
        """The addresses that a connection that there is may go on with."""
        return [one.address for one in self.addresses.values() if one.valid_until > now]

    def default_routers(self, now: float) -> list[IPv6Address]:
        """By which it reaches the world."""
        return [address for address, until in self.routers.items() if until > now]

    def _receive(self, frame: bytes, now: float) -> None:
        packet = unpack(frame)
        if isinstance(packet, Malformed) or packet.next_header != ICMPV6 or packet.hop_limit != 255:
            return
        message = wire.decode(packet.payload)
        mine = packet.target.is_multicast or packet.target == self.address
        if mine and isinstance(message, RouterAdvertisement) and packet.source.is_link_local:
            self._believe(message, packet.source, now)

    def _believe(self, advertisement: RouterAdvertisement, router: IPv6Address, now: float) -> None:
        self.heard.append((now, advertisement))
        self.routers[router] = now + advertisement.lifetime
        self.mtu = advertisement.mtu or self.mtu
        for servers in advertisement.name_servers:
            self.name_servers |= dict.fromkeys(servers.addresses, _end(servers.lifetime, now))
        for prefix in advertisement.prefixes:
            if prefix.autonomous and prefix.preferred <= prefix.valid and not prefix.prefix.is_link_local:
                self._configure(prefix, now)
        self._believed(now)

    def _configure(self, told: Prefix, now: float) -> None:
        """§5.5.3 d, e: an advertisement may end the use of an address for what is new at once, but not sooner than in
        two hours for what there is."""
        known = self.addresses.get(told.prefix)
        if known is not None and known.valid_until > now:
            left = known.valid_until - now
            if told.valid > TWO_HOURS or told.valid > left:
                until = _end(told.valid, now)
            else:
                until = known.valid_until if left <= TWO_HOURS else now + TWO_HOURS
        elif told.valid and told.prefix.prefixlen == 64:
            until = _end(told.valid, now)
        else:
            return
        own = IPv6Address(told.prefix.network_address.packed[:8] + _interface_id(self.port.mac))
        self.port.addresses.add(own)
        self.addresses[told.prefix] = Owned(own, _end(told.preferred, now), until)


def _interface_id(mac: bytes) -> bytes:
    """Modified EUI-64 (RFC 4291 appendix A)."""
    return bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def _end(lifetime: int, now: float) -> float:
    return _FOREVER if lifetime == INFINITE else now + lifetime
