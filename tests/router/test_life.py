"""A whole router on a simulated host: it acquires, applies, keeps, loses, and survives."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from routerd.host import AddressChanged, Notice
from tests.router.rig import DEFAULT, LEASED, WAN, Rig, document, provider, topics, until


async def test_it_acquires_and_applies(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        assert rig.addresses() == [LEASED]
        await trio.sleep(5)
    said = topics(await rig.events())
    assert said == ["discover.sent", "offer.received", "request.sent", "lease.bound", "applied"]
    assert not rig.server.violations


@pytest.mark.req("V4-33")
async def test_a_restart_keeps_address_and_lease(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings():
        for life in range(5):
            async with rig.live():
                await until(lambda: DEFAULT in rig.routes())
                await trio.sleep(20)
            assert rig.addresses() == [LEASED], f"after life {life}"
            assert rig.routes() == [DEFAULT]
            await trio.sleep(5)
    said = topics(await rig.events())
    assert said.count("discover.sent") == 1, "only the first life had to ask for an address"
    assert said.count("lease.resumed") == 4
    assert "lease.released" not in said
    assert not rig.server.violations


async def test_an_address_removed_by_hand_comes_back(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        [address] = [a for a in rig.host.snapshot().addresses if str(a.address) == LEASED]
        rig.host.remove_address(address)
        assert rig.addresses() == []
        await trio.sleep(0.01)
        assert rig.addresses() == [LEASED]
        await until(lambda: DEFAULT in rig.routes(), within=1)


async def test_a_nak_after_renumbering_moves_the_address(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.server.settings = provider(600, first=provider().last, last=provider().last)
        await until(lambda: rig.addresses() == ["203.0.113.99/24"], within=1000)
        await until(lambda: rig.routes() == [DEFAULT], within=1)
    said = topics(await rig.events())
    assert "lease.nak" in said
    assert said.index("lease.nak") < said.index("lease.lost")


async def test_a_lease_that_expires_is_taken_down_routes_first(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.server.settings = provider(600, silent=True)
        await until(lambda: rig.addresses() == [], within=700)
        assert rig.routes() == []
        assert 590 < trio.current_time() < 610, "not before the lease is over, not after"
    events = await rig.events()
    order = [e.event.topic for e in events if e.event.topic.endswith((".removed", "lease.expired"))]
    assert order == [
        "routerd.dhcpv4.client.lease.expired",
        "routerd.ipv4.route.removed",
        "routerd.lan.ipv4_address.removed",
    ]


async def test_a_client_that_is_removed_from_the_configuration_leaves_nothing(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings():
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())
        rig.config = document(WAN[: WAN.index("    - apiVersion: net.routerd.net/v1alpha1\n      kind: DHCPv4Client")])
        async with rig.live():
            await until(lambda: rig.addresses() == [] and rig.routes() == [], within=5)
    assert "lease.released" not in topics(await rig.events())


async def test_a_cable_pulled_and_put_back_is_seen_at_once(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.world.pull_cable("eth0")
        await trio.sleep(1)
        rig.world.plug("eth0")
        await trio.sleep(30)
        assert rig.addresses() == [LEASED]
    events = await rig.events()
    carrier = [e for e in events if e.event.topic.startswith("routerd.interface.link.")]
    words = [e.event.topic.rpartition(".")[2] for e in carrier]
    assert words[-2:] == ["down", "up"]
    assert (carrier[-1].event.time - carrier[-2].event.time) / 1e9 == pytest.approx(1, abs=0.01)


async def test_an_interface_renamed_and_made_again_with_another_mac(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.world.remove_link("eth0")
        await trio.sleep(30)
        rig.world.add_link("eth0", "line", bytes.fromhex("020000aabbcc"))
        await until(lambda: rig.routes() == [DEFAULT])
        assert len(rig.addresses()) == 1
    said = topics(await rig.events())
    assert said.count("lease.bound") == 2
    assert not rig.server.violations


@pytest.mark.req("V4-33")
async def test_a_changed_declaration_restarts_the_client_without_touching_the_address(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings(), rig.host.watch() as notices, rig.live() as root_reload:
        await until(lambda: DEFAULT in rig.routes())
        rig.config_path.write_text(document(WAN % ", hostname: other"))
        await root_reload()
        await trio.sleep(60)
        assert rig.addresses() == [LEASED]
        seen = [n for n in _taken(notices) if isinstance(n, AddressChanged)]
    assert seen
    assert all(n.present for n in seen), "never taken away"
    said = topics(await rig.events())
    assert said.count("discover.sent") == 1
    assert said.count("lease.resumed") == 1


async def test_a_faulty_configuration_at_reload_keeps_the_old_one_and_says_so(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings(), rig.live() as root_reload:
        await until(lambda: DEFAULT in rig.routes())
        rig.config_path.write_text(document(WAN % ", hostnam: other"))
        await root_reload()
        await trio.sleep(5)
        assert rig.routes() == [DEFAULT]
    [rejected] = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.rejected"]
    assert "hostnam" in rejected.attributes["errors"]
    assert rejected.severity == "error"


def _taken(notices: trio.MemoryReceiveChannel[Notice]) -> list[Notice]:
    """What has been noticed so far."""
    seen = []
    while True:
        try:
            seen.append(notices.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return seen
