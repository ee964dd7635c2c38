"""The shapes of `when` and `dependsOn`: what is taken, and what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.resources.conditions import DEEPEST, MOST_CLAUSES, Dependency, StateKey, When, clauses, state_key
from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.invalid import Problems

UP: dict[str, Any] = {"state": {"Interface/wan.phase": {"equals": "Up"}}}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Interface/wan.phase", StateKey("Interface/wan", "phase")),
        ("${Interface/wan.status.phase}", StateKey("Interface/wan", "phase")),
        ("Interface/wan.lan.phase", StateKey("Interface/wan.lan", "phase")),
        ("${Interface/wan.status.status.phase}", StateKey("Interface/wan.status", "phase")),
        ("Interface/wan", None),
        ("Interface/wan.", None),
        ("interface wan.phase", None),
        ("Interface/WAN.phase", None),
        ("${Interface/wan.phase}", None),
        ("$Interface/wan.phase", None),
        ("Interface/wan.phase ", None),
        ("wan.phase", None),
        ("", None),
    ],
)
def test_what_a_key_names(text: str, key: StateKey | None) -> None:
    assert state_key(text) == key


def test_a_key_says_kind_name_and_itself() -> None:
    key = StateKey("Interface/wan.lan", "phase")
    assert (key.kind, key.name, str(key)) == ("Interface", "wan.lan", "Interface/wan.lan.phase")


def nested(levels: int) -> dict[str, Any]:
    return UP if levels == 1 else {"all": [nested(levels - 1)]}


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, ["value.exclusive"]),
        ({**UP, "all": [UP]}, ["value.exclusive"]),
        ({"all": []}, ["value.length"]),
        ({"any": [UP] * (MOST_CLAUSES + 1)}, ["value.length"]),
        ({"state": {}}, ["value.length"]),
        ({"state": {"wan": {"exists": True}, "lan": {"exists": True}}}, ["value.key", "value.key"]),
        ({"state": {"Interface/wan.phase": {"for": "3s"}}}, ["value.required"]),
        ({"state": {"Interface/wan.phase": {"equals": 3}}}, ["schema.type"]),
        ({"state": {"Interface/wan.phase": {"in": []}}}, ["value.length"]),
        ({"state": {"Interface/wan.phase": {"status": "there"}}}, ["schema.enum"]),
        ({"state": {"Interface/wan.phase": {"exists": True, "for": "-3s"}}}, ["schema.duration"]),
        (nested(DEEPEST + 1), ["value.depth"]),
        ({"all": [{"any": [{"nor": []}]}]}, ["schema.unknown-field"]),
        ([], ["schema.type"]),
    ],
)
def test_a_condition_that_is_none(given: Any, codes: list[str]) -> None:
    with pytest.raises(Problems) as caught:
        from_wire(When, given)
    assert [problem.code for problem in caught.value.problems] == codes


def test_a_condition_comes_back_as_it_was_written() -> None:
    match = {
        "exists": True,
        "equals": "Up",
        "in": ["Up"],
        "contains": "U",
        "status": "set",
        "for": "1s",
        "maxAge": "1m0s",
    }
    given = {"any": [nested(DEEPEST - 1), {"state": {"${DHCPv4Client/wan.status.gateway}": match}}]}
    assert to_wire(from_wire(When, given)) == given


def test_every_clause_has_its_place() -> None:
    when = from_wire(
        When, {"any": [UP, {"all": [{"state": {"${DHCPv4Client/wan.status.gateway}": {"exists": True}}}]}]}
    )
    assert [(path, str(key)) for path, key, _ in clauses(when, ("spec", "when"))] == [
        (("spec", "when", "any", 0, "state", "Interface/wan.phase"), "Interface/wan.phase"),
        (
            ("spec", "when", "any", 1, "all", 0, "state", "${DHCPv4Client/wan.status.gateway}"),
            "DHCPv4Client/wan.gateway",
        ),
    ]


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, ["value.exclusive"]),
        ({"phase": "Bound", "notEmpty": True}, ["value.exclusive"]),
        ({"phase": "Bound", "equals": "Bound"}, ["value.exclusive"]),
        ({"phase": "Bound", "field": "gateway"}, ["value.exclusive"]),
        ({"phase": "Bound", "resource": "wan"}, ["schema.pattern"]),
        ({"notEmpty": "yes"}, ["schema.type"]),
    ],
)
def test_a_dependency_that_is_none(given: dict[str, Any], codes: list[str]) -> None:
    with pytest.raises(Problems) as caught:
        from_wire(Dependency, {"resource": "DHCPv4Client/wan", **given})
    assert [problem.code for problem in caught.value.problems] == codes


def test_a_dependency_looks_at_the_phase_unless_it_says_otherwise() -> None:
    plain = from_wire(Dependency, {"resource": "DHCPv4Client/wan", "phase": "Bound"})
    other = from_wire(Dependency, {"resource": "DHCPv4Client/wan", "field": "gateway", "notEmpty": True})
    assert (str(plain.key), str(other.key)) == ("DHCPv4Client/wan.phase", "DHCPv4Client/wan.gateway")
