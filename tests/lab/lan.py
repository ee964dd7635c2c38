"""A Linux host of a LAN, asked and watched from outside: what its kernel has made of router advertisements."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

from tests.lab.netns import Namespace

Events = Callable[[], list[tuple[float, str]]]


@contextmanager
def watching(host: Namespace, directory: Path) -> Iterator[Events]:
    """An independent eye: `ip -ts monitor`. The value is for what it has seen so far: (when, line)."""
    path = directory / "monitor6.txt"
    with path.open("w") as output:
        process = host.spawn("ip", "-6", "-o", "-ts", "monitor", "address", stdout=output)
        time.sleep(0.3)  # ip monitor does not tell when it listens

        def seen() -> list[tuple[float, str]]:
            lines = [line for line in path.read_text().splitlines() if line.startswith("[")]
            return [(_seconds(line[1 : line.index("]")]), line[line.index("]") + 1 :].strip()) for line in lines]

        try:
            yield seen
        finally:
            process.kill()
            process.wait()


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
