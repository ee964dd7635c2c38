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

from routerctl.subjects import generation_row
from tests.routerctl.answers import FAULT, answered, applied, faulty, plan, unchanged
from tests.routerctl.run import Inside, running
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


@pytest.mark.parametrize("words", ["rollback --list --limit 7", "generations --limit 7"])
def test_so_much_of_the_history(words: str, routerd: Routerd, ctl: Inside) -> None:
    assert ctl(*words.split()).code == 0
    assert [request[3] for request in routerd.requests] == [{"limit": ["7"]}]


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


@pytest.mark.parametrize(
    ("told", "shown"), [({"reason": "LinkAbsent"}, "LinkAbsent"), ({"message": "no such device"}, "no such device")]
)
def test_10_one_resource_failed(told: dict[str, str], shown: str, routerd: Routerd, ctl: Inside) -> None:
    conditions = [{"type": "Applied", "status": "False", **told}]
    failed = {"id": "net/v1/Interface/x", "phase": "Error", "outcome": "failed", "conditions": conditions}
    well = {"id": "net/v1/Interface/y", "phase": "Healthy", "outcome": "changed", "conditions": conditions}
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", applied(resources=[failed, well]))
    done = ctl(*APPLY)
    assert done.code == 10
    assert f"Interface/x  failed   Error    {shown}\n" in done.out
    assert "Interface/y  changed  Healthy  -\n" in done.out


@pytest.mark.parametrize(("status", "code"), [(403, 5), (409, 4), (412, 4), (501, 1), (500, 1), (503, 1)])
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


@pytest.mark.parametrize(("word", "code"), [("config.disk", 1), ("disk", 1), ("stopping", 6), ("busy", 6), ("", 6)])
def test_6_is_not_for_a_full_disk(word: str, code: int, routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/apply"] = lambda _: error(503, "No space left on device", code=word)
    assert ctl(*APPLY).code == code


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


def test_a_log_that_does_not_answer_holds_nothing_up(
    routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerctl.underway.GLANCE", 0.1)
    over = threading.Event()
    routerd.overrides[f"{PREFIX}/events"] = lambda _: (200, {"kind": "Events", "late": over.wait(20)})
    assert ctl(*APPLY).code == 0
    over.set()


def test_no_changes(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: answered("ApplyResult", unchanged()))
    assert ctl(*APPLY).out == "no changes: generation 3 stays\n"
    assert ctl(*APPLY, "--dry-run").out == "no changes\n"
    assert ctl("plan", "--exit-code").code == 0
    done = ctl("diff", "-f", "router.yaml", "--exit-code")
    assert (done.code, done.out, done.err) == (0, "", "no changes\n")


def test_no_changes_to_what_is_not_well(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", {**unchanged(), "phase": "Drifted"})
    done = ctl(*APPLY)
    words = "no changes: generation 3 stays, and is Drifted as before: routerctl doctor tells why\n"
    assert (done.code, done.out) == (10, words)


@pytest.mark.parametrize("words", ["apply -f router.yaml --if-match x", "rollback --to x", "generations x"])
def test_what_is_no_generation(words: str, ctl: Inside) -> None:
    assert ctl(*words.split()).err == (
        'error: "x" is not the number of a generation\nhelp: routerctl generations lists them\n'
    )


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


def test_the_present_log_level(routerd: Routerd, ctl: Inside) -> None:
    told = {"kind": "RuntimeStats", "logLevel": "debug", "logLevelUntil": at(690)}
    routerd.overrides[f"{PREFIX}/runtime"] = (200, told)
    assert ctl("log-level").out.startswith("log level debug until ")
    assert ctl("log-level", "-o", "name").out == "LogLevel/debug\n"
    assert not posted(routerd)


def test_2_a_log_level_for_too_long(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/log-level"] = lambda _: error(400, "it may hold for 24h at most", field="for")
    assert ctl("log-level", "debug", "--for", "99999h").code == 2


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"added": 1, "changed": 2}, "+1 ~2"),
        ({"added": 1, "reverted": True}, "+1 reverted"),
        ({"removed": 1, "restores": 4}, "-1 back to 4"),
        ({"restores": 4}, "back to 4"),
        ({}, ""),
    ],
)
def test_a_generation_that_was_taken_back_says_so(item: dict[str, Any], told: str) -> None:
    assert generation_row({"generation": 7, **item}, 0.0, {})[5] == told
