"""The figures as a page for readers, docs/benchmarks.md. What they mean is in the suites' own docstrings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.report import COLUMNS, TO_THE_RIGHT, Outcome, cells

HEAD = """# Benchmarks

Written by `python -m benchmarks --write-docs` from the last run of each suite; not to be edited by hand.

Speed is a ratio to a peer wherever there is one, taken in the same run and in turns, because no machine is the same
twice. No test asserts a time. A goal that is missed is called missed, whatever the reason.
"""


def page(outcomes: Sequence[Outcome], environment: Mapping[str, Any]) -> str:
    """The whole page, as Markdown."""
    parts = (_machine(environment), _goals(outcomes), *map(_suite, outcomes))
    return "\n".join([HEAD, *("\n".join([*part, ""]) for part in parts)])


def _machine(environment: Mapping[str, Any]) -> Iterator[str]:
    yield "## Measured on"
    yield ""
    yield f"- A {'virtual ' if environment['virtual'] else ''}machine with {environment['cpus']} processors"
    yield f"  ({environment['processor']}) and {environment['memory']}; {environment['kernel']}."
    yield f"- {environment['python']}; {_versions(environment['packages'])}."
    yield f"- Peers and servers: {_versions(environment['programs'])}."
    yield "- When, of which commit, and what else the machine had to do (its load average) stands with each suite."


def _versions(of: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version or '(not installed)'}" for name, version in of.items())


def _goals(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "## Goals"
    yield ""
    judged = [(outcome.suite, row, cells(row)) for outcome in outcomes for row in outcome.rows if "met" in row]
    for suite, _, (name, value, unit, peer, ratio, goal, verdict) in sorted(judged, key=lambda it: it[1]["met"]):
        found = f"{value} {unit}" + (f", {ratio} × {peer}" if ratio else "")
        yield f"- {verdict}: {suite}: {name}: {found}; goal: {goal}"


def _suite(outcome: Outcome) -> Iterator[str]:
    yield f"## {outcome.suite}"
    yield ""
    yield outcome.meaning.strip()
    yield ""
    if outcome.not_run:
        yield f"Not run: {outcome.not_run}."
        return
    yield f"{outcome.measured}; {outcome.seconds:.0f} s; load average {outcome.load:.1f} when it began."
    yield ""
    yield _cells([*COLUMNS, "in detail"])
    yield _cells(["---:" if place in TO_THE_RIGHT else "---" for place in range(len(COLUMNS) + 1)])
    for row in outcome.rows:
        yield _cells([*cells(row), row["detail"]])


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
