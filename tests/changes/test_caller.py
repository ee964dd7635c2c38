"""Who sits at the other end: from the environments of processes, real ones and made up ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.changes.caller import caller_of
from routerd.changes.guard import Caller

CONNECTION = "198.51.100.7 50022 192.168.1.1 22"
FOUND = Caller(local="192.168.1.1", remote="198.51.100.7")


def process(proc: Path, pid: int, parent: int, *environment: str, name: str = "sh") -> None:
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "environ").write_bytes(b"".join(entry.encode() + b"\0" for entry in environment))
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1\n")


@pytest.mark.parametrize("name", ["sh", "a (b) c", ") R 1 ("])
def test_the_ancestors_are_asked_too(tmp_path: Path, name: str) -> None:
    process(tmp_path, 10, 1, "HOME=/root", f"SSH_CONNECTION={CONNECTION}")
    process(tmp_path, 20, 10, "SUDO_USER=op", name=name)
    process(tmp_path, 30, 20, name=name)
    assert caller_of(30, tmp_path) == FOUND


def test_the_nearest_one_counts(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "SSH_CONNECTION=203.0.113.9 1 203.0.113.1 22")
    process(tmp_path, 20, 10, f"SSH_CONNECTION={CONNECTION}")
    assert caller_of(20, tmp_path) == FOUND


@pytest.mark.parametrize(
    "value",
    ["", "x", "1 2 3", "a b c d", "127.0.0.1 1 127.0.0.1 22", "::1 1 ::1 22", "10.0.0.1 1 10.0.0.2", "10.0.0.1  1 2"],
)
def test_what_is_no_connection_from_elsewhere(tmp_path: Path, value: str) -> None:
    process(tmp_path, 10, 1, f"SSH_CONNECTION={value}", "XSSH_CONNECTION=" + CONNECTION)
    assert caller_of(10, tmp_path) is None


def test_processes_that_cannot_be_read(tmp_path: Path) -> None:
    assert caller_of(99, tmp_path) is None
    assert caller_of(1, tmp_path) is None and caller_of(0, tmp_path) is None and caller_of(-1, tmp_path) is None
    process(tmp_path, 10, 10)
    assert caller_of(10, tmp_path) is None, "its own parent"
    (tmp_path / "10" / "stat").write_text("torn")
    assert caller_of(10, tmp_path) is None


def test_a_real_process() -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("no /proc")
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import os; print(os.getpid()); input()'],"
    command = [sys.executable, "-c", f"{script} env={{}})"]
    environment = {**os.environ, "SSH_CONNECTION": CONNECTION}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        assert caller_of(int(shell.stdout.readline())) == FOUND
        shell.stdin.write(b"\n")
