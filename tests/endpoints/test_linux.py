"""AF_PACKET and UDP on real links between network namespaces."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import attrs
import pytest
import trio

from routerd.endpoints import Endpoints, Frame, Marking, Tap
from routerd.endpoints.linux import LinuxEndpoints
from routerd.protocols.dhcpv4 import frame
from routerd.protocols.malformed import Malformed
from tests.endpoints.wires import Cable, hear, lay_cable, load_priority_filter, open_priority_ear
from tests.lab.netns import Namespace, need

pytestmark = pytest.mark.lab

ENDPOINTS: Endpoints = LinuxEndpoints()
PLAIN = Marking()
OWN, SERVER, ELSEWHERE = (IPv4Address(text) for text in ("192.0.2.10", "192.0.2.1", "203.0.113.67"))
EVERYBODY = IPv4Address("255.255.255.255")
BROADCAST = b"\xff" * 6
SERVER_MAC = bytes.fromhex("02000000ff01")


@attrs.frozen
class Lab:
    """The router, in whose namespace the test runs, and its provider."""

    router: Namespace
    isp: Namespace
    wan: Cable
    other: Cable

    def number(self) -> None:
        """Addresses on both cables; the default route leads by the other one."""
        for name, far, network in (("wan0", "isp0", "192.0.2"), ("wan1", "isp1", "198.51.100")):
            self.router.ip("addr", "add", f"{network}.10/24", "dev", name)
            self.isp.ip("addr", "add", f"{network}.1/24", "dev", far)
        self.router.ip("route", "add", "default", "via", "198.51.100.1", "dev", "wan1")


@pytest.fixture
def lab(namespaces: Callable[[str], Namespace]) -> Iterator[Lab]:
    router, isp = namespaces("router"), namespaces("isp")
    cables = [lay_cable(router, isp, number) for number in range(2)]
    with router.entered():
        yield Lab(router, isp, *cables)


@pytest.fixture
def priority_filter() -> None:
    """Priorities can be seen here."""
    try:
        os.close(load_priority_filter(0))
    except PermissionError:
        need("bpf(2) is not for the root of a user namespace")


def dhcp(payload: bytes = b"hello", *, target_mac: bytes = BROADCAST, port: int = 68) -> bytes:
    """A frame from a server to a client."""
    return frame.pack(
        payload,
        source_mac=SERVER_MAC,
        target_mac=target_mac,
        source=SERVER,
        target=EVERYBODY,
        source_port=67,
        target_port=port,
        identification=1,
    )


def altered(data: bytes, at: int, octets: bytes) -> bytes:
    """The same frame with some octets replaced."""
    return data[:at] + octets + data[at + len(octets) :]


def tagged(data: bytes, vlan: int) -> bytes:
    """The same frame with an 802.1Q tag."""
    return data[:12] + struct.pack("!HH", 0x8100, vlan) + data[12:]


def payload_of(received: Frame) -> bytes:
    """What the DHCPv4 codec finds in it."""
    found = frame.unpack(received.data, checksum_known_good=received.checksum_valid is True)
    assert not isinstance(found, Malformed)
    return found.payload


ARP = BROADCAST + SERVER_MAC + bytes.fromhex("0806") + bytes(28)
WITH_IP_OPTION = altered(dhcp(), 14, b"\x46")[:34] + b"\x01\x01\x01\x00" + dhcp()[34:]
FIRST_FRAGMENT = altered(dhcp(), 20, b"\x20\x00")
NOT_FOR_A_CLIENT = [
    dhcp(port=67),
    dhcp(port=69),
    altered(dhcp(), 20, b"\x00\x10"),  # a later fragment, whose payload looks like our port
    altered(dhcp(), 20, b"\x20\x10"),
    altered(dhcp(), 23, b"\x06"),  # TCP
    altered(dhcp(), 12, b"\x86\xdd"),  # IPv6
    dhcp(target_mac=bytes.fromhex("020000000099")),  # somebody else's, on a hub
    tagged(dhcp(), 7),
    dhcp()[:36],
    ARP,
]


async def exchange(lab: Lab, tap: Tap, frames: list[bytes], last: bytes) -> list[bytes]:
    """What a tap on the first cable lets through of these frames, the last included, without Ethernet's padding."""
    async with ENDPOINTS.open_packet(lab.wan.index, "wan0", tap, PLAIN) as endpoint:
        with lab.wan.end() as end, trio.fail_after(20):
            for data in (*frames, last):
                await end.send(data)
            heard = [(await endpoint.receive()).data]
            while heard[-1] != last:
                heard.append((await endpoint.receive()).data)
    return heard


@pytest.mark.req("V4-27", "breaks")
async def test_the_dhcp_tap_lets_nothing_else_through(lab: Lab) -> None:
    last = dhcp(b"last")
    assert await exchange(lab, "dhcpv4", NOT_FOR_A_CLIENT, last) == [last]


@pytest.mark.req("V4-27")
async def test_the_dhcp_tap_lets_through_what_a_client_must_judge(lab: Lab) -> None:
    wanted = [dhcp(target_mac=lab.wan.mac), WITH_IP_OPTION, FIRST_FRAGMENT, dhcp(b"x" * 1400), dhcp(b"last")]
    assert await exchange(lab, "dhcpv4", wanted[:-1], wanted[-1]) == wanted


async def test_a_priority_tag_says_nothing_about_the_link(lab: Lab) -> None:
    last = dhcp(b"last")
    assert await exchange(lab, "dhcpv4", [tagged(dhcp(), 0xE000)], last) == [dhcp(), last]


async def test_the_arp_tap_hears_arp_alone(lab: Lab) -> None:
    last = altered(ARP, 20, b"\0\2")
    assert await exchange(lab, "arp", [dhcp(), tagged(ARP, 7), ARP], last) == [ARP, last]


@pytest.mark.req("V4-35")
async def test_a_datagram_longer_than_ethernets_usual_is_taken_whole(lab: Lab) -> None:
    lab.router.ip("link", "set", "wan0", "mtu", "9000")
    lab.isp.ip("link", "set", "isp0", "mtu", "9000")
    last = dhcp(b"x" * 8000)
    assert await exchange(lab, "dhcpv4", [], last) == [last]


@pytest.mark.req("V4-27")
async def test_a_checksum_that_the_sending_kernel_left_out_is_not_asked_for(lab: Lab) -> None:
    lab.number()
    async with ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as endpoint:
        with lab.isp.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server, lab.wan.end() as end:
            server.sendto(b"from a kernel", (str(OWN), 68))
            with trio.fail_after(20):
                by_kernel = await endpoint.receive()
                await end.send(dhcp(b"from afar"))
                by_wire = await endpoint.receive()
    assert (by_kernel.checksum_valid, by_wire.checksum_valid) == (True, None)
    assert isinstance(frame.unpack(by_kernel.data, checksum_known_good=False), Malformed)
    assert (payload_of(by_kernel), payload_of(by_wire)) == (b"from a kernel", b"from afar")


async def test_a_frame_is_sent_as_it_is_and_not_heard_by_its_sender(lab: Lab) -> None:
    sent = dhcp(b"sent", port=68)
    async with ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as endpoint:
        with lab.wan.end() as end, trio.fail_after(20):
            await endpoint.send(sent)
            assert await hear(end) == sent
            await end.send(dhcp(b"answer"))
            assert payload_of(await endpoint.receive()) == b"answer"


@pytest.mark.req("C14")
@pytest.mark.req("C14", "breaks")
async def test_two_links_never_cross(lab: Lab) -> None:
    async with (
        ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as tap,
        ENDPOINTS.open_packet(lab.other.index, "wan1", "dhcpv4", PLAIN) as other_tap,
        ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as port,
        ENDPOINTS.open_dhcpv4(lab.other.index, "wan1", PLAIN) as other_port,
    ):
        lab.number()
        with lab.wan.end() as end, lab.other.end() as other_end, trio.fail_after(20):
            await other_end.send(dhcp(b"other"))
            await end.send(dhcp(b"here"))
            for endpoint, text in ((tap, b"here"), (other_tap, b"other")):
                assert payload_of(await endpoint.receive()) == text
            for socket_endpoint, text in ((port, b"here"), (other_port, b"other")):
                assert (await socket_endpoint.receive()).payload == text
            await tap.send(dhcp(b"to here"))
            await other_tap.send(dhcp(b"to other"))
            assert await hear(end) == dhcp(b"to here")
            assert await hear(other_end) == dhcp(b"to other")


@pytest.mark.req("C14", "breaks")
async def test_a_link_on_top_of_another_keeps_its_frames(lab: Lab) -> None:
    upper = bytes.fromhex("020000000077")
    lab.router.ip("link", "add", "upper0", "link", "wan0", "address", upper.hex(":"), "type", "macvlan")
    lab.router.ip("link", "set", "upper0", "up")
    async with (
        ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as tap,
        ENDPOINTS.open_packet(socket.if_nametoindex("upper0"), "upper0", "dhcpv4", PLAIN) as upper_tap,
    ):
        with lab.wan.end() as end, trio.fail_after(20):
            await end.send(dhcp(b"upper", target_mac=upper))
            await end.send(dhcp(b"lower", target_mac=lab.wan.mac))
            assert payload_of(await tap.receive()) == b"lower"
            assert payload_of(await upper_tap.receive()) == b"upper"


async def dhcp_heard(end: trio.socket.SocketType) -> frame.Encapsulated:
    """The next datagram for a DHCPv4 server that leaves the router here."""
    while True:
        found = frame.unpack(await hear(end), checksum_known_good=True, port=67)
        if not isinstance(found, Malformed):
            return found


@pytest.mark.req("V4-32")
async def test_a_renewal_leaves_by_the_leased_link_and_address(lab: Lab) -> None:
    lab.number()
    lab.router.ip("addr", "add", "192.0.2.99/24", "dev", "wan0")
    lab.router.ip("route", "add", "default", "via", str(SERVER), "dev", "wan0", "metric", "500")
    async with ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as endpoint:
        with lab.wan.end() as end:
            for source in (OWN, IPv4Address("192.0.2.99")):
                for server in (SERVER, ELSEWHERE):
                    await endpoint.send(b"renew", source, server, 67)
                    heard = await dhcp_heard(end)
                    assert (heard.source, heard.destination, heard.source_port) == (source, server, 68)
                    assert heard.payload == b"renew"


@pytest.mark.req("V4-32", "breaks")
async def test_a_renewal_without_a_route_asks_on_the_leased_link_and_nowhere_else(lab: Lab) -> None:
    lab.number()
    async with ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as endpoint:
        with lab.wan.end() as end, lab.other.end() as other_end:
            await endpoint.send(b"renew", OWN, ELSEWHERE, 67)
            asked = await hear(end)
            assert (asked[12:14], asked[38:42]) == (b"\x08\x06", ELSEWHERE.packed)
            lab.router.ip("neigh", "replace", "198.51.100.1", "lladdr", SERVER_MAC.hex(":"), "dev", "wan1")
            with lab.router.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as anybody:
                anybody.sendto(b"routed", (str(ELSEWHERE), 67))
            assert (await dhcp_heard(other_end)).payload == b"routed"


@pytest.mark.req("V4-31", "breaks")
@pytest.mark.req("V4-39", "breaks")
async def test_a_send_that_fails_says_so_and_the_socket_lives_on(lab: Lab) -> None:
    lab.number()
    async with (
        ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as port,
        ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as tap,
    ):
        with pytest.raises(OSError, match=r"Network is unreachable|Invalid argument"):
            await port.send(b"renew", IPv4Address("192.0.2.222"), SERVER, 67)
        lab.router.ip("link", "set", "wan0", "down")
        with pytest.raises(OSError, match=r"Network is (down|unreachable)|No route to host"):
            await port.send(b"renew", OWN, SERVER, 67)
        with pytest.raises(OSError, match="Network is down"):
            await tap.send(dhcp())
        lab.router.ip("link", "set", "wan0", "up")
        with lab.wan.end() as end, trio.fail_after(20):
            await port.send(b"renew", OWN, EVERYBODY, 67)
            assert (await dhcp_heard(end)).payload == b"renew"
            await tap.send(dhcp())
            assert await hear(end) == dhcp()


@pytest.mark.req("V4-39")
async def test_a_link_that_goes_down_and_comes_back_is_no_error(lab: Lab) -> None:
    async with ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as endpoint:
        heard: list[bytes] = []

        async def listen() -> None:
            heard.append(payload_of(await endpoint.receive()))

        with trio.fail_after(20), lab.wan.end() as end:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                await trio.testing.wait_all_tasks_blocked()
                lab.router.ip("link", "set", "wan0", "down")
                await trio.testing.wait_all_tasks_blocked()
                lab.router.ip("link", "set", "wan0", "up")
                lab.wan.isp.settle(lab.wan.far)
                await end.send(dhcp(b"back"))
    assert heard == [b"back"]


async def test_a_tap_is_opened_on_a_link_that_is_down(lab: Lab) -> None:
    lab.router.ip("link", "set", "wan0", "down")
    async with ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as endpoint:
        lab.router.ip("link", "set", "wan0", "up")
        lab.wan.isp.settle(lab.wan.far)
        with lab.wan.end() as end, trio.fail_after(20):
            await end.send(dhcp(b"at last"))
            assert payload_of(await endpoint.receive()) == b"at last"


@pytest.mark.req("V4-39", "breaks")
async def test_a_link_that_is_deleted_ends_its_endpoints(lab: Lab) -> None:
    async with (
        ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as tap,
        ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as port,
    ):
        lab.router.ip("link", "del", "wan0")
        with trio.fail_after(20), pytest.raises(OSError, match="No such device") as gone:
            await tap.receive()
        assert (gone.value.errno, gone.value.filename) == (errno.ENODEV, "wan0")
        for send in (tap.send(dhcp()), port.send(b"", OWN, EVERYBODY, 67)):
            with pytest.raises(OSError, match=r"No such device|Network is unreachable"):
                await send


async def test_a_link_is_opened_by_its_index_whatever_its_name(lab: Lab) -> None:
    lab.router.ip("link", "set", "wan0", "name", "uplink")
    async with (
        ENDPOINTS.open_packet(lab.wan.index, "wan0", "dhcpv4", PLAIN) as tap,
        ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN),
    ):
        with lab.wan.end() as end:
            await tap.send(dhcp())
            assert await hear(end) == dhcp()
    with pytest.raises(OSError, match="No such device"):
        async with ENDPOINTS.open_packet(4711, "ghost0", "arp", PLAIN):
            pass
    with pytest.raises(OSError, match="No such device"):
        async with ENDPOINTS.open_dhcpv4(4711, "ghost0", PLAIN):
            pass


@pytest.mark.req("V4-38")
@pytest.mark.req("V4-38", "breaks")
async def test_no_server_is_told_that_the_port_is_closed(lab: Lab) -> None:
    lab.number()
    with lab.isp.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        server = trio.socket.from_stdlib_socket(opened)
        await server.bind((str(SERVER), 67))
        await server.connect((str(OWN), 68))
        async with ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as endpoint:
            with trio.fail_after(20):
                for payload in (b"short", b"x" * 4000):  # the second comes in fragments
                    await server.send(payload)
                    heard = await endpoint.receive()
                    assert (heard.payload, heard.source, heard.destination) == (payload, SERVER, OWN)
                    assert heard.source_port == 67
        await server.send(b"nobody there")
        with trio.fail_after(20), pytest.raises(ConnectionRefusedError):
            await server.recv(1)


async def test_the_port_is_shared_with_a_client_of_other_links(lab: Lab) -> None:
    lab.number()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dhclient:
        dhclient.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        dhclient.bind(("", 68))
        async with ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", PLAIN) as endpoint:
            with lab.isp.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server, trio.fail_after(20):
                server.sendto(b"ours", (str(OWN), 68))
                assert (await endpoint.receive()).payload == b"ours"


@pytest.mark.req("C12")
async def test_packets_carry_their_marks(lab: Lab, priority_filter: None) -> None:
    lab.number()
    marking = Marking(dscp=48, pcp=6)
    with lab.wan.end() as end, open_priority_ear("wan0", 6) as ear:
        async with (
            ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", marking) as port,
            ENDPOINTS.open_packet(lab.wan.index, "wan0", "arp", marking) as tap,
            ENDPOINTS.open_packet(lab.wan.index, "wan0", "arp", PLAIN) as unmarked,
        ):
            with trio.fail_after(20):
                await unmarked.send(altered(ARP, 20, b"\0\2"))
                await port.send(b"renew", OWN, EVERYBODY, 67)
                await tap.send(ARP)
                with_priority = [await ear.recv(2048) for _ in range(2)]
                assert await hear(end) == altered(ARP, 20, b"\0\2")
                on_the_wire = [await hear(end) for _ in range(2)]
        assert [data[12:14] for data in with_priority] == [b"\x08\x00", b"\x08\x06"]
        assert on_the_wire == with_priority
        assert on_the_wire[0][15] >> 2 == 48


@pytest.mark.req("C12", "breaks")
async def test_the_kernel_makes_no_priority_of_its_own_from_the_dscp(lab: Lab, priority_filter: None) -> None:
    lab.number()
    with open_priority_ear("wan0", 0) as ear:
        async with ENDPOINTS.open_dhcpv4(lab.wan.index, "wan0", Marking(dscp=4)) as port:
            await port.send(b"renew", OWN, EVERYBODY, 67)  # DSCP 4 is TOS 0x10, which Linux calls interactive: 6
            with trio.fail_after(20):
                assert (await ear.recv(2048))[15] >> 2 == 4
