"""IPv6 addresses of leases: those that IPv6DelegatedAddress takes out of a delegated prefix for the LAN, and those that
DHCPv6Address acquires for the interface itself.

A prefix that changed or was lost is withdrawn in order (V6-22): the address of the new one is put first, that of the
old one is deprecated (nobody begins anything with it any more) and goes at its end, two hours later at most. Addresses
that are made of what routers advertise are not this controller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Interface, IPv6Network
from typing import Any

import attrs

from routerd.controllers.address import lifetime_fits
from routerd.controllers.interface import link_inputs, presence_inputs
from routerd.controllers.lease import ifname_of, interface_of, link_of, ref_of, undecided
from routerd.controllers.lease6 import delegation, held_addresses, is_over, unspoken_delegations
from routerd.controllers.picture import AddressKey, address_key, thing_of
from routerd.controllers.reconcile import Input, Judgement, Step, View, condition
from routerd.controllers.subnet import Misfit, subnet_of
from routerd.events.incidents import SLEEP
from routerd.events.types import Ref, Status
from routerd.host import Address, PutAddress, RemoveAddress
from routerd.resources.net6 import DHCPv6Address, DHCPv6PrefixDelegation, IPv6DelegatedAddress, IPv6RAAddress

LONGEST_GOODBYE = 7200.0
"""Seconds for which a subnet that is not ours any more is still told of, as deprecated (RFC 9096 §3.5)."""
DEPRECATED = 0.0
"""A preferred lifetime that is over, whatever the time."""


@attrs.frozen
class Wanted6:
    """An address that shall be there, and for whom."""

    address: Address
    resource: Ref
    ifname: str

    @property
    def subnet(self) -> IPv6Network:
        """Of which it is."""
        assert isinstance(self.address.address, IPv6Interface)
        return self.address.address.network

    @property
    def deprecated(self) -> bool:
        """It is there only for what was begun with it."""
        return self.address.preferred_until == DEPRECATED


@attrs.frozen
class Standing:
    """What is to be said of an IPv6DelegatedAddress: its address with the lifetimes, or why it has none; and the
    subnets that it had, each with its end."""

    address: Wanted6 | Misfit
    former: Mapping[IPv6Network, float] = attrs.field(factory=dict)


class DelegationController:
    """See the module."""

    name = "delegation"
    kinds: tuple[str, ...] = ("IPv6DelegatedAddress", "DHCPv6Address")

    def plan(self, view: View) -> Sequence[Step]:
        """Additions first, so that a LAN is never without an address; but what moves to another link leaves before it
        arrives (C15), and what a route still sends from goes after that (X-2)."""
        wanted = _by_key(view)
        leaving = leaving_addresses6(view)
        moving = {key for key, address in leaving.items() if _arrives_elsewhere(address, wanted)}
        late = {key for key, address in leaving.items() if _is_leaned_on(view, address)}
        return [
            *(_removal(view, leaving[key]) for key in leaving if key in moving - late),
            *_additions(view, (w for w in wanted.values() if not _must_wait(w.address, leaving, late))),
            *(_removal(view, leaving[key]) for key in leaving if key not in moving | late),
        ]

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each IPv6DelegatedAddress (a DHCPv6 client speaks for itself). Of one whose prefix nobody knows
        yet in this life of routerd, what was said last stands."""
        statuses = view.waiting(IPv6DelegatedAddress)
        for resource in view.router.of(IPv6DelegatedAddress):
            ref = ref_of(resource)
            if not (_hangs_on_unspoken(view, resource.spec) and "ifname" in view.objects.get(ref, {})):
                statuses[ref] = _status(view, ref, resource.spec, refused.get(ref))
        declared = {ref_of(resource) for resource in view.declared.of(IPv6DelegatedAddress)}
        gone = [ref for ref in view.objects if ref.kind == "IPv6DelegatedAddress" and ref not in declared]
        return Judgement(statuses, gone, {ref: _inputs(view, ref) for ref in statuses})


def wanted_addresses6(view: View) -> Iterator[Wanted6]:
    """Every address of a lease that shall be there now."""
    for resource in view.router.of(IPv6DelegatedAddress):
        ref, spec = ref_of(resource), resource.spec
        if _hangs_on_unspoken(view, spec):
            continue
        standing = standing_of(view, ref, spec)
        if isinstance(standing.address, Wanted6):
            yield standing.address
        yield from _deprecated(view, ref, spec, standing.former)
    for held in held_addresses(view):
        if held.link.admin_up:
            address = Address(held.link.index, held.address, True, held.valid_until, held.preferred_until)
            yield Wanted6(address, held.client, held.link.name)


def standing_of(view: View, ref: Ref, spec: IPv6DelegatedAddress) -> Standing:
    """Of an IPv6DelegatedAddress whose client has spoken."""
    address = _address(view, ref, spec)
    current = None if isinstance(address, Misfit) else address.subnet
    former = {prefix: until for prefix, until in _former(view, ref, spec, current) if prefix != current}
    return Standing(address, former)


def _address(view: View, ref: Ref, spec: IPv6DelegatedAddress) -> Wanted6 | Misfit:
    link = link_of(view, spec.interface)
    if link is None:
        return Misfit("LinkAbsent", f"Interface/{spec.interface} does not exist on this host now")
    if not link.admin_up:
        return Misfit("LinkDown", f"{link.name} is administratively down")
    known = delegation(view, spec.prefix_delegation)
    if known is None or known.prefix is None:
        return Misfit("NoPrefix", f"DHCPv6PrefixDelegation/{spec.prefix_delegation} has no prefix now")
    own = subnet_of(spec, known.prefix, known.excluded)
    if isinstance(own, Misfit):
        return own
    return Wanted6(Address(link.index, own, True, known.valid_until, known.preferred_until), ref, link.name)


def _former(
    view: View, ref: Ref, spec: IPv6DelegatedAddress, current: IPv6Network | None
) -> Iterator[tuple[IPv6Network, float]]:
    """Subnets that hosts of this LAN may still use: of prefixes that the client had, and those of which our own status
    tells, for another subnet may have been declared."""
    known = delegation(view, spec.prefix_delegation)
    told = view.objects.get(ref, {})
    if told.get("ifname") == ifname_of(view.declared, spec.interface):
        yield from _told(told, current, view.now)
    for former in known.former if known is not None else ():
        own = subnet_of(spec, former.prefix)
        if isinstance(own, IPv6Interface):
            yield own.network, min(former.valid_until, view.now + LONGEST_GOODBYE)


def _told(status: Status, current: IPv6Network | None, now: float) -> Iterator[tuple[IPv6Network, float]]:
    """What a status of an earlier moment tells. No goodbye that was told lasts longer than the longest: such a one
    is of another boot, whose clock says nothing now."""
    if "prefix" in status and IPv6Network(status["prefix"]) != current:
        until = status.get("validUntilMonotonic")
        if not is_over(until, now):
            yield (
                IPv6Network(status["prefix"]),
                now + LONGEST_GOODBYE if until is None else min(until, now + LONGEST_GOODBYE),
            )
    for one in status.get("previous", ()):
        if now < one["expiresAtMonotonic"] <= now + LONGEST_GOODBYE:
            yield IPv6Network(one["prefix"]), one["expiresAtMonotonic"]


def _deprecated(
    view: View, ref: Ref, spec: IPv6DelegatedAddress, former: Mapping[IPv6Network, float]
) -> Iterator[Wanted6]:
    """The addresses of former subnets, as far as they are there: nobody needs them anew."""
    link = link_of(view, spec.interface)
    for prefix, until in former.items() if link is not None else ():
        own = IPv6Interface((int(prefix.network_address) | int(spec.address_suffix), prefix.prefixlen))
        address = Address(link.index, own, True, until, DEPRECATED)  # type: ignore[union-attr]  # nothing of no link
        if address_key(address) in view.picture.addresses:
            yield Wanted6(address, ref, link.name)  # type: ignore[union-attr]


def leaving_addresses6(view: View) -> dict[AddressKey, Address]:
    """What of ours is there and shall not stay."""
    wanted, spared = _by_key(view), _spared_links(view)
    advertised = _advertised_links(view)
    return {
        key: address
        for key, address in view.picture.addresses.items()
        if isinstance(address.address, IPv6Interface)
        and address.ours
        and key not in wanted
        and address.link not in spared
        and not (address.link in advertised and _is_advertised(view, address))
    }


def _spared_links(view: View) -> frozenset[int]:
    """Links from which nothing is removed: the client behind them has not spoken yet in this life of routerd (X-4), or
    the gate has not decided."""
    names = {
        resource.spec.interface
        for resource in view.declared.of(IPv6DelegatedAddress)
        if ref_of(resource) in view.admission.undecided or _hangs_on_unspoken(view, resource.spec)
    } | {resource.spec.interface for resource in view.declared.of(DHCPv6Address) if undecided(view, ref_of(resource))}
    return _links(view, names)


def _advertised_links(view: View) -> frozenset[int]:
    """Links on which addresses of ours are also made of what routers advertise."""
    return _links(view, {resource.spec.interface for resource in view.declared.of(IPv6RAAddress)})


def _is_advertised(view: View, address: Address) -> bool:
    """Whether an address on such a link is made of what a router told: one that stands alone is so if it is told of, or
    as long as nobody has been heard (X-4)."""
    if address.address.network.prefixlen != 128:
        return True
    told = [one for ref, one in view.objects.items() if ref.kind == "IPv6RAAddress"]
    return any("state" not in one or str(address.address) in one.get("addresses", ()) for one in told)


def _links(view: View, interfaces: set[str]) -> frozenset[int]:
    ifnames = {ifname_of(view.declared, name) for name in interfaces}
    return frozenset(index for index, link in view.picture.links.items() if link.name in ifnames)


def _hangs_on_unspoken(view: View, spec: IPv6DelegatedAddress) -> bool:
    return spec.prefix_delegation in unspoken_delegations(view)


def _by_key(view: View) -> dict[AddressKey, Wanted6]:
    """Of two for one address the one that is not about to go comes first."""
    wanted: dict[AddressKey, Wanted6] = {}
    for want in sorted(wanted_addresses6(view), key=lambda want: want.deprecated):
        wanted.setdefault(address_key(want.address), want)
    return wanted


def _arrives_elsewhere(address: Address, wanted: Mapping[AddressKey, Wanted6]) -> bool:
    return any(w.address.address.ip == address.address.ip and w.address.link != address.link for w in wanted.values())


def _must_wait(address: Address, leaving: Mapping[AddressKey, Address], late: set[AddressKey]) -> bool:
    """Somebody has still to leave another link with this very address."""
    return any(leaving[key].address.ip == address.address.ip and key[0] != address.link for key in late)


def _is_leaned_on(view: View, address: Address) -> bool:
    """On loss routes go first, and their end wakes us again."""
    routes = view.picture.routes.values()
    others = [a for a in view.picture.addresses.values() if a is not address and a.address.ip == address.address.ip]
    return not others and any(route.ours and route.source == address.address.ip for route in routes)


def _additions(view: View, wanted: Iterator[Wanted6]) -> Iterator[Step]:
    for want in wanted:
        present = view.picture.addresses.get(address_key(want.address))
        taken = view.incidents.open(thing_of(want.address))
        reason, words, topic = _need(view, want, present, taken)
        if not reason:
            continue
        yield Step(
            PutAddress(want.address),
            want.resource,
            topic,
            reason,
            f"{words} {want.address.address} on {want.ifname}",
            {"address": str(want.address.address), "ifname": want.ifname},
            (taken, *_inputs(view, want.resource)),
        )


def _need(view: View, want: Wanted6, present: Address | None, taken: int) -> tuple[str, str, str]:
    """Reason, word and topic of what has to be done about an address; nothing when it is as it shall be."""
    applied = "routerd.lan.address.applied"
    if present is None:
        return ("Restored", "put back", applied) if taken else ("Installed", "put", applied)
    if not present.ours:
        return "Adopted", "took over", applied
    if want.deprecated and not is_over(present.preferred_until, view.now):
        return "Deprecated", "deprecated", "routerd.lan.address.deprecated"
    if lifetime_fits(present.valid_until, want.address.valid_until) and _preferred_fits(view, present, want.address):
        return "", "", ""
    return "Extended", "extended", ""


def _preferred_fits(view: View, present: Address, wanted: Address) -> bool:
    """One that is over is over, whenever that was."""
    if is_over(present.preferred_until, view.now) and is_over(wanted.preferred_until, view.now):
        return True
    return lifetime_fits(present.preferred_until, wanted.preferred_until)


def _removal(view: View, address: Address) -> Step:
    link = view.picture.links.get(address.link)
    owner, name = _former_owner(view, address), link.name if link is not None else ""
    return Step(
        RemoveAddress(address),
        owner,
        "routerd.lan.address.removed",
        "Removed",
        f"removed {address.address} from {name or address.link}",
        {"address": str(address.address), "ifname": name},
        (owner, view.incidents.last(SLEEP), *_inputs(view, owner), *presence_inputs(view, name)),
    )


def _former_owner(view: View, address: Address) -> Ref:
    """Whom to name for an address that has to go: whose status tells of it, who is declared on its link, or the
    Interface."""
    link = view.picture.links.get(address.link)
    for ref, status in view.objects.items():
        if ref.kind in DelegationController.kinds and str(address.address) in _addresses_told(status):
            return ref
    for resource in (*view.declared.of("IPv6DelegatedAddress"), *view.declared.of("DHCPv6Address")):
        if link is not None and ifname_of(view.declared, resource.spec.interface) == link.name:
            return ref_of(resource)
    return interface_of(view, link)


def _addresses_told(status: Status) -> set[str]:
    return {str(status.get("address")), f"{status.get('currentAddress')}/128"}


def _inputs(view: View, ref: Ref) -> tuple[Input, ...]:
    """What decides about an address: the client, the gate, and the link. A DelegatedAddress's own object is what comes
    of this."""
    resource = view.declared.get(IPv6DelegatedAddress, ref.name) if ref.kind == "IPv6DelegatedAddress" else None
    client = view.declared.get(DHCPv6Address, ref.name) if ref.kind == "DHCPv6Address" else None
    if resource is not None:
        giver = view.declared.get(DHCPv6PrefixDelegation, resource.spec.prefix_delegation)
        givers = () if giver is None else (ref_of(giver),)
        interface = resource.spec.interface
    elif client is not None:
        givers, interface = (ref,), client.spec.interface
    else:
        return view.configuration, *view.grounds(ref)
    return *givers, *view.grounds(ref), *link_inputs(view, ifname_of(view.declared, interface) or "")


def _status(view: View, ref: Ref, spec: IPv6DelegatedAddress, refused: str | None) -> Status:
    known: dict[str, Any] = {"interface": spec.interface, "dryRun": False, "observedGeneration": view.generation}
    known["prefixSource"] = f"DHCPv6PrefixDelegation/{spec.prefix_delegation}"
    ifname = ifname_of(view.declared, spec.interface)
    if ifname is not None:
        known["ifname"] = ifname
    if _hangs_on_unspoken(view, spec):
        words = f"nobody knows yet which prefix {known['prefixSource']} has"
        return {**known, **_said("Pending", "Unresolved", view.generation, words)}
    standing = standing_of(view, ref, spec)
    if standing.former:
        known["previous"] = [
            {"prefix": str(prefix), "expiresAtMonotonic": until} for prefix, until in standing.former.items()
        ]
    if isinstance(standing.address, Misfit):
        return {**known, **_said("Pending", standing.address.reason, view.generation, standing.address.message)}
    own = standing.address.address
    times = {"preferredUntilMonotonic": own.preferred_until, "validUntilMonotonic": own.valid_until}
    known |= {name: until for name, until in times.items() if until is not None}
    known |= {"address": str(own.address), "prefix": str(own.address.network)}
    return {**known, **_outcome(view, own, refused)}


def _outcome(view: View, own: Address, refused: str | None) -> Status:
    present = view.picture.addresses.get(address_key(own))
    if present is not None and present.standing == "duplicate":
        words = f"another host of the link has {own.address.ip}"
        return _said("Error", "DuplicateAddress", view.generation, words)
    if refused is not None:
        return _said("Error", "HostRefused", view.generation, refused)
    if present is None:
        return _said("Pending", "NotYet", view.generation)
    return _said("Applied", "Applied", view.generation)


def _said(phase: str, reason: str, generation: int, message: str = "") -> dict[str, Any]:
    conditions = [condition("Applied", phase == "Applied", reason, generation, message)]
    words = {"message": message} if message else {}
    return {"phase": phase, "reason": reason, **words, "conditions": conditions}
