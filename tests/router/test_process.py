"""The real process on real sockets, disk and time: what an operator sees when the disk, the files, the sockets, the
signals or the clients are not as they should be. The data plane goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.lab.router import PREFIX, document
from tests.router.process import DAEMON, PATIENCE, WAN, Process, process, small_disk

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc and mounts tmpfs")

GET = "GET {} HTTP/1.1\r\nHost: routerd\r\n{}\r\n"


@pytest.fixture
def routerd() -> Iterator[Process]:
    with process() as routerd:
        yield routerd


@pytest.fixture
def up(routerd: Process) -> Process:
    """It runs and has a lease."""
    routerd.start()
    routerd.until(routerd.bound)
    return routerd


def assert_undisturbed(routerd: Process) -> None:
    """The client has its lease and can extend it, and nothing has crashed."""
    assert routerd.command("renew")["attributes"]["succeeded"] == "true"
    assert routerd.client()["phase"] == "Bound"
    assert "Traceback" not in routerd.log


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
        assert_undisturbed(routerd)
        status = routerd.ctl("status")
        assert status.returncode == 0, status.stderr
        assert "full" in status.stdout, "the operator is told at first glance"
        disk.drain()
        routerd.until(lambda: not routerd.unready())
        routerd.until(lambda: "routerd.log.recovered" in routerd.topics())
        assert_undisturbed(routerd)
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
        assert_undisturbed(routerd)
        disk.drain()
        routerd.until(lambda: not routerd.unready())
        routerd.until(lambda: (routerd.state_dir / DAEMON / "events.jsonl").exists())
        assert_undisturbed(routerd)
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
        assert_undisturbed(routerd)
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
    for path in up.state_dir.glob("routerd.db*"):
        with path.open("r+b") as file:
            file.write(random.Random(1).randbytes(path.stat().st_size))
    up.until(lambda: up.command("renew") and "routerd.log.set-aside" in up.topics())
    assert_undisturbed(up)
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
    assert_undisturbed(up)
    up.state_dir.mkdir(exist_ok=True)  # the lease file may have brought it back already
    up.until(lambda: not up.unready())
    assert_undisturbed(up)
    up.until(lambda: (up.state_dir / DAEMON / "events.jsonl").exists())


def test_state_files_that_are_directories(routerd: Process) -> None:
    for name in ("routerd.db", "duid", "generation.key", f"{DAEMON}/lease.json", f"{DAEMON}/events.jsonl"):
        (routerd.state_dir / name).mkdir(parents=True)
    routerd.start()
    routerd.until(routerd.bound)
    assert_undisturbed(routerd)
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
def test_killed_twenty_times_at_any_moment(routerd: Process) -> None:
    rng = random.Random(20)
    follower = Follower(routerd)
    follower.start()
    for life in range(20):
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
    assert len(lives) > 10
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


# Sockets and locks


def test_a_second_one_on_the_same_state_is_refused_with_the_pid_of_the_first(up: Process) -> None:
    with process() as second:
        second.state_dir = up.state_dir
        assert second.refused() == f"error: another routerd (pid {up.pid}) holds {up.state_dir}/routerd.lock"
    assert_undisturbed(up)


def test_a_second_one_on_the_same_sockets_is_refused_with_the_pid_of_the_first(up: Process) -> None:
    with process() as second:
        second.run_dir = up.run_dir
        said = second.refused()
        assert "another process serves this socket" in said
        assert f"(pid {up.pid})" in said
    assert_undisturbed(up)


@pytest.mark.parametrize("lock", [b"", b"4711 and rubbish", bytes(100), b"\xff" * 4096])
def test_a_lock_file_of_a_dead_process_is_no_obstacle(routerd: Process, lock: bytes) -> None:
    routerd.state_dir.mkdir()
    (routerd.state_dir / "routerd.lock").write_bytes(lock)
    routerd.start()
    assert (routerd.state_dir / "routerd.lock").read_text() == f"{routerd.pid}\n"


@pytest.mark.parametrize("name", ["routerd.sock", "routerd-status.sock"])
def test_what_is_no_socket_stays_and_is_told(routerd: Process, name: str) -> None:
    routerd.run_dir.mkdir()
    (routerd.run_dir / name).write_text("precious")
    assert name in routerd.refused()
    assert (routerd.run_dir / name).read_text() == "precious"
    (routerd.run_dir / name).unlink()
    (routerd.run_dir / name).mkdir()
    assert name in routerd.refused()


def test_a_daemon_s_socket_that_cannot_be_had_costs_only_that(routerd: Process) -> None:
    blocked = routerd.run_dir / f"{DAEMON}.sock"
    blocked.mkdir(parents=True)
    routerd.start()
    routerd.until(routerd.bound)
    routerd.until(lambda: "routerd.daemon.lifecycle.crashed" in routerd.topics())
    assert routerd.ctl("status").returncode == 0
    blocked.rmdir()
    routerd.until(lambda: blocked.is_socket())
    assert routerd.command("renew")["attributes"]["succeeded"] == "true"


def test_the_longest_path_of_a_socket_and_one_octet_more(routerd: Process) -> None:
    room = 106 - len(f"{routerd.directory}//{DAEMON}.sock")
    routerd.run_dir = routerd.directory / ("r" * (room + 1))
    assert f"{DAEMON}.sock is too long" in routerd.refused()
    routerd.run_dir = routerd.directory / ("r" * room)
    routerd.start()
    routerd.until(routerd.bound)
    assert_undisturbed(routerd)


def test_a_name_that_is_too_long_for_a_socket_is_not_taken_up(routerd: Process) -> None:
    routerd.run_dir = routerd.directory / ("r" * (106 - len(f"{routerd.directory}//{DAEMON}.sock")))
    routerd.start()
    routerd.until(routerd.bound)
    routerd.config.write_text(document(("wan", "eth0"), ("wan2", "eth1")))
    routerd.hang_up()
    routerd.until(lambda: "wan2.sock is too long" in routerd.unready().get("configuration", ""))
    assert_undisturbed(routerd)


# Signals and configurations


def test_sigterm_with_every_kind_of_client_attached(up: Process) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(up.connect())
        deaf.sendall(GET.format(f"{PREFIX}/events?since=0", "Accept: text/event-stream\r\n").encode())
        poll = stack.enter_context(up.connect())
        poll.sendall(GET.format(f"{PREFIX}/events?wait=60s", "").encode())
        half = stack.enter_context(up.connect())
        half.sendall(b"GET / HT")
        waiting = stack.enter_context(up.connect(DAEMON))
        waiting.sendall(GET.format("/v1/events?wait=60s&since=999", "").encode())
        crowd(up, stack, 500)
        assert up.stop() < 5
    assert not list(up.run_dir.rglob("*.sock"))


def crowd(routerd: Process, stack: ExitStack, size: int) -> list[socket.socket]:
    """So many connections that say nothing; those that are refused count, too."""
    clients = []
    for _ in range(size):
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.setblocking(False)
        with suppress(BlockingIOError, ConnectionRefusedError):  # the backlog is full
            client.connect(str(routerd.run_dir / "routerd-status.sock"))
        clients.append(client)
    return clients


def test_sigterm_twice_and_sigint(up: Process) -> None:
    assert up.popen is not None
    up.popen.terminate()
    up.popen.terminate()
    up.popen.send_signal(2)
    assert up.popen.wait(PATIENCE) == 0, up.log
    assert "Traceback" not in up.log


def test_a_storm_of_sighup(up: Process) -> None:
    before = numbered(up.events())[-1]
    for _ in range(100):
        up.hang_up()
        time.sleep(0.002)
    assert_undisturbed(up)
    assert up.get("/status")["status"]["generation"] == 1
    assert numbered(up.events())[-1] - before < 20, "nothing has changed, so nothing is told"
    for number in range(20):
        up.config.write_text(WAN.replace("parallel", f"parallel, hostname: host{number}"))
        up.hang_up()
        time.sleep(0.01)
    up.until(lambda: "host19" in json.dumps(up.get("/describe?target=DHCPv4Client%2Fwan")))
    up.until(lambda: up.bound() and (up.run_dir / f"{DAEMON}.sock").is_socket())
    assert_undisturbed(up)


GARBAGE = {
    "emptied": b"",
    "of zeros": bytes(4096),
    "of noise": random.Random(2).randbytes(4096),
    "half": WAN.encode()[: len(WAN) // 2],
    "of another program": b"interface eth0\n  ip address dhcp\n!\n",
    "a list": b"- 1\n- 2\n",
    "a bomb": b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n",
    "deep": b"[" * 100_000,
    "huge": b"# " + b"x" * 20_000_000,
}


def test_configurations_that_are_none(up: Process) -> None:
    """One after the other, and each time the one that runs stays in force; then a good one is taken up."""
    for what, text in GARBAGE.items():
        rejected = up.topics().count("routerd.configuration.rejected")
        up.config.write_bytes(text)
        up.hang_up()
        up.until(lambda: up.topics().count("routerd.configuration.rejected") > rejected)  # noqa: B023
        assert "configuration" in up.unready(), what
        assert up.bound()
    up.config.unlink()
    up.hang_up()
    up.until(lambda: "No such file" in up.unready().get("configuration", ""))
    up.config.mkdir()
    up.hang_up()
    up.until(lambda: "directory" in up.unready().get("configuration", ""))
    up.config.rmdir()
    up.config.write_text(WAN)
    up.hang_up()
    up.until(lambda: not up.unready())
    assert_undisturbed(up)


@pytest.mark.parametrize("what", GARBAGE)
def test_a_start_with_a_configuration_that_is_none(routerd: Process, what: str) -> None:
    routerd.config.write_bytes(GARBAGE[what])
    assert routerd.spawn().wait(PATIENCE) == 1
    assert "Traceback" not in routerd.log
    assert str(routerd.config) in routerd.log
    assert not routerd.run_dir.exists()


# Clients of the API


@pytest.mark.req("C17", "breaks")
def test_clients_that_mean_ill_do_not_hold_up_others(up: Process) -> None:
    with ExitStack() as stack:
        slow = stack.enter_context(up.connect())
        letters = iter(GET.format(f"{PREFIX}/status", "").encode())
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(1.0):
                with suppress(OSError):
                    slow.send(bytes([next(letters)]))

        dripping = threading.Thread(target=drip)
        dripping.start()
        stack.callback(dripping.join)
        stack.callback(stop.set)
        for _ in range(20):
            deaf = stack.enter_context(up.connect())
            deaf.sendall(GET.format(f"{PREFIX}/events?since=0&limit=1000", "").encode() * 200)
        big = stack.enter_context(up.connect(DAEMON))
        with suppress(OSError):  # it may not want to hear it all
            big.sendall(
                b"POST /v1/commands/renew HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n" + bytes(2**21)
            )
        assert b"413" in big.recv(100)
        crowd(up, stack, 500)
        for _ in range(5):
            status = up.ctl("--timeout", "5s", "status")
            assert status.returncode == 0, status.stderr
            assert "Bound" in status.stdout
        assert up.ask("/livez")[0] == 200
        assert_undisturbed(up)
    up.until(lambda: up.descriptors() < 60)


def test_two_thousand_requests_leave_nothing_behind(up: Process) -> None:
    paths = [f"{PREFIX}/status", f"{PREFIX}/events?limit=50", f"{PREFIX}/get/all", "/readyz?verbose", "/nonsense"]
    for _ in range(60):
        for path in paths:
            up.ask(path)
    descriptors, memory = up.descriptors(), up.memory()
    for _ in range(400):
        for path in paths:
            up.ask(path)
    up.until(lambda: up.descriptors() <= descriptors)
    assert up.memory() - memory < 4 << 20
    assert_undisturbed(up)


def test_descriptors_that_run_out(routerd: Process) -> None:
    routerd.wrap = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    routerd.start()
    routerd.until(routerd.bound)
    with ExitStack() as stack:
        crowd(routerd, stack, 200)
        time.sleep(1)
        assert routerd.popen is not None
        assert routerd.popen.poll() is None
    routerd.until(routerd.answers)
    routerd.until(lambda: not routerd.unready())
    assert routerd.command("renew")["attributes"]["succeeded"] == "true"


def test_an_output_that_nobody_reads_any_more(routerd: Process) -> None:
    """Who took the log from stderr is gone: what is told is lost, the router is not."""
    routerd.wrap = ("sh", "-c", '("$@" 2>&1 >&3 | head -c 1) 3>&1', "sh")
    routerd.start()
    routerd.until(routerd.bound)
    routerd.config.write_text("nonsense")
    pid = int((routerd.state_dir / "routerd.lock").read_text())
    for _ in range(5):
        os.kill(pid, 1)
        time.sleep(0.05)
    routerd.until(lambda: "configuration" in routerd.unready())
    assert_undisturbed(routerd)
    os.kill(pid, 15)
    assert routerd.popen is not None
    routerd.popen.wait(PATIENCE)
