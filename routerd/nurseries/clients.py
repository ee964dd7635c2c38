"""Which DHCPv4 clients run: one managed daemon for each declared DHCPv4Client, restarted when its declaration changes.

This is the controller `dhcpv4client`: what it reconciles is the fleet, not the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import trio

from routerd.api.plane import Running
from routerd.api.sockets import LONGEST_PATH
from routerd.config import Router
from routerd.controllers.gate import HELD
from routerd.controllers.lease import ifname_of
from routerd.controllers.reconcile import View, differs
from routerd.daemons.dhcpv4_client import DHCPv4Daemon
from routerd.daemons.dhcpv4_settings import ClientSpec
from routerd.daemons.dhcpv4_voice import starting
from routerd.events.log import Log
from routerd.events.types import Ref
from routerd.nurseries.fleet import Fleet
from routerd.resources.kinds import KINDS
from routerd.resources.net import DHCPv4Client


class ClientFleet:
    """See the module."""

    name = "dhcpv4client"
    kinds: tuple[str, ...] = ("DHCPv4Client",)

    def __init__(self, fleet: Fleet[ClientSpec, DHCPv4Daemon], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet; nothing is ever refused here."""
        view = self._look()
        desired, declared = desired_clients(view.router), desired_clients(view.declared)
        for name in self._fleet.members.keys() - declared.keys():
            self._fleet.members[name].leave_for_good()
        await self._fleet.fit(desired)
        for member in self._fleet.members.values():
            member.refresh()
        gone = [ref for ref in view.objects if ref.kind == "DHCPv4Client" and ref.name not in declared]
        await self._tell(view, gone)
        return {}

    async def _tell(self, view: View, gone: Collection[Ref]) -> None:
        """Clients that are not declared any more are forgotten. For those that the gate does not let in we speak, once
        they have said their goodbye; then what they had is withdrawn, while their lease file keeps it."""
        await trio.lowlevel.checkpoint()
        waiting = view.waiting(DHCPv4Client)
        stored = {ref: self._log.objects.get(ref) for ref in waiting}
        changed = {ref: s for ref, s in waiting.items() if differs(one.status if (one := stored[ref]) else None, s)}
        if gone or changed:
            because = {ref: view.newest((view.configuration, *view.grounds(ref))) for ref in changed}
            await self._log.append(status=changed, gone=gone, because=because)


def desired_clients(router: Router) -> dict[str, ClientSpec]:
    """Who shall run, by name."""
    specs = {}
    for resource in router.of(DHCPv4Client):
        ifname = ifname_of(router, resource.spec.interface)
        assert ifname is not None, "the configuration was checked for dangling references"
        specs[resource.name] = ClientSpec(resource.spec, ifname)
    return specs


def daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what."""
    return {
        Ref("DHCPv4Client", name): (f"{DHCPv4Daemon.directory}/{name}", spec)
        for name, spec in desired_clients(router).items()
    }


def socket_of(run_dir: Path, name: str) -> Path:
    """Where the client of this name is asked."""
    return run_dir / DHCPv4Daemon.directory / f"{name}.sock"


def unreachable(router: Router, run_dir: Path) -> str | None:
    """What is wrong with the first client whose socket cannot have its path, None if there is none."""
    for name in desired_clients(router):
        path = socket_of(run_dir, name)
        if len(os.fsencode(path)) > LONGEST_PATH:
            return f"{path} is too long: a Unix socket's path has at most {LONGEST_PATH} octets on this system"
    return None


async def forget_the_past(log: Log, running: Running, started: int) -> None:
    """Before anything is served or acted on: what the store says of clients is from an earlier life. Until each has
    looked at its lease file nobody may act on it, neither install nor remove (X-4); those that were held had nothing.
    What it says of kinds that this version does not have is nobody's business any more."""
    stored = {o.ref: o.status for o in log.objects.of_kind("DHCPv4Client")}
    declared = {Ref("DHCPv4Client", name): spec for name, spec in desired_clients(running.router).items()}
    held = {ref for ref, status in stored.items() if status.get("reason") in HELD}
    fresh = {ref: starting(spec, running.generation) for ref, spec in declared.items() if ref not in held}
    foreign = {o.ref for o in log.objects.all() if o.ref.kind not in KINDS and o.ref.kind != "Router"}
    gone, because = (stored.keys() - declared.keys()) | foreign, dict.fromkeys(fresh, (started,))
    await log.append(status=fresh, gone=gone, because=because)
