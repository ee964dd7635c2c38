"""IPv6 of the simulation: frames as a real kernel makes them, and sockets that hear only what is theirs."""

from __future__ import annotations

import errno
from ipaddress import IPv6Address

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from routerd.endpoints import Marking
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.host.simulated import open_host
from routerd.host.simulated_ipv6 import link_local
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import ALL_NODES, ALL_ROUTERS, RouterAdvertisement, RouterSolicitation
from routerd.sim import packets6
from routerd.sim.packets6 import Packet6, Udp6
from routerd.sim.world import World

MAC = bytes.fromhex("020000000001")
OURS = link_local(MAC).ip
THEIRS = IPv6Address("fe80::2")
PLAIN = Marking(dscp=48)

# A router solicitation as Linux sends it (captured): fe80::fc:ff:fe00:1 to ff02::2.
CAPTURED = bytes.fromhex(
    "333300000002 02fc00000001 86dd 60000000 0010 3a ff"
    "fe8000000000000000fc00fffe000001 ff020000000000000000000000000002"
    "85 00 7635 00000000 01 01 02fc00000001"
)


def test_the_link_local_address_of_a_mac() -> None:
    assert str(link_local(bytes.fromhex("00005e005301"))) == "fe80::200:5eff:fe00:5301/64"


def test_a_frame_with_a_checksum() -> None:
    source = IPv6Address("fe80::fc:ff:fe00:1")
    message = wire.encode(RouterSolicitation(bytes.fromhex("02fc00000001")))
    frame = packets6.pack(
        Packet6(source, ALL_ROUTERS, packets6.ICMPV6, message),
        source_mac=bytes.fromhex("02fc00000001"),
        target_mac=packets6.multicast_mac(ALL_ROUTERS),
    )
    read = packets6.unpack(frame)
    assert isinstance(read, Packet6)
    assert wire.decode(read.payload) == RouterSolicitation(bytes.fromhex("02fc00000001"))
    assert frame[:14] + frame[14:54] == CAPTURED[:54]


@given(st.binary(max_size=100), st.booleans())
def test_whatever_is_packed_is_unpacked(payload: bytes, udp: bool) -> None:
    kind = packets6.UDP if udp else packets6.ICMPV6
    body = packets6.datagram(Udp6(546, 547, payload)) if udp else bytes([133, 0, 0, 0, 0, 0, 0, 0]) + payload
    packet = Packet6(THEIRS, OURS, kind, body)
    read = packets6.unpack(packets6.pack(packet, source_mac=MAC, target_mac=MAC))
    assert isinstance(read, Packet6)
    if udp:
        assert packets6.read_datagram(read) == Udp6(546, 547, payload)


@given(st.integers(14, 69), st.integers(0, 7))
def test_a_flipped_bit_is_seen(octet: int, bit: int) -> None:
    frame = packets6.pack(
        Packet6(THEIRS, OURS, packets6.UDP, packets6.datagram(Udp6(547, 546, b"12345678"))),
        source_mac=MAC,
        target_mac=MAC,
    )
    broken = bytearray(frame)
    broken[octet] ^= 1 << bit
    read = packets6.unpack(bytes(broken))
    unsummed = octet in (14, 15, 16, 17, 21)  # version, class, flow label and hop limit are not in the sum
    assert isinstance(read, Malformed) or unsummed


@given(st.binary(max_size=120))
def test_any_octets(octets: bytes) -> None:
    packets6.unpack(octets)
    packets6.unpack(MAC + MAC + b"\x86\xdd" + octets)


async def test_sockets_on_a_simulated_link() -> None:
    world = World()
    heard: list[Packet6] = []

    def hear(frame: bytes, now: float) -> None:
        packet = packets6.unpack(frame)
        if isinstance(packet, Packet6):
            heard.append(packet)

    neighbour = world.segment("lan").attach(bytes.fromhex("020000000002"), hear, addresses=[THEIRS])
    async with open_host(world, ipv6=True) as host, trio.open_nursery() as nursery:
        nursery.start_soon(world.run)
        link = world.add_link("lan0", "lan", MAC, admin_up=True)
        assert host.owns(link.index, OURS), "its link-local address is there"
        endpoints = SimulatedEndpoints(world)
        async with (
            endpoints.open_ndp(link.index, "lan0", PLAIN) as ndp,
            endpoints.open_dhcpv6(link.index, "lan0", PLAIN) as udp,
        ):
            await ndp.send(wire.encode(RouterSolicitation()), OURS, ALL_ROUTERS)
            await udp.send(b"solicit", OURS, IPv6Address("ff02::1:2"), 547)
            with pytest.raises(OSError, match="fe80::9") as refused:
                await udp.send(b"x", IPv6Address("fe80::9"), THEIRS, 547)
            assert refused.value.errno == errno.EADDRNOTAVAIL
            advertisement = Packet6(THEIRS, ALL_NODES, packets6.ICMPV6, wire.encode(RouterAdvertisement(lifetime=9)))
            reply = Packet6(THEIRS, OURS, packets6.UDP, packets6.datagram(Udp6(49153, 546, b"reply")))
            stray = attrs.evolve(reply, target=IPv6Address("fe80::77"))
            for packet in (advertisement, stray, reply):
                frame = packets6.pack(packet, source_mac=neighbour.mac, target_mac=MAC)
                neighbour.send(frame, world.now())
            with trio.fail_after(5):
                message = await ndp.receive()
                received = await udp.receive()
        nursery.cancel_scope.cancel()
    assert (message.source, message.target, message.hop_limit) == (THEIRS, ALL_NODES, 255)
    assert wire.decode(message.payload) == RouterAdvertisement(lifetime=9)
    assert (received.payload, received.source_port, received.destination) == (b"reply", 49153, OURS)
    assert [(p.source, p.next_header, p.dscp) for p in heard] == [(OURS, 58, 48), (OURS, 17, 48)]


async def test_the_link_local_address_follows_the_link() -> None:
    world = World()
    async with open_host(world, ipv6=True) as host:
        link = world.add_link("lan0", "lan", MAC)
        assert not host.owns(link.index, OURS)
        world.set_link("lan0", admin_up=True)
        assert host.owns(link.index, OURS)
        world.set_link("lan0", admin_up=False)
        assert not host.owns(link.index, OURS)
    async with open_host(World()) as silent:
        silent.world.add_link("lan0", "lan", MAC, admin_up=True)
        assert silent.snapshot().addresses == (), "IPv6 is switched off"
