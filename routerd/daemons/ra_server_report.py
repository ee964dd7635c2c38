"""What is told of a LAN's advertisements, as people and controllers read it; and what can be read back from that. Pure.

Fields are docs/contract.md's IPv6RouterAdvertisement; instants are seconds on the host's clock (`…Monotonic`), absent:
no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs

from routerd.events.status import condition
from routerd.events.types import Status
from routerd.protocols.ndp.announcement import VALID_LIMIT, Announcement
from routerd.protocols.ndp.told import TAKEN_BACK_FOR, Told
from routerd.resources.net6 import IPv6RouterAdvertisement

LASTING = ("interface", "ifname", "prefixes", "rdnss", "dnssl", "routerLifetime")
"""Of a status what hosts go by also when nobody tells them any more, and which hosts."""


@attrs.frozen
class ServerSpec:
    """What a server is started with. What it tells may change under it; another one is needed only for another link, or
    another rhythm."""

    resource: IPv6RouterAdvertisement = attrs.field(eq=lambda spec: (spec.interface, spec.max_interval))
    ifname: str


def starting(spec: ServerSpec, generation: int, stored: Status) -> Status:
    """The status before it is known what is to be told: with what the life before had told."""
    words = "it is not known yet what is to be told"
    conditions = [condition("Applied", None, "Starting", generation)]
    before = lasting(stored) if stored.get("ifname") == spec.ifname else {}
    return {**before, **base_of(spec, generation, "Pending", "Starting", words), "conditions": conditions}


def lasting(stored: Status) -> Status:
    """The part of a status that is true also when nobody runs."""
    return {key: stored[key] for key in LASTING if key in stored}


def told_before(stored: Status, now: float) -> Told:
    """What an earlier life had told hosts, by its last status. An end that no goodbye can have is of another boot,
    whose clock says nothing now."""

    def end(one: dict[str, Any]) -> float | None:
        until = one.get("validUntilMonotonic", now + VALID_LIMIT)
        return (until if now < until <= now + TAKEN_BACK_FOR else now + VALID_LIMIT) if one["withdrawn"] else None

    return Told(
        {IPv6Network(one["prefix"]): end(one) for one in stored.get("prefixes", ())},
        dict.fromkeys(map(IPv6Address, stored.get("rdnss", ()))),
        dict.fromkeys(stored.get("dnssl", ())),
    )


def binds(stored: Status) -> bool:
    """Whether hosts go by something that this status says, and that is not taken back yet."""
    withdrawn = [one["withdrawn"] for one in stored.get("prefixes", ())]
    return bool(stored.get("routerLifetime") or stored.get("rdnss") or stored.get("dnssl")) or not all(withdrawn)


def spec_of(stored: Status) -> ServerSpec | None:
    """Of one of which only a status is left."""
    if "ifname" not in stored or "interface" not in stored:
        return None
    return ServerSpec(IPv6RouterAdvertisement(stored["interface"]), stored["ifname"])


def prefixes_of(announced: Announcement | None, told: Told) -> list[dict[str, Any]]:
    """Those that are announced, or were by the life before; then those that are taken back."""
    current = () if announced is None else announced.prefixes
    before = [] if announced is not None else [prefix for prefix, until in told.prefixes.items() if until is None]
    return [
        *(
            {
                "prefix": str(one.prefix),
                "withdrawn": False,
                **({} if one.preferred_until is None else {"preferredUntilMonotonic": one.preferred_until}),
                **({} if one.valid_until is None else {"validUntilMonotonic": one.valid_until}),
            }
            for one in current
        ),
        *({"prefix": str(prefix), "withdrawn": False} for prefix in before),
        *_taken_back(told),
    ]


def _taken_back(told: Told) -> Iterator[dict[str, Any]]:
    for prefix, until in told.prefixes.items():
        if until is not None:
            yield {"prefix": str(prefix), "withdrawn": True, "validUntilMonotonic": until}


def details_of(told: Announcement) -> dict[str, Any]:
    """What is announced beside them."""
    return {
        **({"prefix": str(told.prefixes[0].prefix)} if told.prefixes else {}),
        "routerLifetime": told.lifetime,
        "rdnss": [str(one) for servers in told.name_servers for one in servers.addresses],
        "dnssl": [name for domains in told.search_domains for name in domains.names],
        **({} if told.mtu is None else {"mtu": told.mtu}),
    }


def base_of(spec: ServerSpec, generation: int, phase: str, reason: str, message: str) -> dict[str, Any]:
    """What every status of it has."""
    return {
        "interface": spec.resource.interface,
        "ifname": spec.ifname,
        "dryRun": False,
        "phase": phase,
        "reason": reason,
        **({"message": message} if message else {}),
        "observedGeneration": generation,
    }
