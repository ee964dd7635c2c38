"""Transcripts: what one types and what one then sees, as text files that a reader can check by eye.

`$ routerctl …` begins a command; its output follows, then `[exit N]`. To write down what it says today:
`python -m tests.routerctl.transcript`, and read the difference.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from tests.routerctl.conftest import furnished, laid
from tests.routerctl.run import Done, on_terminal, piped
from tests.routerctl.server import Routerd, result

FOLDER = Path(__file__).parent / "transcripts"
PROMPT = "$ routerctl "

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")

_CLOCK = re.compile(r"(since |until |\(|resources   )(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\dZ")


@attrs.frozen
class Step:
    """A command and what it shows."""

    words: str
    shown: str


def steps(name: str) -> Iterator[Step]:
    """The commands of a transcript."""
    for part in (FOLDER / name).read_text().split(f"\n{PROMPT}")[1:]:
        words, _, shown = part.partition("\n")
        yield Step(words, shown.rstrip("\n"))


def shown(done: Done) -> str:
    """Output as a transcript has it: stdout, stderr, exit code; escapes readable."""
    text = _CLOCK.sub(r"\1<clock>", _TIME.sub("<time>", done.out + done.err))
    text = "".join(f"{line.rstrip()}\n" for line in text.replace("\x1b", "\\e").replace("\r", "\\r").splitlines())
    return f"{text}[exit {done.code}]"


def scene(run_dir: Path) -> Routerd:
    """The router that transcripts look at."""
    router = furnished(Routerd(run_dir))
    router.commands["renew"] = lambda *_: (200, result("renew", "renewed for 1h", eventId="12", succeeded="true"))
    return router


def _record(name: str, run: Callable[..., Done], run_dir: Path) -> None:
    heading, _, _ = (FOLDER / name).read_text().partition(f"\n{PROMPT}")
    text = heading + "\n"
    for step in steps(name):
        text += f"{PROMPT}{step.words}\n{shown(run(run_dir, *shlex.split(step.words)))}\n\n"
    (FOLDER / name).write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="rctl") as directory:
        os.chdir(laid(Path(directory)))
        router = scene(Path(directory))
        router.start()
        _record("pipe.txt", piped, Path(directory))
        _record("terminal.txt", on_terminal, Path(directory))
        router.stop()
