"""`GET /probe`: is there a way out, are there name servers, which interface is a LAN client on: as routerd sees it now,
without a packet sent (contract §1.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any, Literal

import attrs
from quart.wrappers import Response

from routerd.api.operation import Call, answer, text
from routerd.api.wire import CONTROL, ControlVersion, Metadata, encode
from routerd.events.types import Status, StoredObject
from routerd.shapes.invalid import did_you_mean

SUBJECTS = ("egress", "dns", "lan-client")
PARAMS = (
    text("subject", f"What to look at: {', '.join(SUBJECTS)}.", required=True),
    text("target", "Of lan-client: the client's address."),
)

Outcome = Literal["pass", "warn", "fail"]


@attrs.frozen
class ProbeCheck:
    """One thing that was looked at."""

    name: str
    status: Outcome
    detail: str | None = None


@attrs.frozen(kw_only=True)
class ProbeResult:
    """`GET /probe`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["ProbeResult"] = "ProbeResult"
    metadata: Metadata
    subject: str
    target: str | None = None
    checks: Sequence[ProbeCheck] | None = None


async def get_probe(call: Call) -> Response:
    """`GET /probe`. A subject that there is none of is a check that fails."""
    subject, target = call.query["subject"], call.query["target"] or None
    objects = call.plane.log.objects.all()
    match subject:
        case "egress":
            checks = list(_egress(objects))
        case "dns":
            checks = list(_dns(objects))
        case "lan-client":
            checks = list(_lan_client(objects, target))
        case _:
            hint = did_you_mean(subject, SUBJECTS) or f"there are {', '.join(SUBJECTS)}"
            checks = [ProbeCheck(subject[:60], "fail", f"there is no such subject; {hint}")]
    return answer(encode(ProbeResult(metadata=Metadata(subject), subject=subject, target=target, checks=checks)))


def _egress(objects: Sequence[StoredObject]) -> Iterator[ProbeCheck]:
    """Each WAN, and whether there is a default route at all."""
    ways = 0
    for client in _of(objects, "DHCPv4Client"):
        leased = "currentAddress" in client.status
        through = leased and "defaultGateway" in client.status
        ways += through
        detail = f"{_phase(client.status)}{_by(client.status)}"
        yield ProbeCheck(str(client.ref), "pass" if through else "warn" if leased else "fail", detail)
    for route in _of(objects, "IPv4Route"):
        if route.status.get("destination") == "0.0.0.0/0":
            installed = route.status.get("phase") == "Installed"
            ways += installed
            yield ProbeCheck(str(route.ref), "pass" if installed else "fail", _phase(route.status))
    told = "there is a default route" if ways else "there is no default route: nothing leaves this network"
    yield ProbeCheck("default route", "pass" if ways else "fail", told)


def _dns(objects: Sequence[StoredObject]) -> Iterator[ProbeCheck]:
    known = False
    for one in objects:
        servers = one.status.get("dnsServers")
        if servers:
            known = True
            yield ProbeCheck(str(one.ref), "pass", f"name servers {', '.join(map(str, servers))}")
    if not known:
        yield ProbeCheck("name servers", "fail", "nobody has told of any")


def _lan_client(objects: Sequence[StoredObject], target: str | None) -> Iterator[ProbeCheck]:
    try:
        address = ip_address(target or "")
    except ValueError:
        yield ProbeCheck("target", "fail", "target must be the address of a client, such as 192.168.1.20")
        return
    found = False
    for interface in _of(objects, "Interface"):
        networks = [ip_interface(own).network for own in interface.status.get("addresses", ())]
        if any(address in network for network in networks):
            found = True
            up = interface.status.get("phase") == "Up"
            yield ProbeCheck(
                str(interface.ref), "pass" if up else "fail", f"{_phase(interface.status)}, {target} is on it"
            )
    if not found:
        yield ProbeCheck("interface", "fail", f"no interface has {target} on its network")


def _of(objects: Sequence[StoredObject], kind: str) -> Iterator[StoredObject]:
    return (one for one in objects if one.ref.kind == kind)


def _phase(status: Status) -> str:
    words = [str(status.get(field)) for field in ("phase", "reason", "message") if status.get(field)]
    return ": ".join(words[:1] + words[-1:]) if len(words) > 1 else "".join(words) or "nothing is known yet"


def _by(status: Mapping[str, Any]) -> str:
    gateway = status.get("defaultGateway")
    return f", by {gateway}" if gateway else ""
