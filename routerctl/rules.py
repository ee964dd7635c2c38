"""`routerctl rules test`: when an event rule would have fired, by the events that are stored."""

from __future__ import annotations

import time

from routerctl.candidate import candidate, file_option, placed
from routerctl.changes import show_warnings
from routerctl.client import entries, part
from routerctl.errors import Exit, Failure
from routerctl.feed import moment_of
from routerctl.table import Table
from routerctl.times import clock, parse_count
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "rules": """
  routerctl rules test -f rule.yaml                 against the events of the last day
  routerctl rules test -f rule.yaml --since 7d      or 02:13, or RFC 3339, or the id of an event
"""
}
SINCE = "24h"
"""How far back, unless said otherwise."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("action", choices=("test",), help="test: through stored events, nothing is sent")
    file_option(parser, what="a configuration or list with the EventRule")
    parser.add_argument("--since", metavar="TIME", default=SINCE, help=f"as with events: how far back ({SINCE})")
    parser.add_argument("--limit", metavar="N", type=parse_count, help="show at most N")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask and show."""
    now = time.time()
    back = max(0.001, now - moment_of(client, args.since, now))
    body: Object = {"ruleYaml": candidate(args.file), "since": f"{round(back * 1000)}ms"}
    body |= {"limit": args.limit} if args.limit is not None else {}
    try:
        answer = client.post("/rules/test", body)
    except Failure as failure:
        failure.excerpts = placed(failure.excerpts, args.file)
        failure.message = failure.message.replace("ruleYaml", "stdin" if args.file == "-" else args.file)
        raise
    fired = entries(answer, "fired")
    if out.whole:
        out.value(answer)
    elif out.form != "table":
        out.items(fired, lambda one: f"Event/{one.get('eventId')}")
    else:
        _show(out, answer, fired)
    return Exit.OK


def _show(out: Out, answer: Object, fired: list[Object]) -> None:
    now = time.time()
    looked = (
        f"{cell(answer.get('events'))} events from {clock(answer.get('from'), now)} to {clock(answer.get('to'), now)}"
    )
    times = f"{len(fired)} time{'' if len(fired) == 1 else 's'}" if fired else "never"
    out.line(f"{cell(answer.get('rule'))} would have fired {times} in {looked}")
    show_warnings(out, answer)
    table = Table(out, "EVENT", "TIME", "TOPIC", "CORRELATION", "INPUTS", "ATTRIBUTES")
    table.rows(
        (
            one.get("eventId"),
            clock(one.get("time"), now),
            one.get("topic"),
            one.get("correlation"),
            one.get("inputs"),
            " ".join(f"{key}={cell(value)}" for key, value in part(one, "attributes").items()),
        )
        for one in fired
    )
