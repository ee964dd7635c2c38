"""Which IPv6 addresses of leases there shall be: those that IPv6DelegatedAddress takes out of a delegated prefix for
the LAN, and those that DHCPv6Address acquires for the interface itself; and which of ours shall go."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv6Interface, IPv6Network

import attrs

from routerd.controllers.lease import ifname_of, link_of, undecided
from routerd.controllers.lease6 import Delegation, delegation, held_addresses, is_over, unspoken_delegations
from routerd.controllers.picture import AddressKey, address_key
from routerd.controllers.subnet import Misfit, subnet_of
from routerd.controllers.view import View
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Address
from routerd.resources.net6 import DHCPv6Address, IPv6DelegatedAddress, IPv6RAAddress

LONGEST_GOODBYE = 7200.0
"""Seconds for which a subnet that is not ours any more is still told of, as deprecated (RFC 9096 §3.5)."""
DEPRECATED = 0.0
"""A preferred lifetime that is over, whatever the time."""


@attrs.frozen
class Wanted6:
    """An address that shall be there, and for whom; `aggregate` is the delegated prefix that it is taken out of."""

    address: Address
    resource: Ref
    ifname: str
    aggregate: IPv6Network | None = None

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


def wanted_addresses6(view: View) -> Iterator[Wanted6]:
    """Every address of a lease that shall be there now."""
    for resource in view.router.of(IPv6DelegatedAddress):
        ref, spec = ref_of(resource), resource.spec
        if hangs_on_unspoken(view, spec):
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
    if known is None:
        return Misfit("NoPrefix", f"DHCPv6PrefixDelegation/{spec.prefix_delegation} has no prefix now")
    own = free_subnet(view, ref, spec, known)
    if isinstance(own, Misfit):
        return own
    address = Address(link.index, own, True, known.valid_until, known.preferred_until)
    return Wanted6(address, ref, link.name, known.prefix)


def free_subnet(view: View, ref: Ref, spec: IPv6DelegatedAddress, known: Delegation) -> IPv6Interface | Misfit:
    """The subnet that an IPv6DelegatedAddress stands for now, with the address in it. A part of a prefix is on one
    link: of one prefix the configuration has seen to that, but providers do not agree with each other."""
    if known.prefix is None:
        return Misfit("NoPrefix", f"{known.client} has no prefix now")
    own = subnet_of(spec, known.prefix, known.excluded)
    if isinstance(own, Misfit):
        return own
    taken = next(_in_its_place(view, ref, spec, own.network), "")
    return Misfit("SubnetTaken", f"{own.network} is elsewhere already: {taken}") if taken else own


def _in_its_place(view: View, ref: Ref, spec: IPv6DelegatedAddress, subnet: IPv6Network) -> Iterator[str]:
    """Who has (a part of) a subnet: those before in the file that take theirs out of another delegation, and whatever
    else is on another link."""
    for resource in view.router.of(IPv6DelegatedAddress):
        if ref_of(resource) == ref:
            break
        other = _of_another(view, resource.spec, spec.prefix_delegation)
        if other is not None and other.overlaps(subnet):
            yield f"{resource} has {other}"
    upstream, here = _advertised_links(view), ifname_of(view.declared, spec.interface)
    for address in view.picture.addresses.values():
        link = view.picture.links.get(address.link)
        others = not address.ours or address.link in upstream
        if link is not None and link.name != here and others and _is_of(address, subnet):
            yield f"{address.address} is on {link.name}"


def _of_another(view: View, spec: IPv6DelegatedAddress, delegated: str) -> IPv6Network | None:
    """The subnet that is taken out of another delegation than that of this name; None if there is none now."""
    known = delegation(view, spec.prefix_delegation) if spec.prefix_delegation != delegated else None
    if known is None or known.prefix is None:
        return None
    own = subnet_of(spec, known.prefix, known.excluded)
    return None if isinstance(own, Misfit) else own.network


def _is_of(address: Address, subnet: IPv6Network) -> bool:
    """Whether it makes (a part of) the subnet on-link where it is: one that stands alone does not."""
    network = address.address.network
    return isinstance(network, IPv6Network) and network.prefixlen < 128 and network.overlaps(subnet)


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


def leaving_addresses6(view: View, wanted: Collection[AddressKey]) -> dict[AddressKey, Address]:
    """What of ours is there and shall not stay: it is none of those that are `wanted`, and nobody else's matter."""
    spared, advertised = _spared_links(view), _advertised_links(view)
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
        if ref_of(resource) in view.admission.undecided or hangs_on_unspoken(view, resource.spec)
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


def hangs_on_unspoken(view: View, spec: IPv6DelegatedAddress) -> bool:
    """Whether nobody knows yet, in this life of routerd, which prefix there is."""
    return spec.prefix_delegation in unspoken_delegations(view)


def wanted_by_key(view: View) -> dict[AddressKey, Wanted6]:
    """All of them. Of two for one address the one that is not about to go comes first."""
    wanted: dict[AddressKey, Wanted6] = {}
    for want in sorted(wanted_addresses6(view), key=lambda want: want.deprecated):
        wanted.setdefault(address_key(want.address), want)
    return wanted
