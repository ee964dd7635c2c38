"""A Linux host of a LAN, asked and watched from outside: what its kernel has made of router advertisements."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

import attrs

from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import RouterAdvertisement
from tests.lab.netns import Namespace

Events = Callable[[], list[tuple[float, str]]]
LISTENS_WITHIN = 10.0
ICMP6_FILTER, SO_TIMESTAMPNS = 1, 35
"""Of Linux; Python's socket module does not have them."""
ONLY_ADVERTISEMENTS = struct.pack(
    "=8I", *(0xFFFFFFFF ^ (1 << 134 % 32 if word == 134 // 32 else 0) for word in range(8))
)


@contextmanager
def watching(host: Namespace, directory: Path) -> Iterator[Events]:
    """An independent eye: `ip -ts monitor`. The value is for what it has seen so far: (when, line)."""
    path = directory / f"{host.name}.monitor6"
    with path.open("w") as output:
        process = host.spawn("ip", "-6", "-o", "-ts", "monitor", "address", stdout=output)
        _await_ear(host, process)

        def seen() -> list[tuple[float, str]]:
            whole = path.read_text().rpartition("\n")[0]
            lines = [line for line in whole.splitlines() if line.startswith("[")]
            return [(_seconds(line[1 : line.index("]")]), line[line.index("]") + 1 :].strip()) for line in lines]

        try:
            yield seen
        finally:
            process.kill()
            process.wait()


def _await_ear(host: Namespace, process: subprocess.Popen[Any]) -> None:
    """`ip monitor` does not tell when it listens; the kernel knows which groups its netlink socket has joined."""
    sockets, deadline = Path("/proc/thread-self/net/netlink"), time.monotonic() + LISTENS_WITHIN
    while True:
        rows = [line.split() for line in host.call(sockets.read_text).splitlines()[1:]]
        if any(int(port) == process.pid and int(groups, 16) for _, _, port, groups, *_ in rows):
            return
        assert time.monotonic() < deadline, "ip monitor does not listen"
        time.sleep(0.01)


def _seconds(stamp: str) -> float:
    """Of `2026-01-31T23:59:59.123456`, seconds since 1970."""
    whole, _, fraction = stamp.partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")


def addresses(host: Namespace) -> dict[IPv6Network, dict[str, Any]]:
    """The host's global addresses by their prefix, by the kernel's word."""
    links = json.loads(host.ip("-j", "-6", "address", "show", "dev", "eth0", "scope", "global") or "[]")
    infos = [info for found in links for info in found.get("addr_info", ()) if "local" in info]
    return {IPv6Network((info["local"], info["prefixlen"]), strict=False): info for info in infos}


def default_routes(host: Namespace) -> list[str]:
    return [route["gateway"] for route in json.loads(host.ip("-j", "-6", "route", "show", "default"))]


def prefers(host: Namespace, network: IPv6Network) -> bool:
    """Whether it begins new connections with an address of it."""
    info = addresses(host).get(network)
    return info is not None and not info.get("deprecated") and not info.get("tentative")


def deprecates(host: Namespace, network: IPv6Network) -> bool:
    """Whether it has one and does not."""
    return bool(addresses(host).get(network, {}).get("deprecated"))


def reaches(host: Namespace, address: object) -> bool:
    """Whether it answers."""
    return host.spawn("ping", "-6", "-c", "1", "-W", "1", str(address), stdout=subprocess.DEVNULL).wait() == 0


def path_mtu(host: Namespace, address: object) -> int | None:
    """What it knows of the way there after it has sent as much as its own link takes; None: nothing."""
    full = ("ping", "-6", "-c", "1", "-W", "1", "-M", "do", "-s", "1452", str(address))
    host.spawn(*full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
    (route,) = json.loads(host.ip("-j", "-6", "route", "get", str(address)))
    found: int | None = next((metric["mtu"] for metric in route.get("metrics", ()) if "mtu" in metric), None)
    return found


# What was seen of its addresses


@attrs.frozen
class Turn:
    """At some moment (seconds since 1970) the address out of `network` was deprecated or not, or was deleted."""

    at: float
    network: IPv6Network
    deprecated: bool = False
    deleted: bool = False


def turns(seen: list[tuple[float, str]]) -> list[Turn]:
    """In the order of the kernel's words, those about global addresses that can be used."""
    told = [(at, line) for at, line in seen if "scope global" in line and "tentative" not in line]
    return [_turn(at, line.split()) for at, line in told]


def _turn(at: float, words: list[str]) -> Turn:
    network = IPv6Interface(words[words.index("inet6") + 1]).network
    return Turn(at, network, "deprecated" in words, words[0] == "Deleted")


def deprecated_at(seen: list[tuple[float, str]], network: IPv6Network) -> float | None:
    """When the host first knew that nothing new shall begin with this one."""
    return next((turn.at for turn in turns(seen) if turn.network == network and turn.deprecated), None)


def preferred_at(seen: list[tuple[float, str]], network: IPv6Network) -> float | None:
    """When the host first preferred this one."""
    return next((turn.at for turn in turns(seen) if turn.network == network and not turn.deprecated), None)


def gaps(seen: list[tuple[float, str]], before: IPv6Network) -> float:
    """For how many seconds in all the host that preferred `before` had nothing that it preferred."""
    preferred, since, total = {before}, 0.0, 0.0
    for turn in turns(seen):
        had = bool(preferred)
        preferred = preferred - {turn.network} if turn.deprecated or turn.deleted else preferred | {turn.network}
        if had and not preferred:
            since = turn.at
        elif preferred and not had:
            total += turn.at - since
    return total if preferred else float("inf")


# What it was told


@attrs.frozen
class Heard:
    """An advertisement: when it came (seconds since 1970, by the kernel), and whether it was for all."""

    at: float
    to_all: bool
    message: RouterAdvertisement


@contextmanager
def hearing(host: Namespace) -> Iterator[Callable[[], list[Heard]]]:
    """An ear on the LAN. The value is for the advertisements that came so far."""
    heard: list[Heard] = []
    with host.call(_ear) as ear:

        def drain() -> list[Heard]:
            while (came := _receive(ear)) is not None:
                heard.append(came)
            return list(heard)

        yield drain


def _ear() -> socket.socket:
    ear = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    ear.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, ONLY_ADVERTISEMENTS)
    ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    ear.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ear.setblocking(False)
    return ear


def _receive(ear: socket.socket) -> Heard | None:
    try:
        payload, ancillary, _, _ = ear.recvmsg(65536, 1024)
    except BlockingIOError:
        return None
    said = {kind: data for _, kind, data in ancillary}
    seconds, nanoseconds = struct.unpack("qq", said[SO_TIMESTAMPNS])
    message = wire.decode(payload)
    assert isinstance(message, RouterAdvertisement), message
    target = IPv6Address(said[socket.IPV6_PKTINFO][:16])
    return Heard(seconds + nanoseconds / 1e9, target.is_multicast, message)
