"""A configuration, a host and what clients say, made by hand: the views that controllers plan against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import attrs

from routerd.config import load
from routerd.controllers.picture import Picture
from routerd.controllers.planner import Blocked, Step
from routerd.controllers.view import View
from routerd.daemons.dhcp_daemon import crashed_status
from routerd.daemons.dhcpv4_report import Circumstances, starting_status, status_of
from routerd.events.types import Ref, Status
from routerd.host import Address, Link, Resynced, Route, Snapshot
from routerd.protocols.dhcpv4.lease import Lease, LeaseRoute
from routerd.protocols.dhcpv4.states import Bound, Init

NOW = 1000.0
DEFAULT = "0.0.0.0/0"
GATEWAY = "203.0.113.1"


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A resource of a configuration; fields of its spec as they are written there."""
    return {"apiVersion": "net.routerd.net/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


WAN = resource("Interface", "wan", ifname="eth0")
LAN = resource("Interface", "lan", ifname="eth1")
CLIENT = resource("DHCPv4Client", "wan", interface="wan")
WAN_REF, LAN_REF, CLIENT_REF = Ref("Interface", "wan"), Ref("Interface", "lan"), Ref("DHCPv4Client", "wan")


def document(*resources: dict[str, Any], name: str = "test") -> str:
    """A configuration with these resources (JSON is YAML)."""
    head = {"apiVersion": "routerd.net/v1alpha1", "kind": "Router", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"resources": resources}})


def link(index: int, name: str, **changes: Any) -> Link:
    """A link that is up."""
    return attrs.evolve(Link(index, name, bytes((2, 0, 0, 0, 0, index)), 1500, 9000, True, True), **changes)


ETH0, ETH1 = link(1, "eth0"), link(2, "eth1")


def address(on: Link, text: str, **changes: Any) -> Address:
    """An address of ours."""
    return Address(on.index, IPv4Interface(text), **changes)


def route(to: str, by: Link | None, via: str | None = None, **changes: Any) -> Route:
    """A route of ours; `source` as text."""
    source = changes.pop("source", None)
    return Route(
        IPv4Network(to),
        by.index if by is not None else None,
        IPv4Address(via) if via else None,
        source=IPv4Address(source) if source else None,
        **changes,
    )


def lease(own: str, *routes: tuple[str, str | None], **changes: Any) -> Lease:
    """A lease of an hour; without `routes` it brings the default route via the gateway of the tests."""
    granted = routes or ((DEFAULT, GATEWAY),)
    basis = Lease(
        IPv4Interface(own),
        IPv4Address(GATEWAY),
        NOW,
        NOW + 1800,
        NOW + 3150,
        NOW + 3600,
        routes=tuple(LeaseRoute(IPv4Network(to), IPv4Address(via) if via else None) for to, via in granted),
        gateway=next((IPv4Address(via) for to, via in granted if to == DEFAULT and via), None),
    )
    return attrs.evolve(basis, **changes)


def bound(held: Lease, ifname: str = "eth0") -> Status:
    """What a client that has this lease says of itself."""
    return status_of(Bound(held), held, False, Circumstances("wan", ifname, 1, 0, True))


def acquiring(ifname: str = "eth0") -> Status:
    """What a client says that has spoken and has nothing."""
    return status_of(Init(NOW + 1), None, False, Circumstances("wan", ifname, 1, 0, True))


def starting(ifname: str = "eth0") -> Status:
    """What is said of a client that has not spoken in this life."""
    return starting_status("wan", ifname, 1, "Starting")


def crashed(status: Status) -> Status:
    """What is said of it after a crash."""
    return crashed_status(status, "ValueError: oh", 1)


@attrs.define
class Scene:
    """What `view` shows. Change any of it between two looks."""

    resources: Sequence[dict[str, Any]]
    links: Sequence[Link] = (ETH0, ETH1)
    addresses: Sequence[Address] = ()
    routes: Sequence[Route] = ()
    objects: dict[Ref, Status] = attrs.field(factory=dict)
    generation: int = 1
    now: float = NOW
    picture: Picture = attrs.field(factory=Picture)

    def view(self) -> View:
        """The host as it is listed here."""
        snapshot = Snapshot(tuple(self.links), tuple(self.addresses), tuple(self.routes))
        self.picture.note(Resynced(snapshot))
        router = load(document(*self.resources), "test")
        return View(router, self.generation, self.objects, self.picture, self.now)


def said(steps: Sequence[Step | Blocked]) -> list[str]:
    """What a plan would do, in words."""
    return [step.message for step in steps]
