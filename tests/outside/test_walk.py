"""Clients that know nothing of us walk the whole API: plain curl in a shell, and Python's standard library."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.api.app import OPERATIONS
from tests.router.process import ROOT, Process

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


PAGES = [ROOT / "README.md", ROOT / "docs" / "ipv6.md"]


def test_what_the_pages_say_of_ipv6_can_be_typed(up: Process) -> None:
    """Every line that is not about a change of the configuration, as it stands there."""
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    blocks = [block for page in PAGES for kind, block in fenced.findall(page.read_text()) if not kind]
    lines = {line.partition("#")[0].strip() for block in blocks for line in block.splitlines()}
    typed = [line for line in lines if line.startswith("routerctl ") and " -f" not in line]
    assert {line.split()[1] for line in typed} >= {"get", "why", "renew", "events"}
    for line in sorted(typed):
        said = up.ctl(*shlex.split(line)[1:])
        assert said.returncode == 0 and said.stdout, (line, said.stderr)
