"""What a kernel does between sockets and frames, as far as DHCPv4 and ARP need it: filters and UDP on one link."""

from __future__ import annotations

import errno
import os
from ipaddress import IPv4Address

from routerd.protocols.dhcpv4 import frame
from routerd.protocols.dhcpv4.message import BROADCAST, CLIENT_PORT
from routerd.protocols.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, payload_offset
from routerd.protocols.malformed import Malformed
from routerd.sim.ethernet import BROADCAST_MAC
from routerd.sim.world import World


def is_arp(data: bytes) -> bool:
    """Whether the tap `arp` lets this frame through."""
    return not isinstance(payload_offset(data, ETHERTYPE_ARP), Malformed)


def is_dhcpv4(data: bytes) -> bool:
    """Whether the tap `dhcpv4` lets this frame through: UDP to port 68, unfragmented or a first fragment."""
    at = payload_offset(data, ETHERTYPE_IPV4)
    if isinstance(at, Malformed) or len(data) < at + 20:
        return False
    udp = at + (data[at] & 0x0F) * 4
    first_fragment = int.from_bytes(data[at + 6 : at + 8]) & 0x1FFF == 0
    return data[at + 9] == 17 and first_fragment and data[udp + 2 : udp + 4] == CLIENT_PORT.to_bytes(2)


def received_datagram(world: World, index: int, data: bytes) -> frame.Encapsulated | None:
    """The UDP datagram to port 68 in a frame, if it came whole and to an address of the router or to all."""
    datagram = frame.unpack(data, checksum_known_good=False)
    if isinstance(datagram, Malformed):
        return None
    return datagram if datagram.destination == BROADCAST or world.owns(index, datagram.destination) else None


def send_datagram(
    world: World, index: int, payload: bytes, source: IPv4Address, destination: IPv4Address, port: int, dscp: int
) -> None:
    """Send a datagram from port 68 by this link. No ARP is spoken: the segment knows who has `destination`.

    Raises OSError: EADDRNOTAVAIL when `source` is not ours, EHOSTUNREACH when nobody has `destination`, and what
    `World.send` raises.
    """
    link = world.link(index)
    if not world.owns(index, source):
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL), str(source))
    target = BROADCAST_MAC if destination == BROADCAST else world.resolve(index, destination)
    if target is None and link.carrier:
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH), str(destination))
    data = frame.pack(
        payload,
        source_mac=link.mac,
        target_mac=target or BROADCAST_MAC,
        source=source,
        target=destination,
        source_port=CLIENT_PORT,
        target_port=port,
        dscp=dscp,
        identification=0,
    )
    world.send(index, data)
