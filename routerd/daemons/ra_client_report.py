"""What is known of the routers of a link, as people and controllers are told: status, and events of what is new. Pure.

Fields are docs/contract.md's IPv6RAAddress; instants are seconds on the host's clock (`…Monotonic`), absent: no end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv6Interface, IPv6Network
from typing import Any

import attrs

from routerd.daemons.ndp_link import WORDS, Facts
from routerd.daemons.ndp_part import Around
from routerd.daemons.teller import Teller
from routerd.events.status import condition
from routerd.events.types import Event, Status
from routerd.protocols.ndp.learned import Learned, LearnedPrefix, LearnedRoute, Router
from routerd.resources.net6 import IPv6RAAddress

TOPIC = "routerd.ipv6.ra"
STARTING = "Starting"
ANYWHERE = IPv6Network("::/0")

Made = Mapping[IPv6Network, IPv6Interface]
"""By prefix: the address that is made of it."""


@attrs.frozen
class ClientSpec:
    """What a client is started with; one whose spec changes is ended and started anew. Whether it runs (`when`) is
    decided elsewhere."""

    resource: IPv6RAAddress = attrs.field(eq=lambda spec: attrs.evolve(spec, when=None))
    ifname: str


def starting(spec: ClientSpec, generation: int) -> Status:
    """The status before anybody was heard in this life of routerd: without `state`."""
    words = "nobody was heard yet since routerd started"
    conditions = [condition("RouterKnown", None, STARTING, generation)]
    return {**_base(spec, generation, "Pending", STARTING, words), "conditions": conditions}


@attrs.frozen
class Own:
    """What is our own doing: the addresses that are made, the prefixes of which each would be somebody else's, and what
    is wrong with the secret."""

    made: Made
    given_up: Collection[IPv6Network] = ()
    trouble: str = ""

    @property
    def message(self) -> str:
        """What an operator has to know of it."""
        names = ", ".join(map(str, self.given_up))
        return self.trouble or (
            f"somebody else on the link has every address that was tried in {names}" if names else ""
        )


def status_of(spec: ClientSpec, learned: Learned, state: str | None, own: Own, around: Around) -> Status:
    """All of it. `state` None: nobody was heard yet, and it is too early to say that there is nobody."""
    now, obstacle = around.now, around.facts.obstacle
    routers = learned.default_routers(now)
    phase, reason, message = _phase(spec, bool(routers), obstacle, around.stopped)
    best = routers[0] if routers else None
    kernel = spec.resource.mode == "kernel"
    addresses = _of_kernel(around.facts) if kernel else [str(one) for one in own.made.values()]
    there = _there(around.facts, addresses)
    generation = around.generation
    status = {
        **_base(spec, generation, phase, reason, own.message or message),
        **({} if state is None else {"state": state}),
        "mode": spec.resource.mode,
        "addresses": addresses,
        "routers": [_router(one) for one in sorted(learned.routers.values(), key=lambda r: r.address)],
        "prefixes": [_prefix(one, own.made, now) for one in learned.prefixes.values()],
        "routes": [_route(one) for one in learned.routes.values() if one.prefix != ANYWHERE],
        "defaultGateway": _gateway_of_kernel(around.facts) if kernel else best and str(best.address),
        "mtu": next((one.mtu for one in (*routers, *learned.routers.values()) if one.mtu is not None), None),
        "managed": any(one.managed for one in learned.routers.values()),
        "other": any(one.other for one in learned.routers.values()),
        "dnsServers": [str(one) for one in learned.name_servers] if spec.resource.use_dns else [],
        "domainSearch": list(learned.search_domains) if spec.resource.use_dns else [],
        "conditions": [
            condition("RouterKnown", bool(routers), reason, generation),
            condition("AddressInstalled", there, _installed(there, own, addresses), generation),
        ],
    }
    return {key: value for key, value in status.items() if value is not None}


def _installed(there: bool, own: Own, addresses: Sequence[str]) -> str:
    if there:
        return "Installed"
    return "DuplicateAddress" if own.given_up else "NotYet" if addresses else "NoAddress"


def _base(spec: ClientSpec, generation: int, phase: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "interface": spec.resource.interface,
        "device": spec.ifname,
        "phase": phase,
        "reason": reason,
        **({"message": message} if message else {}),
        "observedGeneration": generation,
    }


def _phase(spec: ClientSpec, known: bool, obstacle: str, stopped: bool) -> tuple[str, str, str]:
    if stopped:
        return "Pending", "Stopped", "stopped by command"
    if obstacle:
        return "Pending", obstacle, WORDS[obstacle].format(spec.ifname)
    if known:
        return "Bound", "RouterKnown", ""
    return "Acquiring", "NoRouter", f"no router was heard on {spec.ifname} that is a default router"


def _router(one: Router) -> dict[str, Any]:
    return {
        "address": str(one.address),
        "preference": one.preference.name.lower(),
        "untilMonotonic": one.until,
        "managed": one.managed,
        "other": one.other,
        "confirmed": one.confirmed,
        "reachable": one.reachable,
        **({} if one.mtu is None else {"mtu": one.mtu}),
    }


def _prefix(one: LearnedPrefix, made: Made, now: float) -> dict[str, Any]:
    address = made.get(one.prefix)
    return {
        "prefix": str(one.prefix),
        "onLink": one.on_link_until is None or one.on_link_until > now,
        "preferred": _preferred(one, now),
        **({} if address is None else {"address": str(address)}),
        **({} if one.valid_until is None else {"validUntilMonotonic": one.valid_until}),
        **({} if one.preferred_until is None else {"preferredUntilMonotonic": one.preferred_until}),
    }


def _route(one: LearnedRoute) -> dict[str, Any]:
    return {
        "destination": str(one.prefix),
        "gateway": str(one.router),
        "preference": one.preference.name.lower(),
        **({} if one.until is None else {"untilMonotonic": one.until}),
    }


# What the kernel has made (mode kernel)


def _of_kernel(facts: Facts) -> list[str]:
    return sorted(
        str(one.address)
        for one in facts.addresses
        if not one.ours and not one.address.is_link_local and one.valid_until is not None
    )


def _gateway_of_kernel(facts: Facts) -> str | None:
    ways = [route for route in facts.routes if route.destination == ANYWHERE and not route.ours and route.gateway]
    return str(min(ways, key=lambda route: route.metric).gateway) if ways else None


def _there(facts: Facts, addresses: list[str]) -> bool:
    present = {str(one.address) for one in facts.addresses if one.standing == "ready"}
    return bool(addresses) and present.issuperset(addresses)


# What is new


def news(before: Learned, then: float, after: Learned, now: float, made: Made, tell: Teller) -> Iterator[Event]:
    """The events between what was known at `then` and what is at `now`."""
    was = {one.address: one for one in before.default_routers(then)}
    present = {one.address: one for one in after.default_routers(now)}
    for address in sorted(present.keys() - was.keys()):
        preference = present[address].preference.name.lower()
        words = f"{address} is a default router"
        yield tell("router.found", "RouterFound", words, router=address, preference=preference)
    for address in sorted(was.keys() - present.keys()):
        yield tell("router.lost", "RouterLost", f"{address} is no default router any more", "warning", router=address)
    for address in sorted(present.keys() & was.keys()):
        if was[address].reachable and not present[address].reachable:
            others = any(one.reachable for one in present.values())
            words = f"{address} does not answer" + ("" if others else "; there is no other default router")
            yield tell("router.unreachable", "RouterUnreachable", words, "warning", router=address)
        elif present[address].reachable and not was[address].reachable:
            yield tell("router.reachable", "RouterReachable", f"{address} answers again", router=address)
    for prefix in sorted(after.prefixes.keys() - before.prefixes.keys()):
        router, address6 = after.prefixes[prefix].router, made.get(prefix)
        words = f"{router} tells of {prefix}" + (f", of which {address6.ip} is made" if address6 else "")
        yield tell("prefix.learned", "PrefixLearned", words, prefix=prefix, router=router, address=address6)
    for prefix in sorted(before.prefixes.keys() & after.prefixes.keys()):
        if _preferred(before.prefixes[prefix], then) and not _preferred(after.prefixes[prefix], now):
            words = f"addresses of {prefix} shall not be used for what is new"
            router = after.prefixes[prefix].router
            yield tell("prefix.deprecated", "PrefixDeprecated", words, "warning", prefix=prefix, router=router)
    for prefix in sorted(before.prefixes.keys() - after.prefixes.keys()):
        yield tell("prefix.lost", "PrefixLost", f"{prefix} is over", "warning", prefix=prefix)


def _preferred(one: LearnedPrefix, now: float) -> bool:
    return one.preferred_until is None or one.preferred_until > now
