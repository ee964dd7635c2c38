"""A router as the API sees it, without one: a real log, real resources, and daemons that do as they are told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.change import Confirmation, NotChanged, Terms
from routerd.api.plane import (
    Check,
    CommandEnd,
    ControllerReport,
    Daemon,
    Exports,
    Packets,
    ReconcileError,
    Running,
    UnknownCommand,
)
from routerd.api.traffic import Traffic
from routerd.api.wire_changes import Pending
from routerd.config import Router
from routerd.events.log import Log, open_log
from routerd.events.types import Event, Ref, Source, Status
from routerd.resources.net import DHCPv4Client, Interface, IPv4StaticAddress
from routerd.resources.resource import Resource

NET = "net.routerd.net/v1alpha1"
WAN = Ref("DHCPv4Client", "wan")
LAN = Ref("Interface", "lan")
WAN_SOURCE = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")


@attrs.define(eq=False)
class Puppet:
    """A daemon whose commands end as the test says: `ends` by command name; "hang" never ends by itself."""

    log: Log
    name: str = "wan"
    source: Source = WAN_SOURCE
    api_version: str = NET
    resource_kind: str = "DHCPv4Client"
    directory: str = "dhcpv4-client"
    phase: Any = "Running"
    health: Any = "ok"
    since: int = 1_700_000_000_000_000_000
    observed: Mapping[str, str] = {"interface": "wan", "currentAddress": "192.0.2.7", "dnsServers": "null"}
    unhealthy_reason: str | None = None
    detail: str = "Running"
    packets: Packets = attrs.field(factory=lambda: Packets(3, 2, {"xid": 1}))
    ends: dict[str, Any] = attrs.field(factory=dict)
    commanded: list[tuple[str, dict[str, str], float, str]] = attrs.field(factory=list)

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        self.commanded.append((name, dict(attributes), wait, actor))
        end = self.ends.get(name)
        if end is None:
            raise UnknownCommand(name, ("renew", "release"))
        began = await self.say("command.received", command=name)
        if end == "hang":
            with trio.move_on_after(wait):
                await trio.sleep_forever()
            return CommandEnd(True, f"{name} goes on", began, pending=True)
        if isinstance(end, Exception):
            raise end
        return attrs.evolve(end, event_id=await self.say("command.executed", command=name))

    async def say(self, topic: str, **attributes: str) -> int:
        """Store an event of this daemon."""
        ref = Ref(self.resource_kind, self.name)
        event = Event(f"routerd.dhcpv4.client.{topic}", resource=ref, source=self.source, attributes=attributes)
        return (await self.log.append(event))[0]


@attrs.define(eq=False)
class Dial:
    """A `Verbosity` that only notes what was chosen."""

    level: str = "info"
    until: int | None = None
    chosen: list[tuple[str | None, float | None, str, tuple[int, ...]]] = attrs.field(factory=list)

    async def choose(self, level: Any, seconds: float | None, actor: str, causes: tuple[int, ...]) -> int:
        await trio.lowlevel.checkpoint()
        self.chosen.append((level, seconds, actor, causes))
        self.until = None if seconds is None else round(seconds * 1e9)
        return 7


@attrs.define(eq=False)
class Clerk:
    """A `Commits` that notes what it is asked, and answers as the test says."""

    pending: Pending | None = None
    answer: Confirmation | NotChanged | OSError = attrs.field(factory=lambda: NotChanged("conflict", "nothing waits"))
    asked: list[tuple[str, float | None, Terms]] = attrs.field(factory=list)

    async def confirm(self, token: str, terms: Terms) -> Confirmation:
        return self._answer(token, None, terms)

    async def extend(self, token: str, seconds: float, terms: Terms) -> Confirmation:
        return self._answer(token, seconds, terms)

    def _answer(self, token: str, seconds: float | None, terms: Terms) -> Confirmation:
        self.asked.append((token, seconds, terms))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@attrs.define(eq=False)
class Bench:
    """A `Plane`."""

    log: Log
    run_dir: str
    state_dir: str
    running: Running
    host_name: str = "bench"
    started_at: int = 1_700_000_000_000_000_000
    controllers: list[ControllerReport] = attrs.field(factory=list)
    daemons: dict[str, Daemon] = attrs.field(factory=dict)
    traffic: Traffic = attrs.field(factory=Traffic)
    changes: Any = None
    """There is nothing behind it: what changes the configuration is tested in whole routers."""
    commits: Clerk = attrs.field(factory=Clerk)
    exports: dict[str, Exports] = attrs.field(factory=dict)
    verbosity: Dial = attrs.field(factory=Dial)
    sick: dict[str, str] = attrs.field(factory=dict)
    """Checks that fail, and why."""

    def live(self) -> list[Check]:
        return [Check("event-loop", "event-loop" not in self.sick, self.sick.get("event-loop", "late by 0.1 ms"))]

    def ready(self) -> list[Check]:
        bad = "configuration" in self.sick
        return [*self.live(), Check("configuration", not bad, self.sick.get("configuration", "generation 3"))]

    def runtime(self) -> Status:
        return {
            "loopLagMillis": 0.25,
            "logLevel": self.verbosity.level,
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "sockets": 3,
        }


def declared(kind: str, name: str, spec: object) -> Resource[Any]:
    return Resource(NET, kind, name, spec)


def small_router() -> Router:
    """Two interfaces, a client, an address."""
    return Router(
        "home",
        (
            declared("Interface", "wan", Interface("eth0")),
            declared("Interface", "lan", Interface("eth1")),
            declared("DHCPv4Client", "wan", DHCPv4Client("wan", hostname="gate")),
            declared("IPv4StaticAddress", "lan", IPv4StaticAddress("lan", IPv4Interface("10.0.0.1/24"))),
        ),
    )


def report(name: str, **more: Any) -> ControllerReport:
    return ControllerReport(name, ("Interface",), reconciles=4, total_duration=0.1, last_duration=0.02, **more)


def failing_report(name: str) -> ControllerReport:
    now = time.time_ns()
    error = ReconcileError(now, now, 0.013, "EPERM", "start", "Interface", "lan")
    return report(name, errors=1, consecutive_errors=1, last_error="EPERM", last_error_at=now, history=(error,))


@asynccontextmanager
async def open_bench(directory: Path, **log_options: Any) -> AsyncIterator[Bench]:
    """A bench with an open log under `directory`, and some events in it."""
    async with open_log(directory / "routerd.db", **log_options) as log:
        running = Running(small_router(), 3, time.time_ns(), str(directory / "router.yaml"))
        bench = Bench(log, str(directory), str(directory), running, controllers=[report("route"), report("address")])
        puppet = Puppet(log)
        bench.daemons["dhcpv4-client/wan"] = puppet
        await puppet.say("discover.sent")
        bound = Event("routerd.dhcpv4.client.lease.bound", reason="LeaseBound", resource=WAN, source=WAN_SOURCE)
        await log.append(
            bound,
            status={
                WAN: {
                    "phase": "Bound",
                    "reason": "Bound",
                    "conditions": [
                        {"type": "LeaseReady", "status": "True", "reason": "Bound", "observedGeneration": 3}
                    ],
                }
            },
        )
        for ref in (LAN, Ref("Interface", "wan"), Ref("IPv4StaticAddress", "lan")):
            await log.append(Event("routerd.test.up", resource=ref), status={ref: {"phase": "Up"}})
        yield bench
