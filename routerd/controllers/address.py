"""Addresses: what IPv4StaticAddress declares and what DHCPv4 leases grant is on its link, and nothing else of ours.

What is ours is written on the address itself (`host.Address.ours`), so that an address of an earlier life is
known; what others put there stays, unless an IPv4StaticAddress is `exclusive`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Interface

import attrs

from routerd.controllers.interface import presence_inputs
from routerd.controllers.lease import client_of, ifname_of, interface_of, leases, link_of, undecided_links
from routerd.controllers.picture import AddressKey, address_key, thing_of
from routerd.controllers.planner import Judgement, Step
from routerd.controllers.view import Input, View
from routerd.events.incidents import SLEEP
from routerd.events.status import condition
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Address, PutAddress, RemoveAddress
from routerd.resources.net import IPv4StaticAddress

TOLERANCE = 2.0
"""Seconds by which the lifetime on the host may be off before it is set again."""


@attrs.frozen
class Wanted:
    """An address that shall be there, and for whom."""

    address: Address
    resource: Ref
    ifname: str
    exclusive: bool = False


class AddressController:
    """See the module."""

    name = "address"
    kinds: tuple[str, ...] = ("IPv4StaticAddress", "DHCPv4Client")

    def __init__(self) -> None:
        self._seen: set[AddressKey] = set()
        """What is wanted and has been there before: to tell "restored" from "installed"."""

    def plan(self, view: View) -> Sequence[Step]:
        """Removals first, so that what moves never stands in two places (C15); but an address whose prefix length
        changes is never without one of the two, because connections live on it (V4-14)."""
        wanted = _wanted(view)
        self._seen = {key for key in wanted if key in self._seen or key in view.picture.addresses}
        leaving = leaving_addresses(view)
        late = [address for address in leaving.values() if _is_leaned_on(view, address, leaving)]
        first = [w for w in wanted.values() if any(_same_host(w.address, address) for address in leaving.values())]
        later = [w for w in wanted.values() if w not in first and not _must_wait(view, w.address, late)]
        return [
            *self._additions(view, first),
            *(self._removal(view, address) for address in leaving.values() if address not in late),
            *self._additions(view, later),
        ]

    def _removal(self, view: View, address: Address) -> Step:
        link = view.picture.links.get(address.link)
        owner = _former_owner(view, address)
        return Step(
            RemoveAddress(address),
            owner,
            "routerd.lan.ipv4_address.removed",
            "Removed" if address.ours else "Exclusive",
            f"removed {address.address} from {link.name if link else address.link}",
            {"address": str(address.address), "ifname": link.name if link else ""},
            (
                owner,
                view.incidents.last(SLEEP),
                *view.grounds(owner),
                *presence_inputs(view, link.name if link else ""),
            ),
        )

    def _additions(self, view: View, wanted: Iterable[Wanted]) -> Iterator[Step]:
        for want in wanted:
            key = address_key(want.address)
            present = view.picture.addresses.get(key)
            if present is None:
                reason, words = ("Restored", "put back") if key in self._seen else ("Installed", "put")
            elif not present.ours:
                reason, words = "Adopted", "took over"  # or it would stay when it must go
            elif not lifetime_fits(present.valid_until, want.address.valid_until):
                reason, words = "Extended", "extended"
            else:
                continue
            yield Step(
                PutAddress(want.address),
                want.resource,
                "" if reason == "Extended" else "routerd.lan.ipv4_address.applied",
                reason,
                f"{words} {want.address.address} on {want.ifname}",
                {"address": str(want.address.address), "ifname": want.ifname},
                _inputs(view, want),
            )

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each IPv4StaticAddress (a DHCPv4Client speaks for itself)."""
        statuses = {
            ref_of(resource): _status(view, resource.spec, refused.get(ref_of(resource)))
            for resource in view.router.of(IPv4StaticAddress)
        } | view.waiting(IPv4StaticAddress)
        gone = [ref for ref in view.objects if ref.kind == "IPv4StaticAddress" and ref not in statuses]
        because = {
            ref: (*view.grounds(ref), *presence_inputs(view, ifname_of(view.declared, resource.spec.interface) or ""))
            for resource in view.declared.of(IPv4StaticAddress)
            for ref in [ref_of(resource)]
        }
        return Judgement(statuses, gone, because)


def _inputs(view: View, want: Wanted) -> tuple[Input, ...]:
    """What decides that an address has to be put: also that somebody has just taken it away."""
    taken = view.incidents.open(thing_of(want.address))
    return (taken, want.resource, *view.grounds(want.resource), *presence_inputs(view, want.ifname))


def wanted_addresses(view: View) -> Iterator[Wanted]:
    """Every address that shall be there now."""
    for resource in view.router.of(IPv4StaticAddress):
        spec = resource.spec
        link = link_of(view, spec.interface)
        if link is not None:
            yield Wanted(Address(link.index, spec.address), ref_of(resource), link.name, spec.exclusive)
    for lease in leases(view):
        address = Address(lease.link.index, lease.address, valid_until=lease.valid_until)
        yield Wanted(address, lease.client, lease.link.name)


def _wanted(view: View) -> dict[AddressKey, Wanted]:
    wanted: dict[AddressKey, Wanted] = {}
    for want in wanted_addresses(view):
        wanted.setdefault(address_key(want.address), want)  # what is declared does not end with a lease of the same
    return wanted


def _undecided(view: View) -> Iterator[AddressKey]:
    """Declared addresses of which nobody knows yet whether they are wanted: they may be right as they are."""
    for resource in view.declared.of(IPv4StaticAddress):
        ifname = ifname_of(view.declared, resource.spec.interface)
        link = None if ifname is None else view.picture.link_named(ifname)
        if ref_of(resource) in view.admission.undecided and link is not None:
            yield link.index, str(resource.spec.address)


def leaving_addresses(view: View) -> dict[AddressKey, Address]:
    """What is there and shall not stay: of ours what nobody wants, and of others what stands on an exclusive link."""
    wanted, spared, undecided = _wanted(view), undecided_links(view), frozenset(_undecided(view))
    exclusive = {w.address.link for w in wanted.values() if w.exclusive}
    return {
        key: address
        for key, address in view.picture.addresses.items()
        if key not in wanted
        and key not in undecided
        and address.link not in spared
        and isinstance(address.address, IPv4Interface)
        and (address.ours or address.link in exclusive)
    }


def _is_leaned_on(view: View, address: Address, leaving: Mapping[AddressKey, Address]) -> bool:
    """On loss routes go first (X-2), and their end wakes us again; those that go on by the same address need not."""
    ip = address.address.ip
    staying = [a for key, a in view.picture.addresses.items() if key not in leaving]
    if any(a.address.ip == ip for a in (*staying, *(want.address for want in wanted_addresses(view)))):
        return False
    spared = undecided_links(view)  # what is there stays for now, and must not be waited for
    routes = view.picture.routes.values()
    return any(route.ours and route.source == ip and route.link not in spared for route in routes)


def _same_host(one: Address, other: Address) -> bool:
    return one.link == other.link and one.address.ip == other.address.ip


def _must_wait(view: View, address: Address, late: Iterable[Address]) -> bool:
    """Somebody has still to leave the link, or to leave another one with this very address."""
    if address_key(address) in view.picture.addresses:
        return False
    return any(old.link == address.link or old.address.ip == address.address.ip for old in late)


def _status(view: View, spec: IPv4StaticAddress, refused: str | None) -> Status:
    link = link_of(view, spec.interface)
    if link is None:
        absent = f"Interface/{spec.interface} does not exist on this host now"
        phase, reason, message = "Pending", "LinkAbsent", absent
    elif refused is not None:
        phase, reason, message = "Error", "HostRefused", refused
    elif (link.index, str(spec.address)) in view.picture.addresses:
        phase, reason, message = "Applied", "Applied", ""
    else:
        phase, reason, message = "Pending", "NotYet", ""
    return {
        "interface": spec.interface,
        "address": str(spec.address),
        "dryRun": False,
        **({} if link is None else {"ifname": link.name}),
        "phase": phase,
        "reason": reason,
        **({"message": message} if message else {}),
        "observedGeneration": view.generation,
        "conditions": [condition("Applied", phase == "Applied", reason, view.generation, message)],
    }


def lifetime_fits(present: float | None, wanted: float | None) -> bool:
    """Is the lifetime on the host near enough to that which is wanted?"""
    if present is None or wanted is None:
        return present is wanted
    return abs(present - wanted) <= TOLERANCE


def _former_owner(view: View, address: Address) -> Ref:
    """Whom to name for an address that has to go: who declared it, the client of its link, or the Interface."""
    link = view.picture.links.get(address.link)
    for resource in view.declared.of(IPv4StaticAddress):
        if resource.spec.address == address.address:
            return ref_of(resource)
    for ref, status in view.objects.items():
        if ref.kind == "IPv4StaticAddress" and status.get("address") == str(address.address):
            return ref
    client = client_of(view, link) if link is not None and address.ours else None
    return client or interface_of(view, link)
