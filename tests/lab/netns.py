"""Network namespaces for tests: make, wire together, run and open things inside, and clean up whatever happened.

Not a lab by itself: servers and readiness belong to who starts them. Without root the tests skip and say why;
with ROUTERD_LAB=required in the environment they fail instead, so that CI cannot pass by skipping.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_GLINK = 0x8946, 0x0A
_serial = itertools.count(1)
_index = itertools.count(1000)


def need(obstacle: str | None) -> None:
    """Skip the test for this reason, or fail it if the lab is required; None: go on."""
    if obstacle is None:
        return
    if os.environ.get("ROUTERD_LAB") == "required":
        pytest.fail(f"ROUTERD_LAB=required, but: {obstacle}")
    pytest.skip(obstacle)


def need_program(name: str) -> str:
    """The path of a program that the test cannot do without; see `need`."""
    path = shutil.which(name)
    need(None if path else f"{name} is not installed")
    assert path is not None
    return path


@cache
def obstacle_to_namespaces() -> str | None:
    """Why no namespace can be made here, or None."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    probe = f"routerd-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"cannot make network namespaces (root? see unshare -Urnm): {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


class Namespace:
    """One network namespace with `lo` up and no duplicate address detection (a tentative address makes servers deaf).

    Use the `namespaces` fixture to make one. Its name in `ip netns` is `path.name`.
    """

    def __init__(self, label: str) -> None:
        self.name = f"routerd-{os.getpid()}-{next(_serial)}-{label}"
        self.path = Path("/run/netns") / self.name
        self._processes: list[subprocess.Popen[Any]] = []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link", "set", "lo", "up")
        for scope in ("all", "default"):
            self.sysctl(f"net.ipv6.conf.{scope}.accept_dad", "0")

    def ip(self, *arguments: str) -> str:
        """`ip -n NAME …`, its output; raises CalledProcessError."""
        return _output(["ip", "-n", self.name, *arguments])

    def run(self, *command: str) -> str:
        """Run a command in the namespace to its end, return its output; raises CalledProcessError."""
        return _output(["ip", "netns", "exec", self.name, *command])

    def spawn(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a command in the namespace, in a session of its own; it is killed with the namespace at the latest."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command], start_new_session=True, stdin=subprocess.DEVNULL, **options
        )
        self._processes.append(process)
        return process

    def sysctl(self, key: str, value: str) -> None:
        """Set a `net.*` sysctl of this namespace."""
        path = Path("/proc/sys") / key.replace(".", "/")
        self.call(lambda: path.write_text(value))

    def settle(self, link: str) -> None:
        """Return when frames can leave by a link whose other end has just come up. The kernel opens its queue some time
        after that, and until then drops without a word; asking for the link (ethtool(8)) makes it do so at once."""
        answer = array.array("I", [ETHTOOL_GLINK, 0])
        request = struct.pack("16sP16x", link.encode(), answer.buffer_info()[0])

        def ask() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
                fcntl.ioctl(channel, SIOCETHTOOL, request)

        self.call(ask)
        assert answer[1], f"{link} has no carrier"

    def call(self, function: Callable[[], T]) -> T:
        """Call the function in a thread that is in this namespace. A socket opened there stays there, and may be
        used from anywhere."""

        def inside() -> T:
            _setns(self.path)
            return function()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(inside).result()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and what it opens, is in this namespace. trio's worker threads (`to_thread`, `run_process`) may
        not be: one that idles from an earlier test stays where it was. Use `run` and `spawn` for commands."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self.path)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)

    def close(self) -> None:
        """Kill what was spawned (its whole session's group) and delete the namespace."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def wire(here: Namespace, here_name: str, there: Namespace, there_name: str) -> None:
    """Lay a cable: a veth pair between two namespaces (or within one), both ends up."""
    lay(here, here_name, there, there_name)
    here.ip("link", "set", here_name, "up")
    there.ip("link", "set", there_name, "up")
    here.settle(here_name)


def lay(here: Namespace, here_name: str, there: Namespace, there_name: str, *options: str) -> None:
    """Lay a cable with both ends down; `options` (such as `address MAC`) are for the end here.

    The index here is one that no other end has: the kernel takes a veth whose peer has the same index for a physical
    link, and tells of its carrier only once a second.
    """
    end = ("name", here_name, "index", str(next(_index)), *options)
    here.ip("link", "add", *end, "type", "veth", "peer", "name", there_name, "netns", there.name)


@pytest.fixture
def namespaces() -> Iterator[Callable[[str], Namespace]]:
    """Make namespaces: `namespaces("isp")`. All are gone, with all that runs in them, after the test."""
    need(obstacle_to_namespaces())
    with ExitStack() as stack:

        def make(label: str) -> Namespace:
            namespace = Namespace(label)
            stack.callback(namespace.close)
            return namespace

        yield make


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr.strip())
    return done.stdout


def _setns(target: Path | int) -> None:
    """Move this thread (os.setns is only in Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = target if isinstance(target, int) else os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(target))
    finally:
        if descriptor != target:
            os.close(descriptor)
