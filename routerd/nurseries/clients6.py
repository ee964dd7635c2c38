"""Which DHCPv6 clients run: one managed daemon for each interface on which a DHCPv6PrefixDelegation, DHCPv6Address or
DHCPv6Information is declared, restarted when what they say on the wire changes.

This is the controller `dhcpv6client`: what it reconciles is the fleet, not the host. A client has the name of the first
of its declared resources, in that order of kinds, whether the gate lets that in or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from routerd.api.plane import Running
from routerd.config import Router
from routerd.controllers.lease import device_of
from routerd.controllers.view import View
from routerd.daemons.dhcpv6_settings import DIRECTORY, KIND, ClientSpec, Part
from routerd.events.log import Log
from routerd.events.types import Ref, Status, ref_of
from routerd.nurseries.absent import speak_for
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.quarters import Quarters, socket_of, too_long
from routerd.protocols.dhcpv6.answer import MAX_ASSOCIATIONS
from routerd.resources.net6 import DHCPv6Address, DHCPv6Information, DHCPv6PrefixDelegation

if TYPE_CHECKING:
    from routerd.daemons.dhcpv6_client import DHCPv6Daemon

SPECS: tuple[type[Any], ...] = (DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information)
DAEMONS = {KIND: DIRECTORY}
OWN: tuple[str, ...] = tuple(spec.__name__ for spec in SPECS)
FORGOTTEN = OWN


@attrs.frozen
class Desired:
    """A client that shall run. `resource` is whose name it has."""

    resource: Ref
    spec: ClientSpec


class ClientFleet6:
    """See the module."""

    name = "dhcpv6client"
    kinds = OWN

    def __init__(self, fleet: Fleet[Desired, DHCPv6Daemon], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet; nothing is ever refused here."""
        view = self._look()
        declared = {ref_of(resource) for spec in SPECS for resource in view.declared.of(spec)}
        desired = desired_clients(view.router, view.declared)
        kept = {one.spec.interface: {part.association for part in one.spec.parts} for one in desired.values()}
        for name, one in self._fleet.specs.items():
            self._fleet.members[name].part.give_back(one.spec.given_back(kept.get(one.spec.interface, ())))
        await self._fleet.fit(desired)
        for member in self._fleet.members.values():
            member.refresh()
        waiting = {ref: status for spec in SPECS for ref, status in view.waiting(spec).items()}
        gone = [ref for ref in view.objects if ref.kind in OWN and ref not in declared]
        await speak_for(self._log, view, waiting, gone)
        return {}


def desired_clients(router: Router, declared: Router) -> dict[str, Desired]:
    """Who shall run, by name: `router` has what is let in, of what is `declared`."""
    parts: dict[str, list[Part]] = {}
    for part in parts_of(router):
        parts.setdefault(part.spec.interface, []).append(part)
    return {
        first.name: Desired(first, ClientSpec(interface, device_of(declared, interface), tuple(parts[interface])))
        for first, interface in _firsts(declared)
        if interface in parts
    }


def parts_of(router: Router) -> Iterator[Part]:
    """All DHCPv6 resources, by kind, and within it as the operator has them."""
    for spec in SPECS:
        for resource in router.of(spec):
            yield Part(ref_of(resource), resource.spec)


def _firsts(declared: Router) -> Iterator[tuple[Ref, str]]:
    """The first resource of each interface that has any, and the interface's name."""
    seen: set[str] = set()
    for part in parts_of(declared):
        if part.spec.interface not in seen:
            seen.add(part.spec.interface)
            yield part.ref, part.spec.interface


def daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what: all of an interface have one."""
    desired = desired_clients(router, router)
    return {part.ref: (f"{DIRECTORY}/{name}", one.spec) for name, one in desired.items() for part in one.spec.parts}


def unusable(router: Router, run_dir: Path) -> str | None:
    """What is wrong with the first client that could not run or not be asked, None if there is none."""
    for part in parts_of(router):
        if complaint := too_long(socket_of(run_dir, DIRECTORY, part.ref.name)):
            return complaint
    for one in desired_clients(router, router).values():
        asked = Counter(part.association for part in one.spec.parts if part.association is not None)
        twice = next((association for association, count in asked.items() if count > 1), None)
        if twice is not None:
            return f"two resources on {one.spec.interface} are {twice}: each needs an iaid of its own"
        if len(asked) > MAX_ASSOCIATIONS:
            return f"{len(asked)} leases on {one.spec.interface}: one client asks for {MAX_ASSOCIATIONS} at most"
    return None


def starting(running: Running, stored: Mapping[Ref, Status]) -> dict[Ref, Status]:
    """What is true of all their resources until each client has looked at its lease file."""
    desired, generation = desired_clients(running.router, running.router).values(), running.generation
    if not desired:
        return {}
    from routerd.daemons.dhcpv6_voice import starting as statuses_at_start  # see `establish`

    return {ref: status for one in desired for ref, status in statuses_at_start(one.spec, generation).items()}


def establish(quarters: Quarters, look: Callable[[], View]) -> list[ClientFleet6]:
    """Their controller. A daemon and its protocol are loaded with the first of them: a router that has none pays for
    none, neither at its start nor in memory."""

    def make(name: str, desired: Desired) -> DHCPv6Daemon:
        from routerd.daemons.dhcpv6_client import dhcpv6_daemon

        return dhcpv6_daemon(desired.resource, desired.spec, quarters.given)

    return [ClientFleet6(quarters.fleet(make), look, quarters.given.log)]
