"""`python -m benchmarks [SUITE …]`: measures, prints a table, and keeps the figures in benchmarks/results/latest.json,
beside those of other suites.

`--write-docs` measures nothing: it writes docs/benchmarks.md from the figures that were kept last.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from benchmarks.document import page
from benchmarks.machine import ROOT, environment
from benchmarks.report import NotRun, Outcome, progress, sound, table

SUITES = ("codec", "events", "api", "watch", "changes", "routerctl", "start", "acquire", "delegate")
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a suite has failed. What it found is no failure, nor is that the machine lacks what it needs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure routerd beside its peers.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"default: all, {', '.join(SUITES)}")
    parser.add_argument(
        "--write-docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)} from the last figures"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if options.write_docs:
        kept = json.loads(RESULTS.read_text())
        PAGE.write_text(page(outcomes_of(kept), kept["environment"]))
        return 0
    return measure(options.suites or SUITES)


def measure(suites: Sequence[str]) -> int:
    """Run the suites one after the other, and tell of them."""
    around = environment()
    measured = f"{around['at']}, commit {around['commit']}"
    with compiled():
        outcomes = [attrs.evolve(outcome_of(suite), measured=measured) for suite in suites]
    progress("")
    print("\n".join(table(outcomes)))
    RESULTS.parent.mkdir(exist_ok=True)
    before = outcomes_of(json.loads(RESULTS.read_text())) if RESULTS.exists() else []
    kept = {"environment": around, "suites": [attrs.asdict(outcome) for outcome in merged(before, outcomes)]}
    RESULTS.write_text(json.dumps(kept, indent=2))
    return int(any(outcome.failed for outcome in outcomes))


def outcomes_of(kept: Mapping[str, Any]) -> list[Outcome]:
    """As they were kept."""
    return [Outcome(**outcome) for outcome in kept["suites"]]


def merged(before: Sequence[Outcome], now: Sequence[Outcome]) -> list[Outcome]:
    """The newest of each suite, in the order of SUITES."""
    newest = {outcome.suite: outcome for outcome in (*before, *now)}
    return [newest[suite] for suite in SUITES if suite in newest]


@contextmanager
def compiled() -> Iterator[None]:
    """What is started meanwhile finds its modules compiled, as what is installed does, from the second start on; in a
    folder of its own, whatever was or was not compiled before."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-bytecode-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def outcome_of(suite: str) -> Outcome:
    """Run one suite. One that fails is no reason not to run the others, but it is told."""
    progress(f"{suite} …")
    load, began = os.getloadavg()[0], time.monotonic()
    meaning = ""
    try:
        module = importlib.import_module(f"benchmarks.{suite}")
        meaning = module.__doc__ or ""
        rows = sound(module.run())
    except NotRun as reason:
        return Outcome(suite, meaning, load, not_run=str(reason))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one suite
        traceback.print_exc()
        return Outcome(suite, meaning, load, not_run=f"{type(error).__name__}: {error}", failed=True)
    return Outcome(suite, meaning, load, time.monotonic() - began, rows)


if __name__ == "__main__":
    sys.exit(main())
