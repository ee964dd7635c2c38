"""What a client sees of a big router: `GET /get` of 1,000 resources beside a bare h11 loop that sends the same octets,
and how long after an event is told to routerd its watchers hold it, by a stream (SSE) and by long polls.

The event is a lease on the LAN, posted through the API: it is on disk when the post is answered, and the audit of who
posted it is among what the watchers read. The time is from the post's first octet to the watcher's last.
"""

from __future__ import annotations

import json
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.api import serving
from benchmarks.changes import HEAD
from benchmarks.report import progress, versus
from tests.lab.router import PREFIX, Connection
from tests.router.process import Process, process

RESOURCES, RUNS = 1000, 15
EVENTS = 200
NET = "net.routerd.net/v1alpha1"
LEASE = json.dumps({"action": "renewed", "ip": "192.168.1.20"})
GET = f"{PREFIX}/get?subject=resources&limit={RESOURCES}&events-limit=0"
TOPIC = "topic=routerd.dhcp.lease.renewed"


def document() -> str:
    """A thousand black holes."""
    return HEAD + "".join(
        f"  - {{apiVersion: {NET}, kind: IPv4Route, metadata: {{name: r{n}}}, "
        f"spec: {{destination: 198.18.{n // 256}.{n % 256}/32, type: blackhole}}}}\n"
        for n in range(RESOURCES)
    )


def run() -> list[dict[str, Any]]:
    """Medians of the whole answer; p50 and p99 of the watchers."""
    with process() as routerd:
        routerd.config.write_text(document())
        routerd.start()
        routerd.until(lambda: routerd.get("/status")["status"]["phase"] == "Healthy", within=120)
        rows = [_get(routerd)]
        for watchers in (1, 50):
            progress(f"watch: {watchers} streams")
            rows += _told(f"post to stream, {watchers} watchers", _delays(routerd, watchers, _follow))
        progress("watch: long polls")
        rows += _told("post to long poll, 1 watcher", _delays(routerd, 1, _poll))
    return rows


def _get(routerd: Process) -> dict[str, Any]:
    path = routerd.run_dir / "routerd-status.sock"
    answer = _asked(path)[1]
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as name:
        Path(name, "answer").write_bytes(answer)
        with serving("bare", name) as loop:
            for _ in range(RUNS):
                ours.append(_asked(path)[0])
                bare.append(_asked(Path(loop.path))[0])
    ratio = statistics.median(ours) / statistics.median(bare)
    return {
        "name": f"GET /get of {RESOURCES} resources",
        "value": round(statistics.median(ours) * 1e3, 1),
        "unit": "ms",
        "detail": f"{len(answer) // 1024} KiB; fastest {min(ours) * 1e3:.1f}; median of {RUNS}",
        **versus("bare h11 on trio", round(ratio, 1)),
    }


def _asked(path: Path) -> tuple[float, bytes]:
    """Seconds, and the answer's body."""
    connection = Connection(path, 60)
    began = time.perf_counter()
    try:
        connection.request("GET", GET)
        body = connection.getresponse().read()
        return time.perf_counter() - began, body
    finally:
        connection.close()


def _delays(routerd: Process, watchers: int, watch: Any) -> list[float]:
    """Of each event to each watcher, in seconds."""
    heard: list[list[float]] = [[] for _ in range(watchers)]
    ready = threading.Barrier(watchers + 1)
    threads = [threading.Thread(target=watch, args=(routerd, times, ready)) for times in heard]
    for thread in threads:
        thread.start()
    ready.wait(60)
    time.sleep(0.5)  # the last of them is listening
    posted = []
    for _ in range(EVENTS):
        posted.append(time.perf_counter())
        status, body = _post(routerd)
        assert status == 200, body
    for thread in threads:
        thread.join(60)
    return [at - began for times in heard for began, at in zip(posted, times, strict=True)]


def _post(routerd: Process) -> tuple[int, bytes]:
    connection = Connection(routerd.run_dir / "routerd.sock", 60)
    try:
        connection.request("POST", f"{PREFIX}/dhcp-lease-event", LEASE, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _follow(routerd: Process, times: list[float], ready: threading.Barrier) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(routerd.run_dir / "routerd-status.sock"))
        newest = routerd.get("/events?tail=1")["cursor"]
        request = f"GET {PREFIX}/events?since={newest}&{TOPIC} HTTP/1.1\r\nHost: r\r\nAccept: text/event-stream\r\n\r\n"
        client.sendall(request.encode())
        ready.wait(60)
        with client.makefile("rb") as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    times.append(time.perf_counter())
                    if len(times) == EVENTS:
                        return


def _poll(routerd: Process, times: list[float], ready: threading.Barrier) -> None:
    cursor = routerd.get("/events?tail=1")["cursor"]
    ready.wait(60)
    while len(times) < EVENTS:
        page = routerd.get(f"/events?since={cursor}&wait=30s&{TOPIC}")
        times += [time.perf_counter()] * len(page["events"])
        cursor = page["cursor"]


def _told(name: str, delays: list[float]) -> list[dict[str, Any]]:
    cuts = statistics.quantiles(delays, n=100)
    return [
        {
            "name": f"{name}, {which}",
            "value": round(cut * 1e3, 2),
            "unit": "ms",
            "detail": f"{EVENTS} events, one after the other, each on disk",
        }
        for which, cut in (("p50", cuts[49]), ("p99", cuts[98]))
    ]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:40} {row['value']:>10} {row['unit']:4} {row['detail']}")
