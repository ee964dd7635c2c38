"""Three ways to run routerctl: in this process, as a program with pipes, as a program on a terminal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from routerctl.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-P", "-m", "routerctl")
PATIENCE = 20.0
"""Seconds after which a program that says nothing is stuck."""


@attrs.frozen
class Done:
    """How it ended."""

    code: int
    out: str
    err: str = ""


@attrs.frozen
class Inside:
    """Runs it in this process."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Done:
        self.capsys.readouterr()
        code = main(words)
        captured = self.capsys.readouterr()
        return Done(code, captured.out, captured.err)


def piped(run_dir: Path, *words: str, **more: str) -> Done:
    """Run it with pipes, to its end."""
    ended = subprocess.run(
        [*COMMAND, *words], env=environment(run_dir, **more), capture_output=True, timeout=PATIENCE, check=False
    )
    return Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def environment(run_dir: Path, **more: str) -> dict[str, str]:
    """Of the program: this clone's code, that directory's sockets."""
    return {**os.environ, "PYTHONPATH": os.fspath(ROOT), "ROUTERD_RUN_DIR": os.fspath(run_dir), **more}


@attrs.define
class Program:
    """It runs beside the test. `line` reads stdout as it comes, `note` stderr."""

    process: subprocess.Popen[bytes]
    _buffers: dict[int, bytearray] = attrs.field(init=False, factory=dict)

    def line(self) -> str:
        """The next line of stdout."""
        assert self.process.stdout is not None
        return self._read(self.process.stdout.fileno())

    def note(self) -> str:
        """The next line of stderr."""
        assert self.process.stderr is not None
        return self._read(self.process.stderr.fileno())

    def notes_until(self, pattern: str) -> str:
        """Pass over notes up to one that matches."""
        while not re.search(pattern, note := self.note()):
            pass
        return note

    def _read(self, descriptor: int) -> str:
        buffer = self._buffers.setdefault(descriptor, bytearray())
        while b"\n" not in buffer:
            ready, _, _ = select.select([descriptor], (), (), PATIENCE)
            assert ready, f"nothing came; so far {bytes(buffer)!r}"
            data = os.read(descriptor, 65536)
            assert data, f"it ended; the last was {bytes(buffer)!r}"
            buffer += data
        line, _, rest = bytes(buffer).partition(b"\n")
        self._buffers[descriptor] = bytearray(rest)
        return line.decode()


@contextlib.contextmanager
def running(run_dir: Path, *words: str, **more: str) -> Iterator[Program]:
    """Run it beside the test; it is ended at the latest with the block."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(run_dir, PYTHONUNBUFFERED="", **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        try:
            yield Program(process)
        finally:
            process.kill()


def on_terminal(run_dir: Path, *words: str, columns: int = 100, typed: str = "", **more: str) -> Done:
    """Run it on a terminal of so many columns, at which somebody has `typed`; stdout and stderr come as one, as they do
    there, with the echo."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *words], env=environment(run_dir, **more), stdin=slave, stdout=slave, stderr=slave, close_fds=True
    )
    os.close(slave)
    os.write(master, typed.encode())
    shown = bytearray()
    ends = time.monotonic() + PATIENCE
    with process, contextlib.closing(os.fdopen(master, "rb", buffering=0)) as screen:
        while time.monotonic() < ends and select.select([screen], (), (), PATIENCE)[0]:
            try:
                data = screen.read(65536)
            except OSError as error:  # Linux: the other side is closed
                assert error.errno == errno.EIO
                break
            if not data:
                break
            shown += data
    return Done(process.returncode, shown.decode(errors="replace").replace("\r\n", "\n"))
