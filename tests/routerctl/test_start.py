"""routerctl starts at once: what it imports, and how the wrapper of the clone calls it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from routerctl.__main__ import VERBS
from tests.routerctl.run import COMMAND, PATIENCE, ROOT, environment
from tests.routerctl.server import Routerd, result

HEAVY = """
trio quart hypercorn h11 httpx requests pydantic rich click yaml ruamel attr attrs cattrs msgspec orjson structlog
routerd http email ssl typing dataclasses inspect pathlib asyncio subprocess shutil logging sqlite3
"""
SPY = """
import sys
from routerctl.__main__ import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


def imported(routerd: Routerd, *words: str) -> set[str]:
    """Every module that a run imports; -S: not those that this virtual environment's own start-up brings."""
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", SPY, *words],
        env=environment(routerd.run_dir),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        "status",
        "get",
        "describe Interface/wan",
        "events",
        "wait Interface/wan --for phase=Up",
        "renew DHCPv4Client/wan",
        "version",
        "completion bash",
        "__complete -- describe I",
        "get -o json",
        "get consumers",
        "why RouterAdvertisement/lan",
        "apply -f router.yaml",
        "plan -f router.yaml",
        "validate -f router.yaml",
        "confirm TOKEN",
        "rollback --list",
        "generations 3",
        "rules test -f rule.yaml",
        "explain Interface",
        "doctor",
        "log-level info",
        "top",
        "__complete -- explain I",
    ],
)
def test_nothing_heavy_is_imported(words: str, routerd: Routerd) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renewed", succeeded="true"))
    modules = imported(routerd, *words.split())
    assert "routerctl.client" in modules
    assert not {name for name in modules if name.partition(".")[0] in HEAVY.split()}


def test_a_verb_does_not_import_the_others(routerd: Routerd) -> None:
    modules = {f"routerctl.{module}" for module, _ in VERBS.values()}
    assert imported(routerd, "status") & modules == {"routerctl.status"}


def test_routerctl_imports_nothing_of_routerd() -> None:
    for path in (ROOT / "routerctl").glob("*.py"):
        assert not re.search(r"^\s*(from|import) routerd\b", path.read_text(), re.MULTILINE), path


# bin/routerctl


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone elsewhere, with the same interpreter; its path has a blank."""
    root = tmp_path / "my clone"
    (root / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "routerctl", root / "bin")
    (root / "routerctl").symlink_to(ROOT / "routerctl")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    packages = Path(sys.modules["pytest"].__file__ or "").parents[1]
    library = root / ".venv" / "lib" / f"python3.{sys.version_info.minor}"
    library.mkdir(parents=True)
    (library / "site-packages").symlink_to(packages)
    return root


def run(program: Path, *words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ROUTERD_RUN_DIR")}
    return subprocess.run(
        [program, *words], cwd=cwd, env={**kept, **more}, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_the_wrapper_finds_the_demo(clone: Path, routerd: Routerd, tmp_path: Path) -> None:
    (clone / "demo").mkdir()
    (clone / "demo" / "run").symlink_to(routerd.run_dir)
    link = tmp_path / "rc"
    link.symlink_to(clone / "bin" / "routerctl")
    for program in (clone / "bin" / "routerctl", link):
        done = run(program, "get", "-o", "name", cwd=tmp_path)
        assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "Interface/wan", "")


def test_what_the_operator_says_beats_the_demo(clone: Path, routerd: Routerd, tmp_path: Path) -> None:
    (clone / "demo" / "run").mkdir(parents=True)
    program = clone / "bin" / "routerctl"
    assert run(program, "get", cwd=tmp_path).returncode == 6
    assert run(program, "get", cwd=tmp_path, ROUTERD_RUN_DIR=str(routerd.run_dir)).returncode == 0
    assert run(program, "get", "--run-dir", str(routerd.run_dir), cwd=tmp_path).returncode == 0


def test_the_current_directory_is_not_trusted(clone: Path, routerd: Routerd, tmp_path: Path) -> None:
    for name in ("json.py", "socket.py", "routerctl.py"):
        (tmp_path / name).write_text("raise SystemExit('hijacked')")
    done = run(clone / "bin" / "routerctl", "get", cwd=tmp_path, ROUTERD_RUN_DIR=str(routerd.run_dir))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wrapper_has_yaml_too(clone: Path, routerd: Routerd, tmp_path: Path) -> None:
    program = clone / "bin" / "routerctl"
    done = run(program, "get", "-o", "yaml", cwd=tmp_path, ROUTERD_RUN_DIR=str(routerd.run_dir))
    assert done.stdout.startswith("apiVersion: "), done.stderr


def test_the_wrapper_says_what_to_do_before_the_first_make(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv" / "bin" / "python").unlink()
    done = run(clone / "bin" / "routerctl", "status", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {clone}/.venv/bin/python is missing\nhelp: run `make demo`")


def test_words_pass_through_the_wrapper_whole(clone: Path, routerd: Routerd, tmp_path: Path) -> None:
    program = clone / "bin" / "routerctl"
    done = run(program, "describe", "Interface/a b*$x", cwd=tmp_path, ROUTERD_RUN_DIR=str(routerd.run_dir))
    assert done.stderr.startswith("error[test.404]: there is no Interface/a b*$x\n")


def test_command_is_the_module() -> None:
    assert COMMAND[-2:] == ("-m", "routerctl")
