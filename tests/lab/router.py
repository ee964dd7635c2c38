"""The router under test in its namespace: a real process, asked over its real sockets, watched from outside."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from tests.lab.netns import Namespace

PREFIX = "/api/control.routerd.net/v1alpha1"

INTERFACE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {{name: {name}}}
      spec: {{ifname: {ifname}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {{name: {name}}}
      spec: {{interface: {name}, {options}}}
"""


def document(*clients: tuple[str, str], options: str = "conflictDetection: parallel") -> str:
    """A configuration with a DHCPv4 client for each (name, ifname)."""
    head = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: lab}\nspec:\n  resources:\n"
    return head + "".join(INTERFACE.format(name=name, ifname=ifname, options=options) for name, ifname in clients)


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        super().__init__("routerd", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@attrs.define(eq=False)
class Router:
    """One routerd in `namespace`; its files in `directory` outlive its processes."""

    namespace: Namespace
    directory: Path
    config: str
    process: subprocess.Popen[Any] | None = None
    boot: int = 0
    """How often the machine has been started anew."""

    @property
    def run_dir(self) -> Path:
        return self.directory / "run"

    @property
    def command_line(self) -> list[str]:
        """What starts it."""
        config, state_dir = self.directory / "router.yaml", self.directory / "state"
        flags = ["--config", str(config), "--run-dir", str(self.run_dir), "--state-dir", str(state_dir)]
        return [*self._another_boot(), sys.executable, "-m", "routerd", "serve", *flags]

    def _another_boot(self) -> list[str]:
        """What lets a process see another boot id than the kernel has: `ip netns exec` gives it its own mounts."""
        if not self.boot:
            return []
        boot_id = self.directory / "boot_id"
        boot_id.write_text(f"{uuid.UUID(int=self.boot)}\n")
        return ["sh", "-c", 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"', str(boot_id)]

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.directory / "router.yaml").write_text(self.config)
        with (self.directory / "routerd.log").open("ab") as output:
            self.process = self.namespace.spawn(*self.command_line, stdout=output, stderr=subprocess.STDOUT)
        self.until(lambda: self.answers(), 20)

    def answers(self) -> bool:
        """Whether the API answers."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "routerd.log").read_text()
        try:
            return bool(self.get("/status"))
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9, as by the OOM killer."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def reboot(self) -> None:
        """Power off and on, up to where routerd would start: what the kernel and /run had is gone, and cables were dead
        for a moment."""
        self.kill()
        self.boot += 1
        shutil.rmtree(self.run_dir)
        links = [link["ifname"] for link in json.loads(self.namespace.ip("-j", "link")) if link["ifname"] != "lo"]
        for link in links:
            self.namespace.ip("link", "set", link, "down")
        for version in ("-4", "-6"):
            self.namespace.ip(version, "route", "flush", "proto", "114")
        for link in links:
            self.namespace.ip("link", "set", link, "up")

    def stop(self) -> float:
        """SIGTERM; returns after how many seconds it had ended, in order."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, (self.directory / "routerd.log").read_text()
        return time.monotonic() - began

    def get(self, path: str) -> Any:
        """GET on the status socket."""
        return self._request("GET", self.run_dir / "routerd-status.sock", PREFIX + path)

    def command(self, client: str, command: str) -> Any:
        """A command on a DHCPv4 client's socket."""
        return self.order(self.run_dir / "dhcpv4-client" / f"{client}.sock", command)

    def order(self, daemon: Path, command: str) -> Any:
        """A command on the socket of any daemon."""
        return self._request("POST", daemon, f"/v1/commands/{command}")

    def ask(self, daemon: Path, target: str) -> Any:
        """GET on the socket of any daemon."""
        return self._request("GET", daemon, target)

    def status(self, target: str) -> dict[str, Any]:
        """The status of `Kind/name`."""
        answer: dict[str, Any] = self.get(f"/describe?target={quote(target)}")["resource"].get("status", {})
        return answer

    def topics(self, glob: str = "routerd.dhcpv4.client.**") -> list[str]:
        """The topics of all events of a glob, in order, without the client's prefix."""
        return [event["topic"].removeprefix("routerd.dhcpv4.client.") for event in self.events(glob)]

    def events(self, glob: str) -> list[dict[str, Any]]:
        """All events of a glob, in order."""
        events: list[dict[str, Any]] = self.get(f"/events?since=0&limit=1000&topic={glob}")["events"]
        return events

    def routerctl(self, *arguments: str) -> str:
        """What routerctl prints."""
        environment = ["env", f"ROUTERD_RUN_DIR={self.run_dir}"]
        return self.namespace.run(*environment, sys.executable, "-m", "routerctl", *arguments)

    def addresses(self, ifname: str) -> list[str]:
        """IPv4 addresses by the kernel's word."""
        links = json.loads(self.namespace.ip("-j", "-4", "addr", "show", "dev", ifname) or "[]")
        infos = [info for link in links for info in link.get("addr_info", [])]
        return [f"{info['local']}/{info['prefixlen']}" for info in infos]

    def routes(self) -> list[str]:
        """Our own routes by the kernel's word, one line each."""
        return [line.strip() for line in self.namespace.ip("-4", "route", "show", "proto", "114").splitlines()]

    def until(self, holds: Callable[[], object], within: float = 30.0) -> None:
        """Wait for something that no event of ours tells: the kernel's state, or the API's first answer."""
        deadline = time.monotonic() + within
        while not holds():
            log = (self.directory / "routerd.log").read_text()
            assert time.monotonic() < deadline, f"not within {within} s; the log:\n{log[-6000:]}"
            time.sleep(0.02)

    def _request(self, method: str, path: Path, target: str) -> Any:
        connection = Connection(path)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body
            return body
        finally:
            connection.close()


@contextmanager
def watching(namespace: Namespace, directory: Path) -> Iterator[Callable[[], str]]:
    """An independent eye on the addresses: `ip monitor`. Call the value for what it has seen so far."""
    path = directory / "monitor.txt"
    with path.open("w") as output:
        process = namespace.spawn("ip", "-4", "-o", "monitor", "address", stdout=output)
        time.sleep(0.3)  # ip monitor does not tell when it listens
        try:
            yield path.read_text
        finally:
            process.kill()
            process.wait()
