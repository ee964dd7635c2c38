"""`routerctl log-level`: how much routerd writes to its log."""

from __future__ import annotations

import time

from routerctl.errors import Exit
from routerctl.output import cell
from routerctl.times import ahead, clock, go_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client
    from routerctl.output import Out

EXAMPLES = {
    "log-level": """
  routerctl log-level debug              for ten minutes
  routerctl log-level debug --for 1h
  routerctl log-level default            as routerd was started
"""
}
LEVELS = ("default", "debug", "info", "warning", "error")


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("level", metavar="LEVEL", choices=LEVELS, help=", ".join(LEVELS))
    parser.add_argument("--for", dest="period", metavar="DURATION", help="then as before; debug: 10m, else without end")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Set it, and tell what holds now."""
    period = {"for": go_duration(args.period)} if args.period is not None else {}
    answer = client.post("/log-level", {"level": args.level, **period})
    if out.form != "table":
        out.one(answer, f"LogLevel/{answer.get('level')}")
        return Exit.OK
    now, until = time.time(), answer.get("until")
    out.line(
        f"log level {cell(answer.get('level'))}"
        + (f" until {clock(until, now)} ({ahead(until, now)})" if until else "")
    )
    return Exit.OK
