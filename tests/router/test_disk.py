"""The real process on a disk that is full, broken, or was left in the middle of a write by kill -9: the data plane goes
on, what was told stays told."""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import sys
import threading
import time
from typing import Any

import pytest

from tests.lab.router import PREFIX
from tests.router.process import DAEMON, PATIENCE, Process, process, small_disk

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it mounts a tmpfs")


def numbered(events: list[dict[str, Any]]) -> list[int]:
    return [event["id"] for event in events]


# The disk


def test_a_disk_that_fills_up_and_has_room_again(routerd: Process) -> None:
    routerd.state_dir = routerd.directory / "disk"
    with small_disk(routerd.state_dir) as disk:
        routerd.start()
        routerd.until(routerd.bound)
        disk.fill()
        routerd.until(lambda: routerd.command("renew") and "event-log" in routerd.unready())
        assert "full" in routerd.unready()["event-log"]
        routerd.assert_undisturbed()
        status = routerd.ctl("status")
        assert status.returncode == 0, status.stderr
        assert "full" in status.stdout, "the operator is told at first glance"
        disk.drain()
        routerd.until(lambda: not routerd.unready())
        routerd.until(lambda: "routerd.log.recovered" in routerd.topics())
        routerd.assert_undisturbed()
        events = routerd.events()
        assert numbered(events) == list(range(1, len(events) + 1)), "nothing was lost meanwhile"
        routerd.stop()


def test_a_start_on_a_full_disk(routerd: Process) -> None:
    routerd.state_dir = routerd.directory / "disk"
    with small_disk(routerd.state_dir) as disk:
        disk.fill()
        routerd.start()
        routerd.until(routerd.bound)
        assert "event-log" in routerd.unready()
        assert routerd.ctl("status").returncode == 0
        routerd.assert_undisturbed()
        disk.drain()
        routerd.until(lambda: not routerd.unready())
        routerd.until(lambda: (routerd.state_dir / DAEMON / "events.jsonl").exists())
        routerd.assert_undisturbed()
        assert routerd.stop() < 5


@pytest.mark.parametrize("used", [True, False])
def test_a_start_on_a_disk_that_is_read_only(routerd: Process, used: bool) -> None:
    """A router whose flash has failed is still a router; and one of it is enough."""
    routerd.state_dir = routerd.directory / "disk"
    with small_disk(routerd.state_dir) as disk:
        if used:
            routerd.start()
            routerd.until(routerd.bound)
            routerd.kill()
            (routerd.state_dir / DAEMON / "lease.json").unlink()  # confirming it takes a while
        disk.remount("ro")
        routerd.start()
        routerd.until(routerd.bound)
        assert "event-log" in routerd.unready()
        routerd.assert_undisturbed()
        with process() as second:
            second.state_dir = routerd.state_dir
            assert "another routerd (pid " in second.refused()
        disk.remount("rw")
        routerd.until(lambda: not routerd.unready())
        routerd.until(lambda: (routerd.state_dir / DAEMON / "events.jsonl").exists())


def test_sigterm_on_a_full_disk_with_a_debt(routerd: Process) -> None:
    routerd.state_dir = routerd.directory / "disk"
    with small_disk(routerd.state_dir) as disk:
        routerd.start()
        routerd.until(routerd.bound)
        disk.fill()
        routerd.until(lambda: routerd.command("renew") and "event-log" in routerd.unready())
        assert routerd.stop() < 5


@pytest.mark.req("C5", "breaks")
def test_a_log_that_is_overwritten_while_it_is_open(up: Process) -> None:
    newest = numbered(up.events())[-1]
    log, index = up.state_dir / "routerd.db", up.state_dir / "routerd.db-shm"
    with index.open("r+b") as last:
        # SQLite's lock of who writes: a transaction that is under way would put the index in order again, and live on.
        fcntl.lockf(last, fcntl.LOCK_EX, 1, 120)
        for path in (log, up.state_dir / "routerd.db-wal"):
            with path.open("r+b") as file:
                file.write(random.Random(1).randbytes(path.stat().st_size))
        last.write(random.Random(1).randbytes(index.stat().st_size))
    up.until(lambda: up.command("renew") and "routerd.log.set-aside" in up.topics())
    up.assert_undisturbed()
    assert up.unready() == {}
    assert numbered(up.events())[0] > newest, "ids go on"
    assert list(up.state_dir.glob("routerd.db.corrupt-*"))
    address = up.client()["currentAddress"]
    up.stop()
    up.start()
    up.until(up.in_use)
    assert up.client()["currentAddress"] == address


def test_a_state_directory_that_is_deleted_while_it_runs(up: Process) -> None:
    up.state_dir.rename(up.directory / "gone")
    shutil.rmtree(up.directory / "gone")
    up.assert_undisturbed()
    up.state_dir.mkdir(exist_ok=True)  # the lease file may have brought it back already
    up.until(lambda: not up.unready())
    up.assert_undisturbed()
    up.until(lambda: (up.state_dir / DAEMON / "events.jsonl").exists())


def test_state_files_that_are_directories(routerd: Process) -> None:
    for name in ("routerd.db", "duid", "generation.key", f"{DAEMON}/lease.json", f"{DAEMON}/events.jsonl"):
        (routerd.state_dir / name).mkdir(parents=True)
    routerd.start()
    routerd.until(routerd.bound)
    routerd.assert_undisturbed()
    assert routerd.ctl("status").returncode == 0
    assert routerd.stop() < 5


# kill -9


class Follower(threading.Thread):
    """Reads every event as it comes, over all lives of the router, as a script with a cursor would."""

    def __init__(self, routerd: Process) -> None:
        super().__init__(daemon=True)
        self.routerd, self.seen, self.ended = routerd, list[dict[str, Any]](), False

    def run(self) -> None:
        cursor = "0"
        while not self.ended:
            try:
                status, page = self.routerd.ask(f"{PREFIX}/events?since={cursor}&wait=1s&limit=1000")
            except (OSError, ValueError):  # killed before or in the middle of its answer
                time.sleep(0.01)
                continue
            assert status == 200, page
            self.seen += page["events"]
            cursor = page["cursor"]


@pytest.mark.req("C5", "breaks")
def test_killed_ten_times_at_any_moment(routerd: Process) -> None:
    rng = random.Random(20)
    follower = Follower(routerd)
    follower.start()
    for life in range(10):
        if life % 2:
            routerd.spawn()
            time.sleep(rng.random() * 0.8)
        else:
            routerd.start()
            time.sleep(rng.random() / 4)
        routerd.kill()
    routerd.start()
    routerd.until(routerd.in_use)
    assert routerd.unready() == {}
    events = routerd.events()
    routerd.until(lambda: len(follower.seen) >= len(events))
    follower.ended = True
    follower.join(PATIENCE)
    seen = follower.seen[: len(events)]
    assert numbered(events) == list(range(1, len(events) + 1))
    assert seen == events, "what somebody was told stays so, in order, once"
    lives = [e for e in events if e["topic"] == "routerd.daemon.lifecycle.started" and e["sourceName"] == "routerd"]
    assert len(lives) > 5
    lines = (routerd.state_dir / DAEMON / "events.jsonl").read_text().splitlines()
    cursors = [int(json.loads(line)["cursor"]) for line in lines]
    assert cursors == list(range(1, len(cursors) + 1))


def test_a_simulated_host_that_starts_anew_has_booted(up: Process) -> None:
    """Its clock begins elsewhere: a lease of before is judged by the wall clock."""
    expires = up.client()["expiresAt"]
    up.kill()
    up.start()
    up.until(lambda: "lease.resumed" in "".join(up.topics()))
    resumed = [e for e in up.events() if e["topic"].endswith("lease.resumed")]
    assert len(resumed) == 1
    assert abs(moment(up.client()["expiresAt"]) - moment(expires)) < 60


def moment(text: str) -> float:
    from routerd.shapes.instant import parse_instant

    instant = parse_instant(text)
    assert isinstance(instant, int)
    return instant / 1e9
