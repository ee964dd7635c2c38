"""Neighbor Discovery and UDP port 546 on real links between network namespaces."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address

import attrs
import pytest
import trio

from routerd.endpoints import Marking
from routerd.endpoints.linux import LinuxEndpoints
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import ALL_NODES, ALL_ROUTERS, RouterAdvertisement, RouterSolicitation
from tests.endpoints.wires import hear
from tests.lab.netns import Namespace, lay

pytestmark = pytest.mark.lab

ENDPOINTS, PLAIN = LinuxEndpoints(), Marking(dscp=48)
OURS, THEIRS, GLOBAL = IPv6Address("fe80::1"), IPv6Address("fe80::2"), IPv6Address("2001:db8::2")
SERVERS = IPv6Address("ff02::1:2")
ADVERTISEMENT = RouterAdvertisement(lifetime=1800, mtu=1492)


@attrs.frozen
class Cables:
    """The router, in whose namespace the test runs, with two cables to its provider."""

    router: Namespace
    isp: Namespace
    index: int
    other: int

    async def say(self, payload: bytes, source: IPv6Address, target: IPv6Address, hops: int = 255) -> None:
        """An ICMPv6 message from the provider, by its kernel."""

        def send() -> None:
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as channel:
                channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
                channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
                index = socket.if_nametoindex("isp0")
                control = struct.pack("=16si", source.packed, index)
                to = (str(target), 0, 0, index)
                channel.sendmsg([payload], [(socket.IPPROTO_IPV6, 50, control)], 0, to)

        self.isp.call(send)


@pytest.fixture
def cables(namespaces: Callable[[str], Namespace]) -> Iterator[Cables]:
    router, isp = namespaces("router"), namespaces("isp")
    for number in range(2):
        lay(router, f"wan{number}", isp, f"isp{number}")
        for namespace, name, address in ((router, f"wan{number}", OURS), (isp, f"isp{number}", THEIRS)):
            namespace.sysctl(f"net.ipv6.conf.{name}.addr_gen_mode", "1")
            namespace.sysctl(f"net.ipv6.conf.{name}.accept_ra", "0")
            namespace.ip("link", "set", name, "up")
            namespace.ip("addr", "add", f"{address}/64", "dev", name, "nodad")
        router.settle(f"wan{number}")
    isp.ip("addr", "add", f"{GLOBAL}/64", "dev", "isp0", "nodad")
    router.ip("addr", "add", "2001:db8::1/64", "dev", "wan0", "nodad")
    with router.entered():
        yield Cables(router, isp, socket.if_nametoindex("wan0"), socket.if_nametoindex("wan1"))


@pytest.mark.req("C12")
async def test_what_we_say_of_neighbor_discovery_on_the_wire(cables: Cables) -> None:
    def ear() -> socket.socket:
        channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        channel.bind(("isp0", 0x86DD))
        return channel

    with trio.socket.from_stdlib_socket(cables.isp.call(ear)) as end:
        async with ENDPOINTS.open_ndp(cables.index, "wan0", PLAIN) as endpoint:
            await endpoint.send(wire.encode(RouterSolicitation()), OURS, ALL_ROUTERS)
            while (frame := await hear(end))[54] != 133:
                continue
    assert frame[:6] == bytes.fromhex("333300000002")
    assert (frame[21], IPv6Address(frame[22:38]), IPv6Address(frame[38:54])) == (255, OURS, ALL_ROUTERS)
    assert int.from_bytes(frame[14:16]) >> 4 & 0xFF == 48 << 2
    assert wire.decode(frame[54:]) == RouterSolicitation()
    assert frame[56:58] != b"\0\0", "the kernel fills in the checksum"


async def test_what_is_heard_of_neighbor_discovery(cables: Cables) -> None:
    advertisement, solicitation = wire.encode(ADVERTISEMENT), wire.encode(RouterSolicitation())
    async with ENDPOINTS.open_ndp(cables.index, "wan0", PLAIN) as endpoint:
        with trio.fail_after(20):
            await cables.say(bytes((128, 0, 0, 0, 0, 0, 0, 0)), THEIRS, OURS)  # an echo request: not for us
            await cables.say(advertisement, THEIRS, ALL_NODES)
            await cables.say(solicitation, THEIRS, ALL_ROUTERS)
            await cables.say(advertisement, GLOBAL, OURS, hops=7)
            heard = []
            while len(heard) < 3:
                received = await endpoint.receive()
                if received.payload[0] in (133, 134):  # the kernels look for each other meanwhile
                    heard.append((received.payload[0], received.source, received.target, received.hop_limit))
    assert heard == [(134, THEIRS, ALL_NODES, 255), (133, THEIRS, ALL_ROUTERS, 255), (134, GLOBAL, OURS, 7)]


async def test_only_of_the_own_link(cables: Cables) -> None:
    """C14: the same link-local addresses are on both."""
    async with ENDPOINTS.open_ndp(cables.other, "wan1", PLAIN) as endpoint:
        await cables.say(wire.encode(ADVERTISEMENT), THEIRS, ALL_NODES)
        with trio.move_on_after(0.5):
            while True:
                assert (await endpoint.receive()).payload[0] != 134


@pytest.mark.req("V6-4")
async def test_dhcpv6_there_and_back(cables: Cables) -> None:
    """The answer comes from a global address and another port than 547."""

    def serve() -> socket.socket:
        channel = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        channel.bind(("::", 547))
        group = SERVERS.packed + struct.pack("=i", socket.if_nametoindex("isp0"))
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        channel.setblocking(False)
        return channel

    def answer() -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as channel:
            channel.bind((str(GLOBAL), 49153))
            channel.sendto(b"reply", (str(OURS), 546, 0, socket.if_nametoindex("isp0")))

    with trio.socket.from_stdlib_socket(cables.isp.call(serve)) as server, trio.fail_after(20):
        async with ENDPOINTS.open_dhcpv6(cables.index, "wan0", PLAIN) as endpoint:
            await endpoint.send(b"solicit", OURS, SERVERS, 547)
            payload, sender = await server.recvfrom(2048)
            assert (payload, sender[0].partition("%")[0], sender[1]) == (b"solicit", str(OURS), 546)
            cables.isp.call(answer)
            reply = await endpoint.receive()
    assert (reply.payload, reply.source, reply.source_port, reply.destination) == (b"reply", GLOBAL, 49153, OURS)


async def test_every_link_can_have_a_client(cables: Cables) -> None:
    async with (
        ENDPOINTS.open_dhcpv6(cables.index, "wan0", PLAIN),
        ENDPOINTS.open_dhcpv6(cables.other, "wan1", PLAIN),
    ):
        pass


async def test_a_source_that_is_not_ours(cables: Cables) -> None:
    stranger = IPv6Address("fe80::99")
    async with ENDPOINTS.open_dhcpv6(cables.index, "wan0", PLAIN) as endpoint:
        with pytest.raises(OSError, match=r".") as refused:
            await endpoint.send(b"solicit", stranger, SERVERS, 547)
    assert refused.value.errno in (errno.EADDRNOTAVAIL, errno.EINVAL)


async def test_a_link_that_is_not_there(cables: Cables) -> None:
    for open_endpoint in (ENDPOINTS.open_ndp, ENDPOINTS.open_dhcpv6):
        with pytest.raises(OSError, match="wan9") as refused:
            async with open_endpoint(9999, "wan9", PLAIN):
                pass
        assert refused.value.errno == errno.ENODEV
