"""A whole router that is delegated a prefix: its LAN has an address of it, what is left of it is unreachable, and a
restart touches neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Interface
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from routerd.host import Address, AddressChanged, Notice, RouteChanged
from routerd.host.simulated import SimulatedHost
from tests.api.client import control, fetch
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
AGAIN = LAN.replace("name: lan", "name: guest").replace("interface: lan", "interface: guest").replace("eth1", "eth2")
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


@pytest.mark.req("V6-25")
async def test_the_whole_is_unreachable_before_any_part_of_it_is_on_the_lan_and_as_long(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rig = Rig(tmp_path, config=CONFIG)
    async with surroundings(rig), rig.host.watch() as notices, rig.live():
        await until_on(rig, OWN)
        told = [one for one in heard(notices) if isinstance(one, AddressChanged | RouteChanged) and one.present]
        first = next(
            n for n, one in enumerate(told) if isinstance(one, RouteChanged) and one.route.kind == "unreachable"
        )
        own = next(
            n for n, one in enumerate(told) if isinstance(one, AddressChanged) and str(one.address.address) == OWN
        )
        assert first < own
        socket = str(rig.run_dir / "dhcpv6-client" / "wan-pd.sock")
        assert (await fetch(socket, "/v1/commands/release", "POST")).status == 200
        await trio.sleep(30)
        told_of = await rig.status_of("IPv6DelegatedAddress/lan")
        assert [one["prefix"] for one in told_of["previous"]] == ["2001:db8:100:1::/64"], "hosts may still use it"
        assert of_ours(rig.host)[1] == {PREFIX}
        await trio.sleep(7300)
        assert of_ours(rig.host)[1] == set()


@pytest.mark.req("V6-25", "breaks")
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            LAN.replace("interface: lan,", "interface: wan,"),
            "wan is where DHCPv6PrefixDelegation/wan-pd has the prefix",
        ),
        (LAN + AGAIN, "subnet 1 (/64) is that of IPv6DelegatedAddress/lan"),
    ],
    ids=["on the line that it comes from", "on two LANs"],
)
async def test_what_must_not_be_is_refused_where_it_is_written(
    tmp_path: Path, autojump_clock: MockClock, wanted: str, words: str
) -> None:
    rig = Rig(tmp_path, config=CONFIG)
    async with surroundings(rig), rig.live():
        await until_on(rig, OWN)
        body = json.dumps({"candidateYaml": document(WAN, wanted), "replace": True}).encode()
        answer = await fetch(str(rig.run_dir / "routerd.sock"), control("/apply"), "POST", body)
        assert answer.status == 400
        [error] = [one for one in answer.json["error"]["errors"] if words in one["message"]]
        assert error["line"] > 0 and error["field"].startswith("spec.")
        assert of_ours(rig.host)[1] == {PREFIX}, "and all is as it was"
