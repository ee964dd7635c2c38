"""DUID and IAID: RFC 9915 §11, §12."""

from uuid import UUID

import pytest

from routerd.protocols.dhcpv6 import duid

MAC = bytes.fromhex("020000000001")
ENTERPRISE = duid.duid_en(9, b"\x0c\xc0\x84\xd3\x03\0\x09\x12")


@pytest.mark.req("V6-30")
@pytest.mark.parametrize(
    ("made", "octets", "form"),
    [
        (duid.duid_llt(MAC, 946_684_801), "0001 0001 00000001 020000000001", "llt"),
        (ENTERPRISE, "0002 00000009 0cc084d303000912", "en"),
        (duid.duid_ll(MAC), "0003 0001 020000000001", "ll"),
        (duid.duid_uuid(UUID(int=7)), "0004 00000000000000000000000000000007", "uuid"),
    ],
)
def test_the_four_forms(made: bytes, octets: str, form: str) -> None:
    assert made == bytes.fromhex(octets)
    assert duid.is_duid(made)
    assert duid.form(made) == form


@pytest.mark.req("V6-30", "breaks")
@pytest.mark.parametrize("torn", [b"", b"\0\3", duid.duid_ll(MAC)[:-1], bytes(131), b"\0\4short", b"\0\1\0\1abc"])
def test_half_of_a_duid_is_none(torn: bytes) -> None:
    assert not duid.is_duid(torn)


def test_a_form_that_nobody_knows_is_a_duid_all_the_same() -> None:
    assert duid.is_duid(b"\0\x63abc")
    assert duid.form(b"\0\x63abc") is None


@pytest.mark.parametrize("identifier", [b"", bytes(125)])
def test_what_cannot_be_made(identifier: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 124"):
        duid.duid_en(1, identifier)
    with pytest.raises(ValueError, match="six octets"):
        duid.duid_ll(MAC + identifier + b"?")


@pytest.mark.req("V6-31")
def test_the_iaid_follows_from_the_name_alone() -> None:
    assert duid.iaid("wan/prefix") == duid.iaid("wan/prefix") == 1658896289
    assert duid.iaid("wan/prefix") != duid.iaid("wan/address")
