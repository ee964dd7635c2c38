"""A provider behind a switch, customers' lines to it, and programs that are started there with nothing held up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.eye import PATIENCE, Course, watching
from benchmarks.programs import IFNAME, Program
from benchmarks.report import NotRun
from tests.lab.netns import Namespace, lay
from tests.lab.servers import GATEWAY, SERVERS, Terms

SWITCH, BEYOND = "br0", "198.51.100.1"
POOL = ("203.0.113.60", "203.0.113.250")

STAGE = (
    'for d in /run /var/lib/dhcpcd /var/lib/dhcp /var/lib/dhcpv6; do [ -d "$d" ] && mount -t tmpfs tmpfs "$d"; done; '
    'read -r _ <"$0"; exec "$@"'
)
"""A shell, in the mount namespace that `ip netns exec` made, becomes the program when the FIFO $0 is written to."""


@contextmanager
def switch() -> Iterator[Namespace]:
    """The provider's switch, gateway, and a host beyond it, as yet without customers and without a server."""
    with namespace("isp") as isp:
        isp.ip("link", "add", SWITCH, "type", "bridge")
        isp.ip("link", "set", SWITCH, "up")
        isp.ip("address", "add", f"{GATEWAY}/24", "dev", SWITCH)
        isp.ip("address", "add", f"{BEYOND}/32", "dev", "lo")
        yield isp


@contextmanager
def provider(server: str) -> Iterator[Namespace]:
    """The same with a DHCP server. Raises NotRun."""
    command = {"kea": "kea-dhcp4"}.get(server, server)
    if shutil.which(command) is None:
        raise NotRun(f"{command} is not installed")
    with (
        tempfile.TemporaryDirectory(prefix="bench-isp-") as directory,
        switch() as isp,
        SERVERS[server](isp, SWITCH, Path(directory), Terms(pool=POOL)),
    ):
        yield isp


@contextmanager
def namespace(label: str) -> Iterator[Namespace]:
    """A namespace for as long as the block lasts."""
    made = Namespace(label)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def customer(isp: Namespace, port: str = "port0") -> Iterator[Namespace]:
    """A namespace with an interface that nobody has seen before, at a port of the switch that is down."""
    with namespace("customer") as made:
        lay(made, IFNAME, isp, port)
        isp.ip("link", "set", port, "master", SWITCH)
        made.ip("link", "set", IFNAME, "up")
        try:
            yield made
        finally:
            for pid in pids(made):  # some programs fork into sessions of their own
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            isp.ip("link", "delete", port)  # with its namespace it would go at some later time


def pids(there: Namespace) -> list[int]:
    """What runs in the namespace."""
    said = subprocess.run(["ip", "netns", "pids", there.name], capture_output=True, check=True)
    return [int(pid) for pid in said.stdout.split()]


def plug_in(isp: Namespace, port: str = "port0") -> None:
    """The customer's link comes up."""
    isp.ip("link", "set", port, "up")


def acquire(isp: Namespace, program: Program) -> Course:
    """Let a new customer acquire an address, and watch for as long as PATIENCE lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        customer(isp) as line,
        watching(line, isp, SWITCH, BEYOND) as eye,
    ):
        begin = staged(line, program, directory := Path(name))
        if program.waiting:
            begin()
            await_word(directory / "log", program.waiting)
            plug_in(isp)
        else:
            plug_in(isp)
            eye.watch(lambda course: course.link_at)
            eye.course.exec_at = begin()
        eye.watch(lambda course: course.answered_at)
        return eye.course


def staged(line: Namespace, program: Program, directory: Path) -> Callable[[], float]:
    """The program on the line, about to begin. Call the value to let it; it returns when that was. Its output is in
    `directory`/log."""
    gate = directory / "gate"
    os.mkfifo(gate)
    with (directory / "log").open("wb") as log:
        line.spawn("sh", "-c", STAGE, str(gate), *program.command(directory), stdout=log, stderr=subprocess.STDOUT)

    def begin() -> float:
        with gate.open("w") as opened:  # waits for the shell
            began = time.monotonic()
            opened.write("\n")
        return began

    return begin


def await_word(log: Path, word: str) -> None:
    """Wait for what a program says when it waits itself; there is no other sign. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while word not in (said := log.read_text()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody said {word!r}: {said[-500:]}")
        time.sleep(0.02)
