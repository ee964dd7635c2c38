"""How long an operator waits for `routerctl status`: from exec to exit, against a server that answers at once."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import within

ROOT = Path(__file__).resolve().parents[1]
RUNS = 31
GOAL = 60.0
"""Milliseconds."""

ANSWERS = {
    b"/status": b'{"kind":"Status","status":{"phase":"Healthy","generation":3,"resourceCount":2,"controllers":[]}}',
    b"/get": b"""{"kind":"GetResult","items":[
        {"kind":"DHCPv4Client","name":"wan","spec":{"interface":"wan"},"status":{"phase":"Bound",
         "currentAddress":"192.0.2.10","prefixLength":24,"defaultGateway":"192.0.2.1","dnsServers":["192.0.2.53"],
         "renewAt":"2038-01-01T00:00:00Z","expiresAt":"2038-01-02T00:00:00Z"}},
        {"kind":"Interface","name":"wan","spec":{"ifname":"wan0"},"status":{"phase":"Up","ifname":"wan0","carrier":true}}]}""",
    b"/readyz": b'{"status":"ok","checks":[{"name":"daemon dhcpv4-client/wan","status":"pass","detail":"Running"}]}',
}


def run() -> list[dict[str, Any]]:
    """The medians, in turns, so that what else the machine does falls on all of them alike."""
    with tempfile.TemporaryDirectory(prefix="rctl") as run_dir, serving(f"{run_dir}/routerd-status.sock"):
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "routerctl status": [sys.executable, "-m", "routerctl", "status"],
            "bin/routerctl status": [str(ROOT / "bin" / "routerctl"), "status"],
            "routerctl --help": [sys.executable, "-m", "routerctl", "--help"],
        }
        environment = {**os.environ, "ROUTERD_RUN_DIR": run_dir, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(RUNS + 1):
            for name, command in commands.items():
                took = timed(command, environment)
                if turn:  # The first writes bytecode.
                    runs[name].append(took)
    walls = {name: [wall for wall, _ in took] for name, took in runs.items()}
    return [
        {
            "name": f"{name}, wall",
            "value": round(median(walls[name]), 1),
            "unit": "ms",
            "detail": f"fastest {min(walls[name]):.1f}, slowest {max(walls[name]):.1f};"
            f" processor time {median(cpu for _, cpu in runs[name]):.1f}; medians of {RUNS}",
            **(within(median(walls[name]), GOAL, "ms") if name == "routerctl status" else {}),
        }
        for name in commands
    ]


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor time of a run, in ms: the second hardly depends on what else the machine does."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, cwd="/", stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall * 1e3, (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


@contextlib.contextmanager
def serving(path: str) -> Iterator[None]:
    """A routerd that knows three answers."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            target = connection.recv(65536).split(b" ", 2)[1].partition(b"?")[0]
            body = ANSWERS[b"/" + target.rpartition(b"/")[2]]
            connection.sendall(b"HTTP/1.1 200 \r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


if __name__ == "__main__":
    for result in run():
        print(f"{result['name']:28} {result['value']:8.1f} {result['unit']}   {result['detail']}")
