"""A whole router with DHCPv6 clients: who runs, what they answer, and what a restart, a crash and a change of the
configuration leave alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.config import load
from routerd.events.types import Ref, Status
from routerd.host.simulated import open_host
from routerd.nurseries.clients6 import unusable
from routerd.protocols.dhcpv6.duid import duid_ll, iaid
from routerd.protocols.dhcpv6.message import MessageType
from routerd.sim.dhcpv6_server import Server, Settings
from routerd.sim.dhcpv6_station import Dhcpv6Station
from tests.api.client import fetch
from tests.router.changing import done
from tests.router.mortal import Mortal
from tests.router.rig import GATEWAY_MAC, LINE, Rig, document, topics

INTERFACE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: %s}
      spec: {ifname: %s}
"""
RESOURCE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: %s
      metadata: {name: %s}
      spec: {interface: %s%s}
"""
PREFIX, ADDRESS = "2001:db8:100::/56", "2001:db8:0:1::10"
PD, NA = Ref("DHCPv6PrefixDelegation", "wan-pd"), Ref("DHCPv6Address", "wan-na")
DHCP = "routerd.dhcpv6.client."
LAN_UP = ", when: {state: {Interface/lan.phase: {equals: Up}}}"
SHORT = {"preferred": 60, "valid": 120}
STEPS = 40
"""More outputs than such a life has: both leases come, are applied, and are renewed once."""


def config(*resources: tuple[str, str, str]) -> str:
    links = (("wan", "eth0"), ("lan", "eth1"))
    return document(
        *(INTERFACE % one for one in links), *(RESOURCE % (kind, name, "wan", more) for kind, name, more in resources)
    )


def both(delegation: str = "", address: str = "") -> str:
    return config(("DHCPv6PrefixDelegation", "wan-pd", delegation), ("DHCPv6Address", "wan-na", address))


@asynccontextmanager
async def surroundings(rig: Rig, **settings: Any) -> AsyncIterator[Server]:
    """A world with a provider of IPv6."""
    rig.state_dir.mkdir(parents=True, exist_ok=True)
    server = Server(Settings(duid_ll(GATEWAY_MAC), **settings))
    Dhcpv6Station(rig.world.segment(LINE), GATEWAY_MAC, server)
    async with open_host(rig.world, ipv6=True) as rig.host, trio.open_nursery() as nursery:
        nursery.start_soon(rig.world.run)
        rig.world.add_link("eth0", LINE)
        rig.world.add_link("eth1", "lan")
        yield server
        nursery.cancel_scope.cancel()


async def seen(rig: Rig, ref: Ref, holds: Callable[[Status], bool], within: float = 60.0) -> Status:
    """The status of a resource, once it is such."""
    with trio.fail_after(within):
        while not holds(status := await rig.status_of(str(ref))):  # noqa: ASYNC110
            await trio.sleep(0.05)
    return status


def is_bound(status: Status) -> bool:
    return bool(status.get("phase") == "Bound" and status.get("reason") == "Bound")


async def bound(rig: Rig, *refs: Ref) -> list[Status]:
    return [await seen(rig, ref, is_bound) for ref in refs or (PD, NA)]


async def reload(rig: Rig, hang_up: Callable[[], Awaitable[None]], text: str) -> None:
    rig.config_path.write_text(text)
    await hang_up()


async def test_one_client_for_all_of_an_interface_and_a_socket_for_each(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = both()
    async with surroundings(rig) as server, rig.live():
        prefix, address = await bound(rig)
        assert (prefix["currentPrefix"], address["currentAddress"]) == (PREFIX, ADDRESS)
        assert server.heard[MessageType.SOLICIT] == 1, "one exchange asks for all"
        for ref in (PD, NA):
            answer = await fetch(str(rig.run_dir / "dhcpv6-client" / f"{ref.name}.sock"), "/v1/status")
            assert answer.json["daemon"]["instance"] == ref.name
            assert answer.json["resources"][0]["resource"]["kind"] == ref.kind
            assert answer.json["resources"][0]["phase"] == "Bound"
        socket = str(rig.run_dir / "dhcpv6-client" / "wan-na.sock")
        answer = await fetch(socket, "/v1/commands/renew", "POST")
        assert (answer.status, answer.json["attributes"]["succeeded"]) == (200, "true")
        assert server.heard[MessageType.RENEW] == 1
        assert (await fetch(socket, "/v1/commands/dance", "POST")).status == 501
        assert (await rig.unready()) == []
        assert server.violations == []
    journal = (rig.state_dir / "dhcpv6-client" / "wan-pd" / "events.jsonl").read_text()
    assert '"routerd.dhcpv6.client.prefix.bound"' in journal


@pytest.mark.req("V6-27")
async def test_a_restart_gives_nothing_back(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = both(", releaseOnStop: true")
    async with surroundings(rig) as server:
        for _ in range(3):
            async with rig.live():
                await bound(rig)
                await trio.sleep(20)
        assert (server.heard[MessageType.SOLICIT], server.heard[MessageType.REBIND]) == (1, 2)
        assert server.heard[MessageType.RELEASE] == 0
        assert server.violations == []
    said = Counter(topics(await rig.events(), DHCP))
    assert (said["prefix.bound"], said["prefix.resumed"], said["prefix.lost"]) == (1, 2, 0)


@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V6-40", "breaks")
@pytest.mark.parametrize("step", range(1, STEPS + 1))
async def test_killed_after_every_output(rig: Rig, autojump_clock: MockClock, step: int) -> None:
    """What it had told to be bound is so in the next life, too, and never lost between."""
    rig.config = both()
    async with surroundings(rig, **SHORT) as server:
        mortal = Mortal(rig, step)
        async with rig.live(mortal.hold):
            with trio.move_on_after(40):
                await mortal.dead.wait()
            if mortal.alive:
                mortal.last = mortal.outputs + 1
                mortal.count()
        await trio.sleep(2)
        async with rig.live():
            prefix, address = await bound(rig)
            assert (prefix["currentPrefix"], address["currentAddress"]) == (PREFIX, ADDRESS)
            await trio.sleep(45)
            assert is_bound((await bound(rig))[0])
        assert server.violations == []
    said = Counter(topics(await rig.events(), DHCP))
    assert said["prefix.lost"] == said["prefix.expired"] == said["address.lost"] == said["address.expired"] == 0


@pytest.mark.parametrize(
    ("change", "rebinds"),
    [(", required: true", 0), (LAN_UP, 0), (", rapidCommit: true", 1), (", prefixLength: 48", 1)],
)
async def test_another_spec_costs_no_lease(rig: Rig, autojump_clock: MockClock, change: str, rebinds: int) -> None:
    """What means nothing on the wire is not even noticed there."""
    rig.config = both()
    async with surroundings(rig) as server, rig.live() as hang_up:
        await bound(rig)
        await reload(rig, hang_up, both(change))
        await seen(rig, PD, lambda status: status["observedGeneration"] == 2)
        await trio.sleep(20)
        await bound(rig)
        assert server.heard[MessageType.REBIND] == rebinds
        assert server.heard[MessageType.SOLICIT] == 1
    said = Counter(topics(await rig.events(), DHCP))
    assert said["prefix.lost"] == said["prefix.released"] == 0


@pytest.mark.req("V6-27")
@pytest.mark.parametrize("goodbyes", [0, 1])
async def test_a_part_that_is_held_is_given_up_alone_and_comes_back(
    rig: Rig, autojump_clock: MockClock, goodbyes: int
) -> None:
    rig.config = both(LAN_UP + ", releaseOnStop: true" * goodbyes)
    async with surroundings(rig) as server, rig.live():
        await bound(rig)
        rig.world.pull_cable("eth1")
        held = await seen(rig, PD, lambda status: status["reason"] == "WhenFalse")
        assert (held["phase"], "currentPrefix" in held) == ("Pending", False)
        await bound(rig, NA)
        assert server.heard[MessageType.RELEASE] == goodbyes
        rig.world.plug("eth1")
        [prefix] = await bound(rig, PD)
        assert goodbyes or prefix["currentPrefix"] == PREFIX, "it is what it had before that it asks for"
        assert server.violations == []
    assert "address.lost" not in topics(await rig.events(), DHCP)


async def test_resources_that_are_declared_no_more_are_forgotten(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = both(", releaseOnStop: true")
    async with surroundings(rig) as server, rig.live() as hang_up:
        await bound(rig)
        await reload(rig, hang_up, config())
        with trio.fail_after(30):
            while (await rig.ask("/describe", target=str(PD))).status != 404:  # noqa: ASYNC110
                await trio.sleep(0.1)
        assert (await rig.ask("/describe", target=str(NA))).status == 404
        assert server.heard[MessageType.RELEASE] == 1
        assert not (rig.run_dir / "dhcpv6-client" / "wan-na.sock").exists()
        assert server.violations == []


@pytest.mark.req("V6-27")
@pytest.mark.parametrize("goodbyes", [0, 1])
async def test_what_is_left_when_the_first_is_removed_keeps_its_lease(
    rig: Rig, autojump_clock: MockClock, goodbyes: int
) -> None:
    """The client has another name then, and that is all; the server hears of what went, if it shall."""
    rig.config = both(", releaseOnStop: true" * goodbyes)
    async with surroundings(rig) as server, rig.live() as hang_up:
        await bound(rig)
        await reload(rig, hang_up, config(("DHCPv6Address", "wan-na", "")))
        with trio.fail_after(30):
            while (await rig.ask("/describe", target=str(PD))).status != 404:  # noqa: ASYNC110
                await trio.sleep(0.1)
        await trio.sleep(20)
        [address] = await bound(rig, NA)
        assert address["currentAddress"] == ADDRESS
        assert (server.heard[MessageType.SOLICIT], server.heard[MessageType.RELEASE]) == (1, goodbyes)
        assert [path.parent.name for path in rig.state_dir.glob("dhcpv6-client/*/lease.json")] == ["wan-na"]
        assert server.violations == []
    said = Counter(topics(await rig.events(), DHCP))
    assert (said["address.lost"], said["address.resumed"]) == (0, 1)
    assert (said["prefix.released"], said["prefix.lost"]) == (goodbyes, 1 - goodbyes)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            [
                ("DHCPv6PrefixDelegation", "second", "wan", ""),
                ("DHCPv6PrefixDelegation", "third", "wan", f", iaid: {iaid('second')}"),
            ],
            f"IA_PD {iaid('second'):#010x}",
        ),
        ([("DHCPv6PrefixDelegation", "x" * 63, "wan", "")], "is too long"),
        ([("DHCPv6PrefixDelegation", "same", "wan", ""), ("DHCPv6Address", "same", "wan", "")], None),
    ],
)
def test_what_could_not_run_is_refused(more: list[tuple[str, ...]], words: str | None) -> None:
    text = document(INTERFACE % ("wan", "eth0"), INTERFACE % ("lan", "eth1"), *(RESOURCE % one for one in more))
    objection = unusable(load(text, "router.yaml"), Path("/run/of/a/router/with/a/rather/long/name"))
    assert (objection is None) if words is None else words in (objection or "")


async def test_a_plan_names_the_client_that_it_restarts(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = both()
    async with surroundings(rig), rig.live():
        await bound(rig)
        for text, restarts in (
            (both(", rapidCommit: true"), ["dhcpv6-client/wan-pd"]),
            (both(", required: true"), None),
            (config(("DHCPv6PrefixDelegation", "wan-pd", "")), ["dhcpv6-client/wan-pd"]),
        ):
            assert (await done(rig, "/plan", candidateYaml=text, replace=True)).get("restarts") == restarts
