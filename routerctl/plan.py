"""`routerctl plan`, `diff`, `validate`: what a configuration would do, where it differs, whether it is good."""

from __future__ import annotations

import os

from routerctl.candidate import candidate, file_option, placed
from routerctl.changes import counted, differs, show_changes, show_leftovers, show_restarts, show_warnings
from routerctl.client import entries, part
from routerctl.errors import Exit, Failure, excerpts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "plan": """
  routerctl plan -f router.yaml                   fields before and after, what each controller would do
  routerctl plan -f router.yaml --replace         as the whole configuration
  routerctl plan -f router.yaml --exit-code       0: no changes, 20: changes
  routerctl plan                                  what is still to be done for the present configuration
""",
    "diff": """
  routerctl diff -f router.yaml                   fields before and after, nothing else
  routerctl diff -f router.yaml --exit-code       0: no changes, 20: changes
""",
    "validate": """
  routerctl validate -f router.yaml               every mistake at once, with line, column and a hint
  routerctl validate                              the configuration on the router's disk
""",
}


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    file_option(parser, required=verb == "diff")
    parser.add_argument("--replace", action="store_true", help="the whole configuration, not some resources of it")
    if verb != "validate":
        parser.add_argument("--exit-code", action="store_true", help="end with 20 when there are changes")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask and show. Nothing changes."""
    try:
        return _run(verb, args, client, out)
    except Failure as failure:
        failure.excerpts = placed(failure.excerpts, args.file)
        raise


def _run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    body: Object = {} if args.file is None else {"candidateYaml": candidate(args.file)}
    body |= {"replace": True} if args.replace else {}
    if verb == "validate":
        return _validate(client.post("/validate", body), out)
    answer = client.post("/plan", body)
    result = part(answer, "result")
    if verb == "diff":
        _show_diff(out, entries(result, "changes"))
    elif out.form == "table":
        _show_plan(out, result, args)
    else:
        out.one(answer, f"Generation/{result.get('generation')}")
    changes = bool(entries(result, "changes")) if verb == "diff" else _acts(result)
    return Exit.CHANGES if args.exit_code and changes else Exit.OK


def _acts(result: Object) -> bool:
    """Whether a field would change, or a controller would do something."""
    return differs(result) or any(one.get("plan") for one in entries(result, "resources"))


def _show_diff(out: Out, changes: list[Object]) -> None:
    if out.form in ("json", "yaml"):
        out.value({"changes": changes})
    elif out.form != "table":
        out.items(changes, lambda change: str(change.get("resource")))
    else:
        show_changes(out, changes)
        if not changes:
            out.note("no changes")


def _show_plan(out: Out, result: Object, args: Namespace) -> None:
    if not _acts(result):
        out.line("no changes")
        return
    show_changes(out, entries(result, "changes"), entries(result, "resources"))
    show_restarts(out, result)
    show_leftovers(out, result)
    warnings = show_warnings(out, result)
    careful = bool(warnings or os.environ.get("SSH_CONNECTION")) and args.file is not None
    told = [counted(warnings, "warning") + "."] if warnings else []
    told += ["Apply with --confirm-within 5m"] if careful else []
    if told:
        out.line(" ".join(told))


def _validate(answer: Object, out: Out) -> Exit:
    valid = answer.get("valid") is True
    if out.form != "table":
        out.one(answer, "Validation/" + ("valid" if valid else "invalid"))
    elif valid:
        warnings = show_warnings(out, answer)
        out.line("valid" + (f", {counted(warnings, 'warning')}" if warnings else ""))
    if valid:
        return Exit.OK
    error = answer.get("error")
    message = str(part(answer, "error").get("message") or error or "it is not valid").removeprefix("bad request: ")
    raise Failure(Exit.FAILED, message, excerpts=excerpts_of(answer))
