"""The world and the endpoints in it: links are what a kernel would make of them, frames get where they should."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address as A
from ipaddress import IPv4Network

import pytest
import trio
import trio.testing

from routerd.endpoints import Datagram, Endpoints, Frame, Marking
from routerd.endpoints.simulated import QUEUE, SimulatedEndpoints
from routerd.host import Link, LinkChanged
from routerd.protocols.arp import wire as arp
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import frame, wire
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op
from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_server import Server, Settings
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.ethernet import BROADCAST_MAC, Faults
from routerd.sim.world import World

GATEWAY = A("192.0.2.1")
GATEWAY_MAC = bytes.fromhex("02005e001001")
SETTINGS = Settings(GATEWAY, IPv4Network("192.0.2.0/24"), A("192.0.2.50"), A("192.0.2.99"))


@pytest.fixture
def world() -> World:
    world = World(seed=1)
    world.add_link("wan0", "isp", admin_up=True)
    return world


@pytest.fixture
def endpoints(world: World) -> Endpoints:
    return SimulatedEndpoints(world)


@pytest.fixture
def changes(world: World) -> Iterator[list[LinkChanged]]:
    seen: list[LinkChanged] = []
    with world.on_change(seen.append):
        yield seen


def kind_of(error: pytest.ExceptionInfo[OSError]) -> str:
    assert error.value.errno is not None
    return errno.errorcode[error.value.errno]


def test_carrier_needs_the_cable_and_the_administrator(world: World, changes: list[LinkChanged]) -> None:
    world.pull_cable("wan0")
    world.set_link("wan0", admin_up=False)
    world.plug("wan0")
    assert not world.link("wan0").carrier
    world.set_link("wan0", admin_up=True)
    assert world.link("wan0").carrier
    assert [change.after.carrier for change in changes if change.after] == [False, False, True]


def test_a_change_that_changes_nothing_is_not_told(world: World, changes: list[LinkChanged]) -> None:
    world.plug("wan0")
    world.set_link("wan0", admin_up=True, mtu=1500)
    assert changes == []


def test_links_come_and_go_and_indices_do_not_come_again(world: World, changes: list[LinkChanged]) -> None:
    first = world.add_link("lan0", "home", mac=b"\2\2\2\2\2\2", mtu=9000)
    assert first == Link(2, "lan0", b"\2\2\2\2\2\2", 9000, 9000, admin_up=False, carrier=False, arp=True)
    world.remove_link("lan0")
    second = world.add_link("lan0", "home")
    assert second.index == 3
    assert changes == [LinkChanged(None, first), LinkChanged(first, None), LinkChanged(None, second)]
    assert [link.name for link in world.links] == ["wan0", "lan0"]


def test_what_a_kernel_refuses(world: World) -> None:
    with pytest.raises(OSError) as twice:
        world.add_link("wan0", "isp")
    with pytest.raises(OSError) as nowhere:
        world.set_link("wan1", admin_up=True)
    with pytest.raises(OSError) as huge:
        world.set_link("wan0", mtu=9001)
    assert [kind_of(error) for error in (twice, nowhere, huge)] == ["EEXIST", "ENODEV", "EINVAL"]


@pytest.mark.req("C2", "breaks")
async def test_the_world_goes_on_while_the_router_sleeps(
    world: World, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    isp = world.segment("isp").attach(GATEWAY_MAC, lambda data, now: None)
    heard: list[float] = []
    with world.listen("wan0", lambda data, now: heard.append(now)):
        for at in (9.0, 1000.0, 3620.0):
            world.timeline.at(at, lambda now: isp.send(BROADCAST_MAC + GATEWAY_MAC + bytes(46), now))
        await trio.sleep(10)
        world.suspend(3600)
        assert world.now() == 3610
        await trio.sleep(20)
    assert heard == [9.001, 3620.001]


def discover(link: Link) -> bytes:
    return wire.encode(Message(Op.BOOTREQUEST, MessageType.DISCOVER, 1, link.mac))


def broadcast(link: Link) -> bytes:
    return frame.pack(
        discover(link),
        source_mac=link.mac,
        target_mac=BROADCAST_MAC,
        source=ANY,
        target=BROADCAST,
        source_port=68,
        target_port=67,
        identification=1,
    )


def message_in(received: Frame) -> Message:
    outer = frame.unpack(received.data, checksum_known_good=False)
    assert isinstance(outer, frame.Encapsulated)
    message = wire.decode(outer.payload)
    assert isinstance(message, Message)
    return message


async def test_a_tap_hears_the_answer_and_not_itself(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    Dhcpv4Station(world.segment("isp"), GATEWAY_MAC, GATEWAY, Server(SETTINGS))
    link = world.link("wan0")
    async with (
        endpoints.open_packet(link.index, link.name, "dhcpv4", Marking()) as raw,
        endpoints.open_packet(link.index, link.name, "arp", Marking()) as other,
    ):
        await raw.send(broadcast(link))
        assert message_in(await raw.receive()).type is MessageType.OFFER
        with trio.move_on_after(5) as waited:
            await other.receive()
        assert waited.cancelled_caught


async def test_arp_has_its_own_tap(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    Neighbour(world.segment("isp"), GATEWAY_MAC, [GATEWAY])
    link = world.link("wan0")
    probe = ArpPacket(ArpOp.REQUEST, link.mac, ANY, ZERO_MAC, GATEWAY)
    async with endpoints.open_packet(link.index, link.name, "arp", Marking()) as tap:
        await tap.send(arp.pack_frame(probe, source_mac=link.mac, target_mac=BROADCAST_MAC))
        answer = arp.unpack_frame((await tap.receive()).data)
        assert answer == ArpPacket(ArpOp.REPLY, GATEWAY_MAC, GATEWAY, link.mac, ANY)


@pytest.mark.req("V4-32")
async def test_udp_finds_the_server_and_is_found(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    server = Server(SETTINGS)
    Dhcpv4Station(world.segment("isp"), GATEWAY_MAC, GATEWAY, server)
    link = world.link("wan0")
    inform = Message(Op.BOOTREQUEST, MessageType.INFORM, 1, link.mac, ciaddr=A("192.0.2.50"))
    async with endpoints.open_dhcpv4(link.index, link.name, Marking(dscp=48)) as udp:
        await udp.send(wire.encode(inform), A("192.0.2.50"), GATEWAY, 67)
        received = await udp.receive()
    assert (received.source, received.source_port, received.destination) == (GATEWAY, 67, A("192.0.2.50"))
    assert server.violations == []


@pytest.mark.req("C12")
async def test_udp_is_marked(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    sent: list[bytes] = []
    world.segment("isp").witness(lambda data, now: sent.append(data))
    async with endpoints.open_dhcpv4(1, "wan0", Marking(dscp=48)) as udp:
        await udp.send(b"", A("192.0.2.50"), BROADCAST, 67)
    assert sent[0][15] >> 2 == 48


async def test_udp_hears_only_what_is_for_the_router(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    world.owns = lambda index, address: address == A("192.0.2.50")
    got: list[Datagram] = []

    def to(address: A) -> bytes:
        return frame.pack(
            address.packed,
            source_mac=GATEWAY_MAC,
            target_mac=world.link("wan0").mac,
            source=GATEWAY,
            target=address,
            source_port=67,
            target_port=68,
            identification=1,
        )

    isp = world.segment("isp").attach(GATEWAY_MAC, lambda data, now: None)
    async with endpoints.open_dhcpv4(1, "wan0", Marking()) as udp:
        for address in (A("192.0.2.51"), A("192.0.2.50"), BROADCAST):
            isp.send(to(address), world.now())
        isp.send(to(A("192.0.2.50"))[:-1], world.now())
        with trio.move_on_after(5):
            while True:
                got.append(await udp.receive())
        with pytest.raises(OSError) as stranger:
            await udp.send(b"", A("192.0.2.51"), GATEWAY, 67)
    assert [datagram.destination for datagram in got] == [A("192.0.2.50"), BROADCAST]
    assert kind_of(stranger) == "EADDRNOTAVAIL"


@pytest.mark.req("V4-39", "breaks")
async def test_sends_fail_as_they_do_on_a_kernel(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    link = world.link("wan0")
    async with (
        endpoints.open_packet(link.index, link.name, "dhcpv4", Marking()) as raw,
        endpoints.open_dhcpv4(link.index, link.name, Marking()) as udp,
    ):
        with pytest.raises(OSError) as nobody:
            await udp.send(b"", A("192.0.2.50"), GATEWAY, 67)
        with pytest.raises(OSError) as long:
            await raw.send(bytes(1515))
        world.pull_cable("wan0")
        await raw.send(broadcast(link))
        await udp.send(b"", A("192.0.2.50"), GATEWAY, 67)
        world.set_link("wan0", admin_up=False)
        with pytest.raises(OSError) as down:
            await raw.send(broadcast(link))
        world.remove_link("wan0")
        with pytest.raises(OSError) as gone:
            await raw.send(broadcast(link))
        with pytest.raises(OSError) as closed:
            async with endpoints.open_packet(link.index, link.name, "arp", Marking()):
                raise AssertionError("a tap on nothing")
    assert [kind_of(error) for error in (nobody, long, down, gone, closed)] == [
        "EHOSTUNREACH",
        "EMSGSIZE",
        "ENETDOWN",
        "ENODEV",
        "ENODEV",
    ]


async def test_a_slow_reader_loses_frames_and_holds_nobody_up(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    isp = world.segment("isp").attach(GATEWAY_MAC, lambda data, now: None)
    probe = ArpPacket(ArpOp.REQUEST, GATEWAY_MAC, GATEWAY, ZERO_MAC, A("192.0.2.50"))
    async with endpoints.open_packet(1, "wan0", "arp", Marking()) as tap:
        for _ in range(QUEUE + 10):
            isp.send(arp.pack_frame(probe, source_mac=GATEWAY_MAC, target_mac=BROADCAST_MAC), world.now())
        await trio.sleep(1)
        count = 0
        with trio.move_on_after(1):
            while True:
                await tap.receive()
                count += 1
    assert count == QUEUE


async def test_faults_are_the_segments(
    world: World, endpoints: Endpoints, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(world.run)
    Neighbour(world.segment("isp", Faults(loss=1.0)), GATEWAY_MAC, [GATEWAY])
    link = world.link("wan0")
    probe = ArpPacket(ArpOp.REQUEST, link.mac, ANY, ZERO_MAC, GATEWAY)
    async with endpoints.open_packet(1, "wan0", "arp", Marking()) as tap:
        await tap.send(arp.pack_frame(probe, source_mac=link.mac, target_mac=BROADCAST_MAC))
        with trio.move_on_after(5) as waited:
            await tap.receive()
    assert waited.cancelled_caught
