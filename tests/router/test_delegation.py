"""A whole router that is delegated a prefix: its LAN has an address of it, what is left of it is unreachable, and a
restart touches neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Interface
from pathlib import Path

import trio
from trio.testing import MockClock

from routerd.host import Address, AddressChanged, Notice, RouteChanged
from routerd.host.simulated import SimulatedHost
from tests.router.rig import Rig, document
from tests.router.test_dhcpv6 import PREFIX, surroundings

WAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: eth0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6PrefixDelegation
      metadata: {name: wan-pd}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Address
      metadata: {name: wan-na}
      spec: {interface: wan}
"""
LAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: lan}
      spec: {prefixDelegation: wan-pd, interface: lan, subnetID: 1, addressSuffix: "::1"}
"""
CONFIG = document(WAN, LAN)
OWN = "2001:db8:100:1::1/64"


def of_ours(host: SimulatedHost) -> tuple[set[str], set[str]]:
    """Addresses, and what is unreachable."""
    snapshot = host.snapshot()
    addresses = {str(one.address) for one in snapshot.addresses if one.ours}
    return addresses, {str(one.destination) for one in snapshot.routes if one.ours and one.kind == "unreachable"}


def heard(notices: trio.MemoryReceiveChannel[Notice]) -> Iterator[Notice]:
    """What has come so far."""
    with suppress(trio.WouldBlock):
        while True:
            yield notices.receive_nowait()


async def until_on(rig: Rig, text: str, within: float = 60) -> Address:
    with trio.fail_after(within):
        while True:
            for one in rig.host.snapshot().addresses:
                if str(one.address) == text:
                    return one
            await trio.sleep(0.05)


async def test_a_prefix_arrives_on_the_lan_and_stays_over_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    rig = Rig(tmp_path, config=CONFIG)
    async with surroundings(rig):
        async with rig.live():
            own = await until_on(rig, OWN)
            await trio.sleep(2)
            addresses, unreachable = of_ours(rig.host)
            [leased] = addresses - {OWN}
            assert leased.endswith("/128")
            assert unreachable == {PREFIX}
            told = await rig.status_of("IPv6DelegatedAddress/lan")
            assert (told["phase"], told["prefix"]) == ("Applied", "2001:db8:100:1::/64")
            assert own.valid_until == told["validUntilMonotonic"]
            [item] = (await rig.ask("/get", subject="prefixes")).json["raw"]["items"]
            assert (item["name"], item["prefix"], item["boundLength"]) == ("wan-pd", PREFIX, 56)
            assert [one["prefix"] for one in item["subnets"]] == ["2001:db8:100:1::/64"]
            assert {"renewAt", "rebindAt", "preferredUntil", "validUntil", "serverDUID", "iaid"} <= item.keys()
            assert all(link.ipv6 and link.ipv6.forwarding for link in rig.host.snapshot().links), "it is a router"
        assert of_ours(rig.host) == (addresses, unreachable), "a restart is no loss"
        async with rig.host.watch() as notices, rig.live():
            await trio.sleep(60)
            gone = [one for one in heard(notices) if isinstance(one, AddressChanged | RouteChanged) and not one.present]
        assert of_ours(rig.host) == (addresses, unreachable)
        assert gone == []


async def test_an_address_that_another_host_of_the_lan_has(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The kernel takes it away each time: it is tried again now and then, and that is all that happens."""
    rig = Rig(tmp_path, config=CONFIG)
    async with surroundings(rig):
        rig.host.elsewhere.add(IPv6Interface(OWN).ip)
        async with rig.host.watch() as notices, rig.live():
            await trio.sleep(1800)
            put = [one for one in heard(notices) if isinstance(one, AddressChanged) and str(one.address.address) == OWN]
            assert 4 <= sum(one.present for one in put) <= 8
            told = await rig.status_of("IPv6DelegatedAddress/lan")
            assert (told["phase"], told["reason"]) == ("Error", "DuplicateAddress")
            assert told["message"] == "another host of eth1 has 2001:db8:100:1::1"
            [condition] = told["conditions"]
            assert (condition["type"], condition["status"]) == ("Applied", "False")
            why = (await rig.ask("/why", target="IPv6DelegatedAddress/lan")).json
            assert "find the host that has it" in why["next"]
            assert why["chain"]["causes"][0]["event"]["topic"] == "routerd.interface.address.duplicate"
            assert (await rig.status_of("DHCPv6PrefixDelegation/wan-pd"))["phase"] == "Bound"
            rig.host.elsewhere.clear()
            await until_on(rig, OWN, within=700)
            await trio.sleep(5)
            assert (await rig.status_of("IPv6DelegatedAddress/lan"))["phase"] == "Applied"
        told_of = [one for one in await rig.events() if one.event.topic == "routerd.interface.address.duplicate"]
        assert len(told_of) <= 8
