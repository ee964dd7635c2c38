"""What the operator sees, word for word, in a pipe and on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerctl.__main__ import VERBS
from tests.routerctl.run import Inside, on_terminal
from tests.routerctl.server import Routerd
from tests.routerctl.transcript import Step, scene, shown, steps

PIPE, TERMINAL = list(steps("pipe.txt")), list(steps("terminal.txt"))


@pytest.fixture
def routerd(run_dir: Path) -> Iterator[Routerd]:
    router = scene(run_dir)
    router.start()
    yield router
    router.stop()


@pytest.mark.parametrize("step", PIPE, ids=lambda step: step.words)
def test_pipe(step: Step, routerd: Routerd, ctl: Inside) -> None:
    assert shown(ctl(*shlex.split(step.words))) == step.shown


@pytest.mark.parametrize("step", TERMINAL, ids=lambda step: step.words)
def test_terminal(step: Step, routerd: Routerd) -> None:
    assert shown(on_terminal(routerd.run_dir, *shlex.split(step.words))) == step.shown


def test_every_verb_is_shown() -> None:
    words = {step.words.split()[0] for step in PIPE}
    as_renew = {"rebind", "release", "info-request", "flush", "start", "stop", "reload"}
    elsewhere = {*as_renew, "completion"}  # test_completion
    assert set(VERBS) - elsewhere <= words


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_terminal_without_colour(name: str, value: str, routerd: Routerd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    done = on_terminal(routerd.run_dir, "status")
    assert "\x1b" not in done.out
    assert "Degraded" in done.out


def test_dumb_terminal_gets_no_glyph(routerd: Routerd) -> None:
    assert on_terminal(routerd.run_dir, "status", TERM="dumb").out.startswith("Degraded ")


def test_latin1_terminal_gets_no_glyph_and_no_failure(routerd: Routerd) -> None:
    routerd.status["phase"] = "Größe ●"
    done = on_terminal(routerd.run_dir, "status", PYTHONIOENCODING="latin-1:strict", PYTHONUTF8="0")
    assert done.code == 0
    assert "\\u25cf" in done.out


def test_colour_can_be_had_in_a_pipe(routerd: Routerd, ctl: Inside) -> None:
    assert "\x1b[33m" in ctl("status", "--color", "always").out


def test_long_messages_are_cut_on_a_terminal_only(routerd: Routerd, ctl: Inside) -> None:
    routerd.event("routerd.test", "word " * 60)
    assert "word " * 59 in ctl("events").out
    assert "…" in on_terminal(routerd.run_dir, "events", columns=120).out
