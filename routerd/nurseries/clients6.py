"""Which DHCPv6 clients run: one managed daemon for each interface on which a DHCPv6PrefixDelegation, DHCPv6Address or
DHCPv6Information is declared, restarted when what they say on the wire changes.

This is the controller `dhcpv6client`: what it reconciles is the fleet, not the host. A client has the name of the first
of its declared resources, in that order of kinds, whether the gate lets that in or not.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.plane import Running
from routerd.api.sockets import LONGEST_PATH
from routerd.config import Router
from routerd.controllers.gate import HELD, ref_of
from routerd.controllers.lease import ifname_of
from routerd.controllers.reconcile import View, differs
from routerd.daemons.dhcpv6_client import DHCPv6Daemon
from routerd.daemons.dhcpv6_settings import ClientSpec, Part
from routerd.daemons.dhcpv6_voice import starting
from routerd.events.log import Log
from routerd.events.types import Ref
from routerd.nurseries.fleet import Fleet
from routerd.protocols.dhcpv6.answer import MAX_ASSOCIATIONS
from routerd.resources.net6 import DHCPv6Address, DHCPv6Information, DHCPv6PrefixDelegation

SPECS: tuple[type[Any], ...] = (DHCPv6PrefixDelegation, DHCPv6Address, DHCPv6Information)
KINDS6 = tuple(spec.__name__ for spec in SPECS)


@attrs.frozen
class Desired:
    """A client that shall run. `resource` is whose name it has."""

    resource: Ref
    spec: ClientSpec


class ClientFleet6:
    """See the module."""

    name = "dhcpv6client"
    kinds: tuple[str, ...] = KINDS6

    def __init__(self, fleet: Fleet[Desired, DHCPv6Daemon], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet; nothing is ever refused here."""
        view = self._look()
        declared = {ref_of(resource) for spec in SPECS for resource in view.declared.of(spec)}
        interfaces = {interface for _, interface in _firsts(view.declared)}
        for name, one in self._fleet.specs.items():
            if one.spec.interface not in interfaces:
                self._fleet.members[name].leave_for_good()
        await self._fleet.fit(desired_clients(view.router, view.declared))
        for member in self._fleet.members.values():
            member.refresh()
        await self._tell(view, [ref for ref in view.objects if ref.kind in KINDS6 and ref not in declared])
        return {}

    async def _tell(self, view: View, gone: Collection[Ref]) -> None:
        """Resources that are not declared any more are forgotten. For those that the gate does not let in we speak,
        once their client has said its goodbye; then what they had is withdrawn, while its lease file keeps it."""
        await trio.lowlevel.checkpoint()
        waiting = {ref: status for spec in SPECS for ref, status in view.waiting(spec).items()}
        stored = {ref: self._log.objects.get(ref) for ref in waiting}
        changed = {ref: s for ref, s in waiting.items() if differs(one.status if (one := stored[ref]) else None, s)}
        if gone or changed:
            because = {ref: view.newest((view.configuration, *view.grounds(ref))) for ref in changed}
            await self._log.append(status=changed, gone=gone, because=because)


def desired_clients(router: Router, declared: Router) -> dict[str, Desired]:
    """Who shall run, by name: `router` has what is let in, of what is `declared`."""
    parts: dict[str, list[Part]] = {}
    for part in parts_of(router):
        parts.setdefault(part.spec.interface, []).append(part)
    return {
        first.name: Desired(first, ClientSpec(interface, _ifname(declared, interface), tuple(parts[interface])))
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


def _ifname(router: Router, interface: str) -> str:
    ifname = ifname_of(router, interface)
    assert ifname is not None, "the configuration was checked for dangling references"
    return ifname


def daemons_of6(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what: the one that it has its name of."""
    desired = desired_clients(router, router)
    return {one.resource: (f"{DHCPv6Daemon.directory}/{name}", one.spec) for name, one in desired.items()}


def socket_of6(run_dir: Path, name: str) -> Path:
    """Where the resource of this name is asked."""
    return run_dir / DHCPv6Daemon.directory / f"{name}.sock"


def unreachable6(router: Router, run_dir: Path) -> str | None:
    """What is wrong with the first client that could not run or not be asked, None if there is none."""
    owners: dict[str, Part] = {}
    for part in parts_of(router):
        path, other = socket_of6(run_dir, part.ref.name), owners.setdefault(part.ref.name, part)
        if len(os.fsencode(path)) > LONGEST_PATH:
            return f"{path} is too long: a Unix socket's path has at most {LONGEST_PATH} octets on this system"
        if other.spec.interface != part.spec.interface:
            return f"{other.ref} and {part.ref} are on different interfaces, and would have one socket: rename one"
    for one in desired_clients(router, router).values():
        asked = Counter(part.association for part in one.spec.parts if part.association is not None)
        twice = next((association for association, count in asked.items() if count > 1), None)
        if twice is not None:
            return f"two resources on {one.spec.interface} are {twice}: each needs an iaid of its own"
        if len(asked) > MAX_ASSOCIATIONS:
            return f"{len(asked)} leases on {one.spec.interface}: one client asks for {MAX_ASSOCIATIONS} at most"
    return None


async def forget_the_past6(log: Log, running: Running, started: int) -> None:
    """As `routerd.nurseries.clients.forget_the_past`: until each client has looked at its lease file nobody may act on
    what the store says of its resources."""
    stored = {o.ref: o.status for kind in KINDS6 for o in log.objects.of_kind(kind)}
    declared = {part.ref for part in parts_of(running.router)}
    held = {ref for ref, status in stored.items() if status.get("reason") in HELD}
    fresh = {
        ref: status
        for one in desired_clients(running.router, running.router).values()
        for ref, status in starting(one.spec, running.generation).items()
        if ref not in held
    }
    gone, because = stored.keys() - declared, dict.fromkeys(fresh, (started,))
    if fresh or gone:
        await log.append(status=fresh, gone=gone, because=because)
