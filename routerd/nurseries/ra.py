"""Which daemons of router advertisements run: one for each IPv6RAAddress, one for each IPv6RouterAdvertisement; and
what the latter are given to tell.

These are the controllers `ipv6ra` and `routeradvertisement`: what they reconcile are fleets, not the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

from routerd.api.plane import Running
from routerd.config import Router
from routerd.controllers.conditions import SILENT
from routerd.controllers.gate import ref_of
from routerd.controllers.lease import ifname_of
from routerd.controllers.lease6 import delegation
from routerd.controllers.reconcile import View
from routerd.controllers.subnet import subnet_of
from routerd.daemons import ra_client_report, ra_server_report
from routerd.daemons.ndp_daemon import NdpDaemon
from routerd.daemons.ra_announcement import Delegated, LanFacts, announcement_of
from routerd.daemons.ra_client import RAClient
from routerd.daemons.ra_client_report import ClientSpec
from routerd.daemons.ra_server import RAServer
from routerd.daemons.ra_server_report import ServerSpec
from routerd.events.log import Log
from routerd.events.types import Ref, Status
from routerd.nurseries.absent import speak_for
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.quarters import Quarters, socket_of, too_long
from routerd.nurseries.ra_grounds import grounds_of
from routerd.resources.net6 import IPv6DelegatedAddress, IPv6RAAddress, IPv6RouterAdvertisement
from routerd.resources.resource import Resource, ValueFrom

ANYWHERE = IPv6Network("::/0")
API_VERSION = "net.routerd.net/v1alpha1"

DAEMONS = (RAClient, RAServer)
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

    async def __call__(self, why: str) -> Mapping[Ref, str]:
        """Fit the fleet, and have it tell what is true now. Who is declared no more, or is held, ends for good."""
        view = self._look()
        desired = desired_servers(view.router)
        undecided = {ref.name for ref in view.admission.undecided if ref.kind in self.kinds}
        for name in self._fleet.members.keys() - desired.keys() - undecided:
            self._fleet.members[name].leave_for_good()
            self._facts.pop(name, None)
        await self._fleet.fit(desired)
        for resource in view.router.of(IPv6RouterAdvertisement):
            self._feed(view, resource)
        declared = {ref_of(one) for one in view.declared.of(IPv6RouterAdvertisement)}
        gone = [ref for ref in view.objects if ref.kind in self.kinds and ref not in declared]
        await speak_for(self._log, view, view.waiting(IPv6RouterAdvertisement), gone)
        return {}

    def _feed(self, view: View, resource: Resource[IPv6RouterAdvertisement]) -> None:
        member, spec = self._fleet.members[resource.name], resource.spec
        facts, because = facts_of(view, spec), 0
        if facts is not None and isinstance(member.part, RAServer):
            because = max(grounds_of(view, spec, self._facts.get(resource.name), facts), default=0)
            self._facts[resource.name] = facts
            member.part.announce(announcement_of(spec, facts), member.put)
        member.refresh(because)


def desired_clients(router: Router) -> dict[str, ClientSpec]:
    """Who shall listen, by name."""
    return {one.name: ClientSpec(one.spec, _ifname(router, one.spec.interface)) for one in router.of(IPv6RAAddress)}


def desired_servers(router: Router) -> dict[str, ServerSpec]:
    """Who shall tell, by name."""
    resources = router.of(IPv6RouterAdvertisement)
    return {one.name: ServerSpec(one.spec, _ifname(router, one.spec.interface)) for one in resources}


def _ifname(router: Router, interface: str) -> str:
    ifname = ifname_of(router, interface)
    assert ifname is not None, "the configuration was checked for dangling references"
    return ifname


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
    given, state_dir, rng = quarters.given, quarters.state_dir, quarters.rng

    def listener(name: str, spec: ClientSpec) -> NdpDaemon:
        return NdpDaemon(name, spec.ifname, RAClient(spec, state_dir, given["run_sync"], rng), **given)

    def teller(name: str, spec: ServerSpec) -> NdpDaemon:
        part = RAServer(name, spec, state_dir, given["host"].clock, given["run_sync"], rng)
        return NdpDaemon(name, spec.ifname, part, **given)

    clients = RAClientFleet(quarters.fleet(listener), look)
    return clients, RAServerFleet(quarters.fleet(teller), look, given["log"])


# What is true around an IPv6RouterAdvertisement


def facts_of(view: View, spec: IPv6RouterAdvertisement) -> LanFacts | None:
    """None as long as something of it is not known yet in this life of routerd: what was told before stands. A value
    that is known to be missing is not waited for: a router without a name server is a router."""
    subnets = _subnets(view, spec)
    rdnss, dnssl = _values(view, spec.rdnss_from), _values(view, spec.dnssl_from)
    if subnets is None or rdnss is None or dnssl is None:
        return None
    routes = view.picture.routes.values()
    return LanFacts(
        delegated=subnets,
        rdnss=tuple(one for text in rdnss if (one := _address(text)) is not None),
        dnssl=tuple(dnssl),
        default_route=any(route.destination == ANYWHERE and route.kind == "unicast" for route in routes),
    )


def _subnets(view: View, spec: IPv6RouterAdvertisement) -> tuple[Delegated, ...] | None:
    """Those that IPv6DelegatedAddress resources put on the interface and want announced, and the one that is named."""
    found: list[Delegated] = []
    for resource in view.declared.of(IPv6DelegatedAddress):
        ref, own = ref_of(resource), resource.spec
        named = spec.prefix_from is not None and spec.prefix_from.resource == str(resource)
        if not named and not (own.interface == spec.interface and own.announce):
            continue
        if ref in view.admission.held:
            continue
        known = None if ref in view.admission.undecided else delegation(view, own.prefix_delegation)
        if known is None:
            return None
        subnet = None if known.prefix is None else subnet_of(own, known.prefix, known.excluded)
        if isinstance(subnet, IPv6Interface):
            found.append(Delegated(subnet.network, known.preferred_until, known.valid_until))
    other = _other_prefix(view, spec.prefix_from)
    return None if other is None else (*found, *other)


def _other_prefix(view: View, reference: ValueFrom | None) -> tuple[Delegated, ...] | None:
    """What a reference to something else than an IPv6DelegatedAddress gives, with the lifetimes that are told there."""
    if reference is None or reference.kind == "IPv6DelegatedAddress":
        return ()
    texts = _values(view, reference)
    if not texts:
        return None if texts is None else ()
    status = _status(view, reference) or {}
    try:
        prefix = IPv6Network(texts[0], strict=False)
    except ValueError:
        return ()
    until = status.get("preferredUntilMonotonic"), status.get("validUntilMonotonic")
    return (Delegated(prefix, *until),)


def _values(view: View, reference: ValueFrom | None) -> list[str] | None:
    """What a reference gives now; None: nobody knows yet."""
    if reference is None:
        return []
    status = _status(view, reference)
    if status is None or status.get("reason") in SILENT:
        return None
    return list(_texts(status.get(reference.field)))


def _status(view: View, reference: ValueFrom) -> Status | None:
    wanted = (reference.kind, reference.name)
    return next((status for ref, status in view.objects.items() if (ref.kind, ref.name) == wanted), None)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case None | "":
            return
        case list() | tuple():
            yield from map(str, value)
        case _:
            yield str(value)


def _address(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text.partition("/")[0])
    except ValueError:
        return None
