"""The ports of a client: what is open when, what comes in by them, and what becomes of them when the link goes."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd.daemons.dhcpv4_ports import Ports
from routerd.endpoints import Frame, Marking
from routerd.endpoints.simulated import SimulatedEndpoints
from routerd.protocols.arp import wire as arp_wire
from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import frame as dhcp_frame
from routerd.protocols.dhcpv4 import wire as dhcp_wire
from routerd.protocols.dhcpv4.inputs import Input, Received, ReceivedArp
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv4.outputs import Send, SendArp
from routerd.sim.ethernet import Port
from routerd.sim.world import World

OWN, SERVER = IPv4Address("203.0.113.50"), IPv4Address("203.0.113.1")
SERVER_MAC = bytes.fromhex("02005e711301")
BROADCAST_MAC = b"\xff" * 6


def answer(xid: int = 7) -> Message:
    return Message(Op.BOOTREPLY, MessageType.ACK, xid, bytes(6), options={54: SERVER.packed})


def datagram(payload: bytes, target: IPv4Address, mac: bytes) -> bytes:
    return dhcp_frame.pack(
        payload,
        source_mac=SERVER_MAC,
        target_mac=mac,
        source=SERVER,
        target=target,
        source_port=67,
        target_port=68,
        dscp=0,
        identification=1,
    )


@attrs.define
class Watched:
    """Endpoints that note which taps are open, and fail when they are told to."""

    inner: SimulatedEndpoints
    open: list[str] = attrs.field(factory=list)
    refuse: Callable[[str], None] = lambda what: None
    slow_close: float = 0.0
    wrap: Callable[[Any], Any] = lambda endpoint: endpoint

    @asynccontextmanager
    async def open_packet(self, index: int, name: str, tap: Any, marking: Marking) -> AsyncIterator[Any]:
        self.refuse(tap)
        async with self.inner.open_packet(index, name, tap, marking) as endpoint:
            self.open.append(tap)
            try:
                yield self.wrap(endpoint)
            finally:
                self.open.remove(tap)
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.slow_close)

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[Any]:
        self.refuse("udp")
        return self.inner.open_dhcpv4(index, name, marking)


@attrs.define
class Rig:
    """Ports on a simulated link, and the station of the server at the other end of the cable."""

    world: World
    endpoints: Watched
    ports: Ports
    server: Port
    heard: list[Input]
    dropped: Counter[str]
    on_wire: list[bytes]

    def say(self, frame: bytes) -> None:
        self.server.send(frame, self.world.now())


@asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    world = World()
    link = world.add_link("eth0", "segment", admin_up=True)
    world.owns = lambda index, address: address == OWN
    on_wire: list[bytes] = []
    server = world.segment("segment").attach(SERVER_MAC, lambda frame, now: on_wire.append(frame), addresses=[SERVER])
    watched = Watched(SimulatedEndpoints(world))
    heard: list[Input] = []
    dropped: Counter[str] = Counter()

    def drop(reason: str) -> None:
        dropped[reason] += 1

    ports = Ports(watched, link, Marking(dscp=48), heard.append, drop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run)
        await nursery.start(ports.run)
        yield Rig(world, watched, ports, server, heard, dropped, on_wire)
        nursery.cancel_scope.cancel()


@pytest.mark.req("V4-38")
async def test_taps_are_open_while_they_are_listened_to(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        assert rig.endpoints.open == []
        await rig.ports.listen({"dhcpv4", "arp"})
        assert sorted(rig.endpoints.open) == ["arp", "dhcpv4"]
        await rig.ports.listen({"arp"})
        await wait_all_tasks_blocked()
        assert rig.endpoints.open == ["arp"]
        await rig.ports.listen(())
        await wait_all_tasks_blocked()
        assert rig.endpoints.open == []


async def test_a_tap_that_is_opened_again_before_its_end_has_come_stays(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.endpoints.slow_close = 1.0
        for _ in range(30):  # trio lets the end of the one and the beginning of the other come in any order
            await rig.ports.listen(())
            await rig.ports.listen({"dhcpv4"})
        await trio.sleep(5)
        rig.say(datagram(dhcp_wire.encode(answer()), OWN, rig.world.link("eth0").mac))
        await trio.sleep(1)
        assert len(rig.heard) == 1, "by the tap, and not by UDP as well"
        await rig.ports.listen(())
        await trio.sleep(5)
        assert rig.endpoints.open == []


@pytest.mark.req("V4-38")
async def test_without_a_tap_answers_come_by_udp(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.say(datagram(dhcp_wire.encode(answer()), OWN, rig.world.link("eth0").mac))
        await trio.sleep(1)
        [received] = rig.heard
        assert isinstance(received, Received)
        assert (received.message.xid, received.source, received.source_port, received.unicast) == (7, SERVER, 67, True)


@pytest.mark.req("V4-38", "breaks")
async def test_with_a_tap_each_answer_comes_once(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        await rig.ports.listen({"dhcpv4"})
        rig.say(datagram(dhcp_wire.encode(answer(1)), OWN, rig.world.link("eth0").mac))
        rig.say(datagram(dhcp_wire.encode(answer(2)), IPv4Address("255.255.255.255"), BROADCAST_MAC))
        await trio.sleep(1)
        assert [(e.message.xid, e.unicast) for e in rig.heard if isinstance(e, Received)] == [(1, True), (2, False)]
        assert len(rig.heard) == 2


async def test_arp_is_heard_by_its_tap(autojump_clock: MockClock) -> None:
    packet = ArpPacket(ArpOp.REQUEST, SERVER_MAC, SERVER, bytes(6), OWN)
    async with rigged() as rig:
        await rig.ports.listen({"arp"})
        rig.say(arp_wire.pack_frame(packet, source_mac=SERVER_MAC, target_mac=BROADCAST_MAC))
        await trio.sleep(1)
        assert rig.heard == [ReceivedArp(packet)]


@pytest.mark.req("C6", "breaks")
async def test_what_is_malformed_is_counted_by_reason_and_goes_no_further(autojump_clock: MockClock) -> None:
    own_mac = bytes.fromhex("020000000001")
    async with rigged() as rig:
        rig.say(datagram(b"rubbish", OWN, own_mac))
        await trio.sleep(1)
        by_udp = rig.dropped.total()
        await rig.ports.listen({"dhcpv4", "arp"})
        rig.say(datagram(b"rubbish", OWN, own_mac))
        rig.say(BROADCAST_MAC + SERVER_MAC + b"\x08\x06" + b"\0" * 28)
        await trio.sleep(1)
        assert by_udp == 1
        assert rig.dropped.total() == 3
        assert rig.heard == []


class Loud:
    """A tap on which everything that was sent comes back, as AF_PACKET's does."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._back, self._frames = trio.open_memory_channel[Frame](10)

    async def receive(self) -> Frame:
        return await self._frames.receive()

    async def send(self, frame: bytes) -> None:
        self._back.send_nowait(Frame(frame, ours=True))
        await self._inner.send(frame)


@pytest.mark.req("ARP-3")
async def test_our_own_frames_are_not_heard(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.endpoints.wrap = Loud
        await rig.ports.listen({"arp"})
        await rig.ports.send_arp(SendArp(ArpPacket(ArpOp.REQUEST, bytes(6), IPv4Address(0), bytes(6), OWN)))
        await trio.sleep(1)
        assert len(rig.on_wire) == 1
        assert rig.heard == []


# Sending


async def test_what_has_no_source_leaves_raw(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        await rig.ports.listen({"dhcpv4"})
        await rig.ports.send(Send(answer(1)))
        await rig.ports.send(Send(answer(2)))
        await trio.sleep(1)
        one, two = rig.on_wire
        assert one[:6] == BROADCAST_MAC
        assert one[15] >> 2 == 48, "DSCP (C12)"
        assert one[26:38] == bytes(4) + b"\xff" * 4 + bytes((0, 68, 0, 67)), "from nobody to everybody, port 68 to 67"
        assert one[18:20] != two[18:20], "each with its own identification"


async def test_a_raw_frame_leaves_without_a_tap_too(autojump_clock: MockClock) -> None:
    """A DECLINE or an announcement: nobody listens then, and nothing is left open."""
    async with rigged() as rig:
        await rig.ports.send(Send(answer()))
        await rig.ports.send_arp(SendArp(ArpPacket(ArpOp.REQUEST, bytes(6), OWN, bytes(6), OWN)))
        await trio.sleep(1)
        assert len(rig.on_wire) == 2
        assert rig.endpoints.open == []


@pytest.mark.req("V4-32")
async def test_what_has_a_source_leaves_by_udp_from_there(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        await rig.ports.send(Send(answer(), SERVER, OWN))
        await trio.sleep(1)
        [frame] = rig.on_wire
        assert frame[:6] == SERVER_MAC
        assert frame[26:34] == OWN.packed + SERVER.packed


@pytest.mark.req("V4-39", "breaks")
async def test_a_send_that_fails_says_so(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.world.set_link("eth0", admin_up=False)
        for attempt in (rig.ports.send(Send(answer())), rig.ports.send(Send(answer(), SERVER, OWN))):
            with pytest.raises(OSError) as caught:
                await attempt
            assert caught.value.errno == errno.ENETDOWN
        rig.world.set_link("eth0", admin_up=True)
        await rig.ports.send(Send(answer()))


# Ends


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EPERM, errno.ENODEV])
async def test_sockets_that_cannot_be_had_are_the_callers_to_judge(number: int, autojump_clock: MockClock) -> None:
    """A bare OSError, whose number can be looked at."""
    world = World()
    link = world.add_link("eth0", "segment")
    watched = Watched(SimulatedEndpoints(world), refuse=_refusing("udp", number))
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError) as caught:
            await nursery.start(Ports(watched, link, Marking(), _nothing, lambda reason: None).run)
        assert caught.value.errno == number


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENODEV, errno.EMFILE])
async def test_a_tap_that_cannot_be_opened_does_not_end_the_others(number: int, autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.endpoints.refuse = _refusing("arp", number)
        with pytest.raises(OSError) as caught:
            await rig.ports.listen({"dhcpv4", "arp"})
        assert caught.value.errno == number
        rig.endpoints.refuse = lambda what: None
        await rig.ports.listen({"dhcpv4", "arp"})
        assert sorted(rig.endpoints.open) == ["arp", "dhcpv4"]


def _nothing(event: Input) -> None:
    pass


def _refusing(what: str, number: int) -> Callable[[str], None]:
    def refuse(opened: str) -> None:
        if opened == what:
            raise OSError(number, os.strerror(number))

    return refuse


async def test_closed_ports_are_gone_and_say_so(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        await rig.ports.listen({"arp"})
        rig.ports.close()
        await wait_all_tasks_blocked()
        assert rig.endpoints.open == []
        for attempt in (rig.ports.listen({"arp"}), rig.ports.send(Send(answer(), SERVER, OWN))):
            with pytest.raises(OSError) as caught:
                await attempt
            assert caught.value.errno == errno.ENODEV
        rig.ports.close()


async def test_ports_that_close_while_a_tap_is_opened_leave_nothing_open(autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.endpoints.refuse = lambda what: rig.ports.close()
        await rig.ports.listen({"arp"})
        await wait_all_tasks_blocked()
        assert rig.endpoints.open == []
        with pytest.raises(OSError, match="the interface is gone"):
            await rig.ports.listen({"arp", "dhcpv4"})


class Broken:
    """A tap that fails after a second."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def receive(self) -> Frame:
        await trio.sleep(1)
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.req("V4-39", "breaks")
@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO])
async def test_a_device_that_is_deleted_ends_its_ports_quietly(number: int, autojump_clock: MockClock) -> None:
    async with rigged() as rig:
        rig.endpoints.wrap = lambda endpoint: Broken(number)
        await rig.ports.listen({"arp"})
        await trio.sleep(2)
        with pytest.raises(OSError, match="the interface is gone"):
            await rig.ports.listen({"arp", "dhcpv4"})


async def test_any_other_trouble_while_reading_is_not_hidden(autojump_clock: MockClock) -> None:
    broken = pytest.RaisesExc(OSError, match="Input/output error")
    with pytest.RaisesGroup(broken, flatten_subgroups=True):
        async with rigged() as rig:
            rig.endpoints.wrap = lambda endpoint: Broken(errno.EIO)
            await rig.ports.listen({"arp"})
            await trio.sleep(2)
