"""Every exit code, provoked; and what the operator is told to try."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerctl.__main__ import main
from routerctl.client import Client, default_run_dir
from routerctl.errors import MEANING, Exit, Failure
from routerctl.subjects import WORDS
from tests.routerctl.run import COMMAND, Inside, environment, piped, running
from tests.routerctl.server import PREFIX, Routerd, error, result

SOCKET = "routerd-status.sock"


def test_the_codes_are_the_table() -> None:
    assert {int(code) for code in Exit} == {*range(11), 20, 130} == {int(code) for code in MEANING}


@pytest.mark.parametrize("words", ["status", "--help", "help", "get --help", "version --client", "completion bash"])
def test_0_done(words: str, routerd: Routerd, ctl: Inside) -> None:
    assert ctl(*words.split()).code == 0


def test_help_begins_with_examples(ctl: Inside) -> None:
    for words in ("--help", "-h", "help", "status -h", "wait --help", "completion -h", "reload --help"):
        assert ctl(*words.split()).out.startswith("Examples:\n  "), words


@pytest.mark.parametrize("status", [400, 405, 413, 500, 501, 418])
def test_1_failed(status: int, routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/status"] = error(status, "it is broken")
    done = ctl("status")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error[test.{status}]: it is broken\nrequest 01J8TEST\n"


def test_1_an_error_that_is_no_json(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/status"] = b"HTTP/1.1 500 Oops\r\n\r\n<html>"
    done = ctl("status")
    assert (done.code, done.err) == (1, "error: routerd answered HTTP 500\n")


def test_1_the_place_and_the_field_are_told(routerd: Routerd, ctl: Inside) -> None:
    details = {"field": "spec.interval", "line": 8, "column": 17, "hint": "did you mean 30s?"}
    routerd.overrides[f"{PREFIX}/status"] = error(400, '"30x" is not a duration', **details)
    assert ctl("status").err == (
        'error[test.400]: spec.interval: "30x" is not a duration\n'
        "  --> line:8:17\n"
        "help: did you mean 30s?\n"
        "request 01J8TEST\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        "",
        "frobnicate",
        "get --frobnicate",
        "get -o xml",
        "get -o jsonpath",
        "get -o jsonpath=",
        "get -o jsonpath={[}",
        "get -o custom-columns=NAME",
        "describe",
        "describe wan",
        "describe /wan",
        "describe Interface/",
        "describe Interface/a/b",
        "renew DHCPv4Client/../../etc/x",
        "events --tail x",
        "events --limit -1",
        "get --events-limit -3",
        "describe Interface/wan --events-limit 1.5",
        "events --tail 1 --since 1m",
        "events -f --until 1m",
        "events --consumer x --since 1m",
        "events --since 5parsecs",
        "events --since 25:00",
        "events --since 2026-01-31",
        "events --severity loud",
        "events --since 1s --until 1m",
        "apply",
        "apply -f x --confirm-within soon",
        "apply -f x --if-match x",
        "apply -f x --confirm-within 0s",
        "apply -f x --confirm-within 5m --no-reconcile",
        "delete",
        "delete wan",
        "rollback --to x",
        "rollback --to 1 --list",
        "plan --if-match 1",
        "diff",
        "confirm --extend soon",
        "generations x",
        "why",
        "why wan",
        "rules",
        "rules run -f x",
        "rules test",
        "rules test -f rule.yaml --since soon",
        "doctor everything",
        "log-level --for 1h",
        "log-level loud",
        "log-level debug --for ever",
        "top -n -1",
        "top -d often",
        "status --timeout soon",
        "wait Interface/wan",
        "wait Interface/wan --for phase",
        "wait Interface/wan --for jsonpath=[",
        "wait Interface/wan --for ready",
        "wait routerd --for phase=Up",
        "wait routerd --for ready --or-fail phase=Error",
        "completion tcsh",
    ],
)
def test_2_usage(words: str, routerd: Routerd, ctl: Inside) -> None:
    done = ctl(*words.split())
    assert done.code == 2
    assert words == "" or done.err.startswith("error: ")
    assert words == "" or done.out == ""
    assert not routerd.requests, "routerd is not bothered"


def test_3_not_found(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("get", "Interface/wam").code == 3
    assert ctl("describe", "Interface/wam").code == 3
    assert ctl("wait", "Interface/wam", "--for", "phase=Up").code == 3
    assert ctl("renew", "DHCPv4Client/wam").code == 3


def test_3_the_hint_of_routerd_comes_first(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/describe"] = error(404, "there is no such thing", hint="look elsewhere")
    assert "help: look elsewhere\n" in ctl("describe", "Interface/wam").err


def test_3_the_subjects_of_get(routerd: Routerd, ctl: Inside) -> None:
    there = "there are resources, status, and Kind/name"
    routerd.overrides[f"{PREFIX}/get"] = error(400, "bad request: nosuch not found", hint=there)
    assert f"help: {there}; and generations, consumers\n" in ctl("get", "nosuch").err
    assert "help: did you mean generations?\n" in ctl("get", "generatons").err


def test_2_a_verb_like_no_other(ctl: Inside) -> None:
    assert ctl("xyzzy").err == 'error: there is no verb "xyzzy"\nhelp: routerctl --help lists them\n'


@pytest.mark.parametrize("status", [409, 412])
def test_4_conflict(status: int, routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/status"] = error(status, "not now")
    assert ctl("status").code == 4


def test_4_the_same_advice_is_not_given_twice(routerd: Routerd, ctl: Inside) -> None:
    words = "generation 4 is on trial for another 5m: confirm it or roll it back first"
    routerd.posts["/apply"] = lambda _: error(409, words, hint="confirm it or roll it back first")
    assert ctl("apply", "-f", "router.yaml").err == f"error[test.409]: {words}\nrequest 01J8TEST\n"


def test_hints_are_for_who_types(routerd: Routerd, ctl: Inside) -> None:
    hint = "GET /generations tells which there are"
    routerd.posts["/rollback"] = lambda _: error(404, "there is no text of generation 999", hint=hint)
    assert "help: routerctl generations tells which there are\n" in ctl("rollback", "--to", "999").err
    routerd.posts["/rules/test"] = lambda _: error(400, "bad request: ruleYaml has no EventRule")
    told = ctl("rules", "test", "-f", "rule.yaml").err
    assert told.startswith("error[test.400]: rule.yaml has no EventRule\n")


def test_4_a_refused_command(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: error(409, "the client is stopped")
    done = ctl("renew", "dhcp4/wan")
    assert (done.code, done.err) == (4, "error[test.409]: the client is stopped\nrequest 01J8TEST\n")


def test_4_a_refused_command_of_the_old_shape(routerd: Routerd, ctl: Inside) -> None:
    """The other implementation answers 200 with `accepted: false`."""
    routerd.commands["renew"] = lambda *_: (200, result("renew", "the client is stopped", accepted=False))
    done = ctl("renew", "dhcp4/wan")
    assert (done.code, done.err) == (4, "error: renew DHCPv4Client/wan: the client is stopped\n")


def test_4_a_cursor_that_is_gone(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("events", "--since", "4711").code == 4


def test_5_denied_by_routerd(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/status"] = error(403, "user 1000 is observer", hint="be a member of routerd")
    done = ctl("status")
    assert done.code == 5
    assert [request[0] for request in routerd.requests] == [SOCKET, "routerd.sock"], "both are tried"
    assert "help: be a member of routerd\n" in done.err


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Be somebody whom file modes concern."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_5_denied_by_the_file(run_dir: Path, ctl: Inside) -> None:
    for name in (SOCKET, "routerd.sock"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(run_dir / name))
        (run_dir / name).chmod(0)
    run_dir.chmod(0o755)
    ctl("status")  # Everything is imported: nobody may not read this clone.
    with nobody():
        done = ctl("status")
    assert (done.code, done.out) == (5, "")
    assert done.err == (
        f"error: permission denied on {run_dir}/{SOCKET}\n"
        "help: be a member of the group routerd: `sudo usermod -aG routerd $USER`, then log in again\n"
    )


def test_6_not_running(run_dir: Path, ctl: Inside) -> None:
    done = ctl("status")
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith(f"error: cannot reach routerd: no socket at {run_dir}/{SOCKET}\nhelp: is it running?")
    assert f"tried {run_dir}/{SOCKET}, {run_dir}/routerd.sock" in done.err


def test_6_crashed_and_left_its_sockets(run_dir: Path, ctl: Inside) -> None:
    for name in (SOCKET, "routerd.sock"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(run_dir / name))
    done = ctl("status")
    assert done.code == 6
    assert done.err.startswith(f"error: cannot reach routerd: nobody listens at {run_dir}/{SOCKET}\n")


def test_6_not_ready(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/status"] = error(503, "routerd is starting", code="busy")
    assert ctl("status").code == 6


def test_6_a_path_that_is_too_long(run_dir: Path, ctl: Inside) -> None:
    done = ctl("status", "--socket", f"/tmp/{'x' * 200}")
    assert (done.code, done.err.splitlines()[0]) == (6, f"error: cannot use /tmp/{'x' * 200}: AF_UNIX path too long")


def test_7_timeout(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("wait", "Interface/lan", "--for", "phase=Up", "--timeout", "50ms").code == 7


def test_8_condition(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("wait", "Interface/lan", "--for", "phase=Up", "--or-fail", "phase=Down").code == 8


WATCHED = [f"get {subject} -w" for subject in WORDS]


@pytest.mark.parametrize("words", ["events -f", "wait Interface/lan --for phase=Up", *WATCHED])
def test_130_interrupted(words: str, routerd: Routerd) -> None:
    with running(routerd.run_dir, *words.split()) as program:
        if words.startswith("wait"):
            program.note()
        else:
            program.line()
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(20) == 130
        assert program.process.stderr is not None
        assert program.process.stderr.read() == b""


@pytest.mark.parametrize(
    "words", ["events --tail 200", "why Interface/wan", "plan", "explain Interface", "doctor", "top -n 9 -d 100ms"]
)
def test_a_closed_pipe_is_silent(words: str, routerd: Routerd) -> None:
    for _ in range(200):
        routerd.event("routerd.test", "much " * 100)
    process = subprocess.Popen(
        [*COMMAND, *words.split()],
        env=environment(routerd.run_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


def test_a_full_disk_is_told(routerd: Routerd) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with full.open("w") as stream:
        done = subprocess.run(
            [*COMMAND, "get"], env=environment(routerd.run_dir), stdout=stream, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"error: cannot write: No space left on device\n")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("words", ["status", "get --help", "status --frobnicate"])
def test_a_closed_output_is_no_defect(words: str, redirection: str, routerd: Routerd) -> None:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh"]
    arguments = [*shell, *COMMAND, *words.split()]
    done = subprocess.run(arguments, env=environment(routerd.run_dir), capture_output=True, check=False)
    assert done.returncode == (2 if "frobnicate" in words else 0)
    assert b"Traceback" not in done.stdout + done.stderr


# Which socket


def test_reads_ask_the_status_socket(routerd: Routerd, ctl: Inside) -> None:
    ctl("status")
    assert {request[0] for request in routerd.requests} == {SOCKET}


def test_reads_go_on_to_the_main_socket(routerd: Routerd, ctl: Inside) -> None:
    (routerd.run_dir / SOCKET).unlink()
    assert ctl("get", "-o", "name").code == 0
    assert [request[0] for request in routerd.requests] == ["routerd.sock"]


def test_reads_that_the_status_socket_denies_go_to_the_main_one(routerd: Routerd, ctl: Inside) -> None:
    def choosy(socket: str) -> object:
        return error(403, "not here") if socket == SOCKET else (200, {"kind": "GetResult", "items": []})

    routerd.overrides[f"{PREFIX}/get"] = choosy  # type: ignore[assignment]
    assert ctl("get").code == 0


def test_one_socket_can_be_named(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("--socket", str(routerd.run_dir / "routerd.sock"), "get", "-o", "name").code == 0
    assert [request[0] for request in routerd.requests] == ["routerd.sock"]


def test_commands_go_to_the_daemon(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renewed", succeeded="true"))
    ctl("renew", "dhcp4/wan")
    posted = [request for request in routerd.requests if request[1] == "POST"]
    assert posted == [
        ("dhcpv4-client/wan.sock", "POST", "/v1/commands/renew", {"wait": ["10000ms"]}, {"command": "renew"})
    ]


def test_the_run_dir_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_run_dir() == "/run/routerd"
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert default_run_dir() == "/var/run/routerd"
    monkeypatch.setenv("ROUTERD_RUN_DIR", "/elsewhere")
    assert default_run_dir() == "/elsewhere"


def test_the_option_beats_the_environment(routerd: Routerd) -> None:
    done = piped(Path("/nonexistent"), "get", "--run-dir", str(routerd.run_dir), "-o", "name")
    assert done.code == 0


def test_a_read_survives_a_restart(routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the first try; it is up at the second."""
    routerd.stop()
    monkeypatch.setattr("routerctl.client.time.sleep", lambda _: routerd.start())
    assert ctl("get", "-o", "name").code == 0


def test_a_command_is_never_sent_twice(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["release"] = lambda *_: b""
    assert ctl("release", "dhcp4/wan").code == 6
    assert [request[1] for request in routerd.requests].count("POST") == 1


def test_main_is_what_the_console_script_calls(routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["routerctl", "--run-dir", str(routerd.run_dir), "get", "-o", "name"])
    assert main() == 0


def test_client_raises_failures_only(run_dir: Path) -> None:
    client = Client(str(run_dir))
    client.patient = False
    with pytest.raises(Failure) as failure:
        client.begin(str(run_dir / "none.sock"), "GET", "/")
    assert failure.value.code is Exit.UNREACHABLE
