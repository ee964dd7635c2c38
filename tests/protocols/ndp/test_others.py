"""Other routers of our LAN: each is told of once, with what it contradicts us in (RFC 4861 §6.2.7)."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.message import Prefix, RouterAdvertisement
from routerd.protocols.ndp.others import OtherRouter, OtherRouters

SOURCE = IPv6Address("fe80::3")
OURS, THEIRS = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
ANNOUNCED = Announcement((LanPrefix(OURS, 8000.0, 9000.0),), mtu=1500)
TOLD = RouterAdvertisement(1800, prefixes=(Prefix(THEIRS, 100, 50),))


def test_it_is_told_of_once_and_when_it_changes() -> None:
    others = OtherRouters()
    assert others.heard(SOURCE, TOLD, ANNOUNCED, 0.0) == OtherRouter(SOURCE, TOLD, ())
    later = attrs.evolve(TOLD, prefixes=(Prefix(THEIRS, 99, 49),))
    assert others.heard(SOURCE, later, ANNOUNCED, 1.0) == "known-router", "lifetimes run down: that is no change"
    gone = attrs.evolve(TOLD, lifetime=0)
    assert others.heard(SOURCE, gone, ANNOUNCED, 2.0) == OtherRouter(SOURCE, gone, ())


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ()),
        ({"managed": True}, ("managed",)),
        ({"other": True, "hop_limit": 32}, ("hopLimit", "other")),
        ({"mtu": 1492}, ("mtu",)),
        ({"lifetime": 0, "managed": True}, ()),
        ({"prefixes": (Prefix(OURS, 5400, 2700),)}, ()),
        ({"prefixes": (Prefix(OURS, 5350, 2650),)}, ()),
        ({"prefixes": (Prefix(OURS, 86400, 14400),)}, (f"prefix {OURS}",)),
        ({"prefixes": (Prefix(OURS, 5400, 0),)}, (f"prefix {OURS}",)),
        ({"prefixes": (Prefix(OURS, 5400, 2700, autonomous=False),)}, (f"prefix {OURS}",)),
    ],
)
def test_what_the_routers_of_a_link_should_agree_on(changes: dict[str, Any], names: tuple[str, ...]) -> None:
    told = attrs.evolve(TOLD, **changes)
    assert OtherRouters().heard(SOURCE, told, ANNOUNCED, 1000.0) == OtherRouter(SOURCE, told, names)


def test_who_cannot_make_up_its_mind_is_worth_few_words() -> None:
    others, words = OtherRouters(), []
    for second in range(3600):
        word = others.heard(SOURCE, attrs.evolve(TOLD, managed=bool(second % 2)), ANNOUNCED, float(second))
        words += [word] if isinstance(word, OtherRouter) else []
    assert len(words) == 18


def test_a_flood_of_them_is_forgotten_in_time() -> None:
    others = OtherRouters()
    words = [others.heard(IPv6Address(f"fe80::2:{n:x}"), TOLD, ANNOUNCED, 0.0) for n in range(1000)]
    assert len([word for word in words if isinstance(word, OtherRouter)]) == 32
    assert words[-1] == "too-many-routers"
    assert isinstance(others.heard(SOURCE, TOLD, ANNOUNCED, 9001.0), OtherRouter)


def test_what_they_tell_hosts_to_use() -> None:
    others = OtherRouters()
    others.heard(SOURCE, attrs.evolve(TOLD, prefixes=(*TOLD.prefixes, Prefix(OURS, 100, 0))), ANNOUNCED, 0.0)
    assert others.prefer(100.0) == {THEIRS}
    assert others.prefer(9001.0) == frozenset()
