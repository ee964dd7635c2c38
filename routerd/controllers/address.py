"""Addresses: what IPv4StaticAddress declares and what DHCPv4 leases grant is on its link, and nothing else of ours.

What is ours is written on the address itself (`host.Address.ours`), so that an address of an earlier life is
known; what others put there stays, unless an IPv4StaticAddress is `exclusive`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Interface

import attrs

from routerd.controllers.lease import leases, link_of, ref_of, undecided_links
from routerd.controllers.picture import AddressKey, address_key
from routerd.controllers.reconcile import Judgement, Step, View, condition
from routerd.events.types import Ref, Status
from routerd.host import Address, PutAddress, RemoveAddress
from routerd.resources.net import Interface, IPv4StaticAddress

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
        self._put: set[AddressKey] = set()
        """What this process has put before: to tell "restored" from "installed"."""

    def plan(self, view: View) -> Sequence[Step]:
        """Removals first, so that an address that moves to another link never stands on both (C15)."""
        wanted: dict[AddressKey, Wanted] = {}
        for want in wanted_addresses(view):
            wanted.setdefault(address_key(want.address), want)  # what is declared does not end with a lease of the same
        steps = [*self._removals(view, wanted), *self._additions(view, wanted)]
        self._put |= wanted.keys()
        return steps

    def _removals(self, view: View, wanted: Mapping[AddressKey, Wanted]) -> Iterator[Step]:
        spared = undecided_links(view)
        exclusive = {w.address.link: w for w in wanted.values() if w.exclusive}
        leaned_on = {(r.link, r.source) for r in view.picture.routes.values() if r.ours and r.source is not None}
        for key, address in view.picture.addresses.items():
            if key in wanted or address.link in spared or not isinstance(address.address, IPv4Interface):
                continue
            if not address.ours and address.link not in exclusive:
                continue
            if (address.link, address.address.ip) in leaned_on:
                continue  # on loss, routes go first; their end wakes us again
            link = view.picture.links.get(address.link)
            owner = exclusive[address.link].resource if not address.ours else _interface(view, address.link)
            yield Step(
                RemoveAddress(address),
                owner,
                "routerd.lan.ipv4_address.removed",
                "Unwanted" if address.ours else "Exclusive",
                f"removed {address.address} from {link.name if link else address.link}",
                {"address": str(address.address), "ifname": link.name if link else ""},
            )

    def _additions(self, view: View, wanted: Mapping[AddressKey, Wanted]) -> Iterator[Step]:
        for key, want in wanted.items():
            present = view.picture.addresses.get(key)
            if present is not None and _lifetime_fits(present.valid_until, want.address.valid_until):
                continue
            restored = present is None and key in self._put
            reason = "Extended" if present is not None else "Restored" if restored else "Installed"
            yield Step(
                PutAddress(want.address),
                want.resource,
                "" if present is not None else "routerd.lan.ipv4_address.applied",
                reason,
                f"{'put back' if restored else 'put'} {want.address.address} on {want.ifname}",
                {"address": str(want.address.address), "ifname": want.ifname},
            )

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each IPv4StaticAddress (a DHCPv4Client speaks for itself)."""
        statuses = {
            ref_of(resource): _status(view, resource.spec, refused.get(ref_of(resource)))
            for resource in view.router.of(IPv4StaticAddress)
        }
        gone = [ref for ref in view.objects if ref.kind == "IPv4StaticAddress" and ref not in statuses]
        return Judgement(statuses, gone)


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


def _status(view: View, spec: IPv4StaticAddress, refused: str | None) -> Status:
    generation = view.generation
    known: dict[str, object] = {"interface": spec.interface, "address": str(spec.address), "dryRun": False}
    link = link_of(view, spec.interface)
    if link is None:
        return {
            **known,
            "phase": "Pending",
            "reason": "LinkAbsent",
            "message": f"Interface/{spec.interface} does not exist on this host now",
            "observedGeneration": generation,
            "conditions": [condition("Applied", False, "LinkAbsent", generation)],
        }
    known["ifname"] = link.name
    if refused is not None:
        return {
            **known,
            "phase": "Error",
            "reason": "HostRefused",
            "message": refused,
            "observedGeneration": generation,
            "conditions": [condition("Applied", False, "HostRefused", generation, refused)],
        }
    return {
        **known,
        "phase": "Applied",
        "observedGeneration": generation,
        "conditions": [condition("Applied", True, "Applied", generation)],
    }


def _lifetime_fits(present: float | None, wanted: float | None) -> bool:
    if present is None or wanted is None:
        return present is wanted
    return abs(present - wanted) <= TOLERANCE


def _interface(view: View, index: int) -> Ref:
    """Whom to name for an address that nobody wants any more: its Interface, declared or not."""
    link = view.picture.links.get(index)
    for resource in view.router.of(Interface):
        if link is not None and resource.spec.ifname == link.name:
            return ref_of(resource)
    return Ref("Interface", link.name if link else str(index))
