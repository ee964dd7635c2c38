"""Whatever a file holds, `load` returns a Router or raises ConfigErrors: never anything else, never a secret."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.config import ConfigErrors, as_json, load, render
from tests.config.valid import EXAMPLES, documents

TEXTS = [path.read_text() for path in EXAMPLES]
MARKS = [
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "? ",
    "#",
    '"',
    "'",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a ",
    "!",
    "!!int ",
]
WORDS = [
    "|",
    ">-",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "%TAG ! x\n",
    "<<: ",
    "~",
    "null",
    "\\",
    '"\\x',
    "\ufeff",
    "\u2028",
    "é",
]
PIECES = st.sampled_from([*MARKS, *WORDS, "\0", "\x1b[2J"]) | st.text(max_size=3)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid file after some slips of the pen."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(PIECES) + text[end:]
    return text[: draw(st.integers(len(text) // 2, len(text)))] if draw(st.booleans()) else text


def test_long_names_are_cut() -> None:
    resource = {
        "apiVersion": "net.routerd.net/v1alpha1",
        "kind": "K" * 9000,
        "metadata": {"name": "n" * 9000},
        "x" * 9000: 1,
    }
    assert len(judge(json.dumps({"apiVersion": "v" * 9000, "spec": {"resources": [resource]}}))) < 12_000


def judge(text: str | bytes) -> str:
    """What is said of a text; nothing when it is good."""
    try:
        load(text)
    except ConfigErrors as errors:
        assert errors.errors
        json.dumps(as_json(errors)).encode()
        said = render(errors)
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        return said
    return ""


@given(st.binary(max_size=300))
def test_random_octets(octets: bytes) -> None:
    judge(octets)


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_random_text(text: str) -> None:
    judge(text)


@given(mutated())
def test_slips_of_the_pen(text: str) -> None:
    judge(text)


@given(documents(), st.data())
def test_values_of_another_type_anywhere(document: dict[str, Any], data: st.DataObject) -> None:
    places = list(_places(document))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
    )
    judge(json.dumps(document))


def _places(value: Any) -> Any:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


SECRET = "correct-horse-battery"


@pytest.mark.req("C16", "breaks")
@given(documents(), st.data())
def test_no_slip_brings_a_secret_to_light(document: dict[str, Any], data: st.DataObject) -> None:
    document["spec"]["resources"].append(
        {
            "apiVersion": "net.routerd.net/v1alpha1",
            "kind": "DHCPv4Client",
            "metadata": {"name": "secretive"},
            "spec": {"interface": "nowhere", "sendOptions": [{"code": 90, "secret": SECRET}]},
        }
    )
    text = json.dumps(document, indent=data.draw(st.sampled_from([None, 2])))
    spared = text.index('"secret"'), text.index(SECRET) + len(SECRET)
    place = data.draw(st.integers(0, len(text)).filter(lambda n: not spared[0] <= n < spared[1]))
    with contextlib.suppress(IndexError):
        text = text[:place] + data.draw(PIECES) + text[place + data.draw(st.integers(0, 1)) :]
    assert SECRET not in judge(text)
