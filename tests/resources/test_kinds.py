"""The table of kinds."""

import pytest

from routerd.resources.kinds import KINDS, UNSUPPORTED, kind_named
from routerd.shapes.convert import fields_of


def test_a_kind_is_called_as_its_class() -> None:
    assert list(KINDS) == [
        "Interface",
        "DHCPv4Client",
        "IPv4StaticAddress",
        "IPv4Route",
        "DHCPv6PrefixDelegation",
        "DHCPv6Address",
        "DHCPv6Information",
        "IPv6DelegatedAddress",
        "IPv6RAAddress",
        "IPv6RouterAdvertisement",
        "IPv6StaticRoute",
        "ManagementAccess",
        "LogRetention",
        "Telemetry",
        "EventRule",
        "DerivedEvent",
    ]
    assert all(kind.spec.__name__ == name for name, kind in KINDS.items())
    assert KINDS["Interface"].api_version == "net.routerd.net/v1alpha1"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Interface", "Interface"),
        ("iface", "Interface"),
        ("IF", "Interface"),
        ("dhcpv4-client", "DHCPv4Client"),
        ("ipv4_static_address", "IPv4StaticAddress"),
        ("ipv4static", "IPv4StaticAddress"),
        ("ipv4route", "IPv4Route"),
        ("route", "EgressRoutePolicy"),
        ("pd", "DHCPv6PrefixDelegation"),
        ("hc", "HealthCheck"),
        ("ipv4staticroute", "IPv4StaticRoute"),
        ("teapot", None),
    ],
)
def test_short_names(word: str, kind: str | None) -> None:
    assert kind_named(word) == kind


def test_no_word_means_two_kinds() -> None:
    words = [name.lower() for name in (*KINDS, *UNSUPPORTED)]
    words += [alias for kind in KINDS.values() for alias in kind.aliases]
    words += [alias for aliases in UNSUPPORTED.values() for alias in aliases]
    assert sorted(words) == sorted(set(words))


def test_what_comes_later_is_not_here_yet() -> None:
    assert not KINDS.keys() & UNSUPPORTED.keys()
    for kind in KINDS.values():
        assert not fields_of(kind.spec).keys() & set(kind.later)


def test_every_kind_provides_its_phase() -> None:
    assert all("phase" in kind.provides for kind in KINDS.values())


def test_every_field_tells_what_it_is_for() -> None:
    for kind in KINDS.values():
        for name, field in fields_of(kind.spec).items():
            assert field.metadata.get("help"), f"{kind.name}.{name}"
