"""Router advertisements in a whole router: what is removed from the configuration takes its leave, and a restart is
nothing to anybody."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.host import AddressChanged, Notice, RouteChanged
from routerd.sim.isp6 import ADVERTISEMENT, DNS, LINK, ROUTER
from routerd.sim.slaac_host import SlaacHost
from tests.api.client import fetch
from tests.router.rig import Rig, crashes, document, until
from tests.router.rig6 import IPV6, LAN, Street6, provider6

NEVER = "{state: {Interface/wan.phase: {equals: Error}}}"
WAY = f"::/0 via {ROUTER}"
ON_LAN = IPV6.split("    - apiVersion: net.routerd.net/v1alpha1\n      kind: IPv6RouterAdvertisement")[0]
HEAD, TAIL = IPV6.split("    - apiVersion: net.routerd.net/v1alpha1\n      kind: IPv6RAAddress")
WITHOUT_CLIENT = HEAD + TAIL.partition("spec: {interface: wan}\n")[2]


@pytest.fixture
def street(rig: Rig) -> Street6:
    """The router and what is around it; nothing of it runs yet."""
    return Street6(rig)


def slaac(street: Street6) -> list[str]:
    return [str(one) for one in street.held("eth0") if one.ip in LINK and one.network.prefixlen == 64]


async def settled(street: Street6) -> None:
    await until(lambda: street.on(0) and WAY in street.rig.routes() and bool(slaac(street)))
    await until(lambda: bool(street.host.default_routers(street.now)))


async def test_who_is_removed_tells_the_hosts_that_it_is_no_router_any_more(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with street.surroundings():
        async with street.rig.live() as reload:
            await settled(street)
            street.rig.config_path.write_text(document(ON_LAN))
            await reload()
            await until(lambda: [ra.lifetime for _, ra in street.host.heard][-3:] == [0, 0, 0])
            assert street.host.default_routers(street.now) == []
            await trio.sleep(5)
            assert (await street.rig.ask("/describe", target="IPv6RouterAdvertisement/lan")).status == 404
            assert (await street.rig.ask("/describe", target="IPv6RAAddress/wan-ra")).status == 200
        assert crashes(await street.rig.events(), caplog) == []


async def test_who_was_removed_while_nobody_ran_is_taken_back_at_the_next_start(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The file was edited and routerd restarted: to the hosts it is the same as a change in life."""
    async with street.surroundings():
        async with street.rig.live():
            await settled(street)
        street.rig.config = document(ON_LAN)
        async with street.rig.live():
            await until(lambda: street.host.default_routers(street.now) == [], within=10)
            assert street.preferred() == []
            assert street.host.name_servers[DNS[0]] <= street.now
            await gone(street, "IPv6RouterAdvertisement/lan")
            assert not (street.rig.run_dir / "ra-server" / "lan.sock").exists(), "and nobody is left running"
        assert crashes(await street.rig.events(), caplog) == []


async def gone(street: Street6, target: str) -> None:
    """Wait until nothing is known of a resource any more."""
    for _ in range(60):
        if (await street.rig.ask("/describe", target=target)).status == 404:
            return
        await trio.sleep(0.5)
    raise AssertionError(f"{target} was never forgotten")


@pytest.mark.parametrize("of", ["{prefixDelegation", "{interface: wan, prefixLength"])
async def test_what_is_held_is_taken_back(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, of: str
) -> None:
    """The subnet, or the prefix that it is of: hosts begin nothing with it any more, and are told so at once."""
    whole = document(IPV6)
    held = whole.replace(f"spec: {of}", f"spec: {{when: {NEVER}, {of[1:]}")
    assert held != whole
    async with street.surroundings():
        async with street.rig.live() as reload:
            await settled(street)
            street.rig.config_path.write_text(held)
            await reload()
            await until(lambda: street.preferred() == [], within=10)
            street.rig.config_path.write_text(whole)
            await reload()
            await until(lambda: street.on(0), within=30)
        assert crashes(await street.rig.events(), caplog) == []


async def test_hosts_keep_their_prefix_when_our_own_address_is_a_duplicate(
    street: Street6, autojump_clock: MockClock
) -> None:
    async with street.surroundings(), street.rig.live():
        await settled(street)
        index = street.rig.world.link("eth1").index
        (own,) = (one for one in street.rig.host.snapshot().addresses if one.link == index and one.ours)
        street.rig.host.put_address(attrs.evolve(own, standing="duplicate"))
        await trio.sleep(60)
        assert street.on(0)


async def test_a_lan_that_goes_down_and_comes_back(street: Street6, autojump_clock: MockClock) -> None:
    """By cable, by the operator, under another name, as another device of the same name: each time the hosts hear of us
    at once."""
    world = street.rig.world
    breaks: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: world.pull_cable("eth1"), lambda: world.plug("eth1")),
        (lambda: world.set_link("eth1", admin_up=False), lambda: world.set_link("eth1", admin_up=True)),
        (lambda: world.set_link("eth1", name="eth9"), lambda: world.set_link("eth9", name="eth1")),
        (lambda: world.remove_link("eth1"), lambda: world.add_link("eth1", LAN)),
    ]
    async with street.surroundings(), street.rig.live():
        await settled(street)
        for break_it, mend_it in breaks:
            street.host.heard.clear()
            break_it()
            await trio.sleep(30)
            mend_it()
            await until(lambda: bool(street.host.heard), within=10)
            assert street.on(0)
            assert street.host.default_routers(street.now)
            await trio.sleep(60)
        assert all(prefix.preferred for _, ra in street.host.heard for prefix in ra.prefixes), "nothing was taken back"


async def test_a_lan_that_moves_to_another_interface(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with street.surroundings():
        street.rig.world.add_link("eth2", "other")
        other = SlaacHost(street.rig.world.segment("other"), bytes.fromhex("02005e6100ab"))
        async with street.rig.live() as reload:
            await settled(street)
            street.rig.config_path.write_text(document(IPV6.replace("ifname: eth1", "ifname: eth2")))
            await reload()
            await until(lambda: street.host.default_routers(street.now) == [] and street.preferred() == [], within=20)
            await until(lambda: bool(other.preferred(street.now) and other.default_routers(street.now)), within=30)
            assert all(prefix.preferred for _, ra in other.heard for prefix in ra.prefixes)
        assert crashes(await street.rig.events(), caplog) == []


@pytest.mark.parametrize("how", ["torn", "lost"])
async def test_renumbered_while_it_was_down_and_what_was_told_is_lost(
    street: Street6, autojump_clock: MockClock, how: str
) -> None:
    memory = street.rig.state_dir / "ra-server" / "lan" / "memory.json"
    async with street.surroundings():
        async with street.rig.live():
            await settled(street)
        octets = memory.read_bytes()
        memory.unlink() if how == "lost" else memory.write_bytes(octets[: len(octets) // 2])
        street.server.settings = provider6(1)
        async with street.rig.live():
            await until(lambda: street.on(1), within=60)
            topics = [one.event.topic for one in await street.rig.events()]
            assert "routerd.ra.memory.unreadable" in topics
            assert "routerd.ra.prefix.deprecated" in topics


async def test_a_client_that_is_removed_leaves_nothing(
    street: Street6, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with street.surroundings():
        async with street.rig.live() as reload:
            await settled(street)
            street.rig.config_path.write_text(document(WITHOUT_CLIENT))
            await reload()
            await until(lambda: WAY not in street.rig.routes() and not slaac(street))
            await until(lambda: street.host.default_routers(street.now) == [], within=5)
            assert street.preferred(), "the LAN keeps its addresses"
        assert crashes(await street.rig.events(), caplog) == []


async def test_without_a_way_out_this_is_no_router_for_the_lan(street: Street6, autojump_clock: MockClock) -> None:
    async with street.surroundings(), street.rig.live():
        await settled(street)
        street.router.cease(street.now)
        await until(lambda: street.host.default_routers(street.now) == [], within=5)
        assert street.preferred()
        street.router.advertisement = ADVERTISEMENT
        street.router.advertise(street.now)
        await until(lambda: bool(street.host.default_routers(street.now)), within=5)


async def test_over_a_restart_nothing_of_it_is_taken_away(street: Street6, autojump_clock: MockClock) -> None:
    lost: list[Notice] = []

    async def watch() -> None:
        async with street.rig.host.watch() as notices:
            async for notice in notices:
                if isinstance(notice, AddressChanged | RouteChanged) and not notice.present:
                    lost.append(notice)

    async with street.surroundings():
        async with street.rig.live():
            await settled(street)
            addresses = slaac(street)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            async with street.rig.live():
                await trio.sleep(120)
                assert slaac(street) == addresses
                assert WAY in street.rig.routes()
            nursery.cancel_scope.cancel()
    assert lost == []


async def test_its_socket_answers(street: Street6, autojump_clock: MockClock) -> None:
    async with street.surroundings(), street.rig.live():
        await settled(street)
        for directory, name in (("ra-client", "wan-ra"), ("ra-server", "lan")):
            socket = str(street.rig.run_dir / directory / f"{name}.sock")
            assert (await fetch(socket, "/v1/healthz")).status == 200
            status = (await fetch(socket, "/v1/status")).json
            assert status["health"] == "ok"
