"""Which daemons of router advertisements run: one for each IPv6RAAddress, one for each IPv6RouterAdvertisement. What
the latter are given to tell is `ra_facts`, and why it is another `ra_grounds`.

These are the controllers `ipv6ra` and `routeradvertisement`: what they reconcile are fleets, not the host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from routerd.api.plane import Running
from routerd.config import Router
from routerd.controllers.lease import device_of
from routerd.controllers.view import View
from routerd.daemons import ra_client_report, ra_server_report
from routerd.daemons.ndp_daemon import NdpDaemon
from routerd.daemons.ra_announcement import LanFacts, announcement_of
from routerd.daemons.ra_client import RAClient
from routerd.daemons.ra_client_report import ClientSpec
from routerd.daemons.ra_server import RAServer
from routerd.daemons.ra_server_report import ServerSpec
from routerd.events.log import Log
from routerd.events.types import Ref, Status, ref_of
from routerd.nurseries.absent import speak_for
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.quarters import Quarters, socket_of, too_long
from routerd.nurseries.ra_facts import facts_of
from routerd.nurseries.ra_grounds import grounds_of
from routerd.protocols.ndp.announcement import Announcement
from routerd.resources.net6 import IPv6RAAddress, IPv6RouterAdvertisement
from routerd.resources.resource import Resource

API_VERSION = "net.routerd.net/v1alpha1"

DAEMONS = {part.kind: part.directory for part in (RAClient, RAServer)}
OWN: tuple[str, ...] = (RAClient.resource_kind, RAServer.resource_kind)
FORGOTTEN: tuple[str, ...] = ()
"""Of an IPv6RAAddress there are addresses and routes, of an IPv6RouterAdvertisement what hosts believe."""


class RAClientFleet:
    """See the module. That one which is declared no more is forgotten is `SlaacController`'s to say: after it has
    cleared away what came of it."""

    name = "ipv6ra"
    kinds: tuple[str, ...] = ("IPv6RAAddress",)

    def __init__(self, fleet: Fleet[ClientSpec, NdpDaemon], look: Callable[[], View]) -> None:
        self._fleet = fleet
        self._look = look

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet; nothing is ever refused here."""
        view = self._look()
        await self._fleet.fit(desired_clients(view.router))
        for member in self._fleet.members.values():
            member.refresh()
        return {}


class RAServerFleet:
    """See the module."""

    name = "routeradvertisement"
    kinds: tuple[str, ...] = ("IPv6RouterAdvertisement",)

    def __init__(self, fleet: Fleet[ServerSpec, NdpDaemon], look: Callable[[], View], log: Log) -> None:
        self._fleet = fleet
        self._look = look
        self._log = log
        self._facts: dict[str, LanFacts] = {}
        """By name: what was true when its announcement was made."""
        self._leaving: Mapping[str, ServerSpec] = {}

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet, and have it tell what is true now. Who is declared no more, or is held, ends for good."""
        view = self._look()
        desired = desired_servers(view.router)
        undecided = {ref.name for ref in view.admission.undecided if ref.kind in self.kinds}
        self._leaving = self._take_leave(view, desired.keys() | undecided)
        running = {**desired, **self._leaving}
        for name, spec in self._fleet.specs.items():
            if name not in undecided and (name not in running or running[name].ifname != spec.ifname):
                self._fleet.members[name].leave_for_good()
                self._facts.pop(name, None)
        await self._fleet.fit(running)
        for resource in view.router.of(IPv6RouterAdvertisement):
            self._feed(view, resource)
        for name in self._leaving:
            self._announce(self._fleet.members[name], Announcement(lifetime=0))
        await self._speak(view)
        return {}

    def _take_leave(self, view: View, declared: Collection[str]) -> Mapping[str, ServerSpec]:
        """Those whom an earlier life of routerd had tell something that hosts still go by, and who shall be no more:
        their daemon begins once more, to take it all back."""
        found: dict[str, ServerSpec] = {}
        for ref, status in view.objects.items():
            if ref.kind in self.kinds and ref.name not in declared and ra_server_report.binds(status):
                began_here = ref.name in self._fleet.members and ref.name not in self._leaving
                spec = None if began_here else ra_server_report.spec_of(status)
                if spec is not None and view.picture.link_named(spec.ifname) is not None:
                    found[ref.name] = spec
        return found

    def _feed(self, view: View, resource: Resource[IPv6RouterAdvertisement]) -> None:
        member, spec = self._fleet.members[resource.name], resource.spec
        facts, because = facts_of(view, spec), 0
        if facts is not None:
            because = max(grounds_of(view, spec, self._facts.get(resource.name), facts), default=0)
            self._facts[resource.name] = facts
            self._announce(member, announcement_of(spec, facts))
        member.refresh(because)

    def _announce(self, member: NdpDaemon, announcement: Announcement) -> None:
        if isinstance(member.part, RAServer):
            member.part.announce(announcement, member.put)

    async def _speak(self, view: View) -> None:
        """For those whose daemon does not run. Who takes its leave speaks for itself until that is done; while the gate
        has not decided, what hosts go by is kept in sight."""
        declared = {ref_of(one) for one in view.declared.of(IPv6RouterAdvertisement)}
        gone = {ref for ref in view.objects if ref.kind in self.kinds and ref.name not in self._leaving} - declared
        waiting = view.waiting(IPv6RouterAdvertisement)
        for ref in view.admission.undecided.keys() & waiting.keys():
            waiting[ref] = {**waiting[ref], **ra_server_report.lasting(view.objects.get(ref, {}))}
        await speak_for(self._log, view, {r: s for r, s in waiting.items() if r.name not in self._leaving}, gone)


def desired_clients(router: Router) -> dict[str, ClientSpec]:
    """Who shall listen, by name."""
    return {one.name: ClientSpec(one.spec, device_of(router, one.spec.interface)) for one in router.of(IPv6RAAddress)}


def desired_servers(router: Router) -> dict[str, ServerSpec]:
    """Who shall tell, by name."""
    resources = router.of(IPv6RouterAdvertisement)
    return {one.name: ServerSpec(one.spec, device_of(router, one.spec.interface)) for one in resources}


def daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what."""
    clients: dict[str, object] = {**desired_clients(router)}
    servers: dict[str, object] = {**desired_servers(router)}
    return {
        Ref(part.resource_kind, name, API_VERSION): (f"{part.directory}/{name}", spec)
        for part, specs in ((RAClient, clients), (RAServer, servers))
        for name, spec in specs.items()
    }


def unusable(router: Router, run_dir: Path) -> str | None:
    """What is wrong with the first daemon whose socket cannot have its path, None if there is none."""
    paths = (socket_of(run_dir, *daemon.split("/", 1)) for daemon, _ in daemons_of(router).values())
    return next((complaint for path in paths if (complaint := too_long(path))), None)


def starting(running: Running, stored: Mapping[Ref, Status]) -> dict[Ref, Status]:
    """What is true of their resources until each has heard or been given something in this life."""
    router, generation = running.router, running.generation
    fresh: dict[Ref, Status] = {}
    for name, client in desired_clients(router).items():
        fresh[Ref(RAClient.resource_kind, name, API_VERSION)] = ra_client_report.starting(client, generation)
    for name, server in desired_servers(router).items():
        ref = Ref(RAServer.resource_kind, name, API_VERSION)
        fresh[ref] = ra_server_report.starting(server, generation, stored.get(ref, {}))
    return fresh


def establish(quarters: Quarters, look: Callable[[], View]) -> tuple[RAClientFleet, RAServerFleet]:
    """Their controllers."""
    given = quarters.given

    def listener(name: str, spec: ClientSpec) -> NdpDaemon:
        part = RAClient(spec, given.state_dir, given.run_sync, given.rng)
        return NdpDaemon(name, spec.ifname, part, given)

    def teller(name: str, spec: ServerSpec) -> NdpDaemon:
        part = RAServer(name, spec, given.state_dir, given.host.clock, given.run_sync, given.rng)
        return NdpDaemon(name, spec.ifname, part, given)

    return RAClientFleet(quarters.fleet(listener), look), RAServerFleet(quarters.fleet(teller), look, given.log)
