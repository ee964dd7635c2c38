"""`routerctl log-level`: how much routerd writes to its log."""

from __future__ import annotations

import time

from routerctl.errors import Exit, Failure
from routerctl.times import ahead, clock, go_duration
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "log-level": """
  routerctl log-level                    what it is at present
  routerctl log-level debug              for ten minutes
  routerctl log-level debug --for 1h
  routerctl log-level default            as routerd was started
"""
}
LEVELS = ("default", "debug", "info", "warning", "error")


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("level", metavar="LEVEL", nargs="?", choices=LEVELS, help=", ".join(LEVELS))
    parser.add_argument("--for", dest="period", metavar="DURATION", help="then as before; debug: 10m, else without end")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Set it, or not, and tell what holds now."""
    answer = _present(args, client) if args.level is None else _chosen(args, client)
    if out.form != "table":
        out.one(answer, f"LogLevel/{answer.get('level')}")
        return Exit.OK
    now, until = time.time(), answer.get("until")
    out.line(
        f"log level {cell(answer.get('level'))}"
        + (f" until {clock(until, now)} ({ahead(until, now)})" if until else "")
    )
    return Exit.OK


def _present(args: Namespace, client: Client) -> Object:
    """As it is. Raises Failure."""
    if args.period is not None:
        raise Failure(Exit.USAGE, "--for goes with a LEVEL", "for example log-level debug --for 1h")
    figures = client.get("/runtime")
    known = {"level": figures.get("logLevel"), "until": figures.get("logLevelUntil")}
    return {key: value for key, value in known.items() if value is not None}


def _chosen(args: Namespace, client: Client) -> Object:
    """Set it. Raises Failure."""
    period = {"for": go_duration(args.period)} if args.period is not None else {}
    try:
        return client.post("/log-level", {"level": args.level, **period})
    except Failure as failure:
        if failure.status == 400:
            failure.code = Exit.USAGE  # All that was asked with stands on the command line.
        raise
