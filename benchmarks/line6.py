"""A provider that delegates prefixes behind a switch, and households of a router and a host on its LAN."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.eye import PATIENCE
from benchmarks.eye6 import Course6, watching6
from benchmarks.line import SWITCH, await_word, customer, namespace, plug_in, staged, switch
from benchmarks.programs import IFNAME, Program
from benchmarks.programs6 import LAN
from benchmarks.report import NotRun
from tests.lab.netns import Namespace, wire
from tests.lab.servers6 import SERVER, Terms6, kea

HOST = "eth0"
ADVERTISING = ("routerd", "networkd")
"""Programs that tell the LAN of its prefix themselves."""


@contextmanager
def provider6(terms: Terms6) -> Iterator[Namespace]:
    """The switch with a kea-dhcp6. Raises NotRun."""
    if shutil.which("kea-dhcp6") is None:
        raise NotRun("kea-dhcp6 is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-isp-") as directory, switch() as isp:
        wire(isp, "trunk", isp, "far")  # without a port that is up a bridge has no carrier
        isp.ip("link", "set", "trunk", "master", SWITCH)
        isp.ip("address", "add", f"{SERVER}/64", "dev", SWITCH, "nodad")
        await_link_local(isp, SWITCH)
        with kea(isp, SWITCH, Path(directory), terms):
            yield isp


def await_link_local(there: Namespace, ifname: str) -> None:
    """The kernel gives an interface its address some time after its carrier. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while "fe80:" not in there.ip("-6", "address", "show", "dev", ifname, "scope", "link", "-tentative"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{ifname} has no link-local address")
        time.sleep(0.02)


@attrs.frozen
class Household:
    """A router at the provider's line, and a host on its LAN."""

    router: Namespace
    host: Namespace


@contextmanager
def household(isp: Namespace) -> Iterator[Household]:
    """One that nobody has seen before; its line is down, its LAN is up."""
    with namespace("host") as host, customer(isp) as router:
        wire(router, LAN, host, HOST)
        await_link_local(router, LAN)
        yield Household(router, host)


def delegate(isp: Namespace, program: Program, terms: Terms6) -> Course6:
    """Let a new household acquire a prefix, and watch for as long as PATIENCE lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        household(isp) as home,
        watching6(home.router, LAN, isp, SWITCH, home.host, terms.pool) as eye,
    ):
        begin = staged(home.router, program, directory := Path(name))
        if program.waiting:
            begin()
            await_word(directory / "log", program.waiting)
            plug_in(isp)
        else:
            plug_in(isp)
            eye.watch(lambda course: course.link_at)
            await_link_local(home.router, IFNAME)
            eye.course.exec_at = begin()
        advertises = program.name in ADVERTISING
        eye.watch(lambda course: course.address_at and (course.advertised_at or not advertises))
        return eye.course
