"""Router advertisements in a whole router: what is removed from the configuration takes its leave, and a restart is
nothing to anybody."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from routerd.host import AddressChanged, Notice, RouteChanged
from routerd.sim.isp6 import ADVERTISEMENT, LINK, ROUTER
from tests.api.client import fetch
from tests.router.rig import Rig, crashes, document, until
from tests.router.rig6 import IPV6, Street6

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
