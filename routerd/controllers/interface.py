"""Interfaces: administrative state and MTU as declared, and what each one is and has, for people and `*From`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Interface

import attrs

from routerd.controllers.picture import address_key, thing_of
from routerd.controllers.planner import Judgement, Step
from routerd.controllers.view import Input, View
from routerd.events import incidents
from routerd.events.incidents import Thing
from routerd.events.status import condition
from routerd.events.types import Event, Ref, Severity, Status, ref_of
from routerd.host import Address, AddressChanged, Link, LinkChanged, Notice, Route, SetLink
from routerd.resources.net import Interface


class InterfaceController:
    """See the module."""

    name = "interface"
    kinds: tuple[str, ...] = ("Interface",)

    def plan(self, view: View) -> Sequence[Step]:
        """Bring up what we manage; set the MTU where one is declared."""
        return [
            Step(
                change,
                ref_of(resource),
                "routerd.interface.link.applied",
                "LinkSet",
                f"set {link.name} {words}",
                {"ifname": link.name},
                link_inputs(view, link.name),
            )
            for resource in view.router.of(Interface)
            if managed(resource.spec) and (link := view.picture.link_named(resource.spec.ifname)) is not None
            for change, words in _wishes(resource.spec, link)
        ]

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each Interface."""
        statuses = {
            ref_of(resource): _status(view, resource.spec, refused.get(ref_of(resource)))
            for resource in view.router.of(Interface)
        } | view.waiting(Interface)
        gone = [ref for ref in view.objects if ref.kind == "Interface" and ref not in statuses]
        return Judgement(statuses, gone, {ref: _inputs(view, ref, status) for ref, status in statuses.items()})


def link_inputs(view: View, ifname: str) -> tuple[Input, ...]:
    """What decides about everything on a link: the configuration, and what happened to the link."""
    return view.configuration, view.incidents.last(incidents.link(ifname))


def presence_inputs(view: View, ifname: str) -> tuple[Input, ...]:
    """What decides about what is there with or without a carrier."""
    return view.configuration, view.incidents.last(incidents.presence(ifname))


def _inputs(view: View, ref: Ref, status: Status) -> tuple[Input, ...]:
    """An interface that is as it was has other addresses, or another generation."""
    if "ifname" not in status:
        return view.configuration, *view.grounds(ref)
    before = view.objects.get(ref, {})
    if any(before.get(key) != status.get(key) for key in ("phase", "reason", "observedGeneration")):
        return *view.grounds(ref), *link_inputs(view, status["ifname"])
    link = view.picture.link_named(status["ifname"])
    return (view.incidents.last(incidents.addresses(link.index)),) if link is not None else ()


def _wishes(spec: Interface, link: Link) -> Iterator[tuple[SetLink, str]]:
    """One at a time: an MTU that the device cannot do must not keep it down."""
    if link.admin_up is not spec.admin_up:
        yield SetLink(link.index, admin_up=spec.admin_up), f"administratively {'up' if spec.admin_up else 'down'}"
    if spec.mtu is not None and spec.mtu != link.mtu:
        yield SetLink(link.index, mtu=spec.mtu), f"mtu {spec.mtu}"


def managed(spec: Interface) -> bool:
    """May we change the link itself?"""
    return spec.managed and spec.owner == "routerd"


def _status(view: View, spec: Interface, refused: str | None) -> Status:
    generation = view.generation
    link = view.picture.link_named(spec.ifname)
    if link is None:
        return {
            "phase": "Pending",
            "reason": "LinkAbsent",
            "message": f"there is no interface {spec.ifname} on this host now",
            "ifname": spec.ifname,
            "observedGeneration": generation,
            "conditions": [condition("LinkUp", False, "LinkAbsent", generation)],
        }
    phase, reason = _phase(link, spec)
    status: dict[str, object] = {
        "phase": "Error" if refused else phase,
        "reason": "HostRefused" if refused else reason,
        "ifname": link.name,
        "macAddress": link.mac.hex(":"),
        "mtu": link.mtu,
        "adminUp": link.admin_up,
        "carrier": link.carrier,
        **_addresses(view, link),
        "observedGeneration": generation,
        "conditions": [condition("LinkUp", link.carrier, reason, generation)],
    }
    return {**status, "message": refused} if refused else status


def _phase(link: Link, spec: Interface) -> tuple[str, str]:
    """An interface that is down because its declaration says so is as it should be."""
    if not link.admin_up:
        return ("Down", "AdminDown") if spec.admin_up else ("Applied", "DeclaredDown")
    return ("Up", "CarrierUp") if link.carrier else ("Down", "NoCarrier")


def _addresses(view: View, link: Link) -> dict[str, object]:
    on_link = sorted(
        (a.address for a in view.picture.addresses.values() if a.link == link.index),
        key=lambda address: (address.version, int(address.ip)),
    )
    v4 = [str(a) for a in on_link if isinstance(a, IPv4Interface)]
    v6 = [str(a) for a in on_link if not isinstance(a, IPv4Interface)]
    primary = {"primaryIPv4": v4[0].split("/")[0]} if v4 else {}
    primary |= {"primaryIPv6": v6[0].split("/")[0]} if v6 else {}
    return {"addresses": v4 + v6, "ipv4Addresses": v4, "ipv6Addresses": v6, **primary}


@attrs.frozen
class News:
    """An event that the host gave rise to, and what it is about."""

    event: Event
    things: tuple[Thing, ...]


def news_of(view: View, notice: Notice) -> list[News]:
    """What a notice of the host means, before the picture has taken it in: link events of declared interfaces,
    and what of ours somebody else took away."""
    names = {resource.spec.ifname: ref_of(resource) for resource in view.declared.of(Interface)}
    if isinstance(notice, LinkChanged):
        return _link_news(view, names, notice.before, notice.after)
    if isinstance(notice, AddressChanged) and notice.address.standing == "duplicate":
        return _duplicate_news(view, names, notice.address)
    match view.picture.taken(notice):
        case Address(link, address) as lost if not _is_over(lost, view.now):
            name = _name(view, link)
            message = f"{address} was removed from {name} by someone else"
            facts = {"address": str(address), "ifname": name}
            event = _taken("address", "warning", message, names.get(name), facts, _fault_of_link(view, link))
            return [News(event, (thing_of(lost), incidents.addresses(link)))]
        case Route(destination, link) as lost:
            name = _name(view, link)
            message = f"the route to {destination}{'' if link is None else f' by {name}'} is gone, and not by us"
            facts = {"destination": str(destination), "ifname": name}
            cause = _fault_of_address(view, lost) or _fault_of_link(view, link) or _fault_of_sleep(view, lost)
            return [News(_taken("route", "info", message, names.get(name), facts, cause), (thing_of(lost),))]
    return []


def _duplicate_news(view: View, names: Mapping[str, Ref], found: Address) -> list[News]:
    """Duplicate address detection has found another host with an address of ours (RFC 4862 §5.4.5)."""
    known = view.picture.addresses.get(address_key(found))
    if known is None or not known.ours or known.standing == "duplicate":
        return []
    name = _name(view, found.link)
    message = f"another host of {name} has {found.address.ip}: it must not be used here"
    facts = {"address": str(found.address), "ifname": name}
    topic = "routerd.interface.address.duplicate"
    event = Event(topic, "error", "DuplicateAddress", message, names.get(name), None, facts)
    return [News(event, (thing_of(found), incidents.addresses(found.link)))]


def _taken(what: str, severity: Severity, message: str, ref: Ref | None, facts: Mapping[str, str], cause: int) -> Event:
    topic, causes = f"routerd.interface.{what}.taken", (cause,) if cause else ()
    return Event(topic, severity, "RemovedByOthers", message, ref, None, facts, causes)


def _is_over(address: Address, now: float) -> bool:
    """The system takes an address whose lifetime has ended: nobody else did."""
    return address.valid_until is not None and address.valid_until <= now


def _fault_of_sleep(view: View, route: Route) -> int:
    """The address went in the host's sleep, and with it the route."""
    there = any(address.address.ip == route.source for address in view.picture.addresses.values())
    return view.incidents.last(incidents.SLEEP) if route.source is not None and not there else 0


def _fault_of_link(view: View, index: int | None) -> int:
    """The system takes routes from a link that is set down, and all from one that goes."""
    link = view.picture.links.get(index) if index is not None else None
    return view.incidents.last(incidents.link(link.name)) if link is not None and not link.carrier else 0


def _fault_of_address(view: View, route: Route) -> int:
    """The system takes routes whose source address has gone."""
    if route.link is None or route.source is None:
        return 0
    return view.incidents.open(incidents.address(route.link, str(route.source)))


def _link_news(view: View, names: Mapping[str, Ref], before: Link | None, after: Link | None) -> list[News]:
    """The carrier's return goes back to its loss, the interface's to its going."""
    news = []
    for event in _link_events(names, before, after):
        thing = incidents.link(event.attributes["ifname"])
        gone = view.incidents.last(thing) if event.reason in ("CarrierUp", "LinkAppeared") else 0
        things = (
            (thing, incidents.presence(event.attributes["ifname"]))
            if event.reason in ("LinkGone", "LinkAppeared")
            else (thing,)
        )
        news.append(News(attrs.evolve(event, causes=(gone,) if gone else ()), things))
    return news


def _link_events(names: Mapping[str, Ref], before: Link | None, after: Link | None) -> list[Event]:
    def told(name: str, word: str, reason: str, message: str, severity: Severity = "info") -> list[Event]:
        if name not in names:
            return []
        topic = f"routerd.interface.link.{word}"
        return [Event(topic, severity, reason, message, names[name], attributes={"ifname": name})]

    if before is not None and (after is None or after.name != before.name):
        became = f", it is {after.name} now" if after is not None else ""
        gone = told(before.name, "gone", "LinkGone", f"{before.name} is gone{became}", "warning")
        return gone + (_link_events(names, None, after) if after is not None else [])
    if after is None:
        return []
    if before is None:
        return told(after.name, "appeared", "LinkAppeared", f"{after.name} is there, {after.mac.hex(':')}")
    if before.mac != after.mac:
        return told(after.name, "changed", "MacChanged", f"{after.name} has another MAC: {after.mac.hex(':')}")
    if before.carrier != after.carrier:
        word, reason = ("up", "CarrierUp") if after.carrier else ("down", "CarrierLost")
        severity: Severity = "info" if after.carrier else "warning"
        return told(after.name, word, reason, f"{after.name}: carrier {'up' if after.carrier else 'lost'}", severity)
    return []


def _name(view: View, index: int | None) -> str:
    link = view.picture.links.get(index) if index is not None else None
    return link.name if link is not None else "?"
