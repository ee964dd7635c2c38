"""One WAN for real: routerd in a namespace against servers that we did not write."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.lab.netns import Namespace, wire
from tests.lab.router import Router, document, watching
from tests.lab.servers import GATEWAY, SERVERS, Terms

pytestmark = pytest.mark.lab

every_server = pytest.mark.parametrize("server", SERVERS)
short_leases = pytest.mark.parametrize("server", ["kea", "dhcpd"])  # dnsmasq grants nothing under two minutes
DEFAULT = f"default via {GATEWAY} dev wan0"


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    return namespaces("isp")


@pytest.fixture
def router(isp: Namespace, namespaces: Callable[[str], Namespace], tmp_path: Path) -> Iterator[Router]:
    """A router whose wan0 is wired to the provider's isp0, not started yet."""
    namespace = namespaces("rtr")
    wire(isp, "isp0", namespace, "wan0")
    isp.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
    router = Router(namespace, tmp_path, document(("wan", "wan0")))
    yield router
    if router.process is not None and router.process.poll() is None:
        router.stop()


def bound(router: Router) -> str:
    """Wait for an address and its default route; the address."""
    router.until(lambda: router.addresses("wan0") and any(DEFAULT in route for route in router.routes()))
    return router.addresses("wan0")[0]


def conditions(router: Router) -> dict[str, str]:
    """The client's conditions, by type."""
    return {c["type"]: c["status"] for c in router.status("DHCPv4Client/wan")["conditions"]}


class Sniffer:
    """Every DHCP packet that the router sends, seen on the provider's side: (IP source, IP destination, ciaddr)."""

    def __init__(self, isp: Namespace) -> None:
        self._socket = isp.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)))
        self._socket.bind(("isp0", 0x0800))
        self._socket.setblocking(False)

    def requests(self) -> list[tuple[str, str, str]]:
        seen = []
        while True:
            try:
                packet, (_, _, direction, *_) = self._socket.recvfrom(2048)
            except BlockingIOError:
                return seen
            header = (packet[0] & 15) * 4
            port = struct.unpack("!H", packet[header + 2 : header + 4])[0]
            if direction != socket.PACKET_OUTGOING and packet[9] == 17 and port == 67:
                source, destination, ciaddr = packet[12:16], packet[16:20], packet[header + 20 :][:4]
                seen.append((str(IPv4Address(source)), str(IPv4Address(destination)), str(IPv4Address(ciaddr))))

    def close(self) -> None:
        self._socket.close()


@every_server
def test_bound_and_renewed_by_unicast(server: str, isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS[server](isp, "isp0", tmp_path, Terms(t1=4, t2=100)):
        router.start()
        address = bound(router)
        sniffer = Sniffer(isp)
        router.until(lambda: "lease.renewed" in router.topics())
        renewals = sniffer.requests()
        sniffer.close()
    plain = address.split("/")[0]
    assert set(renewals) == {(plain, GATEWAY, plain)}, "unicast, from the leased address, ciaddr filled in"
    assert router.addresses("wan0") == [address]
    router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Bound")
    router.until(lambda: conditions(router) == {"LeaseReady": "True", "AddressInstalled": "True"})
    assert router.status("DHCPv4Client/wan")["dnsServers"] == ["203.0.113.53"]


@every_server
def test_rebound_after_the_server_died(server: str, isp: Namespace, router: Router, tmp_path: Path) -> None:
    terms = Terms(t1=3, t2=7)
    with SERVERS[server](isp, "isp0", tmp_path, terms):
        router.start()
        address = bound(router)
    router.until(lambda: router.status("DHCPv4Client/wan")["phase"] == "Rebinding")
    assert router.addresses("wan0") == [address], "kept while it is rebinding"
    with SERVERS[server](isp, "isp0", tmp_path, terms):
        # The next broadcast is due after half of what remains of the lease, at least 60 s (RFC 2131 §4.4.5).
        assert router.command("wan", "rebind")["accepted"]
        router.until(lambda: "lease.rebound" in router.topics(), 90)
    assert router.addresses("wan0") == [address]


@short_leases
def test_an_expired_lease_is_removed_and_a_new_one_taken(
    server: str, isp: Namespace, router: Router, tmp_path: Path
) -> None:
    terms = Terms(lease=12, t1=5, t2=9)
    with SERVERS[server](isp, "isp0", tmp_path, terms):
        router.start()
        bound(router)
    router.until(lambda: not router.addresses("wan0"))
    assert router.routes() == []
    assert "lease.expired" in router.topics()
    with SERVERS[server](isp, "isp0", tmp_path, terms):
        bound(router)


@every_server
def test_kill_dash_nine_and_back_by_init_reboot(server: str, isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS[server](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        with watching(router.namespace, tmp_path) as seen:
            for _ in range(3):
                router.kill()
                router.start()
                router.until(lambda: router.status("DHCPv4Client/wan").get("phase") == "Bound")
                assert bound(router) == address
            assert "Deleted" not in seen(), "the address was never missing"
    topics = router.topics()
    assert topics.count("discover.sent") == 1, "the lease was taken up again, not asked for anew"
    assert topics.count("lease.resumed") == 3


@every_server
def test_a_nak_after_the_pool_moved(server: str, isp: Namespace, router: Router, tmp_path: Path) -> None:
    """The provider renumbers and its line flaps: INIT-REBOOT asks for an address that is not of that network."""
    with SERVERS[server](isp, "isp0", tmp_path, Terms()):
        router.start()
        bound(router)
    for leases in (*tmp_path.glob("*.leases*"),):
        leases.unlink()
    moved = Terms(subnet="198.51.100.0", pool=("198.51.100.150", "198.51.100.160"))
    isp.ip("addr", "flush", "dev", "isp0")
    isp.ip("addr", "add", f"{moved.gateway}/24", "dev", "isp0")
    with SERVERS[server](isp, "isp0", tmp_path, moved):
        isp.ip("link", "set", "isp0", "down")
        router.until(lambda: router.status("Interface/wan")["phase"] == "Down")
        isp.ip("link", "set", "isp0", "up")
        router.until(lambda: any(a.startswith("198.51.100.1") for a in router.addresses("wan0")), 60)
        assert len(router.addresses("wan0")) == 1
        assert "lease.nak" in router.topics()


@every_server
def test_a_conflict_on_the_wire_leads_to_decline(
    server: str, isp: Namespace, namespaces: Callable[[str], Namespace], tmp_path: Path
) -> None:
    """The first address of the pool is somebody else's already; the switch between them is a bridge."""
    rtr, neighbour = namespaces("rtr"), namespaces("nbr")
    isp.ip("link", "add", "isp0", "type", "bridge")
    for name, namespace, there in (("port0", rtr, "wan0"), ("port1", neighbour, "eth0")):
        wire(isp, name, namespace, there)
        isp.ip("link", "set", name, "master", "isp0")
    isp.ip("link", "set", "isp0", "up")
    isp.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
    pool = [f"203.0.113.{n}" for n in (50, 51)]
    router = Router(rtr, tmp_path, document(("wan", "wan0"), options="conflictDetection: probe"))
    with SERVERS[server](isp, "isp0", tmp_path, Terms(pool=(pool[0], pool[1]))):
        router.start()
        router.until(lambda: "offer.received" in router.topics())
        offered = router.get("/events?since=0&topic=routerd.dhcpv4.client.offer.received")["events"][0]
        taken = offered["attributes"]["address"]
        neighbour.ip("addr", "add", f"{taken}/24", "dev", "eth0")
        router.until(lambda: "lease.declined" in router.topics())
        assert router.addresses("wan0") == [], "never installed"
        router.until(lambda: router.addresses("wan0"), 60)
        assert router.addresses("wan0") == [f"{next(a for a in pool if a != taken)}/24"]
        router.stop()


def test_several_interfaces_at_once(namespaces: Callable[[str], Namespace], tmp_path: Path) -> None:
    """Three providers that use the same addresses, as three home routers upstream would."""
    rtr = namespaces("rtr")
    providers = [namespaces(f"isp{n}") for n in range(3)]
    kinds = list(SERVERS)
    router = Router(rtr, tmp_path, document(*((f"wan{n}", f"wan{n}") for n in range(3))))
    with _all_servers(providers, kinds, rtr, tmp_path):
        router.start()
        router.until(lambda: all(router.addresses(f"wan{n}") for n in range(3)))
        router.until(lambda: len([r for r in router.routes() if r.startswith("default")]) == 3)
        metrics = [r.split("metric ")[1].split()[0] for r in router.routes() if r.startswith("default")]
        assert metrics == ["100", "101", "102"], "the first in the file is preferred"
        for n in range(3):
            assert router.command(f"wan{n}", "renew")["attributes"]["succeeded"] == "true", f"wan{n}"
        router.stop()


def _all_servers(providers: list[Namespace], kinds: list[str], rtr: Namespace, tmp_path: Path):  # type: ignore[no-untyped-def]
    from contextlib import ExitStack

    stack = ExitStack()
    for n, (provider, kind) in enumerate(zip(providers, kinds, strict=True)):
        wire(provider, "isp0", rtr, f"wan{n}")
        provider.ip("addr", "add", f"{GATEWAY}/24", "dev", "isp0")
        directory = tmp_path / kind
        directory.mkdir()
        stack.enter_context(SERVERS[kind](provider, "isp0", directory, Terms()))
    return stack


@pytest.mark.req("V4-17")
@pytest.mark.req("V4-18")
def test_classless_routes_and_a_gateway_outside_the_subnet(isp: Namespace, router: Router, tmp_path: Path) -> None:
    routes = f"0.0.0.0/0,{GATEWAY},10.1.0.0/16,203.0.113.9"
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms(netmask="255.255.255.255", routes=routes)):
        router.start()
        router.until(lambda: {"10.1.0.0/16", "default"} <= {route.split()[0] for route in router.routes()})
    assert router.addresses("wan0")[0].endswith("/32")
    installed = router.routes()
    assert any(r.startswith(f"default via {GATEWAY} dev wan0") and "onlink" in r for r in installed), installed
    assert any(r.startswith("10.1.0.0/16 via 203.0.113.9 dev wan0") and "onlink" in r for r in installed), installed
    assert router.namespace.run("ping", "-c1", "-W2", GATEWAY), "the gateway is reached by its host route"


def test_an_address_deleted_by_hand_comes_back(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        router.namespace.ip("addr", "del", address, "dev", "wan0")
        assert bound(router) == address
    taken = router.topics("routerd.interface.address.taken")
    assert len(taken) == 1


def test_a_cable_pulled_and_put_back_is_seen_at_once(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        with watching(router.namespace, tmp_path) as seen:
            isp.ip("link", "set", "isp0", "down")
            router.until(lambda: router.status("Interface/wan")["phase"] == "Down", 5)
            isp.ip("link", "set", "isp0", "up")
            router.until(lambda: router.status("Interface/wan")["phase"] == "Up", 10)
            router.until(lambda: "lease.renewed" in router.topics(), 60)
            assert "Deleted" not in seen()
        assert router.addresses("wan0") == [address]


def test_sigterm_ends_it_within_five_seconds_and_removes_nothing(
    isp: Namespace, router: Router, tmp_path: Path
) -> None:
    with SERVERS["kea"](isp, "isp0", tmp_path, Terms()):
        router.start()
        address = bound(router)
        assert router.stop() < 5
        assert router.addresses("wan0") == [address]
        assert any(DEFAULT in route for route in router.routes())
        assert not list(router.run_dir.rglob("*.sock")), "its sockets are gone"


def test_the_second_routerd_refuses_with_the_pid_of_the_first(isp: Namespace, router: Router, tmp_path: Path) -> None:
    with SERVERS["dnsmasq"](isp, "isp0", tmp_path, Terms()):
        router.start()
        bound(router)
        pid = (router.directory / "state" / "routerd.lock").read_text().strip()
        with pytest.raises(subprocess.CalledProcessError) as refused:
            router.namespace.run(*router.command_line)
        assert refused.value.returncode == 1
        assert refused.value.stderr.startswith(f"error: another routerd (pid {pid}) holds ")
        assert "Traceback" not in refused.value.stderr
        assert router.get("/status"), "the first is not disturbed"
