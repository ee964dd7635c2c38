"""The command line of `routerd`: its verbs and their flags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from routerd import __version__

HOSTS = ("linux", "freebsd", "simulated")
DEMO = Path("demo")

Verb = Callable[[argparse.Namespace], int]
"""Does it; returns the exit code."""


def parser(serving: Verb, demonstrating: Verb, telling_schema: Verb) -> argparse.ArgumentParser:
    """Of the whole command line. What is to be done is `run` of the parsed arguments."""
    command = argparse.ArgumentParser(prog="routerd", description="The router daemon. `routerctl` talks to it.")
    command.add_argument("--version", action="version", version=f"routerd {__version__}")
    verbs = command.add_subparsers(required=True, metavar="COMMAND")

    serve = verbs.add_parser("serve", help="run the router")
    freebsd = sys.platform.startswith("freebsd")
    serve.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=Path("/usr/local/etc/routerd/router.yaml"),
        help="the configuration; it is read at the start and at SIGHUP (default: %(default)s)",
    )
    serve.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        default=Path("/var/run/routerd" if freebsd else "/run/routerd"),
        help="folder of the sockets that routerctl talks to (default: %(default)s)",
    )
    serve.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        default=Path("/var/db/routerd" if freebsd else "/var/lib/routerd"),
        help="folder of what outlives a restart: event log, leases, generations (default: %(default)s)",
    )
    serve.add_argument(
        "--host",
        choices=HOSTS,
        default="freebsd" if freebsd else "linux",
        help="the system to drive, or a simulated one, which takes no rights (default: this system, %(default)s)",
    )
    serve.add_argument("--check", action="store_true", help="validate the configuration and exit")
    _logging_flags(serve)
    serve.set_defaults(run=serving)

    demo = verbs.add_parser("demo", help="run the router on a simulated host and line, here and without root")
    demo.add_argument(
        "--dir", type=Path, default=DEMO, metavar="DIR", help="where its sockets and state go (default: ./demo)"
    )
    _logging_flags(demo, level="warning")
    demo.set_defaults(run=demonstrating)

    schema = verbs.add_parser("schema", help="print the JSON Schema of the configuration")
    schema.set_defaults(run=telling_schema)
    return command


def _logging_flags(parser: argparse.ArgumentParser, level: str = "info") -> None:
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default=level,
        help="the least severity that is written to stderr; the event log has all (default: %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="of what is written to stderr: lines for people, or one object each (default: %(default)s)",
    )
