"""What the README and the design page say is so: the example loads, commands, flags, files and links exist."""

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


def test_the_examples_are_good() -> None:
    """The second one is said to be added to the first."""
    text, ipv6 = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    router = load(text, "README.md")
    assert [r.kind for r in router.resources] == ["Interface", "Interface", "DHCPv4Client", "IPv4StaticAddress"]
    router = load(text + ipv6, "README.md")
    assert [r.kind for r in router.resources[4:]] == [
        "IPv6RAAddress",
        "DHCPv6PrefixDelegation",
        "IPv6DelegatedAddress",
        "IPv6RouterAdvertisement",
    ]


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


def test_the_design_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "design.md").read_text()
    [rooms] = re.findall(r"^## The rooms\n\n```\nrouterd/\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    lines = [line for line in rooms.splitlines() if re.search(r"\w+\.py\b", line)]
    assert len(lines) >= 8
    for line in lines:
        room = re.match(r" *(?:(\w+)/)?", line)
        assert room is not None
        places = [*ROOT.glob(f"{room[1]}/"), *ROOT.glob(f"routerd/{room[1] or ''}/")]
        for file in re.findall(r"\w+\.py", line):
            assert any(list(place.rglob(file)) for place in places), f"{room[1]}: {file}"


def test_the_design_speaks_of_no_module_that_is_gone() -> None:
    lines = [line for line in (ROOT / "docs" / "design.md").read_text().splitlines() if "planned" not in line.lower()]
    there = {path.name for top in ("routerd", "routerctl", "tests") for path in (ROOT / top).rglob("*.py")}
    assert set(re.findall(r"\w+\.py\b", "\n".join(lines))) <= there


def test_no_heading_of_a_page_is_torn() -> None:
    for page in PAGES:
        for heading in re.findall(r"^#+ .*", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE):
            assert heading.count("#") == len(heading.split(" ")[0]), f"{page.name}: {heading}"
