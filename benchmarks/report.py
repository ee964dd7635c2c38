"""What a suite may say of a value, and all values as a table.

A suite is a module with `run() -> list[dict]`. Each dict has `name`, `value`, `unit` and `detail`. It may have `peer`
and `ratio` (see `versus`), and `goal` and `met` (see `no_more`, `within`, `at_least`); or `not_run`, why there is no
value.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

Row = dict[str, Any]

COLUMNS = ("", "value", "unit", "peer", "ratio", "goal", "")
TO_THE_RIGHT = (1, 4)


class NotRun(Exception):
    """A suite cannot run here; the message says why."""


@attrs.frozen
class Outcome:
    """What one suite came to. `meaning` is its module's docstring, `load` the load average of the last minute when it
    began, `not_run` why it has no rows; it has `failed` if that is not the machine's fault but its own. `measured`:
    when, and of which commit."""

    suite: str
    meaning: str
    load: float
    seconds: float = 0.0
    rows: Sequence[Row] = ()
    not_run: str = ""
    failed: bool = False
    measured: str = ""


def versus(peer: str, ratio: float) -> Row:
    """A value beside the same of a peer in the same run: `ratio` is the value divided by the peer's."""
    return {"peer": peer, "ratio": ratio}


def no_more(ratio: float) -> Row:
    """A value that shall not be above the peer's."""
    return {"goal": "ratio ≤ 1", "met": ratio <= 1}


def within(value: float, limit: float, unit: str) -> Row:
    """A value that shall be below a limit."""
    return {"goal": f"< {limit:g} {unit}", "met": value < limit}


def at_least(value: float, least: float, unit: str) -> Row:
    """A value that shall not be below a limit."""
    return {"goal": f"≥ {least:g} {unit}", "met": value >= least}


def missing(name: str, reason: str) -> Row:
    """A value that there is none of."""
    return {"name": name, "value": None, "unit": "", "detail": "", "not_run": reason}


def sound(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows, if a table can be made of them. Raises ValueError."""
    for row in rows:
        if lacking := [key for key in ("name", "value", "unit", "detail") if key not in row]:
            raise ValueError(f"{row} has no {', '.join(lacking)}")
    return rows


def progress(text: str) -> None:
    """Where a suite is, for somebody who watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row as COLUMNS."""
    if "not_run" in row:
        return row["name"], "not run", "", "", "", "", row["not_run"]
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
    verdict = ("met" if row["met"] else "MISSED") if "met" in row else ""
    return row["name"], number(row["value"]), row["unit"], row.get("peer", ""), ratio, row.get("goal", ""), verdict


def number(value: float) -> str:
    """Three digits, or all before the point if there are more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Lines: each suite under its name, each value's detail below it."""
    everything = [COLUMNS, *(cells(row) for outcome in outcomes for row in outcome.rows)]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    yield _line(COLUMNS, widths)
    for outcome in outcomes:
        yield ""
        if outcome.not_run:
            yield f"{outcome.suite}: not run: {outcome.not_run}"
            continue
        yield f"{outcome.suite}, {outcome.seconds:.0f} s, load {outcome.load:.1f}"
        for row in outcome.rows:
            yield _line(cells(row), widths)
            if row["detail"]:
                yield f"      {row['detail']}"


def _line(texts: Iterable[str], widths: Iterable[int]) -> str:
    placed = enumerate(zip(texts, widths, strict=True))
    return "  ".join(t.rjust(w) if n in TO_THE_RIGHT else t.ljust(w) for n, (t, w) in placed).rstrip()
