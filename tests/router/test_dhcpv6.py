"""A whole router with DHCPv6 clients: who runs, what they answer, and what a restart and a change of configuration
leave alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import MockClock

from routerd.events.types import Ref, Status
from routerd.host.simulated import open_host
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.message import MessageType
from routerd.sim.dhcpv6_server import Server, Settings
from routerd.sim.dhcpv6_station import Dhcpv6Station
from tests.api.client import fetch
from tests.router.rig import GATEWAY_MAC, LINE, Rig, document

INTERFACE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: eth0}
"""
RESOURCE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: %s
      metadata: {name: %s}
      spec: {interface: wan%s}
"""
PREFIX = "2001:db8:100::/56"
PD, NA = Ref("DHCPv6PrefixDelegation", "wan-pd"), Ref("DHCPv6Address", "wan-na")


def config(*resources: tuple[str, str, str]) -> str:
    return document(INTERFACE, *(RESOURCE % one for one in resources))


BOTH = config(("DHCPv6PrefixDelegation", "wan-pd", ""), ("DHCPv6Address", "wan-na", ""))


@asynccontextmanager
async def surroundings(rig: Rig) -> AsyncIterator[Server]:
    """A world with a provider of IPv6."""
    rig.state_dir.mkdir(parents=True, exist_ok=True)
    server = Server(Settings(duid_ll(GATEWAY_MAC)))
    Dhcpv6Station(rig.world.segment(LINE), GATEWAY_MAC, server)
    async with open_host(rig.world, ipv6=True) as rig.host, trio.open_nursery() as nursery:
        nursery.start_soon(rig.world.run)
        rig.world.add_link("eth0", LINE)
        yield server
        nursery.cancel_scope.cancel()


async def bound(rig: Rig, ref: Ref) -> Status:
    """The status of a resource, once it is bound."""
    with trio.fail_after(60):
        while (status := await rig.status_of(str(ref))).get("phase") != "Bound":  # noqa: ASYNC110
            await trio.sleep(0.05)
    return status


async def test_one_client_for_all_of_an_interface_and_a_socket_for_each(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rig = Rig(tmp_path, config=BOTH)
    async with surroundings(rig) as server, rig.live():
        await bound(rig, NA)
        assert (await bound(rig, PD))["currentPrefix"] == PREFIX
        assert server.heard[MessageType.SOLICIT] == 1, "one exchange asks for all"
        for ref in (PD, NA):
            answer = await fetch(str(rig.run_dir / "dhcpv6-client" / f"{ref.name}.sock"), "/v1/status")
            assert answer.json["daemon"]["instance"] == ref.name
            assert answer.json["resources"][0]["resource"]["kind"] == ref.kind
            assert answer.json["resources"][0]["phase"] == "Bound"
        assert server.violations == []
