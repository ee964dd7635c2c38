"""`GET /probe` and `POST /dhcp-lease-event`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.events.types import Filter, Ref
from tests.api.client import Answer, control, fetch
from tests.api.conftest import Served

WAN, LAN = Ref("DHCPv4Client", "wan"), Ref("Interface", "lan")
BOUND = {
    "phase": "Bound",
    "currentAddress": "203.0.113.50",
    "defaultGateway": "203.0.113.1",
    "dnsServers": ["203.0.113.53"],
}
UP = {"phase": "Up", "addresses": ["192.168.1.1/24", "fe80::1/64"]}


async def probe(served: Served, subject: str, **query: str) -> dict[str, str]:
    """What each check came to."""
    answer = await fetch(served.main, control("/probe", subject=subject, **query))
    assert answer.status == 200 and answer.json["kind"] == "ProbeResult"
    assert (answer.json["metadata"], answer.json["subject"]) == ({"name": subject}, subject)
    assert all(check["detail"] for check in answer.json["checks"])
    return {check["name"]: check["status"] for check in answer.json["checks"]}


@pytest.mark.parametrize(
    ("status", "client", "route"),
    [
        (BOUND, "pass", "pass"),
        ({"phase": "Bound", "currentAddress": "203.0.113.50"}, "warn", "fail"),
        ({"phase": "Acquiring", "reason": "Selecting"}, "fail", "fail"),
    ],
)
async def test_egress(served: Served, status: dict[str, Any], client: str, route: str) -> None:
    await served.bench.log.append(status={WAN: status})
    assert await probe(served, "egress") == {"DHCPv4Client/wan": client, "default route": route}


async def test_egress_by_a_static_route(served: Served) -> None:
    await served.bench.log.append(
        status={
            WAN: {"phase": "Acquiring"},
            Ref("IPv4Route", "out"): {"phase": "Installed", "destination": "0.0.0.0/0"},
        }
    )
    assert await probe(served, "egress") == {
        "DHCPv4Client/wan": "fail",
        "IPv4Route/out": "pass",
        "default route": "pass",
    }


async def test_name_servers(served: Served) -> None:
    assert await probe(served, "dns") == {"name servers": "fail"}
    await served.bench.log.append(status={WAN: BOUND})
    assert await probe(served, "dns") == {"DHCPv4Client/wan": "pass"}


@pytest.mark.parametrize(
    ("target", "checks"),
    [
        ("192.168.1.20", {"Interface/lan": "pass"}),
        ("192.168.2.20", {"interface": "fail"}),
        ("fe80::20", {"Interface/lan": "pass"}),
        ("printer", {"target": "fail"}),
        ("", {"target": "fail"}),
    ],
)
async def test_a_client_on_the_lan(served: Served, target: str, checks: dict[str, str]) -> None:
    await served.bench.log.append(status={LAN: UP})
    assert await probe(served, "lan-client", target=target) == checks


async def test_a_subject_that_there_is_none_of(served: Served) -> None:
    assert await probe(served, "egres") == {"egres": "fail"}
    answer = await fetch(served.main, control("/probe", subject="egres"))
    assert "did you mean egress?" in answer.json["checks"][0]["detail"]
    assert (await fetch(served.main, control("/probe"))).error["field"] == "subject"


async def tell(served: Served, **body: Any) -> Answer:
    return await fetch(served.main, control("/dhcp-lease-event"), "POST", json.dumps(body).encode())


@pytest.mark.parametrize("action", ["added", "renewed", "removed"])
async def test_a_lease_on_the_lan_is_an_event(served: Served, action: str) -> None:
    told = {"ip": "192.168.1.20", "mac": "02:00:5E:10:00:01", "hostname": "printer", "interface": "lan0"}
    answer = await tell(served, action=action, kind="DHCPLeaseEvent", **told)
    assert answer.status == 200 and answer.json["accepted"] is True
    [stored] = (await served.bench.log.tail(9, Filter(topics=("routerd.dhcp.lease.*",)))).events
    assert (stored.id, stored.event.topic) == (answer.json["eventId"], f"routerd.dhcp.lease.{action}")
    assert stored.event.attributes == {**told, "mac": "02:00:5e:10:00:01"}
    assert stored.event.source is not None and stored.event.source.kind == "routerd-dhcp-event-relay"
    assert "pid=" in stored.event.actor and len(stored.event.causes) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "add", "ip": "192.168.1.20"}, "action"),
        ({"action": "added"}, "ip"),
        ({"action": "added", "ip": "192.168.1"}, "ip"),
        ({"action": "added", "ip": "192.168.1.20", "mac": "02-00-5e-10-00-01"}, "mac"),
        ({"action": "added", "ip": "192.168.1.20", "hostname": "a b"}, "hostname"),
        ({"action": "added", "ip": "192.168.1.20", "interface": "a/b"}, "interface"),
        ({"action": "added", "ip": "192.168.1.20", "lease": "1h"}, "lease"),
    ],
)
async def test_what_is_no_lease_is_not_told(served: Served, body: Any, field: str) -> None:
    answer = await tell(served, **body)
    assert answer.status == 400 and answer.error["field"] == field
    assert not (await served.bench.log.tail(9, Filter(topics=("routerd.dhcp.lease.*",)))).events
