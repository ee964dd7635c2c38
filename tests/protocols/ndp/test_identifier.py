"""Addresses that a host makes: the same each time; on another link, or after a conflict, another one."""

from __future__ import annotations

from ipaddress import IPv6Network

import pytest

from routerd.protocols.ndp.identifier import stable_address

PREFIX, OTHER = IPv6Network("2001:db8:a::/64"), IPv6Network("2001:db8:b::/64")
SECRET = b"0123456789abcdef"


def test_it_is_the_same_each_time_and_lies_in_its_prefix() -> None:
    address = stable_address(PREFIX, "eth0", SECRET)
    assert address == stable_address(PREFIX, "eth0", SECRET)
    assert address.network == PREFIX


def test_everything_that_it_is_made_of_makes_another() -> None:
    made = {
        int(address.ip) & (1 << 64) - 1
        for address in (
            stable_address(PREFIX, "eth0", SECRET),
            stable_address(OTHER, "eth0", SECRET),
            stable_address(PREFIX, "eth1", SECRET),
            stable_address(PREFIX, "eth0", SECRET, conflicts=1),
            stable_address(PREFIX, "eth0", b"another secret.."),
        )
    }
    assert len(made) == 5


def test_no_identifier_fits_into_another_length() -> None:
    with pytest.raises(ValueError, match="identifier"):
        stable_address(IPv6Network("2001:db8::/60"), "eth0", SECRET)
