"""The two machines of Neighbor Discovery on real links, without routerd: the host's against routers that we did not
write, the router's towards a host that is Linux."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from routerd.protocols.machine import Stop
from routerd.protocols.ndp.advertiser import Advertiser, Announce, Remember
from routerd.protocols.ndp.announcement import Announcement, LanPrefix, LanRoute
from routerd.protocols.ndp.discovery import Attached, Discovery
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    NameServers,
    NdpPacket,
    Preference,
)
from routerd.protocols.ndp.others import OtherRouter
from tests.lab.driven import Driven, Wan, ndp, wan
from tests.lab.lan import addresses, default_routes, watching
from tests.lab.netns import Namespace, wire
from tests.lab.servers6 import LINK, SERVER, Terms6, dnsmasq, radvd

pytestmark = pytest.mark.lab

ADVERTISED = """
    MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 900; AdvManagedFlag on; AdvOtherConfigFlag on;
    AdvDefaultPreference high; AdvLinkMTU 1492;
    prefix 2001:db8:ff::/64 { AdvValidLifetime 4000; AdvPreferredLifetime 3000; };
    prefix 2001:db8:fe::/64 { AdvAutonomous off; AdvValidLifetime 4000; AdvPreferredLifetime 3000; };
    route 2001:db8:77::/48 { AdvRouteLifetime 1200; AdvRoutePreference low; };
    RDNSS 2001:db8:53::53 2001:db8:53::54 { AdvRDNSSLifetime 1000; };
    DNSSL home.example lab.example { AdvDNSSLLifetime 1000; };
"""
SILENT = "MinRtrAdvInterval 1000; MaxRtrAdvInterval 1800;"
OLD, NEW = IPv6Network("2001:db8:1:1::/64"), IPv6Network("2001:db8:2:1::/64")
DNS = IPv6Address("2001:db8:53::53")


# As a host


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    return namespaces("isp")


@pytest.fixture
async def link(isp: Namespace, namespaces: Callable[[str], Namespace]) -> AsyncIterator[Wan]:
    """The host's end of a cable whose other end is ready for a router. The kernel's own host side is off: it would
    take the same addresses."""
    router = namespaces("rtr")
    router.sysctl("net.ipv6.conf.default.accept_ra", "0")
    wire(isp, "isp0", router, "wan0")
    isp.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    await wan(isp, "isp0")
    yield await wan(router, "wan0")


def left(discovery: Driven[Discovery], until: float | None) -> float:
    """Seconds until an instant of the machine's."""
    assert until is not None
    return until - discovery.now


async def test_all_that_radvd_tells(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with radvd(isp, "isp0", tmp_path, ADVERTISED):
        async with ndp(link, Discovery(Random())) as discovery:
            await discovery.until(lambda: discovery.machine.learned.routers)
            learned = discovery.machine.learned
            (router,) = learned.default_routers(discovery.now)
    assert router.address == (await wan(isp, "isp0")).link_local
    assert (router.managed, router.other, router.preference, router.mtu) == (True, True, Preference.HIGH, 1492)
    assert left(discovery, router.until) == pytest.approx(900, abs=20)
    assert learned.prefixes.keys() == {LINK, IPv6Network("2001:db8:fe::/64")}
    assert left(discovery, learned.prefixes[LINK].valid_until) == pytest.approx(4000, abs=20)
    assert left(discovery, learned.prefixes[LINK].preferred_until) == pytest.approx(3000, abs=20)
    not_ours = learned.prefixes[IPv6Network("2001:db8:fe::/64")]
    assert left(discovery, not_ours.valid_until) <= 0, "on the link, and nobody makes addresses of it"
    (route,) = learned.routes.values()
    assert (route.prefix, route.preference) == (IPv6Network("2001:db8:77::/48"), Preference.LOW)
    assert set(learned.name_servers) == {DNS, IPv6Address("2001:db8:53::54")}
    assert set(learned.search_domains) == {"home.example", "lab.example"}


async def test_a_router_that_advertises_once_in_half_an_hour_is_asked(
    isp: Namespace, link: Wan, tmp_path: Path
) -> None:
    with radvd(isp, "isp0", tmp_path, SILENT):
        async with ndp(link, Discovery(Random())) as discovery:
            await discovery.until(lambda: discovery.machine.learned.routers)
            await discovery.tell(LinkDown())
            mark = len(discovery.said)
            await discovery.tell(LinkUp(link.link_local, link.mac))
            await discovery.until(lambda: discovery.heard(Attached, mark))
    assert discovery.heard(Attached, mark) == [Attached(True)], "the same router answered"


@pytest.mark.parametrize(("mode", "flags"), [("stateful", (True, True)), ("stateless", (False, True))])
async def test_what_dnsmasq_tells(
    mode: Any, flags: tuple[bool, bool], isp: Namespace, link: Wan, tmp_path: Path
) -> None:
    with dnsmasq(isp, "isp0", tmp_path, Terms6(), mode):
        async with ndp(link, Discovery(Random())) as discovery:
            await discovery.until(lambda: discovery.machine.learned.routers)
            learned = discovery.machine.learned
            (router,) = learned.default_routers(discovery.now)
    assert (router.managed, router.other) == flags
    assert LINK in learned.prefixes
    autonomous = left(discovery, learned.prefixes[LINK].valid_until) > 0
    assert autonomous == (mode == "stateless")
    assert set(learned.name_servers) == {DNS}


async def test_a_router_that_goes_is_looked_for_again(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    async with ndp(link, Discovery(Random())) as discovery:
        with radvd(isp, "isp0", tmp_path, ADVERTISED):
            await discovery.until(lambda: discovery.machine.learned.routers)
            mark = len(discovery.said)
        await discovery.until(lambda: not discovery.machine.learned.default_routers(discovery.now))
        assert LINK in discovery.machine.learned.prefixes, "what it told of the link is true without it"
        await discovery.until(lambda: discovery.heard(NdpPacket, mark))
        with radvd(isp, "isp0", tmp_path, ADVERTISED):
            await discovery.until(lambda: discovery.machine.learned.default_routers(discovery.now))


async def test_another_network_behind_the_same_plug(
    isp: Namespace, link: Wan, namespaces: Callable[[str], Namespace], tmp_path: Path
) -> None:
    """RFC 6059: after a flap another router answers and the known one does not."""
    other = namespaces("other")
    async with ndp(link, Discovery(Random())) as discovery:
        with radvd(isp, "isp0", tmp_path, SILENT + " prefix 2001:db8:ff::/64 {};"):
            await discovery.until(lambda: discovery.machine.learned.routers)
            isp.ip("link", "set", "isp0", "netns", other.name)
            other.ip("link", "set", "isp0", "address", "02:00:00:00:00:99")
            await discovery.tell(LinkDown())
        other.ip("link", "set", "isp0", "up")
        await wan(other, "isp0")
        mark = len(discovery.said)
        with radvd(other, "isp0", tmp_path, SILENT + " prefix 2001:db8:aa::/64 {};"):
            await discovery.tell(LinkUp(link.link_local, link.mac))
            await discovery.until(lambda: discovery.heard(Attached, mark))
    assert discovery.heard(Attached, mark) == [Attached(False)]
    assert discovery.machine.learned.prefixes.keys() == {IPv6Network("2001:db8:aa::/64")}


# As a router


@pytest.fixture
def host(namespaces: Callable[[str], Namespace]) -> Namespace:
    """A Linux host. Its kernel makes one address of each prefix: no temporary ones (use_tempaddr 0), no random wait for
    duplicate address detection."""
    return namespaces("host")


@pytest.fixture
async def lan(host: Namespace, namespaces: Callable[[str], Namespace]) -> AsyncIterator[Wan]:
    """The router's end of the cable to it."""
    router = namespaces("rtr")
    router.sysctl("net.ipv6.conf.default.accept_ra", "0")
    wire(router, "lan0", host, "eth0")
    await wan(host, "eth0")
    yield await wan(router, "lan0")


async def comes(holds: Callable[[], object], within: float = 30.0) -> None:
    """Wait for something that only the kernel of the host knows."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        await trio.sleep(0.02)


def announcement(*prefixes: IPv6Network, **rest: Any) -> Announcement:
    return Announcement(tuple(LanPrefix(prefix) for prefix in prefixes), **rest)


async def test_a_linux_host_takes_what_it_is_told(host: Namespace, lan: Wan) -> None:
    host.sysctl("net.ipv6.conf.eth0.accept_ra_rt_info_max_plen", "64")
    told = announcement(
        OLD,
        mtu=1400,
        hop_limit=77,
        routes=(LanRoute(IPv6Network("2001:db8:77::/48"), 1200),),
        name_servers=(NameServers((DNS,), 1200),),
    )
    async with ndp(lan, Advertiser(Random())) as advertiser:
        await advertiser.tell(Announce(told))
        await comes(lambda: OLD in addresses(host) and default_routes(host) == [str(lan.link_local)])
        info = addresses(host)[OLD]
        assert info["dynamic"]
        assert info["valid_life_time"] == pytest.approx(5400, abs=30), "of a prefix that may be taken back"
        assert info["preferred_life_time"] == pytest.approx(2700, abs=30)
        (more,) = json.loads(host.ip("-j", "-6", "route", "show", "2001:db8:77::/48"))
        assert more["gateway"] == str(lan.link_local)
        assert host.run("sysctl", "-n", "net.ipv6.conf.eth0.mtu", "net.ipv6.conf.eth0.hop_limit").split() == [
            "1400",
            "77",
        ]


@pytest.mark.req("V6-22")
@pytest.mark.req("V6-23")
async def test_a_renumbering_is_known_to_the_host_within_a_second_and_without_a_gap(
    host: Namespace, lan: Wan, tmp_path: Path
) -> None:
    async with ndp(lan, Advertiser(Random())) as advertiser:
        await advertiser.tell(Announce(announcement(OLD)))
        await comes(lambda: OLD in addresses(host))
        for seconds in (16, 16, 16, 4):  # the first three are out, and so are the seconds between two to all
            await advertiser.sleep(seconds)
        with watching(host, tmp_path) as seen:
            changed_at = time.time()
            await advertiser.tell(Announce(announcement(NEW)))
            await comes(lambda: addresses(host).get(OLD, {}).get("deprecated") and NEW in addresses(host))
            await comes(lambda: len([line for _, line in seen() if "inet6" in line]) >= 2)
            assert default_routes(host) == [str(lan.link_local)]
        after = addresses(host)
    assert [line for _, line in seen() if "Deleted" in line] == [], "nothing was taken away, not for a moment"
    old = next(at for at, line in seen() if "2001:db8:1:1:" in line and "deprecated" in line)
    new = next(at for at, line in seen() if "2001:db8:2:1:" in line)
    assert old - changed_at < 1
    assert new - changed_at < 1
    assert 0 < after[OLD]["valid_life_time"] <= 7200, "connections that it has may end in peace"
    assert not after[NEW].get("deprecated")
    assert after[NEW]["preferred_life_time"] == pytest.approx(2700, abs=30)


@pytest.mark.req("V6-22", "breaks")
async def test_what_a_life_that_was_killed_had_told_is_taken_back_by_the_next(host: Namespace, lan: Wan) -> None:
    async with ndp(lan, Advertiser(Random())) as first:
        await first.tell(Announce(announcement(OLD)))
        await comes(lambda: OLD in addresses(host))
        remembered = first.heard(Remember)[-1].told
    async with ndp(lan, Advertiser(Random(), remembered=remembered)) as second:
        await second.tell(Announce(announcement(NEW)))
        await comes(lambda: addresses(host).get(OLD, {}).get("deprecated") and NEW in addresses(host))


async def test_a_router_that_ends_says_so(host: Namespace, lan: Wan) -> None:
    async with ndp(lan, Advertiser(Random())) as advertiser:
        await advertiser.tell(Announce(announcement(OLD)))
        await comes(lambda: default_routes(host))
        await advertiser.tell(Stop(release=True))
        await comes(lambda: not default_routes(host))
        assert OLD in addresses(host), "the LAN itself goes on"


async def test_a_host_that_asks_is_answered(host: Namespace, lan: Wan) -> None:
    """Its cable was out: it does not wait for the next advertisement to all."""
    async with ndp(lan, Advertiser(Random())) as advertiser:
        await advertiser.tell(Announce(announcement(OLD)))
        await comes(lambda: OLD in addresses(host))
        await advertiser.sleep(60)  # the first three are out
        host.ip("link", "set", "eth0", "down")
        await comes(lambda: OLD not in addresses(host))
        host.ip("link", "set", "eth0", "up")
        await comes(lambda: OLD in addresses(host) and default_routes(host))


async def test_another_router_on_the_lan_is_told(lan: Wan, host: Namespace, tmp_path: Path) -> None:
    async with ndp(lan, Advertiser(Random())) as advertiser:
        await advertiser.tell(Announce(announcement(OLD, managed=False)))
        host.sysctl("net.ipv6.conf.eth0.accept_ra", "0")
        with radvd(
            host,
            "eth0",
            tmp_path,
            "MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvManagedFlag on; prefix 2001:db8:9::/64 {};",
        ):
            (other, *_) = await advertiser.until(lambda: advertiser.heard(OtherRouter))
        assert other.source == (await wan(host, "eth0")).link_local
        assert "managed" in other.inconsistent
