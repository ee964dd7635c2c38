"""Interfaces, servers and neighbours that fail or mean ill, on a real kernel and against a real server."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from routerd.protocols.arp import wire as arp_wire
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import frame, wire
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from tests.lab.netns import Namespace
from tests.lab.netns import wire as lay_cable
from tests.lab.router import Router, document, watching
from tests.lab.servers import GATEWAY, SERVERS, Terms

pytestmark = pytest.mark.lab

DEFAULT = f"default via {GATEWAY} dev wan0"
STRANGER = bytes.fromhex("02bad0bad0ba")
MEBIBYTE = 1 << 20


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    """The provider: a switch, isp0, which stays when a cable goes."""
    namespace = namespaces("isp")
    namespace.ip("link", "add", "isp0", "type", "bridge", "forward_delay", "0")
    namespace.ip("link", "set", "isp0", "up")
    namespace.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
    return namespace


@pytest.fixture
def router(isp: Namespace, namespaces: Callable[[str], Namespace], tmp_path: Path) -> Iterator[Router]:
    """A router whose wan0 is plugged into the provider's switch, not started yet."""
    router = Router(namespaces("rtr"), tmp_path, document(("wan", "wan0")))
    plug_in(isp, router)
    yield router
    if router.process is not None and router.process.poll() is None:
        router.stop()


def plug_in(isp: Namespace, router: Router) -> None:
    lay_cable(isp, "port0", router.namespace, "wan0")
    isp.ip("link", "set", "port0", "master", "isp0")


def bound(router: Router) -> str:
    """Wait for an address and its default route; the address."""
    router.until(lambda: router.addresses("wan0") and any(DEFAULT in route for route in router.routes()))
    return router.addresses("wan0")[0]


def assert_sound(router: Router) -> None:
    """Nothing has crashed, and the lease can be extended."""
    assert router.command("wan", "renew")["attributes"]["succeeded"] == "true"
    assert router.topics("routerd.daemon.lifecycle.crashed") == []
    assert "Traceback" not in (router.directory / "routerd.log").read_text()


# Interfaces


@pytest.mark.req("C14", "breaks")
def test_an_interface_deleted_and_made_again_with_another_mac(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        before = router.status("Interface/wan")["macAddress"]
        for _ in range(3):
            router.namespace.ip("link", "del", "wan0")
            router.until(lambda: router.status("Interface/wan").get("reason") == "LinkAbsent")
            router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Pending")
            assert router.routes() == []
            plug_in(isp, router)
            assert bound(router) == address, "who we are does not change with the card"
        assert router.status("Interface/wan")["macAddress"] != before
        router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Bound")
        assert_sound(router)


@pytest.mark.req("C14", "breaks")
def test_an_interface_renamed_and_renamed_back(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        rename(router, "wan0", "wan9")
        router.until(lambda: router.addresses("wan9") == [])
        assert router.routes() == []
        router.until(lambda: router.status("Interface/wan")["reason"] == "LinkAbsent")
        rename(router, "wan9", "wan0")
        assert bound(router) == address
        router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Bound")
        assert_sound(router)


def rename(router: Router, old: str, new: str) -> None:
    router.namespace.ip("link", "set", old, "down")
    router.namespace.ip("link", "set", old, "name", new)
    router.namespace.ip("link", "set", new, "up")


@pytest.mark.req("C11")
@pytest.mark.req("C11", "breaks")
@pytest.mark.parametrize("seconds", [1, 10])
def test_a_cable_that_is_out_for_a_while(isp: Namespace, router: Router, tmp_path: Path, seconds: int) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        with watching(router.namespace, tmp_path) as seen:
            isp.ip("link", "set", "port0", "down")
            router.until(lambda: router.status("Interface/wan")["phase"] == "Down")
            time.sleep(seconds)
            stale = router.status("DHCPv4Client/wan")
            assert (stale["state"] == "Detached") is (seconds > 3)
            assert router.addresses("wan0") == [address], "kept, be it stale"
            isp.ip("link", "set", "port0", "up")
            router.until(lambda: "lease.renewed" in router.topics(), 60)
            assert "Deleted" not in seen()
        router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Bound")
        assert bound(router) == address
        assert_sound(router)


# Others on this host


def test_what_another_client_does_to_the_interface(isp: Namespace, router: Router, tmp_path: Path) -> None:
    """A forgotten dhclient: its address and route stay, ours come back when it flushes them."""
    namespace = router.namespace
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        namespace.ip("addr", "add", "203.0.113.77/24", "dev", "wan0")
        namespace.ip("route", "add", "default", "via", "203.0.113.1", "dev", "wan0", "metric", "0", "proto", "dhcp")
        time.sleep(1)
        assert router.addresses("wan0") == [address, "203.0.113.77/24"]
        assert "proto dhcp" in namespace.ip("-4", "route", "show", "default")
        assert bound(router) == address
        for _ in range(3):
            namespace.ip("addr", "flush", "dev", "wan0")
            namespace.ip("route", "flush", "table", "main", "proto", "114")
            assert bound(router) == address
        assert_sound(router)


def test_a_renumbering_leaves_the_others_address(isp: Namespace, router: Router, tmp_path: Path) -> None:
    """Theirs is of the same network and came later, so that the kernel would take it along with ours."""
    router.namespace.sysctl("net.ipv4.conf.all.promote_secondaries", "1")
    with SERVERS["kea"](isp, "isp0", tmp_path, Terms()):
        router.start()
        bound(router)
        router.namespace.ip("addr", "add", "203.0.113.77/24", "dev", "wan0")
    for leases in tmp_path.glob("*.leases*"):
        leases.unlink()
    with SERVERS["kea"](isp, "isp0", tmp_path, Terms(pool=("203.0.113.150", "203.0.113.160"))):
        isp.ip("link", "set", "port0", "down")
        router.until(lambda: router.status("Interface/wan")["phase"] == "Down")
        isp.ip("link", "set", "port0", "up")
        router.until(lambda: any(a.startswith(("203.0.113.15", "203.0.113.16")) for a in router.addresses("wan0")), 60)
        assert "203.0.113.77/24" in router.addresses("wan0")
        assert len(router.addresses("wan0")) == 2
        assert any(DEFAULT in route for route in router.routes())


# Servers


@pytest.mark.req("C7", "breaks")
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_killed_in_the_middle_of_an_exchange(
    server: str, isp: Namespace, router: Router, tmp_path: Path
) -> None:
    with SERVERS[server](isp, "isp0", tmp_path, Terms()) as process:
        os.killpg(process.pid, signal.SIGSTOP)
        router.start()
        router.until(lambda: "discover.sent" in router.topics())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with SERVERS[server](isp, "isp0", tmp_path, Terms()) as process:
        address = bound(router)
        os.killpg(process.pid, signal.SIGSTOP)
        isp.ip("link", "set", "port0", "down")
        router.until(lambda: router.status("Interface/wan")["phase"] == "Down")
        isp.ip("link", "set", "port0", "up")
        router.until(lambda: router.status("DHCPv4Client/wan")["state"] == "Rebooting")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with SERVERS[server](isp, "isp0", tmp_path, Terms()):
        router.until(lambda: router.status("DHCPv4Client/wan")["state"] == "Bound", 90)
        assert router.addresses("wan0") == [address]
        assert_sound(router)


# Frames


def mac_of(router: Router) -> bytes:
    [link] = json.loads(router.namespace.ip("-j", "link", "show", "dev", "wan0"))
    return bytes.fromhex(link["address"].replace(":", ""))


def offer(mac: bytes, xid: int, pad: int = 0) -> bytes:
    """An OFFER as a frame, good but for its transaction."""
    options = {54: IPv4Address("203.0.113.9").packed, 51: (600).to_bytes(4), 1: b"\xff\xff\xff\0"}
    message = Message(
        op=Op.BOOTREPLY,
        type=MessageType.OFFER,
        xid=xid,
        chaddr=mac,
        yiaddr=IPv4Address("203.0.113.66"),
        options=options,
    )
    return frame.pack(
        wire.encode(message) + bytes(pad),
        source_mac=STRANGER,
        target_mac=mac,
        source=IPv4Address("203.0.113.9"),
        target=IPv4Address("255.255.255.255"),
        source_port=67,
        target_port=68,
        identification=xid & 0xFFFF,
    )


def hostile_frames(mac: bytes, rng: random.Random) -> Iterator[bytes]:
    """For ever: everything that is wrong with a frame, in turn."""
    while True:
        good = offer(mac, rng.getrandbits(32))
        octets = bytearray(good)
        yield good
        yield offer(mac, rng.getrandbits(32), pad=1100)
        yield good[: rng.randrange(14, len(good))]
        octets[14 + 10] ^= 0xFF  # the header's checksum
        yield bytes(octets)
        octets = bytearray(good)
        octets[14 + 20 + 6] ^= 0xFF  # UDP's
        yield bytes(octets)
        octets = bytearray(good)
        octets[14 + 20 + 4 : 14 + 20 + 6] = struct.pack("!H", 0xFFFF)  # more than there is
        yield bytes(octets)
        octets = bytearray(good)
        octets[14] = 0x4F  # a header that is longer than the packet says
        yield bytes(octets)
        for flags in (0x2000, 0x0010, 0x3FFF):  # fragments
            octets = bytearray(good)
            octets[14 + 6 : 14 + 8] = struct.pack("!H", flags)
            yield bytes(octets)
        yield good[:12] + struct.pack("!HH", 0x8100, 7) + good[12:]
        yield good[:12] + struct.pack("!HHHH", 0x88A8, 7, 0x8100, 8) + good[12:]
        yield good[:14] + rng.randbytes(len(good) - 14)
        octets = bytearray(good)
        for _ in range(10):
            octets[14 + 28 + rng.randrange(len(good) - 14 - 28)] = rng.randrange(256)
        yield bytes(octets)
        yield mac + STRANGER + b"\x08\x06" + rng.randbytes(rng.randrange(60))
        yield mac + STRANGER + b"\x08\x00" + rng.randbytes(rng.randrange(1400))
        sender = IPv4Address(rng.getrandbits(32))
        packet = ArpPacket(ArpOp.REQUEST, STRANGER, sender, ZERO_MAC, sender)
        yield arp_wire.pack_frame(packet, source_mac=STRANGER, target_mac=b"\xff" * 6)


@contextmanager
def bombarding(isp: Namespace, mac: bytes, rate: float | None) -> Iterator[list[int]]:
    """Send hostile frames down the router's cable, so many a second or as many as go. Gives how many there were."""

    def open_socket() -> socket.socket:
        gun = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        gun.bind(("port0", 0))
        return gun

    sent, stop = [0], threading.Event()
    frames = hostile_frames(mac, random.Random(1))
    stock = [next(frames) for _ in range(4000)]

    def shoot() -> None:
        began = time.monotonic()
        while not stop.is_set():
            if rate is not None and sent[0] > (time.monotonic() - began) * rate:
                time.sleep(0.001)
                continue
            with suppress(OSError):  # the queue is full, or the frame is longer than the link takes
                gun.send(stock[sent[0] % len(stock)])
            sent[0] += 1

    with isp.call(open_socket) as gun:
        thread = threading.Thread(target=shoot)
        thread.start()
        try:
            yield sent
        finally:
            stop.set()
            thread.join()


def cost(router: Router) -> tuple[float, int]:
    """Seconds of CPU and octets of memory that the router has used so far."""
    pid = int((router.directory / "state" / "routerd.lock").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(kib) * 1024


def dropped(router: Router) -> dict[str, int]:
    """What the client has dropped, by reason, as it tells."""
    socket_path = router.run_dir / "dhcpv4-client" / "wan.sock"
    [resource] = router.ask(socket_path, "/v1/status")["resources"]
    counted: dict[str, int] = json.loads(resource["observed"].get("dropped", "{}"))
    return counted


@pytest.mark.req("C6", "breaks")
@pytest.mark.req("C17", "breaks")
@pytest.mark.req("V4-27", "breaks")
@pytest.mark.req("ARP-6", "breaks")
@pytest.mark.parametrize("rate", [3000, None])
def test_hostile_frames_against_a_lease(isp: Namespace, router: Router, tmp_path: Path, rate: float | None) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        time.sleep(5)  # conflict detection has ended
        began = cost(router)
        with watching(router.namespace, tmp_path) as seen, bombarding(isp, mac_of(router), rate) as sent:
            for _ in range(30):
                assert router.get("/status")["status"], "it answers meanwhile"
                time.sleep(0.1)
            assert "Deleted" not in seen()
        ended = cost(router)
        report(sent[0], began, ended, dropped(router))
        assert ended[1] - began[1] < 16 * MEBIBYTE
        assert {"irrelevant", "short"} <= set(dropped(router))
        assert bound(router) == address
        assert_sound(router)


@pytest.mark.req("C6", "breaks")
@pytest.mark.req("C10", "breaks")
@pytest.mark.req("C17", "breaks")
@pytest.mark.req("V4-27", "breaks")
@pytest.mark.parametrize("rate", [3000, None])
def test_hostile_frames_before_there_is_a_server(
    isp: Namespace, router: Router, tmp_path: Path, rate: float | None
) -> None:
    """All taps are open, so that everything is heard."""
    router.start()
    router.until(lambda: "discover.sent" in router.topics())
    began = cost(router)
    with bombarding(isp, mac_of(router), rate) as sent:
        for _ in range(30):
            assert router.get("/status")["status"], "it answers meanwhile"
            time.sleep(0.1)
    ended = cost(router)
    reasons = dropped(router)
    report(sent[0], began, ended, reasons)
    assert ended[1] - began[1] < 16 * MEBIBYTE
    assert {"wrong-xid", "bad-ip-checksum", "bad-ip-length", "bad-udp-checksum", "bad-udp-length"} <= set(reasons)
    assert "offer.received" not in router.topics()
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        bound(router)
        assert_sound(router)


def report(sent: int, began: tuple[float, int], ended: tuple[float, int], reasons: dict[str, int]) -> None:
    """Figures for people: `pytest -rP` shows them."""
    kib = (ended[1] - began[1]) // 1024
    print(f"{sent} frames, {ended[0] - began[0]:.2f} s of CPU, {kib} KiB more memory; dropped: {reasons}")
