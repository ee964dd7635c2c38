"""The benchmarks can be run and their figures be read. How fast anything is, no test says."""

from __future__ import annotations

import importlib
import os
import struct
import subprocess
import sys
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from benchmarks.__main__ import SUITES, compiled, merged, outcome_of
from benchmarks.delegate import MANNERS, Record6, rows_of
from benchmarks.document import page
from benchmarks.eye6 import Course6, Times6, usable_on
from benchmarks.line6 import delegate, provider6
from benchmarks.machine import environment
from benchmarks.programs6 import dhcp6c, dhcpcd6, networkd, routerd6
from benchmarks.report import NotRun, Outcome, missing, no_more, table, versus, within
from tests.lab.netns import need, need_program, obstacle_to_namespaces
from tests.lab.servers6 import Terms6

ROWS = [
    {"name": "fast", "value": 12.0, "unit": "ms", "detail": "of 7", **versus("peer", 0.5), **no_more(0.5)},
    {"name": "slow", "value": 3.2, "unit": "s", "detail": "", **within(3.2, 0.7, "s")},
    {"name": "plain", "value": 123456, "unit": "packets/s", "detail": "alone"},
    missing("absent", "nobody installed it"),
]


@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_can_be_run_and_says_what_it_means(suite: str) -> None:
    module = importlib.import_module(f"benchmarks.{suite}")
    assert callable(module.run)
    assert module.__doc__


def test_the_table_says_what_was_missed_and_what_was_not_run() -> None:
    lines = list(table([Outcome("one", "meaning", 0.5, 3.0, ROWS), Outcome("two", "meaning", 0.5, not_run="no root")]))
    (fast,) = [line for line in lines if line.startswith("fast")]
    assert fast.split() == ["fast", "12", "ms", "peer", "0.50", "ratio", "≤", "1", "met"]
    (slow,) = [line for line in lines if line.startswith("slow")]
    assert slow.split() == ["slow", "3.2", "s", "<", "0.7", "s", "MISSED"]
    assert any(line.startswith("absent") and line.endswith("nobody installed it") for line in lines)
    assert any("123,456" in line for line in lines)
    assert lines[-1] == "two: not run: no root"


def test_the_page_has_every_figure_and_names_the_goals() -> None:
    text = page(
        [
            Outcome("one", "What it means.", 0.5, 3.0, ROWS, measured="today, commit 12345"),
            Outcome("two", "", 0.5, not_run="no root"),
        ],
        environment(),
    )
    assert "What it means." in text
    assert "today, commit 12345; 3 s; load average 0.5 when it began." in text
    assert "- MISSED: one: slow: 3.2 s; goal: < 0.7 s" in text
    assert "- met: one: fast: 12 ms, 0.50 × peer; goal: ratio ≤ 1" in text
    assert "| plain | 123,456 | packets/s |" in text
    assert "Not run: no root." in text


def test_a_suite_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_root() -> list[object]:
        raise NotRun("no root")

    monkeypatch.setattr("benchmarks.codec.run", no_root)
    assert outcome_of("codec").not_run == "no root"
    monkeypatch.setattr("benchmarks.codec.run", lambda: [][0])
    assert outcome_of("codec").not_run == "IndexError: list index out of range"
    assert "Traceback" in capsys.readouterr().err
    assert outcome_of("nonesuch").not_run.startswith("ModuleNotFoundError")


def test_a_suite_that_was_not_run_keeps_its_figures() -> None:
    old = [Outcome(suite, "old", 0.5) for suite in ("start", "codec", "of an earlier time")]
    found = merged(old, [Outcome("start", "new", 0.5), Outcome("delegate", "new", 0.5)])
    assert [(one.suite, one.meaning) for one in found] == [("codec", "old"), ("start", "new"), ("delegate", "new")]


def test_what_is_measured_is_started_from_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    asked = "import sys; print(sys.pycache_prefix, sys.dont_write_bytecode)"
    with compiled():
        said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
        assert said == f"{os.environ['PYTHONPYCACHEPREFIX']} False\n"
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONPYCACHEPREFIX" not in os.environ


def times(address: float, advertised: float | None = None) -> Times6:
    return Times6(waited=500, replied=address - 1, address=address, advertised=advertised)


def test_who_takes_the_first_offer_is_no_measure_for_those_who_collect_them() -> None:
    records = [Record6(routerd6(False), [times(1050, 1060)]), Record6(dhcpcd6(False), [times(1)])]
    records += [Record6(dhcp6c(False), [times(1001)]), Record6(networkd(False), [times(1100, 1099)])]
    found = {manner.title: next(iter(rows_of(manner, records))) for manner in MANNERS}
    assert {title: row["peer"] for title, row in found.items()} == {
        "four messages": "dhcp6c",
        "preference 255": "dhcpcd",
        "rapid commit": "dhcpcd",
    }
    assert not found["four messages"]["met"]


def test_what_hosts_hear_is_held_against_those_who_advertise() -> None:
    records = [Record6(routerd6(False), [times(50, 60)]), Record6(dhcpcd6(False), [times(1)], lost=1)]
    records += [Record6(networkd(False), [times(100, 104), times(100, 103), times(100)])]
    records += [Record6(dhcp6c(False), broken="it crashed")]
    rows = {row["name"]: row for row in rows_of(MANNERS[1], records)}
    assert rows["preference 255: dhcp6c"]["not_run"] == "it crashed"
    assert "1 more had no prefix within 30 s" in rows["Solicit to LAN address, preference 255: dhcpcd"]["detail"]
    heard = {name: row["value"] for name, row in rows.items() if name.startswith("Reply to RA")}
    assert heard == {"Reply to RA, preference 255: routerd": 11, "Reply to RA, preference 255: networkd": 5}
    assert rows["Reply to RA, preference 255: routerd"]["peer"] == "networkd"


def test_a_course_is_told_from_its_beginning() -> None:
    course = Course6(exec_at=2.0, link_at=1.0, asked_at=2.5, replied_at=3.0, address_at=3.25)
    assert course.times() == Times6(500, 500, 750, None)
    course.advertised_at = 4.5
    assert course.times() == Times6(500, 500, 750, 2000)
    course.asked_at = None
    assert course.times() is None


@pytest.mark.parametrize(
    ("index", "flags", "address", "usable"),
    [
        (7, 0x80, "2001:db8:4000:1::1", True),
        (8, 0x80, "2001:db8:4000:1::1", False),
        (7, 0x40, "2001:db8:4000:1::1", False),
        (7, 0x80, "fe80::1", False),
    ],
)
def test_an_address_counts_once_it_can_be_used(index: int, flags: int, address: str, usable: bool) -> None:
    lifetimes = struct.pack("=HHIIII", 20, 6, 3000, 4000, 0, 0)
    attribute = struct.pack("=HH", 20, 1) + IPv6Address(address).packed
    told = struct.pack("=BBBBI", 10, 64, flags, 0, index) + lifetimes + attribute
    assert usable_on(7, IPv6Network("2001:db8:4000::/36"), told) is usable


@pytest.mark.lab
def test_a_household_is_watched_from_the_link_to_the_advertisement() -> None:
    need(obstacle_to_namespaces())
    need_program("kea-dhcp6")
    terms = Terms6(preference=255)
    with provider6(terms) as isp:
        found = delegate(isp, routerd6(False), terms).times()
    assert found is not None
    assert found.advertised is not None
    assert 0 < found.replied < min(found.address, found.advertised)


def test_the_page_in_the_documentation_is_the_generated_one() -> None:
    text = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    assert text.startswith(page([], environment())[: len("# Benchmarks\n\nWritten by")])
    for suite in SUITES:
        assert f"\n## {suite}\n" in text
