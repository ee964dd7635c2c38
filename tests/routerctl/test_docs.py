"""docs/routerctl.md says what the program does."""

from __future__ import annotations

import re

from routerctl.__main__ import VALUED, VERBS, module_of, parser_of
from routerctl.errors import MEANING
from routerctl.formats import FORMATS
from tests.routerctl.answers import faulty
from tests.routerctl.run import ROOT, Inside
from tests.routerctl.server import Routerd
from tests.routerctl.transcript import steps

PAGE = (ROOT / "docs" / "routerctl.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_verbs() -> None:
    assert [(verb.strip("`"), line) for verb, line in rows("Verbs")] == [
        (verb, line) for verb, (_, line) in VERBS.items()
    ]


def test_exit_codes() -> None:
    assert [(int(code), meaning) for code, meaning in rows("Exit codes")] == [
        (int(c), text) for c, text in MEANING.items()
    ]


def test_options_of_every_verb() -> None:
    named = re.findall(r"`(-[-a-z]+)`", "".join(names for names, _ in rows("Options of every verb")))
    assert set(named) == {*VALUED, "-q", "--quiet"}
    assert all(f"`{form}`" in PAGE for form in FORMATS)


def test_what_is_shown_is_what_is_tested() -> None:
    """Each example whose output does not depend on the clock."""
    tested = {step.words: step.shown.rpartition("\n[exit ")[0] for step in steps("pipe.txt")}
    examples = re.findall(r"^```\n\$ routerctl ([^\n]+)\n(.+?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
    found = [(words, shown) for words, shown in examples if words in tested and "<clock>" not in tested[words]]
    assert {words.split()[0] for words, _ in found} >= {"status", "plan", "apply", "doctor", "generations"}
    assert found == [(words, tested[words]) for words, _ in found]


def test_the_errors_shown_are_those_tested(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/apply"] = lambda _: faulty()
    assert f"```\n{ctl('apply', '-f', 'router.yaml').err}```" in PAGE


def test_every_example_of_the_help_is_understood(ctl: Inside) -> None:
    """Nobody is there to answer, but no example is a usage error."""
    for verb in VERBS:
        examples = ctl(verb, "--help").out.split("\n\n")[0].splitlines()[1:]
        assert examples, verb
        for example in examples:
            if example.startswith("  routerctl ") and "wait " not in example:
                words = re.split(r" {2,}| > ", example.strip())[0].replace("'", "").split()[1:]
                assert ctl("-q", *words).code in (0, 6), example


def test_the_commands_of_the_readme_are_understood() -> None:
    lines = re.findall(r"^(?:sudo )?routerctl (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    called = [line.partition("#")[0].split() for line in lines]
    assert {words[0] for words in called} >= {"apply", "plan", "confirm", "rollback", "why"}
    for verb, *words in called:
        parser_of(verb, module_of(verb)).parse_args(words)
