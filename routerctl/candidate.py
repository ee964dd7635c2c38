"""The configuration that a verb is given: a file, or `-` for what comes in."""

from __future__ import annotations

import sys

from routerctl.errors import Exit, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

LIMIT = 1 << 20
"""Octets that routerd takes in one request."""


def file_option(parser: ArgumentParser, *, required: bool = True, what: str = "the configuration") -> None:
    """`-f FILE`, and whether it is the whole configuration."""
    parser.add_argument("-f", "--file", metavar="FILE", required=required, help=f"{what}; - reads it from stdin")


def candidate(path: str) -> str:
    """The text. Raises Failure."""
    try:
        if path == "-":
            octets = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with open(path, "rb") as file:  # noqa: PTH123 (pathlib alone costs 5 ms)
                octets = file.read(LIMIT + 1)
    except OSError as error:
        raise Failure(Exit.FAILED, f"cannot read {path}: {error.strerror or error}") from error
    if len(octets) > LIMIT:
        raise Failure(Exit.FAILED, f"{path} is larger than {LIMIT} bytes, which is more than routerd takes")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise Failure(Exit.FAILED, f"{path} is not UTF-8", where=f"{path}:{line}") from error


def placed(excerpts: Sequence[str], path: str | None) -> list[str]:
    """Errors with the name of the file that was sent, which routerd knows by the name of its field only."""
    name = f"--> {'stdin' if path == '-' else path}:"
    return [
        excerpt if path is None else excerpt.replace("--> candidate:", name, 1).replace("--> ruleYaml:", name, 1)
        for excerpt in excerpts
    ]
