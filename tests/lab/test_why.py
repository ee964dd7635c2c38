"""On a real kernel and against real servers: whatever fails, `why` names exactly that as the root."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lab.netns import Namespace
from tests.lab.netns import wire as lay_cable
from tests.lab.router import PREFIX, Connection, Router, document
from tests.lab.servers import GATEWAY, SERVERS, Terms

pytestmark = pytest.mark.lab

CLIENT, ROUTE, ADDRESS, INTERFACE = "DHCPv4Client/wan", "IPv4Route/office", "IPv4StaticAddress/own", "Interface/wan"
OWN = "192.0.2.1/24"
CONFIG = (
    document(("wan", "wan0"))
    + """
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: office}
      spec:
        destination: 198.51.100.0/24
        gatewayFrom: {resource: DHCPv4Client/wan, field: gateway}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: own}
      spec: {interface: wan, address: 192.0.2.1/24}
"""
)
CRASHING = """
import sys
from pathlib import Path
from routerd.daemons.dhcpv4_client import DHCPv4Daemon
from routerd.__main__ import main

planted, end_commands = Path(sys.argv.pop(1)), DHCPv4Daemon._end_commands

def crash_once(self, client, said):
    if planted.exists() and any(type(one).__name__ == "Extended" for one in said):
        planted.unlink()
        raise ValueError("a fault of ours")
    end_commands(self, client, said)

DHCPv4Daemon._end_commands = crash_once
sys.exit(main())
"""
"""A routerd whose client crashes when its lease is extended, once for each time that a certain file is made."""


class Crashing(Router):
    """See CRASHING."""

    @property
    def command_line(self) -> list[str]:
        flags = super().command_line[3:]
        return [sys.executable, "-c", CRASHING, str(self.directory / "crash"), *flags]


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    """The provider: a switch, isp0, which stays when a cable goes."""
    namespace = namespaces("isp")
    namespace.ip("link", "add", "isp0", "type", "bridge", "forward_delay", "0")
    namespace.ip("link", "set", "isp0", "up")
    namespace.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
    return namespace


@pytest.fixture
def router(isp: Namespace, namespaces: Callable[[str], Namespace], tmp_path: Path) -> Iterator[Router]:
    """A router whose wan0 is plugged into the provider's switch, not started yet."""
    router = Crashing(namespaces("rtr"), tmp_path, CONFIG)
    lay_cable(isp, "port0", router.namespace, "wan0")
    isp.ip("link", "set", "port0", "master", "isp0")
    yield router
    if router.process is not None and router.process.poll() is None:
        router.stop()


def up(router: Router) -> str:
    """Wait until all is well; the leased address."""
    router.until(lambda: phases(router) == ["Bound", "Installed", "Applied", "Up"], 60)
    return next(address for address in router.addresses("wan0") if address != OWN)


def phases(router: Router) -> list[str]:
    return [router.status(target).get("phase", "") for target in (CLIENT, ROUTE, ADDRESS, INTERFACE)]


def why(router: Router, target: str) -> dict[str, Any]:
    told: dict[str, Any] = router.get(f"/why?target={quote(target)}")
    return told


def root(cause: dict[str, Any] | None) -> dict[str, Any] | None:
    """The root in a tree of causes, if there is one."""
    if cause is None or cause["root"]:
        return cause
    return next((found for one in cause["causes"] if (found := root(one)) is not None), None)


def roots(router: Router, *targets: str) -> list[str]:
    """Their topics."""
    found = [root(why(router, target).get("chain")) for target in targets]
    return [one["event"]["topic"].removeprefix("routerd.") if one is not None else "none" for one in found]


def named(router: Router, topic: str, *targets: str, within: float = 30.0) -> None:
    """Wait until this is told as the root of all of them."""
    router.until(lambda: roots(router, *targets) == [topic] * len(targets), within)


def test_a_carrier_that_is_lost_and_comes_back(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        isp.ip("link", "set", "port0", "down")
        router.until(lambda: router.status(CLIENT)["reason"] == "NoCarrier")
        named(router, "interface.link.down", CLIENT, INTERFACE)
        assert "cable" in why(router, INTERFACE)["next"]
        isp.ip("link", "set", "port0", "up")
        router.until(lambda: router.status(CLIENT)["reason"] == "Bound", 60)
        named(router, "interface.link.down", CLIENT, INTERFACE)
        assert "next" not in why(router, CLIENT)


def test_an_interface_that_goes(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        router.namespace.ip("link", "del", "wan0")
        router.until(lambda: router.status(INTERFACE)["reason"] == router.status(ADDRESS)["reason"] == "LinkAbsent")
        router.until(lambda: router.status(ROUTE)["phase"] == router.status(CLIENT)["phase"] == "Pending")
        named(router, "interface.link.gone", CLIENT, ROUTE, ADDRESS, INTERFACE)
        assert why(router, INTERFACE)["suppressed"] == [CLIENT, ROUTE, ADDRESS]


def test_a_server_that_refuses(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        old = up(router)
    for leases in tmp_path.glob("*.leases*"):
        leases.unlink()
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms(pool=("203.0.113.150", "203.0.113.160"))):
        router.command("wan", "renew")
        router.until(lambda: "lease.nak" in router.topics())
        assert up(router) != old
        named(router, "dhcpv4.client.lease.nak", CLIENT, ROUTE)


def test_a_server_that_is_silent_until_the_lease_runs_out(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["kea"](isp, "isp0", tmp_path, Terms(lease=28, t1=6, t2=14)):
        router.start()
        up(router)
    router.until(lambda: router.status(CLIENT)["phase"] == "Rebinding", 60)
    named(router, "dhcpv4.client.renew.sent", CLIENT)
    assert why(router, CLIENT)["next"] == "no answer: try `routerctl rebind DHCPv4Client/wan`"
    router.until(lambda: router.status(CLIENT)["phase"] == "Acquiring", 90)
    router.until(lambda: router.status(ROUTE)["phase"] == "Pending")
    named(router, "dhcpv4.client.renew.sent", CLIENT, ROUTE)
    told = why(router, CLIENT)
    assert told["suppressed"] == [ROUTE]
    assert "lease.expired" in router.topics()


@pytest.mark.parametrize("which", ["leased", "declared"])
def test_an_address_that_is_deleted_by_hand(isp: Namespace, router: Router, tmp_path: Path, which: str) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        leased = up(router)
        address = leased if which == "leased" else OWN
        router.namespace.ip("addr", "del", address, "dev", "wan0")
        router.until(lambda: "routerd.interface.address.taken" in router.topics("routerd.interface.**"))
        router.until(lambda: address in router.addresses("wan0"))
        named(router, "interface.address.taken", *([CLIENT] if which == "leased" else [ADDRESS]))
        up(router)
        others = [INTERFACE, ADDRESS] if which == "leased" else [INTERFACE, CLIENT]
        assert "interface.address.taken" not in roots(router, *others)


def test_a_route_that_is_deleted_by_hand(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        router.namespace.ip("route", "del", "198.51.100.0/24")
        named(router, "interface.route.taken", ROUTE)
        router.namespace.ip("route", "del", "default", "proto", "114")
        named(router, "interface.route.taken", CLIENT)
        assert "interface.route.taken" not in roots(router, ADDRESS, INTERFACE)


def test_a_crash_of_the_client(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        (router.directory / "crash").touch()
        router.command("wan", "renew")
        named(router, "daemon.lifecycle.crashed", CLIENT)
        up(router)
        named(router, "daemon.lifecycle.crashed", CLIENT)
        assert "daemon.lifecycle.crashed" not in roots(router, ROUTE, ADDRESS, INTERFACE), "they were never without"


def test_routerd_killed(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        before = why(router, INTERFACE)["chain"]
        router.kill()
        router.start()
        up(router)
        named(router, "daemon.lifecycle.started", CLIENT)
        assert why(router, INTERFACE)["chain"] == before, "what was before is still told"


def test_another_configuration(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        changed = CONFIG.replace("conflictDetection: parallel", "conflictDetection: skip")
        changed = changed.replace(OWN, "192.0.2.2/24").replace("198.51.100.0", "198.51.101.0")
        (router.directory / "router.yaml").write_text(changed)
        assert router.process is not None
        router.process.send_signal(signal.SIGHUP)
        named(router, "configuration.applied", CLIENT, ROUTE, ADDRESS, "Router/lab")
        (router.directory / "router.yaml").write_text(changed.replace("destination:", "destinatoin:"))
        router.process.send_signal(signal.SIGHUP)
        named(router, "configuration.rejected", "Router/lab")
        assert "router.yaml:" in why(router, "Router/lab")["next"]


def test_an_apply(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        changed = CONFIG.replace("conflictDetection: parallel", "conflictDetection: skip")
        changed = changed.replace(OWN, "192.0.2.2/24").replace("198.51.100.0", "198.51.101.0")
        apply(router, changed)
        named(router, "api.command.requested", CLIENT, ROUTE, ADDRESS, "Router/lab")
        up(router)
        asked = root(why(router, ADDRESS)["chain"])
        assert asked is not None and asked["event"]["attributes"]["act"] == "apply"


def apply(router: Router, candidate: str) -> None:
    connection = Connection(router.run_dir / "routerd.sock")
    connection.request("POST", f"{PREFIX}/apply", json.dumps({"candidateYaml": candidate}))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def test_a_command(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        up(router)
        router.command("wan", "stop")
        router.until(lambda: router.status(ROUTE)["phase"] == "Pending")
        named(router, "api.command.requested", CLIENT, ROUTE)
        router.command("wan", "start")
        up(router)
        named(router, "api.command.requested", CLIENT, ROUTE)
