"""The verbs that change the configuration: what is sent, how each end reads, and what protects the operator."""

from __future__ import annotations

import io
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.routerctl.answers import FAULT, TOKEN, answered, applied, faulty, generations, pending, plan, unchanged
from tests.routerctl.run import Inside, on_terminal, piped, running
from tests.routerctl.server import PREFIX, Answer, Routerd, at, error

APPLY = ("apply", "-f", "router.yaml")


def posted(routerd: Routerd) -> list[tuple[str, Any]]:
    """Path and body of what was sent, all of it to the main socket."""
    assert {request[0] for request in routerd.requests if request[1] == "POST"} <= {"routerd.sock"}
    return [(path.removeprefix(PREFIX), body) for _, method, path, _, body in routerd.requests if method == "POST"]


# What is sent


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        ("apply -f router.yaml", "/apply", {"candidateYaml": "kind: Router\n"}),
        ("apply -f router.yaml --replace", "/apply", {"candidateYaml": "kind: Router\n", "replace": True}),
        ("apply -f router.yaml --no-reconcile", "/apply", {"candidateYaml": "kind: Router\n", "noReconcile": True}),
        ("apply -f router.yaml --dry-run", "/apply", {"candidateYaml": "kind: Router\n", "dryRun": True}),
        (
            "apply -f router.yaml --confirm-within 1m30s",
            "/apply",
            {"candidateYaml": "kind: Router\n", "confirmWithin": "90000ms"},
        ),
        ("plan", "/plan", {}),
        ("plan -f router.yaml --replace", "/plan", {"candidateYaml": "kind: Router\n", "replace": True}),
        ("diff -f router.yaml", "/plan", {"candidateYaml": "kind: Router\n"}),
        ("validate", "/validate", {}),
        ("delete if/guest", "/delete", {"target": "Interface/guest"}),
        (
            "delete Thing/old --force --api-version x/v1 --dry-run",
            "/delete",
            {"target": "Thing/old", "targetApiVersion": "x/v1", "force": True, "dryRun": True},
        ),
        ("rollback", "/rollback", {}),
        ("rollback --to 2 --no-reconcile", "/rollback", {"to": 2, "noReconcile": True}),
        ("confirm abc", "/confirm", {"token": "abc"}),
        ("confirm abc --extend 5m", "/confirm", {"token": "abc", "extend": "300000ms"}),
        ("log-level debug --for 1h", "/log-level", {"level": "debug", "for": "3600000ms"}),
        (
            "rules test -f rule.yaml --since 7d",
            "/rules/test",
            {"ruleYaml": "kind: EventRule\n", "since": "604800000ms"},
        ),
    ],
)
def test_what_is_sent(words: str, path: str, body: dict[str, Any], routerd: Routerd, ctl: Inside) -> None:
    assert ctl(*words.split()).code == 0
    assert posted(routerd) == [(path, body)]


def test_from_stdin(routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO("name: Größe\n".encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert ctl("apply", "-f", "-").code == 0
    assert posted(routerd) == [("/apply", {"candidateYaml": "name: Größe\n"})]


def test_the_generation_that_one_has_seen(routerd: Routerd, ctl: Inside) -> None:
    ctl(*APPLY, "--if-match", "41")
    assert [fields["If-Match"] for fields in routerd.fields if "If-Match" in fields] == ['"41"']


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read odd: No such file or directory"),
        (b"a: b\nc: \xff\n", "odd is not UTF-8"),
        (b"#" * ((1 << 20) + 1), "odd is larger than 1048576 bytes, which is more than routerd takes"),
    ],
)
def test_files_that_cannot_be_sent(
    content: bytes | None, words: str, routerd: Routerd, ctl: Inside, desk: Path
) -> None:
    if content is not None:
        (desk / "odd").write_bytes(content)
    done = ctl("apply", "-f", "odd")
    assert (done.code, done.err.splitlines()[0]) == (1, f"error: {words}")
    assert not posted(routerd)


def test_a_directory_is_no_configuration(ctl: Inside) -> None:
    assert ctl("apply", "-f", ".").err == "error: cannot read .: Is a directory\n"


# How it ends


def test_the_errors_of_a_configuration_read_as_those_of_a_compiler(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/apply"] = lambda _: faulty()
    done = ctl(*APPLY)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'error[schema.duration]: HealthCheck/internet spec.interval: "30x" is not a duration\n'
        "  --> router.yaml:8:17\n"
        " 8 |       interval: 30x   # bad\n"
        "   |                 ^^^ expected number + ms|s|m|h\n"
        "help: did you mean 30s?     request 01J8TEST; 1 error, nothing changed\n"
    )


@pytest.mark.parametrize("verb", ["apply", "plan", "diff", "validate"])
def test_all_errors_at_once(verb: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: faulty(3))
    done = ctl(verb, "-f", "router.yaml")
    assert done.code == 1
    assert done.err == f"{FAULT}\n\n" * 3 + "request 01J8TEST; 3 errors, nothing changed\n"


@pytest.mark.parametrize("verb", ["apply", "plan", "validate"])
def test_the_file_is_named_as_it_was_typed(verb: str, routerd: Routerd, ctl: Inside) -> None:
    """routerd does not know it by a name."""
    status, body = faulty()
    body["error"]["errors"][0]["excerpt"] = FAULT.replace("router.yaml", "candidate")
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: (status, body))
    assert "\n  --> router.yaml:8:17\n" in ctl(verb, "-f", "router.yaml").err


def test_validate_is_answered_in_peace(routerd: Routerd, ctl: Inside) -> None:
    """200 with `valid: false`, as the other implementation answers."""
    _, body = faulty(2)
    told = {
        "kind": "ValidateResult",
        "valid": False,
        "error": body["error"]["message"],
        "errors": body["error"]["errors"],
    }
    routerd.posts["/validate"] = lambda _: (200, told)
    done = ctl("validate", "-f", "router.yaml")
    assert (done.code, done.err) == (1, f"{FAULT}\n\n{FAULT}\n\n2 errors, nothing changed\n")
    assert ctl("validate", "-f", "router.yaml", "-o", "jsonpath=.valid").out == "false\n"


def test_validate_of_the_old_shape(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/validate"] = lambda _: (200, {"valid": False, "error": "bad request: no such interface"})
    done = ctl("validate")
    assert (done.code, done.err) == (1, "error: no such interface\n")


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        ("Healthy", 0),
        ("Applied", 0),
        ("Committed", 0),
        ("Drifted", 10),
        ("Errored", 1),
        ("Blocked", 10),
        ("RolledBack", 9),
    ],
)
@pytest.mark.parametrize("verb", ["apply -f router.yaml", "delete if/wan", "rollback"])
def test_the_exit_code_is_of_the_phase(verb: str, phase: str, code: int, routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: answered("ApplyResult", applied(phase=phase)))
    assert ctl(*verb.split()).code == code
    assert ctl(*verb.split(), "-o", "json").code == code


def test_10_one_resource_failed(routerd: Routerd, ctl: Inside) -> None:
    conditions = [{"type": "Applied", "status": "False", "message": "no such device"}]
    failed = {"id": "net/v1/Interface/x", "phase": "Error", "outcome": "failed", "conditions": conditions}
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", applied(resources=[failed]))
    done = ctl(*APPLY)
    assert done.code == 10
    assert "Interface/x  failed   Error  no such device\n" in done.out


@pytest.mark.parametrize(("status", "code"), [(403, 5), (409, 4), (412, 4), (501, 1), (500, 1), (503, 6)])
@pytest.mark.parametrize(
    "verb", ["apply -f router.yaml", "plan", "delete if/x", "rollback", "confirm x", "log-level info"]
)
def test_refusals(verb: str, status: int, code: int, routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: error(status, "it is not to be", hint="look again"))
    done = ctl(*verb.split())
    assert (done.code, done.out) == (code, "")
    assert done.err == f"error[test.{status}]: it is not to be\nhelp: look again\nrequest 01J8TEST\n"


@pytest.mark.parametrize(
    "words",
    [
        "apply -f router.yaml",
        "plan",
        "validate",
        "delete if/x",
        "rollback",
        "rollback --list",
        "confirm",
        "generations",
        "generations 3",
        "why if/x",
        "rules test -f rule.yaml",
        "explain Interface",
        "doctor",
        "log-level info",
        "top",
        "get consumers -w",
    ],
)
def test_6_nobody_is_there(words: str, run_dir: Path, ctl: Inside) -> None:
    done = ctl(*words.split())
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith(f"error: cannot reach routerd: no socket at {run_dir}/routerd")


def test_6_it_went_away_in_the_middle(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/apply"] = lambda _: b""
    done = ctl(*APPLY)
    assert done.code == 6
    assert done.err.endswith("help: whether it was done is not known: routerctl generations\n")
    assert len(posted(routerd)) == 1, "never sent twice"


@pytest.fixture
def slow(routerd: Routerd) -> threading.Event:
    """An apply that ends when this is set."""
    ended = threading.Event()

    def apply(_: Any) -> Answer:
        assert ended.wait(20)
        return answered("ApplyResult", applied())

    routerd.posts["/apply"] = apply
    return ended


def test_7_it_takes_too_long(routerd: Routerd, slow: threading.Event, ctl: Inside) -> None:
    done = ctl(*APPLY, "--timeout", "100ms")
    slow.set()
    assert (done.code, done.out) == (7, "")
    assert done.err == "error: apply has not ended yet; it goes on\nhelp: routerctl generations\n"


def test_130_interrupted(routerd: Routerd, slow: threading.Event) -> None:
    with running(routerd.run_dir, *APPLY) as program:
        routerd.await_poll()
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(20) == 130
        assert program.note() == "interrupted; routerd ends the change by itself: routerctl generations"
    slow.set()


def test_progress_in_a_pipe_is_a_line_for_each_event(routerd: Routerd, slow: threading.Event) -> None:
    with running(routerd.run_dir, *APPLY) as program:
        routerd.await_poll()
        routerd.event("routerd.config.applying", "generation 4 is written")
        routerd.event("routerd.resource.status.changed", "of no interest")
        assert program.note().startswith("waiting: generation 4 is written  ")
        slow.set()
        assert program.line().startswith("~ EgressRoutePolicy/ipv4 ")
        assert program.process.wait(20) == 0


def test_no_changes(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: answered("ApplyResult", unchanged()))
    assert ctl(*APPLY).out == "no changes: generation 3 stays\n"
    assert ctl(*APPLY, "--dry-run").out == "no changes\n"
    assert ctl("plan", "--exit-code").code == 0
    done = ctl("diff", "-f", "router.yaml", "--exit-code")
    assert (done.code, done.out, done.err) == (0, "", "no changes\n")


def test_written_and_not_taken_up(routerd: Routerd, ctl: Inside) -> None:
    result = {"generation": 5, "timestamp": at(0), "phase": "Committed", "changed": True, "resources": None}
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", result)
    done = ctl(*APPLY, "--no-reconcile")
    assert (done.code, done.out) == (0, "generation 5 is written, and taken up at the next change or start\n")


def test_status_tells_what_waits(routerd: Routerd, ctl: Inside) -> None:
    routerd.status["waitingGeneration"] = 5
    assert ctl("status").out.splitlines()[1] == "generation 5 is written, and taken up at the next change or start"


def test_added_and_removed(routerd: Routerd, ctl: Inside) -> None:
    fields = [{"path": "spec.ifname", "after": "eth2"}, {"path": "spec.mtu", "after": 1500}]
    changes = [
        {"resource": "Interface/guest", "change": "added", "fields": fields},
        {"resource": "Interface/lan", "change": "removed"},
        {"resource": "Interface/wan", "change": "changed", "fields": [{"path": "spec.mtu", "before": 1492}]},
    ]
    routerd.posts["/plan"] = lambda _: answered("PlanResult", {**unchanged(), "changes": changes})
    assert ctl("diff", "-f", "router.yaml").out == (
        "+ Interface/guest   ifname eth2\n"
        "                    mtu 1500\n"
        "- Interface/lan\n"
        "~ Interface/wan     mtu 1492 -> -\n"
    )


def test_orphans_and_restarts_are_told(routerd: Routerd, ctl: Inside) -> None:
    orphan = {"kind": "Interface", "name": "old", "reason": "declared no more", "remediation": "delete --force"}
    stopped = {"id": "x/Old/old", "artifacts": [{"kind": "Daemon", "name": "dhcpv4-client/old", "action": "stop"}]}
    daemons = ["dhcpv4-client/wan", "dhcpv4-client/old"]
    told = {**plan(), "resources": [stopped], "restarts": daemons, "orphans": [orphan]}
    routerd.posts["/plan"] = lambda _: answered("PlanResult", told)
    shown = ctl("plan").out
    assert "restarts dhcpv4-client/wan\nstops dhcpv4-client/old\n" in shown
    assert "  left over: Interface/old  declared no more; delete --force\n" in shown
    assert shown.endswith("1 warning.\n"), "nothing is to be applied"


# At a terminal


def terminal(routerd: Routerd, *words: str, typed: str = "") -> tuple[int, str, list[tuple[str, Any]]]:
    """Exit code, what was seen, what was sent."""
    routerd.requests.clear()
    done = on_terminal(routerd.run_dir, *words, typed=typed)
    return done.code, done.out, posted(routerd)


@pytest.mark.parametrize("words", ["apply -f router.yaml --replace", "delete NAT44Rule/lan", "rollback"])
def test_what_takes_away_is_shown_and_asked(words: str, routerd: Routerd) -> None:
    routerd.posts |= dict.fromkeys(("/delete", "/rollback"), routerd.posts["/apply"])
    for reply in ("n\n", "\n", "what?\n", "\x04"):
        code, shown, sent = terminal(routerd, *words.split(), typed=reply)
        assert code == 1
        assert "~ EgressRoutePolicy/ipv4" in shown
        assert shown.endswith("error: nothing changed, as you wished\n")
        assert [body.get("dryRun") for _, body in sent] == [True]
    code, shown, sent = terminal(routerd, *words.split(), typed="y\n")
    assert (code, "Go on? [y/N] " in shown) == (0, True)
    assert [body.get("dryRun") for _, body in sent] == [True, None]


@pytest.mark.parametrize("words", ["apply -f router.yaml --replace --yes", "rollback -y", "apply -f router.yaml"])
def test_nothing_is_asked_that_need_not_be(words: str, routerd: Routerd) -> None:
    code, shown, sent = terminal(routerd, *words.split())
    assert (code, "[y/N]" in shown, len(sent)) == (0, False, 1)


def test_nothing_is_asked_when_nothing_changes(routerd: Routerd) -> None:
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", unchanged())
    code, shown, _ = terminal(routerd, *APPLY, "--replace")
    assert (code, "[y/N]" in shown) == (0, False)


def test_in_a_pipe_nothing_is_asked(routerd: Routerd) -> None:
    assert piped(routerd.run_dir, *APPLY, "--replace", SSH_CONNECTION="10.0.0.5 4711 192.0.2.1 22").code == 0
    assert len(posted(routerd)) == 1


@pytest.mark.parametrize(
    ("reply", "code", "within"), [("\n", 0, "5m"), ("n\n", 0, None), ("q\n", 1, ""), ("x\n", 1, "")]
)
def test_over_ssh_a_change_that_undoes_itself_is_offered(
    reply: str, code: int, within: str | None, routerd: Routerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 4711 192.0.2.1 22")
    ended, shown, sent = terminal(routerd, *APPLY, typed=reply)
    assert ended == code
    assert "You are connected over SSH" in shown
    assert [body.get("confirmWithin") for _, body in sent[1:]] == ([] if within == "" else [within])
    assert (f"routerctl confirm {TOKEN}" in shown) == (within == "5m")


def test_over_ssh_who_has_thought_of_it_is_not_asked(routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 4711 192.0.2.1 22")
    code, shown, sent = terminal(routerd, *APPLY, "--confirm-within", "1m")
    assert (code, "SSH" in shown, len(sent)) == (0, False, 1)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour(name: str, value: str, routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    for words in (APPLY, ("plan",), ("why", "Interface/wan"), ("doctor",)):
        assert "\x1b[3" not in on_terminal(routerd.run_dir, *words).out


# While a change waits to be confirmed

BANNER = "pending: generation 4 is rolled back in 11m unless confirmed: routerctl confirm\n"


@pytest.mark.parametrize(
    "words", ["status", "get", "get -o json", "plan -f router.yaml", "version", "doctor", "why if/wan"]
)
def test_every_verb_says_so_once(words: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.pending = f"4 {at(11 * 60 + 30)}"
    done = ctl(*words.split())
    assert (done.code, done.err) == (0, BANNER)
    assert ctl(*words.split(), "-q").err == ""


def test_those_that_end_it_do_not(routerd: Routerd, ctl: Inside) -> None:
    routerd.pending = f"4 {at(690)}"
    assert ctl("confirm", TOKEN).err == ""


@pytest.mark.parametrize("odd", ["4", "4 soon", "\x7f 0", "4 0001-01-01T00:00:00Z"])
def test_an_odd_banner_is_no_traceback(odd: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.pending = odd
    done = ctl("get", "-o", "name")
    assert (done.code, done.err.startswith("pending: ")) == (0, True)


def test_the_token_is_asked_for(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/generations"] = (200, generations(pending=pending(token=TOKEN)))
    done = ctl("confirm")
    assert (done.code, done.out) == (0, "generation 4 is confirmed\n")
    assert posted(routerd) == [("/confirm", {"token": TOKEN})]
    assert [request[0] for request in routerd.requests] == ["routerd.sock"] * 2, "where admins are told more"


@pytest.mark.parametrize("words", ["confirm", "confirm TOKEN"])
def test_9_too_late(words: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/confirm"] = lambda _: error(409, "nothing is on trial")
    routerd.event("routerd.configuration.confirmed", "generation 2 is confirmed", age=900)
    assert ctl(*words.split()).code == 4
    number = routerd.event("routerd.configuration.reverted", "generation 4 was taken back: nobody confirmed it", age=60)
    done = ctl(*words.split())
    assert (done.code, done.out) == (9, "")
    assert done.err == (
        f"error: generation 4 was taken back: nobody confirmed it\nhelp: routerctl events --since {number - 1}\n"
    )


def test_who_is_not_told_the_token_is_not_an_admin(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/generations"] = (200, generations(pending=pending()))
    done = ctl("confirm")
    told = "error: generation 4 waits to be confirmed, and its token is not told to you"
    assert (done.code, done.err.splitlines()[0]) == (5, told)
    assert not posted(routerd)


def test_the_history_tells_what_is_pending(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/generations"] = (200, generations(waiting=2, pending=pending()))
    shown = ctl("generations").out
    assert "\n2 waiting   Drifted  " in shown
    assert shown.endswith("unless confirmed:\n  routerctl confirm\n")


# Doctor, top


def test_doctor_fails_with_8(routerd: Routerd, ctl: Inside) -> None:
    routerd.controllers[0] |= {"currentError": True, "lastError": "it is broken"}
    routerd.checks[1] = {"name": "event-log", "status": "fail", "detail": "disk full"}
    routerd.status |= {"pendingError": "no such file", "waitingGeneration": 4, "pendingCommit": pending()}
    routerd.change("DHCPv4Client/wan", "routerd.test", phase="Acquiring", message="no offer")
    routerd.event("routerd.test", "boom", severity="error")
    done = ctl("doctor")
    assert done.code == 8
    assert done.out.startswith("DOCTOR fail pass=")
    lines = {tuple(line.split()[:3]) for line in done.out.splitlines()}
    assert {
        ("wan", "fail", "DHCPv4Client/wan"),
        ("config", "fail", "file"),
        ("config", "warn", "loaded"),
        ("reconcile", "fail", "controller"),
        ("mgmt", "warn", "pending"),
        ("disk", "fail", "event-log"),
        ("events", "warn", "errors"),
    } <= lines
    assert ctl("doctor", "runtime").code == 0
    assert ctl("doctor", "disk", "-o", "jsonpath=.summary.overall").out == "fail\n"


def test_top_draws_until_it_is_interrupted(routerd: Routerd) -> None:
    """On the other screen of the terminal, which is left in any case."""
    shown = on_terminal(routerd.run_dir, "top", "-n", "2", "-d", "100ms", LINES="24")
    assert shown.code == 0
    assert shown.out.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
    assert shown.out.endswith("\x1b[J\x1b[?25h\x1b[?1049l")
    assert shown.out.count("CONTROLLER") == 2
    assert "/s" in shown.out.rpartition("\x1b[H")[2], "rates, from the second frame on"


def test_top_goes_on_while_routerd_is_away(routerd: Routerd) -> None:
    with running(routerd.run_dir, "top", "-n", "50", "-d", "100ms", "--color", "never") as program:
        while not program.line().startswith("RESOURCE"):
            pass
        routerd.stop()
        while not program.line().startswith("routerd is away: "):
            pass
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(20) == 130


# Completion


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("why if", "Interface/wan Interface/lan"),
        ("delete D", "DHCPv4Client/wan"),
        ("rollback --to ", "3 2 1"),
        ("generations 2", "2"),
        ("apply -f ro", "router.yaml"),
        ("apply -f nowhere/", ""),
        ("apply --confirm-within ", ""),
        ("doctor w", "wan"),
        ("log-level d", "default debug"),
        ("rules ", "test"),
        ("explain I", "Interface"),
        ("explain Interface.spec.m", "Interface.spec.mtu"),
        ("get co", "controllers consumers"),
        ("plan --ex", "--exit-code"),
    ],
)
def test_live_names(words: str, found: str, routerd: Routerd, ctl: Inside) -> None:
    done = ctl("__complete", "--", *words.split(" "))
    assert done.err == ""
    assert [line.partition("\t")[0] for line in done.out.splitlines()] == found.split()


# Why


def test_why_without_a_cause_in_the_log(routerd: Routerd, ctl: Inside) -> None:
    told = {"target": "Interface/wan", "phase": "Down", "message": "no carrier", "suppressed": []}
    routerd.overrides[f"{PREFIX}/why"] = (200, told)
    assert ctl("why", "if/wan").out == "Interface/wan  Down\nno carrier; no cause of it is in the event log\n"


def test_why_tells_what_it_cannot_draw(routerd: Routerd, ctl: Inside) -> None:
    twice = {"event": {"id": 3, "reason": "Twice"}, "again": True, "causes": []}
    old = {"event": {"id": 4, "reason": "Old"}, "missing": 2, "causes": [twice]}
    routerd.overrides[f"{PREFIX}/why"] = (200, {"target": "Interface/wan", "phase": "Down", "chain": old})
    assert [line.split("  -")[0].rstrip() for line in ctl("why", "if/wan").out.splitlines()[1:]] == [
        "`- Old",
        "   2 of its causes are not in the log any more",
        "   `- Twice",
        "      what led to it stands above",
    ]


def test_why_of_what_is_not_there(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/why"] = error(404, "there is no Interface/wam")
    done = ctl("why", "if/wam")
    assert (done.code, done.err.splitlines()[1]) == (3, "help: did you mean Interface/wan?")


def test_explain_says_where_else_to_look(routerd: Routerd, ctl: Inside) -> None:
    routerd.stop()
    assert "docs/configuration.md has every kind and field" in ctl("explain", "Interface").err
