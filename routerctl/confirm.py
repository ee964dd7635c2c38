"""`routerctl confirm`: keep a change that would undo itself."""

from __future__ import annotations

import time

from routerctl.client import entries, number, part
from routerctl.errors import Exit, Failure
from routerctl.feed import stored
from routerctl.times import ahead, clock, go_duration
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client
    from routerctl.output import Out

EXAMPLES = {
    "confirm": """
  routerctl confirm                   keep what was applied with --confirm-within
  routerctl confirm 6f1c…             with the token that apply gave
  routerctl confirm --extend 5m       not yet: five more minutes
"""
}

REVERTED = "routerd.configuration.reverted"
ENDS = (REVERTED, "routerd.configuration.confirmed")
RECENTLY = 3600.0
"""Seconds for which one may mean a change that is undone already."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("token", metavar="TOKEN", nargs="?", help="as apply gave it; else routerd is asked for it")
    parser.add_argument("--extend", metavar="DURATION", help="do not confirm yet, wait so much longer")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Confirm, or extend."""
    extend = {"extend": go_duration(args.extend)} if args.extend is not None else {}
    client.warn = None
    try:
        answer = client.post("/confirm", {"token": args.token or _token(client), **extend})
    except Failure as failure:
        raise _too_late(client, failure) from None
    generation = cell(answer.get("generation"))
    if out.form != "table":
        out.one(answer, f"Generation/{generation}")
    elif answer.get("confirmed") is True:
        out.line(f"generation {generation} is confirmed")
    else:
        until = answer.get("confirmBy")
        now = time.time()
        out.line(f"generation {generation} is not confirmed yet: until {clock(until, now)} ({ahead(until, now)})")
    return Exit.OK


def _too_late(client: Client, failure: Failure) -> Failure:
    """The failure, or that there is nothing to confirm because the change has been undone just now, and none came
    after it: to go back makes one generation, any further one is of somebody who has gone on."""
    if failure.code is not Exit.CONFLICT:
        return failure
    ends = entries(client.get("/events", [("tail", "1"), *(("topic", topic) for topic in ENDS)]), "events")
    last = ends[0] if ends else {}
    if last.get("topic") != REVERTED or stored(last) < time.time() - RECENTLY:
        return failure
    undone = str(part(last, "attributes").get("generation") or "")
    current = number(client.get("/generations", [("limit", "1")], as_admin=True), "current")
    if undone.isdecimal() and current > int(undone) + 1:
        return failure
    return Failure(Exit.ROLLED_BACK, str(last.get("message")), f"routerctl events --since {number(last, 'id') - 1}")


def _token(client: Client) -> str:
    """Of what is pending, which admins are told. Raises Failure."""
    pending = part(client.get("/generations", [("limit", "1")], as_admin=True), "pending")
    if not pending:
        raise Failure(Exit.CONFLICT, "nothing waits to be confirmed", "routerctl generations")
    if not pending.get("token"):
        what = f"generation {cell(pending.get('generation'))} waits to be confirmed, and its token is not told to you"
        raise Failure(Exit.DENIED, what, "as root, or with the token that apply gave: routerctl confirm TOKEN")
    return str(pending["token"])
