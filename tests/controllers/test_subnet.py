"""Subnets of delegated prefixes."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.controllers.subnet import Misfit, subnet_of
from routerd.resources.net6 import IPv6DelegatedAddress


def asked(subnet_id: int = 0, length: int = 64, suffix: str = "::1") -> IPv6DelegatedAddress:
    return IPv6DelegatedAddress("wan-pd", "lan", subnet_id, address_suffix=IPv6Address(suffix), prefix_length=length)


@pytest.mark.parametrize(
    ("prefix", "subnet_id", "length", "expected"),
    [
        ("2001:db8:40::/56", 0, 64, "2001:db8:40::1/64"),
        ("2001:db8:40::/56", 255, 64, "2001:db8:40:ff::1/64"),
        ("2001:db8:40:8::/64", 0, 64, "2001:db8:40:8::1/64"),
        ("2001:db8::/32", 1, 48, "2001:db8:1::1/48"),
        ("2001:db8:40::/60", 3, 62, "2001:db8:40:c::1/62"),
        ("::/1", 1, 2, "4000::1/2"),
    ],
)
def test_a_subnet_of_a_prefix(prefix: str, subnet_id: int, length: int, expected: str) -> None:
    assert subnet_of(asked(subnet_id, length), IPv6Network(prefix)) == IPv6Interface(expected)


@pytest.mark.parametrize(
    ("prefix", "subnet_id", "length", "words"),
    [
        ("2001:db8:40::/62", 4, 64, "2001:db8:40::/62 has no subnet 4 of length 64: they go from 0 to 3"),
        ("2001:db8:40::/64", 1, 64, "2001:db8:40::/64 has no subnet 1 of length 64: its only one is 0"),
        ("2001:db8:40::/64", 0, 60, "2001:db8:40::/64 is smaller than the subnet, which is a /60"),
        ("2001:db8:40::/56", 2**32 - 1, 64, "they go from 0 to 255"),
    ],
)
def test_what_does_not_fit_says_what_does(prefix: str, subnet_id: int, length: int, words: str) -> None:
    misfit = subnet_of(asked(subnet_id, length), IPv6Network(prefix))
    assert isinstance(misfit, Misfit)
    assert misfit.reason == "SubnetDoesNotFit"
    assert words in misfit.message


@pytest.mark.req("V6-25")
def test_what_the_provider_keeps_of_the_prefix_is_not_used() -> None:
    """RFC 6603 §4.2."""
    prefix, excluded = IPv6Network("2001:db8:40::/56"), IPv6Network("2001:db8:40:ff::/64")
    assert isinstance(subnet_of(asked(254), prefix, excluded), IPv6Interface)
    misfit = subnet_of(asked(255), prefix, excluded)
    assert isinstance(misfit, Misfit)
    assert misfit.reason == "SubnetExcluded"
    assert isinstance(subnet_of(asked(15, 60), prefix, excluded), Misfit)


@given(st.integers(1, 128), st.integers(1, 128), st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_a_subnet_is_always_within_its_prefix(held: int, length: int, subnet_id: int, bits: int) -> None:
    prefix = IPv6Network((bits >> (128 - held) << (128 - held), held))
    own = subnet_of(asked(subnet_id, length, "::1" if length < 127 else "::"), prefix)
    assert isinstance(own, Misfit) or own.network.subnet_of(prefix)
