"""The Linux host does what every host does, in a network namespace; and what only a kernel can show."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_network

import pytest
import trio

from routerd.host import (
    Address,
    AddressChanged,
    Host,
    LinkChanged,
    PutAddress,
    PutRoute,
    Resynced,
    Route,
    RouteChanged,
)
from routerd.host.linux import messages
from routerd.host.linux.host import open_host
from routerd.host.linux.netlink import open_monitor
from tests.host.suite import *  # noqa: F403
from tests.host.suite import ANYWHERE, GATEWAY, LEASE, MAC, addresses_of, connected, found, hear, ready, routes_of
from tests.lab.netns import Namespace, lay

pytestmark = pytest.mark.lab


class LinuxStage:
    """Hands with `ip`. The other end of each cable lies in a second namespace."""

    def __init__(self, router: Namespace, street: Namespace) -> None:
        self.router = router
        self.street = street

    def open_host(self) -> AbstractAsyncContextManager[Host]:
        return open_host()

    def add_link(self, name: str, mac: bytes = MAC) -> None:
        lay(self.router, name, self.street, name, "address", mac.hex(":"))
        self.plug(name)

    def delete_link(self, name: str) -> None:
        self.router.ip("link", "del", name)

    def rename_link(self, name: str, new_name: str) -> None:
        self.router.ip("link", "set", name, "name", new_name)

    def set_link(self, name: str, up: bool) -> None:
        self.router.ip("link", "set", name, "up" if up else "down")

    def pull_cable(self, name: str) -> None:
        self.street.ip("link", "set", name, "down")

    def plug(self, name: str) -> None:
        self.street.ip("link", "set", name, "up")

    def add_address(self, link: str, address: str) -> None:
        self.router.ip("addr", "add", address, "dev", link)

    def delete_address(self, link: str, address: str) -> None:
        self.router.ip("addr", "del", address, "dev", link)

    def have_elsewhere(self, link: str, address: str) -> None:
        self.router.sysctl(f"net.ipv6.conf.{link}.accept_dad", "1")
        self.street.ip("addr", "add", address, "dev", link, "nodad")

    def have_nowhere(self, link: str, address: str) -> None:
        self.street.ip("addr", "del", address, "dev", link)

    def add_route(self, destination: str, gateway: str, link: str) -> None:
        self.router.ip("route", "add", destination, "via", gateway, "dev", link)

    def delete_route(self, destination: str, gateway: str, link: str) -> None:
        self.router.ip("route", "del", destination, "via", gateway, "dev", link)


@pytest.fixture
def stage(namespaces: Callable[[str], Namespace]) -> Iterator[LinuxStage]:
    router, street = namespaces("router"), namespaces("street")
    router.sysctl("net.ipv4.conf.all.promote_secondaries", "1")
    with router.entered():
        yield LinuxStage(router, street)


async def test_a_thousand_routes_are_read_as_iproute2_reads_them(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        for number in range(1000):
            gateway = ip_address(f"192.0.2.{100 + number % 3}")
            await host.apply(PutRoute(Route(ip_network((0x0A000000 + 256 * number, 24)), link.index, gateway, number)))
        mine = {route for route in routes_of(await host.observe(), link) if route.ours}
    listed = json.loads(stage.router.ip("-json", "route", "show", "proto", "114"))
    assert len(listed) == 1000
    assert mine == {
        Route(ip_network(entry["dst"]), link.index, ip_address(entry["gateway"]), entry.get("metric", 0))
        for entry in listed
    }


async def test_lost_messages_are_made_good(stage: LinuxStage) -> None:
    async with open_host(receive_buffer=16 << 10) as host:
        link = await ready(stage, host)
        async with host.watch() as notices:
            commands = "".join(f"address add 10.0.{n // 250}.{n % 250}/32 dev wan0\n" for n in range(1, 500))
            stage.router.ip("address", "add", str(LEASE), "dev", "wan0")
            _batch(stage.router, commands + f"address del {LEASE} dev wan0\n")  # nobody listens meanwhile
            await hear(notices, Resynced)
            resynced = await hear(notices, Resynced)
            assert len(addresses_of(resynced.snapshot, link)) == 499
            stage.add_address("wan0", "198.51.100.1/24")
            came = await hear(notices, AddressChanged, lambda notice: notice.present)
            assert str(came.address.address) == "198.51.100.1/24"


async def test_a_port_that_leaves_its_bridge_has_not_gone(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        stage.router.ip("link", "add", "lan", "type", "bridge")
        async with host.watch() as notices:
            for command in (("master", "lan"), ("nomaster",), ("mtu", "1400")):
                stage.router.ip("link", "set", "wan0", *command)
            change = await hear(notices, LinkChanged, lambda notice: notice.before == link)
            assert change.after is not None
            assert change.after.mtu == 1400


async def test_a_route_with_several_next_hops_is_one_for_each(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        hops = [word for last in (1, 2) for word in ("nexthop", "via", f"192.0.2.{last}", "dev", "wan0")]
        async with host.watch() as notices:
            stage.router.ip("route", "add", "default", *hops)
            await hear(notices, RouteChanged)
            expected = {Route(ANYWHERE, link.index, ip_address(f"192.0.2.{last}"), ours=False) for last in (1, 2)}
            assert set(routes_of(await host.observe(), link)) == {connected(link, str(LEASE)), *expected}


async def test_like_routes_are_told_apart_when_one_is_replaced(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        first, second, third = (Route(ANYWHERE, link.index, ip_address(f"192.0.2.{n}"), ours=False) for n in (1, 2, 3))
        async with host.watch() as notices:
            for verb, route in (("add", first), ("append", second), ("replace", third)):
                stage.router.ip("route", verb, "default", "via", str(route.gateway))
            told = [
                await hear(notices, RouteChanged, lambda notice: notice.route.destination == ANYWHERE) for _ in range(4)
            ]
        assert told == [
            *(RouteChanged(route, present=True) for route in (first, second, third)),
            RouteChanged(first, present=False),
        ]
        assert set(routes_of(await host.observe(), link)) == {connected(link, str(LEASE)), second, third}


async def test_a_route_by_a_gateway_of_the_other_family(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        route = Route(ANYWHERE, link.index, ip_address("fe80::1"), metric=7)
        for _ in range(2):
            await host.apply(PutRoute(route))
        assert routes_of(await host.observe(), link) == [route]


async def test_routes_of_other_tables_are_not_ours_to_see(stage: LinuxStage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        async with host.watch() as notices:
            stage.router.ip("route", "add", "203.0.113.0/24", "via", str(GATEWAY), "table", "100")
            stage.add_route("198.51.100.0/24", str(GATEWAY), "wan0")
            told = await hear(notices, RouteChanged)
        assert str(told.route.destination) == "198.51.100.0/24"
        assert len(routes_of(await host.observe(), link)) == 2


async def test_a_loopback_and_a_tunnel_do_not_speak_arp(stage: LinuxStage) -> None:
    stage.router.ip("tuntap", "add", "tun0", "mode", "tun")
    async with stage.open_host() as host:
        snapshot = await host.observe()
    assert not found(snapshot, "lo").arp
    assert not found(snapshot, "tun0").arp
    assert found(snapshot, "tun0").mac == b""


async def test_only_the_kernel_is_believed(stage: LinuxStage) -> None:
    body = struct.pack("=BxHiII", 0, 1, 99, 0, 0) + struct.pack("=HH5s3x", 9, 3, b"evil")
    forged = struct.pack("=IHHII", 16 + len(body), messages.RTM_NEWLINK, 0, 0, 0) + body
    with (
        open_monitor(messages.GROUPS, 1 << 20) as monitor,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as forger,
    ):
        forger.sendto(forged, (monitor.port, 0))
        stage.add_link("wan0")
        names: set[str] = set()
        with trio.fail_after(20):
            while True:
                links = [messages.link(message.body) for message in await monitor.receive()]
                names |= {link.name for link in links if link}
                if "wan0" in names:
                    break
    assert "evil" not in names


def _batch(namespace: Namespace, commands: str) -> None:
    """Many `ip` commands in one process."""
    subprocess.run(["ip", "-n", namespace.name, "-batch", "-"], input=commands, text=True, check=True)
