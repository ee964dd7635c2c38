"""Whatever happens to a router, `why` names exactly that as the root: for the client, and for all that hangs on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Interface
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.daemons.dhcp_daemon import DhcpDaemon
from routerd.sim.dhcpv4_hostile import MODES
from tests.api.client import control, fetch
from tests.router.rig import DEFAULT, LEASED, WAN, Rig, document, until

CLIENT, ROUTE, ADDRESS, INTERFACE = "DHCPv4Client/wan", "IPv4Route/office", "IPv4StaticAddress/own", "Interface/wan"
OWN = "192.0.2.1/24"
HANGING_ON_IT = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: office}
      spec:
        destination: 198.51.100.0/24
        gatewayFrom: {resource: DHCPv4Client/wan, field: gateway}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: own}
      spec: {interface: wan, address: 192.0.2.1/24}
"""


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """A router on which a route and an address hang on the WAN."""
    rig.config = document(WAN % "", HANGING_ON_IT)
    return rig


async def up(rig: Rig) -> None:
    """All is well, and has been for a moment."""
    await until(lambda: len(rig.routes()) == 2 and DEFAULT in rig.routes())
    await trio.sleep(5)


async def why(rig: Rig, target: str) -> dict[str, Any]:
    answer = await rig.ask("/why", target=target)
    assert answer.status == 200
    told: dict[str, Any] = answer.json
    return told


def causes(cause: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A cause and all below it."""
    yield cause
    for one in cause["causes"]:
        yield from causes(one)


async def roots(rig: Rig, *targets: str) -> list[str]:
    """The topics of the roots, without their prefix; the lines that lead there are told when a test fails."""
    found = []
    for target in targets:
        told = await why(rig, target)
        everything = list(causes(told["chain"]))
        print(target, told["phase"], *(f"{c['event']['id']} {c['event']['topic']}" for c in everything), sep="\n  ")
        [root] = [cause for cause in everything if cause["root"]]
        found.append(root["event"]["topic"].removeprefix("routerd."))
    return found


async def topics_below(rig: Rig, target: str) -> list[str]:
    """The way from a phase to the root: at each event the first of its causes."""
    cause, found = (await why(rig, target))["chain"], []
    while True:
        times = f" x{cause['times']}" if "times" in cause else ""
        found.append(cause["event"]["topic"].removeprefix("routerd.").removeprefix("dhcpv4.client.") + times)
        if not cause["causes"]:
            return found
        cause = cause["causes"][0]


# Faults


async def test_a_carrier_that_is_lost(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.world.pull_cable("eth0")
        await trio.sleep(10)
        assert await roots(rig, CLIENT, INTERFACE) == ["interface.link.down"] * 2
        told = await why(rig, CLIENT)
        assert (told["phase"], told["reason"]) == ("Bound", "NoCarrier")
        assert "cable" in told["next"]
        await trio.sleep(600)
        assert await topics_below(rig, ROUTE) == [
            *("resource.status.changed", "ipv4.route.removed", "resource.status.changed"),
            *("lease.expired", "interface.link.down"),
        ]
        assert await roots(rig, CLIENT) == ["interface.link.down"]
        assert (await why(rig, CLIENT))["suppressed"] == [ROUTE]
        assert (await why(rig, INTERFACE))["suppressed"] == [CLIENT, ROUTE]
        assert "`routerctl why Interface/wan`" in (await why(rig, ROUTE))["next"]


async def test_a_carrier_that_came_back_without_a_server(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.world.pull_cable("eth0")
        await trio.sleep(10)
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        rig.hostile.mode = MODES["never"]
        rig.world.plug("eth0")
        await trio.sleep(2)
        rig.world.pull_cable("eth0")
        await trio.sleep(600)
        rig.world.plug("eth0")
        await trio.sleep(60)
        assert await roots(rig, CLIENT, ROUTE, INTERFACE) == ["interface.link.down"] * 3
        told = await why(rig, CLIENT)
        assert told["phase"] == "Acquiring"
        assert told["next"].startswith("the link is up again since 2026-01-01T00:1")


async def test_an_interface_that_goes(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.world.remove_link("eth0")
        await trio.sleep(5)
        assert await roots(rig, CLIENT, ROUTE, ADDRESS, INTERFACE) == ["interface.link.gone"] * 4
        assert (await why(rig, INTERFACE))["suppressed"] == [CLIENT, ROUTE, ADDRESS]


async def test_a_server_that_is_silent_until_the_lease_runs_out(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        await trio.sleep(450)
        assert await topics_below(rig, CLIENT) == ["resource.status.changed", "renew.sent x2"]
        assert (await why(rig, CLIENT))["next"] == "no answer: try `routerctl renew DHCPv4Client/wan`"
        await trio.sleep(90)
        assert await topics_below(rig, CLIENT) == ["resource.status.changed", "renew.sent", "renew.sent x3"]
        assert (await why(rig, CLIENT))["phase"] == "Rebinding"
        await trio.sleep(100)
        assert await topics_below(rig, ROUTE) == [
            *("resource.status.changed", "ipv4.route.removed", "resource.status.changed"),
            *("lease.expired", "renew.sent x2", "renew.sent x3"),
        ]
        assert await roots(rig, CLIENT) == ["dhcpv4.client.renew.sent"]
        told = await why(rig, CLIENT)
        assert (told["phase"], told["suppressed"]) == ("Acquiring", [ROUTE])
        assert "see whether a server is at the other end" in told["next"]
        assert await roots(rig, INTERFACE, ADDRESS) == ["interface.link.up", "configuration.applied"], "they are well"


async def test_a_lease_that_ran_out_is_told_apart_from_the_one_that_follows(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """It goes on being told why there was a gap, until the lease is extended for another reason."""
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        healthy = rig.server.settings
        rig.server.settings = attrs.evolve(healthy, silent=True)
        await trio.sleep(700)
        rig.server.settings = healthy
        await up(rig)
        assert (await why(rig, CLIENT))["suppressed"] == []
        assert "next" not in await why(rig, CLIENT)
        assert "lease.expired" in await topics_below(rig, CLIENT)
        assert await roots(rig, CLIENT, ROUTE) == ["dhcpv4.client.renew.sent"] * 2


async def test_a_server_that_refuses(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.hostile.mode = MODES["nak-for-ever"]
        await trio.sleep(310)
        assert await roots(rig, CLIENT, ROUTE) == ["dhcpv4.client.lease.nak"] * 2
        told = await why(rig, CLIENT)
        assert told["next"].startswith("the server refuses")
        assert told["suppressed"] == [ROUTE]


async def test_an_address_that_somebody_else_uses(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600):
        rig.neighbour.addresses.add(IPv4Interface(LEASED).ip)
        async with rig.live():
            await trio.sleep(10)
            assert await roots(rig, CLIENT) == ["dhcpv4.client.address.conflict"]
            assert "another host uses the address" in (await why(rig, CLIENT))["next"]


@pytest.mark.parametrize("which", [LEASED, OWN])
async def test_an_address_that_is_deleted_by_hand(rig: Rig, autojump_clock: MockClock, which: str) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        [address] = [a for a in rig.host.snapshot().addresses if str(a.address) == which]
        rig.host.remove_address(address)
        await trio.sleep(5)
        assert which in rig.addresses(), "it is put back at once"
        [affected, other] = (CLIENT, ADDRESS) if which == LEASED else (ADDRESS, CLIENT)
        assert await roots(rig, affected) == ["interface.address.taken"]
        others = (other, ROUTE)
        assert "interface.address.taken" not in await roots(rig, *others)


async def test_a_route_that_is_deleted_by_hand(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        for route in [route for route in rig.host.snapshot().routes if route.ours]:
            rig.host.remove_route(route)
        await trio.sleep(5)
        assert len(rig.routes()) == 2
        assert await roots(rig, CLIENT, ROUTE) == ["interface.route.taken"] * 2


async def test_a_crash_of_the_client(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planted, end_commands = [True], DhcpDaemon._end_commands

    def crash_once(self: Any, client: Any, said: Any) -> None:
        if planted and any(type(one).__name__ == "Extended" for one in said):
            planted.clear()
            raise ValueError("a fault of ours")
        end_commands(self, client, said)

    monkeypatch.setattr(DhcpDaemon, "_end_commands", crash_once)
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        await trio.sleep(290)
        with trio.fail_after(60):
            while (told := await why(rig, CLIENT))["phase"] != "Error":  # noqa: ASYNC110  (it is asked as by an operator)
                await trio.sleep(0.1)
        assert await topics_below(rig, CLIENT) == ["resource.status.changed", "daemon.lifecycle.crashed"]
        assert "a defect of routerd" in told["next"]
        await trio.sleep(30)
        assert (await why(rig, CLIENT))["phase"] == "Bound"
        assert await roots(rig, CLIENT) == ["daemon.lifecycle.crashed"]
    assert "a fault of ours" in caplog.text


# Alarms

WAY_IN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: ManagementAccess
      metadata: {name: wan}
      spec: {interfaces: [wan]}
"""
ALARMS = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: unplugged}
      spec:
        pattern:
          operator: sequence
          topics: [routerd.interface.link.down, routerd.dhcpv4.client.lease.expired]
          window: 20m
        emit: {topic: home.unplugged}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DerivedEvent
      metadata: {name: online}
      spec:
        topic: home.online
        inputs: [{field: "${Interface/wan.status.phase}", equals: Up}]
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: while-online}
      spec:
        interface: wan
        address: 192.0.2.129/25
        when:
          state: {DerivedEvent/online.phase: {equals: Asserted}}
"""


async def test_alarms_follow_from_the_root_and_do_not_lead_to_it(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", HANGING_ON_IT, ALARMS)
    async with rig.surroundings(lease_time=600), rig.live():
        await until(lambda: len(rig.routes()) == 2 and "192.0.2.129/25" in rig.addresses())
        await trio.sleep(5)
        rig.world.pull_cable("eth0")
        await trio.sleep(700)
        held = "IPv4StaticAddress/while-online"
        assert await roots(rig, CLIENT, held) == ["interface.link.down"] * 2
        assert (await why(rig, held))["reason"] == "WhenFalse"
        kinds = {cause["event"].get("kind") for cause in causes((await why(rig, held))["chain"])}
        assert "DerivedEvent" not in kinds
        for target in (CLIENT, held):
            suppressed = (await why(rig, target))["suppressed"]
            assert {"DerivedEvent/online", "EventRule/unplugged"} <= set(suppressed)
        assert await roots(rig, "EventRule/unplugged", "DerivedEvent/online") == ["interface.link.down"] * 2


async def test_the_way_in_for_operators(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", HANGING_ON_IT, WAY_IN)
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.world.pull_cable("eth0")
        await trio.sleep(5)
        assert await roots(rig, "ManagementAccess/wan") == ["interface.link.down"]
        assert "ManagementAccess/wan" in (await why(rig, INTERFACE))["suppressed"]


# Operators


async def test_a_command(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        socket = str(rig.run_dir / "dhcpv4-client" / "wan.sock")
        for command in ("stop", "start"):
            assert (await fetch(socket, f"/v1/commands/{command}", "POST")).status == 200
            await trio.sleep(10)
            assert await roots(rig, CLIENT, ROUTE) == ["api.command.requested"] * 2
            if command == "stop":
                assert (await why(rig, CLIENT))["next"].endswith("`routerctl start DHCPv4Client/wan`")
                refused = await fetch(socket, "/v1/commands/renew", "POST")
                assert (refused.status, refused.error["hint"]) == (409, "routerctl start DHCPv4Client/wan")
        actor = next(c for c in causes((await why(rig, CLIENT))["chain"]) if c["root"])["event"]["actor"]
        assert actor.startswith("uid=")


async def test_another_configuration(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live() as reload:
        await up(rig)
        changed = HANGING_ON_IT.replace(OWN, "192.0.2.2/24").replace("198.51.100.0", "198.51.101.0")
        rig.config_path.write_text(document(WAN % ", hostname: router", changed))
        await reload()
        await trio.sleep(30)
        assert await roots(rig, CLIENT, ROUTE, ADDRESS, "Router/test") == ["configuration.applied"] * 4
        told = [c["event"].get("generation") for c in causes((await why(rig, ADDRESS))["chain"]) if c["root"]]
        assert told == [2]


async def test_a_configuration_that_somebody_had_read_again(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.config_path.write_text(rig.config.replace(OWN, "192.0.2.2/24"))
        await fetch(str(rig.run_dir / "dhcpv4-client" / "wan.sock"), "/v1/commands/reload", "POST")
        await trio.sleep(5)
        assert "192.0.2.2/24" in rig.addresses()
        way = await topics_below(rig, ADDRESS)
        assert way[-3:] == ["configuration.applied", "daemon.command.received", "api.command.requested"]


async def test_a_configuration_that_is_applied_by_the_api(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        body = json.dumps({"candidateYaml": rig.config.replace(OWN, "192.0.2.2/24")}).encode()
        answer = await fetch(str(rig.run_dir / "routerd.sock"), control("/apply"), "POST", body)
        assert answer.status == 200
        await trio.sleep(5)
        assert await roots(rig, ADDRESS, "Router/test") == ["api.command.requested"] * 2
        told = await why(rig, ADDRESS)
        [asked] = [cause["event"] for cause in causes(told["chain"]) if cause["root"]]
        assert (asked["attributes"]["act"], asked["actor"].startswith("uid=")) == ("apply", True)
        refused = await fetch(str(rig.run_dir / "routerd.sock"), control("/apply"), "POST", b'{"candidateYaml": "oh"}')
        assert refused.status == 400
        assert await roots(rig, "Router/test") == ["api.command.requested"], "what was refused has changed nothing"
        assert (await why(rig, "Router/test"))["phase"] == "Applied"


async def test_a_configuration_that_is_faulty(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live() as reload:
        await up(rig)
        rig.config_path.write_text(rig.config.replace("interface: wan}", "interface: wan, hostnam: x}"))
        await reload()
        await trio.sleep(1)
        assert await roots(rig, "Router/test") == ["configuration.rejected"]
        told = await why(rig, "Router/test")
        assert (told["phase"], told["reason"]) == ("Degraded", "ConfigurationInvalid")
        assert f"{rig.config_path}:14:" in told["next"]
        assert "since" in told


async def test_a_restart_is_a_root_of_its_own_and_what_was_before_is_still_told(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings(lease_time=600):
        async with rig.live():
            await up(rig)
            before = (await why(rig, INTERFACE))["chain"]
        async with rig.live():
            await up(rig)
            assert (await why(rig, INTERFACE))["chain"] == before
            assert await roots(rig, CLIENT) == ["daemon.lifecycle.started"]


async def test_a_host_that_slept_over_the_end_of_its_lease(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(lease_time=600), rig.live():
        await up(rig)
        rig.host.simulated_clock.suspend(700)
        await trio.sleep(30)
        assert await roots(rig, CLIENT, ROUTE) == ["host.clock.resumed"] * 2
