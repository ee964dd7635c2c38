"""What a server tells beside leases, and the numbers at the top of its messages."""

from ipaddress import IPv6Address
from typing import Any

import pytest

from routerd.protocols.dhcpv6 import answer, information, wire
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.information import Information, differences
from routerd.protocols.dhcpv6.message import Message, Option
from tests.protocols.dhcpv6.octets import REPLY, SERVER, message, option, u32
from tests.vectors import cases

DNS = IPv6Address("2001:db8::53")
NAME = b"\7example\3net\0"


def told(*options: bytes, asked: tuple[int, ...] = ()) -> Information:
    found = wire.decode(message(7, *options))
    assert isinstance(found, Message)
    return information.read(found, asked)


def read(*options: bytes) -> Answer:
    found = wire.decode(message(7, *options))
    assert isinstance(found, Message)
    return answer.read(found)


def test_a_whole_reply() -> None:
    found = wire.decode(REPLY)
    assert isinstance(found, Message)
    said = answer.read(found, (999,))
    assert said.server_id == SERVER
    assert said.status.ok
    assert [ia.association.iaid for ia in said.associations] == [1, 2]
    assert said.information == Information(
        (DNS,), ("example.net",), aftr="aftr.example.net", others=(Option(999, b"?"),)
    )


@pytest.mark.req("C6")
@pytest.mark.parametrize("case", cases("dhcpv6/captured"))
def test_what_real_servers_say(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    found = wire.decode(octets)
    assert isinstance(found, Message)
    assert wire.encode(found) == octets
    assert (found.type, found.xid) == (case["type"], case["xid"])
    said = answer.read(found)
    assert said.server_id == bytes.fromhex(case["server"])
    assert [said.status.code, said.status.text] == case["status"]
    assert [
        {
            "kind": ia.association.kind.name,
            "iaid": ia.association.iaid,
            "t1": ia.t1,
            "t2": ia.t2,
            "grants": [[str(grant.asset), grant.preferred, grant.valid] for grant in ia.grants],
        }
        for ia in said.associations
    ] == case["associations"]
    told = said.information
    assert [list(map(str, names)) for names in (told.dns_servers, told.search, told.sntp_servers)] == [
        case["dns"],
        case["search"],
        case["sntp"],
    ]


def test_ntp_servers_by_address_group_and_name() -> None:
    value = option(1, DNS.packed) + option(2, IPv6Address("ff05::101").packed) + option(3, NAME) + option(9, b"?")
    assert told(option(56, value)).ntp_servers == (DNS, IPv6Address("ff05::101"), "example.net")
    found = told(option(31, DNS.packed * 2), option(22, b"?"), asked=(31, 22))
    assert (found.sntp_servers, found.others) == ((DNS,), (Option(22, b"?"),))


@pytest.mark.req("C13", "breaks")
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (23, b""),
        (23, bytes(15)),
        (23, bytes(16)),
        (23, IPv6Address("::1").packed + IPv6Address("ff02::1").packed),
        (31, bytes(17)),
        (24, b""),
        (24, b"\7exam"),
        (24, b"\xc0\0"),
        (24, b"\4a\0b;\0"),
        (56, b""),
        (56, option(1, bytes(4))),
        (56, option(3, b"\7exam")),
        (64, NAME + NAME),
        (64, b"\0"),
    ],
)
def test_what_is_wrong_costs_that_option_alone(code: int, value: bytes) -> None:
    good = option(31 if code == 23 else 23, DNS.packed)
    found = told(option(code, value), good)
    assert (found.dns_servers, found.sntp_servers)[code == 23] == (DNS,)
    assert [note.split(" is ")[0] for note in found.notes] == [f"option {code}"]
    assert differences(found, told(good)) == ()


@pytest.mark.req("C17", "breaks")
def test_of_a_hundred_servers_the_first_are_kept() -> None:
    found = told(option(23, b"".join(IPv6Address(f"2001:db8::{n}").packed for n in range(1, 101))))
    assert len(found.dns_servers) == information.MAX_SERVERS
    assert found.notes


def test_differences_name_what_is_new() -> None:
    assert differences(Information(), Information((DNS,), aftr="a.b")) == ("dns_servers", "aftr")


@pytest.mark.req("V6-28", "breaks")
@pytest.mark.parametrize(("seconds", "kept"), [(0, None), (59, None), (60, 60), (86400, 86400), (86401, None)])
def test_the_range_of_maximum_retransmission_times(seconds: int, kept: int | None) -> None:
    assert read(option(82, u32(seconds))).sol_max_rt == kept
    assert read(option(83, u32(seconds))).inf_max_rt == kept
    assert read(option(82, b"\0\0\1")).sol_max_rt is None


@pytest.mark.req("V6-29")
@pytest.mark.req("V6-29", "breaks")
@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (b"", 86400.0),
        (option(32, b"\0"), 86400.0),
        (option(32, u32(0)), 600.0),
        (option(32, u32(599)), 600.0),
        (option(32, u32(3600)), 3600.0),
        (option(32, u32(0xFFFFFFFF)), None),
    ],
)
def test_when_information_is_to_be_asked_for_again(options: bytes, seconds: float | None) -> None:
    assert read(options).refresh_after == seconds


@pytest.mark.req("V6-31", "breaks")
def test_two_associations_of_one_number_are_one_and_of_many_the_first_count() -> None:
    assert [ia.t1 for ia in read(option(25, u32(1, 5, 8)), option(25, u32(1, 6, 9))).associations] == [5]
    many = read(*(option(3, u32(n, 0, 0)) for n in range(100)), option(25, b"short"))
    assert len(many.associations) == answer.MAX_ASSOCIATIONS


def test_preference_counts_when_it_is_one_octet() -> None:
    assert [read(option(7, value)).preference for value in (b"\xff", b"", b"\0\1")] == [255, 0, 0]
