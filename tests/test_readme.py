"""What the README says works: its example loads, its commands exist, its flags are the program's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.config import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_example_is_good() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    router = load(text, "README.md")
    assert [r.kind for r in router.resources] == ["Interface", "Interface", "DHCPv4Client", "IPv4StaticAddress"]


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_flags_are_the_program_s() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "routerd", "serve", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    flags = set(re.findall(r"--[a-z-]+", shown)) - {"--help"}
    table = "\n".join(line for line in README.splitlines() if line.startswith("| `--"))
    assert flags == set(re.findall(r"--[a-z-]+", table))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"
