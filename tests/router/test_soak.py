"""Events under load, with server and clients killed (-9) at random: what each client saw and what was declared lost to
it is the log, each event once. SOAK_SECONDS is how long the slow one takes (an hour)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.router.process import DAEMON, ROOT, Process
from tests.router.watcher import PREFIX, digest, number

MODES = ("stream", "poll", "daemon-stream", "daemon-poll", "consumer")
SOCKETS = {"stream": "routerd-status", "poll": "routerd", "consumer": "routerd"}
SEED = int(os.environ.get("SOAK_SEED", "1"))


@attrs.define(eq=False)
class Watcher:
    """A client and its file, over all its lives."""

    routerd: Process
    mode: str
    popen: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        return self.routerd.directory / f"seen-{self.mode}"

    @property
    def of_daemon(self) -> bool:
        return self.mode.startswith("daemon")

    def start(self) -> None:
        socket = self.routerd.run_dir / f"{SOCKETS.get(self.mode, DAEMON)}.sock"
        script = ROOT / "tests" / "router" / "watcher.py"
        self.popen = subprocess.Popen([sys.executable, script, socket, self.mode, self.path], cwd=ROOT)

    def kill(self) -> None:
        assert self.popen is not None
        assert self.popen.poll() is None, "it ended by itself"
        self.popen.kill()
        self.popen.wait()

    def last(self) -> int:
        """The number of the last event that it has."""
        with self.path.open("rb") as file:
            file.seek(max(self.path.stat().st_size - 4096, 0))
            lines = [line for line in file.read().decode().split("\n")[:-1] if not line.startswith("lost")]
        return number(lines[-1].split()[0]) if lines else 0

    def seen(self) -> Iterator[tuple[int, str]]:
        """What it saw, in order; of what was declared lost (0, how many)."""
        with self.path.open() as file:
            for line in file:
                first, second = line.split()
                yield (0, second) if first == "lost" else (number(first), second)


@pytest.fixture
def soaked(routerd: Process, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setenv("SOAK_RATE", "2000")
    monkeypatch.setenv("SOAK_RECEIPTS", str(routerd.directory / "receipts"))
    routerd.wrap = (sys.executable, "-m", "tests.router.soaked")
    return routerd


def test_eight_seconds_of_it(soaked: Process) -> None:
    soak(soaked, 8.0)


@pytest.mark.slow
def test_an_hour_of_it(soaked: Process) -> None:
    soak(soaked, float(os.environ.get("SOAK_SECONDS", "3600")))


def soak(routerd: Process, seconds: float) -> None:
    rng = random.Random(SEED)
    watchers = [Watcher(routerd, mode) for mode in MODES]
    routerd.start()
    try:
        for watcher in watchers:
            watcher.start()
        kills = rage(routerd, watchers, seconds, rng)
        # What follows is without a publisher, so that there is an end to reach.
        routerd.kill()
        routerd.wrap = ()
        routerd.start()
        routerd.until(lambda: listens(routerd))
        newest, newest_of_daemon = end_of(routerd)
        for watcher in watchers:
            target = newest_of_daemon if watcher.of_daemon else newest
            routerd.until(lambda w=watcher, t=target: w.last() >= t, within=120)  # type: ignore[misc]
    finally:
        for watcher in watchers:
            if watcher.popen is not None:
                watcher.kill()
    log, of_daemon = truth(routerd, False), truth(routerd, True)
    for watcher in watchers:
        judge(watcher, of_daemon if watcher.of_daemon else log, newest_of_daemon if watcher.of_daemon else newest)
    assert_receipts(routerd, log)
    assert_once(routerd, of_daemon)
    assert "Traceback" not in routerd.log
    print(f"{newest} events, {kills} kills, seed {SEED}")


def rage(routerd: Process, watchers: list[Watcher], seconds: float, rng: random.Random) -> int:
    """Kill one or the other, again and again; how often."""
    until, kills = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.2, 1.5))
        kills += 1
        if rng.random() < 0.4:
            routerd.kill()
            routerd.start()
        else:
            watcher = rng.choice(watchers)
            watcher.kill()
            watcher.start()
    return kills


def listens(routerd: Process) -> bool:
    """Whether its daemon answers already."""
    try:
        return routerd.ask("/v1/status", name=DAEMON)[0] == 200
    except OSError:
        return False


def end_of(routerd: Process) -> tuple[int, int]:
    """The newest event, and the newest of the daemon by its own count."""
    page = routerd.ask("/v1/events?tail=true", name=DAEMON)[1]
    return routerd.get("/events?tail=1")["newest"], int(page["newest"])


def truth(routerd: Process, of_daemon: bool) -> dict[int, str]:
    """What the log has: digests by number."""
    found: dict[int, str] = {}
    cursor = None
    path, name = ("/v1/events", DAEMON) if of_daemon else (f"{PREFIX}/events", "routerd-status")
    while True:
        since = "" if cursor is None else f"&since={cursor}"
        status, page = routerd.ask(f"{path}?limit=1000{since}", name=name)
        assert status == 200, page
        if not page["events"]:
            return found
        found |= {int(event["cursor"] if of_daemon else event["id"]): digest(event) for event in page["events"]}
        cursor = page["cursor"]


def judge(watcher: Watcher, log: dict[int, str], newest: int) -> None:
    """Ascending, each once, the same as in the log, and nothing missing that was not declared lost. The durable
    consumer has some twice: what it had not acknowledged when it was killed."""
    before, owed, count = 0, 0, 0
    for at, what in watcher.seen():
        if at == 0:
            owed += int(what)
            continue
        if watcher.mode == "consumer" and at <= before:
            assert log.get(at, what) == what
            continue
        assert at > before, f"{watcher.mode}: {at} after {before}"
        missing = at - before - 1
        assert missing == owed, f"{watcher.mode}: {missing} missing before {at}, {owed} declared lost"
        assert log.get(at, what) == what, f"{watcher.mode}: {at} is another event than in the log"
        before, owed, count = at, 0, count + 1
    assert before >= newest, watcher.mode
    assert count, watcher.mode


def assert_receipts(routerd: Process, log: dict[int, str]) -> None:
    """What its publisher was told to be on disk is there, but for what retention took."""
    oldest = min(log)
    receipts = [int(line) for line in (routerd.directory / "receipts").read_text().split("\n")[:-1]]
    assert receipts and len(set(receipts)) == len(receipts)
    assert all(one in log for one in receipts if one >= oldest)


def assert_once(routerd: Process, of_daemon: dict[int, str]) -> None:
    """The daemon's events are in the log once, without a gap, and as its journal has them."""
    numbers = sorted(of_daemon)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    directory = routerd.state_dir / "dhcpv4-client" / "wan"
    lines = [
        json.loads(line)
        for name in ("events.jsonl.1", "events.jsonl")
        if (directory / name).exists()
        for line in (directory / name).read_text().splitlines()
    ]
    journal = [int(line["cursor"]) for line in lines]
    assert journal == list(range(journal[0], journal[0] + len(journal)))
    told: dict[str, Any] = {line["cursor"]: digest(line) for line in lines if int(line["cursor"]) in of_daemon}
    assert all(of_daemon[int(cursor)] == what for cursor, what in told.items())
