"""Changes at a terminal, where somebody can be asked; and while one waits to be confirmed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import Any

import pytest

from tests.routerctl.answers import TOKEN, answered, generations, pending, unchanged
from tests.routerctl.run import COMMAND, PATIENCE, Inside, environment, on_terminal, piped
from tests.routerctl.server import PREFIX, Routerd, at, error
from tests.routerctl.test_changes import APPLY, posted


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
        assert shown.splitlines()[-1].endswith("Go on? [y/N] nothing changed, as you wished")
        assert [body.get("dryRun") for _, body in sent] == [True]
    code, shown, sent = terminal(routerd, *words.split(), typed="y\n")
    assert (code, "Go on? [y/N] " in shown) == (0, True)
    assert [body.get("dryRun") for _, body in sent] == [True, None]
    assert [fields["If-Match"] for fields in routerd.fields if "If-Match" in fields][-1] == '"3"', "as it was shown"


@pytest.mark.parametrize("words", ["apply -f router.yaml --replace --yes", "rollback -y", "apply -f router.yaml"])
def test_nothing_is_asked_that_need_not_be(words: str, routerd: Routerd) -> None:
    code, shown, sent = terminal(routerd, *words.split())
    assert (code, "[y/N]" in shown, len(sent)) == (0, False, 1)


def test_stdout_is_for_data_all_the_same(routerd: Routerd) -> None:
    """`routerctl rollback -o json | jq` at a terminal: what is asked about is not in the pipe."""
    master, slave = pty.openpty()
    command = [*COMMAND, *APPLY, "--replace", "-o", "json"]
    process = subprocess.Popen(
        command, env=environment(routerd.run_dir), stdin=slave, stdout=subprocess.PIPE, stderr=slave
    )
    os.close(slave)
    os.write(master, b"y\n")
    out, _ = process.communicate(timeout=PATIENCE)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert (process.returncode, json.loads(out)["result"]["generation"]) == (0, 4)
    assert "~ EgressRoutePolicy/ipv4" in shown
    assert "Go on? [y/N]" in shown


def test_what_is_only_written_is_asked_about_too(routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 4711 192.0.2.1 22")
    code, shown, sent = terminal(routerd, *APPLY, "--replace", "--no-reconcile", typed="n\n")
    assert (code, "Go on? [y/N]" in shown, "SSH" in shown, len(sent)) == (1, True, False, 1)


def test_nothing_is_asked_when_nothing_changes(routerd: Routerd) -> None:
    routerd.posts["/apply"] = lambda _: answered("ApplyResult", unchanged())
    code, shown, _ = terminal(routerd, *APPLY, "--replace")
    assert (code, "[y/N]" in shown) == (0, False)


def test_in_a_pipe_nothing_is_asked(routerd: Routerd) -> None:
    assert piped(routerd.run_dir, *APPLY, "--replace", SSH_CONNECTION="10.0.0.5 4711 192.0.2.1 22").code == 0
    assert len(posted(routerd)) == 1


@pytest.mark.parametrize(
    ("reply", "code", "within"),
    [
        ("\n", 0, "5m"),
        ("y\n", 0, "5m"),
        ("For good\n", 0, None),
        *((no, 1, "") for no in ("n\n", "No\n", "q\n", "x\n", "f\n", "\x04")),
    ],
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


@pytest.mark.parametrize("words", ["delete NAT44Rule/lan", "rollback", "apply -f router.yaml --replace"])
def test_over_ssh_no_is_no(words: str, routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 4711 192.0.2.1 22")
    routerd.posts |= dict.fromkeys(("/delete", "/rollback"), routerd.posts["/apply"])
    code, shown, sent = terminal(routerd, *words.split(), typed="n\n")
    assert (code, "You are connected over SSH" in shown) == (1, True)
    assert [body.get("dryRun") for _, body in sent] == [True], "nothing but what was shown"


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


@pytest.mark.parametrize(("current", "code"), [(4, 9), (5, 9), (6, 4)])
def test_an_old_trial_is_over_for_good(current: int, code: int, routerd: Routerd, ctl: Inside) -> None:
    """Generation 4 went back, which made 5; who goes on to 6 has nothing to do with it."""
    words = "generation 4 was rolled back before it was confirmed"
    routerd.event("routerd.configuration.reverted", words, age=60, attributes={"generation": "4", "previous": "3"})
    routerd.overrides[f"{PREFIX}/generations"] = (200, generations(current=current))
    done = ctl("confirm")
    assert (done.code, done.err.splitlines()[0]) == (
        code,
        f"error: {words}" if code == 9 else "error: nothing waits to be confirmed",
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
