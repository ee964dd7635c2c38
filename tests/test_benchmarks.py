"""The benchmarks can be run and their figures be read. How fast anything is, no test says."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUITES, compiled, outcome_of
from benchmarks.document import page
from benchmarks.machine import environment
from benchmarks.report import NotRun, Outcome, missing, no_more, table, versus, within

ROWS = [
    {"name": "fast", "value": 12.0, "unit": "ms", "detail": "of 7", **versus("peer", 0.5), **no_more(0.5)},
    {"name": "slow", "value": 3.2, "unit": "s", "detail": "", **within(3.2, 0.7, "s")},
    {"name": "plain", "value": 123456, "unit": "packets/s", "detail": "alone"},
    missing("absent", "nobody installed it"),
]


@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_can_be_run_and_says_what_it_means(suite: str) -> None:
    module = importlib.import_module(f"benchmarks.{suite}")
    assert callable(module.run)
    assert module.__doc__


def test_the_table_says_what_was_missed_and_what_was_not_run() -> None:
    lines = list(table([Outcome("one", "meaning", 0.5, 3.0, ROWS), Outcome("two", "meaning", 0.5, not_run="no root")]))
    (fast,) = [line for line in lines if line.startswith("fast")]
    assert fast.split() == ["fast", "12", "ms", "peer", "0.50", "ratio", "≤", "1", "met"]
    (slow,) = [line for line in lines if line.startswith("slow")]
    assert slow.split() == ["slow", "3.2", "s", "<", "0.7", "s", "MISSED"]
    assert any(line.startswith("absent") and line.endswith("nobody installed it") for line in lines)
    assert any("123,456" in line for line in lines)
    assert lines[-1] == "two: not run: no root"


def test_the_page_has_every_figure_and_names_the_goals() -> None:
    text = page(
        [Outcome("one", "What it means.", 0.5, 3.0, ROWS), Outcome("two", "", 0.5, not_run="no root")], environment()
    )
    assert "What it means." in text
    assert "- MISSED: one: slow: 3.2 s; goal: < 0.7 s" in text
    assert "- met: one: fast: 12 ms, 0.50 × peer; goal: ratio ≤ 1" in text
    assert "| plain | 123,456 | packets/s |" in text
    assert "Not run: no root." in text


def test_a_suite_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_root() -> list[object]:
        raise NotRun("no root")

    monkeypatch.setattr("benchmarks.codec.run", no_root)
    assert outcome_of("codec").not_run == "no root"
    monkeypatch.setattr("benchmarks.codec.run", lambda: [][0])
    assert outcome_of("codec").not_run == "IndexError: list index out of range"
    assert "Traceback" in capsys.readouterr().err
    assert outcome_of("nonesuch").not_run.startswith("ModuleNotFoundError")


def test_what_is_measured_is_started_from_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    asked = "import sys; print(sys.pycache_prefix, sys.dont_write_bytecode)"
    with compiled():
        said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
        assert said == f"{os.environ['PYTHONPYCACHEPREFIX']} False\n"
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONPYCACHEPREFIX" not in os.environ


def test_the_page_in_the_documentation_is_the_generated_one() -> None:
    text = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    assert text.startswith(page([], environment())[: len("# Benchmarks\n\nWritten by")])
    for suite in SUITES:
        assert f"\n## {suite}\n" in text
