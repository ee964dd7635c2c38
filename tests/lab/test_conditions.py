"""`when` and `dependsOn` on a real kernel: withdrawn and put again, and a kill -9 in between withdraws nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.netns import Namespace
from tests.lab.netns import wire as lay_cable
from tests.lab.router import Router, document, watching
from tests.lab.servers import GATEWAY, SERVERS, Terms

pytestmark = pytest.mark.lab

REST = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: lan0, managed: false}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: dmz}
      spec: {ifname: dmz0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: dmz}
      spec:
        interface: dmz
        address: 192.168.9.1/24
        when: {state: {DHCPv4Client/wan.gateway: {exists: true, for: 1s}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lab}
      spec:
        destination: 10.20.0.0/16
        gateway: 192.168.9.2
        dependsOn:
          - {resource: IPv4StaticAddress/dmz, phase: Applied}
          - {resource: DHCPv4Client/wan, phase: Bound}
"""
OPTIONS = "conflictDetection: parallel, when: {state: {Interface/lan.phase: {equals: Up}}}"
AT_DMZ, LAB = ["192.168.9.1/24"], "10.20.0.0/16 via 192.168.9.2"


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    """The provider, on isp0."""
    return namespaces("isp")


@pytest.fixture
def router(isp: Namespace, namespaces: Callable[[str], Namespace], tmp_path: Path) -> Iterator[Router]:
    """A router with a wan, and two links on which nobody else is."""
    router = Router(namespaces("rtr"), tmp_path, document(("wan", "wan0"), options=OPTIONS) + REST)
    lay_cable(isp, "isp0", router.namespace, "wan0")
    isp.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
    lay_cable(isp, "far0", router.namespace, "lan0")
    lay_cable(isp, "far1", router.namespace, "dmz0")
    router.namespace.ip("link", "set", "lan0", "up")
    yield router
    if router.process is not None and router.process.poll() is None:
        router.stop()


def has_lab(router: Router) -> bool:
    return any(route.startswith(LAB) for route in router.routes())


def test_what_is_held_goes_and_comes_and_outlives_a_kill(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        router.until(lambda: has_lab(router) and router.addresses("dmz0") == AT_DMZ)
        with watching(router.namespace, tmp_path) as seen:
            router.kill()
            router.start()
            router.until(lambda: router.status("IPv4Route/lab").get("phase") == "Installed")
            router.until(lambda: router.status("DHCPv4Client/wan").get("phase") == "Bound")
            assert "Deleted" not in seen(), "nothing was withdrawn, not for a moment"

        router.namespace.ip("link", "set", "lan0", "down")
        router.until(lambda: router.addresses("wan0") == [] and router.addresses("dmz0") == [])
        router.until(lambda: not router.routes())
        assert router.status("DHCPv4Client/wan")["message"] == 'Interface/lan.phase is "Down", not "Up"'
        assert router.status("IPv4StaticAddress/dmz")["reason"] == "WhenFalse"
        assert router.status("IPv4Route/lab")["reason"] == "DependsOnFalse"

        router.namespace.ip("link", "set", "lan0", "up")
        router.until(lambda: has_lab(router) and router.addresses("dmz0") == AT_DMZ)
        assert router.topics().count("discover.sent") == 1, "the lease was taken up again"
