"""Fixtures of the clients from outside: a real routerd with a line in both versions, and every kind with a daemon."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.router.conftest import routerd
from tests.router.process import ROOT, Process, process

__all__ = ["routerd", "up"]

MORE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Address
      metadata: {name: wan-na}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Information
      metadata: {name: wan-info}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: nowhere}
      spec: {destination: "2001:db8:dead::/48", type: unreachable}
"""
HOME = re.sub(
    r"(kind: DHCPv4Client\n.*\n +spec: {interface: wan)}",
    r"\1, conflictDetection: parallel}",
    (ROOT / "examples" / "ipv6.yaml").read_text() + MORE,
)
"""The example and the kinds that it does not have; nobody waits until an address is known to be free."""
KINDS6 = {
    "DHCPv6PrefixDelegation/wan-pd": "Bound",
    "DHCPv6Address/wan-na": "Bound",
    "DHCPv6Information/wan-info": "Bound",
    "IPv6RAAddress/wan": "Bound",
    "IPv6DelegatedAddress/lan": "Applied",
    "IPv6DelegatedAddress/guests": "Applied",
    "IPv6RouterAdvertisement/lan": "Applied",
    "IPv6RouterAdvertisement/guests": "Applied",
    "IPv6StaticRoute/nowhere": "Installed",
}
"""By resource: the phase that it comes to."""
DAEMONS = ("dhcpv4-client/wan", "dhcpv6-client/wan-pd", "dhcpv6-client/wan-na", "ra-client/wan", "ra-server/guests")
"""Sockets of daemons, one of each kind and that of a second resource of a client."""
SOCKETS = [("main", "routerd"), ("status", "routerd-status"), *(("daemon", name) for name in DAEMONS)]
"""What each is (the tag of its operations in the OpenAPI document, too), and its name."""


@pytest.fixture
def up(routerd: Process) -> Process:
    """It runs, and has all that its provider gives."""
    return _raised(routerd)


@pytest.fixture(scope="module")
def lasting() -> Iterator[Process]:
    """One for all tests of a module: for those that ask much of it and change nothing that the others look at."""
    with process() as routerd:
        yield _raised(routerd)


def _raised(routerd: Process) -> Process:
    routerd.config.write_text(HOME)
    routerd.start()
    routerd.until(lambda: routerd.bound() and all(routerd.status_of(one).get("phase") == KINDS6[one] for one in KINDS6))
    return routerd
