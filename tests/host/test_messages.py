"""rtnetlink messages, with pyroute2's codecs as the oracle: it reads what we write, and writes what we read."""

from __future__ import annotations

import struct
import sys
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.host import LIFETIME_GRACE, Address, Link, Route, SetLink

if not sys.platform.startswith("linux"):
    pytest.skip("rtnetlink is Linux's", allow_module_level=True)

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from routerd.host.linux import messages
from routerd.host.linux.netlink import attributes

HEADER = struct.Struct("=IHHII")
NOW = 1000.0

indices = st.integers(1, (1 << 31) - 1)
ipv4, ipv6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
ipv4_networks = st.builds(lambda ip, length: IPv4Network((ip, length), strict=False), ipv4, st.integers(0, 32))
ipv6_networks = st.builds(lambda ip, length: IPv6Network((ip, length), strict=False), ipv6, st.integers(0, 128))
ipv4_interfaces = st.builds(lambda ip, length: IPv4Interface((ip, length)), ipv4, st.integers(0, 32))
ipv6_interfaces = st.builds(lambda ip, length: IPv6Interface((ip, length)), ipv6, st.integers(0, 128))


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Any route of ours."""
    version = draw(st.sampled_from((4, 6)))
    kind = draw(st.sampled_from(("unicast", "blackhole", "unreachable")))
    same = ipv4 if version == 4 else ipv6
    unicast = kind == "unicast"
    networks: st.SearchStrategy[IPv4Network | IPv6Network] = ipv4_networks if version == 4 else ipv6_networks
    return Route(
        draw(networks),
        link=draw(indices) if unicast else None,
        gateway=draw(st.none() | same | ipv6) if unicast else None,
        metric=draw(st.integers(0, (1 << 32) - 1)),
        source=draw(st.none() | same),
        mtu=draw(st.integers(0, 1 << 16)),
        onlink=unicast and draw(st.booleans()),
        kind=kind,  # type: ignore[arg-type]  # hypothesis widens it to str
    )


addresses = st.builds(
    Address,
    indices,
    ipv4_interfaces | ipv6_interfaces,
    valid_until=st.none() | st.integers(-100, 1 << 33).map(lambda seconds: NOW + seconds),
)


def read(kind: int, body: bytes) -> dict[str, Any]:
    """The fields and attributes that pyroute2 finds in a message."""
    (message,) = MarshalRtnl().parse(HEADER.pack(16 + len(body), kind, 0, 0, 0) + body)
    return {**message, **dict(message["attrs"])}


def written(message: Any, attrs: list[tuple[str, Any]], **fields: Any) -> bytes:
    """The body of a message as pyroute2 writes it."""
    message["attrs"] = attrs
    for name, value in fields.items():
        message[name] = value
    message.encode()
    return bytes(message.data[16:])


@given(routes())
def test_a_route_as_it_is_asked_for(route: Route) -> None:
    seen = read(messages.RTM_NEWROUTE, messages.put_route(route))
    assert (seen["table"], seen["proto"], seen["dst_len"]) == (254, messages.OURS, route.destination.prefixlen)
    assert ip_address(seen["RTA_DST"]) == route.destination.network_address
    assert seen["type"] == {"unicast": 1, "blackhole": 6, "unreachable": 7}[route.kind]
    assert bool(seen["flags"] & 4) == route.onlink
    assert (seen["RTA_PRIORITY"], seen.get("RTA_OIF")) == (route.metric, route.link)
    gateway = seen.get("RTA_GATEWAY") or seen.get("RTA_VIA", {}).get("addr")
    assert (gateway and ip_address(gateway)) == route.gateway
    assert ("RTA_PREFSRC" in seen and ip_address(seen["RTA_PREFSRC"])) == (route.source or False)
    metrics = dict(seen["RTA_METRICS"]["attrs"]) if "RTA_METRICS" in seen else {}
    assert metrics.get("RTAX_MTU", 0) == route.mtu


@given(routes())
def test_a_route_reads_as_it_was_written(route: Route) -> None:
    assert messages.routes(messages.put_route(route)) == [route]


@given(addresses)
def test_an_address_as_it_is_asked_for(address: Address) -> None:
    seen = read(messages.RTM_NEWADDR, messages.put_address(address, NOW))
    assert (seen["index"], seen["prefixlen"]) == (address.link, address.address.network.prefixlen)
    assert {ip_address(seen[name]) for name in ("IFA_LOCAL", "IFA_ADDRESS")} == {address.address.ip}
    assert seen["IFA_PROTO"] == messages.OURS
    life = seen["IFA_CACHEINFO"]
    if address.valid_until is None or address.valid_until - NOW + LIFETIME_GRACE >= 0xFFFFFFFF:
        expected = 0xFFFFFFFF
    else:
        expected = max(int(address.valid_until - NOW + LIFETIME_GRACE), 1)
    assert (life["ifa_valid"], life["ifa_preferred"]) == (expected, expected)
    if isinstance(address.address, IPv4Interface) and seen["prefixlen"] < 31:
        assert seen["IFA_BROADCAST"] == str(address.address.network.broadcast_address)
    else:
        assert "IFA_BROADCAST" not in seen


@given(addresses)
def test_an_address_reads_as_it_was_written(address: Address) -> None:
    found = messages.address(messages.put_address(address, NOW), NOW)
    assert found == address
    if address.valid_until is None:
        assert found.valid_until is None
    elif NOW - LIFETIME_GRACE < address.valid_until < NOW + (1 << 32) - 20:
        assert found.valid_until == address.valid_until


@pytest.mark.parametrize(
    ("wanted", "flags", "change", "mtu"),
    [(SetLink(7, admin_up=True), 1, 1, None), (SetLink(7, False, 1400), 0, 1, 1400), (SetLink(7, mtu=68), 0, 0, 68)],
)
def test_a_link_changes_only_in_what_is_asked_for(wanted: SetLink, flags: int, change: int, mtu: int | None) -> None:
    seen = read(messages.RTM_NEWLINK, messages.set_link(wanted))
    assert (seen["index"], seen["flags"], seen["change"], seen.get("IFLA_MTU")) == (7, flags, change, mtu)


UP, LOWER_UP, NOARP, POINTOPOINT = 0x1, 0x10000, 0x80, 0x10


@pytest.mark.parametrize(
    ("flags", "state", "expected"),
    [
        (UP | LOWER_UP, "UP", {"admin_up": True, "carrier": True}),
        (UP | LOWER_UP, "UNKNOWN", {"admin_up": True, "carrier": True}),  # a driver that does not say
        (UP | LOWER_UP, "DORMANT", {"admin_up": True}),  # 802.1X has not let us in
        (UP, "DOWN", {"admin_up": True}),
        (UP, "UP", {"admin_up": True}),
        (0, "DOWN", {}),
        (NOARP, "DOWN", {"arp": False}),
        (POINTOPOINT, "DOWN", {"arp": False}),
    ],
)
def test_a_link_as_it_is_told(flags: int, state: str, expected: dict[str, bool]) -> None:
    attrs = [
        ("IFLA_IFNAME", "wan0"),
        ("IFLA_ADDRESS", "02:00:00:00:00:01"),
        ("IFLA_MTU", 1500),
        ("IFLA_MAX_MTU", 9216),
        ("IFLA_OPERSTATE", state),
    ]
    body = written(ifinfmsg(), attrs, index=3, flags=flags)
    assert messages.link(body) == Link(3, "wan0", bytes.fromhex("020000000001"), 1500, 9216, **expected)


@pytest.mark.req("V6-30")
def test_the_card_is_known_whatever_address_it_was_given() -> None:
    own = bytes.fromhex("0200000000aa")
    given = [("IFLA_IFNAME", "wan0"), ("IFLA_ADDRESS", "02:00:00:00:00:01")]
    told = messages.link(written(ifinfmsg(), [*given, ("IFLA_PERM_ADDRESS", own)], index=3))
    assert told is not None and (told.mac, told.card) == (bytes.fromhex("020000000001"), own)
    told = messages.link(written(ifinfmsg(), given, index=3))
    assert told is not None and told.card == told.mac, "a device that was never made of anything"


def test_what_bridge_and_radio_say_about_a_link_is_not_about_the_link() -> None:
    named = [("IFLA_IFNAME", "wlan0")]
    assert messages.link(written(ifinfmsg(), named, index=3, family=7)) is None
    assert messages.link(written(ifinfmsg(), [*named, ("IFLA_WIRELESS", b"\0\0\0\0")], index=3)) is None


def test_an_address_on_a_point_to_point_link_is_ours_not_the_peers() -> None:
    attrs = [("IFA_ADDRESS", "198.51.100.1"), ("IFA_LOCAL", "192.0.2.10")]
    body = written(ifaddrmsg(), attrs, family=2, prefixlen=32, index=3)
    assert messages.address(body, NOW) == Address(3, IPv4Interface("192.0.2.10/32"), ours=False)


def test_a_foreign_lifetime_has_no_grace() -> None:
    life = {"ifa_preferred": 60, "ifa_valid": 90, "cstamp": 0, "tstamp": 0}
    attrs = [("IFA_ADDRESS", "2001:db8::1"), ("IFA_CACHEINFO", life)]
    found = messages.address(written(ifaddrmsg(), attrs, family=10, prefixlen=64, index=3), NOW)
    assert found is not None
    assert (found.ours, found.valid_until) == (False, NOW + 90)


@pytest.mark.parametrize("fields", [{"table": 255}, {"type": 2}, {"type": 5}, {"flags": 0x200}, {"family": 28}])
def test_routes_of_no_concern(fields: dict[str, int]) -> None:
    ordinary = {"family": 2, "dst_len": 24, "table": 254, "type": 1}
    attrs = [("RTA_DST", "198.51.100.0"), ("RTA_OIF", 3)]
    assert len(messages.routes(written(rtmsg(), attrs, **ordinary))) == 1
    assert messages.routes(written(rtmsg(), [], **{**ordinary, "dst_len": 0, **fields})) == []


def test_several_next_hops() -> None:
    hops = b"".join(
        struct.pack("=HBBi", 16, flags, 0, index) + struct.pack("=HH", 8, 5) + IPv4Address(gateway).packed
        for index, gateway, flags in ((3, "192.0.2.1", 0), (4, "192.0.2.2", 4))
    )
    body = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack("=HH", 4 + len(hops), 9) + hops
    everywhere = IPv4Network("0.0.0.0/0")
    assert messages.routes(body) == [
        Route(everywhere, 3, IPv4Address("192.0.2.1"), ours=False),
        Route(everywhere, 4, IPv4Address("192.0.2.2"), onlink=True, ours=False),
    ]


def test_an_unreachable_ipv6_route_names_no_link() -> None:
    attrs = [("RTA_DST", "2001:db8::"), ("RTA_OIF", 1), ("RTA_PRIORITY", 1024)]
    body = written(rtmsg(), attrs, family=10, dst_len=32, table=254, type=7, proto=messages.OURS)
    assert messages.routes(body) == [Route(IPv6Network("2001:db8::/32"), None, metric=1024, kind="unreachable")]


@given(st.binary(max_size=200), st.integers(0, 20))
def test_attributes_end_where_the_octets_do(body: bytes, start: int) -> None:
    assert sum(4 + len(payload) for payload in attributes(body, start).values()) <= max(len(body) - start, 0)


def test_an_address_of_the_other_family_is_written_out() -> None:
    route = Route(IPv4Network("0.0.0.0/0"), 3, IPv6Address("fe80::1"))
    assert read(messages.RTM_NEWROUTE, messages.put_route(route))["RTA_VIA"] == {"family": 10, "addr": "fe80::1"}
