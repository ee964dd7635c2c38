"""`routerctl apply`, `delete`, `rollback`: the verbs that change the configuration, and what protects from them.

On a terminal what takes something away is shown first and asked about; over SSH a change that undoes itself is offered.
"""

from __future__ import annotations

import os
import sys

from routerctl.candidate import candidate, file_option, placed
from routerctl.changes import (
    counted,
    differs,
    outcome_of,
    show_changes,
    show_leftovers,
    show_outcomes,
    show_pending,
    show_restarts,
    show_warnings,
)
from routerctl.client import PREFIX, entries, number, part
from routerctl.errors import Declined, Exit, Failure
from routerctl.kinds import reference
from routerctl.times import go_duration, parse_count, parse_duration, parse_generation
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "apply": """
  routerctl apply -f router.yaml                          put these resources in, leave the others
  routerctl apply -f router.yaml --replace                this and nothing else
  routerctl apply -f router.yaml --confirm-within 5m      undone by itself unless `routerctl confirm`
  routerctl apply -f router.yaml --dry-run                what would be done
  sed s/eth0/eth1/ router.yaml | routerctl apply -f -
""",
    "delete": """
  routerctl delete Interface/guest --dry-run              what would go with it
  routerctl delete Interface/guest
  routerctl delete DHCPv4Client/old --force               also one of which only a status is left
""",
    "rollback": """
  routerctl rollback                                      to the generation before this one
  routerctl rollback --list                               which there are
  routerctl rollback --to 41 --confirm-within 5m
""",
}
TIMEOUT = "90s"
"""What `--timeout` is without being said. It is for the change to end."""
OFFERED = "5m"
"""How long a change over SSH lasts without being confirmed, unless said otherwise."""
_FOR_GOOD = "for good"
"""What is typed for a change over SSH that nothing undoes. A `no` is a no."""
_THREE_WAYS = f"go on, and undo it in {OFFERED} unless confirmed? [Y]es, [n]o, or `{_FOR_GOOD}`:"


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    if verb == "apply":
        file_option(parser)
        parser.add_argument("--replace", action="store_true", help="the whole configuration, not some resources of it")
    elif verb == "delete":
        parser.add_argument("target", metavar="KIND/NAME", help="the resource")
        parser.add_argument("--api-version", metavar="VERSION", help="of the resource, if its kind is not known")
        parser.add_argument("--force", action="store_true", help="also what is left of a resource in no configuration")
    else:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--to", metavar="GENERATION", type=parse_generation, help="which one; else the one before")
        which.add_argument("--list", action="store_true", help="which there are")
        parser.add_argument("--limit", metavar="N", type=parse_count, default=20, help="list at most N (20)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-reconcile", action="store_true", help="write it, do not take it up before the next change")
    how.add_argument("--confirm-within", metavar="DURATION", help="undo it after that, unless `confirm` comes")
    parser.add_argument(
        "--if-match", metavar="GENERATION", type=parse_generation, help="only if this is the latest one"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Show what would be done where that is called for, ask, do it, tell what became of it."""
    try:
        return _run(verb, args, client, out)
    except Failure as failure:
        failure.excerpts = placed(failure.excerpts, getattr(args, "file", None))
        raise


def _run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    if verb == "rollback" and args.list:
        from routerctl.generations import show_history

        return show_history(client, out, args.limit)
    body = _body(verb, args)
    fields = [("If-Match", f'"{args.if_match}"')] if args.if_match is not None else []
    if not args.dry_run and (question := _question(verb, args)):
        fields = fields or _as_seen(client)
        body = _agreed(out, client, verb, body, question)
    client.timeout = parse_duration(args.timeout or TIMEOUT)
    answer = _ended(client, out, verb, {**body, "dryRun": True} if args.dry_run else body, fields)
    return _told(out, answer, args.dry_run)


def _body(verb: str, args: Namespace) -> Object:
    flags = {"no_reconcile": "noReconcile", "replace": "replace", "force": "force"}
    body: Object = {name: True for option, name in flags.items() if getattr(args, option, False)}
    if args.confirm_within is not None:
        body["confirmWithin"] = _trial(args.confirm_within)
    if verb == "apply":
        return {"candidateYaml": candidate(args.file), **body}
    if verb == "delete":
        version = {"targetApiVersion": args.api_version} if args.api_version else {}
        return {"target": reference(args.target), **version, **body}
    return body if args.to is None else {"to": args.to, **body}


def _trial(text: str) -> str:
    """How long a change is on trial. Raises Failure (usage)."""
    if parse_duration(text) <= 0:
        raise Failure(Exit.USAGE, "--confirm-within must be longer than nothing", "for example --confirm-within 5m")
    return go_duration(text)


# Asking


def _question(verb: str, args: Namespace) -> str:
    """What to ask the person at the terminal; nothing where nobody sits or nothing is to be asked."""
    if args.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    if os.environ.get("SSH_CONNECTION") and args.confirm_within is None and not args.no_reconcile:
        return f"You are connected over SSH, perhaps through what this changes: {_THREE_WAYS}"
    return "Go on? [y/N]" if verb != "apply" or args.replace else ""


def _as_seen(client: Client) -> list[tuple[str, str]]:
    """What is agreed to is what was shown: it holds for the latest generation of this moment alone."""
    try:
        latest = entries(client.get("/generations", [("limit", "1")]), "items")
    except Failure as failure:
        if failure.status not in (404, 501):
            raise
        return []  # One that numbers nothing is asked all the same.
    return [("If-Match", f'"{number(latest[0], "generation")}"')] if latest else []


def _agreed(out: Out, client: Client, verb: str, body: Object, question: str) -> Object:
    """Show what would be done and ask; the request by the answer. Raises Declined when it is a no."""
    result = part(client.post(f"/{verb}", {**body, "dryRun": True}), "result")
    if not differs(result):
        return body
    reply = out.ask(question, out.drawn(lambda: _show_plan(out, result)))
    if question.endswith(_THREE_WAYS):
        if reply in ("", "y", "yes"):
            return {**body, "confirmWithin": OFFERED}
        agreed = reply == _FOR_GOOD
    else:
        agreed = reply in ("y", "yes")
    if not agreed:
        raise Declined(Exit.FAILED, "nothing changed, as you wished")
    return body


def _show_plan(out: Out, result: Object) -> None:
    show_changes(out, entries(result, "changes"), entries(result, "resources"))
    show_restarts(out, result)
    show_warnings(out, result)


# Doing


def _ended(client: Client, out: Out, verb: str, body: Object, fields: list[tuple[str, str]]) -> Object:
    """The answer, however it ends; meanwhile what goes on is told."""
    from routerctl.underway import Underway

    underway = Underway(client, client.main, f"{PREFIX}/events", out, verb)
    request = client.begin(client.main, "POST", f"{PREFIX}/{verb}", (), body, fields=fields)
    client.warn = None  # What is pending is told with the answer.
    try:
        underway.until(request)
        return client.finish(client.main, request)
    except KeyboardInterrupt:
        out.note("interrupted; routerd ends the change by itself: routerctl generations")
        raise
    except Failure as failure:
        if isinstance(failure.__cause__, TimeoutError):
            raise Failure(Exit.TIMEOUT, f"{verb} has not ended yet; it goes on", "routerctl generations") from failure
        if failure.code is Exit.UNREACHABLE and not failure.status:
            failure.hint = "whether it was done is not known: routerctl generations"
        raise


# Telling


def _told(out: Out, answer: Object, dry: bool) -> Exit:
    result = part(answer, "result")
    if out.form != "table":
        out.one(answer, f"Generation/{result.get('generation')}")
    elif dry:
        _show_dry(out, answer, result)
    else:
        _show(out, answer, result)
    return Exit.OK if dry else outcome_of(result)


def _show_dry(out: Out, answer: Object, result: Object) -> None:
    if answer.get("deleted"):
        out.line(f"would delete {cell(answer['deleted'])}")
    if differs(result):
        _show_plan(out, result)
    else:
        out.line("no changes")


def _show(out: Out, answer: Object, result: Object) -> None:
    if answer.get("deleted"):
        out.line(f"deleted {cell(answer['deleted'])}")
    show_changes(out, entries(result, "changes"))
    show_outcomes(out, result)
    if result.get("restarts"):
        show_restarts(out, result)
    show_leftovers(out, result)
    warnings = show_warnings(out, result)
    generation, phase = cell(result.get("generation")), cell(result.get("phase"))
    if str(phase) == "Committed":
        head = f"generation {generation} is written, and taken up at the next change or start"
    elif not differs(result):
        head = f"no changes: generation {generation} stays"
        head += "" if outcome_of(result) is Exit.OK else f", and is {phase} as before: routerctl doctor tells why"
    else:
        head = f"generation {generation}: {phase}"
    out.line(head + (f", {counted(warnings, 'warning')}" if warnings else ""))
    if pending := part(result, "pending"):
        show_pending(out, pending)
