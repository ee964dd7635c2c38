"""Routers of a link, between a whole routerd and the Linux kernel: who of the two obeys, duplicates that the kernel
finds, routers that die without a word, and floods of those that do not exist."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from routerd.protocols.ndp import wire as ndp
from routerd.protocols.ndp.identifier import stable_address
from routerd.protocols.ndp.message import (
    ALL_NODES,
    MoreSpecificRoute,
    NameServers,
    Prefix,
    RouterAdvertisement,
    SearchDomains,
)
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack
from tests.lab.driven import wan
from tests.lab.netns import Namespace, wire
from tests.lab.router import Router
from tests.lab.servers6 import LINK, SERVER, radvd
from tests.lab.street import Street, document, resource

pytestmark = pytest.mark.lab

WAN, LAN = resource("Interface", "wan", ifname="wan0"), resource("Interface", "lan", ifname="lan0")
LISTENER = resource("IPv6RAAddress", "wan-ra", interface="wan")
KERNEL = resource("IPv6RAAddress", "wan-ra", interface="wan", mode="kernel")
TELLER = resource("IPv6RouterAdvertisement", "lan", interface="lan", prefix="fd00:1::/64")
OFTEN = "MinRtrAdvInterval 3; MaxRtrAdvInterval 4; "
HALF_AN_HOUR = "AdvDefaultLifetime 1800; "
ADVERTISED = OFTEN + "prefix 2001:db8:ff::/64 { AdvValidLifetime 4000; AdvPreferredLifetime 3000; };"


@pytest.fixture
def deaf(street: Street) -> Street:
    """A kernel that has never obeyed on the WAN. What it has made before routerd takes over stays until it is over."""
    street.router.namespace.sysctl("net.ipv6.conf.wan0.accept_ra", "0")
    return street


def defaults(namespace: Namespace) -> list[dict[str, Any]]:
    """The default routes by the kernel's word."""
    routes: list[dict[str, Any]] = json.loads(namespace.ip("-j", "-d", "-6", "route", "show", "default"))
    return routes


def owners(street: Street) -> set[str]:
    """Who made the addresses of the WAN. The kernel manages temporary ones beside its own, though nobody has any."""
    links = json.loads(street.router.namespace.ip("-j", "-6", "addr", "show", "dev", "wan0", "scope", "global"))
    infos = [info for link in links for info in link.get("addr_info", ()) if "local" in info]
    return {"kernel" if info.get("mngtmpaddr") else "routerd" for info in infos}


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    """Status and reason of one of its conditions."""
    [found] = [one for one in status["conditions"] if one["type"] == kind]
    return found["status"], found["reason"]


# Who obeys


async def test_the_kernel_obeys_and_routerd_tells_what_comes_of_it(street: Street, tmp_path: Path) -> None:
    """Also while it forwards for a LAN, which ends its obedience unless somebody asks for it (accept_ra 2)."""
    street.router.config = document(WAN, LAN, KERNEL, TELLER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        street.router.until(lambda: street.phase("IPv6RAAddress/wan-ra") == "Bound" and street.held("wan0"))
        street.router.until(lambda: street.router.status("IPv6RAAddress/wan-ra").get("addresses"))
        street.router.until(lambda: street.router.status("IPv6RAAddress/wan-ra").get("defaultGateway"))
        status = street.router.status("IPv6RAAddress/wan-ra")
        assert (status["phase"], status["mode"]) == ("Bound", "kernel")
        assert status["addresses"] == street.held("wan0")
        assert status["defaultGateway"] == str(street.provider.link_local)
        assert condition(status, "AddressInstalled") == ("True", "Installed")
        assert [route["protocol"] for route in defaults(street.router.namespace)] == ["ra"]
        assert street.routes() == []
        assert owners(street) == {"kernel"}
        forwarding = street.router.namespace.run("sysctl", "-n", "net.ipv6.conf.wan0.forwarding")
        assert forwarding.strip() == "1"
    street.router.until(lambda: street.phase("IPv6RAAddress/wan-ra") == "Acquiring")
    assert street.held("wan0"), "the prefix was not taken back"


async def test_from_the_kernel_to_routerd_and_back(street: Street, tmp_path: Path) -> None:
    """There is an address and a way at each moment after the first."""
    street.router.config = document(WAN, LAN, KERNEL, TELLER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        street.router.until(lambda: owners(street) == {"kernel"} and defaults(street.router.namespace))
        street.router.stop()
        street.router.config = document(WAN, LAN, LISTENER, TELLER)
        street.router.start()
        street.router.until(lambda: "routerd" in owners(street) and street.routes())
        assert defaults(street.router.namespace)
        street.router.stop()
        street.router.config = document(WAN, LAN, KERNEL, TELLER)
        street.router.start()
        street.router.until(lambda: owners(street) == {"kernel"})
        street.router.until(lambda: [one["protocol"] for one in defaults(street.router.namespace)] == ["ra"])
        assert street.routes() == []


# Somebody else has the address


@pytest.mark.parametrize("taken", [1, 4])
async def test_an_address_that_somebody_else_has(taken: int, deaf: Street, tmp_path: Path) -> None:
    """The kernel finds it, and takes it away. There is another one after three of them, and none after four: that is
    told, and nothing goes on in circles."""
    street = deaf
    street.router.config = document(WAN, LISTENER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        street.router.until(lambda: street.held("wan0"))
        street.router.stop()
        secret = bytes.fromhex((tmp_path / "state" / "ra-client" / "secret").read_text())
        tries = [stable_address(LINK, "wan0", secret, conflicts) for conflicts in range(4)]
        assert street.held("wan0") == [str(tries[0])]
        street.router.namespace.ip("-6", "addr", "flush", "dev", "wan0", "scope", "global")
        street.router.namespace.sysctl("net.ipv6.conf.wan0.accept_dad", "1")
        for own in tries[:taken]:
            street.isp.ip("addr", "add", f"{own.ip}/128", "dev", "isp0", "nodad")
        street.router.start()
        if taken == 4:
            street.router.until(lambda: told(street, "address.given_up"))
            began = len(told(street, "address.duplicate"))
            await trio.sleep(5)  # nothing is to happen any more: nothing tells of that
            assert (began, len(told(street, "address.duplicate")), street.held("wan0")) == (3, 3, [])
            status = street.router.status("IPv6RAAddress/wan-ra")
            assert condition(status, "AddressInstalled") == ("False", "DuplicateAddress")
            assert "every address that was tried" in status["message"]
        else:
            street.router.until(lambda: street.held("wan0") == [str(tries[1])])
            street.router.until(lambda: installed(street))
            [event] = told(street, "address.duplicate")
            assert event["attributes"]["address"] == str(tries[0].ip)
        street.router.until(lambda: street.routes(), 10)


def told(street: Street, topic: str) -> list[dict[str, Any]]:
    return street.router.events(f"routerd.ipv6.ra.{topic}")


def installed(street: Street) -> bool:
    return condition(street.router.status("IPv6RAAddress/wan-ra"), "AddressInstalled")[0] == "True"


# Several routers, several links


@attrs.frozen
class Crossing:
    """Two routers and routerd on one link, and a second link with a router of its own."""

    router: Router
    better: Namespace
    other: Namespace
    elsewhere: Namespace

    def way(self, ifname: str = "wan0") -> str | None:
        """By whom the router under test sends what is for the world."""
        ours = [one for one in defaults(self.router.namespace) if one["dev"] == ifname]
        return ours[0]["gateway"] if ours else None


@pytest.fixture
async def crossing(namespaces: Callable[[str], Namespace], tmp_path: Path) -> Crossing:
    switch, rtr, better, other, elsewhere = map(namespaces, ("switch", "rtr", "better", "other", "elsewhere"))
    switch.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
    switch.ip("link", "set", "br0", "up")
    for number, (namespace, ifname) in enumerate(((rtr, "wan0"), (better, "eth0"), (other, "eth0"))):
        wire(switch, f"port{number}", namespace, ifname)
        switch.ip("link", "set", f"port{number}", "master", "br0")
    wire(elsewhere, "eth0", rtr, "wan1")
    for ifname in ("wan0", "wan1"):
        rtr.sysctl(f"net.ipv6.conf.{ifname}.accept_ra", "0")
    for one in (better, other, elsewhere):
        await wan(one, "eth0")
    second = resource("Interface", "wan2", ifname="wan1") + resource("IPv6RAAddress", "wan2-ra", interface="wan2")
    return Crossing(Router(rtr, tmp_path, document(WAN, LISTENER, second)), better, other, elsewhere)


@pytest.fixture
def started(crossing: Crossing) -> Iterator[Crossing]:
    crossing.router.start()
    yield crossing
    crossing.router.stop()


@contextmanager
def advertising(namespace: Namespace, tmp_path: Path, said: str) -> Iterator[Any]:
    """A radvd with files of its own."""
    (directory := tmp_path / namespace.name).mkdir(exist_ok=True)
    with radvd(namespace, "eth0", directory, OFTEN + said) as process:
        yield process


async def test_the_preferred_router_dies_without_a_word(started: Crossing, tmp_path: Path) -> None:
    """Its cable is cut behind a switch: there is no other sign than its silence (RFC 4861 §6.3.6)."""
    better, other = await wan(started.better, "eth0"), await wan(started.other, "eth0")
    with (
        advertising(started.better, tmp_path, HALF_AN_HOUR + "AdvDefaultPreference high; prefix 2001:db8:a::/64 {};"),
        advertising(started.other, tmp_path, HALF_AN_HOUR + "prefix 2001:db8:b::/64 {};"),
    ):
        started.router.until(lambda: len(started.router.status("IPv6RAAddress/wan-ra")["routers"]) == 2)
        started.router.until(lambda: started.way() == str(better.link_local))
        started.better.ip("link", "set", "eth0", "down")
        started.router.until(lambda: started.way() == str(other.link_local), 60)
        [event] = started.router.events("routerd.ipv6.ra.router.unreachable")
        assert event["attributes"]["router"] == str(better.link_local)
        assert started.router.status("IPv6RAAddress/wan-ra")["defaultGateway"] == str(other.link_local)


async def test_two_links_at_once(started: Crossing, tmp_path: Path) -> None:
    """Each has its own addresses and its own way; the first in the file is the first choice; and what one of them
    loses is nothing to the other."""
    near, far = await wan(started.better, "eth0"), await wan(started.elsewhere, "eth0")
    with advertising(started.elsewhere, tmp_path, "prefix 2001:db8:e::/64 {};"):
        with advertising(started.better, tmp_path, "prefix 2001:db8:a::/64 {};"):
            started.router.until(lambda: started.way("wan0") == str(near.link_local))
            started.router.until(lambda: started.way("wan1") == str(far.link_local))
            metrics = {one["dev"]: one["metric"] for one in defaults(started.router.namespace)}
            assert metrics == {"wan0": 100, "wan1": 101}
            for name, network in (("wan-ra", "2001:db8:a::/64"), ("wan2-ra", "2001:db8:e::/64")):
                [address] = started.router.status(f"IPv6RAAddress/{name}")["addresses"]
                assert IPv6Interface(address).network == IPv6Network(network)
        started.router.until(lambda: started.way("wan0") is None)
        assert started.way("wan1") == str(far.link_local)


# Those that do not exist


class Shouter:
    """Somebody on the provider's side of the cable who sends whatever they like, under any name."""

    def __init__(self, street: Street) -> None:
        self._socket = street.isp.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        self._socket.bind(("isp0", 0))

    def say(self, message: bytes, source: IPv6Address, hop_limit: int = 255) -> None:
        """One message of ICMPv6, to all nodes."""
        packet = Packet6(source, ALL_NODES, ICMPV6, message, hop_limit)
        mac = b"\x02\x00" + source.packed[-4:]
        self._socket.send(pack(packet, source_mac=mac, target_mac=multicast_mac(ALL_NODES)))


@pytest.fixture
def shouter(street: Street) -> Iterator[Shouter]:
    made = Shouter(street)
    yield made
    made._socket.close()


def rogue(number: int) -> RouterAdvertisement:
    """Everything at once, and each time other things."""
    networks = [IPv6Network(f"2001:db8:{number:x}:{n:x}::/64") for n in range(16)]
    return RouterAdvertisement(
        lifetime=9000 * (number % 2),
        prefixes=tuple(Prefix(one, 86400, 86400) for one in networks[:8]),
        routes=tuple(MoreSpecificRoute(one, 86400) for one in networks[8:]),
        name_servers=(NameServers(tuple(one[1] for one in networks), 86400),),
        search_domains=(SearchDomains(tuple(f"x{number}-{n}.example" for n in range(8)), 86400),),
    )


def resident(street: Street) -> int:
    """Memory of routerd, in KiB; the process that was started is `ip netns exec`, which became it."""
    assert street.router.process is not None
    status = Path(f"/proc/{street.router.process.pid}/status").read_text()
    [line] = [one for one in status.splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1])


async def test_a_flood_of_routers(deaf: Street, shouter: Shouter, tmp_path: Path) -> None:
    """Thousands of them, each with prefixes, routes, name servers and domains of its own."""
    street = deaf
    street.router.config = document(WAN, LISTENER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        street.router.until(lambda: street.held("wan0") and street.routes())
        [own], before = street.held("wan0"), resident(street)
        for number in range(2000):
            shouter.say(ndp.encode(rogue(number)), IPv6Address(f"fe80::ffff:{number:x}"))
            await trio.sleep(0.0005)
        street.router.until(lambda: "too-often" in dropped(street))
        status = street.router.status("IPv6RAAddress/wan-ra")
        bounds = {"routers": 16, "prefixes": 32, "routes": 32, "dnsServers": 8, "domainSearch": 16}
        assert {key: len(status[key]) for key in bounds if len(status[key]) > bounds[key]} == {}
        assert own in street.held("wan0")
        assert len(street.held("wan0")) <= 33
        assert resident(street) - before < 30_000
        assert len(street.router.events("routerd.ipv6.ra.**")) < 300
        assert street.router.events("routerd.daemon.lifecycle.crashed") == []


def dropped(street: Street) -> str:
    """What the client has ignored, and why."""
    socket_path = street.router.run_dir / "ra-client" / "wan-ra.sock"
    return str(street.router.ask(socket_path, "/v1/status"))


BROKEN = {
    "bad-option-length": ndp.encode(RouterAdvertisement(lifetime=0)) + b"\x03\x00" + bytes(6),
    "short": ndp.encode(RouterAdvertisement(lifetime=0))[:11],
    "bad-code": b"\x86\x01" + ndp.encode(RouterAdvertisement(lifetime=0))[2:],
}


async def test_rogues_and_wrecks(deaf: Street, shouter: Shouter, tmp_path: Path) -> None:
    """From beyond the link, from no link-local address, with the two hour rule, in another's name; and broken ones."""
    street = deaf
    street.router.config = document(WAN, LISTENER)
    with radvd(street.isp, "isp0", tmp_path, ADVERTISED):
        street.router.start()
        street.router.until(lambda: street.held("wan0") and street.routes())
        [own], way = street.held("wan0"), street.routes()
        end = ndp.encode(attrs.evolve(RouterAdvertisement(lifetime=0), prefixes=(Prefix(LINK, 0, 0),)))
        shouter.say(end, street.provider.link_local, hop_limit=254)
        shouter.say(end, IPv6Address(SERVER))
        for octets in BROKEN.values():
            shouter.say(octets, street.provider.link_local)
        shouter.say(ndp.encode(RouterAdvertisement(lifetime=0)), IPv6Address("fe80::bad"))
        reasons = ("bad-hop-limit", "bad-source", *BROKEN)
        street.router.until(lambda: all(reason in dropped(street) for reason in reasons))
        assert (street.held("wan0"), street.routes()) == ([own], way)
        shouter.say(end, IPv6Address("fe80::bad"))
        street.router.until(lambda: told(street, "prefix.deprecated"))
        assert street.held("wan0") == [own], "nobody ends an address within two hours (RFC 4862 §5.5.3)"
        assert street.routes() == way
        street.router.until(lambda: not told(street, "router.lost"), 1)
