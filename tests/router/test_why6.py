"""Whatever happens to a router's IPv6, `why` names exactly that as the root: for the client, for the subnet that hangs
on it, and for what the LAN is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerctl.output import Out
from routerctl.times import parse_instant
from routerctl.why import show
from routerd.daemons.dhcp_daemon import DhcpDaemon
from routerd.protocols.dhcpv6 import outputs
from tests.api.client import fetch
from tests.router.rig import Rig, document, until
from tests.router.rig6 import IPV6, T1, VALID, Street6, provider6
from tests.router.test_why import causes, roots, topics_below, why

PD, NA, UPSTREAM = "DHCPv6PrefixDelegation/wan-pd", "DHCPv6Address/wan-na", "IPv6RAAddress/wan-ra"
SUBNET, TOLD = "IPv6DelegatedAddress/lan", "IPv6RouterAdvertisement/lan"
WAN, LAN = "Interface/wan", "Interface/lan"
NOW = parse_instant("2026-01-01T00:25:00Z") or 0.0
"""On the day on which the simulated world begins."""


@pytest.fixture
def street(rig: Rig) -> Street6:
    """The router and what is around it; nothing of it runs yet."""
    return Street6(rig)


async def up(street: Street6) -> None:
    """All is well, and has been for a moment."""
    await until(lambda: street.on(0) and bool(street.held("eth0")))
    await trio.sleep(5)


async def root_of(rig: Rig, target: str) -> dict[str, Any]:
    """The event at the root."""
    [root] = [one["event"] for one in causes((await why(rig, target))["chain"]) if one["root"]]
    event: dict[str, Any] = root
    return event


async def way_of_the_lan(rig: Rig) -> list[str]:
    """The way from what the LAN is told to the root; that it was told may or may not be said on the way."""
    return [topic for topic in await topics_below(rig, TOLD) if not topic.startswith("ra.")]


async def test_all_is_well_because_the_provider_gave_it(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        way = ["prefix.bound", "reply.received", "request.sent", "advertise.received", "solicit.sent"]
        to_the_root = [f"dhcpv6.client.{one}" for one in way] + ["daemon.lifecycle.ready", "interface.link.up"]
        changed = "resource.status.changed"
        assert await topics_below(rig, PD) == [changed, *to_the_root]
        assert await way_of_the_lan(rig) == [changed, changed, *to_the_root]
        assert await topics_below(rig, SUBNET) == [changed, "lan.address.applied", changed, *to_the_root]
        assert (await topics_below(rig, NA))[:2] == [changed, "dhcpv6.client.address.bound"]
        assert [(await why(rig, one)).get("next") for one in (PD, NA, UPSTREAM, SUBNET, TOLD)] == [None] * 5


# The provider


async def test_a_prefix_that_the_server_does_not_give_any_more(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        street.server.settings = attrs.evolve(provider6(), prefixes=None)
        await trio.sleep(T1 + 300)
        assert await roots(rig, PD, SUBNET, TOLD) == ["dhcpv6.client.reply.refused"] * 3
        assert "no-prefix-avail" in (await root_of(rig, TOLD))["message"]
        assert await way_of_the_lan(rig) == [
            *("resource.status.changed", "resource.status.changed", "dhcpv6.client.prefix.lost"),
            "dhcpv6.client.reply.refused",
        ]
        told = await why(rig, PD)
        assert (told["phase"], told["reason"], told["suppressed"]) == ("Acquiring", "NotGranted", [SUBNET])
        assert "refuses IA_PD" in told["next"] and "ask the provider" in told["next"]
        assert (await why(rig, NA))["phase"] == "Bound"
        for target in (TOLD, PD):
            assert bare(drawn(await why(rig, target))) == bare(shown_in_the_docs(target))


def drawn(answer: dict[str, Any]) -> str:
    """As routerctl shows it."""
    out = Out(color="never")
    return "\n".join(out.drawn(lambda: show(out, answer, NOW)))


def shown_in_the_docs(target: str) -> str:
    """The example in docs/routerctl.md."""
    page = (Path(__file__).parents[2] / "docs" / "routerctl.md").read_text()
    return page.split(f"$ routerctl why {target}\n")[1].split("\n```")[0]


def bare(shown: str) -> list[str]:
    """What does not depend on when it happened: neither moments nor the numbers of events."""
    plain = re.sub(r"\d\d:\d\d:\d\dZ \([^)]*\)|\d\d:\d\d:\d\dZ|ev \d+|IA_PD 0x[0-9a-f]+", "*", shown)
    return [re.sub(r" {2,}|─+", " ", line) for line in plain.replace("`-", "└").splitlines()]


async def test_a_server_that_gives_another_prefix(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        street.server.settings = provider6(1)
        await trio.sleep(T1 + 300)
        assert await roots(rig, PD, SUBNET, TOLD) == ["dhcpv6.client.reply.received"] * 3
        assert "next" not in await why(rig, PD)


async def test_a_server_that_is_silent_until_the_lease_ends(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        street.server.settings = attrs.evolve(provider6(), silent=True)
        await trio.sleep(VALID + 100)
        assert await roots(rig, PD, NA, SUBNET, TOLD) == ["dhcpv6.client.renew.sent"] * 4
        assert (await way_of_the_lan(rig))[2] == "dhcpv6.client.prefix.expired"
        told = await why(rig, PD)
        assert (told["phase"], told["suppressed"]) == ("Acquiring", [NA, SUBNET])
        assert "see whether a server is at the other end" in told["next"]
        assert (await why(rig, SUBNET))["next"] == f"see `routerctl why {PD}`"
        assert (await why(rig, UPSTREAM))["phase"] == "Bound", "the router of the link is there"


async def test_a_router_that_is_none_any_more(street: Street6, autojump_clock: MockClock) -> None:
    """The LAN keeps its prefix, and is told that this is no way to the world."""
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        street.router.cease(street.now)
        await trio.sleep(10)
        assert await roots(rig, UPSTREAM, TOLD) == ["ipv6.ra.router.lost"] * 2
        told = await why(rig, UPSTREAM)
        assert (told["phase"], told["reason"]) == ("Acquiring", "NoRouter")
        assert told["next"].startswith("see whether the provider's router advertises itself on eth0")
        assert await roots(rig, SUBNET) == ["interface.link.up"]


# The line


async def test_a_carrier_that_is_lost(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        rig.world.pull_cable("eth0")
        await trio.sleep(10)
        assert await roots(rig, PD, NA, UPSTREAM, WAN) == ["interface.link.down"] * 4
        for target in (PD, NA, UPSTREAM, WAN):
            told = await why(rig, target)
            assert (told["reason"], "cable" in told["next"]) == ("NoCarrier", True)
        assert (await why(rig, SUBNET))["phase"] == "Applied", "the lease is still ours"
        await trio.sleep(VALID + 100)
        assert await roots(rig, PD, NA, UPSTREAM, SUBNET, TOLD) == ["interface.link.down"] * 5
        assert (await why(rig, WAN))["suppressed"] == [NA, PD, SUBNET, UPSTREAM]
        assert (await why(rig, SUBNET))["next"] == f"see `routerctl why {WAN}`"


async def test_a_lan_interface_that_goes(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        rig.world.remove_link("eth1")
        await trio.sleep(5)
        assert await roots(rig, SUBNET, TOLD, LAN) == ["interface.link.gone"] * 3
        assert (await why(rig, LAN))["suppressed"] == [SUBNET, TOLD]
        assert (await why(rig, PD))["phase"] == "Bound"


# Hands


async def test_a_delegated_address_that_is_deleted_by_hand(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        [own] = street.held("eth1")
        [address] = [one for one in rig.host.snapshot().addresses if one.address == own]
        rig.host.remove_address(address)
        await trio.sleep(5)
        assert street.held("eth1") == [own], "it is put back at once"
        assert await roots(rig, SUBNET) == ["interface.address.taken"]
        assert await roots(rig, PD, TOLD) == ["interface.link.up"] * 2, "and nobody else has to do with it"


async def test_an_aggregate_that_is_deleted_by_hand(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        [route] = [one for one in rig.host.snapshot().routes if one.ours and one.kind == "unreachable"]
        rig.host.remove_route(route)
        await trio.sleep(5)
        assert f"{route.destination} via None" in rig.routes()
        assert await roots(rig, PD) == ["interface.route.taken"]
        root = await root_of(rig, PD)
        assert root["message"] == f"the route to {route.destination} is gone, and not by us"
        assert await roots(rig, SUBNET, TOLD) == ["interface.link.up"] * 2


async def test_a_command(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live():
        await up(street)
        socket = str(rig.run_dir / "dhcpv6-client" / "wan-pd.sock")
        for command in ("release", "start"):
            assert (await fetch(socket, f"/v1/commands/{command}", "POST")).status == 200
            await trio.sleep(10)
            assert await roots(rig, PD, NA, SUBNET, TOLD) == ["api.command.requested"] * 4
            if command == "release":
                assert (await why(rig, PD))["next"].endswith(f"`routerctl start {PD}`")
                assert NA in (await why(rig, PD))["suppressed"]


async def test_another_configuration(street: Street6, autojump_clock: MockClock) -> None:
    rig = street.rig
    async with street.surroundings(), rig.live() as reload:
        await up(street)
        rig.config_path.write_text(document(IPV6.replace("subnetID: 1", "subnetID: 2")))
        await reload()
        await trio.sleep(10)
        assert await roots(rig, SUBNET, TOLD) == ["configuration.applied"] * 2
        assert (await root_of(rig, TOLD))["generation"] == 2
        assert await roots(rig, PD) == ["interface.link.up"]


# Ourselves


async def test_a_crash_of_the_client(
    street: Street6, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = street.rig
    planted, end_commands = [True], DhcpDaemon._end_commands

    def crash_once(self: Any, client: Any, said: Any) -> None:
        if planted and any(isinstance(one, outputs.Extended) for one in said):
            planted.clear()
            raise ValueError("a fault of ours")
        end_commands(self, client, said)

    monkeypatch.setattr(DhcpDaemon, "_end_commands", crash_once)
    async with street.surroundings(), rig.live():
        await up(street)
        await trio.sleep(T1 - 20)
        with trio.fail_after(60):
            while (told := await why(rig, PD))["phase"] != "Error":  # noqa: ASYNC110  (it is asked as by an operator)
                await trio.sleep(0.1)
        assert await topics_below(rig, PD) == ["resource.status.changed", "daemon.lifecycle.crashed"]
        assert "a defect of routerd" in told["next"]
        assert NA in told["suppressed"]
        assert street.held("eth1") and street.on(0), "what the LAN has stays"
        await trio.sleep(30)
        assert await roots(rig, PD, NA) == ["daemon.lifecycle.crashed"] * 2
        assert (await why(rig, PD))["phase"] == "Bound"
    assert "a fault of ours" in caplog.text
