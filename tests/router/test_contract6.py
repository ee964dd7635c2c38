"""The DHCPv6 client's sockets line by line as docs/contract.md §2.4 has them: what a program that was written for them
reads, and what becomes of its commands whatever the provider does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.sim.isp6 import DNS, OPTIONS
from tests.api.client import Answer, fetch
from tests.router.rig import Rig, until
from tests.router.rig6 import VALID, Street6

INFORMATION = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Information
      metadata: {name: wan-info}
      spec: {interface: wan}
"""
PREFIX = "2001:db8:4000::/56"
CLIENT = "routerd.dhcpv6.client."
COMMAND = "routerd.daemon.command."
STEP = 250


@attrs.frozen
class Client:
    """A program that knows the socket of one resource."""

    street: Street6
    name: str = "wan-pd"

    async def ask(self, target: str, method: str = "GET") -> Answer:
        path = self.street.rig.run_dir / "dhcpv6-client" / f"{self.name}.sock"
        return await fetch(str(path), target, method)

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = (await self.ask("/v1/status")).json
        return status

    async def cursor(self) -> str:
        cursor: str = (await self.ask("/v1/events?tail=true")).json["cursor"]
        return cursor

    async def events(self, since: str = "0") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask(f"/v1/events?since={since}")).json["events"]
        return found

    async def command(self, name: str, wait: str = "30s") -> Answer:
        return await self.ask(f"/v1/commands/{name}?wait={wait}", "POST")

    async def end_of(self, name: str, since: str) -> dict[str, Any]:
        """The event that ends a command."""
        while True:
            for event in await self.events(since):
                if event["attributes"].get("command") == name and event["topic"] != COMMAND + "received":
                    return event
            await trio.sleep(0.1)


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    """Its router has all leases. A test asks for the clock itself: pytest-trio looks for it nowhere else."""
    street = Street6(rig, INFORMATION)
    async with street.surroundings():
        street.server.settings = attrs.evolve(street.server.settings, options=OPTIONS)
        async with rig.live():
            await until(lambda: street.on(0) and street.held("eth0") != [])
            yield Client(street)


async def test_what_there_is_to_read(client: Client, autojump_clock: MockClock) -> None:
    """One life for all of it: a router that comes up takes a while."""
    await _check_the_status(client)
    await _check_that_what_is_observed_is_text_and_lists_are_json(client)
    await _check_the_topics_of_a_lease_that_comes(client)


async def _check_the_status(client: Client) -> None:
    status = await client.status()
    assert (status["apiVersion"], status["kind"]) == ("daemon.routerd.net/v1alpha1", "DaemonStatus")
    assert status["daemon"] == {
        "name": "routerd-dhcpv6-client-wan-pd",
        "kind": "routerd-dhcpv6-client",
        "instance": "wan-pd",
    }
    assert (status["phase"], status["health"]) == ("Running", "ok")
    [resource] = status["resources"]
    assert resource["resource"] == {
        "apiVersion": "net.routerd.net/v1alpha1",
        "kind": "DHCPv6PrefixDelegation",
        "name": "wan-pd",
    }
    assert resource["phase"] == "Bound"
    [ready] = resource["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("LeaseReady", "True", "bound")
    assert ready["lastTransitionTime"].endswith("Z") and ready["observedGeneration"] == 1


async def _check_that_what_is_observed_is_text_and_lists_are_json(client: Client) -> None:
    observed = (await client.status())["observed"]
    assert all(isinstance(value, str) for value in observed.values())
    assert (observed["interface"], observed["currentPrefix"]) == ("eth0", PREFIX)
    assert bytes.fromhex(observed["serverDUID"].replace(":", ""))
    assert json.loads(observed["dnsServers"]) == [str(server) for server in DNS]
    assert (json.loads(observed["domainSearch"]), json.loads(observed["sntpServers"])) == (["isp.example"], [])
    assert observed["aftrName"] == "aftr.isp.example"
    assert {"renewAt", "rebindAt", "expiresAt"} <= observed.keys()
    assert "packetRing" not in observed
    address = (await attrs.evolve(client, name="wan-na").status())["observed"]
    assert address["currentAddress"].startswith("2001:db8:ff:")
    assert "currentPrefix" not in address


async def _check_the_topics_of_a_lease_that_comes(client: Client) -> None:
    told = {event["topic"]: event for event in await client.events()}
    assert all(event["type"] == topic for topic, event in told.items())
    for topic, reason in (
        ("routerd.daemon.lifecycle.started", "Started"),
        ("routerd.daemon.lifecycle.ready", "Ready"),
        (CLIENT + "solicit.sent", "SolicitSent"),
        (CLIENT + "advertise.received", "AdvertiseReceived"),
        (CLIENT + "request.sent", "RequestSent"),
        (CLIENT + "reply.received", "ReplyReceived"),
        (CLIENT + "prefix.bound", "PrefixBound"),
    ):
        assert told[topic]["reason"] == reason
    assert told[CLIENT + "prefix.bound"]["attributes"]["prefix"] == PREFIX
    known = [event["attributes"] for event in await attrs.evolve(client, name="wan-info").events()]
    [told_by_reply] = [one for one in known if "aftrName" in one]
    assert told_by_reply["dnsServers"] == ",".join(str(server) for server in DNS)
    assert (told_by_reply["domainSearch"], told_by_reply["aftrName"]) == ("isp.example", "aftr.isp.example")


COMMANDS = {
    "renew": ("renew.sent", "reply.received", "prefix.renewed"),
    "rebind": ("rebind.sent", "reply.received", "prefix.rebound"),
    "info-request": ("info-request.sent", "reply.received"),
    "flush": ("prefix.lost",),
    "reload": (),
}
"""By command: what it makes the client tell."""


async def test_commands_that_succeed(client: Client, autojump_clock: MockClock) -> None:
    for command, topics in COMMANDS.items():
        cursor = await client.cursor()
        answer = await client.command(command)
        assert (answer.status, answer.json["kind"], answer.json["command"]) == (200, "CommandResult", command)
        assert (answer.json["accepted"], answer.json["attributes"]["succeeded"]) == (True, "true")
        assert "pending" not in answer.json
        end = await client.end_of(command, cursor)
        assert (end["topic"], end["reason"]) == (COMMAND + "executed", "CommandExecuted")
        told = [event["topic"] for event in await client.events(cursor)]
        assert told[0] == COMMAND + "received"
        assert {CLIENT + topic for topic in topics} <= set(told)
        assert CLIENT + "prefix.bound" not in told, "nothing is bound that was bound"
    for command, status in (("dance", 501), ("", 404), ("RENEW", 501)):
        assert (await client.command(command)).status == status


async def test_renew_while_the_server_is_silent(client: Client, autojump_clock: MockClock) -> None:
    """It is answered as soon as it is known that nobody answers: no caller needs to ask again."""
    client.street.server.settings = attrs.evolve(client.street.server.settings, silent=True)
    began, cursor = trio.current_time(), await client.cursor()
    answer = await client.ask("/v1/commands/renew", "POST")
    assert trio.current_time() - began == pytest.approx(9, abs=0.5)
    assert (answer.status, answer.json["accepted"], answer.json["attributes"].get("succeeded")) == (200, True, "false")
    assert "no answer" in answer.json["message"]
    end = await client.end_of("renew", cursor)
    assert (end["severity"], end["topic"]) == ("warning", COMMAND + "executed")
    assert (await client.status())["resources"][0]["phase"] == "Bound", "a lease that nobody extends is a lease"


async def test_renew_of_a_caller_without_patience(client: Client, autojump_clock: MockClock) -> None:
    client.street.server.settings = attrs.evolve(client.street.server.settings, silent=True)
    cursor = await client.cursor()
    answer = await client.command("renew", wait="1s")
    assert (answer.status, answer.json["accepted"], answer.json["pending"]) == (200, True, True)
    assert "succeeded" not in answer.json["attributes"]
    again = await client.command("renew", wait="1s")
    assert (again.status, again.json["error"]["code"]) == (409, "refused")
    assert (await client.end_of("renew", cursor))["topic"] == COMMAND + "rejected"  # the second one's
    await trio.sleep(10)
    ends = [e["topic"] for e in await client.events(cursor) if e["topic"].startswith(COMMAND)]
    assert ends[-1] == COMMAND + "executed"


async def test_renew_that_a_server_refuses(client: Client, autojump_clock: MockClock) -> None:
    """It knows nothing of the lease, and grants it anew: that is what the operator wanted."""
    server = client.street.server
    server.leases.forget()
    answer = await client.command("renew", wait="60s")
    assert (answer.status, answer.json["attributes"]["succeeded"]) == (200, "true"), answer.json
    await until(lambda: client.street.on(0))
    assert (await client.status())["observed"]["currentPrefix"] == PREFIX


async def test_renew_without_a_lease(client: Client, autojump_clock: MockClock) -> None:
    """409, and what to do instead."""
    assert (await client.command("release")).status == 200
    answer = await client.command("renew")
    assert (answer.status, answer.json["error"]["code"]) == (409, "refused")
    assert answer.json["error"]["hint"] == "routerctl start DHCPv6PrefixDelegation/wan-pd"
    assert (await client.status())["resources"][0]["phase"] == "Released"
    assert (await client.command("start")).status == 200
    while (await client.status())["resources"][0]["phase"] != "Bound":  # noqa: ASYNC110
        await trio.sleep(0.1)
    assert (await client.command("stop")).status == 200
    answer = await client.command("renew")
    assert (answer.status, answer.json["error"]["hint"]) == (409, "routerctl start DHCPv6PrefixDelegation/wan-pd")
    assert (await client.status())["resources"][0]["phase"] == "Idle"


async def test_a_lease_that_ends(client: Client, autojump_clock: MockClock) -> None:
    """Refreshing, Rebinding, then nothing: the phases of the contract, and prefix.expired as a warning."""
    client.street.server.settings = attrs.evolve(client.street.server.settings, silent=True)
    phases = []
    for _ in range(VALID // STEP + 5):
        phase = (await client.status())["resources"][0]["phase"]
        if [phase] != phases[-1:]:
            phases.append(phase)
        await trio.sleep(STEP)
    assert phases[0] == "Bound" and phases[-2:] == ["Rebinding", "Acquiring"]
    [end] = [event for event in await client.events() if event["topic"] == CLIENT + "prefix.expired"]
    assert (end["severity"], end["reason"], end["attributes"]["prefix"]) == ("warning", "PrefixExpired", PREFIX)
    status = await client.status()
    [ready] = status["resources"][0]["conditions"]
    assert (ready["status"], "currentPrefix" in status["observed"]) == ("False", False)


@pytest.mark.parametrize("name", ["ra-client/wan-ra", "ra-server/lan"])
async def test_what_the_daemons_of_routers_observe(client: Client, autojump_clock: MockClock, name: str) -> None:
    """Text alone, as other daemons': what is no text by itself is JSON."""
    path = str(client.street.rig.run_dir / f"{name}.sock")
    status = (await fetch(path, "/v1/status")).json
    assert (status["phase"], status["health"]) == ("Running", "ok")
    observed = status["observed"]
    assert observed == status["resources"][0]["observed"]
    assert all(isinstance(value, str) for value in observed.values())
    flags = {"ra-client": ("managed", "other"), "ra-server": ("dryRun",)}[name.partition("/")[0]]
    assert all(isinstance(json.loads(observed[flag]), bool) for flag in flags)
    lists = {"ra-client": ("addresses", "dnsServers"), "ra-server": ("rdnss",)}[name.partition("/")[0]]
    assert all(json.loads(observed[one]) for one in lists)
