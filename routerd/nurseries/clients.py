"""Which DHCPv4 clients run: one managed daemon for each declared DHCPv4Client, restarted when its declaration changes.

This is the controller `dhcpv4client`: what it reconciles is the fleet, not the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from routerd.api.plane import Running
from routerd.api.sockets import LONGEST_PATH
from routerd.config import Router
from routerd.controllers.lease import ifname_of
from routerd.controllers.reconcile import View
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
        desired = desired_clients(view.router)
        for name in self._fleet.members.keys() - desired.keys():
            self._fleet.members[name].leave_for_good()
        await self._fleet.fit(desired)
        for member in self._fleet.members.values():
            member.refresh()
        gone = [ref for ref in view.objects if ref.kind == "DHCPv4Client" and ref.name not in desired]
        if gone:
            await self._log.append(gone=gone)
        return {}


def desired_clients(router: Router) -> dict[str, ClientSpec]:
    """Who shall run, by name."""
    specs = {}
    for resource in router.of(DHCPv4Client):
        ifname = ifname_of(router, resource.spec.interface)
        assert ifname is not None, "the configuration was checked for dangling references"
        specs[resource.name] = ClientSpec(resource.spec, ifname)
    return specs


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


async def forget_the_past(log: Log, running: Running) -> None:
    """Before anything is served or acted on: what the store says of clients is from an earlier life. Until each has
    looked at its lease file nobody may act on it, neither install nor remove (X-4). What it says of kinds that this
    version does not have is nobody's business any more."""
    stored = {o.ref for o in log.objects.of_kind("DHCPv4Client")}
    declared = desired_clients(running.router)
    fresh = {Ref("DHCPv4Client", name): starting(spec, running.generation) for name, spec in declared.items()}
    foreign = {o.ref for o in log.objects.all() if o.ref.kind not in KINDS and o.ref.kind != "Router"}
    await log.append(status=fresh, gone=(stored - fresh.keys()) | foreign)
