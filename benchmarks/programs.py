"""The DHCPv4 clients that are measured side by side, and how each is started so that nothing of its own holds it up.

Each gets an empty directory and the smallest configuration. Those that leave the address to a script get the smallest
script that puts it, and a default route, on the interface. None of them touches /etc/resolv.conf.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.lab.router import document

IFNAME = "wan0"

SCRIPT = """#!/bin/sh
case "${1:-$reason}" in
bound | BOUND)
    ip address add "${ip:-$new_ip_address}/${subnet:-$new_subnet_mask}" dev "$interface"
    ip route add default via "${router:-$new_routers}" dev "$interface"
    ;;
esac
"""
"""For udhcpc, whose first argument says what happened, and dhclient, which says it in `reason`."""


@attrs.frozen
class Program:
    """A client in one mode. `arguments` may write files into the directory that it gets, which is all the client has.

    `waiting` is in its output once it waits for a carrier. Empty: it cannot wait for one, and has to be started on a
    link that is up. `under` is a command that becomes the program.
    """

    name: str
    binary: str
    arguments: Callable[[Path], list[str]]
    probes: bool = False
    waiting: str = ""
    under: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether it is not a peer."""
        return self.name.startswith("routerd")

    @property
    def missing(self) -> str:
        """Why it cannot be run, or nothing."""
        return "" if shutil.which(self.binary) else f"{self.binary} is not installed"

    def command(self, directory: Path) -> list[str]:
        """What starts it."""
        return [*self.under, self.binary, *self.arguments(directory)]


def routerd(conflict_detection: str) -> Program:
    """Ours: `probe` waits for RFC 5227's probes, `parallel` probes beside the use of the address, `skip` never."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "router.yaml"
        config.write_text(document(("wan", IFNAME), options=f"conflictDetection: {conflict_detection}"))
        where = ["--config", str(config), "--run-dir", str(directory / "run"), "--state-dir", str(directory / "state")]
        return ["-m", "routerd", "serve", *where]

    probes = conflict_detection == "probe"
    return Program(f"routerd {conflict_detection}", sys.executable, arguments, probes, waiting=f"listening on {IFNAME}")


def dhcpcd(*options: str) -> Program:
    """dhcpcd in the foreground, with lines of its dhcpcd.conf. It probes unless one of them is `noarp`."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "dhcpcd.conf"
        config.write_text("\n".join(("nodev", "ipv4only", "noipv4ll", "script /bin/true", *options, "")))
        return ["-B", "-f", str(config), IFNAME]

    name = " ".join(("dhcpcd", *options))
    return Program(name, "dhcpcd", arguments, "noarp" not in options, waiting="waiting for carrier")


def dhclient() -> Program:
    """ISC dhclient in the foreground."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "dhclient.conf"
        config.write_text("request subnet-mask, routers, domain-name-servers;\n")
        files = ("-cf", str(config), "-lf", str(directory / "leases"), "-pf", str(directory / "pid"))
        return ["-4", "-d", "-sf", _script(directory), *files, IFNAME]

    return Program("dhclient", "dhclient", arguments)


def udhcpc() -> Program:
    """Busybox udhcpc in the foreground."""
    return Program("udhcpc", "busybox", lambda directory: ["udhcpc", "-f", "-i", IFNAME, "-s", _script(directory)])


def _script(directory: Path) -> str:
    path = directory / "script"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return str(path)
