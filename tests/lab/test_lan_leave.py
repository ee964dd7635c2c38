"""When a router takes its leave of a LAN and when it does not, with a Linux host of the LAN as the judge."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from ipaddress import IPv6Network
from pathlib import Path

import pytest
import trio

from tests.lab.lan import Heard, default_routes, deprecates, hearing, prefers, watching
from tests.lab.servers6 import radvd
from tests.lab.street import Street, document, resource

pytestmark = pytest.mark.lab

PREFIX = IPv6Network("fd00:1::/64")
WAN, LAN = resource("Interface", "wan", ifname="wan0"), resource("Interface", "lan", ifname="lan0")
LISTENER = resource("IPv6RAAddress", "wan-ra", interface="wan")
WITHOUT = document(WAN, LAN, LISTENER)


def telling(*rdnss: str) -> str:
    teller = resource("IPv6RouterAdvertisement", "lan", interface="lan", prefix=str(PREFIX), rdnss=list(rdnss))
    return document(WAN, LAN, LISTENER, teller)


@pytest.fixture
def settled(street: Street, tmp_path: Path) -> Iterator[Street]:
    """The host has its address and its way."""
    street.router.config = telling("fd00:1::53", "fd00:1::54")
    with radvd(street.isp, "isp0", tmp_path, "MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 900;"):
        street.router.start()
        street.router.until(lambda: prefers(street.host, PREFIX) and default_routes(street.host))
        yield street


def configured(street: Street, config: str) -> None:
    """Another configuration, in the running router."""
    assert street.router.process is not None
    (street.router.directory / "router.yaml").write_text(config)
    street.router.process.send_signal(signal.SIGHUP)


def ended(heard: Heard) -> set[str]:
    """The name servers that an advertisement takes back."""
    return {str(one) for servers in heard.message.name_servers if not servers.lifetime for one in servers.addresses}


def left(street: Street) -> bool:
    """The host begins nothing with us any more."""
    return deprecates(street.host, PREFIX) and not default_routes(street.host)


async def test_a_name_server_that_is_no_more_is_told_as_such_more_than_once(settled: Street) -> None:
    street = settled
    with hearing(street.host) as heard:
        configured(street, telling("fd00:1::53"))
        street.router.until(lambda: len([one for one in heard() if "fd00:1::54" in ended(one)]) >= 2, 40)
        assert all("fd00:1::53" not in ended(one) for one in heard())
    assert prefers(street.host, PREFIX)


async def test_a_resource_that_is_removed_in_life(settled: Street) -> None:
    configured(settled, WITHOUT)
    settled.router.until(lambda: left(settled), 20)


async def test_a_resource_that_is_removed_while_nobody_runs(settled: Street) -> None:
    settled.router.kill()
    settled.router.config = WITHOUT
    assert prefers(settled.host, PREFIX)
    settled.router.start()
    settled.router.until(lambda: left(settled), 20)


async def test_an_orderly_restart_is_nothing_to_the_lan(settled: Street, tmp_path: Path) -> None:
    with watching(settled.host, tmp_path) as seen:
        settled.router.stop()
        await trio.sleep(1)
        assert default_routes(settled.host)
        settled.router.start()
        settled.router.until(lambda: settled.router.status("IPv6RouterAdvertisement/lan").get("phase") == "Applied")
        lines = [line for _, line in seen()]
    assert prefers(settled.host, PREFIX)
    assert [line for line in lines if "deprecated" in line or "Deleted" in line] == []
