"""What the controllers read from the status of a DHCPv4Client: the lease in use, or that it is not known yet; and of
every client, whether it has spoken."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import attrs

from routerd.config import Router
from routerd.controllers.view import View
from routerd.events.types import Ref, ref_of
from routerd.host import Link
from routerd.resources.net import DHCPv4Client, Interface
from routerd.resources.net6 import DHCPv6Address, DHCPv6PrefixDelegation

CLIENTS = {spec.__name__: spec for spec in (DHCPv4Client, DHCPv6PrefixDelegation, DHCPv6Address)}
"""Kinds for which a client keeps a lease, and speaks of it in a status of its own."""


@attrs.frozen
class LeaseInUse:
    """A lease, as the client's status tells it. `valid_until` is on the host's clock; None: for ever."""

    client: Ref
    spec: DHCPv4Client
    link: Link
    address: IPv4Interface
    valid_until: float | None
    mtu: int
    routes: tuple[tuple[IPv4Network, IPv4Address | None], ...]


def clients(view: View) -> Iterator[tuple[Ref, DHCPv4Client, Link | None]]:
    """Every client that shall run with its link, if that exists now."""
    for resource in view.router.of(DHCPv4Client):
        yield ref_of(resource), resource.spec, link_of(view, resource.spec.interface)


def declared_clients(view: View) -> Iterator[tuple[Ref, Link | None]]:
    """Every client with its link, those among them that the gate does not let in."""
    for resource in view.declared.of(DHCPv4Client):
        ifname = ifname_of(view.declared, resource.spec.interface)
        yield ref_of(resource), None if ifname is None else view.picture.link_named(ifname)


def leases(view: View) -> Iterator[LeaseInUse]:
    """Every lease that may be in use now. One that is over is none, also when its client is not there to say so."""
    for ref, spec, link in clients(view):
        status = view.objects.get(ref, {})
        if link is None or "currentAddress" not in status or undecided(view, ref):
            continue
        valid_until = status.get("expiresAtMonotonic")
        if valid_until is None or valid_until > view.now:
            yield LeaseInUse(
                client=ref,
                spec=spec,
                link=link,
                address=IPv4Interface(f"{status['currentAddress']}/{status['prefixLength']}"),
                valid_until=valid_until,
                mtu=status.get("mtu", 0),
                routes=tuple(_route(route) for route in status.get("routes", ())),
            )


def undecided(view: View, client: Ref) -> bool:
    """Has this client not yet said what it holds, on the interface that is declared for it now, in this life of
    routerd? Until it has looked at its lease file its status says that it starts, or that it crashed, and has no
    `state`. Meanwhile nothing of it is touched: its address stays on the interface over a restart (X-4)."""
    status = view.objects.get(client, {})
    if client in view.admission.held:
        return "device" in status  # it is about to say goodbye
    resource = view.router.get(CLIENTS[client.kind], client.name)
    if resource is None or status.get("device") != ifname_of(view.router, resource.spec.interface):
        return True
    return "state" not in status and status.get("reason") in ("Starting", "CrashLoop")


def undecided_links(view: View) -> frozenset[int]:
    """Links from which nothing of ours is removed: their client has not spoken yet, or is about to say goodbye (by an
    address that it needs for that)."""
    starting = {link.index for ref, link in declared_clients(view) if link is not None and undecided(view, ref)}
    return frozenset(starting | {link.index for link in _links_being_left(view)})


def _links_being_left(view: View) -> Iterator[Link]:
    """Links of clients that are declared no more, and not forgotten yet."""
    for ref, status in view.objects.items():
        if ref.kind == "DHCPv4Client" and view.declared.get(DHCPv4Client, ref.name) is None:
            link = view.picture.link_named(status.get("device", ""))
            if link is not None:
                yield link


def client_of(view: View, link: Link) -> Ref | None:
    """The client that is declared on a link."""
    return next((ref for ref, found in declared_clients(view) if found is not None and found.index == link.index), None)


def interface_of(view: View, link: Link | None) -> Ref:
    """The Interface that is declared for a link; the router itself where there is none."""
    for resource in view.declared.of(Interface):
        if link is not None and resource.spec.ifname == link.name:
            return ref_of(resource)
    return view.configuration


def link_of(view: View, interface: str) -> Link | None:
    """The link of the Interface resource of this name, if it exists now."""
    ifname = ifname_of(view.router, interface)
    return None if ifname is None else view.picture.link_named(ifname)


def ifname_of(router: Router, interface: str) -> str | None:
    """The system's name for the Interface resource of this name."""
    resource = router.get(Interface, interface)
    return None if resource is None else resource.spec.ifname


def device_of(router: Router, interface: str) -> str:
    """As `ifname_of`, of an Interface that a resource names: the configuration was checked for dangling references."""
    ifname = ifname_of(router, interface)
    assert ifname is not None
    return ifname


def _route(route: dict[str, str]) -> tuple[IPv4Network, IPv4Address | None]:
    gateway = route.get("gateway")
    return IPv4Network(route["destination"]), IPv4Address(gateway) if gateway else None
