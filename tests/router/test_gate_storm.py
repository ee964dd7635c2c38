"""Whatever happens, once it is calm each resource is there exactly when its conditions hold, as clients see them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.router.rig import WAN, Rig, document, provider

LINKS = ("eth0", "eth1", "eth2")
REST = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: dmz}
      spec: {ifname: eth2, when: {state: {Interface/lan.phase: {equals: Up}}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: lan}
      spec:
        interface: lan
        address: 192.168.1.1/24
        when:
          any:
            - state: {Interface/wan.phase: {equals: Up, for: 7s}}
            - state: {DHCPv4Client/wan.currentAddress: {exists: false}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: dmz}
      spec: {interface: dmz, address: 192.168.2.1/24}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lab}
      spec:
        destination: 10.20.0.0/16
        gateway: 192.168.1.2
        preferredSource: 192.168.1.1
        dependsOn:
          - {resource: DHCPv4Client/wan, phase: Bound}
          - {resource: IPv4StaticAddress/lan, phase: Applied}
"""
HELD_CLIENT = ", when: {state: {Interface/lan.phase: {equals: Up, for: 3s}}}"


def expected(status: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """Who shall be let in when nothing has changed for long."""
    lan_up, wan_up = status["Interface/lan"]["phase"] == "Up", status["Interface/wan"]["phase"] == "Up"
    client = status["DHCPv4Client/wan"]
    lan = wan_up or "currentAddress" not in client
    return {
        "Interface/dmz": lan_up,
        "IPv4StaticAddress/dmz": lan_up,
        "IPv4StaticAddress/lan": lan,
        "DHCPv4Client/wan": lan_up,
        "IPv4Route/lab": client["phase"] in ("Bound", "Refreshing", "Rebinding")
        and status["IPv4StaticAddress/lan"]["phase"] == "Applied",
    }


async def calm(rig: Rig) -> None:
    """Nothing happens any more: what is there is what is wanted, and nothing else."""
    await trio.sleep(60)
    items = (await rig.ask("/get", events_limit=0)).json["items"]
    status = {f"{one['kind']}/{one['name']}": one["status"] for one in items}
    for name, let_in in expected(status).items():
        held = status[name].get("reason") in ("WhenFalse", "DependsOnFalse")
        assert held is not let_in, f"{name}: {status[name]}"
    links = {name: set(rig.addresses(name)) for name in LINKS}
    assert ("192.168.1.1/24" in links["eth1"]) is (status["IPv4StaticAddress/lan"]["phase"] == "Applied")
    assert ("192.168.2.1/24" in links["eth2"]) is (status["IPv4StaticAddress/dmz"]["phase"] == "Applied")
    leased = status["DHCPv4Client/wan"].get("currentAddress")
    assert links["eth0"] == ({f"{leased}/24"} if leased else set())
    assert ("10.20.0.0/16 via 192.168.1.2" in rig.routes()) is (status["IPv4Route/lab"]["phase"] == "Installed")
    assert ("0.0.0.0/0 via 203.0.113.1" in rig.routes()) is (leased is not None)


@pytest.mark.parametrize("seed", range(8))
async def test_after_a_storm_all_is_as_its_conditions_say(rig: Rig, autojump_clock: MockClock, seed: int) -> None:
    rng = random.Random(seed)
    configs = [document(WAN % condition, REST) for condition in ("", HELD_CLIENT)]
    rig.config = configs[1]
    plugged = dict.fromkeys(LINKS[:2], True)

    def flip() -> None:
        link = rng.choice(LINKS[:2])
        plugged[link] = not plugged[link]
        (rig.world.plug if plugged[link] else rig.world.pull_cable)(link)

    def mute() -> None:
        rig.server.settings = provider(120, silent=rng.random() < 0.5)

    def undo() -> None:
        ours = [address for address in rig.host.snapshot().addresses if address.ours]
        if ours:
            rig.host.remove_address(rng.choice(ours))

    acts: list[Callable[[], None]] = [flip, flip, flip, mute, undo]
    async with rig.surroundings(lease_time=120, links=LINKS):
        for _ in range(3):
            async with AsyncExitStack() as stack:
                reload = await stack.enter_async_context(rig.live())
                for _ in range(rng.randrange(4, 12)):
                    await trio.sleep(rng.choice([0, 0.001, 0.1, 1, 4, 9, 30]))
                    rng.choice(acts)()
                    if rng.random() < 0.2:
                        rig.config_path.write_text(rng.choice(configs))
                        await reload()
                rig.config_path.write_text(configs[1])
                await reload()
                await calm(rig)
