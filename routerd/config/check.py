"""What needs two resources to be seen: references, duplicates, overlaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from routerd.config.check6 import check6
from routerd.config.declared import Declared, Finding, at, of, twice
from routerd.config.references import references
from routerd.config.rules import rules
from routerd.resources.management import ManagementAccess
from routerd.resources.net import DHCPv4Client, Interface, IPv4Route, IPv4StaticAddress
from routerd.resources.net6 import IPv6RAAddress, IPv6StaticRoute, metric_of
from routerd.resources.system import LogRetention
from routerd.shapes.invalid import Problem, described, did_you_mean

DEFAULT, DEFAULT6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")


def check(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Everything that is wrong between the resources of a file."""
    yield from _same_name(declared)
    yield from _names(declared)
    yield from references(declared)
    yield from _same_ifname(declared)
    yield from _same_client(declared)
    yield from _addresses(declared)
    yield from _routes(declared)
    yield from _gateways(declared)
    yield from check6(declared)
    yield from _management(declared)
    yield from _retentions(declared)
    yield from rules(declared)


def _retentions(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Each signal is kept by one of them."""
    signals = ((signal, one) for one in of(declared, LogRetention) for signal in one.spec.signals)
    for one, other in twice(signals):
        message = f"{other.label} says how long the same is kept"
        yield one, Problem(("spec", "signals"), "duplicate.retention", message, "one to a signal", at(other))


def _same_name(declared: Sequence[Declared]) -> Iterator[Finding]:
    named = (((one.kind, one.name), one) for one in declared if one.kind and one.name)
    for one, other in twice(named):
        message = f"there is another {one.label}"
        hint = f"the other one is on line {other.line}"
        yield one, Problem(("metadata", "name"), "duplicate.resource", message, "expected another name", hint)


def _names(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Fields that name a resource of one kind."""
    known: dict[str, dict[str, None]] = {}
    for one in declared:
        known.setdefault(one.kind, {})[one.name] = None
    by_ifname = {one.spec.ifname: one for one in reversed(of(declared, Interface))}
    for one in declared:
        for wire, name, metadata in one.fields:
            kind = metadata.get("refers")
            if kind is None or name is None or name in known.get(kind, {}):
                continue
            names = [*known.get(kind, {})]
            hint = _meant_ifname(by_ifname.get(name)) or did_you_mean(name, names) or _listed(kind, names)
            message = f"there is no {kind} of the name {described(name)}"
            expected = f"expected the name of {'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
            yield one, Problem(("spec", wire), "reference.dangling", message, expected, hint)


def _meant_ifname(meant: Declared | None) -> str:
    return f"did you mean {meant.name}? {meant.label} is {meant.spec.ifname}" if meant is not None else ""


def _listed(kind: str, known: Sequence[str]) -> str:
    return f"declared: {', '.join(known[:10])}" if known else f"declare a resource of kind {kind}"


def _same_ifname(declared: Sequence[Declared]) -> Iterator[Finding]:
    for one, other in twice((one.spec.ifname, one) for one in of(declared, Interface)):
        message = f"{other.label} is {one.spec.ifname} already"
        yield one, Problem(("spec", "ifname"), "duplicate.ifname", message, "expected another interface", at(other))


def _same_client(declared: Sequence[Declared]) -> Iterator[Finding]:
    clients = of(declared, DHCPv4Client)
    for one, other in twice((one.spec.interface, one) for one in clients):
        message = f"{other.label} runs on {one.spec.interface} already"
        yield one, Problem(("spec", "interface"), "duplicate.client", message, "one client to an interface", at(other))
    routed = [one for one in clients if one.spec.use_routes and one.spec.route_metric is not None]
    for one, other in twice((one.spec.route_metric, one) for one in routed):
        message = f"{other.label} has the metric {one.spec.route_metric} too"
        hint = f"one default route would replace the other; {at(other)}"
        yield one, Problem(("spec", "routeMetric"), "duplicate.metric", message, "expected another metric", hint)


def _addresses(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Networks of two interfaces that overlap: the kernel could not tell by which of them an address is reached."""
    before: list[tuple[int, int, Declared]] = []
    for one in of(declared, IPv4StaticAddress):
        network = one.spec.address.network
        first, last = int(network.network_address), int(network.broadcast_address)
        for begin, end, other in before:
            if first <= end and begin <= last:
                yield from _overlap(one, other)
        before.append((first, last, one))


def _overlap(one: Declared, other: Declared) -> Iterator[Finding]:
    mine, theirs = one.spec, other.spec
    if mine.interface == theirs.interface:
        if mine.address.ip == theirs.address.ip:
            message = f"{other.label} puts {mine.address.ip} there already"
            yield one, Problem(("spec", "address"), "duplicate.address", message, "expected another one", at(other))
    elif not (mine.allow_overlap or theirs.allow_overlap):
        message = f"{mine.address.network} overlaps {theirs.address.network} of {other.label}"
        hint = "if it is wanted, set allowOverlap and say why in allowOverlapReason"
        yield one, Problem(("spec", "address"), "overlap.address", message, at(other), hint)


def _routes(declared: Sequence[Declared]) -> Iterator[Finding]:
    """Routes for the same place: the kernel keeps one for each destination and metric."""
    taken: dict[Any, Declared] = {}
    for kind, default in ((DHCPv4Client, DEFAULT), (IPv6RAAddress, DEFAULT6)):
        ways = [one for one in of(declared, kind) if one.spec.use_routes and one.spec.route_metric is not None]
        taken |= {(default, one.spec.route_metric): one for one in reversed(ways)}
    for one in (*of(declared, IPv4Route), *of(declared, IPv6StaticRoute)):
        key = (one.spec.destination, metric_of(one.spec))
        other = taken.setdefault(key, one)
        if other is not one:
            message = f"{other.label} has {key[0]} with metric {key[1]} too"
            hint = f"give one of them another metric; {at(other)}"
            yield one, Problem(("spec", "destination"), "duplicate.route", message, "expected another metric", hint)


def _gateways(declared: Sequence[Declared]) -> Iterator[Finding]:
    own = {one.spec.address.ip: one for one in of(declared, IPv4StaticAddress)}
    for one in of(declared, IPv4Route):
        other = own.get(one.spec.gateway)
        if other is not None:
            message = f"{one.spec.gateway} is this router's own address"
            yield one, Problem(("spec", "gateway"), "value.gateway", message, "expected another router", at(other))


def _management(declared: Sequence[Declared]) -> Iterator[Finding]:
    """The way by which operators come in must be there, and not be shut by the configuration itself."""
    links = {one.name: one for one in declared if one.kind == "Interface"}
    shut = {one.name for one in of(declared, Interface) if not one.spec.admin_up}
    for one in of(declared, ManagementAccess):
        for place, name in enumerate(one.spec.interfaces):
            link = links.get(name)
            if link is not None and name not in shut:
                continue
            what = f"there is no Interface of the name {described(name)}"
            hint = did_you_mean(name, links) or _listed("Interface", [*links])
            if link is not None:
                what, hint = f"{link.label} is declared down", f"its adminUp is false; {at(link)}"
            message = f"management plane lockout risk: {what}"
            expected = "expected an Interface that is up"
            yield one, Problem(("spec", "interfaces", place), "value.lockout", message, expected, hint)
