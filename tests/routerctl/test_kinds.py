"""Kinds in any case and by their short names; what was meant."""

from __future__ import annotations

import pytest

from routerctl import __version__
from routerctl.kinds import DAEMON_DIRECTORIES, SHORT_NAMES, canonical, did_you_mean, reference
from routerd import __version__ as routerd_version
from routerd.daemons.dhcpv4_client import DHCPv4Part
from routerd.daemons.dhcpv6_client import DHCPv6Part
from routerd.daemons.ra_client import RAClient
from routerd.daemons.ra_server import RAServer
from routerd.resources.kinds import KINDS as ROUTERD_KINDS
from routerd.resources.kinds import UNSUPPORTED, kind_named


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("DHCPv4Client", "DHCPv4Client"),
        ("dhcpv4client", "DHCPv4Client"),
        ("DHCP-v4_CLIENT", "DHCPv4Client"),
        ("dhcp4", "DHCPv4Client"),
        ("hc", "HealthCheck"),
        ("pd", "DHCPv6PrefixDelegation"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_canonical(typed: str, kind: str) -> None:
    assert canonical(typed) == kind
    assert reference(f"{typed}/x") == f"{kind}/x"


@pytest.mark.parametrize("kind", ROUTERD_KINDS)
def test_the_kinds_of_routerd_are_known(kind: str) -> None:
    assert canonical(kind.lower()) == kind
    assert {canonical(alias) for alias in ROUTERD_KINDS[kind].aliases} <= {kind}


def test_short_names_mean_what_routerd_takes_them_for() -> None:
    aliases = {alias: kind for kind, aliases in UNSUPPORTED.items() for alias in aliases}
    assert {alias: canonical(alias) for alias in aliases} == aliases
    assert all(kind_named(kind) == kind for kind in (*SHORT_NAMES.values(), *DAEMON_DIRECTORIES))


def test_each_daemon_can_be_commanded() -> None:
    assert {part.directory for part in (DHCPv4Part, DHCPv6Part)} <= set(DAEMON_DIRECTORIES.values())
    assert all(DAEMON_DIRECTORIES[part.resource_kind] == part.directory for part in (RAClient, RAServer))


def test_client_and_server_are_one_release() -> None:
    assert __version__ == routerd_version


def test_did_you_mean() -> None:
    assert did_you_mean("statsu", ["status", "get"]) == "did you mean status?"
    assert did_you_mean("DHCPV4CLINT", ["DHCPv4Client"]) == "did you mean DHCPv4Client?"
    assert did_you_mean("zzz", ["status", "get"]) == "one of status, get"
    assert did_you_mean("zzz", []) == ""
    assert did_you_mean("zzz", [f"x{number}" for number in range(1000)]) == ""
