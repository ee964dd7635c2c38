"""A real `routerd serve --host simulated` process on real sockets, disk and time, and its surroundings' mischief."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from tests.lab.router import PREFIX, Connection, document

ROOT = Path(__file__).parent.parent.parent
WAN = document(("wan", "eth0"))
DAEMON = "dhcpv4-client/wan"
PATIENCE = 30.0
"""Seconds after which a test gives up; a machine that is busy is no failure."""


@attrs.define(eq=False)
class Process:
    """routerd in `directory`, which outlives its lives; its state and sockets may be elsewhere. `wrap` stands before
    its command line (`sh -c "ulimit …"`)."""

    directory: Path
    state_dir: Path = attrs.field(init=False)
    run_dir: Path = attrs.field(init=False)
    wrap: tuple[str, ...] = ()
    popen: subprocess.Popen[bytes] | None = None

    def __attrs_post_init__(self) -> None:
        self.state_dir, self.run_dir = self.directory / "state", self.directory / "run"

    @property
    def config(self) -> Path:
        return self.directory / "router.yaml"

    @property
    def log(self) -> str:
        """What it has written to stdout and stderr so far."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    @property
    def command_line(self) -> list[str]:
        paths = ("--config", self.config, "--run-dir", self.run_dir, "--state-dir", self.state_dir)
        return [*self.wrap, sys.executable, "-m", "routerd", "serve", "--host", "simulated", *map(str, paths)]

    # Its life

    def spawn(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start it and do not wait for anything."""
        if not self.config.exists():
            self.config.write_text(WAN)
        with (self.directory / "log").open("ab") as output:
            self.popen = subprocess.Popen(
                self.command_line, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, **environment}
            )
        return self.popen

    def start(self) -> None:
        """Start it and wait until it says that it is ready (sd_notify)."""
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(0.2)
            process = self.spawn(NOTIFY_SOCKET=str(path))
            self.until(lambda: self._heard(notify, process))

    def _heard(self, notify: socket.socket, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log
        with suppress(TimeoutError):
            return b"READY=1" in notify.recv(1024)
        return False

    def refused(self) -> str:
        """Start it, expect it to end by itself, in order and with exit code 1; what it says of that."""
        assert self.spawn().wait(PATIENCE) == 1, self.log
        assert "Traceback" not in self.log
        return next(line for line in reversed(self.log.splitlines()) if line.startswith("error: "))

    def kill(self) -> None:
        """kill -9."""
        assert self.popen is not None
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> float:
        """SIGTERM; after how many seconds it had ended, in order."""
        assert self.popen is not None
        began = time.monotonic()
        self.popen.terminate()
        assert self.popen.wait(PATIENCE) == 0, self.log
        return time.monotonic() - began

    def hang_up(self) -> None:
        """SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    # What it says

    def connect(self, name: str = "routerd-status") -> socket.socket:
        """A connection to one of its sockets."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(self.run_dir / f"{name}.sock"))
        return client

    def ask(self, target: str, method: str = "GET", name: str = "routerd-status") -> tuple[int, Any]:
        """One request: HTTP status, and what came."""
        connection = Connection(self.run_dir / f"{name}.sock", PATIENCE)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether there is room for one more connection."""
        try:
            return self.ask("/livez")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """An answer of the control API."""
        status, body = self.ask(PREFIX + path)
        assert status == 200, body
        return body

    def unready(self) -> dict[str, str]:
        """What /readyz finds wrong, with its words."""
        status, body = self.ask("/readyz")
        failed = {check["name"]: check["detail"] for check in body.get("checks", ())}
        assert status == (503 if failed else 200)
        return failed

    def command(self, name: str) -> Any:
        """A command to the DHCPv4 client; the event that ended it."""
        status, body = self.ask(f"/v1/commands/{name}", "POST", DAEMON)
        assert status == 200, body
        return body

    def client(self) -> dict[str, Any]:
        """The status of DHCPv4Client/wan."""
        return self.status_of("DHCPv4Client/wan")

    def status_of(self, target: str) -> dict[str, Any]:
        """The status of a resource; empty as long as it has none."""
        described: dict[str, Any] = self.get(f"/describe?target={quote(target)}")
        status: dict[str, Any] = described["resource"].get("status", {})
        return status

    def events(self, **query: str) -> list[dict[str, Any]]:
        """All events of the log."""
        found: list[dict[str, Any]] = []
        more = "".join(f"&{name}={quote(value)}" for name, value in query.items())
        cursor = "0"
        while page := self.get(f"/events?since={cursor}&limit=500{more}"):
            found += page["events"]
            if cursor == page["cursor"] or not page["events"]:
                break
            cursor = page["cursor"]
        return found

    def topics(self) -> list[str]:
        return [event["topic"] for event in self.events()]

    def bound(self) -> bool:
        """Whether it has a lease that a server has confirmed."""
        return self.client().get("phase") == "Bound"

    def extends(self) -> bool:
        """Whether there is a client, and it can extend its lease at this moment."""
        try:
            return self.ask("/v1/commands/renew", "POST", DAEMON)[0] == 200
        except (OSError, HTTPException):
            return False

    def assert_undisturbed(self) -> None:
        """The client has its lease and can extend it, and nothing has crashed."""
        assert self.command("renew")["attributes"]["succeeded"] == "true"
        assert self.client()["phase"] == "Bound"
        assert "Traceback" not in self.log

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run routerctl."""
        command = [sys.executable, "-m", "routerctl", "--run-dir", str(self.run_dir), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)

    def in_use(self) -> bool:
        """Whether it uses a lease, be it one of before that is still to be confirmed."""
        return "currentAddress" in self.client()

    def until(self, holds: Callable[[], object], within: float = PATIENCE) -> None:
        """Wait for what tells of itself in no other way."""
        deadline = time.monotonic() + within
        while not holds():
            assert self.popen is None or self.popen.poll() is None, f"it ended:\n{self.log[-6000:]}"
            assert time.monotonic() < deadline, f"not within {within} s:\n{self.log[-6000:]}"
            time.sleep(0.02)

    # What it costs

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def libraries(self) -> str:
        """The files that it has mapped."""
        return Path(f"/proc/{self.pid}/maps").read_text()

    def memory(self) -> int:
        """Octets of memory that are its own."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [kib] = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
        return int(kib) * 1024


@contextmanager
def process() -> Iterator[Process]:
    """A process that is not started yet, in a folder with a short name; at the end all of it is gone."""
    with tempfile.TemporaryDirectory(prefix="rd-") as directory:
        routerd = Process(Path(directory))
        try:
            yield routerd
        finally:
            if routerd.popen is not None and routerd.popen.poll() is None:
                routerd.kill()


@attrs.frozen
class Disk:
    """A file system of one MiB."""

    path: Path

    def fill(self) -> None:
        """Leave no block free."""
        with (self.path / "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def drain(self) -> None:
        """Give all of that back."""
        (self.path / "ballast").unlink()

    def remount(self, option: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)


@contextmanager
def small_disk(path: Path) -> Iterator[Disk]:
    """Mount one. Skips where that is not allowed."""
    path.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=False).returncode:
        pytest.skip("this root may not mount")
    with ExitStack() as stack:
        stack.callback(lambda: subprocess.run(["umount", "-l", path], check=True))
        yield Disk(path)
