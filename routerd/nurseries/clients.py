"""Which DHCPv4 clients run: one managed daemon for each declared DHCPv4Client, restarted when its declaration changes.

This is the controller `dhcpv4client`: what it reconciles is the fleet, not the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from routerd.api.plane import Running
from routerd.config import Router
from routerd.controllers.lease import device_of
from routerd.controllers.view import View
from routerd.daemons.dhcpv4_settings import DIRECTORY, KIND, ClientSpec
from routerd.events.log import Log
from routerd.events.types import Ref, Status
from routerd.nurseries.absent import speak_for
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.quarters import Quarters, socket_of, too_long
from routerd.resources.net import DHCPv4Client

if TYPE_CHECKING:
    from routerd.daemons.dhcpv4_client import DHCPv4Daemon

DAEMONS = {KIND: DIRECTORY}
OWN: tuple[str, ...] = ("DHCPv4Client",)
FORGOTTEN = OWN


class ClientFleet:
    """See the module."""

    name = "dhcpv4client"
    kinds = OWN

    def __init__(self, fleet: Fleet[ClientSpec, DHCPv4Daemon], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet; nothing is ever refused here."""
        view = self._look()
        desired, declared = desired_clients(view.router), desired_clients(view.declared)
        for name in self._fleet.members.keys() - declared.keys():
            self._fleet.members[name].part.leave_for_good()
        await self._fleet.fit(desired)
        for member in self._fleet.members.values():
            member.refresh()
        gone = [ref for ref in view.objects if ref.kind in OWN and ref.name not in declared]
        await speak_for(self._log, view, view.waiting(DHCPv4Client), gone)
        return {}


def desired_clients(router: Router) -> dict[str, ClientSpec]:
    """Who shall run, by name."""
    return {one.name: ClientSpec(one.spec, device_of(router, one.spec.interface)) for one in router.of(DHCPv4Client)}


def daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what."""
    return {Ref("DHCPv4Client", name): (f"{DIRECTORY}/{name}", spec) for name, spec in desired_clients(router).items()}


def unusable(router: Router, run_dir: Path) -> str | None:
    """What is wrong with the first client whose socket cannot have its path, None if there is none."""
    paths = (socket_of(run_dir, DIRECTORY, name) for name in desired_clients(router))
    return next((complaint for path in paths if (complaint := too_long(path))), None)


def starting(running: Running, stored: Mapping[Ref, Status]) -> dict[Ref, Status]:
    """What is true of the clients until each has looked at its lease file."""
    desired = desired_clients(running.router)
    if not desired:
        return {}
    from routerd.daemons.dhcpv4_voice import starting as status_at_start  # see `establish`

    return {Ref("DHCPv4Client", name): status_at_start(spec, running.generation) for name, spec in desired.items()}


def establish(quarters: Quarters, look: Callable[[], View]) -> list[ClientFleet]:
    """Their controller. A daemon and its protocol are loaded with the first of them: a router that has none pays for
    none, neither at its start nor in memory."""

    def make(name: str, spec: ClientSpec) -> DHCPv4Daemon:
        from routerd.daemons.dhcpv4_client import dhcpv4_daemon

        return dhcpv4_daemon(name, spec, quarters.given)

    return [ClientFleet(quarters.fleet(make), look, quarters.given.log)]
