"""What each kind's spec takes, and what it says of what it does not take."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from routerd.protocols.dhcpv4.settings import RESERVED
from routerd.resources.net import DHCPv4Client, Interface, IPv4Route, IPv4StaticAddress
from routerd.resources.options import COMPUTED, octets
from routerd.resources.resource import Position, Resource, ValueFrom
from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.invalid import Problems


def complaints(cls: type, data: Any) -> list[str]:
    with pytest.raises(Problems) as caught:
        from_wire(cls, data)
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults_of_a_client() -> None:
    assert to_wire(from_wire(DHCPv4Client, {"interface": "wan"})) == {
        "interface": "wan",
        "clientIDType": "rfc4361",
        "useRoutes": True,
        "useDNS": True,
        "rapidCommit": False,
        "offerWindow": "0s",
        "conflictDetection": "probe",
        "defend": "always",
        "releaseOnStop": False,
        "dscp": 0,
        "vlanPriority": 0,
        "requestOptions": [],
        "sendOptions": [],
        "ipv6OnlyPreferred": False,
        "forceRenew": False,
        "minimumMTU": 576,
    }


def test_the_defaults_of_the_others() -> None:
    assert from_wire(Interface, {"ifname": "eth0"}) == Interface("eth0", True, True, None, "routerd")
    address = from_wire(IPv4StaticAddress, {"interface": "lan", "address": "192.168.1.1/24"})
    assert address == IPv4StaticAddress("lan", IPv4Interface("192.168.1.1/24"))
    route = from_wire(IPv4Route, {"destination": "0.0.0.0/0", "gateway": "192.0.2.1"})
    assert route == IPv4Route(IPv4Network("0.0.0.0/0"), gateway=IPv4Address("192.0.2.1"), type="unicast", metric=0)


@pytest.mark.parametrize("ifname", ["", "eth0:1", "a/b", "..", "sixteen-letters-", "eth 0", "é"])
def test_names_that_no_interface_has(ifname: str) -> None:
    (complaint,) = complaints(Interface, {"ifname": ifname})
    assert "is not an interface name" in complaint or "is longer than 15" in complaint


@pytest.mark.parametrize("mtu", [575, 9217])
def test_mtu_bounds(mtu: int) -> None:
    assert complaints(Interface, {"ifname": "eth0", "mtu": mtu}) == [f"mtu: {mtu} is not between 576 and 9216"]


@pytest.mark.parametrize(
    "address", ["192.168.1.0/24", "192.168.1.255/24", "127.0.0.1/8", "0.1.2.3/8", "239.0.0.1/24", "240.0.0.1/24"]
)
def test_addresses_that_no_host_has(address: str) -> None:
    (complaint,) = complaints(IPv4StaticAddress, {"interface": "lan", "address": address})
    assert complaint.startswith("address: ")


@pytest.mark.parametrize("address", ["192.0.2.0/31", "192.0.2.1/31", "192.0.2.0/32", "192.0.2.255/32", "10.0.0.255/8"])
def test_addresses_that_a_host_may_have(address: str) -> None:
    assert from_wire(IPv4StaticAddress, {"interface": "lan", "address": address}).address == IPv4Interface(address)


def test_an_overlap_needs_a_reason() -> None:
    spec = {"interface": "lan", "address": "192.168.1.1/24", "allowOverlap": True}
    assert complaints(IPv4StaticAddress, spec) == ["allowOverlapReason: is required with allowOverlap"]
    assert complaints(IPv4StaticAddress, {**spec, "allowOverlapReason": " "}) == [
        'allowOverlapReason: " " is not a reason'
    ]
    assert from_wire(IPv4StaticAddress, {**spec, "allowOverlapReason": "NAT lab"}).allow_overlap


FROM = {"resource": "DHCPv4Client/wan", "field": "gateway"}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "gateway: a unicast route needs a device or a gateway"),
        ({"type": "blackhole", "gateway": "192.0.2.1"}, "gateway: has no meaning for a blackhole route"),
        ({"type": "blackhole", "deviceFrom": FROM}, "deviceFrom: has no meaning for a blackhole route"),
        ({"gateway": "192.0.2.1", "gatewayFrom": FROM}, "gatewayFrom: stands beside gateway"),
        ({"device": "eth0", "deviceFrom": FROM}, "deviceFrom: stands beside device"),
        ({"gateway": "255.255.255.255"}, "gateway: 255.255.255.255 is reserved"),
        ({"gateway": "192.0.2.1", "metric": -1}, "metric: -1 is not between 0 and 4294967295"),
        ({"gatewayFrom": {**FROM, "resource": "wan"}}, 'gatewayFrom.resource: "wan" is not a reference'),
    ],
)
def test_forms_of_a_route(spec: dict[str, Any], complaint: str) -> None:
    assert complaints(IPv4Route, {"destination": "10.0.0.0/8", **spec}) == [complaint]


def test_a_blackhole_needs_nothing() -> None:
    assert from_wire(IPv4Route, {"destination": "10.0.0.0/8", "type": "blackhole"}).gateway is None


def test_a_reference_knows_whom_it_names() -> None:
    reference = from_wire(ValueFrom, FROM)
    assert (reference.kind, reference.name, reference.optional) == ("DHCPv4Client", "wan", False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x0102", b"\x01\x02"),
        ("01:02:aB", b"\x01\x02\xab"),
        ("router", b"router"),
        ("0102", b"0102"),
        ("0x012", b"0x012"),
        ("ü", b"\xc3\xbc"),
    ],
)
def test_octets_as_operators_write_them(text: str, value: bytes) -> None:
    assert octets(text) == value


@pytest.mark.req("V4-6")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01:00:00:5e:00:53:01", b"\x01\x00\x00\x5e\x00\x53\x01"),
        ("0xff0102", b"\xff\x01\x02"),
        ("gateway", b"\0gateway"),
    ],
)
def test_a_client_identifier_that_is_given(text: str, value: bytes) -> None:
    assert DHCPv4Client("wan", client_id=text).client_identifier == value


def test_a_client_identifier_that_is_not_given_or_has_no_sane_length() -> None:
    assert DHCPv4Client("wan").client_identifier is None
    for text in ("", "x", "0x01", "y" * 255):
        assert complaints(DHCPv4Client, {"interface": "wan", "clientID": text}) == [
            "clientID: a client identifier has 2 to 254 octets"
        ]


@pytest.mark.req("V4-25")
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ({"code": 77, "hex": "12:2b:46"}, b"\x12+F"),
        ({"code": 77, "hex": "122b46"}, b"\x12+F"),
        ({"code": 77, "hex": "12 2b 46"}, b"\x12+F"),
        ({"code": 60, "text": "sagem"}, b"sagem"),
        ({"code": 90, "secret": "00:01"}, b"\x00\x01"),
        ({"code": 90, "secret": "hunter2"}, b"hunter2"),
    ],
)
def test_options_sent_raw(option: dict[str, Any], value: bytes) -> None:
    (taken,) = from_wire(DHCPv4Client, {"interface": "wan", "sendOptions": [option]}).send_options
    assert (taken.code, taken.value) == (option["code"], value)


@pytest.mark.req("V4-25", "breaks")
@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"code": 82, "text": "relay"}, ".code: option 82 cannot be sent raw"),
        ({"code": 53, "hex": "01"}, ".code: option 53 cannot be sent raw"),
        ({"code": 255, "hex": "01"}, ".code: 255 is not between 1 and 254"),
        ({"code": 77}, ": option 77 has no value"),
        ({"code": 77, "hex": "01", "text": "x"}, ": option 77 has 2 values"),
        ({"code": 77, "hex": "1"}, ".hex: expected 1 to 255 pairs of hexadecimal digits"),
        ({"code": 77, "hex": "01:"}, ".hex: expected 1 to 255 pairs of hexadecimal digits"),
        ({"code": 77, "text": "ü"}, ".text: expected 1 to 255 printable ASCII characters"),
        ({"code": 77, "secret": ""}, ".secret: the value has not 1 to 255 octets"),
        ({"code": 77, "secret": "ü" * 128}, ".secret: the value has not 1 to 255 octets"),
        ({"code": 90, "text": "hunter2"}, ".code: option 90 authenticates this client: its value is a secret"),
    ],
)
def test_options_that_may_not_be_sent_raw(option: dict[str, Any], complaint: str) -> None:
    assert complaints(DHCPv4Client, {"interface": "wan", "sendOptions": [option]}) == [f"sendOptions[0]{complaint}"]


def test_what_the_machine_reserves_cannot_be_configured() -> None:
    assert {int(code) for code in RESERVED} - {0, 255} <= COMPUTED.keys()


def test_an_option_stands_once_and_beside_no_field_of_its_own() -> None:
    twice = [{"code": 77, "text": "a"}, {"code": 77, "text": "b"}]
    assert complaints(DHCPv4Client, {"interface": "wan", "sendOptions": twice}) == [
        "sendOptions: option 77 stands here twice"
    ]
    both = {"interface": "wan", "classID": "a", "sendOptions": [{"code": 60, "text": "b"}]}
    assert complaints(DHCPv4Client, both) == ["classID: option 60 is among sendOptions too"]


@pytest.mark.req("C16")
def test_a_secret_option_shows_nothing() -> None:
    spec = from_wire(DHCPv4Client, {"interface": "wan", "sendOptions": [{"code": 90, "secret": "hunter2"}]})
    assert "hunter2" not in repr(spec)
    assert to_wire(spec)["sendOptions"] == [{"code": 90, "secret": "***"}]


def test_the_marking_of_control_packets_has_bounds() -> None:
    assert complaints(DHCPv4Client, {"interface": "wan", "dscp": 64, "vlanPriority": 8}) == [
        "dscp: 64 is not between 0 and 63",
        "vlanPriority: 8 is not between 0 and 7",
    ]


def test_resources_are_equal_when_they_say_the_same() -> None:
    def wan(line: int, mtu: int | None = None) -> Resource[Interface]:
        return Resource(
            "net.routerd.net/v1alpha1", "Interface", "wan", Interface("eth0", mtu=mtu), position=Position("a", line, 1)
        )

    assert wan(1) == wan(2)
    assert hash(wan(1)) == hash(wan(2))
    assert wan(1) != wan(1, 1500)
    assert str(wan(1)) == "Interface/wan"
