"""The real process with sockets, signals, configurations and clients that are not as they should be: what an operator
sees of it. The data plane goes on."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.lab.router import PREFIX, document
from tests.router.process import DAEMON, PATIENCE, WAN, Process, process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc and mounts tmpfs")

GET = "GET {} HTTP/1.1\r\nHost: routerd\r\n{}\r\n"


# Sockets and locks


def test_a_second_one_on_the_same_state_is_refused_with_the_pid_of_the_first(up: Process) -> None:
    with process() as second:
        second.state_dir = up.state_dir
        assert second.refused() == f"error: another routerd (pid {up.pid}) holds {up.state_dir}/routerd.lock"
    up.assert_undisturbed()


def test_a_second_one_on_the_same_sockets_is_refused_with_the_pid_of_the_first(up: Process) -> None:
    with process() as second:
        second.run_dir = up.run_dir
        said = second.refused()
        assert "another process serves this socket" in said
        assert f"(pid {up.pid})" in said
        assert second.log.endswith("help: stop it first, or give this one its own --run-dir\n")
        assert "started" not in second.log, "it has told of nothing that was not"
        assert not (second.state_dir / "routerd.db").exists()
    up.assert_undisturbed()


@pytest.mark.parametrize("flag", ["run-dir", "state-dir"])
def test_a_folder_that_cannot_be_had_is_told_with_its_flag(routerd: Process, flag: str) -> None:
    (routerd.directory / "file").touch()
    inside = routerd.directory / "file" / "inside"
    setattr(routerd, flag.replace("-", "_"), inside)
    assert routerd.refused() == f"error: cannot make {inside}: Not a directory"
    assert routerd.log.endswith(f"help: name another folder with --{flag}\n")


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
    routerd.assert_undisturbed()


def test_a_name_that_is_too_long_for_a_socket_is_not_taken_up(routerd: Process) -> None:
    routerd.run_dir = routerd.directory / ("r" * (106 - len(f"{routerd.directory}//{DAEMON}.sock")))
    routerd.start()
    routerd.until(routerd.bound)
    routerd.config.write_text(document(("wan", "eth0"), ("wan2", "eth1")))
    routerd.hang_up()
    routerd.until(lambda: "wan2.sock is too long" in routerd.unready().get("configuration", ""))
    routerd.assert_undisturbed()


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
    before = up.events()[-1]["id"]
    for _ in range(100):
        up.hang_up()
        time.sleep(0.002)
    up.assert_undisturbed()
    assert up.get("/status")["status"]["generation"] == 1
    assert up.events()[-1]["id"] - before < 20, "nothing has changed, so nothing is told"
    for number in range(20):
        up.config.write_text(WAN.replace("parallel", f"parallel, hostname: host{number}"))
        up.hang_up()
        time.sleep(0.01)
    up.until(lambda: "host19" in json.dumps(up.get("/describe?target=DHCPv4Client%2Fwan")))
    # What is told as Bound may still be the word of a client that has been replaced meanwhile.
    up.until(up.extends)
    up.assert_undisturbed()


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
    up.assert_undisturbed()


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
        up.assert_undisturbed()
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
    up.assert_undisturbed()


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
    routerd.assert_undisturbed()
    os.kill(pid, 15)
    assert routerd.popen is not None
    routerd.popen.wait(PATIENCE)
