"""How the command `routerd` fails: its exit codes, and what it says on stderr. A fault of ours keeps its traceback."""

from __future__ import annotations

import errno
import sys

FAILED, USAGE = 1, 2


def fail(message: str, hint: str, code: int) -> int:
    """Say it on stderr, as routerctl does; returns the code."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"help: {hint}", file=sys.stderr)
    return code


def words_of(error: BaseException) -> str:
    """An OSError without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror


def hint_of(error: BaseException) -> str:
    """What helps, if that is known."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "stop it first, or give this one its own --run-dir"
    return "run it as root; `routerd demo` needs no rights" if isinstance(error, PermissionError) else ""


def judge(group: BaseExceptionGroup[BaseException]) -> int:
    """What ended the run: somebody's Ctrl-C, the world (then in its words), or a fault of ours (then as it is)."""
    interrupted, others = group.split(KeyboardInterrupt)
    if interrupted is not None and others is None:
        raise KeyboardInterrupt
    worldly, ours = group.split(OSError)
    if worldly is None or ours is not None:
        raise group
    leaves = _leaves(worldly)
    return fail("; ".join(words_of(leaf) for leaf in leaves), hint_of(leaves[0]), FAILED)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
