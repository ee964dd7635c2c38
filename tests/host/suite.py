"""What every `Host` does: one suite, written against the seam. `test_simulated` and `test_linux` run it.

Each brings a `stage` fixture: the hands of an operator and of the world, on the system that the host drives.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Protocol, TypeVar

import attrs
import pytest
import trio

from routerd.host import (
    LIFETIME_GRACE,
    Address,
    AddressChanged,
    Host,
    HostRefused,
    HostSide6,
    Link,
    LinkChanged,
    Notice,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Resynced,
    Route,
    RouteChanged,
    SetForwarding6,
    SetHostSide6,
    SetLink,
    Snapshot,
)

N = TypeVar("N")
Notices = trio.MemoryReceiveChannel[Notice]

MAC = bytes.fromhex("020000000001")
OTHER_MAC = bytes.fromhex("020000000002")
ANYWHERE = ip_network("0.0.0.0/0")
LEASE = ip_interface("192.0.2.10/24")
GATEWAY = ip_address("192.0.2.1")


class Stage(Protocol):
    """A system with links to play with, and what people do to it behind routerd's back."""

    def open_host(self) -> AbstractAsyncContextManager[Host]:
        """Routerd's view of the system. What was put on the system is still there when it is opened again."""

    def add_link(self, name: str, mac: bytes = MAC) -> None:
        """A link, set down, with its cable plugged in."""

    def delete_link(self, name: str) -> None: ...

    def rename_link(self, name: str, new_name: str) -> None: ...

    def set_link(self, name: str, up: bool) -> None: ...

    def pull_cable(self, name: str) -> None: ...

    def plug(self, name: str) -> None: ...

    def add_address(self, link: str, address: str) -> None: ...

    def delete_address(self, link: str, address: str) -> None: ...

    def have_elsewhere(self, link: str, address: str) -> None:
        """Another host of the link has it, and says so."""

    def have_nowhere(self, link: str, address: str) -> None:
        """It does not any more."""

    def add_route(self, destination: str, gateway: str, link: str) -> None: ...

    def delete_route(self, destination: str, gateway: str, link: str) -> None: ...


def found(snapshot: Snapshot, name: str) -> Link:
    """The link of this name, which must be there."""
    link = snapshot.link(name)
    assert link is not None
    return link


def routes_of(snapshot: Snapshot, link: Link | None, version: int = 4) -> list[Route]:
    """The IPv4 (or IPv6) routes by this link, link-local ones left out."""
    index = link.index if link else None
    return [
        route
        for route in snapshot.routes
        if route.link == index and route.destination.version == version and not route.destination.is_link_local
    ]


def addresses_of(snapshot: Snapshot, link: Link) -> list[Address]:
    """The addresses of this link, link-local ones left out."""
    return [own for own in snapshot.addresses if own.link == link.index and not own.address.is_link_local]


async def hear(notices: Notices, kind: type[N], which: Callable[[N], bool] = lambda notice: True) -> N:
    """The next notice of this kind that is the one meant; others are passed over."""
    with trio.fail_after(20):
        while True:
            notice = await notices.receive()
            if isinstance(notice, kind) and which(notice) and not of_the_kernel(notice):
                return notice


def of_the_kernel(notice: object) -> bool:
    """The link-local address that a kernel makes by itself, when it likes."""
    return isinstance(notice, AddressChanged) and notice.address.address.is_link_local


async def ready(stage: Stage, host: Host, name: str = "wan0", mac: bytes = MAC) -> Link:
    """A new link that is up and has carrier, as the host sees it."""
    stage.add_link(name, mac)
    async with host.watch() as notices:
        stage.set_link(name, up=True)
        snapshot = await host.observe()
        while not found(snapshot, name).carrier:
            await hear(notices, LinkChanged)
            snapshot = await host.observe()
    return found(snapshot, name)


def connected(link: Link, address: str) -> Route:
    """The route that the kernel makes for an IPv4 address."""
    interface = ip_interface(address)
    return Route(interface.network, link.index, source=interface.ip, ours=False)


# Links


async def test_a_link_is_observed_as_it_is(stage: Stage) -> None:
    stage.add_link("wan0")
    async with stage.open_host() as host:
        link = found(await host.observe(), "wan0")
        assert (link.mac, link.mtu, link.arp) == (MAC, 1500, True)
        assert link.max_mtu >= 9000
        assert not link.admin_up
        assert not link.carrier


async def test_a_link_is_set_up_and_its_mtu_changed_once(stage: Stage) -> None:
    async with stage.open_host() as host, host.watch() as notices:
        stage.add_link("wan0")
        link = found(await host.observe(), "wan0")
        await host.apply(SetLink(link.index, admin_up=True, mtu=1400))
        await hear(notices, LinkChanged, lambda notice: notice.after is not None and notice.after.carrier)
        after = found(await host.observe(), "wan0")
        assert (after.admin_up, after.carrier, after.mtu) == (True, True, 1400)
        await host.apply(SetLink(link.index, mtu=1400))
        await host.apply(SetLink(link.index, admin_up=False))
        assert (await hear(notices, LinkChanged)).after != after
        assert not found(await host.observe(), "wan0").admin_up


async def test_an_impossible_mtu_is_refused_in_the_systems_words(stage: Stage) -> None:
    stage.add_link("wan0")
    async with stage.open_host() as host:
        link = found(await host.observe(), "wan0")
        with pytest.raises(HostRefused, match="mtu greater than device maximum") as refusal:
            await host.apply(SetLink(link.index, mtu=link.max_mtu + 1))
        assert refusal.value.change == SetLink(link.index, mtu=link.max_mtu + 1)
        with pytest.raises(HostRefused, match="mtu less than device minimum"):
            await host.apply(SetLink(link.index, mtu=67))


async def test_what_needs_a_link_is_refused_without_it(stage: Stage) -> None:
    async with stage.open_host() as host:
        with pytest.raises(HostRefused, match="No such device"):
            await host.apply(SetLink(4711, admin_up=True))
        with pytest.raises(HostRefused, match="Device not found"):
            await host.apply(PutAddress(Address(4711, LEASE)))
        with pytest.raises(HostRefused):
            await host.apply(PutRoute(Route(ANYWHERE, 4711, GATEWAY)))
        await host.apply(RemoveAddress(Address(4711, LEASE)))
        await host.apply(RemoveRoute(Route(ANYWHERE, 4711, GATEWAY)))


async def test_a_pulled_cable_is_seen_and_takes_nothing_away(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY)))
        before = await host.observe()
        async with host.watch() as notices:
            stage.pull_cable("wan0")
            change = await hear(notices, LinkChanged)
            assert change.before is not None
            assert change.before.carrier
            assert change.after is not None
            assert (change.after.carrier, change.after.admin_up) == (False, True)
            pulled = await host.observe()
            assert (addresses_of(pulled, link), routes_of(pulled, link)) == (
                addresses_of(before, link),
                routes_of(before, link),
            )
            stage.plug("wan0")
            await hear(notices, LinkChanged, lambda notice: notice.after is not None and notice.after.carrier)


async def test_a_link_that_is_renamed_keeps_its_index(stage: Stage) -> None:
    stage.add_link("wan0")
    async with stage.open_host() as host, host.watch() as notices:
        index = found(await host.observe(), "wan0").index
        stage.rename_link("wan0", "uplink")
        change = await hear(
            notices, LinkChanged, lambda notice: notice.after is not None and notice.after.index == index
        )
        assert change.before is not None
        assert change.after is not None
        assert (change.before.name, change.after.name) == ("wan0", "uplink")
        assert (await host.observe()).link("wan0") is None


async def test_a_link_that_is_made_again_is_another_one(stage: Stage) -> None:
    async with stage.open_host() as host:
        old = await ready(stage, host)
        await host.apply(PutAddress(Address(old.index, LEASE)))
        async with host.watch() as notices:
            stage.delete_link("wan0")
            gone = await hear(notices, AddressChanged, lambda notice: not notice.address.address.is_link_local)
            assert not gone.present
            await hear(notices, LinkChanged, lambda notice: notice.after is None and notice.before is not None)
            stage.add_link("wan0", OTHER_MAC)
            came = await hear(notices, LinkChanged, lambda notice: notice.before is None and notice.after is not None)
            assert came.after is not None
        link = found(await host.observe(), "wan0")
        assert (link.mac, link.index != old.index) == (OTHER_MAC, True)
        assert not addresses_of(await host.observe(), link)


# Addresses


async def test_an_address_is_put_once_and_brings_its_route(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        async with host.watch() as notices:
            for _ in range(2):
                await host.apply(PutAddress(Address(link.index, LEASE)))
            await host.apply(RemoveAddress(Address(link.index, LEASE)))
            await host.apply(RemoveAddress(Address(link.index, LEASE)))
            told = [await hear(notices, AddressChanged) for _ in range(2)]
        assert told == [AddressChanged(Address(link.index, LEASE), present) for present in (True, False)]
        await host.apply(PutAddress(Address(link.index, LEASE)))
        snapshot = await host.observe()
        assert addresses_of(snapshot, link) == [Address(link.index, LEASE)]
        assert routes_of(snapshot, link) == [connected(link, str(LEASE))]


async def test_a_host_address_brings_no_route(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, ip_interface("192.0.2.10/32"))))
        assert routes_of(await host.observe(), link) == []


async def test_the_mark_on_what_is_ours_survives_routerd(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY)))
        stage.add_address("wan0", "198.51.100.1/24")
        stage.add_route("203.0.113.0/24", "192.0.2.1", "wan0")
    async with stage.open_host() as host:
        snapshot = await host.observe()
    assert {str(own.address): own.ours for own in addresses_of(snapshot, link)} == {
        str(LEASE): True,
        "198.51.100.1/24": False,
    }
    assert {str(route.destination) for route in routes_of(snapshot, link) if route.ours} == {"0.0.0.0/0"}


async def test_an_address_put_over_a_foreign_one_is_ours(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        stage.add_address("wan0", str(LEASE))
        assert addresses_of(await host.observe(), link) == [Address(link.index, LEASE, ours=False)]
        await host.apply(PutAddress(Address(link.index, LEASE)))
        assert addresses_of(await host.observe(), link) == [Address(link.index, LEASE)]


async def test_an_address_changed_by_hand_is_noticed(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        async with host.watch() as notices:
            stage.delete_address("wan0", str(LEASE))
            gone = await hear(notices, AddressChanged)
            assert gone == AddressChanged(Address(link.index, LEASE), present=False)
            route = await hear(notices, RouteChanged)
            assert route == RouteChanged(connected(link, str(LEASE)), present=False)
            stage.add_address("wan0", "198.51.100.1/24")
            came = await hear(notices, AddressChanged)
            assert came == AddressChanged(
                Address(link.index, ip_interface("198.51.100.1/24"), ours=False), present=True
            )


async def test_one_address_of_a_network_goes_and_the_other_stays(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        other = ip_interface("192.0.2.11/24")
        await host.apply(PutAddress(Address(link.index, other)))
        await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY)))
        await host.apply(RemoveAddress(Address(link.index, LEASE)))
        snapshot = await host.observe()
        assert addresses_of(snapshot, link) == [Address(link.index, other)]
        assert set(routes_of(snapshot, link)) == {connected(link, str(other)), Route(ANYWHERE, link.index, GATEWAY)}


async def test_a_lifetime_is_renewed_without_a_gap(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        start = host.clock.now()
        await host.apply(PutAddress(Address(link.index, LEASE, valid_until=start + 60)))
        async with host.watch() as notices:
            await host.apply(PutAddress(Address(link.index, LEASE, valid_until=start + 600)))
            (renewed,) = addresses_of(await host.observe(), link)
            assert renewed.valid_until == pytest.approx(start + 600, abs=2)
            await host.apply(PutAddress(Address(link.index, LEASE)))
            (for_ever,) = addresses_of(await host.observe(), link)
            assert for_ever.valid_until is None
            await host.apply(RemoveAddress(Address(link.index, LEASE)))
            assert not (await hear(notices, AddressChanged)).present


async def test_an_address_does_not_outlive_its_lease_by_more_than_the_grace(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        async with host.watch() as notices:
            ended = host.clock.now() - LIFETIME_GRACE + 1
            await host.apply(PutAddress(Address(link.index, LEASE, valid_until=ended)))
            assert (await hear(notices, AddressChanged)).present
            assert not (await hear(notices, AddressChanged)).present
        assert host.clock.now() >= ended + LIFETIME_GRACE - 1
        assert not addresses_of(await host.observe(), link)


# Routes


@pytest.mark.req("V4-20")
async def test_a_route_is_put_once_and_replaced_in_place(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        narrow = Route(ANYWHERE, link.index, GATEWAY, metric=100, source=LEASE.ip, mtu=1400)
        wide = Route(ANYWHERE, link.index, ip_address("192.0.2.2"), metric=100)
        async with host.watch() as notices:
            for route in (narrow, narrow, wide):
                await host.apply(PutRoute(route))
            told = [await hear(notices, RouteChanged) for _ in range(3)]
        assert told == [RouteChanged(narrow, True), RouteChanged(narrow, False), RouteChanged(wide, True)]
        await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY, metric=200)))
        snapshot = await host.observe()
        assert [route.metric for route in routes_of(snapshot, link) if route.ours] == [100, 200]
        assert found(snapshot, "wan0").mtu == 1500


async def test_exactly_one_route_is_removed(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        kept = Route(ANYWHERE, link.index, GATEWAY, metric=100)
        gone = Route(ANYWHERE, link.index, GATEWAY, metric=200, mtu=1400)
        for route in (kept, gone):
            await host.apply(PutRoute(route))
        await host.apply(RemoveRoute(gone))
        await host.apply(RemoveRoute(gone))
        await host.apply(RemoveRoute(Route(ANYWHERE, link.index, ip_address("192.0.2.2"), metric=100)))
        assert [route for route in routes_of(await host.observe(), link) if route.ours] == [kept]


@pytest.mark.req("V4-18", "breaks")
async def test_a_gateway_out_of_reach_is_refused(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, ip_interface("192.0.2.10/32"))))
        with pytest.raises(HostRefused, match="Nexthop has invalid gateway"):
            await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY)))


@pytest.mark.req("V4-18")
async def test_a_gateway_outside_the_network_is_used_on_link_or_by_a_host_route(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, ip_interface("192.0.2.10/32"))))
        onlink = Route(ANYWHERE, link.index, GATEWAY, metric=10, onlink=True)
        neighbour = Route(ip_network("198.51.100.1/32"), link.index)
        through = Route(ANYWHERE, link.index, ip_address("198.51.100.1"), metric=20)
        for route in (onlink, neighbour, through):
            await host.apply(PutRoute(route))
        assert set(routes_of(await host.observe(), link)) == {onlink, neighbour, through}


async def test_a_preferred_source_must_be_ours_to_use(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        with pytest.raises(HostRefused, match="Invalid prefsrc address"):
            await host.apply(PutRoute(Route(ANYWHERE, link.index, GATEWAY, source=ip_address("198.51.100.9"))))


async def test_a_route_by_a_link_that_is_down_is_refused(stage: Stage) -> None:
    stage.add_link("wan0")
    async with stage.open_host() as host:
        link = found(await host.observe(), "wan0")
        await host.apply(PutAddress(Address(link.index, LEASE)))
        with pytest.raises(HostRefused, match="Device for nexthop is not up"):
            await host.apply(PutRoute(Route(ip_network("198.51.100.1/32"), link.index)))


async def test_routes_that_lead_nowhere(stage: Stage) -> None:
    async with stage.open_host() as host:
        hole = Route(ip_network("198.51.100.0/24"), None, kind="blackhole")
        wall = Route(ip_network("2001:db8::/32"), None, kind="unreachable", metric=1000)
        for route in (hole, wall, wall):
            await host.apply(PutRoute(route))
        snapshot = await host.observe()
        assert (routes_of(snapshot, None), routes_of(snapshot, None, 6)) == ([hole], [wall])
        for route in (hole, wall):
            await host.apply(RemoveRoute(route))
        assert routes_of(await host.observe(), None) == []


async def test_a_route_changed_by_hand_is_noticed(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        mine = Route(ANYWHERE, link.index, GATEWAY)
        await host.apply(PutRoute(mine))
        async with host.watch() as notices:
            stage.add_route("203.0.113.0/24", "192.0.2.2", "wan0")
            theirs = Route(ip_network("203.0.113.0/24"), link.index, ip_address("192.0.2.2"), ours=False)
            assert await hear(notices, RouteChanged) == RouteChanged(theirs, present=True)
            stage.delete_route("0.0.0.0/0", "192.0.2.1", "wan0")
            assert await hear(notices, RouteChanged) == RouteChanged(mine, present=False)


async def test_routes_go_with_their_link(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        await host.apply(PutAddress(Address(link.index, ip_interface("2001:db8::10/64"))))
        mine = Route(ANYWHERE, link.index, GATEWAY)
        await host.apply(PutRoute(mine))
        async with host.watch() as notices:
            stage.set_link("wan0", up=False)
            await hear(notices, RouteChanged, lambda notice: notice == RouteChanged(mine, present=False))
            down = await host.observe()
            assert (routes_of(down, link), routes_of(down, link, 6)) == ([], [])
            assert addresses_of(down, link) == [Address(link.index, LEASE)]  # IPv6's do not survive
            stage.set_link("wan0", up=True)
            await hear(notices, RouteChanged, lambda notice: notice.present and notice.route.source == LEASE.ip)
        assert routes_of(await host.observe(), link) == [connected(link, str(LEASE))]


async def test_routes_go_with_the_last_address_of_their_link(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(PutAddress(Address(link.index, LEASE)))
        mine = Route(ANYWHERE, link.index, GATEWAY)
        await host.apply(PutRoute(mine))
        async with host.watch() as notices:
            stage.delete_address("wan0", str(LEASE))
            await hear(notices, RouteChanged, lambda notice: notice == RouteChanged(mine, present=False))
        assert routes_of(await host.observe(), link) == []


async def test_an_ipv6_address_and_a_route_by_a_link_local_gateway(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        own = Address(link.index, ip_interface("2001:db8::10/64"))
        route = Route(ip_network("::/0"), link.index, ip_address("fe80::1"), metric=100)
        unmeasured = Route(ip_network("2001:db8:1::/48"), link.index, ip_address("fe80::1"))
        for change in (PutAddress(own), PutAddress(own), PutRoute(route), PutRoute(route), PutRoute(unmeasured)):
            await host.apply(change)
        snapshot = await host.observe()
        assert addresses_of(snapshot, link) == [own]
        connected = Route(ip_network("2001:db8::/64"), link.index, metric=256, ours=False)
        assert set(routes_of(snapshot, link, 6)) == {connected, route, attrs.evolve(unmeasured, metric=1024)}
        for removal in (RemoveRoute(route), RemoveRoute(unmeasured), RemoveAddress(own)):
            await host.apply(removal)
        snapshot = await host.observe()
        assert (addresses_of(snapshot, link), routes_of(snapshot, link, 6)) == ([], [])


@pytest.mark.parametrize(("kind", "metric"), [("unreachable", 2**31 - 1), ("unreachable", 1024), ("blackhole", 1024)])
async def test_an_ipv6_route_to_nowhere_is_kept_as_it_was_put(stage: Stage, kind: Any, metric: int) -> None:
    async with stage.open_host() as host:
        await ready(stage, host)
        nowhere = Route(ip_network("2001:db8:40::/56"), None, metric=metric, kind=kind)
        await host.apply(PutRoute(nowhere))
        assert nowhere in (await host.observe()).routes
        await host.apply(RemoveRoute(nowhere))
        assert nowhere not in (await host.observe()).routes


async def test_an_ipv6_address_with_lifetimes_and_past_duplicate_detection(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        now = host.clock.now()
        own = Address(link.index, ip_interface("2001:db8::10/64"), valid_until=now + 600, preferred_until=now + 300)
        async with host.watch() as notices:
            await host.apply(PutAddress(own))
            await hear(notices, AddressChanged, lambda notice: notice.address.standing == "ready")
            (seen,) = addresses_of(await host.observe(), link)
            assert (seen.valid_until, seen.preferred_until) == pytest.approx((now + 600, now + 300), abs=2)
            deprecated = attrs.evolve(own, preferred_until=now)
            await host.apply(PutAddress(deprecated))
            (seen,) = addresses_of(await host.observe(), link)
            assert (seen.valid_until, seen.preferred_until) == pytest.approx((now + 600, now), abs=3)


@pytest.mark.parametrize("lifetime", [600.0, None], ids=["for a time", "for ever"])
async def test_an_ipv6_address_that_another_host_has(stage: Stage, lifetime: float | None) -> None:
    """One that has a lifetime goes; any other stays, and is of no use. Put again later, it is detected again."""
    async with stage.open_host() as host:
        link = await ready(stage, host)
        own, until = ip_interface("2001:db8::10/64"), None if lifetime is None else host.clock.now() + lifetime
        stage.have_elsewhere("wan0", "2001:db8::10/64")
        async with host.watch() as notices:
            for _ in range(2):
                await host.apply(PutAddress(Address(link.index, own, valid_until=until, preferred_until=until)))
                twice = await hear(notices, AddressChanged, lambda notice: notice.address.standing == "duplicate")
                assert (twice.address.address, twice.present) == (own, lifetime is None)
                present = [one.standing for one in addresses_of(await host.observe(), link)]
                assert present == ([] if lifetime is not None else ["duplicate"])
                if lifetime is None:
                    await host.apply(RemoveAddress(twice.address))
                    await hear(notices, AddressChanged, lambda notice: not notice.present)
            stage.have_nowhere("wan0", "2001:db8::10/64")
            await host.apply(PutAddress(Address(link.index, own, valid_until=until, preferred_until=until)))
            await hear(notices, AddressChanged, lambda notice: notice.present and notice.address.standing == "ready")


async def test_whether_the_kernel_obeys_routers(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        await host.apply(SetHostSide6(link.index, accept_ra=False, autoconf=False))
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=False, autoconf=False)
        await host.apply(SetHostSide6(link.index, accept_ra=True))
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=True, autoconf=False)
        with pytest.raises(HostRefused):
            await host.apply(SetHostSide6(99_999, accept_ra=True))


async def test_a_host_that_forwards_obeys_only_where_it_was_told_to(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=True, autoconf=True)
        await host.apply(SetForwarding6(True))
        await host.apply(SetForwarding6(True))
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=False, autoconf=True, forwarding=True)
        await host.apply(SetHostSide6(link.index, accept_ra=True))
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=True, autoconf=True, forwarding=True)
        await host.apply(SetForwarding6(False))
        assert found(await host.observe(), "wan0").ipv6 == HostSide6(accept_ra=True, autoconf=True)


# Watching


async def test_watching_begins_with_everything(stage: Stage) -> None:
    stage.add_link("wan0")
    async with stage.open_host() as host:
        stage.add_address("wan0", str(LEASE))
        async with host.watch() as notices:
            first = await hear(notices, Resynced)
            snapshot = first.snapshot
            while not snapshot.addresses:  # it may have been told before it was in the first snapshot
                await hear(notices, AddressChanged)
                snapshot = await host.observe()
            assert found(snapshot, "wan0").mac == MAC


async def test_a_slow_reader_is_told_the_present_and_holds_up_nobody(stage: Stage) -> None:
    async with stage.open_host() as host:
        link = await ready(stage, host)
        async with host.watch() as slow, host.watch() as quick:
            assert isinstance(await quick.receive(), Resynced)
            for last in range(1, 201):
                await host.apply(PutAddress(Address(link.index, ip_interface(f"192.0.2.{last}/32"))))
                heard = await hear(quick, AddressChanged)
                assert str(heard.address.address) == f"192.0.2.{last}/32"
            first = await slow.receive()
            assert isinstance(first, Resynced)
            told = {own.address for own in addresses_of(first.snapshot, link)}
            assert len(told) > 100
            while len(told) < 200:
                told.add((await hear(slow, AddressChanged)).address.address)


# The clock


async def test_sleeping_until_a_time_and_until_one_that_has_passed(stage: Stage) -> None:
    async with stage.open_host() as host:
        start = host.clock.now()
        await host.clock.sleep_until(start - 1)
        await host.clock.sleep_until(start + 0.05)
        assert host.clock.now() >= start + 0.05
        assert host.clock.boot_id
        assert host.clock.wall() > 1_700_000_000 * 10**9
