"""The JSON Schema and the loader are of one mind, and the page about it is up to date."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from routerd.config import ConfigErrors, load, render
from routerd.config.compose import compose
from routerd.config.reference import example, page
from routerd.config.schema import document_schema
from routerd.config.text import decode
from routerd.resources.kinds import KINDS
from tests.config.valid import EXAMPLES, documents

SCHEMA = document_schema()
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(KINDS) <= SCHEMA["$defs"].keys()
    assert not re.search(r"TODO|None|NOTHING", json.dumps(SCHEMA))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid(path: Path) -> None:
    VALIDATOR.validate(compose(decode(path.read_bytes(), path.name)).root.data)


@given(documents())
def test_what_the_loader_takes_is_valid(document: dict[str, Any]) -> None:
    try:
        load(json.dumps(document))
    except ConfigErrors as errors:
        pytest.fail(render(errors))
    VALIDATOR.validate(document)


SLIPS = st.sampled_from(["drop", "add", "replace", "rename"])
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        7,
        1500,
        99999,
        1.5,
        "",
        "x",
        "30x",
        "30s",
        "10.0.0.0/8",
        "10.0.0.1",
        "::1",
        "2001:db8::1/64",
        "fd00::/64",
        "00:03:00:01:02",
        "eth0",
        "a b",
        "Interface",
        [],
        {},
        ["x"],
        [1, 1],
    ]
)


@given(documents(), st.data())
def test_what_is_wrong_in_form_is_wrong_for_both(document: dict[str, Any], data: st.DataObject) -> None:
    """Two slips anywhere: the schema takes what the loader takes, and refuses what the loader refuses for its form."""
    for _ in range(2):
        holder, key = data.draw(st.sampled_from(list(_entries(document))))
        match data.draw(SLIPS):
            case "drop":
                del holder[key]
            case "add":
                holder["colour"] = data.draw(VALUES)
            case "replace":
                holder[key] = data.draw(VALUES)
            case "rename":
                holder[key.upper()] = holder.pop(key)
        if not list(_entries(document)):
            break
    try:
        load(json.dumps(document))
    except ConfigErrors as errors:
        formal = [error for error in errors.errors if error.code.startswith("schema.")]
        assert not (formal and VALIDATOR.is_valid(document)), render(errors)
        if not formal and all(not error.code.startswith("unsupported.") for error in errors.errors):
            VALIDATOR.validate(document)
    else:
        VALIDATOR.validate(document)


def _entries(value: Any) -> Any:
    if isinstance(value, dict):
        yield from ((value, key) for key in value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _entries(inner)


def test_the_page_is_up_to_date() -> None:
    written = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert written.read_text() == page(), "python -m routerd.config.reference > docs/configuration.md"


def test_the_pages_examples_load() -> None:
    """Each with the resources that it refers to."""
    blocks = re.findall(r"```yaml\n(apiVersion: \w+\.routerd[^`]*)```", page())
    assert len(blocks) == len(KINDS)
    for block, kind in zip(blocks, KINDS.values(), strict=True):
        assert compose(decode(block, "page")).root.data == example(kind)
        delegation = {**example(KINDS["DHCPv6PrefixDelegation"]), "metadata": {"name": "wan-pd"}}
        others = [delegation, _named("wan", "eth9"), _named("lan", "eth8")]
        document = {
            "apiVersion": "routerd.net/v1alpha1",
            "kind": "Router",
            "metadata": {"name": "page"},
            "spec": {"resources": [example(kind), *others]},
        }
        load(json.dumps(document))


def _named(name: str, ifname: str) -> dict[str, Any]:
    return {**example(KINDS["Interface"]), "metadata": {"name": name}, "spec": {"ifname": ifname}}
