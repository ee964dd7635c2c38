"""`routerctl VERB …`: finds the verb's module, reads its options, turns failures into exit codes.

A module is imported when its verb is called, and the heavy ones of the standard library (http.client, dataclasses,
pathlib, typing: hence `TYPE_CHECKING = False`) never. argparse rather than click, by measurement: 2 ms against 18
(docs/routerctl.md).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence
    from types import ModuleType
    from typing import NoReturn, TextIO

VERBS = {
    "status": ("status", "the router on one screen: WAN, interfaces, daemons, what is wrong"),
    "get": ("get", "list resources, controllers, runtime figures; -w goes on with changes"),
    "describe": ("describe", "one resource: spec, what is observed, conditions, events"),
    "events": ("events", "what happened; -f goes on with what happens"),
    "wait": ("wait", "until a resource is as one wants it"),
    "why": ("why", "why a resource is as it is: the causes, down to the first"),
    "doctor": ("doctor", "what is wrong, area by area, and what to do about it"),
    "top": ("top", "controllers, daemons, resources and rates, live"),
    "explain": ("explain", "a kind or a field of the configuration: type, default, example"),
    "validate": ("plan", "every mistake of a configuration, with line and column"),
    "plan": ("plan", "what a configuration would change, and what would be done for it"),
    "diff": ("plan", "in which fields a configuration differs from the one in force"),
    "apply": ("apply", "put a configuration into force"),
    "confirm": ("confirm", "keep a change that would undo itself"),
    "rollback": ("apply", "go back to an older configuration"),
    "delete": ("apply", "take a resource out of the configuration"),
    "generations": ("generations", "the configurations so far: who, when, what changed"),
    "rules": ("rules", "when an event rule would have fired"),
    "renew": ("command", "extend a lease now"),
    "rebind": ("command", "extend a lease now, from any server"),
    "release": ("command", "give a lease back"),
    "info-request": ("command", "ask a DHCPv6 server for what it tells beside leases"),
    "flush": ("command", "forget leases, and begin anew"),
    "start": ("command", "start a daemon's work again"),
    "stop": ("command", "stop a daemon's work"),
    "reload": ("command", "let a daemon read its configuration again"),
    "log-level": ("loglevel", "how much routerd writes to its log, for a time"),
    "version": ("version", "of this client and of routerd"),
    "completion": ("completion", "the script that completes words in bash, zsh and fish"),
}
"""Word -> module, one line of help. The help, the completion and docs/routerctl.md follow this table."""

VALUED = ("-o", "--output", "--color", "--timeout", "--run-dir", "--socket")
"""Options of every verb that take a value, so that they can stand before the verb."""

COMPLETE = "__complete"
"""The verb that the completion scripts call."""


_EXAMPLES = """\
Examples:
  routerctl status                                               is the line up, and since when
  routerctl events -f                                            what happens, as it happens
  routerctl describe DHCPv4Client/wan                            all there is to know of one resource
  routerctl why DHCPv4Client/wan                                 what made it what it is
  routerctl wait DHCPv4Client/wan --for phase=Bound --timeout 60s
  routerctl plan -f router.yaml                                  what would change
  routerctl apply -f router.yaml --confirm-within 5m             undone by itself unless `routerctl confirm`

usage: routerctl VERB [KIND/NAME] [options]      `routerctl VERB --help` begins with examples, too
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    sys.stdout, sys.stderr = (stream or _nowhere() for stream in (sys.stdout, sys.stderr))  # one may be closed
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _mute(0)  # The reader has what it wanted.
    except OSError as error:
        sys.stderr.write(f"error: cannot write: {error.strerror or error}\n")
        return _mute(1)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (pathlib alone costs 5 ms)


def _mute(code: int) -> int:
    """What is still buffered must not be tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _main(argv: list[str]) -> int:
    from routerctl.errors import Exit, Failure
    from routerctl.output import fail, forgiving

    forgiving(sys.stdout)
    forgiving(sys.stderr)
    try:
        leading, verb, rest = _split(argv)
        if verb == COMPLETE:
            from routerctl.completion import complete

            return complete(rest)
        if verb in ("", "help"):
            print(overview(), end="")
            return Exit.OK if verb or {"-h", "--help"} & {*leading} else Exit.USAGE
        if verb not in VERBS:
            from routerctl.kinds import did_you_mean

            hint = did_you_mean(verb, VERBS) or "routerctl --help lists them"
            raise Failure(Exit.USAGE, f'there is no verb "{verb}"', hint)
        return _run(verb, [*leading, *rest])
    except Failure as failure:
        return fail(failure)


def _split(argv: list[str]) -> tuple[list[str], str, list[str]]:
    """Options before the verb, the verb, and what follows it."""
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in VALUED else 1
    return argv[:index], "".join(argv[index : index + 1]), argv[index + 1 :]


def _run(verb: str, argv: list[str]) -> int:
    module = module_of(verb)
    parser = parser_of(verb, module)
    if "-h" in argv or "--help" in argv:
        examples = module.EXAMPLES[verb].strip("\n")
        print(f"Examples:\n{examples}\n\n{verb}: {VERBS[verb][1]}\n\n{parser.format_help()}", end="")
        return 0
    args = parser.parse_args(argv)

    from routerctl.client import ANSWER, Client, default_run_dir
    from routerctl.output import Out
    from routerctl.times import parse_duration

    out = Out(args.output, args.color, args.quiet)
    timeout = parse_duration(args.timeout) if args.timeout and not hasattr(module, "TIMEOUT") else ANSWER
    client = Client(args.run_dir or default_run_dir(), args.socket, timeout)
    client.warn = out.note
    try:
        return int(module.run(verb, args, client, out))
    finally:
        out.progress("")


def module_of(verb: str) -> ModuleType:
    """Where a verb lives."""
    from importlib import import_module

    return import_module(f"routerctl.{VERBS[verb][0]}")


def parser_of(verb: str, module: ModuleType) -> ArgumentParser:
    """The options of a verb, and those of all verbs."""
    from argparse import ArgumentParser, HelpFormatter

    from routerctl.errors import Exit, Failure
    from routerctl.output import width_of

    def refuse(message: str) -> NoReturn:
        raise Failure(Exit.USAGE, message, f"routerctl {verb} --help")

    def formatter(prog: str) -> HelpFormatter:
        return HelpFormatter(prog, width=width_of(sys.stdout) or 100)  # Left to itself it imports shutil: 2 ms.

    parser = ArgumentParser(f"routerctl {verb}", formatter_class=formatter, allow_abbrev=False)
    parser.error = refuse  # type: ignore[method-assign]
    module.arguments(verb, parser)
    options(parser)
    return parser


def options(parser: ArgumentParser) -> None:
    """Those that every verb takes, before or after it."""
    from routerctl.formats import FORMATS, form_of

    every = parser.add_argument_group("options of every verb")
    every.add_argument("-o", "--output", metavar="FORMAT", type=form_of, default="table", help=", ".join(FORMATS))
    every.add_argument("-q", "--quiet", action="store_true", help="no notes and no progress on stderr")
    every.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="NO_COLOR is obeyed")
    every.add_argument("--timeout", metavar="DURATION", help="30s; wait 60s, changes 90s, commands 10s")
    every.add_argument("--run-dir", metavar="DIR", help="where routerd's sockets are, else ROUTERD_RUN_DIR")
    every.add_argument("--socket", metavar="PATH", default="", help="the one socket to use")


def overview() -> str:
    """The help of routerctl itself."""
    from routerctl.errors import MEANING

    verbs = "".join(f"  {verb:<11} {line}\n" for verb, (_, line) in VERBS.items())
    codes = "".join(f"  {code:<4} {meaning}\n" for code, meaning in MEANING.items())
    return f"{_EXAMPLES}\nVerbs:\n{verbs}\nExit codes:\n{codes}"


if __name__ == "__main__":
    sys.exit(main())
