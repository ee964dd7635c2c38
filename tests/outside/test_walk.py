"""Clients that know nothing of us walk the whole API: plain curl in a shell, and Python's standard library."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.api.app import OPERATIONS
from tests.router.process import Process

HERE = Path(__file__).parent


def run(*command: str) -> str:
    """What it prints; it must end well."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_every_endpoint_by_curl(up: Process) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    walked = [line.split() for line in run("sh", str(HERE / "walk.sh"), str(up.run_dir)).splitlines()]
    asked = {(method, re.sub(r"\?.*", "", path)) for _, method, path, _ in walked}
    missing = [f"{op.method} {op.path}" for op in OPERATIONS if not _reached(op.method, op.path, asked)]
    assert not missing
    assert "Traceback" not in up.log


def _reached(method: str, path: str, asked: set[tuple[str, str]]) -> bool:
    pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
    return any(how == method and pattern.fullmatch(target) for how, target in asked)


def test_a_script_of_the_standard_library(up: Process) -> None:
    said = run(sys.executable, "-I", str(HERE / "walk.py"), str(up.run_dir))
    assert re.match(r"generation \d+ -> \d+ -> \d+\n\d+ events followed\n$", said)
    up.assert_undisturbed()
