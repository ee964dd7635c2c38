"""Goldens: each file of `errors/` is wrong in one way or many, and its .txt is all that is said about it.

After a change that is meant: `python -m tests.config.test_errors`, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from routerd.config import ConfigErrors, as_json, load, render, summary
from routerd.config.errors import printable

WRONG = sorted((Path(__file__).parent / "errors").glob("*.yaml"))


AREAS = ("yaml", "schema", "value", "reference", "duplicate", "overlap", "unsupported")


def errors_of(path: Path) -> ConfigErrors:
    with pytest.raises(ConfigErrors) as caught:
        load(path.read_bytes(), path.name)
    return caught.value


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    assert render(errors_of(path)) + "\n" == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_every_error_has_a_true_place(path: Path) -> None:
    lines = path.read_bytes().decode(errors="replace").split("\n")
    errors = errors_of(path).errors
    assert list(errors) == sorted(errors, key=lambda error: (error.line, error.column))
    for error in errors:
        assert error.source == path.name
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.width >= 1
        assert error.code.split(".")[0] in AREAS
        marked = error.text[error.caret : error.caret + error.width]
        there = printable(lines[error.line - 1])[error.column - 1 :]
        assert there.startswith(marked.rstrip("*"))


@pytest.mark.req("C16")
@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_no_error_shows_a_secret(path: Path) -> None:
    errors = errors_of(path)
    for shown in (
        render(errors),
        summary(errors),
        json.dumps(as_json(errors)),
        repr(errors),
        str(errors),
        repr(errors.errors),
    ):
        assert "hunter2" not in shown


def test_the_sample_of_the_manual() -> None:
    """The form that operators are promised, to the letter."""
    text = "\n" * 14 + "        offerWindow: 30x   # bad\n"
    said = (Path(__file__).parent / "errors" / "duration.txt").read_text()
    assert said == (
        'error[schema.duration]: DHCPv4Client/wan spec.offerWindow: "30x" is not a duration\n'
        "   --> duration.yaml:15:22\n"
        f" 15 | {text.strip(chr(10))}\n"
        "    |                      ^^^ expected number + ms|s|m|h\n"
        "help: did you mean 30s?\n"
    )


def test_for_programs() -> None:
    errors = errors_of(Path(__file__).parent / "errors" / "duration.yaml")
    assert as_json(errors) == {
        "kind": "ConfigErrors",
        "errors": [
            {
                "code": "schema.duration",
                "message": '"30x" is not a duration',
                "source": "duration.yaml",
                "line": 15,
                "column": 22,
                "resource": "DHCPv4Client/wan",
                "field": "spec.offerWindow",
                "expected": "expected number + ms|s|m|h",
                "hint": "did you mean 30s?",
                "text": "        offerWindow: 30x   # bad",
                "caret": 21,
                "width": 3,
            }
        ],
    }


def test_there_are_many_ways_to_be_wrong() -> None:
    codes = {error.code for path in WRONG for error in errors_of(path).errors}
    assert len(WRONG) >= 40
    assert len(codes) >= 35


def test_the_summary_is_a_line_for_each_error_with_its_place() -> None:
    errors = errors_of(Path(__file__).parent / "errors" / "secret.yaml")
    lines = summary(errors).splitlines()
    assert len(lines) == len(errors.errors)
    assert lines[1] == "secret.yaml:18:32: DHCPv4Client/wan spec.sendOptions[1].secret: expected text (quote it)"


def test_the_summary_of_a_hopeless_file_ends_somewhere() -> None:
    with pytest.raises(ConfigErrors) as caught:
        load("".join(f"field{number}: 1\n" for number in range(100)))
    *_, last = lines = summary(caught.value).splitlines()
    assert (len(lines), last) == (21, f"and {len(caught.value.errors) - 20} more")


if __name__ == "__main__":
    for path in WRONG:
        path.with_suffix(".txt").write_text(render(errors_of(path)) + "\n")
