"""A home router with a lease, served from a directory of its own, and routerctl run against it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.routerctl.answers import knowing
from tests.routerctl.run import Inside
from tests.routerctl.server import Routerd, at


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A short path: a socket's may have 107 bytes."""
    directory = tempfile.mkdtemp(prefix="rctl")
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tester's shell says of colours, terminals and routerd must not matter."""
    for name in ("NO_COLOR", "COLUMNS", "ROUTERD_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the operator sits, with a configuration and a rule."""
    laid(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return tmp_path


def laid(directory: Path) -> Path:
    """Files of which the verbs' examples speak."""
    (directory / "router.yaml").write_text("kind: Router\n")
    (directory / "rule.yaml").write_text("kind: EventRule\n")
    return directory


@pytest.fixture
def routerd(run_dir: Path) -> Iterator[Routerd]:
    """Up, with a WAN that is bound for another 41 minutes."""
    router = furnished(Routerd(run_dir))
    router.start()
    yield router
    router.stop()


@pytest.fixture
def ctl(run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Runs routerctl in this process: the same code, exit codes and output, without a new interpreter each time."""
    monkeypatch.setenv("ROUTERD_RUN_DIR", os.fspath(run_dir))
    monkeypatch.setattr("routerctl.client.BACKOFF", (0.001,) * 4)
    return Inside(capsys)


def furnished(router: Routerd) -> Routerd:
    """The scene that the expected outputs show."""
    router.daemons = {"dhcpv4-client/wan": []}
    router.event("routerd.daemon.lifecycle.started", "the client has started", age=7500, about="DHCPv4Client/wan")
    router.event("routerd.interface.up", "wan0: carrier up", age=7400, about="Interface/wan", reason="CarrierUp")
    router.event(
        "routerd.interface.down",
        "lan0: carrier lost",
        age=1520,
        about="Interface/lan",
        severity="warning",
        reason="CarrierLost",
    )
    router.event(
        "routerd.dhcpv4.client.lease.bound",
        "192.0.2.10/24 from 192.0.2.1 for 1h",
        age=1240,
        about="DHCPv4Client/wan",
        reason="LeaseBound",
        attributes={"address": "192.0.2.10", "gateway": "192.0.2.1"},
    )
    router.resource("Interface", "wan", {"ifname": "wan0"}, interface("wan0", "Up", True, ["192.0.2.10/24"]))
    router.resource("Interface", "lan", {"ifname": "lan0", "mtu": 1500}, interface("lan0", "Down", False, []))
    router.resource("DHCPv4Client", "wan", {"interface": "wan", "useDNS": True}, lease())
    address = {
        "phase": "Applied",
        "address": "198.51.100.1/24",
        "conditions": [condition("Applied", "True", "Applied")],
    }
    router.resource("IPv4StaticAddress", "lan", {"interface": "lan", "address": "198.51.100.1/24"}, address)
    router.controllers = [
        {
            "name": "address",
            "mode": "live",
            "currentError": False,
            "resourceKinds": ["IPv4StaticAddress", "DHCPv4Client"],
            "reconcileCount": 12,
            "lastReconcileTime": at(-1239),
            "lastDuration": "1.25ms",
        },
        {
            "name": "interface",
            "mode": "live",
            "currentError": False,
            "resourceKinds": ["Interface"],
            "reconcileCount": 7,
            "reconcileErrorCount": 1,
            "lastReconcileTime": at(-1520),
            "lastDuration": "310µs",
        },
    ]
    router.checks = [
        {"name": "event-loop", "status": "pass", "detail": "late by 0.1 ms"},
        {"name": "event-log", "status": "pass", "detail": "writing"},
        {"name": "configuration", "status": "pass", "detail": "generation 3"},
        {"name": "controller address", "status": "pass"},
        {"name": "daemon dhcpv4-client/wan", "status": "pass", "detail": "Running"},
    ]
    router.status["phase"] = "Degraded"
    router.status["resourcePhaseIssues"] = [
        {
            "apiVersion": "net.routerd.net/v1alpha1",
            "kind": "Interface",
            "name": "lan",
            "phase": "Down",
            "reason": "NoCarrier",
        }
    ]
    return knowing(router)


def interface(device: str, phase: str, carrier: bool, addresses: list[str]) -> dict[str, object]:
    """The status of an Interface."""
    return {
        "phase": phase,
        "reason": "CarrierUp" if carrier else "NoCarrier",
        "ifname": device,
        "macAddress": "02:00:5e:10:00:01",
        "mtu": 1500,
        "carrier": carrier,
        "addresses": addresses,
        "conditions": [condition("LinkUp", str(carrier), "CarrierUp" if carrier else "NoCarrier")],
    }


def lease() -> dict[str, object]:
    """The status of a DHCPv4Client that is bound."""
    return {
        "phase": "Bound",
        "reason": "Bound",
        "interface": "wan",
        "device": "wan0",
        "currentAddress": "192.0.2.10",
        "prefixLength": 24,
        "defaultGateway": "192.0.2.1",
        "gateway": "192.0.2.1",
        "dnsServers": ["192.0.2.53", "192.0.2.54"],
        "leaseTime": "1h",
        "renewAt": at(11 * 60 + 30),
        "expiresAt": at(41 * 60 + 30),
        "routes": [{"destination": "0.0.0.0/0", "gateway": "192.0.2.1"}],
        "conditions": [condition("LeaseReady", "True", "Bound"), condition("AddressInstalled", "True", "OnInterface")],
    }


def condition(kind: str, status: str, reason: str, **more: str) -> dict[str, object]:
    """A condition that has been so for a little over twenty minutes."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "lastTransitionTime": at(-1240),
        "observedGeneration": 3,
        **more,
    }
