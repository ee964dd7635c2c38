"""All daemons of a router together: DHCPv4 and DHCPv6 clients, who listens for routers, who advertises to LANs. What
happens to one of them is nothing to the others, and all of them end in time."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.endpoints import Datagram6Endpoint, DatagramEndpoint, Endpoints, Marking, NdpEndpoint, PacketEndpoint, Tap
from routerd.events.types import StoredEvent
from routerd.nurseries.system import System
from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_server import Server
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.isp6 import ROUTER
from tests.router.process import Process
from tests.router.rig import DEFAULT, GATEWAY, GATEWAY_MAC, LEASED, LINE, Rig, crashes, document, provider, until
from tests.router.rig6 import IPV6, Street6, provider6

DHCPV4 = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: wan}
      spec: {interface: wan%s}
"""
SECOND_LAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan2}
      spec: {ifname: eth2}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: lan2}
      spec: {prefixDelegation: wan-pd, interface: lan2, subnetID: 2, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: lan2}
      spec: {interface: lan2}
"""
INTERFACES = IPV6.partition("    - apiVersion: net.routerd.net/v1alpha1\n      kind: DHCPv6Prefix")[0]
EVERYTHING = document(IPV6, DHCPV4 % "")
DAEMONS = {"dhcpv4-client/wan", "dhcpv6-client/wan-pd", "ra-client/wan-ra", "ra-server/lan"}


@attrs.define(eq=False)
class Town:
    """The router, and all that it has to do with."""

    street: Street6

    @property
    def rig(self) -> Rig:
        return self.street.rig

    @asynccontextmanager
    async def surroundings(self) -> AsyncIterator[None]:
        async with self.street.surroundings():
            line = self.rig.world.segment(LINE)
            Dhcpv4Station(line, GATEWAY_MAC, GATEWAY, Server(provider()))
            Neighbour(line, GATEWAY_MAC, [GATEWAY])
            self.rig.world.add_link("eth2", "lan2")
            self.rig.config = EVERYTHING
            yield

    async def settled(self) -> None:
        """Both versions are there, up to the host on the LAN."""
        wanted = {DEFAULT, f"::/0 via {ROUTER}"}
        await until(lambda: self.rig.addresses() == [LEASED] and wanted <= set(self.rig.routes()))
        await until(lambda: self.street.on(0) and bool(self.street.host.default_routers(self.street.now)))

    def on_the_host(self) -> tuple[set[str], set[str]]:
        """What of ours is on the host."""
        snapshot = self.rig.host.snapshot()
        ours = {f"{one.address} {one.link}" for one in snapshot.addresses if one.ours}
        return ours, set(self.rig.routes())


@pytest.fixture
def town(rig: Rig) -> Town:
    """Nothing of it runs yet."""
    return Town(Street6(rig))


def lives(events: list[StoredEvent], word: str, since: int = 0) -> list[str]:
    """Which daemons have said this of their lives after the event `since`, in alphabetical order."""
    topic = f"routerd.daemon.lifecycle.{word}"
    said = [e.event.source for e in events if e.id > since and e.event.topic == topic]
    return sorted(
        f"{s.kind.removeprefix('routerd-')}/{s.instance}" for s in said if s is not None and s.instance != "routerd"
    )


async def newest(town: Town) -> int:
    """The id of the last event."""
    return int((await town.rig.ask("/events", tail=1)).json["newest"])


async def test_sigterm_ends_all_of_them_in_time_and_takes_nothing_away(
    town: Town, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    rig = town.rig
    async with town.surroundings():
        async with rig.live():
            await town.settled()
            before, preferred = town.on_the_host(), town.street.preferred()
            heard = len(town.street.host.heard)
            began = trio.current_time()
            signal.raise_signal(signal.SIGTERM)
            await rig.ended.wait()
            assert trio.current_time() - began < 5
        assert not list(rig.run_dir.rglob("*.sock"))
        await trio.sleep(60)
        assert town.on_the_host() == before
        assert town.street.preferred() == preferred
        assert all(told.lifetime for _, told in town.street.host.heard[heard:]), "it is a router all the same"
    events = await rig.events()
    assert lives(events, "stopped") == sorted(DAEMONS), "each has said its goodbye"
    assert events[-1].event.message.startswith("routerd stops (SIGTERM)")
    assert crashes(events, caplog) == []


async def test_sigterm_in_the_midst_of_a_farewell(town: Town, autojump_clock: MockClock) -> None:
    """An advertiser and a DHCPv6 client were removed and take their time to tell the hosts and the server, which does
    not answer; somebody ends the router meanwhile."""
    rig = town.rig
    async with town.surroundings(), rig.live() as reload:
        await town.settled()
        town.street.server.settings = attrs.evolve(provider6(), silent=True)
        rig.config_path.write_text(document(INTERFACES, DHCPV4 % ""))
        await reload()
        await until(lambda: town.street.host.heard[-1][1].lifetime == 0)
        began = trio.current_time()
        signal.raise_signal(signal.SIGTERM)
        await rig.ended.wait()
        assert trio.current_time() - began < 5


@pytest.mark.parametrize(
    ("config", "stopped", "started"),
    [
        (EVERYTHING, [], []),
        (document(IPV6, DHCPV4 % "", SECOND_LAN), [], ["ra-server/lan2"]),
        (document(IPV6), ["dhcpv4-client/wan"], []),
        (document(IPV6, DHCPV4 % ", hostname: other"), ["dhcpv4-client/wan"], ["dhcpv4-client/wan"]),
        (
            EVERYTHING.replace("interface: lan, rdnss", "interface: lan, maxInterval: 300s, rdnss"),
            ["ra-server/lan"],
            ["ra-server/lan"],
        ),
        (
            EVERYTHING.replace("prefixLength: 56", "prefixLength: 60"),
            ["dhcpv6-client/wan-pd"],
            ["dhcpv6-client/wan-pd"],
        ),
        (EVERYTHING.replace("subnetID: 1", "subnetID: 3"), [], []),
    ],
    ids=["nothing", "a LAN more", "no DHCPv4", "DHCPv4", "an advertiser", "DHCPv6", "a subnet"],
)
async def test_a_reload_restarts_what_has_changed_and_nothing_else(
    town: Town,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    config: str,
    stopped: list[str],
    started: list[str],
) -> None:
    rig = town.rig
    async with town.surroundings(), rig.live() as reload:
        await town.settled()
        mark = await newest(town)
        rig.config_path.write_text(config)
        await reload()
        await trio.sleep(60)
        assert await rig.unready() == []
        assert town.street.on(0), "the LAN has IPv6 all the time, or again"
        end = await newest(town)
    events = [event for event in await rig.events() if event.id <= end]
    assert lives(events, "stopped", mark) == stopped
    assert lives(events, "started", mark) == started
    assert crashes(events, caplog) == []


async def test_a_lan_that_comes_and_goes(town: Town, autojump_clock: MockClock) -> None:
    rig = town.rig
    async with town.surroundings(), rig.live() as reload:
        await town.settled()
        for _ in range(3):
            rig.config_path.write_text(document(IPV6, DHCPV4 % "", SECOND_LAN))
            await reload()
            await until(lambda: bool(town.street.held("eth2")))
            rig.config_path.write_text(EVERYTHING)
            await reload()
            await until(lambda: not town.street.held("eth2"))
        await trio.sleep(15)
        assert await rig.unready() == []


# Defects of ours


@attrs.define(eq=False)
class Defective:
    """Endpoints with a defect: one of them cannot be opened, as long as `broken`; `tried` is how often somebody did."""

    endpoints: Endpoints
    protocol: str
    device: str
    broken: bool = True
    tried: int = 0

    def _open(self, protocol: str, device: str) -> None:
        if self.broken and (protocol, device) == (self.protocol, self.device):
            self.tried += 1
            raise RuntimeError("a defect")

    def open_packet(
        self, index: int, name: str, tap: Tap, marking: Marking
    ) -> AbstractAsyncContextManager[PacketEndpoint]:
        self._open("dhcpv4", name)
        return self.endpoints.open_packet(index, name, tap, marking)

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[DatagramEndpoint]:
        return self.endpoints.open_dhcpv4(index, name, marking)

    def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[Datagram6Endpoint]:
        self._open("dhcpv6", name)
        return self.endpoints.open_dhcpv6(index, name, marking)

    def open_ndp(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[NdpEndpoint]:
        self._open("ndp", name)
        return self.endpoints.open_ndp(index, name, marking)


@pytest.mark.parametrize(
    ("protocol", "device", "daemon", "resource"),
    [
        ("dhcpv4", "eth0", "dhcpv4-client/wan", "DHCPv4Client/wan"),
        ("dhcpv6", "eth0", "dhcpv6-client/wan-pd", "DHCPv6PrefixDelegation/wan-pd"),
        ("ndp", "eth0", "ra-client/wan-ra", "IPv6RAAddress/wan-ra"),
        ("ndp", "eth1", "ra-server/lan", "IPv6RouterAdvertisement/lan"),
    ],
)
async def test_one_that_crashes_is_run_again_and_the_others_do_not_hear_of_it(
    town: Town, autojump_clock: MockClock, protocol: str, device: str, daemon: str, resource: str
) -> None:
    rig = town.rig
    defects: list[Defective] = []

    def hold(system: System) -> System:
        defects.append(Defective(system.endpoints, protocol, device))
        return attrs.evolve(system, endpoints=defects[0])

    async with town.surroundings(), rig.live(hold):
        [defect] = defects
        await until(lambda: defect.tried >= 4)
        status = await rig.status_of(resource)
        assert (status["phase"], status["reason"]) == ("Error", "CrashLoop")
        [check] = await rig.unready()
        assert check.startswith(f"daemon {daemon}: ")
        defect.broken = False
        await town.settled()
        assert await rig.unready() == []
        end = await newest(town)
    events = [event for event in await rig.events() if event.id <= end]
    told = [one.event for one in events if one.event.topic == "routerd.daemon.lifecycle.crashed"]
    assert [one.message.rpartition("; ")[2] for one in told][:3] == [
        f"crash {number} in a row, again in {delay} s" for number, delay in ((1, 1), (2, 2), (3, 4))
    ]
    assert {one.attributes["component"] for one in told} == {f"routerd-{daemon.replace('/', '-')}"}
    assert all(str(one.resource) == resource and one.attributes["error"] == "RuntimeError: a defect" for one in told)
    assert set(lives(events, "started")) == DAEMONS
    assert [one for one in lives(events, "started") if one != daemon] == sorted(DAEMONS - {daemon}), "once each"


# Many of them

LANS = 20


def a_lan(number: int) -> str:
    return SECOND_LAN.replace("lan2", f"lan{number}").replace("eth2", f"lan{number}").replace(": 2,", f": {number},")


async def test_many_lans(town: Town, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """They have their addresses within seconds, and cost nothing while nothing happens."""
    rig = town.rig
    devices = [f"lan{number}" for number in range(10, 10 + LANS)]
    async with town.surroundings():
        for device in devices:
            rig.world.add_link(device, device)
        rig.config = document(IPV6, DHCPV4 % "", *(a_lan(number) for number in range(10, 10 + LANS)))
        async with rig.live():
            await until(lambda: all(town.street.held(device) for device in devices), within=15)
            await town.settled()
            await trio.sleep(15)
            assert await rig.unready() == []
            mark, rounds = await newest(town), await rounds_of(town)
            await trio.sleep(600)
            assert (await rig.ask("/events", since=mark, limit=1000)).json["events"] == [], "its router says the same"
            assert await rounds_of(town) - rounds <= 150, "each looks when that has spoken: not once in a minute"
            began = trio.current_time()
            signal.raise_signal(signal.SIGTERM)
            await rig.ended.wait()
            assert trio.current_time() - began < 5
    assert crashes(await rig.events(), caplog) == []


async def rounds_of(town: Town) -> int:
    """How often controllers have looked."""
    answer = await town.rig.ask("/controllers")
    rounds = [int(one["reconcileCount"]) for one in answer.json["items"]]
    assert all(rounds), "each has looked"
    return sum(rounds)


# The real process


def test_the_process_ends_in_time_with_all_of_them_and_goes_on_with_what_it_had(routerd: Process) -> None:
    routerd.config.write_text(document(IPV6, DHCPV4 % ", conflictDetection: parallel"))
    for _ in range(2):
        routerd.start()
        routerd.until(
            lambda: not routerd.unready() and routerd.status_of("IPv6DelegatedAddress/lan").get("phase") == "Applied"
        )
        routerd.until(routerd.bound)
        assert {str(path.relative_to(routerd.run_dir)) for path in routerd.run_dir.rglob("*/*.sock")} >= {
            f"{daemon}.sock" for daemon in DAEMONS
        }
        assert routerd.stop() < 5
        assert not list(routerd.run_dir.rglob("*.sock"))
    assert "Traceback" not in routerd.log
