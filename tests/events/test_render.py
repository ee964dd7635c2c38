from __future__ import annotations

import orjson

from routerd.events.render import daemon_event, stored_event
from routerd.events.types import Event, StoredEvent
from tests.events.saying import CLIENT, WAN

BOUND = StoredEvent(
    48211,
    1_700_000_001_000_000_000,
    Event(
        "routerd.dhcpv4.client.lease.bound",
        reason="LeaseBound",
        message="192.0.2.7 for 1 h",
        resource=WAN,
        source=CLIENT,
        attributes={"address": "192.0.2.7"},
        causes=(48210,),
        generation=3,
        time=1_700_000_000_123_456_789,
    ),
    17,
)


def test_a_daemon_event_has_its_topic_twice_and_its_resource_twice() -> None:
    assert daemon_event(BOUND) == {
        "apiVersion": "daemon.routerd.net/v1alpha1",
        "kind": "DaemonEvent",
        "cursor": "17",
        "time": "2023-11-14T22:13:20.123456789Z",
        "daemon": {"name": "routerd-dhcpv4-client-wan", "kind": "routerd-dhcpv4-client", "instance": "wan"},
        "resource": {"apiVersion": "net.routerd.net/v1alpha1", "kind": "DHCPv4Client", "name": "wan"},
        "topic": "routerd.dhcpv4.client.lease.bound",
        "type": "routerd.dhcpv4.client.lease.bound",
        "severity": "info",
        "reason": "LeaseBound",
        "message": "192.0.2.7 for 1 h",
        "attributes": {"address": "192.0.2.7", "resource.kind": "DHCPv4Client", "resource.name": "wan"},
    }


def test_a_stored_event_says_when_it_happened_when_it_was_stored_and_why() -> None:
    assert stored_event(BOUND) == {
        "id": 48211,
        "apiVersion": "net.routerd.net/v1alpha1",
        "kind": "DHCPv4Client",
        "name": "wan",
        "type": "routerd.dhcpv4.client.lease.bound",
        "topic": "routerd.dhcpv4.client.lease.bound",
        "reason": "LeaseBound",
        "message": "192.0.2.7 for 1 h",
        "generation": 3,
        "createdAt": "2023-11-14T22:13:21Z",
        "time": "2023-11-14T22:13:20.123456789Z",
        "sourceName": "routerd-dhcpv4-client-wan",
        "sourceKind": "routerd-dhcpv4-client",
        "sourceInstance": "wan",
        "sourceCursor": "17",
        "resource": {"apiVersion": "net.routerd.net/v1alpha1", "kind": "DHCPv4Client", "name": "wan"},
        "resourceApiVersion": "net.routerd.net/v1alpha1",
        "resourceKind": "DHCPv4Client",
        "resourceName": "wan",
        "severity": "info",
        "attributes": {"address": "192.0.2.7", "resource.kind": "DHCPv4Client", "resource.name": "wan"},
        "causes": [48210],
        "actor": "routerd",
    }


def test_what_is_not_known_is_left_out() -> None:
    bare = StoredEvent(1, 0, Event("a", time=0))
    assert stored_event(bare) == {
        "id": 1,
        "type": "a",
        "topic": "a",
        "createdAt": "1970-01-01T00:00:00Z",
        "time": "1970-01-01T00:00:00Z",
        "severity": "info",
        "actor": "routerd",
    }
    assert daemon_event(bare)["daemon"] == {"name": "routerd", "kind": "routerd"}
    assert orjson.dumps(daemon_event(bare))
