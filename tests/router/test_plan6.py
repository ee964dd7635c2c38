"""What a plan says of IPv6, before anything is done: every kind has its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.api.client import control, fetch
from tests.router.rig import Rig, document, until
from tests.router.rig6 import IPV6, Street6

HEAD = "    - apiVersion: net.routerd.net/v1alpha1\n      kind: "
PARTS = {part.split("\n")[0] + part.split("name: ")[1].split("}")[0]: HEAD + part for part in IPV6.split(HEAD)[1:]}
"""The resources of the router, by kind and name, as they are written."""
MORE = f"""{HEAD}DHCPv6Information
      metadata: {{name: wan-info}}
      spec: {{interface: wan}}
{HEAD}IPv6StaticRoute
      metadata: {{name: lab}}
      spec: {{destination: "2001:db8:20::/48", device: lan, gateway: "fe80::2"}}
"""


@pytest.fixture
def street(rig: Rig) -> Street6:
    """The router and what is around it; nothing of it runs yet."""
    return Street6(rig)


async def plan(rig: Rig, config: str) -> tuple[dict[str, list[str]], list[str]]:
    """What would be done, by resource, and to which daemons."""
    body = json.dumps({"candidateYaml": config, "replace": True}).encode()
    answer = await fetch(str(rig.run_dir / "routerd.sock"), control("/plan"), "POST", body)
    assert answer.status == 200, answer.json
    result: dict[str, Any] = answer.json["result"]
    lines = {one["id"].partition("/")[2].partition("/")[2]: one.get("plan", []) for one in result["resources"]}
    return {target: told for target, told in lines.items() if told}, result.get("restarts", [])


def without(*names: str) -> str:
    return document(*(text for name, text in PARTS.items() if not name.startswith(names)))


async def up(street: Street6) -> None:
    await until(lambda: street.on(0) and bool(street.held("eth0")))
    await trio.sleep(10)


async def test_all_of_it_at_once(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings():
        rig.config = without("DHCPv6", "IPv6")
        async with rig.live():
            await trio.sleep(10)
            told, daemons = await plan(rig, document(IPV6, MORE))
            assert told == {
                "DHCPv6PrefixDelegation/wan-pd": ["start dhcpv6-client/wan-pd"],
                "DHCPv6Address/wan-na": ["start dhcpv6-client/wan-pd"],
                "DHCPv6Information/wan-info": ["start dhcpv6-client/wan-pd"],
                "IPv6RAAddress/wan-ra": [
                    "start ra-client/wan-ra",
                    "let the kernel not obey routers and not make addresses of their prefixes on eth0",
                ],
                "IPv6DelegatedAddress/lan": ["let the kernel forward IPv6"],
                "IPv6RouterAdvertisement/lan": ["start ra-server/lan"],
                "IPv6StaticRoute/lab": ["install the route to 2001:db8:20::/48 via fe80::2 dev eth1 metric 1024"],
            }
            assert daemons == ["dhcpv6-client/wan-pd", "ra-client/wan-ra", "ra-server/lan"]


async def test_another_subnet(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        prefix = list(street.prefix.subnets(new_prefix=64))
        told, daemons = await plan(rig, document(IPV6.replace("subnetID: 1", "subnetID: 2")))
        assert told["IPv6DelegatedAddress/lan"] == [
            f"put {prefix[2].network_address + 1}/64 on eth1",
            f"deprecate {prefix[1].network_address + 1}/64 on eth1",
        ]
        [words] = told["IPv6RouterAdvertisement/lan"]
        assert words.startswith(f"tell the hosts of eth1: prefix {prefix[2]}; name server 2001:db8:53::53")
        assert words.endswith("; no search domain; a default router")
        assert (daemons, len(told)) == ([], 2)


async def test_a_name_server_of_ones_own(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        own = IPV6.replace(
            "rdnssFrom: {resource: DHCPv6PrefixDelegation/wan-pd, field: dnsServers}", "rdnss: [fd00::1]"
        )
        told, _ = await plan(rig, document(own))
        [(target, [words])] = told.items()
        assert target == "IPv6RouterAdvertisement/lan"
        assert "; name server fd00::1; " in words
        assert await plan(rig, document(IPV6)) == ({}, []), "what is in force"


async def test_nothing_of_it_any_more(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        [leased] = [one for one in street.held("eth0") if one.network.prefixlen == 128]
        prefix = street.prefix
        told, daemons = await plan(rig, without("DHCPv6", "IPv6"))
        assert told["DHCPv6PrefixDelegation/wan-pd"] == [
            "stop dhcpv6-client/wan-pd",
            f"remove the route to {prefix} metric 2147483647",
        ]
        assert told["DHCPv6Address/wan-na"] == ["stop dhcpv6-client/wan-pd", f"remove {leased} from eth0"]
        assert told["IPv6RAAddress/wan-ra"][0] == "stop ra-client/wan-ra"
        assert any(line.startswith("remove the route to ::/0") for line in told["IPv6RAAddress/wan-ra"])
        assert [line.startswith("remove") for line in told["IPv6DelegatedAddress/lan"]] == [True]
        assert told["IPv6RouterAdvertisement/lan"] == ["stop ra-server/lan"]
        assert daemons == ["dhcpv6-client/wan-pd", "ra-client/wan-ra", "ra-server/lan"]


async def test_a_part_of_a_client_that_goes(street: Street6, autojump_clock: MockClock) -> None:
    """The client begins anew without it: no lease of the others is lost by that."""
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        [leased] = [one for one in street.held("eth0") if one.network.prefixlen == 128]
        told, daemons = await plan(rig, without("DHCPv6Address"))
        restart = "restart dhcpv6-client/wan-pd"
        assert told == {
            "DHCPv6PrefixDelegation/wan-pd": [restart],
            "DHCPv6Address/wan-na": [restart, f"remove {leased} from eth0"],
        }
        assert daemons == ["dhcpv6-client/wan-pd"]
