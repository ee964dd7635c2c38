"""IPv6 addresses of leases: those that IPv6DelegatedAddress takes out of a delegated prefix for the LAN, and those that
DHCPv6Address acquires for the interface itself.

A prefix that changed or was lost is withdrawn in order (V6-22): the address of the new one is put first, that of the
old one is deprecated (nobody begins anything with it any more) and goes at its end, two hours later at most. One that
another host turns out to have rests before it is tried again. Addresses that are made of what routers advertise are not
this controller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routerd.controllers.address import lifetime_fits
from routerd.controllers.interface import link_inputs, presence_inputs
from routerd.controllers.lease import ifname_of, interface_of
from routerd.controllers.lease6 import LAST_RESORT, is_over
from routerd.controllers.picture import AddressKey, address_key, thing_of
from routerd.controllers.planner import Blocked, Judgement, Step
from routerd.controllers.rest import Rests, rest_after
from routerd.controllers.subnet import Misfit
from routerd.controllers.view import Input, View
from routerd.controllers.wanted_address6 import (
    Wanted6,
    hangs_on_unspoken,
    leaving_addresses6,
    standing_of,
    wanted_by_key,
)
from routerd.events import incidents
from routerd.events.incidents import SLEEP
from routerd.events.status import condition
from routerd.events.types import Ref, Status, ref_of
from routerd.host import Address, PutAddress, RemoveAddress
from routerd.resources.net6 import DHCPv6Address, DHCPv6PrefixDelegation, IPv6DelegatedAddress


class DelegationController:
    """See the module."""

    name = "delegation"
    kinds: tuple[str, ...] = ("IPv6DelegatedAddress", "DHCPv6Address")

    def __init__(self) -> None:
        self._rests = Rests()

    def plan(self, view: View) -> Sequence[Step | Blocked]:
        """Additions first, so that a LAN is never without an address; but what moves to another link leaves before it
        arrives (C15), and what a route still sends from goes after that (X-2)."""
        wanted = wanted_by_key(view)
        self._rests.keep(wanted.keys() & view.picture.contested.keys())
        leaving = leaving_addresses6(view, wanted)
        moving = {key for key, address in leaving.items() if _arrives_elsewhere(address, wanted)}
        late = {key for key, address in leaving.items() if _is_leaned_on(view, address)}
        return [
            *(_removal(view, leaving[key]) for key in leaving if key in moving - late),
            *self._additions(view, (w for w in wanted.values() if not _must_wait(w.address, leaving, late))),
            *(_removal(view, leaving[key]) for key in leaving if key not in moving | late),
        ]

    def _additions(self, view: View, wanted: Iterator[Wanted6]) -> Iterator[Step | Blocked]:
        for want in wanted:
            key = address_key(want.address)
            present, times = view.picture.addresses.get(key), view.picture.contested.get(key, 0)
            if times and not self._rests.is_due(key, times, view.now):
                words = f"another host has {want.address.address.ip}: it is tried again after {rest_after(times):.0f} s"
                yield Blocked(want.resource, words, {"address": str(want.address.address), "ifname": want.ifname})
            elif present is not None and present.standing == "duplicate":
                yield _removal(view, present)  # the system tries none again that is there; its notice wakes us
            else:
                yield from _addition(view, want, present)

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each IPv6DelegatedAddress (a DHCPv6 client speaks for itself). Of one whose prefix nobody knows
        yet in this life of routerd, what was said last stands."""
        statuses = view.waiting(IPv6DelegatedAddress)
        for resource in view.router.of(IPv6DelegatedAddress):
            ref = ref_of(resource)
            if not (hangs_on_unspoken(view, resource.spec) and "ifname" in view.objects.get(ref, {})):
                statuses[ref] = _status(view, ref, resource.spec, refused.get(ref))
        declared = {ref_of(resource) for resource in view.declared.of(IPv6DelegatedAddress)}
        gone = [ref for ref in view.objects if ref.kind == "IPv6DelegatedAddress" and ref not in declared]
        because = {ref: (*_inputs(view, ref), _happened_to(view, status)) for ref, status in statuses.items()}
        return Judgement(statuses, gone, because)


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


def _addition(view: View, want: Wanted6, present: Address | None) -> Iterator[Step]:
    taken = view.incidents.open(thing_of(want.address))
    reason, words, topic = _need(view, want, present, taken)
    if not reason or (present is None and _awaits_aggregate(view, want)):
        return
    yield Step(
        PutAddress(want.address),
        want.resource,
        topic,
        reason,
        f"{words} {want.address.address} on {want.ifname}",
        {"address": str(want.address.address), "ifname": want.ifname},
        (taken, *_inputs(view, want.resource)),
    )


def _awaits_aggregate(view: View, want: Wanted6) -> bool:
    """No LAN has a part of the prefix before what is left of it is kept from going back to the provider (RFC 7084
    WPD-5); the notice of that route wakes us again."""
    place = (str(want.aggregate), LAST_RESORT)
    return want.aggregate is not None and all(key[:2] != place for key in view.picture.routes)


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


def _happened_to(view: View, status: Status) -> int:
    """The last thing that somebody else did to the address of a status, if it is one on a link."""
    link = view.picture.link_named(status.get("ifname", ""))
    if link is None or "address" not in status:
        return 0
    return view.incidents.last(incidents.address(link.index, status["address"].partition("/")[0]))


def _status(view: View, ref: Ref, spec: IPv6DelegatedAddress, refused: str | None) -> Status:
    known: dict[str, Any] = {"interface": spec.interface, "dryRun": False, "observedGeneration": view.generation}
    known["prefixSource"] = f"DHCPv6PrefixDelegation/{spec.prefix_delegation}"
    ifname = ifname_of(view.declared, spec.interface)
    if ifname is not None:
        known["ifname"] = ifname
    if hangs_on_unspoken(view, spec):
        words = f"nobody knows yet which prefix {known['prefixSource']} has"
        return {**known, **_said("Pending", "Unresolved", view.generation, words)}
    standing, instants = standing_of(view, ref, spec), _instants(view, ref, spec)
    if standing.former:
        known["previous"] = [
            {"prefix": str(prefix), **_told("expiresAt", until, instants)} for prefix, until in standing.former.items()
        ]
    if isinstance(standing.address, Misfit):
        return {**known, **_said("Pending", standing.address.reason, view.generation, standing.address.message)}
    own = standing.address.address
    known |= _told("preferredUntil", own.preferred_until, instants) | _told("validUntil", own.valid_until, instants)
    known |= {"address": str(own.address), "prefix": str(own.address.network)}
    return {**known, **_outcome(view, standing.address, refused)}


def _instants(view: View, ref: Ref, spec: IPv6DelegatedAddress) -> Mapping[float, str]:
    """What the moments of the host's clock are called, as far as the client has said so; it keeps up with a clock that
    is set."""
    giver = view.declared.get(DHCPv6PrefixDelegation, spec.prefix_delegation)
    own, client = view.objects.get(ref, {}), {} if giver is None else view.objects.get(ref_of(giver), {})
    found = {
        status.get(f"{name}Monotonic"): status.get(name)
        for status in (*own.get("previous", ()), own, *client.get("previousPrefixes", ()), client)
        for name in ("expiresAt", "preferredUntil", "validUntil")
    }
    return {moment: instant for moment, instant in found.items() if moment is not None and instant is not None}


def _told(name: str, moment: float | None, instants: Mapping[float, str]) -> dict[str, Any]:
    """A moment for programs, and for people if it has a name. None is for ever, and left out."""
    if moment is None:
        return {}
    instant = instants.get(moment)
    return {f"{name}Monotonic": moment} | ({} if instant is None else {name: instant})


def _outcome(view: View, want: Wanted6, refused: str | None) -> Status:
    own = want.address
    present = view.picture.addresses.get(address_key(own))
    if address_key(own) in view.picture.contested:
        words = f"another host of {want.ifname} has {own.address.ip}"
        return _said("Error", "DuplicateAddress", view.generation, words)
    if refused is not None:
        return _said("Error", "HostRefused", view.generation, refused)
    if present is None:
        waits = f"{want.aggregate} is not unreachable yet as a whole" if _awaits_aggregate(view, want) else ""
        return _said("Pending", "NotYet", view.generation, waits)
    return _said("Applied", "Applied", view.generation)


def _said(phase: str, reason: str, generation: int, message: str = "") -> dict[str, Any]:
    conditions = [condition("Applied", phase == "Applied", reason, generation, message)]
    words = {"message": message} if message else {}
    return {"phase": phase, "reason": reason, **words, "conditions": conditions}
