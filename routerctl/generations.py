"""`routerctl generations`: the configurations that were in force, who put them there, and what each changed."""

from __future__ import annotations

import time

from routerctl.changes import show_changes, show_pending
from routerctl.client import entries, part
from routerctl.errors import Exit
from routerctl.subjects import HEADERS, generation_row
from routerctl.table import Table
from routerctl.times import ago, parse_count, parse_generation
from routerctl.words import cell, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "generations": """
  routerctl generations              the last 20, the newest first
  routerctl generations 41           what it changed, and its YAML (for admins)
  routerctl rollback --to 41         back to it
"""
}
USUAL = 20
"""How many are shown unless said otherwise."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("number", metavar="GENERATION", type=parse_generation, nargs="?", help="one, whole")
    parser.add_argument("--limit", metavar="N", type=parse_count, default=USUAL, help=f"at most N ({USUAL})")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask and show."""
    if args.number is None:
        return show_history(client, out, args.limit)
    answer = client.get(f"/generations/{args.number}", as_admin=True)
    if out.form == "table":
        _show_one(out, answer)
    else:
        out.one(answer, f"Generation/{args.number}")
    return Exit.OK


def show_history(client: Client, out: Out, limit: int) -> Exit:
    """The list of them."""
    answer = client.get("/generations", [("limit", str(limit))], as_admin=True)
    items = entries(answer, "items")
    if out.whole:
        out.value(answer)
    elif out.form != "table":
        out.items(items, lambda item: f"Generation/{item.get('generation')}")
    else:
        marks = {cell(answer.get("current")): " *", cell(answer.get("waiting")): " waiting"}
        table = Table(out, *HEADERS["generations"], painted="PHASE")
        table.rows(generation_row(item, time.time(), marks) for item in items)
        if not items:
            out.note("there are none")
        if pending := part(answer, "pending"):
            show_pending(out, pending)
    return Exit.OK


def _show_one(out: Out, answer: Object) -> None:
    item = part(answer, "generation")
    now = time.time()
    facts = (
        ("Generation", cell(item.get("generation"))),
        ("Phase", cell(item.get("phase"))),
        ("Started", f"{cell(item.get('startedAt'))}  ({ago(item.get('startedAt'), now)} ago)"),
        ("Actor", cell(item.get("actor"))),
        ("Resources", cell(item.get("resourceCount"))),
    )
    for key, value in facts:
        out.line(f"{key + ':':13}{value}")
    out.title("Changes")
    changes = entries(answer, "changes")
    show_changes(out, changes)
    if not changes:
        out.line("none")
    if text := answer.get("yaml"):
        out.title("YAML")
        for line in str(text).splitlines():
            out.line(clean(line))
